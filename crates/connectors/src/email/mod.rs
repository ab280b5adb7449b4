//! E-mail: one mailbox an account, read over IMAP, written over SMTP.

mod address;
mod automatic;
mod compose;
mod mime;
mod provider_id;
mod settings;
mod threading;

/// The platform's name in SQL, JSON and URLs.
pub const PLATFORM: &str = "email";
