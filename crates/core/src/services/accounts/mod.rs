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

use std::collections::HashSet;

use crate::{
    domain::account::{Account, Visibility},
    error::{Error, Result},
    id::{AccountId, TeamId, UserId},
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

/// Whose messages the caller may read: asked once for all accounts at hand.
pub(crate) struct Reader {
    /// Rules, accounts and the engine itself read everything.
    internal: bool,
    /// The person who asks. A key of the organisation is nobody: whoever made it may not read what is others' own either.
    person: Option<UserId>,
    /// Those of the owners who are in a team with the caller.
    colleagues: HashSet<UserId>,
}

impl Reader {
    /// Whether the bodies of an account's messages are shown to the caller.
    pub(crate) fn may_read(&self, owner: Option<UserId>, visibility: Visibility) -> bool {
        let own = owner.is_some() && owner == self.person;
        match visibility {
            _ if self.internal => true,
            Visibility::Organization => true,
            Visibility::Owner => own,
            Visibility::Team => own || owner.is_some_and(|owner| self.colleagues.contains(&owner)),
        }
    }
}

/// The caller as a reader of accounts with these owners and visibilities. Where one is shown to its owner's teams, these
/// are read: once, however many there are.
pub(crate) async fn reader(unit: &Unit, accounts: &[(Option<UserId>, Visibility)]) -> Result<Reader> {
    let scope = unit.scope();
    let mut reader = Reader { internal: scope.is_internal(), person: scope.person, colleagues: HashSet::new() };
    let Some(caller) = scope.person else { return Ok(reader) };
    let for_teams = accounts.iter().filter(|(_, visibility)| *visibility == Visibility::Team);
    let others: HashSet<UserId> = for_teams.filter_map(|(owner, _)| *owner).filter(|owner| *owner != caller).collect();
    if others.is_empty() {
        return Ok(reader);
    }
    let asked: Vec<_> = others.into_iter().chain([caller]).collect();
    let places = unit.store().teams_of(unit.organization_id(), &asked).await?;
    let own: HashSet<TeamId> = places.iter().filter(|(user, _)| *user == caller).map(|(_, team)| *team).collect();
    reader.colleagues = places.into_iter().filter(|(_, team)| own.contains(team)).map(|(user, _)| user).collect();
    Ok(reader)
}

/// Whether the caller may read the bodies of an account's messages.
pub(crate) async fn may_read(unit: &Unit, account: &Account) -> Result<bool> {
    let (owner, visibility) = (account.owner_id, account.visibility);
    Ok(reader(unit, &[(owner, visibility)]).await?.may_read(owner, visibility))
}

/// Whether the account belongs to the person who asks.
fn is_own(scope: &Scope, owner: Option<UserId>) -> bool {
    owner.is_some() && owner == scope.person
}

/// Which of several listeners may read the bodies of an account's messages: what their teams are is read once for all.
pub(crate) async fn shown_to(unit: &Unit, account: &Account, listeners: &[Scope]) -> Result<Vec<bool>> {
    let mut colleagues = HashSet::new();
    if let (Some(owner), Visibility::Team) = (account.owner_id, account.visibility) {
        let asked: HashSet<UserId> = listeners.iter().filter_map(|it| it.person).chain([owner]).collect();
        let places = unit.store().teams_of(unit.organization_id(), &asked.into_iter().collect::<Vec<_>>()).await?;
        let teams: HashSet<TeamId> = places.iter().filter(|(user, _)| *user == owner).map(|(_, team)| *team).collect();
        colleagues.extend(places.into_iter().filter(|(_, team)| teams.contains(team)).map(|(user, _)| user));
    }
    let shown = |listener: &Scope| {
        listener.is_internal()
            || account.visibility == Visibility::Organization
            || is_own(listener, account.owner_id)
            || listener.person.is_some_and(|person| colleagues.contains(&person))
    };
    Ok(listeners.iter().map(shown).collect())
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
