//! What belonged to a member or a team that is gone: its contacts and chats are given on, at once if they are few, else
//! by a job. What has been given on is no longer found, so a job that was interrupted simply goes on.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::{
    domain::job::JobKind,
    error::{Error, Result},
    id::{TeamId, UserId},
    services::{contacts, messaging, unit::Unit},
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
    /// Contacts and chats of somebody who left.
    OfMember {
        /// Who left.
        user_id: UserId,
        /// Who takes over, if anybody.
        to: Option<UserId>,
    },
    /// Contacts of a team that was removed: they belong to no team.
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

/// Gives on at most `limit` rows and answers how many; with `whole`, nothing unless that is all: `None`.
async fn give(unit: &mut Unit, what: HandOver, limit: u32, whole: bool) -> Result<Option<usize>> {
    let organization = unit.organization_id();
    let most = if whole { limit + 1 } else { limit };
    let store = unit.store();
    let (found, chats) = match what {
        HandOver::OfMember { user_id, .. } => {
            let found = store.contacts_assigned_to(organization, user_id, most).await?;
            let room = most.saturating_sub(u32::try_from(found.len()).unwrap_or(most));
            let chats =
                if room == 0 { Vec::new() } else { store.chats_assigned_to(organization, user_id, room).await? };
            (found, chats)
        }
        HandOver::OfTeam { team_id } => (store.contacts_of_team(organization, team_id, most).await?, Vec::new()),
    };
    let count = found.len() + chats.len();
    if whole && count > limit as usize {
        return Ok(None);
    }
    contacts::give(unit, found, |contact| match what {
        HandOver::OfMember { to, .. } => contact.assigned_to = to,
        HandOver::OfTeam { .. } => contact.team_id = None,
    })
    .await?;
    if let HandOver::OfMember { to, .. } = what {
        for chat in chats {
            messaging::give_chat(unit, &chat, to)?;
        }
    }
    Ok(Some(count))
}
