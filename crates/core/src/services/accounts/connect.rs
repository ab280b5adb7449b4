//! Connecting an account: a live check of what a person entered, before the unit; then the account, its sealed secrets
//! and the work item by which somebody holds its connection, in one commit.

use std::{fmt, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AccountView, secrets};
use crate::{
    domain::{
        account::{Account, AccountSource, AccountStatus, Visibility},
        event::EventKind,
        job::Lane,
        text,
    },
    engine::Engine,
    error::{Error, Result},
    ports::{
        connector::{Capabilities, Connected},
        store::Write,
    },
    scope::Scope,
    services::unit::Unit,
};

/// What a person enters to connect an account.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct ConnectAccount {
    /// The platform, for example `email`.
    pub platform: String,
    /// Who may read the bodies of its messages; everybody in the organisation if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// What the platform asks for. E-mail: `email, display_name?, imap{…}, smtp{…}`.
    #[serde(flatten)]
    pub settings: Map<String, Value>,
}

impl fmt::Debug for ConnectAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectAccount").field("platform", &self.platform).finish_non_exhaustive()
    }
}

/// A connected account.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ConnectedAccount {
    /// The account.
    pub account: AccountView,
    /// What the provider asks for next (`{"step": "code", …}`); `null`: nothing.
    pub next: Option<Value>,
}

/// What the live check has found good.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    platform: String,
    visibility: Option<Visibility>,
    capabilities: Capabilities,
    connected: Connected,
}

/// Checks live what was entered.
pub(crate) async fn check(engine: &Arc<Engine>, _: &Scope, input: ConnectAccount) -> Result<Checked> {
    let connector = engine.connector(&input.platform)?;
    let connected = connector.connect(&input.settings).await?;
    Ok(Checked {
        platform: input.platform,
        visibility: input.visibility,
        capabilities: connector.capabilities(),
        connected,
    })
}

/// Stores a checked account. The same handle connected again is refused, unless the account is cut off or removed: then
/// it is the same account with new secrets, which knows the messages it had.
pub(crate) async fn connect(unit: &mut Unit, checked: Checked) -> Result<ConnectedAccount> {
    let organization = unit.organization_id();
    let handle = text::salvage_line(&checked.connected.handle, HANDLE_LIMIT)
        .ok_or_else(|| Error::internal(format!("the connector {} answered no handle", checked.platform)))?;
    let known = unit.store().account_by_handle(organization, &checked.platform, &handle).await?;
    let account = match known {
        None => begin(unit, &checked, handle)?,
        Some(account) => revive(unit, account, &checked)?,
    };
    let secret = secrets::seal(unit, account.id, &checked.connected.credentials).await?;
    unit.note(Write::put(&secret))?;
    if checked.capabilities.receive {
        let now = unit.now();
        unit.plant(Lane::Account, account.id, now);
    }
    Ok(ConnectedAccount { account: AccountView::of(account, None), next: None })
}

/// Longest handle that is kept; an e-mail address has at most 254 characters (RFC 5321, 4.5.3.1.3).
const HANDLE_LIMIT: usize = 320;

fn begin(unit: &mut Unit, checked: &Checked, handle: String) -> Result<Account> {
    let now = unit.now();
    let account = Account {
        id: unit.id()?,
        organization_id: unit.organization_id(),
        platform: checked.platform.clone(),
        display_name: display_name(checked, &handle),
        handle,
        owner_id: unit.scope().user_id(),
        visibility: checked.visibility.unwrap_or(Visibility::Organization),
        status: first_status(checked),
        status_since: now,
        status_reason: None,
        last_sync_at: None,
        flood_wait_until: None,
        source: AccountSource::Own,
        lease_expires_at: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
        version: 1,
    };
    unit.fact(EventKind::AccountConnected, account.id)?.changes(None, &account).insert(&account);
    Ok(account)
}

fn revive(unit: &mut Unit, before: Account, checked: &Checked) -> Result<Account> {
    let exists = || {
        Error::conflict(
            "account_exists",
            format!("{} is connected already: use that account", checked.connected.handle),
        )
        .with_details(serde_json::json!({ "account_id": before.id }))
    };
    if before.deleted_at.is_none() && before.status != AccountStatus::Disconnected {
        return Err(exists());
    }
    let now = unit.now();
    let mut after = before.clone();
    after.status = first_status(checked);
    after.status_since = now;
    after.status_reason = None;
    after.flood_wait_until = None;
    after.display_name = display_name(checked, &before.handle);
    after.updated_at = now;
    if let Some(visibility) = checked.visibility {
        after.visibility = visibility;
    }
    if before.deleted_at.is_some() {
        // Whoever brings a removed account back, which takes its credentials, owns it.
        after.deleted_at = None;
        after.owner_id = unit.scope().user_id();
    }
    unit.meet(before.clone())?;
    let (_, after) =
        unit.fact(EventKind::AccountConnected, before.id)?.changes(Some(&before), &after).edit(&before, &after)?;
    Ok(after)
}

/// An account whose messages come in by a live connection waits for somebody to hold it; another one works at once.
fn first_status(checked: &Checked) -> AccountStatus {
    if checked.capabilities.receive { AccountStatus::Pending } else { AccountStatus::Active }
}

fn display_name(checked: &Checked, handle: &str) -> String {
    let name = text::salvage_name(&checked.connected.display_name);
    name.unwrap_or_else(|| handle.chars().take(text::MAX_NAME).collect())
}
