//! Mails of our own: written into the unit as jobs, handed over by the runtime. Until then their text, which may hold a
//! secret, lies sealed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    domain::{
        data_key::{DataKey, Sealed},
        job::{Job, JobKind},
        text,
    },
    engine::Engine,
    error::{Error, Result},
    ports::mailer::Mail,
    services::{
        unit::{Payload, Unit},
        vault,
    },
};

/// A mail to be written.
pub(crate) struct NewMail {
    /// The address of whom it is for.
    pub(crate) to: String,
    /// Their name.
    pub(crate) to_name: Option<String>,
    /// What it is about.
    pub(crate) subject: String,
    /// What it says.
    pub(crate) text: String,
    /// What it is sent for: of one thing one mail goes out.
    pub(crate) key: String,
}

/// What is sealed of a mail.
#[derive(Serialize, Deserialize)]
struct Letter {
    to: String,
    to_name: Option<String>,
    subject: String,
    text: String,
}

/// The de-duplication key of the job that sends a mail.
pub(crate) fn job_key(sent_for: &str) -> String {
    format!("mail:{sent_for}")
}

/// Queues a mail. Without a mailer there is nobody to hand it to, and nothing is written.
pub(crate) async fn send(unit: &mut Unit, new: NewMail) -> Result<()> {
    if unit.engine().mailer.is_none() {
        return Ok(());
    }
    let key = job_key(&new.key);
    // Names and subjects hold what people call themselves: of it nothing begins a header of its own, or turns the rest
    // round.
    let one_line = |text: String| text::salvage_line(&text, text::MAX_REMARK);
    let subject = one_line(new.subject).unwrap_or_default();
    let letter = Letter { to: new.to, to_name: new.to_name.and_then(one_line), subject, text: new.text };
    let plain = serde_json::to_vec(&letter).map_err(|e| Error::internal("a mail is no JSON").with_source(e))?;
    let plain = Zeroizing::new(plain);
    let sealed = vault::seal(unit, &Job::place_of(unit.organization_id(), &key), &plain).await?;
    let now = unit.now();
    unit.queue_job(JobKind::SendMail, Payload::sealed(sealed), now, Some(key))?;
    Ok(())
}

/// The mail of a job.
///
/// # Errors
/// `internal` if it does not open.
pub(crate) fn open(engine: &Engine, job: &Job, key: Option<&DataKey>) -> Result<Mail> {
    let nothing = || Error::internal("a mail's text is gone");
    let ((_, bytes), key) = job.sealed()?.zip(key).ok_or_else(nothing)?;
    // By the job's own key: a payload that was copied from another job does not open.
    let plain = engine.vault.open(key, &job.place(), &bytes)?;
    let letter: Letter =
        serde_json::from_slice(&plain).map_err(|e| Error::internal("a mail is no JSON").with_source(e))?;
    let written_at: DateTime<Utc> = job.created_at;
    Ok(Mail {
        to: letter.to,
        to_name: letter.to_name,
        subject: letter.subject,
        text: letter.text,
        reference: job.id.to_string(),
        written_at,
    })
}
