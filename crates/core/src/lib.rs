#![doc = "The Dealwright engine: an embeddable CRM for business development."]

mod bell;
pub mod cipher;
pub mod domain;
mod doors;
mod engine;
pub mod env;
pub mod error;
pub mod id;
mod input;
pub mod limiter;
pub mod page;
pub mod patch;
pub mod ports;
pub mod runtime;
pub mod scope;
pub mod services;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use doors::{
    crm::{Answer, Crm, CrmBuilder, Handle},
    operation::{Effect, Operation, OutputKind, operation, operations},
    operations as handles,
};
pub use engine::Registry;
pub use error::{Error, ErrorKind, Result};
pub use input::{has_control, read_input, refuse_control};
