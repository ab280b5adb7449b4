//! Floor 5: the doors. They open a unit, let a service verb decide, and commit once.

pub mod crm;
mod masked;
pub mod operation;
pub mod operations;
