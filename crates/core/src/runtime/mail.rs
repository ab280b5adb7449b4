//! Hands mails of our own to the mail server. One that fails for now is tried again, later each time; once it has gone,
//! or never will, its text is forgotten.

use std::{panic::AssertUnwindSafe, sync::Arc};

use chrono::TimeDelta;
use futures::FutureExt;
use serde_json::json;

use crate::{
    domain::{
        data_key::DataKey,
        job::{Claim, Job, JobState},
        text::{MAX_REMARK, salvage_line},
    },
    engine::Engine,
    error::{Error, ErrorKind, Result},
    id::DataKeyId,
    ports::store::{Batch, Update, WorkEnd, Write},
    services::mail,
};

/// A mail that fails for now is tried again after 30 s, doubled by each try up to an hour, …
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(30);
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);
/// … so many times: for about a day.
const TRIES: i64 = 30;

/// Sends the mail of a job.
pub(super) async fn send_mail(engine: &Arc<Engine>, claim: &Claim, job: &Job, key: Option<&DataKey>) -> Result<()> {
    let sent = match hand_over(engine, job, key).await {
        Ok(()) => return settle(engine, claim, job, JobState::Done, None).await,
        Err(error) => error,
    };
    let why = salvage_line(sent.message(), MAX_REMARK);
    let again = matches!(sent.kind(), ErrorKind::Unavailable | ErrorKind::RateLimited);
    if !again || job.attempts + 1 >= TRIES {
        tracing::warn!(job = %job.id, error = %sent, "a mail was given up");
        return settle(engine, claim, job, JobState::Failed, why).await;
    }
    let factor = 1_i32 << job.attempts.clamp(0, 16);
    let at = engine.env.now() + LONGEST_WAIT.min(FIRST_WAIT * factor);
    let update = Update::of(job)
        .add("attempts", 1)
        .set("run_at", &at)
        .set("last_error", &why)
        .set("updated_at", &engine.env.now())
        .expect("state", &JobState::Queued);
    let mut batch = Batch::default();
    batch.note(Write::Update(update))?;
    batch.end(WorkEnd::Later(claim.clone(), at));
    engine.store.commit(claim.organization_id, batch).await
}

async fn hand_over(engine: &Arc<Engine>, job: &Job, key: Option<&DataKey>) -> Result<()> {
    let mail = mail::open(engine, job, key)?;
    let mailer = engine.mailer.clone().ok_or_else(|| {
        // Written while there was one: a later start may have one again.
        Error::unavailable("no mail server is configured")
    })?;
    let sending = AssertUnwindSafe(mailer.send(&mail)).catch_unwind();
    sending.await.unwrap_or_else(|_| Err(Error::unavailable("the mailer broke down")))
}

/// Ends a job, and forgets what the mail said.
async fn settle(
    engine: &Arc<Engine>,
    claim: &Claim,
    job: &Job,
    state: JobState,
    last_error: Option<String>,
) -> Result<()> {
    let update = Update::of(job)
        .add("attempts", 1)
        .set("state", &state)
        .set("payload", &json!({}))
        .set("key_id", &None::<DataKeyId>)
        .set("last_error", &last_error)
        .set("updated_at", &engine.env.now())
        .expect("state", &JobState::Queued);
    let mut batch = Batch::default();
    batch.note(Write::Update(update))?;
    batch.end(WorkEnd::Done(claim.clone()));
    engine.store.commit(claim.organization_id, batch).await
}
