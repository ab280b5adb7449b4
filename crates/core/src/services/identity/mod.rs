//! Credential → scope: people, organisations, sessions, tokens. One of the two rooms that read the global tables.

use crate::doors::crm::Crm;

/// Organisations and their members, in the system's scope.
#[derive(Debug, Clone, Copy)]
pub struct Organizations<'c>(pub(crate) &'c Crm);
