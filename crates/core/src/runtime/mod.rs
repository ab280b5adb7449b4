//! Floor 4: what waits. Loops claim due work, shared out among replicas by leases, and carry it out; what they find is
//! decided in `services/`. Events go to the rules in the dispatcher, timers and schedules come due in the scheduler, jobs
//! are done by the worker, live connections are held by the supervisor, audit logs sealed by the sealer.

mod claims;
mod dispatcher;
mod erase;
mod hand_over;
mod inbox;
mod mail;
mod retain;
mod rule_run;
mod scheduler;
mod sealer;
mod send;
mod supervisor;
mod worker;

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{domain::job::Lane, engine::Engine, error::Result, runtime::claims::Claims};

pub(crate) use self::inbox::AccountInbox;
pub(crate) use crate::services::commit::commit;

/// The lanes of the loop that thinks.
const THINKING: &[Lane] = &[Lane::Dispatch, Lane::Timer, Lane::Task, Lane::Schedule];
/// The lanes of the loop that waits for others, seals what was done and clears what is kept no longer.
const WORKING: &[Lane] = &[Lane::Job, Lane::Audit, Lane::Retention];

/// The loops that wait: rules, timers, jobs, live connections.
///
/// ```no_run
/// # async fn run(crm: dealwright::Crm) -> dealwright::Result<()> {
/// let running = crm.runtime().start().await?;
/// // … serve …
/// running.stop().await;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Runtime {
    engine: Arc<Engine>,
}

/// Started loops. Dropped without [`Running::stop`], they end at their next pause.
#[derive(Debug)]
pub struct Running {
    shutdown: CancellationToken,
    loops: Vec<JoinHandle<()>>,
}

impl Runtime {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// Starts the loops on the present tokio runtime.
    ///
    /// # Errors
    /// `unavailable` if the store does not answer.
    pub async fn start(&self) -> Result<Running> {
        self.engine.store.ping().await?;
        let shutdown = CancellationToken::new();
        let mut loops = Vec::new();
        for lanes in [THINKING, WORKING] {
            let claims = Claims::new(self.engine.clone(), lanes);
            loops.push(tokio::spawn(claims.run(shutdown.clone())));
        }
        let supervisor = supervisor::Supervisor::new(self.engine.clone());
        loops.push(tokio::spawn(supervisor.run(shutdown.clone())));
        Ok(Running { shutdown, loops })
    }

    /// Carries out everything that is due by the engine's clock, and what comes of it, until nothing is; answers how many
    /// items were carried out. For tests, simulations and made histories, whose clock stands still meanwhile.
    ///
    /// # Errors
    /// Whatever the store says; items that failed for now are tried again later and do not count as an error.
    pub async fn drain(&self) -> Result<u64> {
        let mut done = 0;
        loop {
            let mut round = 0;
            for lanes in [THINKING, WORKING] {
                round += Claims::new(self.engine.clone(), lanes).drain().await?;
            }
            if round == 0 {
                return Ok(done);
            }
            done += round;
        }
    }
}

impl Running {
    /// Ends the loops: what has begun is finished, nothing new is claimed.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        for handle in self.loops.drain(..) {
            if let Err(error) = handle.await {
                tracing::error!(%error, "a loop of the runtime ended badly");
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
