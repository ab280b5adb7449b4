//! What an account signs in with, sealed at rest and bound to its organisation and account.

use crate::{
    cipher::Place,
    domain::account::{Account, SealedSecret},
    engine::Engine,
    error::{Error, Result},
    id::{AccountId, OrganizationId},
    ports::connector::Credentials,
};

fn place(organization: OrganizationId, account: AccountId) -> Place {
    Place::of_organization(organization, "account_secrets", "sealed", &account.to_string())
}

/// Seals credentials for the row of their account.
pub(super) fn seal(
    engine: &Engine,
    organization_id: OrganizationId,
    account_id: AccountId,
    credentials: &Credentials,
) -> Result<SealedSecret> {
    let plain =
        serde_json::to_vec(&credentials.0).map_err(|e| Error::internal("credentials are no JSON").with_source(e))?;
    let (key_id, sealed) = engine.cipher.seal(&engine.env, &place(organization_id, account_id), &plain)?;
    Ok(SealedSecret { account_id, organization_id, key_id, sealed })
}

/// An account's credentials.
///
/// # Errors
/// A conflict `no_credentials` if it has none; `internal` if they do not open.
pub(crate) async fn open(engine: &Engine, account: &Account) -> Result<Credentials> {
    let secret = engine.store.account_secret(account.organization_id, account.id).await?;
    let secret = secret.ok_or_else(|| {
        Error::conflict("no_credentials", format!("{} has no credentials any more: connect it again", account.handle))
    })?;
    let plain = engine.cipher.open(&place(account.organization_id, account.id), &secret.key_id, &secret.sealed)?;
    let value =
        serde_json::from_slice(&plain).map_err(|e| Error::internal("credentials are no JSON").with_source(e))?;
    Ok(Credentials(value))
}
