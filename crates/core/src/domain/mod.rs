//! Floor 1: one file a noun. Types and their invariants; no async, no I/O.

pub mod account;
pub mod chat;
pub mod company;
pub mod contact;
pub mod currency;
pub mod custom_field;
pub mod deal;
pub mod event;
pub mod external_id;
pub mod fact_path;
pub mod job;
pub mod mail_token;
pub mod media;
pub mod message;
pub mod money;
pub mod note;
pub mod notification;
pub mod organization;
pub mod pipeline;
pub mod rule;
pub mod run;
pub mod task;
pub mod team;
pub mod template;
pub mod text;
pub(crate) mod word;
