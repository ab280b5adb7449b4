//! Custom fields and external ids: their definitions, and what contacts, companies and deals do with them alike.

mod definitions;
mod values;

pub use self::definitions::{DeleteField, FieldPatch, ListFields, NewField, UpdateField};
pub(crate) use self::{
    definitions::{create, delete, get, list, of, update},
    values::{
        Naming, Rows, Side, apply_custom, apply_external_ids, check_custom, drop_misfits, external_key, holder,
        holders, naming, raced,
    },
};
