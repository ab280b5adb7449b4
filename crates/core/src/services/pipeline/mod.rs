//! Pipelines, their stages, and the moves of contacts and deals through them. Every change of a stage is also an edit of its
//! pipeline: the pipeline's version makes changes of its stages take turns, which keeps names unique, places without
//! holes and one open stage.

mod board;
mod moves;
mod pipelines;
mod stages;

use schemars::JsonSchema;
use serde::Serialize;

pub(crate) use self::{
    board::board,
    moves::{entry, looked_after, move_contact, move_deal, state_end},
    pipelines::{create, create_default, delete, get, list, update},
    stages::{create as create_stage, delete as delete_stage, list as list_stages, update as update_stage},
};
pub use self::{
    board::{Board, BoardStage, BoardView, Card, Sum},
    pipelines::{DeletePipeline, NewPipeline, PipelinePatch, UpdatePipeline},
    stages::{DeleteStage, ListStages, NewStage, StageDraft, StagePatch, UpdateStage},
};
use crate::{
    domain::pipeline::{Pipeline, Stage},
    error::{Error, Result},
    id::{Id, PipelineId, StageId},
    page::{ListKey, Page, PageRequest, Position, SortValue},
    services::unit::Unit,
};

/// The most pipelines of an organisation: all of them are read at once.
const MAX_PIPELINES: usize = 100;
/// The most stages of a pipeline.
const MAX_STAGES: usize = 100;

/// A pipeline with its stages, in their order.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PipelineView {
    /// The pipeline.
    #[serde(flatten)]
    pub pipeline: Pipeline,
    /// Its stages.
    pub stages: Vec<Stage>,
}

/// Every pipeline and every stage as the store has them, read once a unit and at one instant.
pub(crate) async fn frame(unit: &mut Unit) -> Result<(Vec<Pipeline>, Vec<Stage>)> {
    if let Some(kept) = &unit.kept.frame {
        return Ok(kept.clone());
    }
    let frame = unit.store().pipelines_with_stages(unit.organization_id()).await?;
    unit.kept.frame = Some(frame.clone());
    Ok(frame)
}

/// Every pipeline, oldest first, as this unit leaves them.
async fn pipelines(unit: &mut Unit) -> Result<Vec<Pipeline>> {
    let stored = frame(unit).await?.0;
    let mut pipelines = unit.overlay(stored)?;
    pipelines.sort_by_key(|pipeline| (pipeline.created_at, pipeline.id));
    Ok(pipelines)
}

/// Every stage, by pipeline and place, as this unit leaves them.
async fn stages(unit: &mut Unit) -> Result<Vec<Stage>> {
    let stored = frame(unit).await?.1;
    let mut stages = unit.overlay(stored)?;
    stages.sort_by_key(|stage| (stage.pipeline_id, stage.order_index, stage.id));
    Ok(stages)
}

/// The stages of a pipeline that has just been read, in their order.
async fn stages_of(unit: &mut Unit, pipeline: PipelineId) -> Result<Vec<Stage>> {
    let mut stages = stages(unit).await?;
    stages.retain(|stage| stage.pipeline_id == pipeline);
    Ok(stages)
}

/// One pipeline.
async fn pipeline(unit: &mut Unit, id: PipelineId) -> Result<Pipeline> {
    let pipelines = pipelines(unit).await?;
    pipelines.into_iter().find(|pipeline| pipeline.id == id).ok_or_else(|| Error::not_found("pipeline", id))
}

/// The pipeline that an input means: the named one, else the default one.
pub(crate) async fn named_or_default(unit: &mut Unit, id: Option<PipelineId>) -> Result<PipelineView> {
    let pipeline = match id {
        Some(id) => pipeline(unit, id).await?,
        None => default_pipeline(unit).await?,
    };
    let stages = stages_of(unit, pipeline.id).await?;
    Ok(PipelineView { pipeline, stages })
}

async fn default_pipeline(unit: &mut Unit) -> Result<Pipeline> {
    pipelines(unit).await?.into_iter().find(|pipeline| pipeline.is_default).ok_or_else(|| {
        Error::conflict("no_default_pipeline", "the organisation has no default pipeline: create one first")
    })
}

/// Where new contacts begin: the first stage of the default pipeline.
pub(crate) async fn entry_stage(unit: &mut Unit) -> Result<Stage> {
    let pipeline = default_pipeline(unit).await?;
    stages_of(unit, pipeline.id).await?.into_iter().next().ok_or_else(|| {
        Error::conflict(
            "pipeline_without_stages",
            format!("the default pipeline {:?} has no stage for a new contact: create one first", pipeline.name),
        )
    })
}

/// A stage that an input refers to.
pub(crate) async fn referred_stage(unit: &mut Unit, pointer: &'static str, id: StageId) -> Result<Stage> {
    stages(unit)
        .await?
        .into_iter()
        .find(|stage| stage.id == id)
        .ok_or_else(|| Error::invalid(pointer, "unknown", format!("stage {id} does not exist")))
}

/// Where a new deal begins: the first stage of the named pipeline, else of the default one.
pub(crate) async fn first_stage(unit: &mut Unit, pipeline: Option<PipelineId>) -> Result<Stage> {
    let view = match named_or_default(unit, pipeline).await {
        Err(error) if pipeline.is_some() && error.code() == "not_found" => {
            return Err(Error::invalid("/pipeline_id", "unknown", error.message()));
        }
        view => view?,
    };
    view.stages.into_iter().next().ok_or_else(|| {
        let message = format!("the pipeline {:?} has no stage for a new deal: create one first", view.pipeline.name);
        Error::conflict("pipeline_without_stages", message)
    })
}

/// One page of a list that was read whole; `place` tells a row's number, by which, then by id, the list is sorted.
fn page_of<T>(
    rows: Vec<T>,
    page: &PageRequest,
    list: ListKey,
    place: impl Fn(&T) -> (i64, uuid::Uuid),
) -> Result<Page<T>> {
    let limit = page.checked_limit()? as usize;
    let after = match &page.cursor {
        Some(cursor) => match Position::decode(cursor, list)? {
            Position { value: SortValue::Int(number), id } => Some((number, id)),
            Position { .. } => None,
        },
        None => None,
    };
    let mut data: Vec<T> = rows.into_iter().filter(|row| after.is_none_or(|after| place(row) > after)).collect();
    let more = data.len() > limit;
    data.truncate(limit);
    let next_cursor = data.last().filter(|_| more).map(|last| {
        let (number, id) = place(last);
        Position { value: SortValue::Int(number), id }.encode(list)
    });
    Ok(Page { data, next_cursor })
}

/// The number that sorts pipelines newest first.
fn newest_first(pipeline: &Pipeline) -> (i64, uuid::Uuid) {
    (-pipeline.created_at.timestamp_micros(), pipeline.id.uuid())
}
