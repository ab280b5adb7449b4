//! A messenger account that a person works from.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    cipher::Place,
    domain::{data_key::Sealed, word::words},
    error::Result,
    id::{AccountId, DataKeyId, OrganizationId, UserId},
};

words! {
    /// How an account is doing.
    AccountStatus {
        /// Made, not yet tried.
        Pending = "pending",
        /// The connection is being made, or made again after a fault.
        Connecting = "connecting",
        /// The provider waits for a code.
        AwaitingCode = "awaiting_code",
        /// The provider waits for a password.
        AwaitingPassword = "awaiting_password",
        /// Live.
        Active = "active",
        /// The provider slows it down.
        Limited = "limited",
        /// Cut off: by its owner, or by credentials that no longer count.
        Disconnected = "disconnected",
        /// The provider closed it.
        Banned = "banned",
    }
}

words! {
    /// Whose account it is.
    AccountSource {
        /// The person's own.
        Own = "own",
        /// Bought on the market.
        Purchased = "purchased",
        /// Rented on the market.
        Rented = "rented",
    }
}

words! {
    /// Who may read the bodies of an account's messages; everybody else sees that the conversation exists.
    Visibility {
        /// The account's owner alone.
        Owner = "owner",
        /// The owner's teams.
        Team = "team",
        /// Everybody in the organisation who may read messages.
        Organization = "organization",
    }
}

/// A messenger account. Its secrets are elsewhere, sealed ([`SealedSecret`]).
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Whose it is.
    #[serde(skip)]
    pub organization_id: OrganizationId,
    /// The connector's platform, for example `email`.
    pub platform: String,
    /// What people call it.
    pub display_name: String,
    /// Its address at the provider, for example an e-mail address.
    pub handle: String,
    /// Who connected it.
    pub owner_id: Option<UserId>,
    /// Who may read its messages' bodies.
    pub visibility: Visibility,
    /// How it is doing.
    pub status: AccountStatus,
    /// Since when.
    pub status_since: DateTime<Utc>,
    /// Why, for people.
    pub status_reason: Option<String>,
    /// When the last synchronisation ended well.
    pub last_sync_at: Option<DateTime<Utc>>,
    /// Until when the provider wants nothing from us.
    pub flood_wait_until: Option<DateTime<Utc>>,
    /// Whose account it is.
    pub source: AccountSource,
    /// When a rented account goes back.
    pub lease_expires_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When people last edited it.
    pub updated_at: DateTime<Utc>,
    /// When it was removed. Its secrets are gone then; its chats stay, and connecting the same handle revives it.
    #[serde(skip)]
    pub deleted_at: Option<DateTime<Utc>>,
    /// Counts edits by people, from 1.
    pub version: i64,
}

/// How far the connector has synchronised; in the connector's own form, committed together with what it brought.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncCursor {
    /// The account.
    pub account_id: AccountId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The connector's own form.
    pub cursor: Value,
}

/// An account's secrets under the authenticated cipher.
#[derive(Clone, PartialEq)]
pub struct SealedSecret {
    /// The account.
    pub account_id: AccountId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Which data key sealed it.
    pub key_id: DataKeyId,
    /// Nonce and ciphertext.
    pub sealed: Vec<u8>,
}

impl SealedSecret {
    /// Where an account's secrets lie.
    pub fn place_of(organization: OrganizationId, account: AccountId) -> Place {
        Place::of_organization(organization, "account_secrets", "sealed", &account.to_string())
    }
}

impl Sealed for SealedSecret {
    fn place(&self) -> Place {
        Self::place_of(self.organization_id, self.account_id)
    }

    fn sealed(&self) -> Result<Option<(DataKeyId, Vec<u8>)>> {
        Ok(Some((self.key_id, self.sealed.clone())))
    }

    fn sealed_anew(&self, key_id: DataKeyId, sealed: Vec<u8>) -> Self {
        Self { key_id, sealed, ..self.clone() }
    }
}

/// A message that was seen and deliberately not taken in, with the reason.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SkippedMessage {
    /// The account that saw it.
    pub account_id: AccountId,
    /// Whose it is.
    #[serde(skip)]
    pub organization_id: OrganizationId,
    /// The provider's id of the message, or of its place.
    pub provider_id: String,
    /// Why it was not taken in.
    pub reason: String,
    /// When.
    pub skipped_at: DateTime<Utc>,
}
