//! Takes what is personal out of the rows about an erased person, a step at a time.

use std::sync::Arc;

use crate::{
    domain::job::{Claim, Job, JobState},
    engine::Engine,
    error::Result,
    ports::store::{Update, WorkEnd, Write},
    runtime::commit,
    scope::{Actor, Cause, Scope},
    services::privacy::{self, Turn},
};

/// What rules are told it is done for: they stay quiet about it.
const CAUSE: &str = "erasure";

/// One step of the job.
pub(super) async fn erase(engine: &Arc<Engine>, claim: &Claim, job: &Job) -> Result<()> {
    let files = Arc::new(privacy::drop_files(engine, claim.organization_id, &job.payload).await?);
    let scope = Scope::system(claim.organization_id).acting(Actor::System, Cause::quiet(CAUSE));
    let (claim, job) = (claim.clone(), Arc::new(job.clone()));
    commit(engine, &scope, move |unit| {
        let (claim, job, files) = (claim.clone(), job.clone(), files.clone());
        Box::pin(async move {
            let step = privacy::step(unit, &job.payload, &files).await?;
            let update = Update::of(&*job).add("progress", step.cleared).set("payload", &step.payload);
            let update = update.set("updated_at", &unit.now()).expect("state", &JobState::Queued);
            let (end, update) = match step.turn {
                Turn::At(at) => (WorkEnd::Later(claim, at), update.set("run_at", &at)),
                Turn::Done => (WorkEnd::Done(claim), update.set("state", &JobState::Done)),
            };
            unit.batch.end(end);
            unit.note(Write::Update(update))
        })
    })
    .await
}
