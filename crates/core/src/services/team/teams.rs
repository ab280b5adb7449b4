//! Teams: making, naming and removing them, and who is in them. Each change is an event of the organisation, since rules
//! hold teams by their ids.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        event::EventKind,
        organization::Member,
        team::{AssignmentTurn, Team, TeamMember, pool},
        text::{self, Flaws},
    },
    error::{Error, Result},
    id::{TeamId, UserId},
    page::{Page, PageRequest},
    patch::Patch,
    ports::store::{Column, Write},
    scope::{Permission, Resource},
    services::{
        team::{
            hand_over::{self, HandOver},
            members::{self, MemberView},
        },
        unit::{Unit, check_version, keyed},
    },
};

/// The most teams of an organisation: rules read them all at once.
const MAX_TEAMS: usize = 500;

/// A team to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTeam {
    /// What people call it, 1…200 characters; unique in the organisation, whatever the case.
    pub name: String,
}

/// A change of a team: a merge patch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TeamPatch {
    /// What people call it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
}

/// Which team, and its change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateTeam {
    /// Which one.
    pub id: TeamId,
    /// Its change.
    pub patch: TeamPatch,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Which team is to be removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteTeam {
    /// Which one.
    pub id: TeamId,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Whose members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListTeamMembers {
    /// Which team.
    pub id: TeamId,
    /// Items a page, 1…200.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// Who is to be in a team.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddTeamMember {
    /// Which team.
    pub id: TeamId,
    /// Who: a member of the organisation.
    pub user_id: UserId,
}

/// Who is to be in a team no more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveTeamMember {
    /// Which team.
    pub id: TeamId,
    /// Who.
    pub user_id: UserId,
}

async fn find(unit: &mut Unit, id: TeamId) -> Result<Team> {
    let organization = unit.organization_id();
    let found = match unit.known::<Team>(&keyed(organization, id))? {
        Some(known) => known,
        None => match unit.store().team(organization, id).await? {
            Some(found) => unit.meet(found)?,
            None => None,
        },
    };
    found.ok_or_else(|| Error::not_found("team", id))
}

/// Fails if another team has the same name, whatever the case.
fn refuse_taken_name(team: &Team, others: &[Team]) -> Result<()> {
    match others.iter().find(|other| other.id != team.id && other.name_key == team.name_key) {
        Some(other) => {
            let message = format!("the organisation has a team {:?} already: choose another name", other.name);
            Err(Error::conflict("name_taken", message.clone()).field("/name", "taken", message))
        }
        None => Ok(()),
    }
}

pub(crate) async fn list(unit: &mut Unit, page: PageRequest) -> Result<Page<Team>> {
    unit.store().teams(unit.organization_id(), &page).await
}

pub(crate) async fn get(unit: &mut Unit, id: TeamId) -> Result<Team> {
    find(unit, id).await
}

pub(crate) async fn create(unit: &mut Unit, input: NewTeam) -> Result<Team> {
    let mut flaws = Flaws::default();
    let name = flaws.take("/name", text::name(&input.name)).unwrap_or_default();
    flaws.end()?;
    let others = unit.store().all_teams(unit.organization_id()).await?;
    if others.len() >= MAX_TEAMS {
        let message = format!("there are {MAX_TEAMS} teams: remove one before another is made");
        return Err(Error::conflict("too_many_teams", message));
    }
    let team = Team {
        id: unit.id()?,
        organization_id: unit.organization_id(),
        name_key: text::name_key(&name),
        name,
        created_at: unit.now(),
        updated_at: unit.now(),
        version: 1,
    };
    refuse_taken_name(&team, &others)?;
    unit.fact(EventKind::TeamChanged, team.organization_id)?
        .data("what", "team.created")
        .data("team_id", team.id)
        .changes(None, &team)
        .insert(&team);
    Ok(team)
}

pub(crate) async fn update(unit: &mut Unit, input: UpdateTeam) -> Result<Team> {
    let before = find(unit, input.id).await?;
    check_version("team", input.if_version, before.version)?;
    let mut after = before.clone();
    let mut flaws = Flaws::default();
    match input.patch.name {
        Patch::Absent => {}
        Patch::Null => {
            flaws.add("/name", "required", "a team has a name: it cannot be cleared");
        }
        Patch::Value(name) => after.name = flaws.take("/name", text::name(&name)).unwrap_or_default(),
    }
    flaws.end()?;
    if after == before {
        return Ok(before);
    }
    after.name_key = text::name_key(&after.name);
    let others = unit.store().all_teams(unit.organization_id()).await?;
    refuse_taken_name(&after, &others)?;
    after.updated_at = unit.now();
    let (fact, after) = unit.fact(EventKind::TeamChanged, after.organization_id)?.edit(&before, &after)?;
    fact.data("what", "team.updated").data("team_id", after.id).changes(Some(&before), &after);
    Ok(after)
}

pub(crate) async fn delete(unit: &mut Unit, input: DeleteTeam) -> Result<()> {
    let team = find(unit, input.id).await?;
    check_version("team", input.if_version, team.version)?;
    let organization = team.organization_id;
    let of_team = vec![("organization_id", organization.to_value()), ("team_id", team.id.to_value())];
    let turns = vec![("organization_id", organization.to_value()), ("pool_id", pool(Some(team.id)).to_value())];
    unit.fact(EventKind::TeamChanged, organization)?
        .data("what", "team.deleted")
        .data("team_id", team.id)
        .change("name", &team.name, ())
        .write(Write::delete_all::<TeamMember>(of_team))
        .write(Write::delete_all::<AssignmentTurn>(turns))
        .delete(&team);
    hand_over::begin(unit, HandOver::OfTeam { team_id: team.id }).await
}

/// Fails unless the caller may listen to what happens to a team's contacts: who is in it may, whoever manages the team,
/// and keys of the organisation.
pub(crate) async fn listen(unit: &mut Unit, id: TeamId) -> Result<()> {
    let team = find(unit, id).await?;
    let manages = unit.scope().permissions.contains(Permission::write(Resource::Team));
    if let (Some(user), false) = (unit.scope().user_id(), manages)
        && unit.store().team_member(team.organization_id, team.id, user).await?.is_none()
    {
        return Err(Error::not_found("team", id));
    }
    Ok(())
}

pub(crate) async fn list_members(unit: &mut Unit, input: ListTeamMembers) -> Result<Page<MemberView>> {
    let team = find(unit, input.id).await?;
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    let Page { data, next_cursor } = unit.store().team_members(team.organization_id, team.id, &page).await?;
    Ok(Page { data: members::views(unit, data).await?, next_cursor })
}

pub(crate) async fn add_member(unit: &mut Unit, input: AddTeamMember) -> Result<MemberView> {
    let team = find(unit, input.id).await?;
    let organization = team.organization_id;
    let member = unit.store().member(organization, input.user_id).await?.ok_or_else(|| {
        let detail = format!("{} is no member of the organisation", input.user_id);
        Error::invalid("/user_id", "unknown", detail)
    })?;
    let known = unit.store().team_member(organization, team.id, member.user_id).await?;
    let place = match known {
        Some(place) => place,
        None => place(unit, &team, &member)?,
    };
    let mut view = members::views(unit, vec![Member { created_at: place.created_at, ..member }]).await?;
    let mut view = view.pop().ok_or_else(|| Error::not_found("member", input.user_id))?;
    if !view.team_ids.contains(&team.id) {
        view.team_ids.push(team.id);
        view.team_ids.sort();
    }
    Ok(view)
}

/// Writes somebody's place in a team.
fn place(unit: &mut Unit, team: &Team, member: &Member) -> Result<TeamMember> {
    let place = TeamMember {
        organization_id: team.organization_id,
        team_id: team.id,
        user_id: member.user_id,
        created_at: unit.now(),
    };
    unit.fact(EventKind::TeamChanged, team.organization_id)?
        .data("what", "team.member_added")
        .data("team_id", team.id)
        .data("user_id", member.user_id)
        .change("members", None::<UserId>, member.user_id)
        .insert(&place);
    Ok(place)
}

pub(crate) async fn remove_member(unit: &mut Unit, input: RemoveTeamMember) -> Result<()> {
    let team = find(unit, input.id).await?;
    let organization = team.organization_id;
    let place = unit.store().team_member(organization, team.id, input.user_id).await?;
    let place = place.ok_or_else(|| Error::not_found("member", input.user_id))?;
    let turn = vec![
        ("organization_id", organization.to_value()),
        ("pool_id", pool(Some(team.id)).to_value()),
        ("user_id", input.user_id.to_value()),
    ];
    unit.fact(EventKind::TeamChanged, organization)?
        .data("what", "team.member_removed")
        .data("team_id", team.id)
        .data("user_id", input.user_id)
        .change("members", input.user_id, None::<UserId>)
        .write(Write::delete_all::<AssignmentTurn>(turn))
        .delete(&place);
    Ok(())
}
