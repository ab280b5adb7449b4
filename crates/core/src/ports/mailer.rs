//! The port to a mail server: the mails that the engine itself writes, such as invitations. Messages to contacts go out
//! through a [`Connector`](super::connector::Connector).

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::error::Result;

/// One mail of our own. Its text may hold a secret, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The address of whom it is for.
    pub to: String,
    /// Their name.
    pub to_name: Option<String>,
    /// What it is about, in one line.
    pub subject: String,
    /// What it says, as plain text.
    pub text: String,
    /// What it is known by, one word, the same at every try: mail servers recognise a mail that comes twice by it.
    pub reference: String,
    /// When it is said to be written, the same at every try.
    pub written_at: DateTime<Utc>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("to", &self.to).field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Where our own mails go out.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands a mail over. It is called again, with the same mail, if it fails for now.
    ///
    /// # Errors
    /// `unavailable` or `rate_limited` if another try may help, also where nobody knows whether the mail was taken; any
    /// other kind if it never will be.
    async fn send(&self, mail: &Mail) -> Result<()>;
}
