//! What the history tells, and what the pipeline is worth: how contacts and deals go through stages. Reads only.

mod value;

use chrono::{DateTime, Duration, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        event::SubjectKind,
        pipeline::{MoverKind, StageKind},
    },
    error::{Error, Result},
    id::{PipelineId, StageId},
    services::{pipeline, unit::Unit},
};

pub(crate) use self::value::pipeline_value;
pub use self::value::{PipelineValue, StageValue, TotalValue, ValueQuery};

/// The period that is looked at if none is named.
const PERIOD: Duration = Duration::days(90);

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
    /// Its stages, in their order.
    pub data: Vec<StageRate>,
    /// Always `null`: all stages stand on one page.
    pub next_cursor: Option<String>,
}

/// How contacts went through one stage.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StageRate {
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

pub(crate) async fn conversion_rates(unit: &mut Unit, input: ConversionQuery) -> Result<ConversionRates> {
    // Whoever entered in this very microsecond counts too.
    let to = input.to.unwrap_or_else(|| unit.now() + Duration::microseconds(1));
    let from = input.from.or_else(|| to.checked_sub_signed(PERIOD)).unwrap_or(DateTime::<Utc>::MIN_UTC);
    if from >= to {
        let detail = format!("from ({from}) is not before to ({to}): no entry lies between them");
        return Err(Error::malformed(detail.clone()).code_of("invalid_parameter").field(
            "/from",
            "out_of_range",
            detail,
        ));
    }
    let pipeline = pipeline::named_or_default(unit, input.pipeline_id).await?;
    let subject = match input.subject {
        MoverKind::Contact => SubjectKind::Contact,
        MoverKind::Deal => SubjectKind::Deal,
    };
    let (organization, id) = (unit.organization_id(), pipeline.pipeline.id);
    let counted = unit.store().conversion(organization, id, subject, from, to).await?;
    let data = pipeline.stages.into_iter().map(|stage| {
        let found = counted.iter().find(|row| row.stage_id == stage.id);
        let (entered, moved_on, lost) = found.map(|row| (row.entered, row.moved_on, row.lost)).unwrap_or_default();
        StageRate {
            stage_id: stage.id,
            name: stage.name,
            order_index: stage.order_index,
            kind: stage.kind,
            entered,
            moved_on,
            lost,
            rate: (entered > 0).then(|| moved_on as f64 / entered as f64),
            median_seconds: found.and_then(|row| row.median_seconds),
        }
    });
    Ok(ConversionRates { pipeline_id: id, from, to, data: data.collect(), next_cursor: None })
}
