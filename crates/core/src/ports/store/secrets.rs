//! What is sealed, each with the data key that sealed it: read in one statement, so that no rotation comes between; and the
//! keys themselves. Common keys, like what they seal, are read by `identity` and the rotation alone.

use async_trait::async_trait;

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
};

/// Secrets and their keys.
#[async_trait]
pub trait SecretReads {
    /// The secrets of an account.
    async fn account_secret(
        &self,
        organization: OrganizationId,
        id: AccountId,
    ) -> Result<Option<(SealedSecret, DataKey)>>;
    /// A job with what opens its payload, if something of that is sealed.
    async fn job_to_do(&self, organization: OrganizationId, id: JobId) -> Result<Option<(Job, Option<DataKey>)>>;
    /// A user's second factor, asked for or only set up.
    async fn second_factor(&self, user: UserId) -> Result<Option<(SecondFactor, CommonKey)>>;
    /// The step of a sign-in whose token has this hash, whether it still counts or not.
    async fn login_state(&self, token_hash: &[u8]) -> Result<Option<(LoginState, CommonKey)>>;

    /// Every master key that wraps something, by id.
    async fn master_keys(&self) -> Result<Vec<MasterKey>>;
    /// An organisation's data keys, oldest first; the newest that is not retired seals.
    async fn data_keys(&self, organization: OrganizationId) -> Result<Vec<DataKey>>;
    /// The data keys of what is people's own, oldest first; the newest that is not retired seals.
    async fn common_keys(&self) -> Result<Vec<CommonKey>>;

    /// The keys of these contacts, in any order; none of those who have had nothing sealed yet.
    async fn contact_keys(&self, organization: OrganizationId, contacts: &[ContactId]) -> Result<Vec<ContactKey>>;

    /// The accounts' secrets that a data key sealed, by id after `after`, at most `limit`.
    async fn secrets_under(
        &self,
        organization: OrganizationId,
        key: DataKeyId,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<SealedSecret>>;
    /// The jobs whose payload a data key sealed, by id after `after`, at most `limit`.
    async fn jobs_under(
        &self,
        organization: OrganizationId,
        key: DataKeyId,
        after: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<Job>>;
    /// The second factors that a data key sealed, by id after `after`, at most `limit`.
    async fn second_factors_under(
        &self,
        key: DataKeyId,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<SecondFactor>>;
    /// The steps of signing in that a data key sealed, by id after `after`, at most `limit`.
    async fn login_states_under(
        &self,
        key: DataKeyId,
        after: Option<LoginStateId>,
        limit: u32,
    ) -> Result<Vec<LoginState>>;
}
