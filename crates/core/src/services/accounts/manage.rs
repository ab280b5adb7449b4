//! Listing, watching, editing and removing accounts.

use std::collections::HashMap;

use chrono::NaiveTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccountStatusView, AccountView, Usage, account, require_ownership};
use crate::{
    domain::{
        account::{Account, AccountStatus, SealedSecret, Visibility},
        event::EventKind,
        job::Lane,
        text::{self, Flaws},
    },
    error::{Error, ErrorKind, Result},
    id::{AccountId, Id, UserId},
    page::{Page, PageRequest},
    patch::Patch,
    ports::store::{Column, Write},
    services::unit::{Unit, Versioned, check_version},
};

/// How many of the messages that were not taken in a status shows.
const SKIPPED_SHOWN: u32 = 20;

/// Which accounts.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListAccounts {
    /// On this platform.
    pub platform: Option<String>,
    /// Items a page, 1…200.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A change of an account.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccountPatch {
    /// What people call it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub display_name: Patch<String>,
    /// Who may read the bodies of its messages.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub visibility: Patch<Visibility>,
}

/// Which account, and its change.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateAccount {
    /// Which one.
    pub id: AccountId,
    /// Its change.
    pub patch: AccountPatch,
    /// Only if it still has this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_version: Option<i64>,
}

pub(crate) async fn list(unit: &mut Unit, input: ListAccounts) -> Result<Page<AccountView>> {
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    let organization = unit.organization_id();
    let accounts = unit.store().accounts(organization, input.platform.as_deref(), &page).await?;
    let ids: Vec<_> = accounts.data.iter().map(|it| it.id).collect();
    let usage = usage_today(unit, &ids).await?;
    Ok(accounts.map(|it| {
        let used = usage.get(&it.id).copied().unwrap_or_default();
        AccountView::of(it, Some(used))
    }))
}

pub(crate) async fn get(unit: &mut Unit, id: AccountId) -> Result<AccountView> {
    let account = account(unit, id).await?;
    let usage = usage_today(unit, &[id]).await?.remove(&id).unwrap_or_default();
    Ok(AccountView::of(account, Some(usage)))
}

/// What went over accounts since midnight UTC; one over which nothing went is left out.
async fn usage_today(unit: &Unit, accounts: &[AccountId]) -> Result<HashMap<AccountId, Usage>> {
    let midnight = unit.now().date_naive().and_time(NaiveTime::MIN).and_utc();
    // All of them: it is the account that providers count.
    let sent = unit.whole_store().sent_since(unit.organization_id(), accounts, midnight).await?;
    Ok(sent.into_iter().map(|(account, messages_sent)| (account, Usage { messages_sent })).collect())
}

pub(crate) async fn status(unit: &mut Unit, id: AccountId) -> Result<AccountStatusView> {
    let account = account(unit, id).await?;
    let usage = usage_today(unit, &[id]).await?.remove(&id).unwrap_or_default();
    let skipped = unit.store().skipped_messages(unit.organization_id(), id, SKIPPED_SHOWN).await?;
    Ok(AccountStatusView {
        status: account.status,
        since: account.status_since,
        reason: account.status_reason,
        last_sync_at: account.last_sync_at,
        flood_wait_until: account.flood_wait_until,
        limits: None,
        usage,
        skipped,
    })
}

pub(crate) async fn update(unit: &mut Unit, input: UpdateAccount) -> Result<AccountView> {
    let before = account(unit, input.id).await?;
    require_ownership(unit.scope(), &before)?;
    check_version("account", input.if_version, before.version)?;
    let mut after = before.clone();
    let mut flaws = Flaws::default();
    if let Some(name) = flaws.given("/display_name", input.patch.display_name) {
        after.display_name = flaws.take("/display_name", text::name(&name)).unwrap_or_default();
    }
    after.visibility = flaws.given("/visibility", input.patch.visibility).unwrap_or(after.visibility);
    flaws.end()?;
    if after == before {
        return Ok(AccountView::of(after, None));
    }
    after.updated_at = unit.now();
    let (_, after) =
        unit.fact(EventKind::AccountUpdated, before.id)?.changes(Some(&before), &after).edit(&before, &after)?;
    Ok(AccountView::of(after, None))
}

/// Gives an account to somebody, or to nobody: then admins look after it, and nobody reads what was for its owner.
pub(crate) fn give(unit: &mut Unit, account: Account, to: Option<UserId>) -> Result<()> {
    let Some(before) = unit.meet(account)? else { return Ok(()) };
    let after = Account { owner_id: to, updated_at: unit.now(), ..before.clone() };
    unit.fact(EventKind::AccountUpdated, before.id)?.changes(Some(&before), &after).edit(&before, &after)?;
    Ok(())
}

/// Removes an account: its connection ends, its secrets go, its chats stay.
pub(crate) async fn delete(unit: &mut Unit, input: Versioned<AccountId>) -> Result<()> {
    let id = input.id;
    let before = account(unit, id).await?;
    require_ownership(unit.scope(), &before)?;
    check_version("account", input.if_version, before.version)?;
    let now = unit.now();
    let mut after = before.clone();
    after.deleted_at = Some(now);
    after.updated_at = now;
    after.status = AccountStatus::Disconnected;
    after.status_since = now;
    after.status_reason = Some("removed".to_owned());
    let (fact, _) = unit.fact(EventKind::AccountDeleted, id)?.changes(Some(&before), &after).edit(&before, &after)?;
    fact.write(forget_secret(&before));
    // Whoever holds the connection loses it with the next commit or renewal.
    unit.batch.uproot(Lane::Account, id.uuid());
    Ok(())
}

fn forget_secret(account: &Account) -> Write {
    let filter = vec![("organization_id", account.organization_id.to_value()), ("account_id", account.id.to_value())];
    Write::delete_all::<SealedSecret>(filter)
}

/// Tries again with the credentials that an account has: for one that was cut off by a fault at the provider.
pub(crate) async fn reconnect(unit: &mut Unit, id: AccountId) -> Result<AccountView> {
    let before = account(unit, id).await?;
    require_ownership(unit.scope(), &before)?;
    if !unit.engine().connector(&before.platform)?.capabilities().receive {
        return Err(Error::new(ErrorKind::Unsupported, format!("{} holds no live connections", before.platform)));
    }
    if unit.store().account_secret(unit.organization_id(), id).await?.is_none() {
        let message = format!("{} has no credentials any more: connect it again", before.handle);
        return Err(Error::conflict("no_credentials", message));
    }
    if before.status == AccountStatus::Disconnected {
        super::report(unit, id, AccountStatus::Pending, None).await?;
    }
    let now = unit.now();
    unit.plant(Lane::Account, id, now);
    Ok(AccountView::of(account(unit, id).await?, None))
}
