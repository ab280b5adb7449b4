#![doc = "The HTTP and real-time server of the Dealwright engine: [`app()`] turns an engine into an axum router."]

mod admit;
mod app;
pub mod body;
pub mod client;
pub mod config;
pub mod cookies;
pub mod docs;
pub mod doctor;
mod door;
mod frame;
mod guard;
mod in_flight;
pub mod limits;
pub mod metrics;
pub mod openapi;
pub mod origins;
pub mod parameters;
pub mod problem;
mod query;
mod realtime;
mod return_to;
pub mod route;
pub mod routes;
pub mod serve;
pub mod setup;
pub mod shell;
mod state;
pub mod tls;

pub use app::{Options, app};
