#![doc = "The HTTP and real-time server of the Dealwright engine: [`app`] turns an engine into an axum router."]

mod app;
pub mod body;
mod door;
mod frame;
mod in_flight;
pub mod openapi;
pub mod parameters;
pub mod problem;
mod query;
pub mod route;
pub mod routes;
pub mod shell;
mod state;

pub use app::{Options, app};
