//! Clears what is kept no longer, a step at a time: one claim an organisation, which comes up again every day.

use std::sync::Arc;

use crate::{
    domain::job::Claim,
    engine::Engine,
    error::Result,
    ports::store::WorkEnd,
    runtime::commit,
    scope::{Actor, Cause, Scope},
    services::privacy::retention,
};

/// What rules are told it is done for: they stay quiet about it.
const CAUSE: &str = "retention";

/// One step of an organisation's.
pub(super) async fn retain(engine: &Arc<Engine>, claim: &Claim) -> Result<()> {
    let prepared = Arc::new(retention::prepare(engine, claim.organization_id).await?);
    let scope = Scope::system(claim.organization_id).acting(Actor::System, Cause::quiet(CAUSE));
    let claim = claim.clone();
    commit(engine, &scope, move |unit| {
        let (claim, prepared) = (claim.clone(), prepared.clone());
        Box::pin(async move {
            let due = retention::step(unit, &prepared).await?;
            unit.batch.end(due.map_or_else(|| WorkEnd::Done(claim.clone()), |at| WorkEnd::Later(claim.clone(), at)));
            Ok(())
        })
    })
    .await
}
