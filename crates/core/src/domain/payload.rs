//! What is personal in rows that are never rewritten: events, runs, moves and entries of the audit log. It lies there
//! sealed by a key of the contact's own, and what stands in its columns meanwhile is what stays of the row once that key
//! is destroyed.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    cipher::{Key, Place},
    domain::{
        audit::{AuditEntry, AuditObject},
        event::{Change, Event, Subject},
        pipeline::StageMove,
        run::Run,
    },
    error::{Error, Result},
    id::{ContactId, Id, OrganizationId},
};

/// The key of what is personal about one contact. It is there to be destroyed, and lies as openly as the contact does.
#[derive(Clone, PartialEq)]
pub struct ContactKey {
    /// Whose the contact is.
    pub organization_id: OrganizationId,
    /// The contact.
    pub contact_id: ContactId,
    /// The key; nothing once it was destroyed, and with it all that it sealed.
    pub key: Option<Vec<u8>>,
}

/// A row of which a part may be sealed. What is sealed is kept beside the part until it is cleared, by whose key and what.
pub trait Personal: Clone + PartialEq {
    /// The table that keeps it.
    const KEPT_IN: &'static str;

    /// Whom it is about, if it is a contact or a deal.
    fn about(&self) -> Option<Subject>;
    /// What is personal of it, as JSON.
    ///
    /// # Errors
    /// `internal` if it is no JSON.
    fn part(&self) -> Result<Vec<u8>>;
    /// The same row with that part again.
    ///
    /// # Errors
    /// `internal` if the part is none of ours.
    fn with_part(self, part: &[u8]) -> Result<Self>;
    /// What stays of it once nobody is to know the rest: nothing is sealed of it any more.
    #[must_use]
    fn erased(&self) -> Self;
    /// Where it lies.
    fn place(&self) -> Place;
    /// What is sealed of it.
    fn sealed(&self) -> Option<&[u8]>;
    /// The same row with this sealed by a contact's key.
    #[must_use]
    fn sealed_by(self, contact: ContactId, sealed: Vec<u8>) -> Self;
    /// The row if what is sealed of it does not open.
    ///
    /// # Errors
    /// Why it does not.
    fn broken(self, why: Error) -> Result<Self> {
        Err(why)
    }

    /// The row as it was, opened by the key that was read beside it. Without one, since it was destroyed, it is what stays.
    ///
    /// # Errors
    /// `internal` if it does not open, or opens to no part of ours.
    fn opened(self, key: Option<&[u8]>) -> Result<Self> {
        let (Some(key), Some(sealed)) = (key, self.sealed()) else { return Ok(self) };
        match Key::new(key).and_then(|key| key.open(&self.place(), sealed)) {
            Ok(part) => self.with_part(&part),
            Err(error) => self.broken(error),
        }
    }
}

fn write(part: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(part).map_err(|e| Error::internal("what is personal of a row is no JSON").with_source(e))
}

fn read<T: DeserializeOwned>(part: &[u8]) -> Result<T> {
    serde_json::from_slice(part).map_err(|e| Error::internal("a sealed part of a row is none of ours").with_source(e))
}

/// What is alike in every personal row.
macro_rules! sealed {
    ($table:literal) => {
        const KEPT_IN: &'static str = $table;

        fn place(&self) -> Place {
            Place::of_organization(self.organization_id, Self::KEPT_IN, "sealed", &self.id.to_string())
        }

        fn sealed(&self) -> Option<&[u8]> {
            self.sealed.as_deref()
        }

        fn sealed_by(self, contact: ContactId, sealed: Vec<u8>) -> Self {
            Self { sealed_by: Some(contact), sealed: Some(sealed), ..self }
        }
    };
}

/// Fields of events that are states and ids of ours.
const IMPERSONAL: &[&str] = &["stage_id", "pipeline_id", "assigned_to", "team_id", "status"];

/// Truth values, counts and ids of ours.
fn is_impersonal(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => Uuid::try_parse(text).is_ok(),
        Value::Array(_) | Value::Object(_) => false,
    }
}

impl Personal for Event {
    sealed!("events");

    fn about(&self) -> Option<Subject> {
        (self.subject.contact().is_some() || self.subject.deal().is_some()).then_some(self.subject)
    }

    fn part(&self) -> Result<Vec<u8>> {
        write(&(&self.changes, &self.data))
    }

    fn with_part(self, part: &[u8]) -> Result<Self> {
        let (changes, data) = read(part)?;
        Ok(Self { changes, data, ..self })
    }

    fn erased(&self) -> Self {
        let kept = |(name, change): (&String, &Change)| {
            IMPERSONAL.contains(&name.as_str()).then(|| (name.clone(), change.clone()))
        };
        let changes: BTreeMap<_, _> = self.changes.iter().filter_map(kept).collect();
        let data = self.data.iter().filter(|(_, value)| is_impersonal(value));
        let data = data.map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { changes, data, sealed_by: None, sealed: None, ..self.clone() }
    }
}

impl Personal for Run {
    sealed!("runs");

    fn about(&self) -> Option<Subject> {
        self.contact_id.map(Subject::from)
    }

    fn part(&self) -> Result<Vec<u8>> {
        write(&(&self.facts, &self.actions, &self.error))
    }

    fn with_part(self, part: &[u8]) -> Result<Self> {
        let (facts, actions, error) = read(part)?;
        Ok(Self { facts, actions, error, ..self })
    }

    fn erased(&self) -> Self {
        let (facts, actions, error) = (json!({}), json!([]), None);
        Self { facts, actions, error, sealed_by: None, sealed: None, ..self.clone() }
    }
}

impl Personal for StageMove {
    sealed!("stage_history");

    fn about(&self) -> Option<Subject> {
        self.contact_id.map(Subject::from).or(self.deal_id.map(Subject::from))
    }

    fn part(&self) -> Result<Vec<u8>> {
        write(&self.reason)
    }

    fn with_part(self, part: &[u8]) -> Result<Self> {
        Ok(Self { reason: read(part)?, ..self })
    }

    fn erased(&self) -> Self {
        Self { reason: None, sealed_by: None, sealed: None, ..self.clone() }
    }
}

/// Entries about a contact; that it was erased is an entry of another kind, and stays.
impl Personal for AuditEntry {
    sealed!("audit_entries");

    fn about(&self) -> Option<Subject> {
        let is_contact = self.object_kind == AuditObject::Contact;
        is_contact.then(|| ContactId::from_uuid(self.object_id).into())
    }

    fn part(&self) -> Result<Vec<u8>> {
        write(&self.payload)
    }

    fn with_part(self, part: &[u8]) -> Result<Self> {
        Ok(Self { payload: read(part)?, ..self })
    }

    fn erased(&self) -> Self {
        let payload = self.payload.clone().filter(|_| self.about().is_none());
        Self { payload, sealed_by: None, sealed: None, ..self.clone() }
    }

    /// Its payload was edited: the verifier says so.
    fn broken(self, _: Error) -> Result<Self> {
        Ok(Self { payload: Some(String::new()), ..self })
    }
}
