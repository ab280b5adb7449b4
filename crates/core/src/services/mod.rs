//! Floor 3: what the system decides, one room a system. A verb works on a [`unit::Unit`] and never commits.

pub mod automation;
pub mod identity;
pub mod profile;
pub mod unit;
