//! Being built: the names that other rooms call.
use crate::{domain::contact::Contact, error::Result, id::*, services::unit::Unit};
pub(crate) async fn move_contact(_u: &mut Unit, _i: ContactId, _s: StageId, _r: Option<String>) -> Result<Contact> {
    Err(crate::Error::unsupported("not built yet"))
}
