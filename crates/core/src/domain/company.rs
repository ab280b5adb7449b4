//! A company: where contacts work and whom deals are with.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    domain::{
        contact::MAX_TAGS,
        external_id::{self, ExternalIds},
        text::{self, Flaw, Flaws},
    },
    id::{CompanyId, OrganizationId},
};

/// A company.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Company {
    /// Its id.
    pub id: CompanyId,
    /// Whose it is.
    #[serde(skip)]
    pub organization_id: OrganizationId,
    /// What people call it.
    pub name: String,
    /// Case-folded NFKC of the name: what lists sort by.
    #[serde(skip)]
    pub name_key: String,
    /// Its domain, lower-cased: `acme.example`.
    pub domain: Option<String>,
    /// What it does.
    pub industry: Option<String>,
    /// How many people work there.
    pub size: Option<i64>,
    /// Its web address.
    pub website: Option<String>,
    /// Tags, sorted.
    pub tags: Vec<String>,
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

/// One tag of a company: the index behind the filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompanyTag {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The tag.
    pub tag: String,
    /// Who has it.
    pub company_id: CompanyId,
}

/// The most people that a company may have.
const MAX_SIZE: i64 = 100_000_000;

impl Company {
    /// Brings what people entered to the form in which it is kept, and tells what is wrong with it.
    pub fn tidy(&mut self) -> Flaws {
        let mut flaws = Flaws::default();
        if let Some(name) = flaws.take("/name", text::name(&self.name)) {
            self.name_key = text::name_key(&name);
            self.name = name;
        }
        optional(&mut flaws, "/domain", &mut self.domain, domain);
        optional(&mut flaws, "/industry", &mut self.industry, |it| text::line(it, text::MAX_WORD));
        optional(&mut flaws, "/website", &mut self.website, website);
        if let Some(size) = self.size.filter(|size| !(0..=MAX_SIZE).contains(size)) {
            flaws.add("/size", "out_of_range", format!("{size} people cannot be: 0 to {MAX_SIZE} is expected"));
        }
        flaws.each("/tags", MAX_TAGS, &mut self.tags, text::tag);
        self.tags.sort();
        external_id::tidy(&mut flaws, &mut self.external_ids);
        flaws
    }
}

/// Checks a text that may be left out; an empty one counts as left out.
fn optional(
    flaws: &mut Flaws,
    pointer: &str,
    field: &mut Option<String>,
    check: impl Fn(&str) -> text::Checked<String>,
) {
    if let Some(given) = field.take().filter(|given| !given.trim().is_empty()) {
        *field = flaws.take(pointer, check(&given));
    }
}

/// A domain name of two labels or more, lower-cased (RFC 1123, 2.1).
fn domain(text: &str) -> text::Checked<String> {
    let domain = text::line(text, 253)?.to_lowercase();
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    if domain.contains('.') && domain.split('.').all(label) {
        return Ok(domain);
    }
    Err(Flaw::new("invalid", format!("{text:?} is no domain: for example acme.example is expected")))
}

/// A web address; `https://` is put before one without a scheme.
fn website(text: &str) -> text::Checked<String> {
    let given = text::line(text, 2_000)?;
    let address = if given.contains("://") { given } else { format!("https://{given}") };
    let host = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    match host.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default()) {
        Some(host) if !host.is_empty() && !address.contains(char::is_whitespace) => Ok(address),
        _ => Err(Flaw::new("invalid", format!("{text:?} is no web address: http:// or https:// is expected"))),
    }
}
