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
        linked_identity::LinkedIdentity,
        mail_token::{MailPurpose, MailToken},
        organization::{Credential, Member, Membership, Organization, SignInSession, User},
        role::Grant,
    },
    error::Result,
    id::*,
    page::{ListKey, Page, PageRequest},
    ports::store::{IdentityReads, Record, Row, Seat, Value},
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

    async fn seat(&self, organization: OrganizationId, user: UserId) -> Result<Option<Seat>> {
        self.rows(None, seat(organization, user)).await?.into_iter().next().map(seated).transpose()
    }

    async fn signed_in(&self, session: SessionId) -> Result<Option<(SignInSession, Option<Seat>)>> {
        let Some(mut row) = self.rows(None, signed_in(session)).await?.into_iter().next() else { return Ok(None) };
        Ok(Some((split(&mut row)?, perhaps_seated(row)?)))
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

    async fn sessions(
        &self,
        user: UserId,
        within: Option<OrganizationId>,
        now: DateTime<Utc>,
        page: &PageRequest,
    ) -> Result<Page<SignInSession>> {
        let (mut statement, order) = sessions(user, within, now);
        let list = ListKey::of(&("sessions", user, within));
        let limit = order.finish(&mut statement, list, page)?;
        let rows = self.rows(None, statement).await?;
        list::page(rows, limit, list, SignInSession::from_row, |it: &SignInSession| by_time(it.created_at, it.id))
    }

    async fn open_sessions(
        &self,
        user: UserId,
        within: Option<OrganizationId>,
        now: DateTime<Utc>,
    ) -> Result<Vec<SignInSession>> {
        let (statement, _) = sessions(user, within, now);
        self.records(None, statement).await
    }

    async fn has_signed_in_from(&self, email: &str, network: &str) -> Result<bool> {
        Ok(!self.rows(None, signed_in_from(email, network)).await?.is_empty())
    }

    async fn session(&self, id: SessionId) -> Result<Option<SignInSession>> {
        let mut statement = select_global::<SignInSession>();
        statement.push("t.id = ").bind(&id);
        self.record(None, statement).await
    }

    async fn api_key_by_hash(&self, hash: &[u8]) -> Result<Option<(ApiKey, Option<Seat>)>> {
        let Some(mut row) = self.rows(None, api_key_by_hash(hash)).await?.into_iter().next() else { return Ok(None) };
        Ok(Some((split(&mut row)?, perhaps_seated(row)?)))
    }

    async fn identity(&self, provider: &str, subject: &str) -> Result<Option<LinkedIdentity>> {
        self.record(None, identity(provider, subject)).await
    }

    async fn identities(&self, user: UserId) -> Result<Vec<LinkedIdentity>> {
        self.records(None, identities(user)).await
    }

    async fn session_by_refresh_hash(&self, hash: &[u8]) -> Result<Option<SignInSession>> {
        self.record(None, by_refresh_hash(hash)).await
    }
}

/// The role of a membership `m`, if it is one of the organisation's own.
pub(super) const OWN_ROLE: &str = " LEFT JOIN roles r ON r.organization_id = m.organization_id AND r.id = m.role";

/// What [`seated`] reads.
fn seat_columns() -> String {
    format!(
        "{}, r.permissions, r.record_visibility, r.fields, o.require_two_factor, (o.require_two_factor \
         AND NOT EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = m.user_id AND f.enabled))",
        columns::<Membership>("m")
    )
}

/// The seat of the user `who` in the organisation of `t`, if there is one.
fn with_seat(who: &str) -> String {
    format!(
        " LEFT JOIN memberships m ON m.organization_id = t.organization_id AND m.user_id = t.{who} \
         LEFT JOIN organizations o ON o.id = m.organization_id{OWN_ROLE}"
    )
}

/// A seat, of a row of its columns.
fn seated(mut row: Row) -> Result<Seat> {
    let membership = split::<Membership>(&mut row)?;
    let row = &mut row.into_iter();
    let own = match (cell(row)?, cell(row)?, cell(row)?) {
        (Some(permissions), Some(record_visibility), Some(fields)) => {
            Some(Grant { permissions, record_visibility, fields })
        }
        _ => None,
    };
    let grant = Grant::of(membership.role, own);
    Ok(Seat { membership, grant, needs_two_factor: cell(row)?, lacks_two_factor: cell(row)? })
}

/// The same, of a row that may tell of none.
fn perhaps_seated(row: Row) -> Result<Option<Seat>> {
    if row.first() == Some(&Value::Null) { Ok(None) } else { seated(row).map(Some) }
}

/// A key with the seat of whom it acts for; none if it acts for nobody, or for somebody who is gone.
pub(super) fn api_key_by_hash(hash: &[u8]) -> Statement {
    let (key, seat, joined) = (columns::<ApiKey>("t"), seat_columns(), with_seat("acts_for"));
    let mut statement = Statement::new(format!("SELECT {key}, {seat} FROM api_keys t{joined} WHERE t.secret_hash = "));
    statement.bind(&hash.to_vec());
    statement
}

/// A session with the seat of its user.
pub(super) fn signed_in(session: SessionId) -> Statement {
    let (columns, seat, joined) = (columns::<SignInSession>("t"), seat_columns(), with_seat("user_id"));
    let mut statement = Statement::new(format!("SELECT {columns}, {seat} FROM sessions t{joined} WHERE t.id = "));
    statement.bind(&session);
    statement
}

/// A user's seat.
pub(super) fn seat(organization: OrganizationId, user: UserId) -> Statement {
    let mut statement = Statement::new(format!(
        "SELECT {} FROM memberships m JOIN organizations o ON o.id = m.organization_id{OWN_ROLE} WHERE m.organization_id = ",
        seat_columns()
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

/// A user's sessions that stand, newest first: in whichever organisation, or in this one.
pub(super) fn sessions(user: UserId, within: Option<OrganizationId>, now: DateTime<Utc>) -> (Statement, Order) {
    let mut statement = select_global::<SignInSession>();
    statement.push("t.user_id = ").bind(&user).push(" AND t.revoked_at IS NULL AND t.expires_at > ").bind(&now);
    if let Some(organization) = within {
        statement.push(" AND t.organization_id = ").bind(&organization);
    }
    (statement, Order::newest("t.created_at"))
}

/// One of a user's sessions that began in a network.
pub(super) fn signed_in_from(email: &str, network: &str) -> Statement {
    let mut statement =
        Statement::new("SELECT t.id FROM users u JOIN sessions t ON t.user_id = u.id WHERE u.email = ".to_owned());
    statement.bind(&email.to_owned()).push(" AND t.network = ").bind(&network.to_owned()).push(" LIMIT 1");
    statement
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ports::store::{TABLES, record::SEATS},
        store::sql::reads::people::teams_of,
    };

    /// Else who is remembered to be signed in would not be looked at again.
    #[test]
    fn what_a_seat_is_read_from_is_counted() {
        let nobody = uuid::Uuid::nil();
        for statement in [signed_in(nobody.into()), teams_of(nobody.into(), &[nobody.into()])] {
            let words: Vec<_> = statement.text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            let read = TABLES.iter().filter(|table| words.contains(&table.name));
            let uncounted: Vec<_> = read.filter(|table| !SEATS.contains(&table.name)).collect();
            assert!(uncounted.is_empty(), "{uncounted:?}: {}", statement.text);
        }
    }
}
