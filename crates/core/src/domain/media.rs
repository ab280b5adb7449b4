//! Files that travel with messages.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{AccountId, ContactId, MediaId, OrganizationId};

/// A file with its bytes, on its way in or out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The file's name as its sender gave it, without any path.
    pub name: String,
    /// Media type (RFC 2046), for example `image/png`.
    pub media_type: String,
    /// The content.
    pub bytes: Bytes,
}

/// A stored file; its bytes lie in the object store under `organizations/{organization}/media/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Its id.
    pub id: MediaId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The file's name.
    pub name: String,
    /// Media type.
    pub media_type: String,
    /// Size in bytes.
    pub size: i64,
    /// The account whose messages carry it, which says who may read it; `None` while it is only uploaded.
    pub account_id: Option<AccountId>,
    /// The only contact that it came from or went to; `None` also if there were several.
    pub contact_id: Option<ContactId>,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
    /// When the newest message that carries it went, or is to go; when it was stored, if none went since.
    pub used_at: DateTime<Utc>,
}

/// A file as a message shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageMedia {
    /// The file.
    pub id: MediaId,
    /// Media type.
    #[serde(rename = "type")]
    pub media_type: String,
    /// Where its bytes are had: `/api/media/{id}`.
    pub url: String,
    /// Size in bytes.
    pub size: i64,
    /// The file's name.
    pub name: String,
}
