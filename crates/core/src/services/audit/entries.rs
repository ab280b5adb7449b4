//! Entries of the audit log, made where a unit is committed: no service writes them by hand but for what changes nothing,
//! such as a sign-in that failed.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::objects::{Told, told};
use crate::{
    domain::{
        audit::{AuditEntry, AuditObject, AuditPayload, payload_digest},
        job::Lane,
        retention::RetentionKind,
        text,
    },
    env::Env,
    error::{Error, Result},
    id::Id,
    ports::store::{Batch, Record, WorkItem, Write},
    scope::{Actor, Scope},
    services::unit::Unit,
};

/// So much is kept of what a client calls itself.
const MAX_USER_AGENT: usize = 300;

/// The id of who did it.
fn actor_id(actor: &Actor) -> Option<Uuid> {
    match actor {
        Actor::User { id } => Some(id.uuid()),
        Actor::ApiKey { id, .. } => Some(id.uuid()),
        Actor::Rule { id, .. } => Some(id.uuid()),
        Actor::Account { id } => Some(id.uuid()),
        Actor::System => None,
    }
}

fn entry(env: &Env, scope: &Scope, at: DateTime<Utc>, told: Told, details: Map<String, Value>) -> Result<AuditEntry> {
    let origin = scope.origin.as_deref();
    let user_agent = origin.and_then(|it| it.user_agent.as_deref());
    let payload = AuditPayload {
        salt: env.bytes::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect(),
        address: origin.and_then(|it| it.address).map(|address| address.to_string()),
        user_agent: user_agent.and_then(|text| text::salvage_line(text, MAX_USER_AGENT)),
        before: told.before,
        after: told.after,
        details,
    };
    let payload = serde_json::to_string(&payload)
        .map_err(|e| Error::internal("the payload of an audit entry is no JSON").with_source(e))?;
    Ok(AuditEntry {
        id: env.id()?,
        organization_id: scope.organization_id,
        at,
        actor: scope.actor,
        actor_id: actor_id(&scope.actor),
        action: scope.action().to_owned(),
        object_kind: told.kind,
        object_id: told.id,
        payload_digest: payload_digest(&payload),
        payload: Some(payload),
        seq: None,
        seal: None,
        sealed_by: None,
        sealed: None,
    })
}

/// Adds to a batch what the log tells of it, and work for the sealer. Nothing is read: a commit takes no round trip more.
pub(crate) fn tell(env: &Env, scope: &Scope, at: DateTime<Utc>, batch: &mut Batch) -> Result<()> {
    let mut entries = Vec::new();
    for write in &batch.writes {
        if let Some(told) = told(scope.organization_id, write)? {
            entries.push(entry(env, scope, at, told, Map::new())?);
        }
    }
    for entry in &entries {
        batch.note(Write::insert(entry))?;
    }
    let is_entry = |write: &Write| matches!(write, Write::Insert { table, .. } if table.name == AuditEntry::TABLE.name);
    if batch.writes.iter().any(is_entry) {
        // An item of its own for each commit: commits that shared one would wait for each other.
        let id = env.id::<crate::id::AuditEntryId>()?.uuid();
        batch.plant(WorkItem { lane: Lane::Audit, id, organization_id: scope.organization_id, due_at: at });
    }
    Ok(())
}

/// Tells what changes nothing: that somebody failed to show who they are.
pub(crate) fn tell_failure(unit: &mut Unit, user: Uuid, code: &str) -> Result<()> {
    let details = Map::from_iter([("code".to_owned(), Value::from(code))]);
    let told = Told { kind: AuditObject::User, id: user, before: None, after: None };
    let entry = entry(unit.env(), unit.scope(), unit.now(), told, details)?;
    unit.note(Write::insert(&entry))
}

/// Tells that somebody was given everything that is held about something.
pub(crate) fn tell_reading(unit: &mut Unit, kind: AuditObject, id: Uuid) -> Result<()> {
    let told = Told { kind, id, before: None, after: None };
    let entry = entry(unit.env(), unit.scope(), unit.now(), told, Map::new())?;
    unit.note(Write::insert(&entry))
}

/// Tells that what was older than an instant was cleared, since it is kept no longer.
pub(crate) fn tell_clearing(unit: &mut Unit, kind: RetentionKind, before: DateTime<Utc>, cleared: i64) -> Result<()> {
    let id = unit.organization_id().uuid();
    let after = Clearing { kind, before, cleared }.told();
    let told = Told { kind: AuditObject::Retention, id, before: None, after: Some(after) };
    let entry = entry(unit.env(), unit.scope(), unit.now(), told, Map::new())?;
    unit.note(Write::insert(&entry))
}

/// What an entry tells of a clearing.
pub(super) struct Clearing {
    kind: RetentionKind,
    before: DateTime<Utc>,
    cleared: i64,
}

impl Clearing {
    fn told(&self) -> Map<String, Value> {
        let members =
            [("kind", json!(self.kind)), ("cleared_before", json!(self.before)), ("cleared", json!(self.cleared))];
        members.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
    }

    /// Before when payloads of the log itself were cleared, as far as an entry tells: one of the job's own, as it was
    /// written.
    pub(super) fn of_payloads(entry: &AuditEntry) -> Option<DateTime<Utc>> {
        let is_own = entry.object_kind == AuditObject::Retention && entry.actor == Actor::System;
        if !is_own || !entry.has_its_payload() {
            return None;
        }
        let payload: AuditPayload = serde_json::from_str(entry.payload.as_deref()?).ok()?;
        let after = payload.after?;
        let of_audit = after.get("kind") == Some(&json!(RetentionKind::Audit));
        let before = after.get("cleared_before").filter(|_| of_audit)?;
        serde_json::from_value(before.clone()).ok()
    }
}
