//! What the deals of a pipeline are worth, also by the chance to win them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        currency::Currency,
        money::decimal,
        pipeline::{Stage, StageKind},
    },
    error::Result,
    id::{PipelineId, StageId, UserId},
    ports::store::{DealSum, ValueFilter},
    services::{pipeline, unit::Unit},
};

/// Chances are counted in millionths, so that sums of money stay whole numbers.
const CERTAIN: i128 = 1_000_000;

/// Which deals are summed up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ValueQuery {
    /// Of this pipeline; of the default one if left out.
    pub pipeline_id: Option<PipelineId>,
    /// Looked after by this user.
    pub assigned_to: Option<UserId>,
    /// Whose contact came from this source.
    pub source: Option<String>,
}

/// What the deals of a pipeline are worth.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PipelineValue {
    /// The pipeline.
    pub pipeline_id: PipelineId,
    /// One line a stage and currency, stages in their order, then by currency, deals without a value first. A stage
    /// without deals has none.
    pub data: Vec<StageValue>,
    /// The same for all open, all won and all lost stages together.
    pub totals: Vec<TotalValue>,
    /// Always `null`: all of it stands on one page.
    pub next_cursor: Option<String>,
}

/// What the deals of one stage are worth in one currency.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StageValue {
    /// The stage.
    pub stage_id: StageId,
    /// Its name.
    pub name: String,
    /// What being in it means.
    pub kind: StageKind,
    /// The currency; `null` for deals without a value.
    pub currency: Option<Currency>,
    /// How many deals there are.
    pub count: i64,
    /// What they are worth, a decimal number; `null` without a value.
    pub value: Option<String>,
    /// The same, each deal by its chance: its own probability, else its stage's, else 1 for a won stage, 0 for a lost one,
    /// and for the n-th of m open stages n / (m + 1).
    pub weighted_value: Option<String>,
}

/// What the deals of all stages of one kind are worth in one currency.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TotalValue {
    /// The kind of the stages.
    pub kind: StageKind,
    /// The currency; `null` for deals without a value.
    pub currency: Option<Currency>,
    /// How many deals there are.
    pub count: i64,
    /// What they are worth, a decimal number; `null` without a value.
    pub value: Option<String>,
    /// The same, each deal by its chance.
    pub weighted_value: Option<String>,
}

/// A sum on its way, its weighted part in millionths.
#[derive(Default)]
struct Worth {
    count: i64,
    amount: i128,
    weighted: i128,
}

impl Worth {
    fn add(&mut self, sum: &DealSum, chance: i128) {
        self.count += sum.count;
        self.amount += sum.amount;
        self.weighted += sum.amount * chance;
    }

    /// The value and the weighted one, as decimal texts.
    fn told(&self, currency: Option<Currency>) -> (Option<String>, Option<String>) {
        let weighted = (self.weighted + CERTAIN / 2) / CERTAIN;
        (currency.map(|it| decimal(self.amount, it)), currency.map(|it| decimal(weighted, it)))
    }
}

/// A probability in millionths.
#[expect(clippy::cast_possible_truncation, reason = "a probability is between 0 and 1")]
fn millionths(probability: f64) -> i128 {
    (probability * CERTAIN as f64).round() as i128
}

/// The chance of deals that say none themselves, for each stage of a pipeline.
fn chances(stages: &[Stage]) -> Vec<i128> {
    let open = stages.iter().filter(|stage| stage.kind == StageKind::Open).count();
    let mut before = 0_i128;
    let by_place = stages.iter().map(|stage| match stage.kind {
        StageKind::Won => CERTAIN,
        StageKind::Lost => 0,
        StageKind::Open => {
            before += 1;
            before * CERTAIN / (i128::try_from(open).unwrap_or(i128::MAX - 1) + 1)
        }
    });
    let chance = |(stage, by_place): (&Stage, i128)| stage.probability.map_or(by_place, millionths);
    let by_place: Vec<_> = by_place.collect();
    stages.iter().zip(by_place).map(chance).collect()
}

pub(crate) async fn pipeline_value(unit: &mut Unit, input: ValueQuery) -> Result<PipelineValue> {
    let view = pipeline::named_or_default(unit, input.pipeline_id).await?;
    let source = input.source.map(|source| source.trim().to_owned());
    let filter = ValueFilter { assigned_to: input.assigned_to, source };
    let sums = unit.store().deal_sums(unit.organization_id(), view.pipeline.id, &filter).await?;
    let mut data = Vec::new();
    let mut totals: BTreeMap<(StageKind, Option<Currency>), Worth> = BTreeMap::new();
    for (stage, chance) in view.stages.iter().zip(chances(&view.stages)) {
        let mut worth: BTreeMap<Option<Currency>, Worth> = BTreeMap::new();
        for sum in sums.iter().filter(|sum| sum.stage_id == stage.id) {
            let chance = sum.probability.map_or(chance, millionths);
            worth.entry(sum.currency).or_default().add(sum, chance);
            totals.entry((stage.kind, sum.currency)).or_default().add(sum, chance);
        }
        data.extend(worth.into_iter().map(|(currency, worth)| {
            let (value, weighted_value) = worth.told(currency);
            StageValue {
                stage_id: stage.id,
                name: stage.name.clone(),
                kind: stage.kind,
                currency,
                count: worth.count,
                value,
                weighted_value,
            }
        }));
    }
    let totals = totals.into_iter().map(|((kind, currency), worth)| {
        let (value, weighted_value) = worth.told(currency);
        TotalValue { kind, currency, count: worth.count, value, weighted_value }
    });
    Ok(PipelineValue { pipeline_id: view.pipeline.id, data, totals: totals.collect(), next_cursor: None })
}
