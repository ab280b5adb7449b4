//! Waiting for news: IDLE (RFC 2177) where the server has it, otherwise just a while.

use std::time::Duration;

use async_imap::imap_proto::Response;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Denied, Failure, Imap};

impl Imap {
    /// Returns when the server speaks of new mail, or after `renewal` (without IDLE: after `poll`).
    pub(super) async fn wait(&mut self, renewal: Duration, poll: Duration) -> Result<(), Failure> {
        if self.news {
            return Ok(());
        }
        if self.can_idle {
            match self.idle(renewal).await {
                Ok(()) => return Ok(()),
                Err(Denied::Failed(failure)) => return Err(failure),
                Err(Denied::Said { said, .. }) => {
                    tracing::debug!(said, "the mail server announces IDLE and refuses it; polling instead");
                    self.can_idle = false;
                }
            }
        }
        sleep(poll).await;
        Ok(())
    }

    async fn idle(&mut self, renewal: Duration) -> Result<(), Denied> {
        let tag = self.start("IDLE").await?;
        self.continued(&tag).await?;
        let until = Instant::now() + renewal;
        while !self.news {
            let ended = self.next(|response| matches!(response, Response::Done { tag: done, .. } if *done == tag));
            match timeout_at(until, ended).await {
                Err(_elapsed) => break,
                Ok(Ok(false)) => {}
                Ok(Ok(true)) => return Err(Failure::garbled("the server ended IDLE by itself").into()),
                Ok(Err(failure)) => return Err(failure.into()),
            }
        }
        self.write(b"DONE\r\n").await?;
        self.finish(&tag, 0, |_| {}).await
    }
}
