//! What is held about one person: told as a whole (`export`), and taken away for good (`erase`). Both walk the same
//! sections, so that nothing is erased that is not told, and the reverse. And how long things are kept (`retention`). May
//! call contacts, companies, deals, media, jobs, audit.

mod clear;
mod erase;
mod export;
pub(crate) mod retention;
mod sections;

pub(crate) use self::{
    erase::{Turn, drop_files, erase, step},
    export::export,
};
pub use self::{
    export::{ContactExport, ExportContact},
    retention::{RetentionProgress, RetentionView},
    sections::Section,
};
