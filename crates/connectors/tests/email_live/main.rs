//! The e-mail connector against a real Dovecot and a real Postfix, and against servers that misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod connect;
mod faults;
mod mailer;
mod send;
mod submission;
mod support;
mod sync;
