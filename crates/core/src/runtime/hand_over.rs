//! Gives on what belonged to a member or a team that is gone, a step at a time.

use std::sync::Arc;

use crate::{
    domain::job::{Claim, Job, JobState},
    engine::Engine,
    error::Result,
    ports::store::{Update, WorkEnd, Write},
    runtime::commit,
    scope::Scope,
    services::team,
};

/// One step of the job.
pub(super) async fn hand_over(engine: &Arc<Engine>, claim: &Claim, job: &Job) -> Result<()> {
    let (claim, job) = (claim.clone(), Arc::new(job.clone()));
    commit(engine, &Scope::system(claim.organization_id), move |unit| {
        let (claim, job) = (claim.clone(), job.clone());
        Box::pin(async move {
            let (given, more) = team::step(unit, &job.payload).await?;
            let now = unit.now();
            let mut update = Update::of(&*job).set("updated_at", &now).expect("state", &JobState::Queued);
            update = update.add("progress", i64::try_from(given).unwrap_or(i64::MAX));
            if more {
                unit.batch.end(WorkEnd::Later(claim, now));
            } else {
                update = update.set("state", &JobState::Done);
                unit.batch.end(WorkEnd::Done(claim));
            }
            unit.note(Write::Update(update))
        })
    })
    .await
}
