//! How an account is doing, as its connection and its sends find out.

use crate::{
    domain::{
        account::AccountStatus,
        event::EventKind,
        text::{MAX_REMARK, salvage_line},
    },
    error::Result,
    id::AccountId,
    ports::store::Update,
    services::unit::Unit,
};

/// Records how an account is doing. An event is stated only if its status changes; a new reason for the same status is
/// noted.
pub(crate) async fn report(
    unit: &mut Unit,
    id: AccountId,
    status: AccountStatus,
    reason: Option<String>,
) -> Result<()> {
    let account = super::account(unit, id).await?;
    let reason = reason.and_then(|it| salvage_line(&it, MAX_REMARK));
    if account.status == status {
        if account.status_reason != reason {
            unit.note_touch(Update::of(&account).set("status_reason", &reason).expect("status", &status))?;
        }
        return Ok(());
    }
    let now = unit.now();
    unit.fact(EventKind::AccountStatusChanged, id)?
        .change("status", account.status, status)
        .data("from", account.status)
        .data("status", status)
        .data("reason", &reason)
        .touch(
            Update::of(&account)
                .set("status", &status)
                .set("status_since", &now)
                .set("status_reason", &reason)
                .expect("status", &account.status),
        );
    Ok(())
}
