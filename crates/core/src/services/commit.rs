//! The one way from a verb to the store: opens a unit, lets the verb decide, commits once. For doors, the runtime, and
//! `identity`, which is a door of its own (it makes the scopes that handles carry); no other room may call it.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;

use crate::{
    engine::Engine,
    error::{Error, Result},
    scope::Scope,
    services::{audit, payloads, unit::Unit},
};

/// How often a unit is tried before its conflict is told to the caller.
const TRIES: u32 = 6;

/// Opens a unit, lets `verb` decide, commits. A write conflict is met with another try on fresh reads, a little later
/// each time.
pub(crate) async fn commit<T: Send>(
    engine: &Arc<Engine>,
    scope: &Scope,
    verb: impl for<'u> Fn(&'u mut Unit) -> BoxFuture<'u, Result<T>> + Send + Sync,
) -> Result<T> {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut unit = Unit::new(engine.clone(), scope.clone());
        let outcome = async {
            let answer = verb(&mut unit).await?;
            let now = unit.now();
            let deals = unit.contacts_of_deals().await?;
            let (scope, mut batch) = unit.finish()?;
            audit::tell(&engine.env, &scope, now, &mut batch)?;
            let keys = payloads::seal(engine, scope.organization_id, &deals, &mut batch).await?;
            if !batch.is_empty() {
                let planted = batch.planted();
                engine.store.commit(scope.organization_id, batch).await?;
                engine.payload_keys.hold(scope.organization_id, keys);
                engine.bell.ring(planted);
            }
            Ok(answer)
        }
        .await;
        match outcome {
            Err(error) if Error::is_write_conflict(&error) && tries < TRIES => {
                // It may have sealed under a key that is gone.
                engine.vault.forget(Some(scope.organization_id));
                engine.vault.forget(None);
                let [jitter] = engine.env.bytes::<1>()?;
                tokio::time::sleep(Duration::from_micros(u64::from(jitter) * 40 * u64::from(tries))).await;
            }
            outcome => return outcome,
        }
    }
}
