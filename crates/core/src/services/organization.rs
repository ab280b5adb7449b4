//! The organisation's own settings, and the organisations that one belongs to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        event::EventKind,
        organization::Organization,
        text::{self, Flaws},
    },
    error::{Error, Result},
    page::Page,
    patch::Patch,
    scope::{Actor, RoleKey},
    services::{
        automation,
        unit::{Unit, check_version},
    },
};

/// A change of the organisation: a merge patch. Nothing of it can be cleared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OrganizationPatch {
    /// What people call it, 1…200 characters.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
    /// IANA time zone, for example `Europe/Berlin`: a fact of rules; schedules that name none go by it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub time_zone: Patch<String>,
    /// BCP 47 tag, for example `en` or `de-AT`: a fact for applications; the engine's own mails are in English.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub locale: Patch<String>,
    /// ISO 4217 code, for example `EUR`: what amounts are in that are given without a currency from then on.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub currency: Patch<String>,
    /// Whether members must have a second factor: without, they reach their own profile and nothing else.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub require_two_factor: Patch<bool>,
}

/// The change of the organisation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateOrganization {
    /// Its change.
    pub patch: OrganizationPatch,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// An organisation that somebody belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Belonging {
    /// The organisation.
    #[serde(flatten)]
    pub organization: Organization,
    /// As what they belong to it.
    pub role: RoleKey,
}

pub(crate) async fn get(unit: &mut Unit, (): ()) -> Result<Organization> {
    unit.organization().await
}

/// The organisations that the caller belongs to, oldest membership first: few, so no page goes on.
pub(crate) async fn list(unit: &mut Unit, (): ()) -> Result<Page<Belonging>> {
    let user = unit.scope().require_person()?;
    let mut belongings = unit.store().belongings(user).await?;
    // A key is of one organisation, and tells nothing of the others.
    if matches!(unit.scope().actor, Actor::ApiKey { .. }) {
        let own = unit.organization_id();
        belongings.retain(|(_, organization)| organization.id == own);
    }
    let view = |(membership, organization): (crate::domain::organization::Membership, _)| Belonging {
        organization,
        role: membership.role,
    };
    Ok(Page { data: belongings.into_iter().map(view).collect(), next_cursor: None })
}

/// The checked value of a member that cannot be cleared.
fn set<T>(flaws: &mut Flaws, pointer: &str, patch: Patch<String>, check: fn(&str) -> text::Checked<T>, to: &mut T) {
    match patch {
        Patch::Absent => {}
        Patch::Null => {
            flaws.add(pointer, "required", "it cannot be cleared");
        }
        Patch::Value(given) => {
            if let Some(value) = flaws.take(pointer, check(&given)) {
                *to = value;
            }
        }
    }
}

pub(crate) async fn update(unit: &mut Unit, input: UpdateOrganization) -> Result<Organization> {
    let before = unit.organization().await?;
    check_version("organization", input.if_version, before.version)?;
    let mut after = before.clone();
    let mut flaws = Flaws::default();
    let patch = input.patch;
    set(&mut flaws, "/name", patch.name, text::name, &mut after.name);
    set(&mut flaws, "/time_zone", patch.time_zone, text::time_zone, &mut after.time_zone);
    set(&mut flaws, "/locale", patch.locale, text::locale, &mut after.locale);
    set(&mut flaws, "/currency", patch.currency, currency, &mut after.currency);
    match patch.require_two_factor {
        Patch::Absent => {}
        Patch::Null => {
            flaws.add("/require_two_factor", "required", "it cannot be cleared: send false");
        }
        Patch::Value(required) => after.require_two_factor = required,
    }
    flaws.end()?;
    if after == before {
        return Ok(before);
    }
    after.updated_at = unit.now();
    let (fact, after) = unit.fact(EventKind::OrganizationUpdated, before.id)?.edit(&before, &after)?;
    fact.data("what", "organization.updated").changes(Some(&before), &after);
    if after.time_zone != before.time_zone {
        automation::replan_schedules(unit).await?;
    }
    Ok(after)
}

fn currency(text: &str) -> text::Checked<crate::domain::currency::Currency> {
    text.parse().map_err(|e: Error| text::Flaw::new("unknown", e.message()))
}
