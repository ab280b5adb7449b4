//! Members: who they are, what they may do, and leaving. An organisation always has an owner.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        api_key::ApiKey,
        event::EventKind,
        notification::NotificationKind,
        organization::{Member, Membership, SignInSession},
        role::GivenRole,
        team::{AssignmentTurn, TeamMember},
    },
    error::{Error, Result},
    id::{TeamId, UserId},
    page::{Page, PageRequest},
    ports::store::{Column, Guard, Must, Record, Update, Write},
    scope::{Role, RoleKey},
    services::{
        notifications::{self, NewNotification},
        proof::require_fresh,
        team::{
            hand_over::{self, HandOver},
            roles,
        },
        unit::Unit,
    },
};

/// A member as clients see them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemberView {
    /// Who.
    pub user_id: UserId,
    /// Their e-mail address.
    pub email: String,
    /// Their name.
    pub name: String,
    /// Their role: a built-in one, or the id of one of the organisation's own.
    pub role: RoleKey,
    /// The teams they are in.
    pub team_ids: Vec<TeamId>,
    /// Since when they are a member.
    pub created_at: chrono::DateTime<chrono::Utc>,
}

/// Whose role, and what it becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    /// The member.
    pub id: UserId,
    /// The new role: a built-in one by its name, an own one by its id or name.
    pub role: GivenRole,
}

/// Who leaves, and who takes over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveMember {
    /// The member.
    pub id: UserId,
    /// The member who is given what they looked after: contacts, deals, chats, tasks that are not done, accounts, and their
    /// places in custom fields; nobody if left out.
    #[serde(default)]
    pub reassign_to: Option<UserId>,
}

/// Members with their teams: one read more for all of them.
pub(super) async fn views(unit: &Unit, members: Vec<Member>) -> Result<Vec<MemberView>> {
    let ids: Vec<_> = members.iter().map(|member| member.user_id).collect();
    let places = unit.store().teams_of(unit.organization_id(), &ids).await?;
    let view = |member: Member| MemberView {
        team_ids: places.iter().filter(|(user, _)| *user == member.user_id).map(|(_, team)| *team).collect(),
        user_id: member.user_id,
        email: member.email,
        name: member.name,
        role: member.role,
        created_at: member.created_at,
    };
    Ok(members.into_iter().map(view).collect())
}

async fn view(unit: &Unit, member: Member) -> Result<MemberView> {
    let id = member.user_id;
    views(unit, vec![member]).await?.pop().ok_or_else(|| Error::not_found("member", id))
}

async fn find(unit: &Unit, id: UserId) -> Result<Member> {
    unit.store().member(unit.organization_id(), id).await?.ok_or_else(|| Error::not_found("member", id))
}

pub(crate) async fn list(unit: &mut Unit, page: PageRequest) -> Result<Page<MemberView>> {
    let Page { data, next_cursor } = unit.store().members_page(unit.organization_id(), &page).await?;
    Ok(Page { data: views(unit, data).await?, next_cursor })
}

pub(crate) async fn get(unit: &mut Unit, id: UserId) -> Result<MemberView> {
    let member = find(unit, id).await?;
    view(unit, member).await
}

/// Sees to it that an owner stays when this one goes. Two who go at once each lock the other's place, and the one who
/// comes second finds it changed.
async fn keep_owner(unit: &mut Unit, leaving: UserId) -> Result<()> {
    let organization = unit.organization_id();
    let members = unit.store().members(organization).await?;
    let other = members.iter().find(|it| it.role == Role::Owner && it.user_id != leaving).ok_or_else(|| {
        Error::conflict("last_owner", "this is the last owner of the organisation: make somebody else an owner first")
    })?;
    unit.batch.guard(Guard {
        table: Membership::TABLE,
        filter: vec![
            ("organization_id", organization.to_value()),
            ("user_id", other.user_id.to_value()),
            ("role", RoleKey::from(Role::Owner).to_value()),
        ],
        must: Must::BeLocked,
        otherwise: ("write_conflict", "another owner went meanwhile".to_owned()),
    });
    Ok(())
}

/// A member's row, as it was read.
fn place(unit: &Unit, member: &Member) -> Membership {
    Membership {
        organization_id: unit.organization_id(),
        user_id: member.user_id,
        role: member.role,
        created_at: member.created_at,
    }
}

pub(crate) async fn set_role(unit: &mut Unit, input: SetRole) -> Result<MemberView> {
    let mut member = find(unit, input.id).await?;
    let role = roles::named(unit, "/role", &input.role).await?;
    unit.scope().require_rank(member.role, member.permissions)?;
    unit.scope().require_rank(role.key, role.permissions)?;
    if member.role != role.key {
        if role.key == Role::Owner {
            require_fresh(unit).await?;
        }
        if member.role == Role::Owner {
            keep_owner(unit, member.user_id).await?;
        }
        let before = place(unit, &member);
        let update = Update::of(&before).set("role", &role.key).expect("role", &before.role);
        unit.fact(EventKind::OrganizationUpdated, before.organization_id)?
            .change("role", before.role, role.key)
            .data("what", "member.role_changed")
            .data("user_id", member.user_id)
            .write(Write::Update(update));
        roles::give(unit, &role);
        (member.role, member.permissions) = (role.key, role.permissions);
    }
    view(unit, member).await
}

/// The owner who hands the organisation on, and the member who is given it.
pub(crate) async fn handing_on(unit: &Unit, from: UserId, to: UserId) -> Result<(Member, Member)> {
    let own = find(unit, from).await?;
    if own.role != Role::Owner {
        return Err(Error::forbidden("only an owner hands the organisation on: ask one of them"));
    }
    if from == to {
        return Err(Error::invalid("/user_id", "invalid", "this is you: name the member who is to own it"));
    }
    let heir = unit.store().member(unit.organization_id(), to).await?;
    let heir = heir.ok_or_else(|| {
        let detail = format!("{to} is no member of the organisation: invite them first");
        Error::invalid("/user_id", "unknown", detail)
    })?;
    Ok((own, heir))
}

/// Makes a member the owner in the place of another one, who stays as an admin. Both roles are expected to be as they were
/// read: of two who hand it on at once, the second finds that they own it no more.
pub(crate) async fn hand_on(unit: &mut Unit, from: UserId, to: UserId) -> Result<MemberView> {
    let (own, mut heir) = handing_on(unit, from, to).await?;
    let (admin, owner) = (RoleKey::from(Role::Admin), RoleKey::from(Role::Owner));
    let becoming = |member: &Member, role: RoleKey| {
        Write::Update(Update::of(&place(unit, member)).set("role", &role).expect("role", &member.role))
    };
    let (down, up) = (becoming(&own, admin), becoming(&heir, owner));
    unit.fact(EventKind::OrganizationUpdated, unit.organization_id())?
        .change("owner", from, to)
        .data("what", "organization.transferred")
        .data("user_id", to)
        .write(down)
        .write(up);
    let title = format!("{} has handed the organisation to you: you own it from now on", own.name);
    notifications::notify(unit, NewNotification::new(to, NotificationKind::OrganizationTransferred, title)).await?;
    (heir.role, heir.permissions) = (owner, Role::Owner.permissions());
    view(unit, heir).await
}

pub(crate) async fn remove(unit: &mut Unit, input: RemoveMember) -> Result<()> {
    let member = find(unit, input.id).await?;
    unit.scope().require_rank(member.role, member.permissions)?;
    let organization = unit.organization_id();
    if let Some(heir) = input.reassign_to {
        if heir == member.user_id {
            let detail = "this is the member who leaves: name another one";
            return Err(Error::invalid("/reassign_to", "invalid", detail));
        }
        if unit.store().membership(organization, heir).await?.is_none() {
            let detail = format!("{heir} is no member of the organisation");
            return Err(Error::invalid("/reassign_to", "unknown", detail));
        }
    }
    if member.role == Role::Owner {
        keep_owner(unit, member.user_id).await?;
    }
    // A role that somebody changed meanwhile would be removed unseen.
    let before = place(unit, &member);
    unit.batch.guard(Guard {
        table: Membership::TABLE,
        filter: vec![
            ("organization_id", organization.to_value()),
            ("user_id", member.user_id.to_value()),
            ("role", member.role.to_value()),
        ],
        must: Must::BeLocked,
        otherwise: ("write_conflict", "the member was changed meanwhile".to_owned()),
    });
    let of_member = || vec![("organization_id", organization.to_value()), ("user_id", member.user_id.to_value())];
    let of_key = vec![("organization_id", organization.to_value()), ("acts_for", member.user_id.to_value())];
    unit.fact(EventKind::OrganizationUpdated, organization)?
        .change("members", member.user_id, None::<UserId>)
        .data("what", "member.removed")
        .data("user_id", member.user_id)
        .data("role", member.role)
        .data("reassign_to", input.reassign_to)
        .write(Write::delete(&before))
        // Their sign-ins to this organisation end; those to others stay.
        .write(Write::delete_all::<SignInSession>(of_member()))
        // So do the keys that act for them: one who comes back makes new ones.
        .write(Write::delete_all::<ApiKey>(of_key))
        .write(Write::delete_all::<TeamMember>(of_member()))
        .write(Write::delete_all::<AssignmentTurn>(of_member()));
    hand_over::begin(unit, HandOver::OfMember { user_id: member.user_id, to: input.reassign_to }).await?;
    if let Some(heir) = input.reassign_to.filter(|heir| unit.scope().user_id() != Some(*heir)) {
        let title = format!("What {} looked after was assigned to you", member.name);
        notifications::notify(unit, NewNotification::new(heir, NotificationKind::Assigned, title)).await?;
    }
    Ok(())
}
