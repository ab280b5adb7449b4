//! Floor 2: what the engine asks of the outside. Traits here are what a product plugs in.

pub mod connector;
pub mod limiter;
pub mod mailer;
pub mod rule_engine;
pub mod sign_in_provider;
pub mod store;
