//! Secrets that people are sent by mail, to show that they read what is sent to an address.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::{domain::word::words, id::UserId};

words! {
    /// What a mailed secret is for.
    MailPurpose {
        /// Showing that an address is one's own.
        VerifyEmail = "verify_email",
        /// Choosing a new password.
        ResetPassword = "reset_password",
    }
}

/// A secret that somebody was sent. Of one purpose each person has one: the newest.
#[derive(Clone, PartialEq)]
pub struct MailToken {
    /// Whose it is.
    pub user_id: UserId,
    /// What for.
    pub purpose: MailPurpose,
    /// SHA-256 of it.
    pub token_hash: Vec<u8>,
    /// The address that it was sent to.
    pub email: String,
    /// Until when it counts.
    pub expires_at: DateTime<Utc>,
    /// When it was used.
    pub used_at: Option<DateTime<Utc>>,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
}

impl MailToken {
    /// What is kept of a token.
    pub fn hash(token: &str) -> Vec<u8> {
        Sha256::digest(token.trim().as_bytes()).to_vec()
    }
}
