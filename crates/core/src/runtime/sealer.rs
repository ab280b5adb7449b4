//! Seals the audit logs: what is claimed of one organisation is sealed together, a moment after it was committed.

use std::sync::Arc;

use crate::{
    domain::job::Claim,
    engine::Engine,
    error::Result,
    id::OrganizationId,
    ports::store::WorkEnd,
    runtime::{claims::ITEM_RETRY, commit},
    scope::Scope,
    services::audit,
};

/// Seals everything that an organisation's log has to seal, and ends the claims that asked for it. What fails for now comes
/// up again.
pub(super) async fn seal(engine: &Arc<Engine>, organization: OrganizationId, claims: Vec<Claim>) {
    let claims = Arc::new(claims);
    let Err(error) = try_seal(engine, organization, claims.clone()).await else { return };
    if error.code() == "lease_lost" {
        tracing::info!(%organization, "somebody else seals this audit log now");
        return;
    }
    tracing::warn!(%organization, %error, "an audit log cannot be sealed for now");
    for claim in claims.iter() {
        if let Err(error) = engine.store.release(claim, engine.env.now() + ITEM_RETRY).await {
            tracing::warn!(%error, "a claim could not be given back; its lease will run out");
        }
    }
}

async fn try_seal(engine: &Arc<Engine>, organization: OrganizationId, claims: Arc<Vec<Claim>>) -> Result<()> {
    let scope = Scope::system(organization);
    loop {
        let claims = claims.clone();
        let more = commit(engine, &scope, move |unit| {
            let claims = claims.clone();
            Box::pin(async move {
                let more = audit::seal_next(unit).await?;
                for claim in claims.iter() {
                    unit.batch.end(if more { WorkEnd::Held(claim.clone()) } else { WorkEnd::Done(claim.clone()) });
                }
                Ok(more)
            })
        })
        .await?;
        if !more {
            return Ok(());
        }
    }
}
