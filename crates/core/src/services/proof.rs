//! Proof, given just now, of who is there: asked for before what lets somebody in for good (OWASP ASVS 5.0, 7.5.1). Whoever
//! has taken over a session that stands does not have it.

use crate::{
    error::{Error, Result},
    services::unit::Unit,
};

/// Fails unless whoever asks has shown who they are just now. Who has no session is not asked: the process that embeds the
/// engine, which answers for whom it lets in.
///
/// # Errors
/// `step_up_required` (forbidden).
pub(crate) async fn require_fresh(unit: &Unit) -> Result<()> {
    let Some(id) = unit.scope().session_id else { return Ok(()) };
    match unit.store().session(id).await? {
        Some(session) if session.is_fresh(unit.now()) => Ok(()),
        _ => {
            let message = "it is more than ten minutes ago that you have shown who you are: send a code of your \
                           authenticator application, or your password, to /api/auth/step-up, or sign in again";
            Err(Error::forbidden(message).code_of("step_up_required"))
        }
    }
}
