//! What callers send about deals.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{deal::Deal, money::NewMoney, pipeline::StageKind, text::Flaws},
    id::{CompanyId, ContactId, DealId, PipelineId, StageId, UserId},
    page::PageRequest,
    patch::Patch,
    ports::store::DealFilter,
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
    /// With which company. This build keeps no companies.
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
    /// Why it was lost, at most 500 characters; for a deal that is lost already.
    #[serde(default)]
    pub lost_reason: Option<String>,
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
    /// Refused here: a deal changes its pipeline by `PATCH /api/crm/deals/{id}/stage`.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub pipeline_id: Patch<PipelineId>,
    /// Refused here: a deal is moved by `PATCH /api/crm/deals/{id}/stage`.
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
    /// Why it was lost; only while it is.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub lost_reason: Patch<String>,
}

/// A change of a deal's value: either member may be left as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MoneyPatch {
    /// A decimal number, with at most the digits of the currency's minor unit behind the point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// ISO 4217.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

impl DealPatch {
    /// Applies the patch; what it makes is still to be checked.
    pub(super) fn apply(self, deal: &mut Deal, flaws: &mut Flaws) {
        const MOVE: &str = "a deal is moved by PATCH /api/crm/deals/{id}/stage, not edited into another stage";
        for (pointer, absent) in
            [("/stage_id", self.stage_id.is_absent()), ("/pipeline_id", self.pipeline_id.is_absent())]
        {
            if !absent {
                flaws.add(pointer, "read_only", MOVE);
            }
        }
        match self.name {
            Patch::Absent => {}
            // A name cannot be cleared: the check says so.
            Patch::Null => deal.name.clear(),
            Patch::Value(name) => deal.name = name,
        }
        match self.value {
            Patch::Absent => {}
            Patch::Null => deal.value = None,
            Patch::Value(patch) => {
                let known = deal.value.map(NewMoney::from);
                let amount = patch.amount.or_else(|| known.as_ref().map(|it| it.amount.clone()));
                let currency = patch.currency.or_else(|| known.map(|it| it.currency));
                match (amount, currency) {
                    (Some(amount), Some(currency)) => {
                        if let Some(value) = (NewMoney { amount, currency }).checked(flaws, "/value") {
                            deal.value = Some(value);
                        }
                    }
                    (None, _) => {
                        flaws.add("/value/amount", "required", "the deal has no value yet: say how much");
                    }
                    (_, None) => {
                        flaws.add("/value/currency", "required", "the deal has no value yet: say in which currency");
                    }
                }
            }
        }
        self.contact_id.apply(&mut deal.contact_id);
        self.company_id.apply(&mut deal.company_id);
        self.probability.apply(&mut deal.probability);
        self.expected_close_on.apply(&mut deal.expected_close_on);
        self.assigned_to.apply(&mut deal.assigned_to);
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

/// Which deals; newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListDeals {
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
    /// Open, won or lost.
    pub status: Option<StageKind>,
    /// Items a page, 1…200.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl ListDeals {
    /// The parts that the store goes by.
    pub(super) fn parts(self) -> (DealFilter, PageRequest) {
        let filter = DealFilter {
            pipeline_id: self.pipeline_id,
            stage_id: self.stage_id,
            contact_id: self.contact_id,
            company_id: self.company_id,
            assigned_to: self.assigned_to,
            status: self.status,
        };
        (filter, PageRequest { limit: self.limit, cursor: self.cursor })
    }
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
