//! What callers send about contacts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    domain::{
        contact::{Contact, Handles},
        text,
    },
    error::{Error, Result},
    id::{CompanyId, ContactId, StageId, TeamId, UserId},
    page::PageRequest,
    patch::Patch,
    ports::store::{ContactFilter, ContactSort, Sort, TimeRange},
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
    /// Where they work. This build keeps no companies.
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
    /// Values of custom fields. None can be defined in this build.
    #[serde(default)]
    pub custom: Map<String, Value>,
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
}

impl ContactPatch {
    /// Applies the patch; what it makes is still to be checked.
    pub(super) fn apply(self, contact: &mut Contact) {
        // A name cannot be cleared: the check says so.
        whole(self.name, &mut contact.name);
        whole(self.emails, &mut contact.emails);
        whole(self.phones, &mut contact.phones);
        whole(self.tags, &mut contact.tags);
        match self.handles {
            Patch::Absent => {}
            Patch::Null => contact.handles = Handles::default(),
            Patch::Value(patch) => {
                patch.telegram.apply(&mut contact.handles.telegram);
                patch.linkedin.apply(&mut contact.handles.linkedin);
                patch.twitter.apply(&mut contact.handles.twitter);
            }
        }
        match self.custom {
            Patch::Absent => {}
            Patch::Null => contact.custom.clear(),
            Patch::Value(patch) => {
                for (field, value) in patch {
                    match value {
                        Value::Null => contact.custom.remove(&field),
                        value => contact.custom.insert(field, value),
                    };
                }
            }
        }
        self.company_id.apply(&mut contact.company_id);
        self.assigned_to.apply(&mut contact.assigned_to);
        self.team_id.apply(&mut contact.team_id);
        self.source.apply(&mut contact.source);
    }
}

fn whole<T: Default>(patch: Patch<T>, field: &mut T) {
    match patch {
        Patch::Absent => {}
        Patch::Null => *field = T::default(),
        Patch::Value(value) => *field = value,
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
    /// In this stage.
    pub stage_id: Option<StageId>,
    /// In this pipeline.
    pub pipeline_id: Option<crate::id::PipelineId>,
    /// With this tag.
    pub tag: Option<String>,
    /// Looked after by this user.
    pub assigned_to: Option<UserId>,
    /// Of this team.
    pub team_id: Option<TeamId>,
    /// From this source.
    pub source: Option<String>,
    /// With exactly this e-mail address.
    pub email: Option<String>,
    /// With exactly this phone number.
    pub phone: Option<String>,
    /// Made then.
    pub created_at: Option<TimeRange>,
    /// Last edited then.
    pub updated_at: Option<TimeRange>,
    /// Last message then.
    pub last_message_at: Option<TimeRange>,
    /// `created_at`, `updated_at`, `name`, `last_message_at` or `score`, with a leading `-` for largest first; newest
    /// first if left out.
    pub sort: Option<String>,
    /// Items a page, 1…200.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl ListContacts {
    /// The parts that the store goes by; texts in the form in which they are kept.
    pub(super) fn parts(self) -> Result<(ContactFilter, Sort<ContactSort>, PageRequest)> {
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
        let filter = ContactFilter {
            stage_id: self.stage_id,
            pipeline_id: self.pipeline_id,
            tag: trimmed(self.tag),
            assigned_to: self.assigned_to,
            team_id: self.team_id,
            shared_with: None,
            source: trimmed(self.source),
            email: self.email.map(|email| email.trim().to_lowercase()),
            phone,
            created_at: self.created_at,
            updated_at: self.updated_at,
            last_message_at: self.last_message_at,
        };
        Ok((filter, sort(self.sort.as_deref())?, PageRequest { limit: self.limit, cursor: self.cursor }))
    }
}

fn sort(text: Option<&str>) -> Result<Sort<ContactSort>> {
    let text = text.unwrap_or("-created_at");
    let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    let field = match name {
        "created_at" => ContactSort::CreatedAt,
        "updated_at" => ContactSort::UpdatedAt,
        "name" => ContactSort::Name,
        "last_message_at" => ContactSort::LastMessageAt,
        "score" => ContactSort::Score,
        _ => {
            let detail = format!(
                "contacts cannot be sorted by {name:?}: created_at, updated_at, name, last_message_at or score is expected"
            );
            return Err(Error::malformed(detail.clone())
                .code_of("invalid_parameter")
                .field("/sort", "unknown", detail));
        }
    };
    Ok(Sort { field, descending })
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
