//! People and organisations: the global tables that turn a credential into a scope. No row-level security guards these
//! reads, so only `identity` and `runtime` may call them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    list::{self, Order, by_time},
    people,
    select::{cell, columns, select_global, split},
};
use crate::{
    domain::{
        api_key::ApiKey,
        linked_identity::{LinkedIdentity, LoginState},
        mail_token::{MailPurpose, MailToken},
        organization::{Credential, Member, Membership, Organization, SecondFactor, SignInSession, User},
    },
    error::Result,
    id::*,
    page::{ListKey, Page, PageRequest},
    ports::store::{IdentityReads, Record, Row, Value},
    scope::Permissions,
    store::sql::{SqlStore, statement::Statement},
};

#[async_trait]
impl IdentityReads for SqlStore {
    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>> {
        let mut statement = select_global::<Organization>();
        statement.push("t.id = ").bind(&id);
        self.record(None, statement).await
    }

    async fn organization_ids(&self) -> Result<Vec<OrganizationId>> {
        let rows = self.rows(None, Statement::new("SELECT t.id FROM organizations t ORDER BY t.id")).await?;
        rows.into_iter().map(|row| cell(&mut row.into_iter())).collect()
    }

    async fn user(&self, id: UserId) -> Result<Option<User>> {
        let mut statement = select_global::<User>();
        statement.push("t.id = ").bind(&id);
        self.record(None, statement).await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
        let mut statement = select_global::<User>();
        statement.push("t.email = ").bind(&email.to_owned());
        self.record(None, statement).await
    }

    async fn credential(&self, user: UserId) -> Result<Option<Credential>> {
        let mut statement = select_global::<Credential>();
        statement.push("t.user_id = ").bind(&user);
        self.record(None, statement).await
    }

    async fn second_factor(&self, user: UserId) -> Result<Option<SecondFactor>> {
        let mut statement = select_global::<SecondFactor>();
        statement.push("t.user_id = ").bind(&user);
        self.record(None, statement).await
    }

    async fn place(
        &self,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<Option<(Membership, Permissions, bool)>> {
        let Some(mut row) = self.rows(None, place(organization, user)).await?.into_iter().next() else {
            return Ok(None);
        };
        let membership = split::<Membership>(&mut row)?;
        let row = &mut row.into_iter();
        let permissions = membership.role.permissions(cell(row)?);
        Ok(Some((membership, permissions, cell(row)?)))
    }

    async fn mail_token(&self, user: UserId, purpose: MailPurpose) -> Result<Option<MailToken>> {
        let mut statement = select_global::<MailToken>();
        statement.push("t.user_id = ").bind(&user).push(" AND t.purpose = ").bind(&purpose);
        self.record(None, statement).await
    }

    async fn mail_token_by_hash(&self, hash: &[u8]) -> Result<Option<MailToken>> {
        let mut statement = select_global::<MailToken>();
        statement.push("t.token_hash = ").bind(&hash.to_vec());
        self.record(None, statement).await
    }

    async fn membership(&self, organization: OrganizationId, user: UserId) -> Result<Option<Membership>> {
        let mut statement = select_global::<Membership>();
        statement.push("t.organization_id = ").bind(&organization).push(" AND t.user_id = ").bind(&user);
        self.record(None, statement).await
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<Membership>> {
        let mut statement = select_global::<Membership>();
        statement.push("t.user_id = ").bind(&user).push(" ORDER BY t.created_at, t.organization_id");
        self.records(None, statement).await
    }

    async fn members(&self, organization: OrganizationId) -> Result<Vec<Member>> {
        let (mut statement, _) = people::members(organization);
        statement.push(" ORDER BY t.created_at, t.id");
        self.rows(None, statement).await?.into_iter().map(people::member).collect()
    }

    async fn sessions(&self, user: UserId, now: DateTime<Utc>, page: &PageRequest) -> Result<Page<SignInSession>> {
        let (mut statement, order) = sessions(user, now);
        let list = ListKey::of(&("sessions", user));
        let limit = order.finish(&mut statement, list, page)?;
        let rows = self.rows(None, statement).await?;
        list::page(rows, limit, list, SignInSession::from_row, |it: &SignInSession| by_time(it.created_at, it.id))
    }

    async fn open_sessions(&self, user: UserId, now: DateTime<Utc>) -> Result<Vec<SignInSession>> {
        let (statement, _) = sessions(user, now);
        self.records(None, statement).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<SignInSession>> {
        let mut statement = select_global::<SignInSession>();
        statement.push("t.id = ").bind(&id);
        self.record(None, statement).await
    }

    async fn api_key_by_hash(&self, hash: &[u8]) -> Result<Option<(ApiKey, Option<(Membership, Permissions)>)>> {
        let Some(mut row) = self.rows(None, api_key_by_hash(hash)).await?.into_iter().next() else { return Ok(None) };
        let key = split::<ApiKey>(&mut row)?;
        // Nobody's place, if it acts for nobody, or for somebody who is gone.
        let place = if row.first() == Some(&Value::Null) { None } else { Some(standing(row)?) };
        Ok(Some((key, place)))
    }

    async fn identity(&self, provider: &str, subject: &str) -> Result<Option<LinkedIdentity>> {
        self.record(None, identity(provider, subject)).await
    }

    async fn identities(&self, user: UserId) -> Result<Vec<LinkedIdentity>> {
        self.records(None, identities(user)).await
    }

    async fn login_state(&self, token_hash: &[u8]) -> Result<Option<LoginState>> {
        self.record(None, login_state(token_hash)).await
    }

    async fn session_by_refresh_hash(&self, hash: &[u8]) -> Result<Option<SignInSession>> {
        self.record(None, by_refresh_hash(hash)).await
    }
}

/// The role of a membership `m`, if it is one of the organisation's own.
pub(super) const OWN_ROLE: &str = " LEFT JOIN roles r ON r.organization_id = m.organization_id AND r.id = m.role";

/// A membership with what the role allows, of a row that ends with what the organisation says of its own one.
fn standing(mut row: Row) -> Result<(Membership, Permissions)> {
    let place = split::<Membership>(&mut row)?;
    let permissions = place.role.permissions(cell(&mut row.into_iter())?);
    Ok((place, permissions))
}

/// A key with the place of whom it acts for.
pub(super) fn api_key_by_hash(hash: &[u8]) -> Statement {
    let (key, place) = (columns::<ApiKey>("t"), columns::<Membership>("m"));
    let mut statement = Statement::new(format!(
        "SELECT {key}, {place}, r.permissions FROM api_keys t \
         LEFT JOIN memberships m ON m.organization_id = t.organization_id AND m.user_id = t.acts_for{OWN_ROLE} \
         WHERE t.secret_hash = "
    ));
    statement.bind(&hash.to_vec());
    statement
}

/// A user's place with what their role allows, and whether they lack what is asked for there.
pub(super) fn place(organization: OrganizationId, user: UserId) -> Statement {
    let mut statement = Statement::new(format!(
        "SELECT {}, r.permissions, (o.require_two_factor \
         AND NOT EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = m.user_id AND f.enabled)) \
         FROM memberships m JOIN organizations o ON o.id = m.organization_id{OWN_ROLE} WHERE m.organization_id = ",
        columns::<Membership>("m")
    ));
    statement.bind(&organization).push(" AND m.user_id = ").bind(&user);
    statement
}

/// Whom a provider knows by this name.
pub(super) fn identity(provider: &str, subject: &str) -> Statement {
    let mut statement = select_global::<LinkedIdentity>();
    statement.push("t.provider = ").bind(&provider.to_owned()).push(" AND t.subject = ").bind(&subject.to_owned());
    statement
}

/// Everything that a user is elsewhere, oldest first.
pub(super) fn identities(user: UserId) -> Statement {
    let mut statement = select_global::<LinkedIdentity>();
    statement.push("t.user_id = ").bind(&user).push(" ORDER BY t.created_at, t.id");
    statement
}

/// The step of a sign-in whose token has this hash.
pub(super) fn login_state(token_hash: &[u8]) -> Statement {
    let mut statement = select_global::<LoginState>();
    statement.push("t.token_hash = ").bind(&token_hash.to_vec());
    statement
}

/// A user's sessions that stand, newest first.
pub(super) fn sessions(user: UserId, now: DateTime<Utc>) -> (Statement, Order) {
    let mut statement = select_global::<SignInSession>();
    statement.push("t.user_id = ").bind(&user).push(" AND t.revoked_at IS NULL AND t.expires_at > ").bind(&now);
    (statement, Order::newest("t.created_at"))
}

/// Two halves, so that each uses its own index.
pub(super) fn by_refresh_hash(hash: &[u8]) -> Statement {
    let columns = columns::<SignInSession>("t");
    let mut statement = Statement::new(format!("SELECT {columns} FROM sessions t WHERE t.refresh_hash = "));
    statement.bind(&hash.to_vec());
    statement.push(&format!(" UNION ALL SELECT {columns} FROM sessions t WHERE t.previous_hash = "));
    statement.bind(&hash.to_vec());
    statement
}
