//! Giving contacts to members and teams: by name, by turns, or to whom has least to do. A turn is written where it is
//! given away, with a version: of two units that give the same turn away at once one begins anew.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        contact::Contact,
        pipeline::StageKind,
        team::{AssignmentTurn, pool},
        text::Flaws,
        word::words,
    },
    error::{Error, Result},
    id::{ContactId, StageId, TeamId, UserId},
    patch::Patch,
    scope::{Permission, Resource},
    services::{contacts, notifications, unit::Unit},
};

/// The most contacts that are given at once.
const AT_ONCE: usize = 500;

words! {
    /// How a member is chosen.
    Strategy {
        /// Who was given one longest ago.
        RoundRobin = "round_robin",
        /// Who has the fewest contacts in open stages; among equals by turns.
        LeastBusy = "least_busy",
    }
}

/// Which contacts are given to whom. Exactly one of `user_id`, `team_id` alone, or `strategy` says so.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignContacts {
    /// Which ones, 1…500.
    #[schemars(length(min = 1, max = 500))]
    pub contact_ids: Vec<ContactId>,
    /// The member who looks after them from now on; `null`: nobody.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub user_id: Patch<UserId>,
    /// The team that does; `null`: none. With a `strategy`, the team whose members are chosen from.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub team_id: Patch<TeamId>,
    /// Chooses a member for each contact: of the team, else of all who may write contacts.
    #[serde(default)]
    pub strategy: Option<Strategy>,
}

/// What became of an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Assigned {
    /// How many contacts belong to whom they were given now.
    pub assigned: usize,
}

/// Those among whom turns go round.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    team: Option<TeamId>,
    /// In a fixed order: who has never had a turn goes first by it.
    users: Vec<UserId>,
}

/// The members of a team, or all, who may write contacts.
///
/// # Errors
/// A conflict `nobody_to_assign` if there is none.
pub(crate) async fn candidates(unit: &Unit, team: Option<TeamId>) -> Result<Pool> {
    let organization = unit.organization_id();
    let members = match team {
        Some(team) => unit.store().all_team_members(organization, team).await?,
        None => unit.store().members(organization).await?,
    };
    let able = Permission::write(Resource::Contacts);
    let users: Vec<_> = members.into_iter().filter(|it| it.permissions.contains(able)).map(|it| it.user_id).collect();
    if users.is_empty() {
        let message = "nobody in the team may write contacts: put somebody into it first";
        return Err(Error::conflict("nobody_to_assign", message));
    }
    Ok(Pool { team, users })
}

/// A candidate's place in the order in which contacts are given.
struct Candidate {
    user: UserId,
    open: i64,
    last_at: Option<DateTime<Utc>>,
    turn: Option<AssignmentTurn>,
    chosen: bool,
}

/// Chooses a member for each of `count` contacts, and writes that they had their turns.
pub(crate) async fn choose(unit: &mut Unit, pool_of: &Pool, strategy: Strategy, count: usize) -> Result<Vec<UserId>> {
    let organization_id = unit.organization_id();
    let pool_id = pool(pool_of.team);
    let stored = unit.store().turns(organization_id, pool_id).await?;
    let mut turns: HashMap<UserId, AssignmentTurn> = HashMap::new();
    for turn in unit.overlay(stored)?.into_iter().filter(|turn| turn.pool_id == pool_id) {
        turns.insert(turn.user_id, turn);
    }
    let open = match strategy {
        Strategy::RoundRobin => HashMap::new(),
        Strategy::LeastBusy => open_contacts(unit, &pool_of.users).await?,
    };
    // Later than every turn so far, so that turns of one instant keep their order.
    let latest = turns.values().map(|turn| turn.last_at).max();
    let mut next = latest.map_or(unit.now(), |latest| unit.now().max(latest + TimeDelta::microseconds(1)));
    let mut candidates: Vec<Candidate> = (pool_of.users.iter())
        .map(|user| Candidate {
            user: *user,
            open: open.get(user).copied().unwrap_or_default(),
            last_at: turns.get(user).map(|turn| turn.last_at),
            turn: turns.remove(user),
            chosen: false,
        })
        .collect();
    let mut chosen = Vec::with_capacity(count);
    for _ in 0..count {
        // The first of equals: the list's own order.
        let Some(candidate) = candidates.iter_mut().min_by_key(|it| (it.open, it.last_at)) else { break };
        if strategy == Strategy::LeastBusy {
            candidate.open += 1;
        }
        candidate.last_at = Some(next);
        candidate.chosen = true;
        chosen.push(candidate.user);
        next += TimeDelta::microseconds(1);
    }
    for candidate in candidates.into_iter().filter(|it| it.chosen) {
        let Some(last_at) = candidate.last_at else { continue };
        let after = AssignmentTurn { organization_id, pool_id, user_id: candidate.user, last_at, version: 1 };
        unit.note_state(candidate.turn.as_ref(), &after)?;
    }
    Ok(chosen)
}

/// How many contacts in open stages each of these users has.
async fn open_contacts(unit: &Unit, users: &[UserId]) -> Result<HashMap<UserId, i64>> {
    let organization = unit.organization_id();
    let (load, stages) =
        futures::try_join!(unit.whole_store().load(organization, users), unit.store().stages(organization))?;
    let open: HashSet<StageId> = stages.iter().filter(|it| it.kind == StageKind::Open).map(|it| it.id).collect();
    let mut counts = HashMap::new();
    for (user, stage, count) in load {
        if open.contains(&stage) {
            *counts.entry(user).or_default() += count;
        }
    }
    Ok(counts)
}

/// To whom contacts are given.
enum To {
    User(Option<UserId>),
    Team(Option<TeamId>),
    Turns(Strategy, Option<TeamId>),
}

/// Reads who is meant; `None` if that is wrong, and noted.
fn target(flaws: &mut Flaws, input: &AssignContacts) -> Option<To> {
    let wanted = |patch: Patch<UserId>| match patch {
        Patch::Value(user) => Some(user),
        Patch::Absent | Patch::Null => None,
    };
    let team = match input.team_id {
        Patch::Value(team) => Some(team),
        Patch::Absent | Patch::Null => None,
    };
    match (input.user_id.is_absent(), input.team_id.is_absent(), input.strategy) {
        (true, _, Some(strategy)) => Some(To::Turns(strategy, team)),
        (false, _, Some(_)) => {
            flaws.add("/strategy", "invalid", "a strategy chooses the member itself: leave user_id or strategy out");
            None
        }
        (false, true, None) => Some(To::User(wanted(input.user_id))),
        (true, false, None) => Some(To::Team(team)),
        (false, false, None) => {
            flaws.add("/team_id", "invalid", "contacts are given to a member or to a team: leave one of the two out");
            None
        }
        (true, true, None) => {
            flaws.add("/user_id", "required", "say to whom: user_id, team_id or strategy");
            None
        }
    }
}

/// Gives contacts to a member, a team, or members by turns: all of them or none.
pub(crate) async fn assign(unit: &mut Unit, input: AssignContacts) -> Result<Assigned> {
    let organization = unit.organization_id();
    let mut flaws = Flaws::default();
    let to = target(&mut flaws, &input);
    match input.contact_ids.len() {
        0 => {
            flaws.add("/contact_ids", "required", "name at least one contact");
        }
        1..=AT_ONCE => {}
        count => {
            let detail = format!("{count} contacts are named: at most {AT_ONCE} are given at once");
            flaws.add("/contact_ids", "too_many", detail);
            return flaws.end().map(|()| Assigned { assigned: 0 });
        }
    }
    if let Patch::Value(user) = input.user_id
        && unit.store().membership(organization, user).await?.is_none()
    {
        flaws.add("/user_id", "unknown", format!("{user} is no member of the organisation"));
    }
    if let Patch::Value(team) = input.team_id
        && unit.store().team(organization, team).await?.is_none()
    {
        flaws.add("/team_id", "unknown", format!("team {team} does not exist"));
    }
    let mut found: BTreeMap<ContactId, Contact> = BTreeMap::new();
    for contact in unit.store().contacts_by_ids(organization, &input.contact_ids).await? {
        if let Some(contact) = unit.meet(contact)?.filter(|it| it.deleted_at.is_none()) {
            found.insert(contact.id, contact);
        }
    }
    let mut given = Vec::with_capacity(input.contact_ids.len());
    for (place, id) in input.contact_ids.iter().enumerate() {
        if !found.contains_key(id) {
            flaws.add(format!("/contact_ids/{place}"), "unknown", format!("contact {id} does not exist"));
        } else if !given.contains(id) {
            given.push(*id);
        }
    }
    flaws.end()?;
    let Some(to) = to else { return Err(Error::internal("a faulty target has no flaw")) };
    let users: Vec<Option<UserId>> = match to {
        To::User(user) => vec![user; given.len()],
        To::Turns(strategy, team) => {
            let pool = candidates(unit, team).await?;
            choose(unit, &pool, strategy, given.len()).await?.into_iter().map(Some).collect()
        }
        To::Team(team) => {
            let contacts = given.iter().filter_map(|id| found.remove(id)).collect();
            contacts::give(unit, contacts, |contact| contact.team_id = team).await?;
            return Ok(Assigned { assigned: given.len() });
        }
    };
    let mut by_user: BTreeMap<Option<UserId>, Vec<Contact>> = BTreeMap::new();
    for (id, user) in given.iter().zip(users) {
        by_user.entry(user).or_default().extend(found.remove(id));
    }
    let heirs: Vec<UserId> = by_user.keys().copied().flatten().collect();
    notifications::meet_users(unit, &heirs).await?;
    for (user, contacts) in by_user {
        let new: Vec<Contact> = contacts.iter().filter(|it| it.assigned_to != user).cloned().collect();
        contacts::give(unit, contacts, |contact| contact.assigned_to = user).await?;
        contacts::tell_assignee(unit, user, &new).await?;
    }
    Ok(Assigned { assigned: given.len() })
}
