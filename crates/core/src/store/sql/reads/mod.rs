//! The reads of the SQL store, one file a noun. A page is one SELECT along an index; nothing here writes, and nothing
//! here knows which of the two databases answers: every statement is the same text on both.

mod accounts;
mod activities;
mod analytics;
mod audit;
mod automation;
mod companies;
mod contacts;
mod deals;
mod fields;
mod identity;
mod in_stages;
mod jobs;
pub(super) mod list;
mod listing;
mod messages;
mod people;
mod pipelines;
#[cfg(test)]
mod plans;
mod privacy;
mod secrets;
mod select;
