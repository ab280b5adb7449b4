//! Roles: the built-in ones, which nobody changes, and the organisation's own. Nobody makes, gives or takes away a role that
//! allows what they may not do themselves.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    domain::{
        custom_field::Noun,
        event::EventKind,
        organization::{Invitation, Membership},
        restricted,
        role::{GivenRole, OwnRole, RecordVisibility},
        text::{self, Flaws},
    },
    error::{Error, Result},
    id::RoleId,
    page::Page,
    patch::Patch,
    ports::store::{Column, Guard, Must, Record, Update, Write},
    scope::{FieldAccess, FieldRules, Permission, Permissions, Resource, Role, RoleKey},
    services::{
        fields,
        unit::{Unit, check_version},
    },
};

/// The most roles of an organisation's own.
const MAX_ROLES: usize = 100;
/// The most members and invitations that a removal gives another role.
const MAX_MOVED: usize = 1_000;

/// A role and what its members may do.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RoleView {
    /// Its id; `null` for a built-in one, which is known by its name.
    pub id: Option<RoleId>,
    /// Its name.
    pub name: String,
    /// What its members may do, for example `contacts:write`.
    pub permissions: Permissions,
    /// Which contacts and deals they see: `own`, `team` or `organization`.
    pub record_visibility: RecordVisibility,
    /// What is closed to them of which fields.
    pub fields: FieldRules,
    /// Whether it is built in: such a one is never changed.
    pub built_in: bool,
    /// When it was made; `null` for a built-in one.
    pub created_at: Option<DateTime<Utc>>,
    /// When people last edited it.
    pub updated_at: Option<DateTime<Utc>>,
    /// Counts edits, from 1; of a built-in one always 1.
    pub version: i64,
}

/// A role to be made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// What people call it, 1…200 characters; unique in the organisation, whatever the case, and neither a built-in
    /// role's word nor like an id.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// What its members may do: nothing that its maker may not.
    #[schemars(with = "Permissions")]
    pub permissions: Vec<String>,
    /// Which contacts and deals its members see, and with them their notes, tasks, conversations and history: their `own`,
    /// theirs and those of their teams (`team`), or all (`organization`, unless said otherwise). What neither a member nor
    /// a team looks after is seen by all. With less than all go no permissions that work on everything, such as
    /// `team:write` or `audit:read`.
    #[serde(default)]
    pub record_visibility: RecordVisibility,
    /// What is closed to its members of fields of contacts, companies and deals, by noun and name: `{"contact": {"phones":
    /// "hidden"}, "deal": {"value": "read_only", "custom.margin": "hidden"}}`. What is `hidden` is empty in answers, and
    /// is neither filtered by nor sorted by nor changed; what is `read_only` is not changed. `custom` stands for all custom
    /// fields. With it go no permissions that show or change fields by another way, such as `automation:read`.
    #[serde(default)]
    pub fields: FieldRules,
}

/// A change of a role: a merge patch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RolePatch {
    /// What people call it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
    /// What its members may do, all of it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub permissions: Patch<Vec<String>>,
    /// Which contacts and deals they see; `null`: all.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub record_visibility: Patch<RecordVisibility>,
    /// What is closed to them of which fields, all of it; `null`: nothing.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub fields: Patch<FieldRules>,
}

/// Which role, and its change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateRole {
    /// Which one.
    pub id: RoleId,
    /// Its change.
    pub patch: RolePatch,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Which role is to be removed, and what becomes of its members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteRole {
    /// Which one.
    pub id: RoleId,
    /// The role that its members and those invited to it are given: a built-in one by its name, an own one by its id or
    /// name. Needed while there are any.
    #[serde(default)]
    pub members_to: Option<GivenRole>,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// A role that somebody named, with what it allows.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) key: RoleKey,
    pub(crate) name: String,
    pub(crate) permissions: Permissions,
    own: Option<OwnRole>,
}

fn own_view(role: OwnRole) -> RoleView {
    RoleView {
        id: Some(role.id),
        name: role.name,
        permissions: role.permissions,
        record_visibility: role.record_visibility,
        fields: role.fields,
        built_in: false,
        created_at: Some(role.created_at),
        updated_at: Some(role.updated_at),
        version: role.version,
    }
}

fn built_in_view(role: Role) -> RoleView {
    RoleView {
        id: None,
        name: role.as_str().to_owned(),
        permissions: role.permissions(),
        record_visibility: RecordVisibility::Organization,
        fields: FieldRules::default(),
        built_in: true,
        created_at: None,
        updated_at: None,
        version: 1,
    }
}

async fn all(unit: &mut Unit) -> Result<Vec<OwnRole>> {
    let stored = unit.store().own_roles(unit.organization_id()).await?;
    unit.overlay(stored)
}

async fn find(unit: &mut Unit, id: RoleId) -> Result<OwnRole> {
    all(unit).await?.into_iter().find(|role| role.id == id).ok_or_else(|| Error::not_found("role", id))
}

/// The role that a caller names; `pointer` says where.
pub(crate) async fn named(unit: &mut Unit, pointer: &str, given: &GivenRole) -> Result<Named> {
    let text = given.0.trim();
    if let Ok(role) = text.parse::<Role>() {
        let (key, name) = (role.into(), role.as_str().to_owned());
        return Ok(Named { key, name, permissions: role.permissions(), own: None });
    }
    let (id, key) = (text.parse::<RoleId>().ok(), text::name_key(text));
    let found = all(unit).await?.into_iter().find(|role| Some(role.id) == id || role.name_key == key);
    let own = found.ok_or_else(|| {
        let detail = "there is no such role: owner, admin, manager, member, viewer, or one of the organisation's own by its \
                      id or name is expected";
        Error::invalid(pointer, "unknown", detail)
    })?;
    Ok(Named { key: RoleKey::Own(own.id), name: own.name.clone(), permissions: own.permissions, own: Some(own) })
}

/// Writes that a role is given to somebody: that it is there, and that a removal which has not seen it begins anew. Belongs
/// to the fact that the unit states of it.
pub(crate) fn give(unit: &mut Unit, role: &Named) {
    if let Some(own) = &role.own {
        unit.batch.writes.push(Write::Update(Update::of(own).add("given", 1)));
    }
}

/// The words as a set that may be given to somebody; what is none is noted under `pointer`.
pub(crate) fn grantable(flaws: &mut Flaws, pointer: &str, words: &[String]) -> Permissions {
    let mut permissions = Permissions::NONE;
    for (place, word) in words.iter().enumerate() {
        match word.parse::<Permission>() {
            Ok(permission) => permissions = permissions.with(permission),
            Err(error) => drop(flaws.add(format!("{pointer}/{place}"), "unknown", Error::message(&error))),
        }
    }
    permissions
}

/// Fails if a role could not be told from another one, or from an id, where somebody names it.
fn refuse_mistakable_name(role: &OwnRole, others: &[OwnRole]) -> Result<()> {
    if role.name_key.parse::<Uuid>().is_ok() {
        let detail = "this looks like an id, by which roles are named too: choose a name that people can read";
        return Err(Error::invalid("/name", "invalid", detail));
    }
    let built_in = Role::ALL.iter().any(|it| it.as_str() == role.name_key);
    let taken = others.iter().any(|other| other.id != role.id && other.name_key == role.name_key);
    if !built_in && !taken {
        return Ok(());
    }
    let message = if built_in {
        format!("{:?} is a built-in role, whatever the case of its letters: choose another name", role.name_key)
    } else {
        format!("there is a role {:?} already: choose another name", role.name)
    };
    Err(Error::conflict("name_taken", message.clone()).field("/name", "taken", message))
}

/// Fails if members of a role would see some records or fields alone, but may do what goes round that.
fn refuse_wide(role: &OwnRole) -> Result<()> {
    let refuse = |pointer: &str, what: &str, wide: Vec<Permission>| {
        if wide.is_empty() {
            return Ok(());
        }
        let wide = wide.iter().map(Permission::to_string).collect::<Vec<_>>().join(", ");
        let detail = format!(
            "members {what} cannot be allowed {wide}: that works on all, or shows all; leave one or the other out"
        );
        Err(Error::invalid(pointer, "too_narrow", detail))
    };
    let wide =
        |more: &dyn Fn(Permission) -> bool| role.permissions.iter().filter(|it| it.is_wide() || more(*it)).collect();
    if role.record_visibility != RecordVisibility::Organization {
        refuse("/record_visibility", "who see some records alone", wide(&|_| false))?;
    }
    if !role.fields.is_empty() {
        // What is summed up or split up by tells of each.
        let told = ["value", "probability", "expected_close_on"].iter().any(|it| role.fields.hides("deal", it));
        let told = told || role.fields.hides("contact", "source");
        let more = |it: Permission| match it.resource {
            Resource::Automation => true,
            Resource::Analytics => told,
            _ => false,
        };
        refuse("/fields", "to whom some fields are closed", wide(&more))?;
    }
    Ok(())
}

/// Notes what is wrong with what a role closes.
async fn check_fields(unit: &mut Unit, rules: &FieldRules, flaws: &mut Flaws) -> Result<()> {
    for (noun, closed) in &rules.0 {
        let at = text::pointer("/fields", noun);
        let Ok(known) = noun.parse::<Noun>() else {
            flaws.add(at, "unknown", format!("{noun:?} has no fields: contact, company or deal is expected"));
            continue;
        };
        let (hideable, kept) = restricted::fields(known);
        for (field, access) in closed {
            let at = text::pointer(&at, field);
            let custom = match field.strip_prefix("custom.") {
                Some(key) => fields::of(unit, known).await?.iter().any(|it| it.key == key),
                None => false,
            };
            if custom || hideable.contains(&field.as_str()) {
                continue;
            }
            if !kept.contains(&field.as_str()) {
                let names = [hideable, kept].concat().join(", ");
                flaws.add(
                    at,
                    "unknown",
                    format!("{field:?} is no field of a {noun}: {names} or custom.<key> is expected"),
                );
            } else if *access == FieldAccess::Hidden {
                flaws.add(at, "invalid", format!("{field} of a {noun} is always shown: read_only is possible"));
            }
        }
    }
    Ok(())
}

/// The built-in roles, strongest first, then the organisation's own by name: few, so no page goes on.
pub(crate) async fn list(unit: &mut Unit, (): ()) -> Result<Page<RoleView>> {
    let own = all(unit).await?.into_iter().map(own_view);
    let built_in = Role::ALL.iter().rev().copied().map(built_in_view);
    Ok(Page { data: built_in.chain(own).collect(), next_cursor: None })
}

pub(crate) async fn get(unit: &mut Unit, id: RoleId) -> Result<RoleView> {
    Ok(own_view(find(unit, id).await?))
}

pub(crate) async fn create(unit: &mut Unit, input: NewRole) -> Result<RoleView> {
    let mut flaws = Flaws::default();
    let name = flaws.take("/name", text::name(&input.name)).unwrap_or_default();
    let permissions = grantable(&mut flaws, "/permissions", &input.permissions);
    check_fields(unit, &input.fields, &mut flaws).await?;
    flaws.end()?;
    unit.scope().require_all(permissions)?;
    let others = all(unit).await?;
    if others.len() >= MAX_ROLES {
        let message = format!("there are {MAX_ROLES} roles: remove one before another is made");
        return Err(Error::conflict("too_many_roles", message));
    }
    let role = OwnRole {
        id: unit.id()?,
        organization_id: unit.organization_id(),
        name_key: text::name_key(&name),
        name,
        permissions,
        record_visibility: input.record_visibility,
        fields: input.fields,
        given: 0,
        created_at: unit.now(),
        updated_at: unit.now(),
        version: 1,
    };
    refuse_mistakable_name(&role, &others)?;
    refuse_wide(&role)?;
    let view = own_view(role.clone());
    unit.fact(EventKind::RoleChanged, role.organization_id)?
        .data("what", "role.created")
        .data("role_id", role.id)
        .changes(None, &view)
        .insert(&role);
    Ok(view)
}

pub(crate) async fn update(unit: &mut Unit, input: UpdateRole) -> Result<RoleView> {
    let before = find(unit, input.id).await?;
    check_version("role", input.if_version, before.version)?;
    let mut after = before.clone();
    let mut flaws = Flaws::default();
    match input.patch.name {
        Patch::Absent => {}
        Patch::Null => drop(flaws.add("/name", "required", "a role has a name: it cannot be cleared")),
        Patch::Value(name) => after.name = flaws.take("/name", text::name(&name)).unwrap_or_default(),
    }
    match input.patch.permissions {
        Patch::Absent => {}
        Patch::Null => after.permissions = Permissions::NONE,
        Patch::Value(words) => after.permissions = grantable(&mut flaws, "/permissions", &words),
    }
    match input.patch.record_visibility {
        Patch::Absent => {}
        Patch::Null => after.record_visibility = RecordVisibility::default(),
        Patch::Value(visibility) => after.record_visibility = visibility,
    }
    match input.patch.fields {
        Patch::Absent => {}
        Patch::Null => after.fields = FieldRules::default(),
        Patch::Value(fields) => {
            check_fields(unit, &fields, &mut flaws).await?;
            after.fields = fields;
        }
    }
    flaws.end()?;
    // What it allowed, and what it will: its members lose the one and win the other.
    unit.scope().require_all(before.permissions)?;
    unit.scope().require_all(after.permissions)?;
    if after == before {
        return Ok(own_view(before));
    }
    after.name_key = text::name_key(&after.name);
    let others = all(unit).await?;
    refuse_mistakable_name(&after, &others)?;
    refuse_wide(&after)?;
    after.updated_at = unit.now();
    let (fact, after) = unit.fact(EventKind::RoleChanged, after.organization_id)?.edit(&before, &after)?;
    let view = own_view(after);
    fact.data("what", "role.updated").data("role_id", input.id).changes(Some(&own_view(before)), &view);
    Ok(view)
}

/// Gives everybody who has a role another one, within the fact of its removal.
fn move_all(unit: &mut Unit, members: &[Membership], invited: &[Invitation], to: &Named) {
    let move_one = |update: Update, from: RoleKey| Write::Update(update.set("role", &to.key).expect("role", &from));
    let members = members.iter().map(|it| move_one(Update::of(it), it.role));
    let invited = invited.iter().map(|it| move_one(Update::of(it), it.role));
    let writes: Vec<_> = members.chain(invited).collect();
    unit.batch.writes.extend(writes);
    give(unit, to);
}

pub(crate) async fn delete(unit: &mut Unit, input: DeleteRole) -> Result<()> {
    let role = find(unit, input.id).await?;
    check_version("role", input.if_version, role.version)?;
    unit.scope().require_all(role.permissions)?;
    let to = match &input.members_to {
        Some(given) => {
            let to = named(unit, "/members_to", given).await?;
            if to.key == RoleKey::Own(role.id) {
                let detail = "this is the role that is removed: name another one";
                return Err(Error::invalid("/members_to", "invalid", detail));
            }
            unit.scope().require_rank(to.key, to.permissions)?;
            Some(to)
        }
        None => None,
    };
    let organization = role.organization_id;
    let (members, invited) = unit.store().holders_of(organization, role.id).await?;
    let holders = members.len() + invited.len();
    if holders > MAX_MOVED || holders > 0 && to.is_none() {
        let message = format!(
            "{} members and {} invitations have this role: say with members_to which one they are given, at most \
             {MAX_MOVED} at once",
            members.len(),
            invited.len()
        );
        return Err(Error::conflict("role_in_use", message));
    }
    // Whoever was given it since the holders were read has counted it.
    unit.batch.guard(Guard {
        table: OwnRole::TABLE,
        filter: vec![
            ("organization_id", organization.to_value()),
            ("id", role.id.to_value()),
            ("given", role.given.to_value()),
        ],
        must: Must::BeLocked,
        otherwise: ("write_conflict", "the role was given to somebody meanwhile".to_owned()),
    });
    unit.fact(EventKind::RoleChanged, organization)?
        .data("what", "role.deleted")
        .data("role_id", role.id)
        .data("members_to", to.as_ref().map(|to| to.key))
        .change("name", &role.name, ())
        .change("permissions", role.permissions, ())
        .change("record_visibility", role.record_visibility, ())
        .change("fields", &role.fields, ())
        .delete(&role);
    if let Some(to) = &to {
        move_all(unit, &members, &invited, to);
    }
    Ok(())
}
