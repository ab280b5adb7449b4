//! The Kanban board: a pipeline's stages with their counts and first cards.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        contact::Contact,
        pipeline::{Pipeline, Stage},
    },
    error::Result,
    id::PipelineId,
    page::PageRequest,
    services::{pipeline, unit::Unit},
};

/// Which board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// The pipeline.
    pub pipeline_id: PipelineId,
    /// Cards a stage, 1…200; 50 if left out.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// A pipeline's board.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BoardView {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// Its stages, in their order.
    pub stages: Vec<BoardStage>,
}

/// One column of a board.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BoardStage {
    /// The stage.
    pub stage: Stage,
    /// How many contacts are in it.
    pub count: i64,
    /// What its deals are worth, one a currency. This build keeps no deals: none.
    pub sums: Vec<Sum>,
    /// The contacts in it, latest entry first, no more than `limit`.
    pub cards: Vec<Contact>,
}

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Sum {
    /// A decimal number.
    pub amount: String,
    /// ISO 4217.
    pub currency: String,
}

pub(crate) async fn board(unit: &mut Unit, input: Board) -> Result<BoardView> {
    let cards = PageRequest { limit: input.limit, cursor: None }.checked_limit()?;
    let pipeline = pipeline::named_or_default(unit, Some(input.pipeline_id)).await?;
    let mut columns = unit.store().board(unit.organization_id(), input.pipeline_id, cards).await?;
    let stages = pipeline.stages.into_iter().map(|stage| {
        let found = columns.iter().position(|column| column.stage_id == stage.id);
        let column = found.map(|place| columns.swap_remove(place));
        let (count, cards) = column.map(|column| (column.count, column.cards)).unwrap_or_default();
        BoardStage { stage, count, sums: Vec::new(), cards }
    });
    Ok(BoardView { stages: stages.collect(), pipeline: pipeline.pipeline })
}
