//! Holds live connections: one lease with a fencing token per account, shared out among replicas like all work. What a
//! connection brings is written under its claim; a replica that has lost the lease can write nothing more, and ends the
//! connection.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures::FutureExt;
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{
        account::{Account, AccountStatus},
        job::{Claim, Lane},
    },
    engine::Engine,
    error::{Error, ErrorKind, Result},
    id::{AccountId, Id},
    ports::{connector::Session, store::WorkEnd},
    runtime::{
        claims::{self, LEASE},
        commit,
        inbox::AccountInbox,
    },
    scope::{Actor, Cause, Scope},
    services::accounts,
};

/// Accounts claimed at once: few, so that replicas that start together share them.
const AT_ONCE: u32 = 16;
/// The longest sleep: what other processes planted is found after this long.
const POLL: Duration = Duration::from_secs(1);
/// Renewals under way at once.
const RENEWALS: usize = 16;
/// How long a connector may take to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(5);
/// The first wait after a fault; it doubles up to the longest one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
/// A connection that held this long had no fault before.
const STEADY: Duration = Duration::from_secs(60);

/// Holds the live connections of this process.
pub(super) struct Supervisor {
    engine: Arc<Engine>,
    held: HashMap<AccountId, Held>,
    tasks: JoinSet<(AccountId, u32)>,
    /// Faults in a row, by account.
    faults: HashMap<AccountId, u32>,
    renewals: Arc<Semaphore>,
}

/// The newest task that holds an account's connection.
struct Held {
    /// Tells it to end.
    stop: CancellationToken,
    /// Cancelled once it has ended, however it did.
    over: CancellationToken,
}

impl Supervisor {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            held: HashMap::new(),
            tasks: JoinSet::new(),
            faults: HashMap::new(),
            renewals: Arc::new(Semaphore::new(RENEWALS)),
        }
    }

    /// Holds connections until `shutdown`, then gives them back.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let mut bell = self.engine.bell.listen(&[Lane::Account]);
        while !shutdown.is_cancelled() {
            bell.hush();
            if let Err(error) = self.take_up_all().await {
                tracing::warn!(%error, "accounts cannot be claimed");
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = bell.rung() => {}
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => self.ended(ended),
                () = tokio::time::sleep(POLL) => {}
            }
        }
        self.stop().await;
    }

    /// Forgets what has ended, takes up what is due.
    async fn take_up_all(&mut self) -> Result<()> {
        while let Some(ended) = self.tasks.try_join_next() {
            self.ended(ended);
        }
        self.engine.store.free(&[Lane::Account], self.engine.env.now(), LEASE).await?;
        loop {
            let until = Instant::now() + LEASE.to_std().unwrap_or_default();
            let claims = claims::claim(&self.engine, &[Lane::Account], LEASE, AT_ONCE).await?;
            let are_all = claims.len() < AT_ONCE as usize;
            for claim in claims {
                self.take_up(claim, until);
            }
            if are_all {
                return Ok(());
            }
        }
    }

    /// Holds an account whose lease is ours until `until`.
    fn take_up(&mut self, claim: Claim, until: Instant) {
        let id = AccountId::from_uuid(claim.id);
        let (stop, over) = (CancellationToken::new(), CancellationToken::new());
        let before = self.held.insert(id, Held { stop: stop.clone(), over: over.clone() });
        let faults = self.faults.get(&id).copied().unwrap_or_default();
        let (engine, renewals, over) = (self.engine.clone(), self.renewals.clone(), over.drop_guard());
        self.tasks.spawn(async move {
            let _over = over;
            if let Some(before) = before {
                // Its lease had run out unnoticed. An account has one connection: the old one ends first.
                before.stop.cancel();
                before.over.cancelled().await;
            }
            let kept = keep(&engine, &claim, until, &renewals);
            (id, hold(&engine, &claim, faults, &stop, kept).await)
        });
    }

    fn ended(&mut self, ended: Result<(AccountId, u32), tokio::task::JoinError>) {
        let (id, faults) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "the task of an account ended badly; its lease will run out");
                return self.held.retain(|_, held| !held.over.is_cancelled());
            }
        };
        if faults == 0 {
            self.faults.remove(&id);
        } else {
            self.faults.insert(id, faults);
        }
        // A newer task may hold the account by now.
        if self.held.get(&id).is_some_and(|held| held.over.is_cancelled()) {
            self.held.remove(&id);
        }
    }

    /// Ends every connection and gives its claim back, so that another replica takes it up at once.
    async fn stop(mut self) {
        for held in self.held.values() {
            held.stop.cancel();
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE * 2, all).await.is_err() {
            tracing::warn!("connections did not end in time; their leases will run out");
        }
    }
}

/// Renews a lease at a third of its time. Returns when somebody else has it, or when nobody could be asked until it ran
/// out: the store or this process may have been away, and another replica may well hold the account by now.
async fn keep(engine: &Engine, claim: &Claim, mut until: Instant, renewals: &Semaphore) {
    let lease = LEASE.to_std().unwrap_or_default();
    loop {
        tokio::time::sleep(lease / 3).await;
        let renewal = async {
            let _turn = renewals.acquire().await;
            let asked = Instant::now();
            (asked, engine.store.renew(claim, engine.env.now() + LEASE).await)
        };
        match tokio::time::timeout_at(until, renewal).await {
            Ok((asked, Ok(true))) => until = asked + lease,
            Ok((_, Err(error))) => tracing::warn!(account = %claim.id, %error, "a lease could not be renewed"),
            Ok((_, Ok(false))) | Err(_) => return,
        }
    }
}

/// How a connection ended.
enum Ended {
    /// It was told to.
    Stopped,
    /// Nothing may be written any more: the lease is gone.
    Lost,
    /// There is nothing to hold: the account was removed, or is cut off.
    Over,
    /// The provider no longer accepts its credentials: a person has to connect it again.
    Refused(String),
    /// A fault: it is tried again.
    Failed(String),
}

/// Holds one account's connection as long as it lives and the lease is kept, and records how it ended. Answers the
/// faults in a row.
async fn hold(
    engine: &Arc<Engine>,
    claim: &Claim,
    faults: u32,
    stop: &CancellationToken,
    kept: impl Future<Output = ()>,
) -> u32 {
    let began = Instant::now();
    let ended = tokio::select! {
        ended = live(engine, claim, stop) => ended,
        () = kept => Ended::Lost,
    };
    // What the connector has begun beside itself ends too.
    stop.cancel();
    let now = engine.env.now();
    let (faults, outcome) = match ended {
        Ended::Lost => return 0,
        Ended::Stopped => (0, engine.store.release(claim, now).await),
        Ended::Over => (0, end(engine, claim, None, WorkEnd::Done(claim.clone())).await),
        Ended::Refused(reason) => {
            let status = (AccountStatus::Disconnected, reason);
            (0, end(engine, claim, Some(status), WorkEnd::Done(claim.clone())).await)
        }
        Ended::Failed(reason) => {
            let faults = if began.elapsed() >= STEADY { 1 } else { faults.saturating_add(1) };
            tracing::info!(account = %claim.id, faults, reason, "a connection ended; it is made again");
            let due = now + wait(engine, faults);
            let status = (AccountStatus::Connecting, reason);
            (faults, end(engine, claim, Some(status), WorkEnd::Later(claim.clone(), due)).await)
        }
    };
    if let Err(error) = outcome
        && error.code() != "lease_lost"
    {
        tracing::warn!(account = %claim.id, %error, "the end of a connection could not be recorded; its lease will run out");
    }
    faults
}

/// 1 s doubled by each fault up to 5 minutes, and up to a quarter less, so that many accounts of one provider do not come
/// back at the same instant.
fn wait(engine: &Engine, faults: u32) -> TimeDelta {
    let wait = LONGEST_WAIT.min(FIRST_WAIT * 2_u32.saturating_pow(faults.saturating_sub(1).min(16)));
    let [jitter] = engine.env.bytes::<1>().unwrap_or_default();
    TimeDelta::from_std(wait - wait / 4 * u32::from(jitter) / 255).unwrap_or(TimeDelta::seconds(1))
}

async fn live(engine: &Arc<Engine>, claim: &Claim, stop: &CancellationToken) -> Ended {
    let account = match engine.store.account(claim.organization_id, AccountId::from_uuid(claim.id)).await {
        Ok(Some(account)) if account.deleted_at.is_none() => account,
        Ok(_) => return Ended::Over,
        Err(error) => return Ended::Failed(error.message().to_owned()),
    };
    if matches!(account.status, AccountStatus::Disconnected | AccountStatus::Banned) {
        return Ended::Over;
    }
    let inbox = Arc::new(AccountInbox::new(engine.clone(), Some(claim.clone()), account.clone()));
    let outcome = connection(engine, &account, inbox.clone(), stop).await;
    let cut_off = matches!(inbox.reported(), Some(AccountStatus::Disconnected | AccountStatus::Banned));
    match outcome {
        Ok(()) if stop.is_cancelled() => Ended::Stopped,
        Err(error) if error.code() == "lease_lost" => Ended::Lost,
        _ if cut_off => Ended::Over,
        Ok(()) => Ended::Failed("the connection ended by itself".to_owned()),
        Err(error) if error.kind() == ErrorKind::Unauthenticated || error.code() == "no_credentials" => {
            Ended::Refused(error.message().to_owned())
        }
        Err(error) => Ended::Failed(error.message().to_owned()),
    }
}

async fn connection(
    engine: &Arc<Engine>,
    account: &Account,
    inbox: Arc<AccountInbox>,
    stop: &CancellationToken,
) -> Result<()> {
    let connector = engine
        .connector(&account.platform)
        .map_err(|_| Error::unavailable(format!("platform {:?} is not available here", account.platform)))?;
    let credentials = accounts::open(engine, account).await?;
    let cursor = engine.store.account_cursor(account.organization_id, account.id).await?;
    if account.status != AccountStatus::Connecting {
        crate::ports::connector::Inbox::status(&*inbox, AccountStatus::Connecting, None).await?;
    }
    let session = Session {
        account_id: account.id,
        handle: account.handle.clone(),
        credentials,
        cursor: cursor.map(|it| it.cursor),
        inbox,
        shutdown: stop.clone(),
    };
    let running = AssertUnwindSafe(connector.run(session)).catch_unwind();
    let told = async {
        stop.cancelled().await;
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        ended = running => ended.unwrap_or_else(|_| Err(Error::internal("the connector broke down"))),
        () = told => Ok(()),
    }
}

/// Records how an account is doing and gives its work item back, in one commit.
async fn end(engine: &Arc<Engine>, claim: &Claim, status: Option<(AccountStatus, String)>, end: WorkEnd) -> Result<()> {
    let id = AccountId::from_uuid(claim.id);
    let scope = Scope::system(claim.organization_id).acting(Actor::Account { id }, Cause::default());
    commit(engine, &scope, move |unit| {
        let (status, end) = (status.clone(), end.clone());
        Box::pin(async move {
            if let Some((status, reason)) = status {
                accounts::report(unit, id, status, Some(reason)).await?;
            }
            unit.batch.end(end);
            Ok(())
        })
    })
    .await
}
