//! What an account signs in with, sealed at rest and bound to its organisation and account.

use zeroize::Zeroizing;

use crate::{
    domain::account::{Account, SealedSecret},
    engine::Engine,
    error::{Error, Result},
    id::AccountId,
    ports::connector::Credentials,
    services::{unit::Unit, vault},
};

/// Seals credentials for the row of their account.
pub(super) async fn seal(unit: &mut Unit, account_id: AccountId, credentials: &Credentials) -> Result<SealedSecret> {
    let organization_id = unit.organization_id();
    let plain =
        serde_json::to_vec(&credentials.0).map_err(|e| Error::internal("credentials are no JSON").with_source(e))?;
    let plain = Zeroizing::new(plain);
    let (key_id, sealed) = vault::seal(unit, &SealedSecret::place_of(organization_id, account_id), &plain).await?;
    Ok(SealedSecret { account_id, organization_id, key_id, sealed })
}

/// An account's credentials.
///
/// # Errors
/// A conflict `no_credentials` if it has none; `internal` if they do not open.
pub(crate) async fn open(engine: &Engine, account: &Account) -> Result<Credentials> {
    let secret = engine.store.account_secret(account.organization_id, account.id).await?;
    let (secret, key) = secret.ok_or_else(|| {
        Error::conflict("no_credentials", format!("{} has no credentials any more: connect it again", account.handle))
    })?;
    let place = SealedSecret::place_of(account.organization_id, account.id);
    let plain = engine.vault.open(&key, &place, &secret.sealed)?;
    let value =
        serde_json::from_slice(&plain).map_err(|e| Error::internal("credentials are no JSON").with_source(e))?;
    Ok(Credentials(value))
}
