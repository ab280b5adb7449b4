//! What the audit log tells: of which things, and what of them. Secrets and hashes are never told, nor what changes by
//! itself (counters, states of connections, refreshed sessions). Of contacts, companies and deals only that one is deleted
//! or brought back: their ordinary edits are many, and are events already.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    domain::{
        account::{Account, SealedSecret},
        api_key::ApiKey,
        audit::AuditObject,
        company::Company,
        contact::Contact,
        custom_field::CustomField,
        deal::Deal,
        erasure::Erasure,
        linked_identity::LinkedIdentity,
        organization::{Credential, Invitation, Membership, Organization, SecondFactor, SignInSession, User},
        pipeline::{Pipeline, Stage},
        retention::Retention,
        role::OwnRole,
        rule::Rule,
        team::{Team, TeamMember},
    },
    error::Result,
    id::{Id, OrganizationId},
    ports::store::{Column, Record, Row, Table, Write},
    services::unit::apply,
};

/// A thing as the log tells of it.
struct Seen {
    id: Uuid,
    members: Map<String, Value>,
}

/// One kind of thing.
struct Object {
    table: &'static Table,
    /// What the log calls it.
    kind: AuditObject,
    /// Whether only its deletion is told.
    only_deletion: bool,
    see: fn(Row) -> Result<Seen>,
}

macro_rules! objects {
    ($($type:ident as $kind:ident $(($deletion:ident))? by $id:ident { $($member:ident),* $(,)? })*) => {
        const OBJECTS: &[Object] = &[$(Object {
            table: $type::TABLE,
            kind: AuditObject::$kind,
            only_deletion: false $(|| objects!(@ $deletion))?,
            see: |row| {
                let it = $type::from_row(row)?;
                let members = [$((stringify!($member).to_owned(), json!(it.$member))),*];
                Ok(Seen { id: it.$id.uuid(), members: members.into_iter().collect() })
            },
        }),*];
    };
    (@ deletion) => { true };
}

objects! {
    Organization as Organization by id { name, time_zone, locale, currency, require_two_factor }
    Membership as Member by user_id { role }
    User as User by id { email, name, email_verified }
    Credential as Password by user_id { updated_at }
    SecondFactor as SecondFactor by user_id { enabled }
    LinkedIdentity as Identity by id { user_id, provider, email }
    SignInSession as Session by id { user_id, address, user_agent, factors, revoked_at }
    ApiKey as ApiKey by id { name, prefix, scopes, acts_for, created_by, expires_at }
    OwnRole as Role by id { name, permissions, record_visibility, fields }
    Invitation as Invitation by id { email, role, team_id, invited_by, status, expires_at }
    Team as Team by id { name }
    TeamMember as TeamMember by user_id { team_id }
    Pipeline as Pipeline by id { name, is_default }
    Stage as Stage by id { pipeline_id, name, order_index, color, kind, probability, automation_rules }
    CustomField as CustomField by id { object, key, label, kind, options }
    Account as Account by id { platform, display_name, handle, owner_id, visibility, source, lease_expires_at, deleted_at }
    SealedSecret as AccountSecret by account_id { key_id }
    Rule as Rule by id { slug, name, enabled, engine, position, definition, paused_reason }
    Contact as Contact (deletion) by id { deleted_at }
    Erasure as Erasure by contact_id { job_id, finished_at }
    Retention as Retention by organization_id { days }
    Company as Company (deletion) by id { deleted_at }
    Deal as Deal (deletion) by id { deleted_at }
}

/// What a write did to a thing.
pub(super) struct Told {
    pub(super) kind: AuditObject,
    pub(super) id: Uuid,
    pub(super) before: Option<Map<String, Value>>,
    pub(super) after: Option<Map<String, Value>>,
}

/// What the log tells of a write of this organisation; `None` if nothing.
pub(super) fn told(organization: OrganizationId, write: &Write) -> Result<Option<Told>> {
    let table = write.table();
    let Some(object) = OBJECTS.iter().find(|object| object.table.name == table.name) else { return Ok(None) };
    // Nothing of the many ordinary edits is looked at.
    if object.only_deletion && !deletes(write) {
        return Ok(None);
    }
    let (before, after) = rows(write);
    // A session of another organisation that a person ends from here is that organisation's business.
    let foreign = |row: &Row| {
        let place = table.position("organization_id").ok();
        place.and_then(|place| row.get(place)).is_some_and(|it| *it != organization.to_value())
    };
    if before.iter().chain(&after).any(foreign) {
        return Ok(None);
    }
    let (before, after) = (before.map(object.see).transpose()?, after.map(object.see).transpose()?);
    let Some(id) = after.as_ref().or(before.as_ref()).map(|seen| seen.id) else { return Ok(None) };
    let (mut before, mut after) = (before.map(|seen| seen.members), after.map(|seen| seen.members));
    if let (Some(before), Some(after)) = (&mut before, &mut after) {
        // Of a change what has changed.
        after.retain(|name, value| before.get(name) != Some(value));
        before.retain(|name, _| after.contains_key(name));
        if after.is_empty() {
            return Ok(None);
        }
    }
    Ok(Some(Told { kind: object.kind, id, before, after }))
}

/// Whether a write deletes something that can be restored, or brings it back, or removes it for good.
fn deletes(write: &Write) -> bool {
    match write {
        Write::Insert { .. } | Write::InsertOrSkip { .. } | Write::Put { .. } => false,
        Write::Update(update) => update.set.iter().any(|(column, _)| *column == "deleted_at"),
        Write::Delete { .. } => true,
    }
}

/// The row before and after a write, as far as they are known.
fn rows(write: &Write) -> (Option<Row>, Option<Row>) {
    match write {
        Write::Insert { row, .. } | Write::InsertOrSkip { row, .. } | Write::Put { row, .. } => {
            (None, Some(row.clone()))
        }
        Write::Update(update) => {
            let after = update.before.clone().map(|mut row| {
                apply(update, &mut row);
                row
            });
            (update.before.clone(), after)
        }
        Write::Delete { before, .. } => (before.clone(), None),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ports::store::record::AUDITED;

    #[test]
    fn writes_keep_the_rows_of_what_is_told() {
        let told: BTreeSet<_> = OBJECTS.iter().map(|object| object.table.name).collect();
        assert_eq!(told, AUDITED.iter().copied().collect());
        let kinds: BTreeSet<_> = OBJECTS.iter().map(|object| object.kind).collect();
        assert_eq!(kinds, AuditObject::ALL.iter().copied().collect());
    }
}
