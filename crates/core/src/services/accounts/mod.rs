//! Messenger accounts: connecting, watching, editing and removing them. Secrets come in here and go out to connectors
//! only; what travels over an account is the business of `services/messaging`.

mod connect;
mod manage;
mod secrets;
mod status;
mod view;

pub use self::{
    connect::{ConnectAccount, ConnectedAccount},
    manage::{AccountPatch, ListAccounts, UpdateAccount},
    view::{AccountStatusView, AccountView, Usage},
};
pub(crate) use self::{
    connect::{check, connect},
    manage::{delete, get, give, list, reconnect, status, update},
    secrets::open,
    status::report,
};

use crate::{
    domain::account::{Account, Visibility},
    error::{Error, Result},
    id::AccountId,
    ports::store::Column,
    scope::{Role, Scope},
    services::unit::Unit,
};

/// An account of the organisation, removed or not, as this unit knows it.
pub(crate) async fn find(unit: &mut Unit, id: AccountId) -> Result<Account> {
    let missing = || Error::not_found("account", id);
    let key = [unit.organization_id().to_value(), id.to_value()];
    if let Some(known) = unit.known::<Account>(&key)? {
        return known.ok_or_else(missing);
    }
    let account = unit.store().account(unit.organization_id(), id).await?.ok_or_else(missing)?;
    unit.meet(account)?.ok_or_else(missing)
}

/// An account that is not removed.
pub(crate) async fn account(unit: &mut Unit, id: AccountId) -> Result<Account> {
    let account = find(unit, id).await?;
    if account.deleted_at.is_some() {
        return Err(Error::not_found("account", id));
    }
    Ok(account)
}

/// Whether the caller may read the bodies of an account's messages. Until there are teams, `team` is the owner alone:
/// what cannot be told is not shown.
pub(crate) fn may_read(scope: &Scope, account: &Account) -> bool {
    may_read_as(scope, account.owner_id, account.visibility)
}

/// The same from what an inbox row carries.
pub(crate) fn may_read_as(scope: &Scope, owner: Option<crate::id::UserId>, visibility: Visibility) -> bool {
    match (scope.user_id(), visibility) {
        // Rules, accounts and the engine itself.
        (None, _) | (_, Visibility::Organization) => true,
        (Some(user), Visibility::Team | Visibility::Owner) => owner == Some(user),
    }
}

/// Fails unless the caller may speak through the account: nobody speaks through somebody else's private one.
pub(crate) fn require_use(scope: &Scope, account: &Account) -> Result<()> {
    match scope.user_id() {
        Some(user) if account.visibility == Visibility::Owner && account.owner_id != Some(user) => {
            Err(Error::forbidden(format!(
                "{} is somebody else's private account: only its owner writes from it",
                account.handle
            )))
        }
        _ => Ok(()),
    }
}

/// Fails unless the caller may edit or remove the account: its owner, and admins of the organisation.
fn require_ownership(scope: &Scope, account: &Account) -> Result<()> {
    match (scope.user_id(), scope.role) {
        (Some(user), _) if account.owner_id == Some(user) => Ok(()),
        (None, _) | (_, Some(Role::Admin | Role::Owner)) => Ok(()),
        _ => Err(Error::forbidden(format!(
            "{} is somebody else's account: its owner or an admin of the organisation may do this",
            account.handle
        ))),
    }
}
