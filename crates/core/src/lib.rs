#![doc = "The Dealwright engine: an embeddable CRM for business development."]

pub mod domain;
pub mod env;
pub mod error;
pub mod id;
pub mod page;
pub mod ports;
pub mod scope;
pub mod store;

pub use error::{Error, ErrorKind, Result};
