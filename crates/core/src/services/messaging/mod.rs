//! Being built: the names that other rooms call.
use crate::{domain::message::Message, error::Result, id::*, services::unit::Unit};
pub(crate) async fn send_to_contact(_u: &mut Unit, _i: ContactId, _s: String) -> Result<Message> {
    Err(crate::Error::unsupported("not built yet"))
}
