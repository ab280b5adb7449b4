//! Floor 1: one file a noun. Types and their invariants; no async, no I/O.

pub mod account;
pub mod media;
pub mod rule;
pub(crate) mod word;
