//! Hands messages to their providers: one commit before, the hand-over, one commit after. Whatever happens in between, a
//! message that may have gone is never sent again; what became of it is found out afterwards.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use serde::Deserialize;
use tokio::time::Instant;

use crate::{
    domain::{
        account::AccountStatus,
        job::{Claim, Job, JobState, Lane},
        message::{Message, MessageStatus},
        text::{MAX_REMARK, salvage_line},
    },
    engine::Engine,
    error::{Error, ErrorKind, Result},
    id::{Id, MessageId},
    ports::{
        connector::{SendError, Sent, Settled},
        store::{Update, WorkEnd},
    },
    runtime::commit,
    scope::{Actor, Cause, Scope},
    services::{
        accounts,
        messaging::{self, Begun, Prepared},
        unit::Unit,
    },
};

/// A message that fails for now is tried again after 30 s, doubled by each try up to an hour, …
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(30);
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);
/// … so many times, within this time.
const TRIES: i64 = 20;
const PATIENCE: TimeDelta = TimeDelta::hours(24);
/// How long a message waits for its account before it looks again.
const ACCOUNT_WAIT: TimeDelta = TimeDelta::minutes(5);
/// A provider's wish to be left alone is granted up to this.
const LONGEST_WISH: Duration = Duration::from_secs(6 * 3600);
/// How long a message that is asked for right after another one waits for that one's first try.
const CLOSE: TimeDelta = TimeDelta::minutes(1);
/// How long it is kept in hand meanwhile, how often it looks if nobody of this process tells it, and when it comes up
/// again.
const TURN: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_secs(1);
const TURN_WAIT: TimeDelta = TimeDelta::seconds(5);
/// How often the traces of a doubtful message are looked for: over about an hour and a half.
const LOOKS: i64 = 10;
const LONGEST_LOOK: TimeDelta = TimeDelta::minutes(15);
/// What was learnt from a provider is worth some patience with the store.
const RECORDINGS: u32 = 6;

/// What a job about a message carries.
#[derive(Deserialize)]
struct Payload {
    message_id: MessageId,
    actor: Actor,
    cause: Cause,
}

/// One claimed job about a message.
struct Work<'j> {
    engine: &'j Arc<Engine>,
    claim: &'j Claim,
    job: &'j Job,
    id: MessageId,
    scope: Scope,
}

/// What was learnt about a message.
enum Learnt {
    /// Nothing.
    Nothing,
    /// The provider has it.
    Sent(Sent),
    /// It surely did not go, and is tried again.
    Postponed(String),
    /// It will never go.
    Failed(String),
    /// Nobody knows whether it went.
    Doubtful(String),
    /// Its traces were looked for in vain.
    Unsettled(String),
}

/// How a job goes on.
enum Next {
    /// It is done.
    Done,
    /// It comes up again then, for this reason if something went wrong; the try counts if it was one.
    Later { at: DateTime<Utc>, error: Option<String>, counts: bool },
}

/// Hands one message to its provider.
pub(super) async fn send_message(engine: &Arc<Engine>, claim: &Claim, job: &Job) -> Result<()> {
    let work = Work::read(engine, claim, job)?;
    let Some(message) = engine.store.message(claim.organization_id, work.id).await? else {
        return work.commit(Learnt::Nothing, Next::Done).await;
    };
    if !matches!(message.status, MessageStatus::Queued | MessageStatus::Scheduled) {
        return work.over(message.status).await;
    }
    if !work.turn_comes(&message).await? {
        let next = Next::Later { at: engine.env.now() + TURN_WAIT, error: None, counts: false };
        return work.commit(Learnt::Nothing, next).await;
    }
    let mut prepared = match messaging::prepare(engine, &message).await {
        Ok(prepared) => prepared,
        Err(error) => return work.not_sent(&message, error).await,
    };
    let at = engine.env.now();
    prepared.outgoing.written_at = at;
    let begun = match work.begin(at).await {
        // Perhaps it is marked as being sent, and only the answer was lost. It was not handed over: that is known.
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            return work.not_sent(&message, SendError::Temporary { error, retry_after: None }).await;
        }
        begun => begun?,
    };
    match begun {
        Begun::Go => {}
        Begun::Interrupted => return work.over(MessageStatus::Sending).await,
        Begun::Later(at) => {
            let next = Next::Later { at, error: None, counts: false };
            return work.commit(Learnt::Nothing, next).await;
        }
        Begun::Over => return work.over(MessageStatus::Cancelled).await,
    }
    match hand_over(&prepared).await {
        Ok(sent) => work.sent(sent).await,
        Err(SendError::Doubtful(error)) => work.doubtful(error.message()).await,
        Err(error) => work.not_sent(&message, error).await,
    }
}

async fn hand_over(prepared: &Prepared) -> Result<Sent, SendError> {
    let Prepared { connector, credentials, outgoing } = prepared;
    let sending = AssertUnwindSafe(connector.send(credentials, outgoing)).catch_unwind();
    sending.await.unwrap_or_else(|_| Err(SendError::Doubtful(Error::internal("the connector broke down"))))
}

/// Finds out what became of a doubtful message.
pub(super) async fn settle_message(engine: &Arc<Engine>, claim: &Claim, job: &Job) -> Result<()> {
    let work = Work::read(engine, claim, job)?;
    let message = engine.store.message(claim.organization_id, work.id).await?;
    let Some(message) = message.filter(|it| it.status == MessageStatus::Unknown) else {
        return work.commit(Learnt::Nothing, Next::Done).await;
    };
    let why = match look(engine, &message).await {
        Ok(Settled::Sent(sent)) => return work.sent(sent).await,
        Ok(Settled::Unknown) => "it was not found at the provider".to_owned(),
        Err(SendError::Permanent(error)) => return work.unsettled(&message, error.message()).await,
        Err(SendError::Temporary { error, .. } | SendError::Doubtful(error)) => error.message().to_owned(),
    };
    if job.attempts + 1 >= LOOKS {
        return work.unsettled(&message, &why).await;
    }
    let wait = doubled(FIRST_WAIT, job.attempts, LONGEST_LOOK);
    let next = Next::Later { at: engine.env.now() + wait, error: Some(why), counts: true };
    work.commit(Learnt::Nothing, next).await
}

async fn look(engine: &Engine, message: &Message) -> Result<Settled, SendError> {
    let prepared = messaging::prepare(engine, message).await?;
    if !prepared.connector.capabilities().settle {
        let text = format!("{} cannot tell whether it was sent", message.platform);
        return Err(SendError::Permanent(Error::new(ErrorKind::Unsupported, text)));
    }
    let looking = AssertUnwindSafe(prepared.connector.settle(&prepared.credentials, &prepared.outgoing)).catch_unwind();
    let found = looking.await.unwrap_or_else(|_| Err(Error::internal("the connector broke down")));
    found.map_err(|error| SendError::Temporary { error, retry_after: None })
}

/// `first · 2^n`, at most `longest`.
fn doubled(first: TimeDelta, n: i64, longest: TimeDelta) -> TimeDelta {
    let factor = 1_i32 << n.clamp(0, 16);
    longest.min(first * factor)
}

impl<'j> Work<'j> {
    fn read(engine: &'j Arc<Engine>, claim: &'j Claim, job: &'j Job) -> Result<Self> {
        let payload: Payload = serde_json::from_value(job.payload.clone())
            .map_err(|e| Error::internal(format!("job {} is about no message", job.id)).with_source(e))?;
        let scope = Scope::system(claim.organization_id).acting(payload.actor, payload.cause);
        Ok(Self { engine, claim, job, id: payload.message_id, scope })
    }

    /// Waits until the messages that were asked to go into the chat just before have had their first try, so that they
    /// arrive in their order. Answers whether they have; one that is slow is not waited for with a worker in hand.
    async fn turn_comes(&self, message: &Message) -> Result<bool> {
        let mut bell = self.engine.bell.listen(&[Lane::Dispatch, Lane::Job]);
        let end = Instant::now() + TURN;
        loop {
            bell.hush();
            let since = self.engine.env.now() - CLOSE;
            if !self.engine.store.is_preceded(message.organization_id, message.chat_id, message.id, since).await? {
                return Ok(true);
            }
            tokio::select! {
                () = tokio::time::sleep_until(end) => return Ok(false),
                () = tokio::time::sleep(LOOK) => {}
                () = bell.rung() => {}
            }
        }
    }

    /// The commit before the hand-over: it is being sent, unless somebody was faster.
    async fn begin(&self, at: DateTime<Utc>) -> Result<Begun> {
        let (id, claim) = (self.id, self.claim.clone());
        commit(self.engine, &self.scope, move |unit| {
            let claim = claim.clone();
            Box::pin(async move {
                let begun = messaging::begin(unit, id, at).await?;
                if begun == Begun::Go {
                    unit.batch.end(WorkEnd::Held(claim));
                }
                Ok(begun)
            })
        })
        .await
    }

    /// There is nothing to send any more; or nobody knows, if somebody died while sending.
    async fn over(&self, status: MessageStatus) -> Result<()> {
        if status == MessageStatus::Sending {
            return self.doubtful("it was interrupted while it was handed over").await;
        }
        self.commit(Learnt::Nothing, Next::Done).await
    }

    /// The provider has it.
    async fn sent(&self, sent: Sent) -> Result<()> {
        self.commit(Learnt::Sent(sent), Next::Done).await
    }

    async fn doubtful(&self, why: &str) -> Result<()> {
        self.commit(Learnt::Doubtful(why.to_owned()), Next::Done).await
    }

    async fn unsettled(&self, message: &Message, why: &str) -> Result<()> {
        let before = message.error.as_deref().unwrap_or("it is not known whether it was sent");
        let why = if before.contains(why) { before.to_owned() } else { format!("{before}; {why}") };
        self.commit(Learnt::Unsettled(why), Next::Done).await
    }

    /// It surely was not sent: it waits for the next try, or for its account, or is given up.
    async fn not_sent(&self, message: &Message, error: SendError) -> Result<()> {
        let (error, wish, is_final) = match error {
            SendError::Permanent(error) => (error, None, true),
            SendError::Temporary { error, retry_after } => (error, retry_after, false),
            SendError::Doubtful(error) => (error, None, false),
        };
        let now = self.engine.env.now();
        let why = error.message().to_owned();
        let refused = error.kind() == ErrorKind::Unauthenticated;
        if refused {
            self.cut_off(message, &why).await?;
        }
        let waits = refused || error.code() == "account_unavailable" || error.code() == "no_credentials";
        let born = message.send_at.unwrap_or(message.created_at).max(message.created_at);
        let (at, counts) = match waits {
            true => (now + ACCOUNT_WAIT, false),
            false => (now + self.wait(wish)?, true),
        };
        let is_late = at > born + PATIENCE || (counts && self.job.attempts + 1 >= TRIES);
        if is_final && !waits {
            return self.commit(Learnt::Failed(why), Next::Done).await;
        }
        if is_late {
            let why = format!("given up after {} tries: {why}", self.job.attempts + 1);
            return self.commit(Learnt::Failed(why), Next::Done).await;
        }
        let next = Next::Later { at, error: Some(why.clone()), counts };
        self.commit(Learnt::Postponed(why), next).await
    }

    /// How long until the next try: what the provider wishes, else ever longer; a little later each, so that many
    /// messages do not come back at the same instant.
    fn wait(&self, wish: Option<Duration>) -> Result<TimeDelta> {
        let wait = match wish {
            Some(wish) => TimeDelta::from_std(wish.min(LONGEST_WISH)).unwrap_or(LONGEST_WAIT),
            None => doubled(FIRST_WAIT, self.job.attempts, LONGEST_WAIT),
        };
        let [jitter] = self.engine.env.bytes::<1>()?;
        Ok(wait + wait / 5 * i32::from(jitter) / 255)
    }

    /// The provider no longer accepts the account's credentials: nobody tries them again until a person has connected it.
    async fn cut_off(&self, message: &Message, why: &str) -> Result<()> {
        let account = message.account_id;
        let scope = Scope::system(message.organization_id).acting(Actor::Account { id: account }, Cause::default());
        let why = format!("sending: {why}");
        commit(self.engine, &scope, move |unit| {
            let why = why.clone();
            Box::pin(async move {
                accounts::report(unit, account, AccountStatus::Disconnected, Some(why)).await?;
                unit.batch.uproot(Lane::Account, account.uuid());
                Ok(())
            })
        })
        .await
    }

    /// One commit: what was learnt about the message, and how the job goes on, under the claim. With patience for a store
    /// that is away: what a provider said cannot be asked again.
    async fn commit(&self, learnt: Learnt, next: Next) -> Result<()> {
        let (learnt, next) = (Arc::new(learnt), Arc::new(next));
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_commit(learnt.clone(), Some(next.clone())).await {
                Err(error) if error.kind() == ErrorKind::Unavailable && tries < RECORDINGS => {
                    tracing::warn!(message = %self.id, %error, "what became of a message cannot be recorded; once more");
                    tokio::time::sleep(Duration::from_millis(100 << tries)).await;
                }
                // That the provider has it is true whoever holds the claim by now.
                Err(error) if error.code() == "lease_lost" && matches!(*learnt, Learnt::Sent(_)) => {
                    return self.try_commit(learnt, None).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_commit(&self, learnt: Arc<Learnt>, next: Option<Arc<Next>>) -> Result<()> {
        let (id, claim, job) = (self.id, self.claim.clone(), Arc::new(self.job.clone()));
        commit(self.engine, &self.scope, move |unit| {
            let (learnt, next, claim, job) = (learnt.clone(), next.clone(), claim.clone(), job.clone());
            Box::pin(async move {
                match &*learnt {
                    Learnt::Nothing => {}
                    Learnt::Sent(sent) => messaging::sent(unit, id, sent).await?,
                    Learnt::Postponed(why) => messaging::postpone(unit, id, why).await?,
                    Learnt::Failed(why) => messaging::fail(unit, id, why).await?,
                    Learnt::Doubtful(why) => messaging::doubtful(unit, id, why).await?,
                    Learnt::Unsettled(why) => messaging::unsettled(unit, id, why).await?,
                }
                match next {
                    Some(next) => go_on(unit, claim, &job, &next),
                    None => Ok(()),
                }
            })
        })
        .await
    }
}

fn go_on(unit: &mut Unit, claim: Claim, job: &Job, next: &Next) -> Result<()> {
    let now = unit.now();
    let update = Update::of(job).set("updated_at", &now);
    match next {
        Next::Done => {
            unit.note_touch(update.set("state", &JobState::Done))?;
            unit.batch.end(WorkEnd::Done(claim));
        }
        Next::Later { at, error, counts } => {
            let update = update.set("run_at", at).add("attempts", i64::from(*counts));
            unit.note_touch(match error {
                Some(error) => update.set("last_error", &salvage_line(error, MAX_REMARK)),
                None => update,
            })?;
            unit.batch.end(WorkEnd::Later(claim, *at));
        }
    }
    Ok(())
}
