//! Teams, who is in them, and whose turn it is to be given a contact.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::id::{Id, OrganizationId, TeamId, UserId};

/// A team inside an organisation.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// Whose it is.
    #[serde(skip)]
    pub organization_id: OrganizationId,
    /// What people call it; unique in the organisation, whatever the case.
    pub name: String,
    /// Case-folded NFKC of the name: what makes two names the same.
    #[serde(skip)]
    pub name_key: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
    /// Counts edits, from 1.
    pub version: i64,
}

/// Somebody's place in a team.
#[derive(Debug, Clone, PartialEq)]
pub struct TeamMember {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Which team.
    pub team_id: TeamId,
    /// Who.
    pub user_id: UserId,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// When a member was last given a contact by turns.
#[derive(Debug, Clone, PartialEq)]
pub struct AssignmentTurn {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Among whom the turns go round: [`pool`].
    pub pool_id: Uuid,
    /// Who.
    pub user_id: UserId,
    /// When.
    pub last_at: DateTime<Utc>,
    /// Counts turns, from 1: two units that give the same turn away conflict.
    pub version: i64,
}

/// The id of those among whom turns go round: a team's, or nil for everybody.
pub fn pool(team: Option<TeamId>) -> Uuid {
    team.map_or_else(Uuid::nil, Id::uuid)
}
