//! A contact, and the identities by which one is recognised.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    domain::{
        external_id::{self, ExternalIds},
        text::{self, Flaws},
        word::words,
    },
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
    /// What other systems call them.
    pub external_ids: ExternalIds,
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

/// The most e-mail addresses, and the most phone numbers, of one contact.
pub const MAX_ADDRESSES: usize = 50;
/// The most tags of one contact.
pub const MAX_TAGS: usize = 100;

impl Contact {
    /// Brings what people entered to the form in which it is kept, and tells what is wrong with it. What `before` has
    /// already stays as it is: strangers' addresses, taken from their messages, may be odder than what people may type.
    pub fn tidy(&mut self, before: Option<&Self>) -> Flaws {
        let mut flaws = Flaws::default();
        let changed = |now: &dyn Fn(&Self) -> bool| before.is_none_or(now);
        if changed(&|old| old.name != self.name)
            && let Some(name) = flaws.take("/name", text::name(&self.name))
        {
            self.name_key = text::name_key(&name);
            self.name = name;
        }
        if changed(&|old| old.emails != self.emails) {
            let known = before.map(|old| old.emails.as_slice()).unwrap_or_default();
            flaws.each("/emails", MAX_ADDRESSES, &mut self.emails, unless_known(known, text::email));
        }
        if changed(&|old| old.phones != self.phones) {
            let known = before.map(|old| old.phones.as_slice()).unwrap_or_default();
            flaws.each("/phones", MAX_ADDRESSES, &mut self.phones, unless_known(known, text::phone));
        }
        for (pointer, handle, old) in [
            ("/handles/telegram", &mut self.handles.telegram, before.map(|old| &old.handles.telegram)),
            ("/handles/linkedin", &mut self.handles.linkedin, before.map(|old| &old.handles.linkedin)),
            ("/handles/twitter", &mut self.handles.twitter, before.map(|old| &old.handles.twitter)),
        ] {
            if let Some(given) = handle
                && old.is_none_or(|old| old.as_ref() != Some(given))
                && let Some(tidied) = flaws.take(pointer, text::handle(given))
            {
                *given = tidied;
            }
        }
        self.source = self.source.take().filter(|source| !source.trim().is_empty());
        if let Some(source) = &mut self.source
            && let Some(tidied) = flaws.take("/source", text::line(source, text::MAX_WORD))
        {
            *source = tidied;
        }
        flaws.each("/tags", MAX_TAGS, &mut self.tags, text::tag);
        self.tags.sort();
        if changed(&|old| old.external_ids != self.external_ids) {
            external_id::tidy(&mut flaws, &mut self.external_ids);
        }
        flaws
    }

    /// Every identity, normalised, without repeats.
    pub fn identities(&self) -> Vec<(IdentityKind, String)> {
        identities(&self.emails, &self.phones, &self.handles)
    }
}

/// The identities that these addresses make, normalised, without repeats.
pub fn identities(emails: &[String], phones: &[String], handles: &Handles) -> Vec<(IdentityKind, String)> {
    let handles = [
        (IdentityKind::Telegram, &handles.telegram),
        (IdentityKind::Linkedin, &handles.linkedin),
        (IdentityKind::Twitter, &handles.twitter),
    ];
    let mut all: Vec<_> = (emails.iter().map(|value| (IdentityKind::Email, value.clone())))
        .chain(phones.iter().map(|value| (IdentityKind::Phone, value.clone())))
        // Handles are case-insensitive at all three providers.
        .chain(handles.into_iter().filter_map(|(kind, value)| Some((kind, value.as_ref()?.to_lowercase()))))
        .collect();
    all.sort();
    all.dedup();
    all
}

/// A check that lets pass what is known already.
fn unless_known(known: &[String], check: fn(&str) -> text::Checked<String>) -> impl Fn(&str) -> text::Checked<String> {
    move |given| if known.iter().any(|it| it == given) { Ok(given.to_owned()) } else { check(given) }
}
