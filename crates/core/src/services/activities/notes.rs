//! Notes: writing, reading, editing and removing them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::On;
use crate::{
    domain::{
        event::EventKind,
        note::{self, Note},
    },
    error::{Error, Result},
    id::{ContactId, DealId, NoteId},
    page::{Page, PageRequest},
    patch::Patch,
    services::unit::{Unit, check_version, keyed},
};

/// A note to be written on a contact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactNote {
    /// The contact.
    pub contact_id: ContactId,
    /// What it says, 1…20,000 characters.
    pub text: String,
}

/// A note to be written on a deal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DealNote {
    /// The deal.
    pub deal_id: DealId,
    /// What it says, 1…20,000 characters.
    pub text: String,
}

/// Which notes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListContactNotes {
    /// On this contact.
    pub contact_id: ContactId,
    /// Items a page, 1…200.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// Which notes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDealNotes {
    /// On this deal.
    pub deal_id: DealId,
    /// Items a page, 1…200.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// A change of a note: a merge patch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NotePatch {
    /// What it says.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub text: Patch<String>,
}

/// Which note, and its change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateNote {
    /// Which one.
    pub id: NoteId,
    /// Its change.
    pub patch: NotePatch,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Which note is to be removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteNote {
    /// Which one.
    pub id: NoteId,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// A note whose contact or deal is there.
pub(crate) async fn get(unit: &mut Unit, id: NoteId) -> Result<Note> {
    let organization = unit.organization_id();
    let found = match unit.known::<Note>(&keyed(organization, id))? {
        Some(known) => known,
        None => match unit.store().note(organization, id).await? {
            Some(found) => unit.meet(found)?,
            None => None,
        },
    };
    let note = found.ok_or_else(|| Error::not_found("note", id))?;
    match On::of(note.contact_id, note.deal_id)?.check(unit).await {
        Err(error) if error.code() == "not_found" => Err(Error::not_found("note", id)),
        checked => checked.map(|_| note),
    }
}

pub(crate) async fn on_contact(unit: &mut Unit, input: ContactNote) -> Result<Note> {
    create(unit, On::Contact(input.contact_id), &input.text).await
}

pub(crate) async fn on_deal(unit: &mut Unit, input: DealNote) -> Result<Note> {
    create(unit, On::Deal(input.deal_id), &input.text).await
}

fn checked(text: &str) -> Result<String> {
    note::text(text).map_err(|flaw| Error::invalid("/text", flaw.code, flaw.detail))
}

async fn create(unit: &mut Unit, on: On, text: &str) -> Result<Note> {
    let on = on.check(unit).await?;
    let note = Note {
        id: unit.id()?,
        organization_id: unit.organization_id(),
        contact_id: on.contact(),
        deal_id: on.deal(),
        text: checked(text)?,
        created_by: unit.scope().user_id(),
        created_at: unit.now(),
        updated_at: unit.now(),
        version: 1,
    };
    unit.fact(EventKind::NoteCreated, on)?.changes(None, &note).data("note_id", note.id).insert(&note);
    Ok(note)
}

pub(crate) async fn of_contact(unit: &mut Unit, input: ListContactNotes) -> Result<Page<Note>> {
    let on = On::Contact(input.contact_id).check(unit).await?;
    list(unit, on, PageRequest { limit: input.limit, cursor: input.cursor }).await
}

pub(crate) async fn of_deal(unit: &mut Unit, input: ListDealNotes) -> Result<Page<Note>> {
    let on = On::Deal(input.deal_id).check(unit).await?;
    list(unit, on, PageRequest { limit: input.limit, cursor: input.cursor }).await
}

async fn list(unit: &Unit, on: On, page: PageRequest) -> Result<Page<Note>> {
    unit.store().notes(unit.organization_id(), on.into(), &page).await
}

pub(crate) async fn update(unit: &mut Unit, input: UpdateNote) -> Result<Note> {
    let before = get(unit, input.id).await?;
    check_version("note", input.if_version, before.version)?;
    let mut text = before.text.clone();
    // It cannot be cleared: the check says so.
    input.patch.text.replace(&mut text);
    let text = checked(&text)?;
    if text == before.text {
        return Ok(before);
    }
    let on = On::of(before.contact_id, before.deal_id)?;
    let after = Note { text, updated_at: unit.now(), ..before.clone() };
    let (fact, after) = unit.fact(EventKind::NoteUpdated, on)?.edit(&before, &after)?;
    fact.changes(Some(&before), &after).data("note_id", after.id);
    Ok(after)
}

pub(crate) async fn delete(unit: &mut Unit, input: DeleteNote) -> Result<()> {
    let note = get(unit, input.id).await?;
    check_version("note", input.if_version, note.version)?;
    let on = On::of(note.contact_id, note.deal_id)?;
    unit.fact(EventKind::NoteDeleted, on)?.change("text", &note.text, ()).data("note_id", note.id).delete(&note);
    Ok(())
}
