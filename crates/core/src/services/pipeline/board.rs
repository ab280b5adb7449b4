//! The Kanban board: a pipeline's stages with their counts and first cards.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        contact::Contact,
        currency::Currency,
        deal::Deal,
        money::decimal,
        pipeline::{MoverKind, Pipeline, Stage},
    },
    error::Result,
    id::{PipelineId, StageId},
    page::PageRequest,
    ports::store::{DealSum, ValueFilter},
    services::{
        pipeline::{self, PipelineView},
        unit::Unit,
    },
};

/// Which board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// The pipeline.
    pub pipeline_id: PipelineId,
    /// What the cards are: `contact`, if left out, or `deal`.
    #[serde(default)]
    pub subject: MoverKind,
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
    /// How many contacts, or deals, are in it.
    pub count: i64,
    /// How many deals are in it, whatever the cards are.
    pub deals: i64,
    /// What its deals are worth, one a currency, by currency.
    pub sums: Vec<Sum>,
    /// The contacts, or deals, in it, latest entry first, no more than `limit`.
    pub cards: Vec<Card>,
}

/// What a card shows.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Card {
    /// A contact.
    Contact(Contact),
    /// A deal.
    Deal(Deal),
}

impl Card {
    /// What people call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Contact(contact) => &contact.name,
            Self::Deal(deal) => &deal.name,
        }
    }
}

/// What deals are worth together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Sum {
    /// A decimal number.
    pub amount: String,
    /// ISO 4217.
    pub currency: Currency,
    /// How many deals have a value in this currency.
    pub count: i64,
}

/// The sums of the deals of one stage, by currency, and how many deals there are.
fn sums(all: &[DealSum], stage: StageId) -> (Vec<Sum>, i64) {
    let mut by_currency: BTreeMap<Currency, (i128, i64)> = BTreeMap::new();
    let mut deals = 0;
    for sum in all.iter().filter(|sum| sum.stage_id == stage) {
        deals += sum.count;
        if let Some(currency) = sum.currency {
            let (amount, count) = by_currency.entry(currency).or_default();
            *amount += sum.amount;
            *count += sum.count;
        }
    }
    let sum = |(currency, (amount, count))| Sum { amount: decimal(amount, currency), currency, count };
    (by_currency.into_iter().map(sum).collect(), deals)
}

pub(crate) async fn board(unit: &mut Unit, input: Board) -> Result<BoardView> {
    let limit = PageRequest { limit: input.limit, cursor: None }.checked_limit()?;
    let PipelineView { pipeline, stages } = pipeline::named_or_default(unit, Some(input.pipeline_id)).await?;
    let organization = unit.organization_id();
    let all = unit.store().deal_sums(organization, pipeline.id, &ValueFilter::default()).await?;
    let mut columns = match input.subject {
        MoverKind::Contact => contact_cards(unit, pipeline.id, limit).await?,
        MoverKind::Deal => {
            let ids: Vec<_> = stages.iter().map(|stage| stage.id).collect();
            let mut columns: HashMap<StageId, (i64, Vec<Card>)> = HashMap::new();
            for deal in unit.store().deal_cards(organization, &ids, limit).await? {
                columns.entry(deal.stage_id).or_default().1.push(Card::Deal(deal));
            }
            columns
        }
    };
    let stages = stages.into_iter().map(|stage| {
        let (sums, deals) = sums(&all, stage.id);
        let (count, cards) = columns.remove(&stage.id).unwrap_or_default();
        let count = if input.subject == MoverKind::Deal { deals } else { count };
        BoardStage { stage, count, deals, sums, cards }
    });
    Ok(BoardView { stages: stages.collect(), pipeline })
}

/// The contacts of each stage: their number and the first cards.
async fn contact_cards(unit: &Unit, pipeline: PipelineId, limit: u32) -> Result<HashMap<StageId, (i64, Vec<Card>)>> {
    let columns = unit.store().board(unit.organization_id(), pipeline, limit).await?;
    let cards = |cards: Vec<Contact>| cards.into_iter().map(Card::Contact).collect();
    Ok(columns.into_iter().map(|column| (column.stage_id, (column.count, cards(column.cards)))).collect())
}
