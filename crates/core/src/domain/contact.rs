//! A contact, and the identities by which one is recognised.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    domain::word::words,
    id::{CompanyId, ContactId, EventId, OrganizationId, PipelineId, StageId, TeamId, UserId},
};

words! {
    /// What kind of identity.
    IdentityKind {
        /// An e-mail address.
        Email = "email",
        /// A phone number.
        Phone = "phone",
        /// A Telegram handle.
        Telegram = "telegram",
        /// A LinkedIn handle.
        Linkedin = "linkedin",
        /// An X handle.
        Twitter = "twitter",
    }
}

/// Handles at messengers, without `@`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Handles {
    /// At Telegram.
    pub telegram: Option<String>,
    /// At LinkedIn.
    pub linkedin: Option<String>,
    /// At X.
    pub twitter: Option<String>,
}

/// A contact: a person we do, or want to do, business with.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Contact {
    /// Its id.
    pub id: ContactId,
    /// Whose it is.
    #[serde(skip)]
    pub organization_id: OrganizationId,
    /// What people call them.
    pub name: String,
    /// Case-folded NFKC of the name: what lists sort by.
    #[serde(skip)]
    pub name_key: String,
    /// E-mail addresses, lower-cased, the first is the main one.
    pub emails: Vec<String>,
    /// Phone numbers, E.164.
    pub phones: Vec<String>,
    /// Handles at messengers.
    pub handles: Handles,
    /// Where they work.
    pub company_id: Option<CompanyId>,
    /// Who looks after them.
    pub assigned_to: Option<UserId>,
    /// The team that does.
    pub team_id: Option<TeamId>,
    /// Where they came from.
    pub source: Option<String>,
    /// Tags, sorted.
    pub tags: Vec<String>,
    /// Values of custom fields.
    pub custom: Map<String, Value>,
    /// The stage they are in.
    pub stage_id: StageId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The event by which they entered the stage: the id of this entry.
    #[serde(skip)]
    pub stage_entry_id: EventId,
    /// When they entered the stage.
    pub stage_entered_at: DateTime<Utc>,
    /// What rules think of them. Activity: changes no version.
    pub score: i64,
    /// When they first wrote. Activity.
    pub first_response_at: Option<DateTime<Utc>>,
    /// When they last wrote. Activity.
    pub last_response_at: Option<DateTime<Utc>>,
    /// When a message last went in either direction. Activity.
    pub last_message_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
    /// When it was deleted.
    #[serde(skip)]
    pub deleted_at: Option<DateTime<Utc>>,
    /// Counts edits, from 1.
    pub version: i64,
}

/// One identity of a contact. One contact claims it; a duplicate that was let through holds it unclaimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactIdentity {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// What kind.
    pub kind: IdentityKind,
    /// The normalised value.
    pub value: String,
    /// Who holds it.
    pub contact_id: ContactId,
    /// Whether incoming messages from it go to this contact.
    pub claimed: bool,
}

/// One tag of a contact: the index behind the filter; the row of the contact carries the tags themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactTag {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The tag.
    pub tag: String,
    /// Who has it.
    pub contact_id: ContactId,
}

impl Contact {
    /// Every identity, normalised, without repeats.
    pub fn identities(&self) -> Vec<(IdentityKind, String)> {
        let handles = [
            (IdentityKind::Telegram, &self.handles.telegram),
            (IdentityKind::Linkedin, &self.handles.linkedin),
            (IdentityKind::Twitter, &self.handles.twitter),
        ];
        let mut all: Vec<_> = (self.emails.iter().map(|value| (IdentityKind::Email, value.clone())))
            .chain(self.phones.iter().map(|value| (IdentityKind::Phone, value.clone())))
            // Handles are case-insensitive at all three providers.
            .chain(handles.into_iter().filter_map(|(kind, value)| Some((kind, value.as_ref()?.to_lowercase()))))
            .collect();
        all.sort();
        all.dedup();
        all
    }
}
