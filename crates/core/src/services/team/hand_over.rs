//! What belonged to a member or a team that is gone: contacts, deals, chats, open tasks, accounts and what custom fields
//! say of a member are given on, at once if they are few, else by a job. What has been given on is no longer found, so a job that was interrupted simply goes on.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        account::Account, chat::Chat, contact::Contact, custom_field::Noun, deal::Deal, job::JobKind, task::Task,
    },
    error::{Error, Result},
    id::{TeamId, UserId},
    services::{
        accounts, activities, companies, contacts, deals,
        fields::{self, Naming},
        messaging,
        unit::Unit,
    },
};

/// As many rows are given on in the unit that makes them ownerless.
const AT_ONCE: u32 = 1_000;
/// As many in one step of a job.
const STEP: u32 = 200;

/// Units that had begun before have ended by then.
const AFTERWARDS: TimeDelta = TimeDelta::minutes(1);

/// What is given on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub(crate) enum HandOver {
    /// What somebody who left looked after.
    OfMember {
        /// Who left.
        user_id: UserId,
        /// Who takes over, if anybody.
        to: Option<UserId>,
    },
    /// Contacts and deals of a team that was removed: they belong to no team.
    OfTeam {
        /// Which team.
        team_id: TeamId,
    },
}

/// Gives everything on in this unit, or leaves it to the job. The job comes after a while in any case: it finds what units
/// that had begun before have still given to whom is gone.
pub(super) async fn begin(unit: &mut Unit, what: HandOver) -> Result<()> {
    let whole = give(unit, what, AT_ONCE, true).await?.is_some();
    let payload = serde_json::to_value(what).map_err(|e| Error::internal("a job is no JSON").with_source(e))?;
    let at = if whole { unit.now() + AFTERWARDS } else { unit.now() };
    unit.queue_job(JobKind::HandOver, payload, at, None)?;
    Ok(())
}

/// One step of the job: how many rows were given on, and whether more may remain.
pub(crate) async fn step(unit: &mut Unit, payload: &serde_json::Value) -> Result<(usize, bool)> {
    let what = serde_json::from_value(payload.clone())
        .map_err(|e| Error::internal("a hand-over job says nothing of whose things").with_source(e))?;
    let what = match what {
        // Who was to take over has left meanwhile too.
        HandOver::OfMember { user_id, to: Some(to) }
            if unit.store().membership(unit.organization_id(), to).await?.is_none() =>
        {
            HandOver::OfMember { user_id, to: None }
        }
        what => what,
    };
    let given = give(unit, what, STEP, false).await?.unwrap_or_default();
    Ok((given, given >= STEP as usize))
}

/// What is left to be given on. What somebody has done stays theirs: it is history.
#[derive(Default)]
struct Found {
    contacts: Vec<Contact>,
    deals: Vec<Deal>,
    chats: Vec<Chat>,
    tasks: Vec<Task>,
    accounts: Vec<Account>,
    /// Where custom fields name who left.
    naming: Option<Naming>,
}

impl Found {
    fn count(&self) -> usize {
        let rows = self.contacts.len() + self.deals.len() + self.chats.len() + self.tasks.len() + self.accounts.len();
        rows + self.naming.as_ref().map_or(0, Naming::len)
    }

    /// How many more make `most`.
    fn room(&self, most: u32) -> u32 {
        most.saturating_sub(u32::try_from(self.count()).unwrap_or(most))
    }
}

/// Finds at most `most` rows.
async fn find(unit: &mut Unit, what: HandOver, most: u32) -> Result<Found> {
    let organization = unit.organization_id();
    let mut found = Found::default();
    match what {
        HandOver::OfTeam { team_id } => {
            found.contacts = unit.store().contacts_of_team(organization, team_id, most).await?;
            found.deals = unit.store().deals_of_team(organization, team_id, found.room(most)).await?;
        }
        HandOver::OfMember { user_id, .. } => {
            found.contacts = unit.store().contacts_assigned_to(organization, user_id, most).await?;
            found.deals = unit.store().deals_assigned_to(organization, user_id, found.room(most)).await?;
            found.chats = unit.store().chats_assigned_to(organization, user_id, found.room(most)).await?;
            found.tasks = unit.store().open_tasks_of(organization, user_id, found.room(most)).await?;
            found.accounts = unit.store().accounts_of(organization, user_id, found.room(most)).await?;
            found.naming = Some(fields::naming(unit, user_id, found.room(most)).await?);
        }
    }
    Ok(found)
}

/// Gives on at most `limit` rows and answers how many; with `whole`, nothing unless that is all: `None`.
async fn give(unit: &mut Unit, what: HandOver, limit: u32, whole: bool) -> Result<Option<usize>> {
    let found = find(unit, what, if whole { limit + 1 } else { limit }).await?;
    let count = found.count();
    if whole && count > limit as usize {
        return Ok(None);
    }
    match what {
        HandOver::OfMember { to, .. } => of_member(unit, found, to).await?,
        HandOver::OfTeam { .. } => {
            contacts::give(unit, found.contacts, |contact| contact.team_id = None).await?;
            deals::give(unit, found.deals, |deal| deal.team_id = None).await?;
        }
    }
    Ok(Some(count))
}

async fn of_member(unit: &mut Unit, found: Found, to: Option<UserId>) -> Result<()> {
    contacts::give(unit, found.contacts, |contact| contact.assigned_to = to).await?;
    deals::give(unit, found.deals, |deal| deal.assigned_to = to).await?;
    for chat in found.chats {
        messaging::give_chat(unit, &chat, to)?;
    }
    for task in found.tasks {
        activities::give_task(unit, task, to)?;
    }
    for account in found.accounts {
        accounts::give(unit, account, to)?;
    }
    match found.naming {
        Some(naming) => put(unit, &naming, to).await,
        None => Ok(()),
    }
}

/// Puts the heir, or nobody, where custom fields name who left.
async fn put(unit: &mut Unit, naming: &Naming, to: Option<UserId>) -> Result<()> {
    let organization = unit.organization_id();
    let contacts = unit.store().contacts_by_ids(organization, &naming.records(Noun::Contact)).await?;
    contacts::give(unit, contacts, |contact| naming.put(Noun::Contact, &mut contact.custom, to)).await?;
    let companies = unit.store().companies_by_ids(organization, &naming.records(Noun::Company)).await?;
    companies::give(unit, companies, |company| naming.put(Noun::Company, &mut company.custom, to)).await?;
    let deals = unit.store().deals_by_ids(organization, &naming.records(Noun::Deal)).await?;
    deals::give(unit, deals, |deal| naming.put(Noun::Deal, &mut deal.custom, to)).await
}
