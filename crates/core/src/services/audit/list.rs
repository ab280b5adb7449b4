//! The log as admins see it.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    domain::{
        audit::{AuditEntry, AuditObject, AuditPayload},
        word::words,
    },
    error::{Error, Result},
    id::{AuditEntryId, RunId, UserId},
    page::{Page, PageRequest},
    ports::store::AuditFilter,
    scope::Actor,
    services::unit::Unit,
};

/// The longest name of an action that there may be.
const MAX_ACTION: usize = 100;

words! {
    /// What kind of actor it was.
    AuditActor {
        /// A signed-in person.
        User = "user",
        /// A machine, by an API key.
        ApiKey = "api_key",
        /// A rule.
        Rule = "rule",
        /// A provider, through an account.
        Account = "account",
        /// The engine, the process that embeds it, or somebody who has not signed in.
        System = "system",
    }
}

/// Which entries.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListAudit {
    /// By this user, API key, rule or account.
    pub actor_id: Option<Uuid>,
    /// Of this operation, for example `members.set_role` or `auth.sign_in_failed`.
    #[schemars(length(max = 100))]
    pub action: Option<String>,
    /// About this kind of thing.
    pub object_kind: Option<AuditObject>,
    /// About this thing.
    pub object_id: Option<Uuid>,
    /// At this instant or later.
    pub from: Option<DateTime<Utc>>,
    /// Before this instant.
    pub to: Option<DateTime<Utc>>,
    /// Items a page, 1…200.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AuditView {
    /// Its id.
    pub id: AuditEntryId,
    /// When.
    pub at: DateTime<Utc>,
    /// What kind of actor.
    pub actor_kind: AuditActor,
    /// Which user, API key, rule or account; `null` for the system.
    pub actor_id: Option<Uuid>,
    /// The member that an API key acted for.
    pub acts_for: Option<UserId>,
    /// The run of a rule.
    pub run_id: Option<RunId>,
    /// What was done: the name of the operation.
    pub action: String,
    /// To what kind of thing.
    pub object_kind: AuditObject,
    /// To which.
    pub object_id: Uuid,
    /// The network address that the call came from, if it came over a network.
    pub address: Option<String>,
    /// What the client called itself.
    pub user_agent: Option<String>,
    /// What it was like before: what has changed of it, or all that is told of what was removed.
    pub before: Option<Map<String, Value>>,
    /// What it is like since: what has changed of it, or all that is told of what is new.
    pub after: Option<Map<String, Value>>,
    /// What else is to be known, such as the `code` of a sign-in that failed.
    pub details: Map<String, Value>,
    /// Whether what was personal of it, `address` to `details`, was erased.
    pub cleared: bool,
    /// Its number in the chain; `null` until it is sealed, within a second or so.
    pub seq: Option<i64>,
}

impl AuditView {
    pub(crate) fn of(entry: AuditEntry) -> Self {
        let cleared = entry.payload.is_none();
        let payload: AuditPayload = match &entry.payload {
            // One that somebody has edited is shown as far as it can be read; the verifier names it.
            Some(text) => serde_json::from_str(text).unwrap_or_default(),
            None => AuditPayload::default(),
        };
        let (actor_kind, acts_for, run_id) = match entry.actor {
            Actor::User { .. } => (AuditActor::User, None, None),
            Actor::ApiKey { acts_for, .. } => (AuditActor::ApiKey, acts_for, None),
            Actor::Rule { run_id, .. } => (AuditActor::Rule, None, Some(run_id)),
            Actor::Account { .. } => (AuditActor::Account, None, None),
            Actor::System => (AuditActor::System, None, None),
        };
        Self {
            id: entry.id,
            at: entry.at,
            actor_kind,
            actor_id: entry.actor_id,
            acts_for,
            run_id,
            action: entry.action,
            object_kind: entry.object_kind,
            object_id: entry.object_id,
            address: payload.address,
            user_agent: payload.user_agent,
            before: payload.before,
            after: payload.after,
            details: payload.details,
            cleared,
            seq: entry.seq,
        }
    }
}

/// Entries, newest first.
pub(crate) async fn list(unit: &mut Unit, input: ListAudit) -> Result<Page<AuditView>> {
    if input.action.as_ref().is_some_and(|action| action.chars().count() > MAX_ACTION) {
        let detail = format!("an operation's name has at most {MAX_ACTION} characters");
        return Err(Error::invalid("/action", "too_long", detail));
    }
    let filter = AuditFilter {
        actor_id: input.actor_id,
        action: input.action,
        object_kind: input.object_kind,
        object_id: input.object_id,
        from: input.from,
        to: input.to,
    };
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    Ok(unit.store().audit_entries(unit.organization_id(), &filter, &page).await?.map(AuditView::of))
}
