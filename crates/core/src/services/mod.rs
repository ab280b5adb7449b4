//! Floor 3: what the system decides, one room a system. A verb works on a [`unit::Unit`] and never commits.

pub mod accounts;
pub mod activities;
pub mod analytics;
pub mod audit;
pub mod automation;
pub mod batch;
pub(crate) mod commit;
pub mod companies;
pub mod contacts;
pub mod deals;
pub mod fields;
pub(crate) mod idempotency;
pub mod identity;
pub mod jobs;
pub mod listing;
pub(crate) mod mail;
pub mod media;
pub mod messaging;
pub mod notifications;
pub mod organization;
pub mod pipeline;
pub mod privacy;
pub mod profile;
pub mod team;
pub mod unit;
pub mod vault;
