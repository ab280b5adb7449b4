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
    manage::{delete, get, list, reconnect, status, update},
    secrets::open,
    status::report,
};

use crate::{
    domain::account::{Account, Visibility},
    error::{Error, Result},
    id::{AccountId, UserId},
    ports::store::Column,
    scope::{Permission, Resource, Scope},
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
pub(crate) fn may_read_as(scope: &Scope, owner: Option<UserId>, visibility: Visibility) -> bool {
    match visibility {
        Visibility::Organization => true,
        Visibility::Team | Visibility::Owner => scope.is_internal() || is_own(scope, owner),
    }
}

/// Whether the account belongs to the person who asks. A key of the organisation is nobody: whoever made it may not read
/// what is others' own either.
fn is_own(scope: &Scope, owner: Option<UserId>) -> bool {
    owner.is_some() && owner == scope.person
}

/// Fails unless the caller may speak through the account: nobody speaks through somebody else's private one.
pub(crate) fn require_use(scope: &Scope, account: &Account) -> Result<()> {
    if account.visibility != Visibility::Owner || scope.is_internal() || is_own(scope, account.owner_id) {
        return Ok(());
    }
    Err(Error::forbidden(format!(
        "{} is somebody else's private account: only its owner writes from it",
        account.handle
    )))
}

/// Fails unless the caller may edit or remove the account: its owner, and whoever manages the organisation.
fn require_ownership(scope: &Scope, account: &Account) -> Result<()> {
    let manages = scope.permissions.contains(Permission::write(Resource::Organization));
    // A key of the organisation that may write accounts may write all of its accounts.
    if scope.user_id().is_none() || manages || is_own(scope, account.owner_id) {
        return Ok(());
    }
    Err(Error::forbidden(format!(
        "{} is somebody else's account: its owner or an admin of the organisation may do this",
        account.handle
    )))
}
