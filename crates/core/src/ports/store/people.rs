//! Reads of members, invitations and teams.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::{
        account::Account,
        api_key::ApiKey,
        chat::Chat,
        contact::Contact,
        deal::Deal,
        organization::{Invitation, InvitationStatus, Member, Membership, Organization, User},
        role::OwnRole,
        task::Task,
        team::{AssignmentTurn, Team, TeamMember},
    },
    error::Result,
    id::*,
    page::{Page, PageRequest},
};

/// Members and invitations: global tables, as those of [`IdentityReads`](super::IdentityReads). What an organisation asks
/// of them it asks of its own rows alone.
#[async_trait]
pub trait MemberReads {
    /// A page of an organisation's members, oldest first.
    async fn members_page(&self, organization: OrganizationId, page: &PageRequest) -> Result<Page<Member>>;
    /// One member.
    async fn member(&self, organization: OrganizationId, user: UserId) -> Result<Option<Member>>;
    /// Several users, in any order; unknown ids are left out.
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>>;
    /// Where a user belongs, oldest membership first.
    async fn belongings(&self, user: UserId) -> Result<Vec<(Membership, Organization)>>;
    /// The organisation's own roles, by name.
    async fn own_roles(&self, organization: OrganizationId) -> Result<Vec<OwnRole>>;
    /// Who has a role of the organisation's own: memberships and pending invitations.
    async fn holders_of(
        &self,
        organization: OrganizationId,
        role: RoleId,
    ) -> Result<(Vec<Membership>, Vec<Invitation>)>;
    /// One API key.
    async fn api_key(&self, organization: OrganizationId, id: ApiKeyId) -> Result<Option<ApiKey>>;
    /// A page of API keys, newest first; only those that act for a user if given.
    async fn api_keys(
        &self,
        organization: OrganizationId,
        acts_for: Option<UserId>,
        page: &PageRequest,
    ) -> Result<Page<ApiKey>>;
    /// One invitation.
    async fn invitation(&self, organization: OrganizationId, id: InvitationId) -> Result<Option<Invitation>>;
    /// A page of invitations, newest first; only those of `status` at `now` if given.
    async fn invitations(
        &self,
        organization: OrganizationId,
        status: Option<InvitationStatus>,
        now: DateTime<Utc>,
        page: &PageRequest,
    ) -> Result<Page<Invitation>>;
    /// The invitation to this address that was neither accepted nor revoked, run out or not.
    async fn open_invitation(&self, organization: OrganizationId, email: &str) -> Result<Option<Invitation>>;
    /// The invitation whose token has this hash, in whichever organisation.
    async fn invitation_by_token(&self, hash: &[u8]) -> Result<Option<Invitation>>;
}

/// Teams, and what is given to whom.
#[async_trait]
pub trait TeamReads {
    /// A page of teams, newest first.
    async fn teams(&self, organization: OrganizationId, page: &PageRequest) -> Result<Page<Team>>;
    /// Every team, oldest first.
    async fn all_teams(&self, organization: OrganizationId) -> Result<Vec<Team>>;
    /// One team.
    async fn team(&self, organization: OrganizationId, id: TeamId) -> Result<Option<Team>>;
    /// The teams of these users: `(user, team)`.
    async fn teams_of(&self, organization: OrganizationId, users: &[UserId]) -> Result<Vec<(UserId, TeamId)>>;
    /// Somebody's place in a team.
    async fn team_member(&self, organization: OrganizationId, team: TeamId, user: UserId)
    -> Result<Option<TeamMember>>;
    /// A page of a team's members, those first who have been in it longest; `created_at` is since when.
    async fn team_members(
        &self,
        organization: OrganizationId,
        team: TeamId,
        page: &PageRequest,
    ) -> Result<Page<Member>>;
    /// Every member of a team, those first who have been in it longest.
    async fn all_team_members(&self, organization: OrganizationId, team: TeamId) -> Result<Vec<Member>>;
    /// The turns that were given among the members of a pool.
    async fn turns(&self, organization: OrganizationId, pool: Uuid) -> Result<Vec<AssignmentTurn>>;
    /// How many contacts that are not deleted each of these users has in each stage: `(user, stage, contacts)`.
    async fn load(&self, organization: OrganizationId, users: &[UserId]) -> Result<Vec<(UserId, StageId, i64)>>;
    /// Contacts that are not deleted and belong to a user, at most `limit`.
    async fn contacts_assigned_to(
        &self,
        organization: OrganizationId,
        user: UserId,
        limit: u32,
    ) -> Result<Vec<Contact>>;
    /// Contacts that are not deleted and belong to a team, at most `limit`.
    async fn contacts_of_team(&self, organization: OrganizationId, team: TeamId, limit: u32) -> Result<Vec<Contact>>;
    /// Deals that are not deleted and belong to a user, at most `limit`.
    async fn deals_assigned_to(&self, organization: OrganizationId, user: UserId, limit: u32) -> Result<Vec<Deal>>;
    /// Deals that are not deleted and belong to a team, at most `limit`.
    async fn deals_of_team(&self, organization: OrganizationId, team: TeamId, limit: u32) -> Result<Vec<Deal>>;
    /// Chats that belong to a user, at most `limit`.
    async fn chats_assigned_to(&self, organization: OrganizationId, user: UserId, limit: u32) -> Result<Vec<Chat>>;
    /// Tasks that a user has yet to do, also those of what is deleted, at most `limit`.
    async fn open_tasks_of(&self, organization: OrganizationId, user: UserId, limit: u32) -> Result<Vec<Task>>;
    /// Accounts that a user owns, removed or not, at most `limit`.
    async fn accounts_of(&self, organization: OrganizationId, user: UserId, limit: u32) -> Result<Vec<Account>>;
}
