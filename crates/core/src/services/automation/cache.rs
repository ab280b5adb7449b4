//! Rules held ready, by organisation.

/// Rules held ready, by organisation.
#[derive(Debug, Default)]
pub(crate) struct RuleCache;
