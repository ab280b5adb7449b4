//! Rules: what they are, what they may know, and what they want done.

mod cache;

pub(crate) use cache::RuleCache;
