//! Background jobs as people see them: what waits, how far it is, and taking back what has not begun.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::job::{Job, JobState, Lane},
    error::{Error, Result},
    id::{Id, JobId},
    page::{Page, PageRequest},
    ports::store::{Update, Write},
    services::unit::Unit,
};

/// Which jobs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListJobs {
    /// In this state.
    pub state: Option<JobState>,
    /// Items a page, 1…200.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

pub(crate) async fn list(unit: &mut Unit, input: ListJobs) -> Result<Page<Job>> {
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    unit.store().jobs(unit.organization_id(), input.state, &page).await
}

pub(crate) async fn get(unit: &mut Unit, id: JobId) -> Result<Job> {
    unit.store().job(unit.organization_id(), id).await?.ok_or_else(|| Error::not_found("job", id))
}

/// Takes a job back that has not ended. A message's job is taken back by cancelling the message.
pub(crate) async fn cancel(unit: &mut Unit, id: JobId) -> Result<()> {
    let job = get(unit, id).await?;
    if job.kind.is_internal() {
        return Err(Error::conflict(
            "job_not_cancellable",
            format!("a {} job belongs to what it works for: cancel that", job.kind),
        ));
    }
    match job.state {
        JobState::Queued => {
            let now = unit.now();
            let update = Update::of(&job)
                .set("state", &JobState::Cancelled)
                .set("updated_at", &now)
                .expect("state", &JobState::Queued);
            unit.note(Write::Update(update))?;
            unit.batch.uproot(Lane::Job, id.uuid());
            Ok(())
        }
        JobState::Cancelled => Ok(()),
        JobState::Done | JobState::Failed => {
            Err(Error::conflict("job_ended", format!("the job is {}: it cannot be cancelled", job.state)))
        }
    }
}
