//! A mailer for development: it sends nothing, and says so in the log.

use async_trait::async_trait;
use dealwright::{
    error::Result,
    ports::mailer::{Mail, Mailer},
};

/// Writes a line into the log for each mail, with its recipient and its subject. What the mail says stays out of the log:
/// it may hold a secret, such as an invitation's token, which whoever invited was shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogMailer;

#[async_trait]
impl Mailer for LogMailer {
    async fn send(&self, mail: &Mail) -> Result<()> {
        tracing::warn!(to = mail.to, subject = mail.subject, "no mail server is configured: this mail was not sent");
        Ok(())
    }
}
