//! Mails of our own: written into the unit as jobs, handed over by the runtime. Until then their text, which may hold a
//! secret, lies sealed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    cipher::Place,
    domain::{
        job::{Job, JobKind},
        text,
    },
    engine::Engine,
    error::{Error, Result},
    id::OrganizationId,
    ports::mailer::Mail,
    services::unit::Unit,
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
struct Sealed {
    to: String,
    to_name: Option<String>,
    subject: String,
    text: String,
}

/// Of a job there is one with its key; its id is not known yet when its mail is sealed.
fn place(organization: OrganizationId, key: &str) -> Place {
    Place::of_organization(organization, "jobs", "payload", key)
}

/// Queues a mail. Without a mailer there is nobody to hand it to, and nothing is written.
pub(crate) fn send(unit: &mut Unit, new: NewMail) -> Result<()> {
    let engine = unit.engine().clone();
    if engine.mailer.is_none() {
        return Ok(());
    }
    let key = format!("mail:{}", new.key);
    // Names and subjects hold what people call themselves: of it nothing begins a header of its own, or turns the rest
    // round.
    let one_line = |text: String| text::salvage_line(&text, text::MAX_REMARK);
    let subject = one_line(new.subject).unwrap_or_default();
    let sealed = Sealed { to: new.to, to_name: new.to_name.and_then(one_line), subject, text: new.text };
    let plain = serde_json::to_vec(&sealed).map_err(|e| Error::internal("a mail is no JSON").with_source(e))?;
    let (key_id, bytes) = engine.cipher.seal(&engine.env, &place(unit.organization_id(), &key), &plain)?;
    let payload = json!({ "key_id": key_id, "sealed": STANDARD.encode(bytes) });
    let now = unit.now();
    unit.queue_job(JobKind::SendMail, payload, now, Some(key))?;
    Ok(())
}

/// The mail of a job.
///
/// # Errors
/// `internal` if it does not open.
pub(crate) fn open(engine: &Engine, job: &Job) -> Result<Mail> {
    let member = |name: &str| job.payload.get(name).and_then(Value::as_str).unwrap_or_default();
    let bytes = STANDARD.decode(member("sealed")).map_err(|e| Error::internal("a mail is no base64").with_source(e))?;
    // The job's own key, not one that its payload tells: a payload that was copied along would tell the old one.
    let key = job.dedup_key.as_deref().unwrap_or_default();
    let plain = engine.cipher.open(&place(job.organization_id, key), member("key_id"), &bytes)?;
    let sealed: Sealed =
        serde_json::from_slice(&plain).map_err(|e| Error::internal("a mail is no JSON").with_source(e))?;
    let written_at: DateTime<Utc> = job.created_at;
    Ok(Mail {
        to: sealed.to,
        to_name: sealed.to_name,
        subject: sealed.subject,
        text: sealed.text,
        reference: job.id.to_string(),
        written_at,
    })
}
