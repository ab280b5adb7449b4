//! One store for two databases.

pub(crate) mod statement;
