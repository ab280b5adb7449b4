//! Being built: the names that other rooms call.
use crate::{domain::contact::Contact, error::Result, id::ContactId, services::unit::Unit};
/// Which contact.
#[derive(serde::Deserialize)]
pub struct UpdateContact {
    /// Which one.
    pub id: ContactId,
}
pub(crate) async fn find(_u: &mut Unit, _i: ContactId) -> Result<Option<Contact>> {
    Err(crate::Error::unsupported("not built yet"))
}
pub(crate) async fn contact(_u: &mut Unit, _i: ContactId) -> Result<Contact> {
    Err(crate::Error::unsupported("not built yet"))
}
pub(crate) async fn change(
    _u: &mut Unit,
    _i: ContactId,
    _f: impl FnOnce(&mut Contact) -> Result<()>,
) -> Result<Contact> {
    Err(crate::Error::unsupported("not built yet"))
}
pub(crate) async fn set_score(_u: &mut Unit, _i: ContactId, _s: i64) -> Result<()> {
    Err(crate::Error::unsupported("not built yet"))
}
pub(crate) async fn update(_u: &mut Unit, _i: UpdateContact) -> Result<Contact> {
    Err(crate::Error::unsupported("not built yet"))
}
