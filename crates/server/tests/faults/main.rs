//! The world breaks: at each step between the engine and PostgreSQL, IMAP, SMTP; at the end of the disk; in its clock.
//! Afterwards everything is counted: nothing lost, nothing doubled, nothing stuck.
//!
//! Where there are many steps a part of them is tried; `DEALWRIGHT_FAULTS=all` tries each, `DEALWRIGHT_FAULT=Refuse` one
//! kind of fault to PostgreSQL alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod disk;
mod mail;
mod postgres;
mod steps;
