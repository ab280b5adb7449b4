use crate::{domain::job::*, engine::Engine, error::Result};
use std::sync::Arc;
pub(super) async fn send_message(_e: &Arc<Engine>, _c: &Claim, _j: &Job) -> Result<()> {
    Err(crate::Error::unsupported("not built yet"))
}
pub(super) async fn settle_message(_e: &Arc<Engine>, _c: &Claim, _j: &Job) -> Result<()> {
    Err(crate::Error::unsupported("not built yet"))
}
