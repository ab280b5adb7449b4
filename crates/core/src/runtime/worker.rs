//! Jobs: looks one up and hands it to what it is for.

use std::sync::Arc;

use crate::{
    domain::job::{Claim, JobKind, JobState},
    engine::Engine,
    error::Result,
    id::{Id, JobId},
    ports::store::{Batch, WorkEnd},
    runtime::{erase, hand_over, mail, scheduler, send},
};

/// Does one job, or one step of it.
pub(super) async fn job(engine: &Arc<Engine>, claim: &Claim) -> Result<()> {
    let job = engine.store.job_to_do(claim.organization_id, JobId::from_uuid(claim.id)).await?;
    let Some((job, key)) = job.filter(|(job, _)| job.state == JobState::Queued) else {
        // Done, cancelled, or never written (its de-duplication key was taken): nothing is left to do.
        let mut batch = Batch::default();
        batch.end(WorkEnd::Done(claim.clone()));
        return engine.store.commit(claim.organization_id, batch).await;
    };
    match job.kind {
        JobKind::SendMessage => send::send_message(engine, claim, &job).await,
        JobKind::SettleMessage => send::settle_message(engine, claim, &job).await,
        JobKind::PlantTimers => scheduler::plant_timers(engine, claim, &job).await,
        JobKind::RunSchedule => scheduler::run_schedule(engine, claim, &job).await,
        JobKind::HandOver => hand_over::hand_over(engine, claim, &job).await,
        JobKind::SendMail => mail::send_mail(engine, claim, &job, key.as_ref()).await,
        JobKind::EraseContact => erase::erase(engine, claim, &job).await,
    }
}
