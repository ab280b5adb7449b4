//! What callers send about deals.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    domain::{
        custom_field::Noun,
        deal::Deal,
        external_id::ExternalIds,
        money::{Money, NewMoney},
        pipeline::StageKind,
        text::Flaws,
    },
    error::Result,
    id::{CompanyId, ContactId, DealId, PipelineId, StageId, TeamId, UserId},
    page::PageRequest,
    patch::Patch,
    ports::store::{Range, TimeRange},
    services::{
        batch::BatchItem,
        fields,
        listing::{Asked, Simple},
        unit::Unit,
    },
};

/// A deal to be made. Without a stage it starts in the first one of the pipeline, the default one if none is named.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDeal {
    /// What people call it, 1…200 characters.
    pub name: String,
    /// With whom.
    #[serde(default)]
    pub contact_id: Option<ContactId>,
    /// With which company.
    #[serde(default)]
    pub company_id: Option<CompanyId>,
    /// The pipeline; that of the stage, else the default one, if left out.
    #[serde(default)]
    pub pipeline_id: Option<PipelineId>,
    /// The stage, one of that pipeline.
    #[serde(default)]
    pub stage_id: Option<StageId>,
    /// What it is worth.
    #[serde(default)]
    pub value: Option<NewMoney>,
    /// The chance to win it, 0…1; its stage's if left out.
    #[serde(default)]
    pub probability: Option<f64>,
    /// When it is hoped to be closed.
    #[serde(default)]
    pub expected_close_on: Option<NaiveDate>,
    /// Who looks after it: a member.
    #[serde(default)]
    pub assigned_to: Option<UserId>,
    /// The team that does.
    #[serde(default)]
    pub team_id: Option<TeamId>,
    /// Why it was lost, at most 500 characters; for a deal that is lost already.
    #[serde(default)]
    pub lost_reason: Option<String>,
    /// Values of custom fields, by their keys.
    #[serde(default)]
    pub custom: Map<String, Value>,
    /// What other systems call it: `{system: id}`, each unique in the organisation; at most 20.
    #[serde(default)]
    pub external_ids: ExternalIds,
}

/// A change of a deal: a merge patch. Its stage is changed by the move.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DealPatch {
    /// What people call it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
    /// With whom.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub contact_id: Patch<ContactId>,
    /// With which company.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub company_id: Patch<CompanyId>,
    /// Its pipeline. A deal that is there changes it by `PATCH /api/crm/deals/{id}/stage`: another one is refused here.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub pipeline_id: Patch<PipelineId>,
    /// Its stage. A deal that is there is moved by `PATCH /api/crm/deals/{id}/stage`: another one is refused here.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub stage_id: Patch<StageId>,
    /// What it is worth, as a whole.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub value: Patch<MoneyPatch>,
    /// The chance to win it, 0…1.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub probability: Patch<f64>,
    /// When it is hoped to be closed.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub expected_close_on: Patch<NaiveDate>,
    /// Who looks after it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub assigned_to: Patch<UserId>,
    /// The team that does.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub team_id: Patch<TeamId>,
    /// Why it was lost; only while it is.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub lost_reason: Patch<String>,
    /// Values of custom fields, each by itself.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub custom: Patch<Map<String, Value>>,
    /// What other systems call it, each by itself.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub external_ids: Patch<BTreeMap<String, Option<String>>>,
}

/// A change of a deal's value: either member may be left as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MoneyPatch {
    /// A decimal number, with at most the digits of the currency's minor unit behind the point.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub amount: Patch<String>,
    /// ISO 4217. Left out, it is the deal's own, or the organisation's for a deal without a value.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub currency: Patch<String>,
}

impl DealPatch {
    /// The patch of a deal that is worth `before`: an amount without currency is in the organisation's, unless the deal
    /// has one.
    pub(super) async fn in_own_currency(mut self, unit: &mut Unit, before: Option<Money>) -> Result<Self> {
        if let (Patch::Value(value), None) = (&mut self.value, before)
            && value.currency.is_absent()
        {
            value.currency = Patch::Value(unit.organization().await?.currency.to_string());
        }
        Ok(self)
    }

    /// Applies the patch; what it makes is still to be checked.
    pub(super) fn apply(self, deal: &mut Deal, flaws: &mut Flaws) {
        const MOVE: &str = "a deal is moved by PATCH /api/crm/deals/{id}/stage, not edited into another stage";
        let stays = |patch: Patch<StageId>| patch.is_absent() || patch == Patch::Value(deal.stage_id);
        if !stays(self.stage_id) {
            flaws.add("/stage_id", "read_only", MOVE);
        }
        let stays = |patch: Patch<PipelineId>| patch.is_absent() || patch == Patch::Value(deal.pipeline_id);
        if !stays(self.pipeline_id) {
            flaws.add("/pipeline_id", "read_only", MOVE);
        }
        // A name cannot be cleared: the check says so.
        self.name.replace(&mut deal.name);
        match self.value {
            Patch::Absent => {}
            Patch::Null => deal.value = None,
            Patch::Value(patch) => {
                let known = deal.value.map(NewMoney::from);
                let cleared = patch.amount == Patch::Null || patch.currency == Patch::Null;
                let amount = flaws.given("/value/amount", patch.amount);
                let currency = flaws.given("/value/currency", patch.currency);
                let amount = amount.or_else(|| known.as_ref().map(|it| it.amount.clone()));
                let currency = currency.or_else(|| known.and_then(|it| it.currency));
                match amount {
                    _ if cleared => {}
                    Some(amount) => {
                        if let Some(value) = (NewMoney { amount, currency }).checked(flaws, "/value") {
                            deal.value = Some(value);
                        }
                    }
                    None => {
                        flaws.add("/value/amount", "required", "the deal has no value yet: say how much");
                    }
                }
            }
        }
        self.contact_id.apply(&mut deal.contact_id);
        self.company_id.apply(&mut deal.company_id);
        self.probability.apply(&mut deal.probability);
        self.expected_close_on.apply(&mut deal.expected_close_on);
        self.assigned_to.apply(&mut deal.assigned_to);
        self.team_id.apply(&mut deal.team_id);
        fields::apply_custom(self.custom, &mut deal.custom);
        fields::apply_external_ids(self.external_ids, &mut deal.external_ids);
        if let Patch::Value(_) = &self.lost_reason
            && deal.status != StageKind::Lost
        {
            flaws.add("/lost_reason", "invalid", format!("the deal is {}: only a lost one has this", deal.status));
        }
        self.lost_reason.apply(&mut deal.lost_reason);
    }
}

/// Which deal, and its change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateDeal {
    /// Which one.
    pub id: DealId,
    /// Its change.
    pub patch: DealPatch,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Which deal is to be deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteDeal {
    /// Which one.
    pub id: DealId,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Which deals, in which order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListDeals {
    /// With exactly this name.
    pub name: Option<String>,
    /// In this pipeline.
    pub pipeline_id: Option<PipelineId>,
    /// In this stage.
    pub stage_id: Option<StageId>,
    /// With this contact.
    pub contact_id: Option<ContactId>,
    /// With this company.
    pub company_id: Option<CompanyId>,
    /// Looked after by this user.
    pub assigned_to: Option<UserId>,
    /// Of this team.
    pub team_id: Option<TeamId>,
    /// Open, won or lost.
    pub status: Option<StageKind>,
    /// Worth so much, whatever the currency: a decimal number.
    pub value: Option<Range<String>>,
    /// Hoped to be closed then: a day.
    pub expected_close_on: Option<Range<NaiveDate>>,
    /// Made then.
    pub created_at: Option<TimeRange>,
    /// Last edited then.
    pub updated_at: Option<TimeRange>,
    /// Won or lost then.
    pub closed_at: Option<TimeRange>,
    /// By custom fields: `custom.size=5`, `custom.size[gte]=5`.
    pub custom: Map<String, Value>,
    /// `created_at`, `updated_at`, `name`, `value` (by the amount, whatever the currency), `expected_close_on` or
    /// `custom.…`, with a leading `-` for largest first; newest first if left out. Deals without a value come as the
    /// least, those without a day as the earliest; sorted by a custom field the list has those that have a value there.
    pub sort: Option<String>,
    /// Items a page, 1…200.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl ListDeals {
    /// The parts that the store goes by.
    pub(super) async fn parts(self, unit: &Unit) -> Result<Asked> {
        let deal = Noun::Deal;
        let simple = Simple::default()
            .equal(deal, "pipeline_id", self.pipeline_id.as_ref())
            .equal(deal, "stage_id", self.stage_id.as_ref())
            .equal(deal, "contact_id", self.contact_id.as_ref())
            .equal(deal, "company_id", self.company_id.as_ref())
            .equal(deal, "assigned_to", self.assigned_to.as_ref())
            .equal(deal, "team_id", self.team_id.as_ref())
            .equal(deal, "status", self.status.as_ref())
            .asked("name", self.name.as_deref())
            .bounded("value", self.value.as_ref())
            .bounded("expected_close_on", self.expected_close_on.as_ref())
            .within(deal, "created_at", self.created_at)
            .within(deal, "updated_at", self.updated_at)
            .within(deal, "closed_at", self.closed_at);
        let page = PageRequest { limit: self.limit, cursor: self.cursor };
        simple.parts(unit, deal, &self.custom, self.sort.as_deref(), page).await
    }
}

/// Deals to be made at once, each by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DealBatch {
    /// At most 500.
    pub items: Vec<BatchItem>,
}

/// A deal by its id in another system: made if nobody has that id, else changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpsertDeal {
    /// The other system.
    pub system: String,
    /// The id there.
    pub external_id: String,
    /// What the deal is to have; the rest stays. A new one needs a name; without a stage it
    /// starts in the first one of the named pipeline, else of the default one.
    pub patch: DealPatch,
    /// Only if it is there and at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Where a deal goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DealMove {
    /// Where to.
    pub stage_id: StageId,
    /// Why, at most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Which deal goes where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveDeal {
    /// Which one.
    pub id: DealId,
    /// Where it goes.
    pub patch: DealMove,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Whose moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDealHistory {
    /// The deal.
    pub id: DealId,
    /// Items a page, 1…200.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}
