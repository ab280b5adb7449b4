//! What the deals of a pipeline are worth, also by the chance to win them.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    check_people,
    conversion::called,
    period::{MAX_GROUPS, refused, too_many},
};
use crate::{
    domain::{
        currency::Currency,
        money::decimal,
        pipeline::{Stage, StageKind},
        word::words,
    },
    error::Result,
    id::{PipelineId, StageId, TeamId, UserId},
    ports::store::{DealSum, Group, GroupBy, ValueFilter},
    services::{pipeline, unit::Unit},
};

/// Chances are counted in millionths, so that sums of money stay whole numbers.
const CERTAIN: i128 = 1_000_000;

words! {
    /// How deals are split up.
    ValueGroup {
        /// By who looks after them.
        Owner = "owner",
        /// By where their contact came from.
        Source = "source",
        /// By the month in which they are hoped to be closed.
        Month = "month",
    }
}

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
    /// Of this team.
    pub team_id: Option<TeamId>,
    /// Hoped to be closed on this day or later: by `expected_close_on`. Deals without such a day are left out.
    pub from: Option<NaiveDate>,
    /// Hoped to be closed before this day. Deals without such a day are left out.
    pub to: Option<NaiveDate>,
    /// Splits the deals up: by `owner`, by `source`, or by the `month` of `expected_close_on`. Each line then tells its
    /// `group`. No more than 400 groups are told.
    pub group_by: Option<ValueGroup>,
}

/// What the deals of a pipeline are worth.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PipelineValue {
    /// The pipeline.
    pub pipeline_id: PipelineId,
    /// One line a stage and currency, stages in their order, then by currency, deals without a value first. A stage
    /// without deals has none. Grouped, the same for each group, group by group.
    pub data: Vec<StageValue>,
    /// The same for all open, all won and all lost stages together; grouped, for each group.
    pub totals: Vec<TotalValue>,
    /// Always `null`: all of it stands on one page.
    pub next_cursor: Option<String>,
}

/// What the deals of one stage are worth in one currency.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StageValue {
    /// Of what, if a grouping was asked for: the user's id, the source, or the first day of the month; `null`: of nobody,
    /// of no source, of no day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Option<String>>,
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
    /// Of what, if a grouping was asked for: the user's id, the source, or the first day of the month; `null`: of nobody,
    /// of no source, of no day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Option<String>>,
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
    if let (Some(from), Some(to)) = (input.from, input.to)
        && from >= to
    {
        let detail = format!("from ({from}) is not before to ({to}): nothing lies between them");
        return Err(refused("/from", "out_of_range", detail));
    }
    let view = pipeline::named_or_default(unit, input.pipeline_id).await?;
    check_people(unit, input.assigned_to, input.team_id).await?;
    let filter = ValueFilter {
        assigned_to: input.assigned_to,
        team_id: input.team_id,
        source: input.source.map(|source| source.trim().to_owned()),
        from: input.from,
        to: input.to,
        group_by: input.group_by.map(|by| match by {
            ValueGroup::Owner => GroupBy::Owner,
            ValueGroup::Source => GroupBy::Source,
            ValueGroup::Month => GroupBy::Month,
        }),
    };
    let mut groups: BTreeMap<Group, Vec<DealSum>> = BTreeMap::new();
    for sum in unit.store().deal_sums(unit.organization_id(), view.pipeline.id, &filter).await? {
        groups.entry(sum.group.clone()).or_default().push(sum);
        if groups.len() > MAX_GROUPS {
            return Err(too_many());
        }
    }
    let (mut data, mut totals) = (Vec::new(), Vec::new());
    for (group, sums) in groups {
        let group = filter.group_by.as_ref().map(|_| called(group, &[]));
        tell(&view.stages, &sums, &group, &mut data, &mut totals);
    }
    Ok(PipelineValue { pipeline_id: view.pipeline.id, data, totals, next_cursor: None })
}

/// Adds the lines of one group.
fn tell(
    stages: &[Stage],
    sums: &[DealSum],
    group: &Option<Option<String>>,
    data: &mut Vec<StageValue>,
    totals: &mut Vec<TotalValue>,
) {
    let mut together: BTreeMap<(StageKind, Option<Currency>), Worth> = BTreeMap::new();
    for (stage, chance) in stages.iter().zip(chances(stages)) {
        let mut worth: BTreeMap<Option<Currency>, Worth> = BTreeMap::new();
        for sum in sums.iter().filter(|sum| sum.stage_id == stage.id) {
            let chance = sum.probability.map_or(chance, millionths);
            worth.entry(sum.currency).or_default().add(sum, chance);
            together.entry((stage.kind, sum.currency)).or_default().add(sum, chance);
        }
        data.extend(worth.into_iter().map(|(currency, worth)| {
            let (value, weighted_value) = worth.told(currency);
            StageValue {
                group: group.clone(),
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
    totals.extend(together.into_iter().map(|((kind, currency), worth)| {
        let (value, weighted_value) = worth.told(currency);
        TotalValue { group: group.clone(), kind, currency, count: worth.count, value, weighted_value }
    }));
}
