//! How large a declarative rule may be. Each bound keeps a rule that somebody saves from costing everybody else.

/// Levels of `all`, `any` and `not`.
pub(super) const DEPTH: usize = dealwright::ports::store::CONDITION_DEPTH;
/// Values that a condition compares with; each item of a list counts.
pub(super) const COMPARISONS: usize = 200;
/// Actions, after lists of tags are taken apart.
pub(super) const ACTIONS: usize = 50;
/// Characters of a text that a fact is compared with.
pub(super) const OPERAND: usize = 1000;
/// Characters of a text that is searched for, and of a regular expression. Both are compiled.
pub(super) const PATTERN: usize = 200;
/// Bytes of a compiled regular expression, and again of its cache (the `regex` crate's `size_limit` and
/// `dfa_size_limit`): counted repetition makes a large one of a short text.
pub(super) const COMPILED_EXPRESSION: usize = 256 * 1024;
/// The same for the texts of one search. They only grow with what was written, so a list of 200 words fits.
pub(super) const COMPILED_TEXTS: usize = 2 * 1024 * 1024;
/// Characters of a contact's name or source, and of a tag.
pub(super) const NAME: usize = 200;
/// Characters of a notification.
pub(super) const NOTIFICATION: usize = 1000;
/// Characters of a message.
pub(super) const MESSAGE: usize = 10_000;
/// Characters of a cron expression.
pub(super) const CRON: usize = 100;
/// Ten years: what a timer may wait.
pub(super) const HOURS: f64 = 87_660.0;
