//! Members, invitations and teams. Where a table has no column `id`, a subquery gives it one: keyset pages end in it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    identity::OWN_ROLE,
    list::{self, Order, and_equal, by_time},
    select::{cell, columns, portions, select, select_by, select_global, split},
};
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
    page::{ListKey, Page, PageRequest},
    ports::store::{MemberReads, Record, Row, TeamReads},
    scope::RoleKey,
    store::sql::{SqlStore, statement::Statement},
};

#[async_trait]
impl MemberReads for SqlStore {
    async fn members_page(&self, organization: OrganizationId, page: &PageRequest) -> Result<Page<Member>> {
        let (mut statement, order) = members(organization);
        let list = ListKey::of(&"members");
        let limit = order.finish(&mut statement, list, page)?;
        let rows = self.rows(None, statement).await?;
        list::page(rows, limit, list, member, |it: &Member| by_time(it.created_at, it.user_id))
    }

    async fn member(&self, organization: OrganizationId, user: UserId) -> Result<Option<Member>> {
        let (mut statement, _) = members(organization);
        statement.push(" AND t.id = ").bind(&user);
        self.rows(None, statement).await?.into_iter().next().map(member).transpose()
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>> {
        let mut found = Vec::with_capacity(ids.len());
        for ids in portions(ids) {
            let mut statement = select_global::<User>();
            statement.push("t.id IN (").bind_all(&ids).push(")");
            found.extend(self.records(None, statement).await?);
        }
        Ok(found)
    }

    async fn belongings(&self, user: UserId) -> Result<Vec<(Membership, Organization)>> {
        let both = |mut row: Row| Ok((split::<Membership>(&mut row)?, Organization::from_row(row)?));
        self.rows(None, belongings(user)).await?.into_iter().map(both).collect()
    }

    async fn own_roles(&self, organization: OrganizationId) -> Result<Vec<OwnRole>> {
        self.records(None, own_roles(organization)).await
    }

    async fn holders_of(
        &self,
        organization: OrganizationId,
        role: RoleId,
    ) -> Result<(Vec<Membership>, Vec<Invitation>)> {
        let (members, invited) = holders_of(organization, role);
        futures::try_join!(self.records(None, members), self.records(None, invited))
    }

    async fn api_key(&self, organization: OrganizationId, id: ApiKeyId) -> Result<Option<ApiKey>> {
        self.record(None, select_by::<ApiKey>(organization, "id", &id)).await
    }

    async fn api_keys(
        &self,
        organization: OrganizationId,
        acts_for: Option<UserId>,
        page: &PageRequest,
    ) -> Result<Page<ApiKey>> {
        let (mut statement, order) = api_keys(organization, acts_for);
        let list = ListKey::of(&("api_keys", acts_for));
        let limit = order.finish(&mut statement, list, page)?;
        let rows = self.rows(None, statement).await?;
        list::page(rows, limit, list, ApiKey::from_row, |it: &ApiKey| by_time(it.created_at, it.id))
    }

    async fn invitation(&self, organization: OrganizationId, id: InvitationId) -> Result<Option<Invitation>> {
        self.record(None, select_by::<Invitation>(organization, "id", &id)).await
    }

    async fn invitations(
        &self,
        organization: OrganizationId,
        status: Option<InvitationStatus>,
        now: DateTime<Utc>,
        page: &PageRequest,
    ) -> Result<Page<Invitation>> {
        let (mut statement, order) = invitations(organization, status, now);
        let list = ListKey::of(&("invitations", status));
        let limit = order.finish(&mut statement, list, page)?;
        let rows = self.rows(None, statement).await?;
        list::page(rows, limit, list, Invitation::from_row, |it: &Invitation| by_time(it.created_at, it.id))
    }

    async fn open_invitation(&self, organization: OrganizationId, email: &str) -> Result<Option<Invitation>> {
        self.record(None, open_invitation(organization, email)).await
    }

    async fn invitation_by_token(&self, hash: &[u8]) -> Result<Option<Invitation>> {
        let mut statement = select_global::<Invitation>();
        statement.push("t.token_hash = ").bind(&hash.to_vec());
        self.record(None, statement).await
    }
}

#[async_trait]
impl TeamReads for SqlStore {
    async fn teams(&self, organization: OrganizationId, page: &PageRequest) -> Result<Page<Team>> {
        let order = Order::newest("t.created_at");
        let list = ListKey::of(&"teams");
        self.page_of(organization, select::<Team>(organization), order, list, page, |it: &Team| {
            by_time(it.created_at, it.id)
        })
        .await
    }

    async fn all_teams(&self, organization: OrganizationId) -> Result<Vec<Team>> {
        let mut statement = select::<Team>(organization);
        statement.push(" ORDER BY t.created_at, t.id");
        self.records(Some(organization), statement).await
    }

    async fn team(&self, organization: OrganizationId, id: TeamId) -> Result<Option<Team>> {
        self.record(Some(organization), select_by::<Team>(organization, "id", &id)).await
    }

    async fn teams_of(&self, organization: OrganizationId, users: &[UserId]) -> Result<Vec<(UserId, TeamId)>> {
        let mut found = Vec::new();
        for users in portions(users) {
            for row in self.rows(Some(organization), teams_of(organization, &users)).await? {
                let row = &mut row.into_iter();
                found.push((cell(row)?, cell(row)?));
            }
        }
        Ok(found)
    }

    async fn team_member(
        &self,
        organization: OrganizationId,
        team: TeamId,
        user: UserId,
    ) -> Result<Option<TeamMember>> {
        let mut statement = select_by::<TeamMember>(organization, "team_id", &team);
        statement.push(" AND t.user_id = ").bind(&user);
        self.record(Some(organization), statement).await
    }

    async fn team_members(
        &self,
        organization: OrganizationId,
        team: TeamId,
        page: &PageRequest,
    ) -> Result<Page<Member>> {
        let (mut statement, order) = team_members(organization, team);
        let list = ListKey::of(&("team_members", team));
        let limit = order.finish(&mut statement, list, page)?;
        let rows = self.rows(Some(organization), statement).await?;
        list::page(rows, limit, list, member, |it: &Member| by_time(it.created_at, it.user_id))
    }

    async fn all_team_members(&self, organization: OrganizationId, team: TeamId) -> Result<Vec<Member>> {
        let (mut statement, _) = team_members(organization, team);
        statement.push(" ORDER BY t.created_at, t.id");
        self.rows(Some(organization), statement).await?.into_iter().map(member).collect()
    }

    async fn turns(&self, organization: OrganizationId, pool: Uuid) -> Result<Vec<AssignmentTurn>> {
        self.records(Some(organization), select_by::<AssignmentTurn>(organization, "pool_id", &pool)).await
    }

    async fn load(&self, organization: OrganizationId, users: &[UserId]) -> Result<Vec<(UserId, StageId, i64)>> {
        let mut found = Vec::new();
        for users in portions(users) {
            for row in self.rows(Some(organization), load(organization, &users)).await? {
                let row = &mut row.into_iter();
                found.push((cell(row)?, cell(row)?, cell(row)?));
            }
        }
        Ok(found)
    }

    async fn contacts_assigned_to(
        &self,
        organization: OrganizationId,
        user: UserId,
        limit: u32,
    ) -> Result<Vec<Contact>> {
        self.records(Some(organization), looked_after::<Contact>(organization, "assigned_to", user, limit)).await
    }

    async fn contacts_of_team(&self, organization: OrganizationId, team: TeamId, limit: u32) -> Result<Vec<Contact>> {
        self.records(Some(organization), looked_after::<Contact>(organization, "team_id", team, limit)).await
    }

    async fn deals_assigned_to(&self, organization: OrganizationId, user: UserId, limit: u32) -> Result<Vec<Deal>> {
        let statement = looked_after::<Deal>(organization, "assigned_to", user, limit);
        self.records(Some(organization), statement).await
    }

    async fn deals_of_team(&self, organization: OrganizationId, team: TeamId, limit: u32) -> Result<Vec<Deal>> {
        self.records(Some(organization), looked_after::<Deal>(organization, "team_id", team, limit)).await
    }

    async fn chats_assigned_to(&self, organization: OrganizationId, user: UserId, limit: u32) -> Result<Vec<Chat>> {
        self.records(Some(organization), chats_assigned_to(organization, user, limit)).await
    }

    async fn open_tasks_of(&self, organization: OrganizationId, user: UserId, limit: u32) -> Result<Vec<Task>> {
        self.records(Some(organization), open_tasks_of(organization, user, limit)).await
    }

    async fn accounts_of(&self, organization: OrganizationId, user: UserId, limit: u32) -> Result<Vec<Account>> {
        self.records(Some(organization), accounts_of(organization, user, limit)).await
    }
}

/// Oldest first by a time, then by the id.
const OLDEST: Order = Order { key: "t.created_at", text: false, descending: false, unique: false, id: "t.id" };

/// An organisation's own roles, by name.
pub(super) fn own_roles(organization: OrganizationId) -> Statement {
    let mut statement = select::<OwnRole>(organization);
    statement.push(" ORDER BY t.name_key");
    statement
}

/// Who has a role, among all members since roles are seldom removed, and who is invited to it.
pub(super) fn holders_of(organization: OrganizationId, role: RoleId) -> (Statement, Statement) {
    let members = select_by::<Membership>(organization, "role", &role);
    let mut invited = select_by::<Invitation>(organization, "role", &role);
    invited.push(" AND t.status = ").bind(&InvitationStatus::Pending);
    (members, invited)
}

/// An organisation's members: goes on with ` AND …`.
pub(super) fn members(organization: OrganizationId) -> (Statement, Order) {
    let mut statement = Statement::new(
        "SELECT t.id, u.email, u.name, t.role, t.created_at, r.permissions \
         FROM (SELECT organization_id, user_id AS id, role, created_at FROM memberships) t \
         JOIN users u ON u.id = t.id LEFT JOIN roles r ON r.organization_id = t.organization_id AND r.id = t.role \
         WHERE t.organization_id = ",
    );
    statement.bind(&organization);
    (statement, OLDEST)
}

/// A team's members: goes on with ` AND …`.
pub(super) fn team_members(organization: OrganizationId, team: TeamId) -> (Statement, Order) {
    let mut statement = Statement::new(format!(
        "SELECT t.id, u.email, u.name, m.role, t.created_at, r.permissions \
         FROM (SELECT organization_id, team_id, user_id AS id, created_at FROM team_members) t \
         JOIN memberships m ON m.organization_id = t.organization_id AND m.user_id = t.id{OWN_ROLE} \
         JOIN users u ON u.id = t.id WHERE t.organization_id = "
    ));
    statement.bind(&organization).push(" AND t.team_id = ").bind(&team);
    (statement, OLDEST)
}

pub(super) fn member(row: Row) -> Result<Member> {
    let row = &mut row.into_iter();
    let (user_id, email, name, role): (_, _, _, RoleKey) = (cell(row)?, cell(row)?, cell(row)?, cell(row)?);
    let (created_at, own) = (cell(row)?, cell(row)?);
    Ok(Member { user_id, email, name, role, permissions: role.permissions(own), created_at })
}

/// A user's memberships with their organisations, oldest first.
pub(super) fn belongings(user: UserId) -> Statement {
    let mut statement = Statement::new(format!(
        "SELECT {}, {} FROM memberships t JOIN organizations o ON o.id = t.organization_id WHERE t.user_id = ",
        columns::<Membership>("t"),
        columns::<Organization>("o")
    ));
    statement.bind(&user).push(" ORDER BY t.created_at, t.organization_id");
    statement
}

/// API keys, newest first.
pub(super) fn api_keys(organization: OrganizationId, acts_for: Option<UserId>) -> (Statement, Order) {
    let mut statement = select::<ApiKey>(organization);
    and_equal(&mut statement, "acts_for", acts_for.as_ref());
    (statement, Order::newest("t.created_at"))
}

/// Invitations, newest first. One that has run out is still written as pending.
pub(super) fn invitations(
    organization: OrganizationId,
    status: Option<InvitationStatus>,
    now: DateTime<Utc>,
) -> (Statement, Order) {
    let mut statement = select::<Invitation>(organization);
    if let Some(status) = status {
        let (kept, bound) = match status {
            InvitationStatus::Pending => (status, Some(" AND t.expires_at > ")),
            InvitationStatus::Expired => (InvitationStatus::Pending, Some(" AND t.expires_at <= ")),
            InvitationStatus::Accepted | InvitationStatus::Revoked => (status, None),
        };
        statement.push(" AND t.status = ").bind(&kept);
        if let Some(bound) = bound {
            statement.push(bound).bind(&now);
        }
    }
    (statement, Order::newest("t.created_at"))
}

/// The invitation to an address that was neither accepted nor revoked.
pub(super) fn open_invitation(organization: OrganizationId, email: &str) -> Statement {
    let mut statement = select_by::<Invitation>(organization, "email", &email.to_owned());
    // As a literal: the index holds no others.
    statement.push(" AND t.status = 'pending'");
    statement
}

/// The teams of these users.
pub(super) fn teams_of(organization: OrganizationId, users: &[UserId]) -> Statement {
    let mut statement = Statement::new("SELECT t.user_id, t.team_id FROM team_members t WHERE t.organization_id = ");
    statement.bind(&organization).push(" AND t.user_id IN (").bind_all(users).push(") ORDER BY t.user_id, t.team_id");
    statement
}

/// Open work by user and stage: counted along an index that has all three columns.
pub(super) fn load(organization: OrganizationId, users: &[UserId]) -> Statement {
    let mut statement = Statement::new(
        "SELECT t.assigned_to, t.stage_id, COUNT(*) FROM contacts t WHERE t.deleted_at IS NULL AND t.organization_id = ",
    );
    statement.bind(&organization).push(" AND t.assigned_to IN (").bind_all(users);
    statement.push(") GROUP BY t.assigned_to, t.stage_id");
    statement
}

/// Contacts or deals of a user or a team, oldest first.
pub(super) fn looked_after<T: Record>(
    organization: OrganizationId,
    column: &str,
    value: impl crate::ports::store::Column,
    limit: u32,
) -> Statement {
    let mut statement = select_by::<T>(organization, column, &value);
    statement.push(" AND t.deleted_at IS NULL ORDER BY t.created_at, t.id").limit(limit);
    statement
}

/// Chats of a user, those first where a message last went longest ago.
pub(super) fn chats_assigned_to(organization: OrganizationId, user: UserId, limit: u32) -> Statement {
    let mut statement = select_by::<Chat>(organization, "assigned_to", &user);
    statement.push(" ORDER BY t.last_message_at, t.id").limit(limit);
    statement
}

/// What a user has yet to do, what is due first first.
pub(super) fn open_tasks_of(organization: OrganizationId, user: UserId, limit: u32) -> Statement {
    let mut statement = select_by::<Task>(organization, "assigned_to", &user);
    statement.push(" AND t.done = ").bind(&false).push(" ORDER BY t.due_key, t.id").limit(limit);
    statement
}

/// The accounts of a user, oldest first.
pub(super) fn accounts_of(organization: OrganizationId, user: UserId, limit: u32) -> Statement {
    let mut statement = select_by::<Account>(organization, "owner_id", &user);
    statement.push(" ORDER BY t.created_at, t.id").limit(limit);
    statement
}
