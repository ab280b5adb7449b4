//! Contacts: making, editing, deleting and recognising them. One contact claims an identity; duplicates that were let
//! through hold it unclaimed. Where a contact stands in its pipeline is decided next door, in `pipeline`.

mod index;
mod input;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, json};

pub use self::input::{
    ContactBatch, ContactPatch, DeleteContact, HandlesPatch, ListContacts, ListHistory, MoveContact, NewContact,
    UpdateContact, UpsertContact,
};
pub(crate) use self::write::{change, erase, give, set_score, tell_assignee};
use crate::{
    domain::{
        contact::{Contact, Handles, identities},
        custom_field::Noun,
        event::EventKind,
        pipeline::StageMove,
        text,
    },
    error::{Error, Result},
    id::{ContactId, EventId, Id, TeamId, UserId},
    page::{Page, PageRequest},
    ports::{
        connector::Address,
        store::{Column, Filter, Holder, Is, Place, field_named},
    },
    services::{
        batch::{self, BatchOutcome, Outcomes},
        companies, fields,
        fields::external_key,
        listing::Search,
        pipeline,
        unit::{Unit, Versioned, check_version, keyed, require_none},
    },
};

/// A contact, unless it is deleted.
pub(crate) async fn find(unit: &mut Unit, id: ContactId) -> Result<Option<Contact>> {
    unit.contact(id).await
}

/// A contact that is not deleted.
pub(crate) async fn contact(unit: &mut Unit, id: ContactId) -> Result<Contact> {
    unit.contact(id).await?.ok_or_else(|| Error::not_found("contact", id))
}

pub(crate) async fn create(unit: &mut Unit, input: NewContact) -> Result<Contact> {
    let contact = make(unit, input).await?;
    tell_assignee(unit, contact.assigned_to, std::slice::from_ref(&contact)).await?;
    Ok(contact)
}

/// Makes a contact; that it was assigned to somebody is still to be told.
async fn make(unit: &mut Unit, input: NewContact) -> Result<Contact> {
    let draft = Contact {
        name: input.name,
        emails: input.emails,
        phones: input.phones,
        handles: input.handles,
        company_id: input.company_id,
        assigned_to: input.assigned_to,
        team_id: input.team_id,
        source: input.source,
        tags: input.tags,
        custom: input.custom,
        external_ids: input.external_ids,
        ..blank(unit, unit.now()).await?
    };
    let contact = write::checked(unit, None, draft).await?;
    let holders = index::holders(unit, &contact.identities()).await?;
    if !input.allow_duplicate {
        refuse_duplicate(unit, &holders).await?;
    }
    write::insert(unit, contact, &holders).await
}

/// A nameless contact at the start of the default pipeline.
async fn blank(unit: &mut Unit, at: DateTime<Utc>) -> Result<Contact> {
    let stage = pipeline::entry_stage(unit).await?;
    Ok(Contact {
        id: unit.id()?,
        organization_id: unit.organization_id(),
        name: String::new(),
        name_key: String::new(),
        emails: Vec::new(),
        phones: Vec::new(),
        handles: Handles::default(),
        company_id: None,
        assigned_to: None,
        team_id: None,
        source: None,
        tags: Vec::new(),
        custom: Map::new(),
        external_ids: BTreeMap::new(),
        stage_id: stage.id,
        pipeline_id: stage.pipeline_id,
        // The event that states the creation gives it.
        stage_entry_id: EventId::from_uuid(uuid::Uuid::nil()),
        stage_entered_at: at,
        score: 0,
        first_response_at: None,
        last_response_at: None,
        last_message_at: None,
        created_at: at,
        updated_at: at,
        deleted_at: None,
        version: 1,
    })
}

/// Fails if anybody holds an identity of a new contact, and names all who do and whom the caller sees.
async fn refuse_duplicate(unit: &mut Unit, holders: &[Holder]) -> Result<()> {
    let Some(first) = holders.first() else { return Ok(()) };
    let mut seen: Vec<&Holder> = holders.iter().collect();
    if unit.scope().sight.is_limited() {
        let ids: Vec<_> = holders.iter().map(|it| it.contact_id).collect();
        look_up(unit, &ids).await?;
        let mut found = Vec::new();
        for id in ids {
            found.extend(find(unit, id).await?.map(|it| it.id));
        }
        seen.retain(|it| found.contains(&it.contact_id));
    }
    let message = match seen.first() {
        Some(first) => format!(
            "{:?} has the same {} {}: change that contact, or send allow_duplicate",
            first.name, first.kind, first.value
        ),
        None => format!(
            "a contact that you do not see has the same {} {}: ask a colleague, or send allow_duplicate",
            first.kind, first.value
        ),
    };
    let mut candidates: Vec<&Holder> = Vec::new();
    for holder in seen {
        if !candidates.iter().any(|it| it.contact_id == holder.contact_id) {
            candidates.push(holder);
        }
    }
    let candidates: Vec<_> =
        candidates.iter().map(|it| json!({ "id": it.contact_id, "name": it.name, "reason": it.kind })).collect();
    Err(Error::conflict("duplicate", message).with_details(json!({ "candidates": candidates })))
}

pub(crate) async fn get(unit: &mut Unit, id: ContactId) -> Result<Contact> {
    contact(unit, id).await
}

pub(crate) async fn list(unit: &mut Unit, input: ListContacts) -> Result<Page<Contact>> {
    let (filter, sort, page) = input.parts(unit).await?;
    unit.store().contacts(unit.organization_id(), &filter, &sort, &page).await
}

pub(crate) async fn search(unit: &mut Unit, input: Search) -> Result<Page<Contact>> {
    let (filter, sort, page) = input.parts(unit, Noun::Contact).await?;
    unit.store().contacts(unit.organization_id(), &filter, &sort, &page).await
}

/// Makes several contacts, each by itself.
pub(crate) async fn create_batch(unit: &mut Unit, input: ContactBatch) -> Result<BatchOutcome> {
    let mut outcome = Outcomes::new(input.items.len())?;
    let items = batch::read::<NewContact>(input.items);
    look_up_met(unit, items.iter().filter_map(|(_, new)| new.as_ref().ok())).await?;
    let mut assigned: BTreeMap<UserId, Vec<Contact>> = BTreeMap::new();
    for (reference, new) in items {
        let made = match new {
            Ok(new) => make(unit, new).await,
            Err(error) => Err(error),
        };
        if let Ok(contact) = &made
            && let Some(user) = contact.assigned_to
        {
            assigned.entry(user).or_default().push(contact.clone());
        }
        outcome.add(reference, made.map(|contact| contact.id.uuid()))?;
    }
    for (user, contacts) in assigned {
        tell_assignee(unit, Some(user), &contacts).await?;
    }
    Ok(outcome.end())
}

/// Reads several contacts at once, so that finding each asks the store nothing more.
pub(crate) async fn look_up(unit: &mut Unit, ids: &[ContactId]) -> Result<()> {
    unit.kept.absent.extend(ids.iter().map(|id| id.uuid()));
    for contact in unit.store().contacts_by_ids(unit.organization_id(), ids).await? {
        unit.kept.absent.remove(&contact.id.uuid());
        unit.meet(contact)?;
    }
    Ok(())
}

/// Looks up at once whom the new contacts may meet, so that making each asks the store nothing more.
async fn look_up_met(unit: &mut Unit, all: impl Iterator<Item = &NewContact> + Clone) -> Result<()> {
    let found: Vec<_> = all.clone().filter_map(|new| new.company_id).collect();
    companies::look_up(unit, &found).await?;
    let (users, teams) = (all.clone().filter_map(|new| new.assigned_to), all.clone().filter_map(|new| new.team_id));
    unit.look_up(users.collect(), teams.collect()).await?;
    let (mut found, mut external) = (Vec::new(), Vec::new());
    for new in all {
        // What is wrong with an item is told when it is made.
        let emails: Vec<_> = new.emails.iter().filter_map(|it| text::email(it).ok()).collect();
        let phones: Vec<_> = new.phones.iter().filter_map(|it| text::phone(it).ok()).collect();
        let handle = |given: &Option<String>| given.as_ref().and_then(|it| text::handle(it).ok());
        let handles = Handles {
            telegram: handle(&new.handles.telegram),
            linkedin: handle(&new.handles.linkedin),
            twitter: handle(&new.handles.twitter),
        };
        found.extend(identities(&emails, &phones, &handles));
        external.extend(new.external_ids.iter().filter_map(|(system, id)| external_key(system, id).ok()));
    }
    index::holders(unit, &found).await?;
    fields::holders(unit, Noun::Contact, &external).await?;
    Ok(())
}

/// Makes or changes the contact with this id in another system.
pub(crate) async fn upsert(unit: &mut Unit, input: UpsertContact) -> Result<Contact> {
    let (system, id) = external_key(&input.system, &input.external_id)?;
    if let Some(found) = fields::holder(unit, Noun::Contact, &system, &id).await? {
        return change(unit, ContactId::from_uuid(found), |contact| {
            check_version("contact", input.if_version, contact.version)?;
            input.patch.apply(contact);
            contact.external_ids.insert(system, id);
            Ok(())
        })
        .await;
    }
    require_none("contact", input.if_version)?;
    let mut draft = blank(unit, unit.now()).await?;
    input.patch.apply(&mut draft);
    draft.external_ids.insert(system.clone(), id);
    let contact = write::checked(unit, None, draft).await?;
    let holders = index::holders(unit, &contact.identities()).await?;
    if !input.allow_duplicate {
        refuse_duplicate(unit, &holders).await?;
    }
    let contact = write::insert(unit, contact, &holders).await.map_err(|error| fields::raced(error, &system))?;
    tell_assignee(unit, contact.assigned_to, std::slice::from_ref(&contact)).await?;
    Ok(contact)
}

/// Of one of these teams, or of none. Most contacts are: a test of each row, never a way to find them.
fn shared_with(teams: impl Iterator<Item = TeamId>) -> Result<Filter> {
    let field = field_named(Noun::Contact, "team_id").ok_or_else(|| Error::internal("contacts have no team"))?;
    let teams: Vec<_> = teams.map(|team| team.to_value()).collect();
    let mut any = vec![Filter::Test(Place::Field(field), Is::Exists(false))];
    if !teams.is_empty() {
        any.push(Filter::Test(Place::Field(field), Is::AnyOf(teams)));
    }
    Ok(Filter::Any(any))
}

/// The contacts of the caller's teams, and those of no team.
pub(crate) async fn list_shared(unit: &mut Unit, input: ListContacts) -> Result<Page<Contact>> {
    let (organization, user) = (unit.organization_id(), unit.scope().require_member()?);
    let (filter, sort, page) = input.parts(unit).await?;
    let teams = unit.store().teams_of(organization, &[user]).await?;
    let filter = Filter::All(vec![filter, shared_with(teams.into_iter().map(|(_, team)| team))?]);
    unit.store().contacts(organization, &filter, &sort, &page).await
}

pub(crate) async fn update(unit: &mut Unit, input: UpdateContact) -> Result<Contact> {
    let before = contact(unit, input.id).await?;
    check_version("contact", input.if_version, before.version)?;
    change(unit, input.id, |contact| {
        input.patch.apply(contact);
        Ok(())
    })
    .await
}

pub(crate) async fn delete(unit: &mut Unit, input: DeleteContact) -> Result<()> {
    let before = contact(unit, input.id).await?;
    check_version("contact", input.if_version, before.version)?;
    let after = Contact { deleted_at: Some(unit.now()), ..before.clone() };
    write::replace(unit, EventKind::ContactDeleted, &before, after).await?;
    Ok(())
}

pub(crate) async fn restore(unit: &mut Unit, input: Versioned<ContactId>) -> Result<Contact> {
    let Versioned { id, if_version } = input;
    let organization = unit.organization_id();
    let found = match unit.known::<Contact>(&keyed(organization, id))? {
        Some(known) => known,
        None => match unit.store().contact(organization, id).await? {
            Some(found) => unit.meet(found)?,
            None => None,
        },
    };
    let before = found.ok_or_else(|| Error::not_found("contact", id))?;
    check_version("contact", if_version, before.version)?;
    if before.deleted_at.is_none() {
        return Ok(before);
    }
    if unit.store().erasure(organization, id).await?.is_some() {
        return Err(Error::not_found("contact", id));
    }
    let mut after = Contact { deleted_at: None, ..before.clone() };
    unit.drop_gone(&mut after.assigned_to, &mut after.team_id).await?;
    fields::drop_misfits(unit, Noun::Contact, &mut after.custom).await?;
    unit.plant_tasks(id.into()).await?;
    write::replace(unit, EventKind::ContactRestored, &before, after).await
}

pub(crate) async fn move_to(unit: &mut Unit, input: MoveContact) -> Result<Contact> {
    if input.if_version.is_some() {
        let before = contact(unit, input.contact_id).await?;
        check_version("contact", input.if_version, before.version)?;
    }
    pipeline::move_contact(unit, input.contact_id, input.stage_id, input.reason).await
}

pub(crate) async fn history(unit: &mut Unit, input: ListHistory) -> Result<Page<StageMove>> {
    let contact = contact(unit, input.contact_id).await?;
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    unit.store().stage_history(unit.organization_id(), contact.id.into(), &page).await
}

/// The contact whom a message from `address` belongs to: who claims one of its identities, else the oldest who holds one,
/// else a new contact at the start of the default pipeline, made `at` the message's time.
pub(crate) async fn from_address(
    unit: &mut Unit,
    address: &Address,
    platform: &str,
    at: DateTime<Utc>,
) -> Result<Contact> {
    let emails: Vec<_> = address.email.iter().filter_map(|it| salvage(it, text::email, str::to_lowercase)).collect();
    let phones: Vec<_> = address.phone.iter().filter_map(|it| salvage(it, text::phone, str::to_owned)).collect();
    let mut handles = Handles::default();
    let handle = address.handle.as_deref();
    let kept = handle.and_then(|it| salvage(it, text::handle, str::to_owned));
    match platform {
        "telegram" => handles.telegram = kept,
        "linkedin" => handles.linkedin = kept,
        "twitter" => handles.twitter = kept,
        _ => {}
    }
    let holders = index::holders(unit, &identities(&emails, &phones, &handles)).await?;
    // The kinds stand in the order in which they are trusted: address before number before handle.
    if let Some(holder) = holders.iter().min_by_key(|it| (!it.claimed, it.kind, it.contact_id)) {
        return contact(unit, holder.contact_id).await;
    }
    let names =
        [address.name.as_deref(), address.email.as_deref(), handle, address.phone.as_deref(), Some(&*address.id)];
    let name = names.into_iter().flatten().find_map(text::salvage_name).unwrap_or_else(|| platform.to_owned());
    let stranger = Contact {
        name_key: text::name_key(&name),
        name,
        emails,
        phones,
        handles,
        source: Some(platform.to_owned()),
        ..blank(unit, at.min(unit.now())).await?
    };
    write::insert(unit, stranger, &holders).await
}

/// An address as people may type it or, where it is odder than that, as the provider gave it, if it can be kept at all.
fn salvage(given: &str, check: fn(&str) -> text::Checked<String>, fold: fn(&str) -> String) -> Option<String> {
    check(given).ok().or_else(|| text::line(given, 320).ok().map(|line| fold(&line)))
}
