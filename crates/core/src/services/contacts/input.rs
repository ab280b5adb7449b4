//! What callers send about contacts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    domain::{
        contact::{Contact, Handles},
        custom_field::Noun,
        external_id::ExternalIds,
        text,
    },
    error::{Error, Result},
    id::{CompanyId, ContactId, StageId, TeamId, UserId},
    page::PageRequest,
    patch::Patch,
    ports::store::{Range, TimeRange},
    services::{
        batch::BatchItem,
        fields,
        listing::{Asked, Simple},
        unit::Unit,
    },
};

/// A contact to be made. It starts in the first stage of the default pipeline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContact {
    /// What people call them, 1…200 characters.
    pub name: String,
    /// E-mail addresses, the first is the main one; at most 50.
    #[serde(default)]
    pub emails: Vec<String>,
    /// Phone numbers with their country code; at most 50.
    #[serde(default)]
    pub phones: Vec<String>,
    /// Handles at messengers.
    #[serde(default)]
    pub handles: Handles,
    /// Where they work: a company.
    #[serde(default)]
    pub company_id: Option<CompanyId>,
    /// Who looks after them: a member.
    #[serde(default)]
    pub assigned_to: Option<UserId>,
    /// The team that does.
    #[serde(default)]
    pub team_id: Option<TeamId>,
    /// Where they came from, at most 100 characters.
    #[serde(default)]
    pub source: Option<String>,
    /// Tags of at most 100 characters; at most 100.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Values of custom fields, by their keys.
    #[serde(default)]
    pub custom: Map<String, Value>,
    /// What other systems call them: `{system: id}`, each unique in the organisation; at most 20.
    #[serde(default)]
    pub external_ids: ExternalIds,
    /// Makes the contact although another one has the same e-mail address, phone number or handle.
    #[serde(default)]
    pub allow_duplicate: bool,
}

/// Which handles change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HandlesPatch {
    /// At Telegram.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub telegram: Patch<String>,
    /// At LinkedIn.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub linkedin: Patch<String>,
    /// At X.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub twitter: Patch<String>,
}

/// A change of a contact: a merge patch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContactPatch {
    /// What people call them.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
    /// E-mail addresses: the whole list.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub emails: Patch<Vec<String>>,
    /// Phone numbers: the whole list.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub phones: Patch<Vec<String>>,
    /// Handles at messengers, each by itself.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub handles: Patch<HandlesPatch>,
    /// Where they work.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub company_id: Patch<CompanyId>,
    /// Who looks after them.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub assigned_to: Patch<UserId>,
    /// The team that does.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub team_id: Patch<TeamId>,
    /// Where they came from.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub source: Patch<String>,
    /// Tags: the whole list.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub tags: Patch<Vec<String>>,
    /// Values of custom fields, each by itself.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub custom: Patch<Map<String, Value>>,
    /// What other systems call them, each by itself.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub external_ids: Patch<BTreeMap<String, Option<String>>>,
}

impl ContactPatch {
    /// Applies the patch; what it makes is still to be checked.
    pub(super) fn apply(self, contact: &mut Contact) {
        // A name cannot be cleared: the check says so.
        self.name.replace(&mut contact.name);
        self.emails.replace(&mut contact.emails);
        self.phones.replace(&mut contact.phones);
        self.tags.replace(&mut contact.tags);
        match self.handles {
            Patch::Absent => {}
            Patch::Null => contact.handles = Handles::default(),
            Patch::Value(patch) => {
                patch.telegram.apply(&mut contact.handles.telegram);
                patch.linkedin.apply(&mut contact.handles.linkedin);
                patch.twitter.apply(&mut contact.handles.twitter);
            }
        }
        fields::apply_custom(self.custom, &mut contact.custom);
        fields::apply_external_ids(self.external_ids, &mut contact.external_ids);
        self.company_id.apply(&mut contact.company_id);
        self.assigned_to.apply(&mut contact.assigned_to);
        self.team_id.apply(&mut contact.team_id);
        self.source.apply(&mut contact.source);
    }

    /// The contact that the patch makes, unchecked: tests hold it against RFC 7396.
    #[cfg(feature = "testkit")]
    #[must_use]
    pub fn applied(self, mut contact: Contact) -> Contact {
        self.apply(&mut contact);
        contact
    }
}

/// Which contact, and its change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateContact {
    /// Which one.
    pub id: ContactId,
    /// Its change.
    pub patch: ContactPatch,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Which contact is to be deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteContact {
    /// Which one.
    pub id: ContactId,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Which contacts, in which order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListContacts {
    /// With exactly this name.
    pub name: Option<String>,
    /// In this stage.
    pub stage_id: Option<StageId>,
    /// In this pipeline.
    pub pipeline_id: Option<crate::id::PipelineId>,
    /// With this tag.
    pub tag: Option<String>,
    /// Looked after by this user.
    pub assigned_to: Option<UserId>,
    /// Working there.
    pub company_id: Option<CompanyId>,
    /// Of this team.
    pub team_id: Option<TeamId>,
    /// From this source.
    pub source: Option<String>,
    /// With exactly this e-mail address.
    pub email: Option<String>,
    /// With exactly this phone number.
    pub phone: Option<String>,
    /// With this handle at Telegram.
    #[serde(rename = "handles.telegram")]
    pub telegram: Option<String>,
    /// With this handle at LinkedIn.
    #[serde(rename = "handles.linkedin")]
    pub linkedin: Option<String>,
    /// With this handle at X.
    #[serde(rename = "handles.twitter")]
    pub twitter: Option<String>,
    /// With such a score.
    pub score: Option<Range<i64>>,
    /// Made then.
    pub created_at: Option<TimeRange>,
    /// Last edited then.
    pub updated_at: Option<TimeRange>,
    /// Last message then.
    pub last_message_at: Option<TimeRange>,
    /// By custom fields: `custom.size=5`, `custom.size[gte]=5`.
    pub custom: Map<String, Value>,
    /// `created_at`, `updated_at`, `name`, `last_message_at`, `score` or `custom.…`, with a leading `-` for largest first;
    /// newest first if left out. Sorted by a custom field the list has those that have a value there.
    pub sort: Option<String>,
    /// Items a page, 1…200.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl ListContacts {
    /// The parts that the store goes by; texts in the form in which they are kept.
    pub(super) async fn parts(self, unit: &Unit) -> Result<Asked> {
        let phone = match self.phone.as_deref().map(text::phone) {
            Some(Err(flaw)) => {
                return Err(Error::malformed(flaw.detail.clone()).code_of("invalid_parameter").field(
                    "/phone",
                    flaw.code,
                    flaw.detail,
                ));
            }
            Some(Ok(phone)) => Some(phone),
            None => None,
        };
        let trimmed = |text: Option<String>| text.map(|text| text.trim().to_owned());
        let contact = Noun::Contact;
        let simple = Simple::default()
            .equal(contact, "stage_id", self.stage_id.as_ref())
            .equal(contact, "pipeline_id", self.pipeline_id.as_ref())
            .equal(contact, "tags", trimmed(self.tag).as_ref())
            .equal(contact, "assigned_to", self.assigned_to.as_ref())
            .equal(contact, "company_id", self.company_id.as_ref())
            .equal(contact, "team_id", self.team_id.as_ref())
            .equal(contact, "source", trimmed(self.source).as_ref())
            .equal(contact, "emails", self.email.map(|email| email.trim().to_lowercase()).as_ref())
            .equal(contact, "phones", phone.as_ref())
            .asked("name", self.name.as_deref())
            .asked("handles.telegram", self.telegram.as_deref())
            .asked("handles.linkedin", self.linkedin.as_deref())
            .asked("handles.twitter", self.twitter.as_deref())
            .bounded("score", self.score.as_ref())
            .within(contact, "created_at", self.created_at)
            .within(contact, "updated_at", self.updated_at)
            .within(contact, "last_message_at", self.last_message_at);
        let page = PageRequest { limit: self.limit, cursor: self.cursor };
        simple.parts(unit, contact, &self.custom, self.sort.as_deref(), page).await
    }
}

/// Which contact goes where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveContact {
    /// Who.
    pub contact_id: ContactId,
    /// Where to.
    pub stage_id: StageId,
    /// Why, at most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
    /// Only if they are at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Whose moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListHistory {
    /// The contact.
    pub contact_id: ContactId,
    /// Items a page, 1…200.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// Contacts to be made at once, each by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactBatch {
    /// At most 500.
    pub items: Vec<BatchItem>,
}

/// A contact by its id in another system: made if nobody has that id, else changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpsertContact {
    /// The other system.
    pub system: String,
    /// The id there.
    pub external_id: String,
    /// What the contact is to have; the rest stays. A new one needs a name.
    pub patch: ContactPatch,
    /// Makes the contact although another one has the same e-mail address, phone number or handle.
    #[serde(default)]
    pub allow_duplicate: bool,
    /// Only if it is there and at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}
