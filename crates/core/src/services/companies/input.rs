//! What callers send about companies.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    domain::{company::Company, custom_field::Noun, external_id::ExternalIds},
    error::Result,
    id::CompanyId,
    page::PageRequest,
    patch::Patch,
    ports::store::TimeRange,
    services::{
        batch::BatchItem,
        fields,
        listing::{Asked, Simple},
        unit::Unit,
    },
};

/// A company to be made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCompany {
    /// What people call it, 1…200 characters.
    pub name: String,
    /// Its domain: `acme.example`.
    #[serde(default)]
    pub domain: Option<String>,
    /// What it does, at most 100 characters.
    #[serde(default)]
    pub industry: Option<String>,
    /// How many people work there.
    #[serde(default)]
    pub size: Option<i64>,
    /// Its web address.
    #[serde(default)]
    pub website: Option<String>,
    /// Tags of at most 100 characters; at most 100.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Values of custom fields, by their keys.
    #[serde(default)]
    pub custom: Map<String, Value>,
    /// What other systems call it: `{system: id}`, each unique in the organisation; at most 20.
    #[serde(default)]
    pub external_ids: ExternalIds,
}

/// A change of a company: a merge patch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CompanyPatch {
    /// What people call it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
    /// Its domain.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub domain: Patch<String>,
    /// What it does.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub industry: Patch<String>,
    /// How many people work there.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub size: Patch<i64>,
    /// Its web address.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub website: Patch<String>,
    /// Tags: the whole list.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub tags: Patch<Vec<String>>,
    /// Values of custom fields, each by itself.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub custom: Patch<Map<String, Value>>,
    /// What other systems call it, each by itself.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub external_ids: Patch<BTreeMap<String, Option<String>>>,
}

impl CompanyPatch {
    /// Applies the patch; what it makes is still to be checked.
    pub(super) fn apply(self, company: &mut Company) {
        // A name cannot be cleared: the check says so.
        self.name.replace(&mut company.name);
        self.domain.apply(&mut company.domain);
        self.industry.apply(&mut company.industry);
        self.size.apply(&mut company.size);
        self.website.apply(&mut company.website);
        self.tags.replace(&mut company.tags);
        fields::apply_custom(self.custom, &mut company.custom);
        fields::apply_external_ids(self.external_ids, &mut company.external_ids);
    }
}

/// Which company, and its change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateCompany {
    /// Which one.
    pub id: CompanyId,
    /// Its change.
    pub patch: CompanyPatch,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Which company is to be deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteCompany {
    /// Which one.
    pub id: CompanyId,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Which companies, in which order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListCompanies {
    /// With exactly this name.
    pub name: Option<String>,
    /// With this domain.
    pub domain: Option<String>,
    /// In this industry.
    pub industry: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// Made then.
    pub created_at: Option<TimeRange>,
    /// Last edited then.
    pub updated_at: Option<TimeRange>,
    /// By custom fields: `custom.tier=gold`, `custom.revenue[gte]=5`.
    pub custom: Map<String, Value>,
    /// `created_at`, `updated_at`, `name` or `custom.…`, with a leading `-` for largest first; newest first if left out.
    /// Sorted by a custom field the list has those that have a value there.
    pub sort: Option<String>,
    /// Items a page, 1…200.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl ListCompanies {
    /// The parts that the store goes by.
    pub(super) async fn parts(self, unit: &Unit) -> Result<Asked> {
        let trimmed = |text: Option<String>| text.map(|text| text.trim().to_owned());
        let company = Noun::Company;
        let simple = Simple::default()
            .equal(company, "domain", self.domain.map(|domain| domain.trim().to_lowercase()).as_ref())
            .equal(company, "industry", trimmed(self.industry).as_ref())
            .equal(company, "tags", trimmed(self.tag).as_ref())
            .asked("name", self.name.as_deref())
            .within(company, "created_at", self.created_at)
            .within(company, "updated_at", self.updated_at);
        let page = PageRequest { limit: self.limit, cursor: self.cursor };
        simple.parts(unit, company, &self.custom, self.sort.as_deref(), page).await
    }
}

/// Companies to be made at once, each by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompanyBatch {
    /// At most 500.
    pub items: Vec<BatchItem>,
}

/// A company by its id in another system: made if nobody has that id, else changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpsertCompany {
    /// The other system.
    pub system: String,
    /// The id there.
    pub external_id: String,
    /// What the company is to have; the rest stays. A new one needs a name.
    pub patch: CompanyPatch,
    /// Only if it is there and at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}
