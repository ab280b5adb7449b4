//! How contacts and deals go through stages.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    check_people,
    period::{MAX_GROUPS, Step, period, steps, too_many},
};
use crate::{
    domain::{
        pipeline::{MoverKind, Stage, StageKind},
        word::words,
    },
    error::{Error, Result},
    id::{PipelineId, StageId, TeamId, UserId},
    ports::store::{ConversionFilter, Group, GroupBy, Period, StageConversion},
    services::{pipeline, unit::Unit},
};

words! {
    /// How entries are split up.
    ConversionGroup {
        /// By who looks after the contact, or the deal, now.
        Owner = "owner",
        /// By where the contact came from.
        Source = "source",
        /// By the day of the entry.
        Day = "day",
        /// By its week, from Monday on.
        Week = "week",
        /// By its month.
        Month = "month",
    }
}

/// Which pipeline, and when.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConversionQuery {
    /// The pipeline; the default one if left out.
    pub pipeline_id: Option<PipelineId>,
    /// Who goes through it: `contact`, if left out, or `deal`.
    pub subject: MoverKind,
    /// Entries at or after this instant; 90 days before `to` if left out.
    pub from: Option<DateTime<Utc>>,
    /// Entries before this instant; now if left out.
    pub to: Option<DateTime<Utc>>,
    /// Of contacts, or deals, that this user looks after now.
    pub assigned_to: Option<UserId>,
    /// Of those of this team.
    pub team_id: Option<TeamId>,
    /// Of contacts that came from this source, or of their deals.
    pub source: Option<String>,
    /// Splits the entries up: by `owner`, by `source`, or by the `day`, `week` or `month` of the entry in the
    /// organisation's time zone. Each line then tells its `group`. No more than 400 groups are told.
    pub group_by: Option<ConversionGroup>,
}

/// How contacts, or deals, went through the stages of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ConversionRates {
    /// The pipeline.
    pub pipeline_id: PipelineId,
    /// Entries at or after this instant were counted.
    pub from: DateTime<Utc>,
    /// Entries before this instant were counted.
    pub to: DateTime<Utc>,
    /// Its stages, in their order; grouped, all of them for each group in which there is an entry, group by group.
    pub data: Vec<StageRate>,
    /// Always `null`: all stages stand on one page.
    pub next_cursor: Option<String>,
}

/// How contacts went through one stage.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StageRate {
    /// Of what, if a grouping was asked for: the user's id, the source, or the instant at which the day, week or month
    /// begins; `null`: of nobody, of no source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Option<String>>,
    /// The stage.
    pub stage_id: StageId,
    /// Its name.
    pub name: String,
    /// Its place.
    pub order_index: i64,
    /// What being in it means.
    pub kind: StageKind,
    /// Entries into it in the period.
    pub entered: i64,
    /// Of these, those that went on to a later stage that is not lost, or were won.
    pub moved_on: i64,
    /// Of these, those that went to a lost stage.
    pub lost: i64,
    /// `moved_on / entered`; `null` if nobody entered.
    pub rate: Option<f64>,
    /// Median time in the stage of those that left it, in seconds; `null` if nobody did.
    pub median_seconds: Option<f64>,
}

/// The line of a stage, counted or not.
fn line(stage: &Stage, counted: Option<&StageConversion>, group: Option<Option<String>>) -> StageRate {
    let (entered, moved_on, lost) = counted.map(|row| (row.entered, row.moved_on, row.lost)).unwrap_or_default();
    StageRate {
        group,
        stage_id: stage.id,
        name: stage.name.clone(),
        order_index: stage.order_index,
        kind: stage.kind,
        entered,
        moved_on,
        lost,
        rate: (entered > 0).then(|| moved_on as f64 / entered as f64),
        median_seconds: counted.and_then(|row| row.median_seconds),
    }
}

pub(crate) async fn conversion_rates(unit: &mut Unit, input: ConversionQuery) -> Result<ConversionRates> {
    let period = period(unit, input.from, input.to)?;
    let view = pipeline::named_or_default(unit, input.pipeline_id).await?;
    check_people(unit, input.assigned_to, input.team_id).await?;
    let (names, group_by) = split(unit, input.group_by, period).await?;
    let (organization, pipeline) = (unit.organization_id(), view.pipeline.id);
    let filter = ConversionFilter {
        pipeline,
        subject: input.subject,
        period,
        assigned_to: input.assigned_to,
        team_id: input.team_id,
        source: input.source.map(|source| source.trim().to_owned()),
        group_by,
    };
    let counted = unit.store().conversion(organization, &filter).await?;
    let data = if filter.group_by.is_some() {
        grouped(&view.stages, counted, &names)?
    } else {
        let of = |stage: &Stage| line(stage, counted.iter().find(|row| row.stage_id == stage.id), None);
        view.stages.iter().map(of).collect()
    };
    Ok(ConversionRates { pipeline_id: pipeline, from: period.from, to: period.to, data, next_cursor: None })
}

/// How the store is to split entries up, and what its spans are called.
async fn split(
    unit: &mut Unit,
    group_by: Option<ConversionGroup>,
    period: Period,
) -> Result<(Vec<String>, Option<GroupBy>)> {
    let step = match group_by {
        None => return Ok((Vec::new(), None)),
        Some(ConversionGroup::Owner) => return Ok((Vec::new(), Some(GroupBy::Owner))),
        Some(ConversionGroup::Source) => return Ok((Vec::new(), Some(GroupBy::Source))),
        Some(ConversionGroup::Day) => Step::Day,
        Some(ConversionGroup::Week) => Step::Week,
        Some(ConversionGroup::Month) => Step::Month,
    };
    let zone = unit.organization().await?.time_zone;
    let zone = zone.parse().map_err(|_| Error::internal(format!("{zone:?} is no time zone")))?;
    let (names, spans) = steps(period, step, zone)?.into_iter().unzip();
    Ok((names, Some(GroupBy::Spans(spans))))
}

/// All stages of each group in which there is an entry.
fn grouped(stages: &[Stage], counted: Vec<StageConversion>, names: &[String]) -> Result<Vec<StageRate>> {
    let mut groups: BTreeMap<Group, Vec<StageConversion>> = BTreeMap::new();
    for row in counted {
        groups.entry(row.group.clone()).or_default().push(row);
        if groups.len() > MAX_GROUPS {
            return Err(too_many());
        }
    }
    let lines = groups.into_iter().flat_map(|(group, rows)| {
        let name = called(group, names);
        let of = move |stage: &Stage| line(stage, rows.iter().find(|row| row.stage_id == stage.id), Some(name.clone()));
        stages.iter().map(of)
    });
    Ok(lines.collect())
}

/// What a group is called.
pub(super) fn called(group: Group, spans: &[String]) -> Option<String> {
    match group {
        Group::All => None,
        Group::Owner(user) => user.map(|user| user.to_string()),
        Group::Source(source) => source,
        Group::Span(place) => usize::try_from(place).ok().and_then(|place| spans.get(place)).cloned(),
        // A day has no time zone: the month is called by its first day.
        Group::Month(month) => month.map(|month| format!("{month}-01")),
    }
}
