//! A deal: something that is to be sold, on its way through a pipeline of its own.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    domain::{
        external_id::{self, ExternalIds},
        money::Money,
        pipeline::StageKind,
        text::{self, Flaws},
    },
    id::{CompanyId, ContactId, DealId, EventId, OrganizationId, PipelineId, StageId, TeamId, UserId},
};

/// A deal. Its status follows the kind of its stage.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Deal {
    /// Its id.
    pub id: DealId,
    /// Whose it is.
    #[serde(skip)]
    pub organization_id: OrganizationId,
    /// What people call it.
    pub name: String,
    /// Case-folded NFKC of the name: what lists sort by.
    #[serde(skip)]
    pub name_key: String,
    /// With whom.
    pub contact_id: Option<ContactId>,
    /// With which company.
    pub company_id: Option<CompanyId>,
    /// The pipeline it is in.
    pub pipeline_id: PipelineId,
    /// The stage it is in.
    pub stage_id: StageId,
    /// The event by which it entered the stage: the id of this entry.
    #[serde(skip)]
    pub stage_entry_id: EventId,
    /// When it entered the stage.
    pub stage_entered_at: DateTime<Utc>,
    /// What it is worth.
    pub value: Option<Money>,
    /// The chance to win it, 0…1; `null`: its stage's.
    pub probability: Option<f64>,
    /// When it is hoped to be closed.
    pub expected_close_on: Option<NaiveDate>,
    /// Who looks after it.
    pub assigned_to: Option<UserId>,
    /// The team that does.
    pub team_id: Option<TeamId>,
    /// Why it was lost; kept while it is.
    pub lost_reason: Option<String>,
    /// `open`, `won` or `lost`: the kind of its stage.
    pub status: StageKind,
    /// When it was won or lost.
    pub closed_at: Option<DateTime<Utc>>,
    /// Values of custom fields.
    pub custom: Map<String, Value>,
    /// What other systems call it.
    pub external_ids: ExternalIds,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
    /// When it was deleted.
    #[serde(skip)]
    pub deleted_at: Option<DateTime<Utc>>,
    /// Counts edits, from 1.
    pub version: i64,
}

impl Deal {
    /// Brings what people entered to the form in which it is kept, and tells what is wrong with it.
    pub fn tidy(&mut self, before: Option<&Self>, flaws: &mut Flaws) {
        if before.is_none_or(|old| old.name != self.name)
            && let Some(name) = flaws.take("/name", text::name(&self.name))
        {
            self.name_key = text::name_key(&name);
            self.name = name;
        }
        if let Some(probability) = self.probability.filter(|it| !(0.0..=1.0).contains(it)) {
            let detail = format!("{probability} is no probability: 0 to 1 is expected");
            flaws.add("/probability", "out_of_range", detail);
        }
        if let Some(date) = self.expected_close_on.filter(|it| !(1900..=9999).contains(&it.year())) {
            flaws.add("/expected_close_on", "out_of_range", format!("{date} is not between 1900 and 9999"));
        }
        self.lost_reason = self.lost_reason.take().filter(|reason| !reason.trim().is_empty());
        if let Some(reason) = &mut self.lost_reason
            && let Some(tidied) = flaws.take("/lost_reason", text::remark(reason))
        {
            *reason = tidied;
        }
        if before.is_none_or(|old| old.external_ids != self.external_ids) {
            external_id::tidy(flaws, &mut self.external_ids);
        }
    }

    /// Makes the status that of a stage of this kind. What was closed remembers since when; what is open again forgets it,
    /// and what is not lost has no reason why it would be.
    pub fn follow(&mut self, kind: StageKind, at: DateTime<Utc>) {
        if self.status != kind || (self.closed_at.is_none() && kind != StageKind::Open) {
            self.closed_at = (kind != StageKind::Open).then_some(at);
        }
        self.status = kind;
        if kind != StageKind::Lost {
            self.lost_reason = None;
        }
    }
}
