//! What is sealed, with its keys.

use async_trait::async_trait;

use super::select::{columns, portions, select, select_by, select_global, split};
use crate::{
    domain::{
        account::SealedSecret,
        data_key::{CommonKey, DataKey, MasterKey},
        job::Job,
        linked_identity::LoginState,
        organization::SecondFactor,
        payload::ContactKey,
    },
    error::Result,
    id::*,
    ports::store::{Column, Record, SecretReads, Value},
    store::sql::{SqlStore, statement::Statement},
};

#[async_trait]
impl SecretReads for SqlStore {
    async fn account_secret(
        &self,
        organization: OrganizationId,
        id: AccountId,
    ) -> Result<Option<(SealedSecret, DataKey)>> {
        self.pair(Some(organization), account_secret(organization, id)).await
    }

    async fn job_to_do(&self, organization: OrganizationId, id: JobId) -> Result<Option<(Job, Option<DataKey>)>> {
        let rows = self.rows(Some(organization), job_to_do(organization, id)).await?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
        let job = split::<Job>(&mut row)?;
        let key = if row.first() == Some(&Value::Null) { None } else { Some(DataKey::from_row(row)?) };
        Ok(Some((job, key)))
    }

    async fn second_factor(&self, user: UserId) -> Result<Option<(SecondFactor, CommonKey)>> {
        self.pair(None, second_factor(user)).await
    }

    async fn login_state(&self, token_hash: &[u8]) -> Result<Option<(LoginState, CommonKey)>> {
        self.pair(None, login_state(token_hash)).await
    }

    async fn master_keys(&self) -> Result<Vec<MasterKey>> {
        let text = format!("SELECT {} FROM master_keys t ORDER BY t.id", columns::<MasterKey>("t"));
        self.records(None, Statement::new(text)).await
    }

    async fn data_keys(&self, organization: OrganizationId) -> Result<Vec<DataKey>> {
        self.records(Some(organization), data_keys(organization)).await
    }

    async fn common_keys(&self) -> Result<Vec<CommonKey>> {
        let text = format!("SELECT {} FROM common_keys t ORDER BY t.id", columns::<CommonKey>("t"));
        self.records(None, Statement::new(text)).await
    }

    async fn contact_keys(&self, organization: OrganizationId, contacts: &[ContactId]) -> Result<Vec<ContactKey>> {
        let mut keys = Vec::with_capacity(contacts.len());
        for contacts in portions(contacts) {
            keys.extend(self.records(Some(organization), contact_keys(organization, &contacts)).await?);
        }
        Ok(keys)
    }

    async fn secrets_under(
        &self,
        organization: OrganizationId,
        key: DataKeyId,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<SealedSecret>> {
        self.records(Some(organization), secrets_under(organization, key, after, limit)).await
    }

    async fn jobs_under(
        &self,
        organization: OrganizationId,
        key: DataKeyId,
        after: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<Job>> {
        self.records(Some(organization), jobs_under(organization, key, after, limit)).await
    }

    async fn second_factors_under(
        &self,
        key: DataKeyId,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<SecondFactor>> {
        self.records(None, second_factors_under(key, after, limit)).await
    }

    async fn login_states_under(
        &self,
        key: DataKeyId,
        after: Option<LoginStateId>,
        limit: u32,
    ) -> Result<Vec<LoginState>> {
        self.records(None, login_states_under(key, after, limit)).await
    }
}

impl SqlStore {
    /// A record and its key.
    async fn pair<T: Record, K: Record>(
        &self,
        organization: Option<OrganizationId>,
        statement: Statement,
    ) -> Result<Option<(T, K)>> {
        let rows = self.rows(organization, statement).await?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
        Ok(Some((split(&mut row)?, K::from_row(row)?)))
    }
}

fn with_data_key<T: Record>(join: &str, organization: OrganizationId) -> Statement {
    let mut statement = Statement::new(format!(
        "SELECT {}, {} FROM {} t {join} data_keys k ON k.organization_id = t.organization_id AND k.id = t.key_id \
         WHERE t.organization_id = ",
        columns::<T>("t"),
        columns::<DataKey>("k"),
        T::TABLE.name,
    ));
    statement.bind(&organization);
    statement
}

fn with_common_key<T: Record>() -> Statement {
    Statement::new(format!(
        "SELECT {}, {} FROM {} t JOIN common_keys k ON k.id = t.key_id WHERE ",
        columns::<T>("t"),
        columns::<CommonKey>("k"),
        T::TABLE.name,
    ))
}

/// An account's secrets and their key.
fn account_secret(organization: OrganizationId, id: AccountId) -> Statement {
    let mut statement = with_data_key::<SealedSecret>("JOIN", organization);
    statement.push(" AND t.account_id = ").bind(&id);
    statement
}

/// A job, and the key of what is sealed of it.
fn job_to_do(organization: OrganizationId, id: JobId) -> Statement {
    let mut statement = with_data_key::<Job>("LEFT JOIN", organization);
    statement.push(" AND t.id = ").bind(&id);
    statement
}

/// A person's second factor and its key.
fn second_factor(user: UserId) -> Statement {
    let mut statement = with_common_key::<SecondFactor>();
    statement.push("t.user_id = ").bind(&user);
    statement
}

/// The step of a sign-in whose token has this hash, and its key.
pub(super) fn login_state(token_hash: &[u8]) -> Statement {
    let mut statement = with_common_key::<LoginState>();
    statement.push("t.token_hash = ").bind(&token_hash.to_vec());
    statement
}

/// An organisation's keys, oldest first.
fn data_keys(organization: OrganizationId) -> Statement {
    let mut statement = select::<DataKey>(organization);
    statement.push(" ORDER BY t.id");
    statement
}

/// The accounts' secrets that a key sealed.
pub(super) fn secrets_under(
    organization: OrganizationId,
    key: DataKeyId,
    after: Option<AccountId>,
    limit: u32,
) -> Statement {
    under(select_by::<SealedSecret>(organization, "key_id", &key), "account_id", after, limit)
}

/// The jobs that a key sealed something of.
pub(super) fn jobs_under(organization: OrganizationId, key: DataKeyId, after: Option<JobId>, limit: u32) -> Statement {
    under(select_by::<Job>(organization, "key_id", &key), "id", after, limit)
}

/// The second factors that a key sealed.
pub(super) fn second_factors_under(key: DataKeyId, after: Option<UserId>, limit: u32) -> Statement {
    under(global_under::<SecondFactor>(key), "user_id", after, limit)
}

/// The steps of signing in that a key sealed.
pub(super) fn login_states_under(key: DataKeyId, after: Option<LoginStateId>, limit: u32) -> Statement {
    under(global_under::<LoginState>(key), "id", after, limit)
}

fn global_under<T: Record>(key: DataKeyId) -> Statement {
    let mut statement = select_global::<T>();
    statement.push("t.key_id = ").bind(&key);
    statement
}

/// What a key sealed, by `column` after `after`.
fn under<I: Column>(mut statement: Statement, column: &str, after: Option<I>, limit: u32) -> Statement {
    if let Some(after) = after {
        statement.push(" AND t.").push(column).push(" > ").bind(&after);
    }
    statement.push(" ORDER BY t.").push(column).push(" LIMIT ").bind(&i64::from(limit));
    statement
}

/// The keys of these contacts.
pub(super) fn contact_keys(organization: OrganizationId, contacts: &[ContactId]) -> Statement {
    let mut statement = select::<ContactKey>(organization);
    statement.push(" AND t.contact_id IN (").bind_all(contacts).push(")");
    statement
}
