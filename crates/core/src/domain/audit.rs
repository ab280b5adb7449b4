//! The audit log: who did what to what, when, and from where. Each entry is sealed into its organisation's chain: SHA-256
//! over the seal before, the entry's number and fields, and the digest of its payload. What is personal lies in the payload
//! alone, which can be cleared without breaking the chain.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    domain::word::words,
    id::{AuditEntryId, ContactId, Id, OrganizationId},
    scope::Actor,
};

/// What every seal begins with, so that a later way to seal cannot be taken for this one.
const MARK: &[u8] = b"dealwright audit 1";
/// The seal before the first one.
pub const GENESIS: [u8; 32] = [0; 32];

words! {
    /// What an entry is about.
    AuditObject {
        /// The organisation and its settings.
        Organization = "organization",
        /// Somebody's place in the organisation; the id is the user's.
        Member = "member",
        /// A person: their address and name; also one who failed to show who they are.
        User = "user",
        /// A user's password, of which nothing but when it was set is told; the id is the user's.
        Password = "password",
        /// A user's second factor; the id is the user's.
        SecondFactor = "second_factor",
        /// A way in by a provider.
        Identity = "identity",
        /// A sign-in session.
        Session = "session",
        /// An API key.
        ApiKey = "api_key",
        /// A role of the organisation's own.
        Role = "role",
        /// An invitation.
        Invitation = "invitation",
        /// A team.
        Team = "team",
        /// Somebody's place in a team; the id is the user's.
        TeamMember = "team_member",
        /// A pipeline.
        Pipeline = "pipeline",
        /// A stage.
        Stage = "stage",
        /// A custom field's definition.
        CustomField = "custom_field",
        /// A messenger account.
        Account = "account",
        /// The credentials of an account, of which nothing but the key that sealed them is told; the id is the account's.
        AccountSecret = "account_secret",
        /// A rule.
        Rule = "rule",
        /// A contact that was deleted or brought back.
        Contact = "contact",
        /// The erasure of a contact, whose id it is: what the log had of it is cleared.
        Erasure = "erasure",
        /// How long things are kept, and that some were cleared for it; the id is the organisation's.
        Retention = "retention",
        /// A company that was deleted or brought back.
        Company = "company",
        /// A deal that was deleted or brought back.
        Deal = "deal",
    }
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditEntryId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: Actor,
    /// The user, key, rule or account that the actor is; `None` for the system.
    pub actor_id: Option<Uuid>,
    /// What was done: the name of the operation.
    pub action: String,
    /// To what kind of thing.
    pub object_kind: AuditObject,
    /// To which.
    pub object_id: Uuid,
    /// An [`AuditPayload`] as JSON, byte for byte as its digest was made; `None` once it was cleared.
    pub payload: Option<String>,
    /// [`payload_digest`] of the payload.
    pub payload_digest: Vec<u8>,
    /// Its number in the chain, from 1; `None` until it is sealed.
    pub seq: Option<i64>,
    /// Its seal.
    pub seal: Option<Vec<u8>>,
    /// By whose key a part of it is sealed.
    pub sealed_by: Option<ContactId>,
    /// What is sealed of it ([`Personal`](crate::domain::payload::Personal)).
    pub sealed: Option<Vec<u8>>,
}

/// What is personal of an entry, and what changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AuditPayload {
    /// Random, so that nobody can try out what a cleared payload may have been.
    pub salt: String,
    /// The network address that the call came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What the client called itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// What it was like before: of a change what has changed, of what was removed everything that is told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Map<String, Value>>,
    /// What it is like since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Map<String, Value>>,
    /// What else is to be known, such as why a sign-in failed.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

/// The head of an organisation's chain.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditChain {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The number of the newest sealed entry.
    pub seq: i64,
    /// Its seal.
    pub seal: Vec<u8>,
    /// When it was sealed.
    pub sealed_at: DateTime<Utc>,
}

/// The digest of a payload.
pub fn payload_digest(payload: &str) -> Vec<u8> {
    Sha256::digest(payload.as_bytes()).to_vec()
}

impl AuditEntry {
    /// The seal that this entry has as number `seq` behind the seal `previous`.
    pub fn seal_behind(&self, previous: &[u8], seq: i64) -> Vec<u8> {
        // A word and ids: they are always JSON.
        let actor = serde_json::to_vec(&self.actor).unwrap_or_default();
        let mut hash = Sha256::new();
        // Each with its length, so that no two entries read alike.
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        field(MARK);
        field(previous);
        field(&seq.to_be_bytes());
        field(self.id.uuid().as_bytes());
        field(self.organization_id.uuid().as_bytes());
        field(&self.at.timestamp_micros().to_be_bytes());
        field(&actor);
        field(self.actor_id.as_ref().map(|id| id.as_bytes().as_slice()).unwrap_or_default());
        field(self.action.as_bytes());
        field(self.object_kind.as_str().as_bytes());
        field(self.object_id.as_bytes());
        field(&self.payload_digest);
        hash.finalize().to_vec()
    }

    /// Whether its seal is the right one behind `previous`.
    pub fn is_sealed_behind(&self, previous: &[u8], seq: i64) -> bool {
        self.seq.is_some() && self.seal.as_deref() == Some(self.seal_behind(previous, seq).as_slice())
    }

    /// Whether its payload is what it was when it was written; one that was cleared is.
    pub fn has_its_payload(&self) -> bool {
        self.payload.as_deref().is_none_or(|payload| payload_digest(payload) == self.payload_digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> AuditEntry {
        let payload = r#"{"salt":"00"}"#;
        AuditEntry {
            id: Uuid::from_u128(1).into(),
            organization_id: Uuid::from_u128(2).into(),
            at: DateTime::UNIX_EPOCH,
            actor: Actor::System,
            actor_id: None,
            action: "teams.create".to_owned(),
            object_kind: AuditObject::Team,
            object_id: Uuid::from_u128(3),
            payload: Some(payload.to_owned()),
            payload_digest: payload_digest(payload),
            seq: None,
            seal: None,
            sealed_by: None,
            sealed: None,
        }
    }

    #[test]
    fn a_seal_depends_on_everything_but_the_payload_itself() {
        let seal = |entry: &AuditEntry| entry.seal_behind(&GENESIS, 1);
        let (one, first) = (entry(), seal(&entry()));
        let others = [
            AuditEntry { id: Uuid::from_u128(9).into(), ..one.clone() },
            AuditEntry { organization_id: Uuid::from_u128(9).into(), ..one.clone() },
            AuditEntry { at: DateTime::from_timestamp_micros(1).unwrap(), ..one.clone() },
            AuditEntry { actor: Actor::User { id: Uuid::from_u128(9).into() }, ..one.clone() },
            AuditEntry { actor_id: Some(Uuid::from_u128(9)), ..one.clone() },
            AuditEntry { action: "teams.created".to_owned(), ..one.clone() },
            AuditEntry { object_kind: AuditObject::Member, ..one.clone() },
            AuditEntry { object_id: Uuid::from_u128(9), ..one.clone() },
            AuditEntry { payload_digest: vec![0; 32], ..one.clone() },
        ];
        for other in &others {
            assert_ne!(seal(other), first, "{other:?}");
        }
        assert_ne!(one.seal_behind(&GENESIS, 2), first);
        assert_ne!(one.seal_behind(&first, 1), first);
        assert_eq!(seal(&AuditEntry { payload: None, ..one }), first);
    }

    #[test]
    fn a_cleared_payload_is_no_edited_one() {
        let one = entry();
        assert!(one.has_its_payload() && AuditEntry { payload: None, ..one.clone() }.has_its_payload());
        assert!(!AuditEntry { payload: Some("{}".to_owned()), ..one }.has_its_payload());
    }
}
