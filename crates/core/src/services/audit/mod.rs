//! The audit log: who did what to what, from where. Entries are made where a unit is committed (`entries`), sealed a
//! little later (`seal`) and looked at here. Nobody changes them.

mod entries;
mod list;
mod objects;
mod seal;
mod verify;

pub(crate) use self::{
    entries::{tell, tell_clearing, tell_failure, tell_reading},
    list::list,
    seal::seal_next,
    verify::verify,
};
pub use self::{
    list::{AuditActor, AuditView, ListAudit},
    verify::{AuditFault, AuditFaultKind, AuditVerification},
};
