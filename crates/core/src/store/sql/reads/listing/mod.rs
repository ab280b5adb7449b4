//! How the lists of contacts, companies and deals find their rows. A filter and a sort that share an index are walked
//! along it. For any other filter there are two ways, and the wrong one costs seconds at a million rows: *walk* the
//! sort's index and test each row (good for what is common), or *collect* what the filter's own index has and sort it
//! (good for what is rare). Neither planner knows which, so the rows of each filter are counted first, up to a bound.
//! What remains slow is the meeting of two common filters that hardly meet.

mod lead;
mod predicate;

use chrono::{DateTime, Utc};

pub(super) use self::lead::in_sight;
use super::{
    list::{self, OPAQUE, OPAQUE_END, Order},
    select::{cell, columns},
};
use crate::{
    domain::{
        company::Company,
        contact::Contact,
        custom_field::{CustomKind, Noun},
        deal::Deal,
    },
    error::{Error, Result},
    id::*,
    page::{ListKey, Page, PageRequest, Position, SortValue},
    ports::store::{FieldKind, Filter, Is, Place, Record, Row, SortBy, Value},
    store::sql::{Db, SqlStore, statement::Statement},
};

/// Up to this many rows are collected and sorted, some 3 µs each; more are walked. Counting so far costs a quarter of a
/// millisecond.
pub(super) const RARE: i64 = 2_000;

/// A noun that is listed: what the walks need beside its columns.
pub(super) trait Listed: Record {
    const NOUN: Noun;
    /// The table of its tags and the column of its id there.
    const TAGS: Option<(&'static str, &'static str)>;
    /// Its custom values.
    fn custom(&self) -> &serde_json::Map<String, serde_json::Value>;
    /// Columns that stand before the sort key in an index: under every sort, and under the order of creation alone.
    const LEADS: (&'static [&'static str], &'static [&'static str]);
    fn uuid(&self) -> uuid::Uuid;
}

impl Listed for Contact {
    const NOUN: Noun = Noun::Contact;
    const TAGS: Option<(&'static str, &'static str)> = Some(("contact_tags", "contact_id"));
    const LEADS: (&'static [&'static str], &'static [&'static str]) =
        (&["stage_id"], &["assigned_to", "source", "company_id", "team_id"]);
    fn custom(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.custom
    }
    fn uuid(&self) -> uuid::Uuid {
        self.id.uuid()
    }
}

impl Listed for Company {
    const NOUN: Noun = Noun::Company;
    const TAGS: Option<(&'static str, &'static str)> = Some(("company_tags", "company_id"));
    const LEADS: (&'static [&'static str], &'static [&'static str]) = (&[], &["domain", "industry"]);
    fn custom(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.custom
    }
    fn uuid(&self) -> uuid::Uuid {
        self.id.uuid()
    }
}

impl Listed for Deal {
    const NOUN: Noun = Noun::Deal;
    const TAGS: Option<(&'static str, &'static str)> = None;
    const LEADS: (&'static [&'static str], &'static [&'static str]) =
        (&[], &["contact_id", "company_id", "stage_id", "assigned_to", "team_id", "pipeline_id", "status"]);
    fn custom(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.custom
    }
    fn uuid(&self) -> uuid::Uuid {
        self.id.uuid()
    }
}

/// How the rows are found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Path<'f> {
    /// Along the sort's index.
    Walk,
    /// By the index of this filter, then sorted.
    Collect(&'f Filter),
    /// To be chosen by how many rows each of these has.
    Probe(Vec<&'f Filter>),
}

impl<'f> Path<'f> {
    /// The way for filters with this many rows each, counted up to the bound.
    pub(super) fn decide(filters: &[&'f Filter], counts: Row) -> Result<Self> {
        let counts = &mut counts.into_iter();
        let mut rarest = None;
        for filter in filters {
            let count: i64 = cell(counts)?;
            if count <= RARE && rarest.as_ref().is_none_or(|(least, _)| count < *least) {
                rarest = Some((count, *filter));
            }
        }
        Ok(rarest.map_or(Self::Walk, |(_, filter)| Self::Collect(filter)))
    }

    /// The filter by which rows are collected.
    pub(super) fn collected(&self) -> Option<&'f Filter> {
        match self {
            Self::Collect(filter) => Some(filter),
            Self::Walk | Self::Probe(_) => None,
        }
    }
}

/// A list of one noun: its filter split into what must all hold.
pub(super) struct Listing<'f> {
    organization: OrganizationId,
    db: Db,
    conjuncts: Vec<&'f Filter>,
    sort: &'f SortBy,
}

impl<'f> Listing<'f> {
    pub(super) fn new(organization: OrganizationId, db: Db, filter: &'f Filter, sort: &'f SortBy) -> Self {
        Self { organization, db, conjuncts: filter.conjuncts(), sort }
    }

    /// The same, which only finds what passes this too.
    fn within(mut self, filter: Option<&'f Filter>) -> Self {
        self.conjuncts.extend(filter);
        self
    }

    /// The one column, of those that a filter fixes, that stands before the sort key in an index.
    fn leading<T: Listed>(&self) -> Option<&'static str> {
        let Place::Field(sort) = &self.sort.place else { return None };
        let (always, by_creation) = T::LEADS;
        let by_creation = if sort.name == "created_at" { by_creation } else { &[] };
        let mut leads = always.iter().chain(by_creation);
        leads.find(|lead| self.conjuncts.iter().any(|it| lead::fixed_column(it) == Some(**lead))).copied()
    }

    /// Whether the walk's own index takes this filter: the leading column, and a range of the sort key.
    fn is_direct<T: Listed>(&self, filter: &Filter) -> bool {
        let fixed = lead::fixed_column(filter);
        (fixed.is_some() && fixed == self.leading::<T>())
            || matches!(filter, Filter::Test(place, Is::Within(_)) if *place == self.sort.place)
    }

    /// The way for this filter and sort.
    pub(super) fn choose<T: Listed>(&self) -> Path<'f> {
        let rest: Vec<_> = self.conjuncts.iter().copied().filter(|it| !self.is_direct::<T>(it)).collect();
        // An address or an id elsewhere belongs to one, or to a few duplicates: no need to count.
        if let Some(identity) = rest.iter().find(|it| lead::is_identity(it)) {
            return Path::Collect(identity);
        }
        let found: Vec<_> = rest.into_iter().filter(|it| lead::has_index(it)).collect();
        if found.is_empty() { Path::Walk } else { Path::Probe(found) }
    }

    /// Counts the rows of each filter up to the bound: one column each.
    pub(super) fn probe<T: Listed>(&self, filters: &[&Filter]) -> Statement {
        let mut statement = Statement::new("SELECT ");
        for (place, filter) in filters.iter().enumerate() {
            statement.push(if place == 0 { "" } else { ", " }).push("(SELECT COUNT(*) FROM (");
            lead::ids::<T>(self.organization, filter, &mut statement);
            statement.push(&format!(" LIMIT {}) AS p{place})", RARE + 1));
        }
        statement
    }

    /// The statement of one page, collected by `collect` or walked, and the page's limit.
    pub(super) fn statement<T: Listed>(
        &self,
        collect: Option<&Filter>,
        list: ListKey,
        request: &PageRequest,
    ) -> Result<(Statement, usize)> {
        let (columns, table) = (columns::<T>("t"), T::TABLE.name);
        let by_custom = match &self.sort.place {
            Place::Custom { id, .. } => Some(id),
            _ => None,
        };
        let mut statement = Statement::default();
        // `CROSS JOIN` keeps the order of the tables on SQLite, `MATERIALIZED` on both.
        if let Some(filter) = collect {
            statement.push("WITH picked AS MATERIALIZED (");
            lead::ids::<T>(self.organization, filter, &mut statement);
            statement.push(&format!(") SELECT {columns} FROM picked p CROSS JOIN {table} t"));
        } else if by_custom.is_some() {
            statement.push(&format!("SELECT {columns} FROM custom_values v CROSS JOIN {table} t"));
        } else {
            statement.push(&format!("SELECT {columns} FROM {table} t"));
        }
        if collect.is_some() && by_custom.is_some() {
            statement.push(" CROSS JOIN custom_values v");
        }
        statement.push(" WHERE ").push(if collect.is_some() { "t.id = p.id AND " } else { "" });
        if let Some(field) = by_custom {
            statement.push("v.organization_id = ").bind(&self.organization);
            statement.push(" AND v.field_id = ").bind(field).push(" AND v.record_id = t.id AND ");
        }
        statement.push("t.organization_id = ").bind(&self.organization).push(" AND t.deleted_at IS NULL");
        let (direct, rest): (Vec<_>, Vec<_>) = (self.conjuncts.iter().copied())
            .filter(|filter| Some(*filter) != collect)
            .partition(|filter| collect.is_none() && self.is_direct::<T>(filter));
        for filter in direct {
            statement.push(" AND ");
            predicate::direct(filter, &mut statement);
        }
        for (place, filter) in rest.iter().enumerate() {
            statement.push(if place == 0 { OPAQUE } else { " AND " });
            predicate::push::<T>(self.db, self.organization, filter, &mut statement);
        }
        if !rest.is_empty() {
            statement.push(OPAQUE_END);
        }
        let limit = self.order().finish(&mut statement, list, request)?;
        Ok((statement, limit))
    }

    fn order(&self) -> Order {
        let descending = self.sort.descending;
        match &self.sort.place {
            Place::Field(field) => Order {
                key: key(field.key.unwrap_or("created_at")),
                text: matches!(field.kind, FieldKind::Name | FieldKind::Date),
                descending,
                unique: false,
                id: "t.id",
            },
            Place::Custom { .. } | Place::ExternalId(_) => {
                Order { key: "v.value", text: true, descending, unique: false, id: "v.record_id" }
            }
        }
    }

    /// The place of a row under the sort.
    fn position<T: Listed>(&self, record: &T) -> Position {
        let value = match &self.sort.place {
            Place::Field(field) => {
                let column = T::TABLE.columns.iter().position(|it| *it == source(field.key.unwrap_or("created_at")));
                match column.and_then(|at| record.to_row().into_iter().nth(at)) {
                    Some(Value::Int(number)) => SortValue::Int(number),
                    Some(Value::Text(text)) => SortValue::Text(text),
                    _ => nothing(field.key),
                }
            }
            Place::Custom { key, kind, .. } => SortValue::Text(custom_key(*kind, record.custom().get(key))),
            Place::ExternalId(_) => SortValue::Int(0),
        };
        Position { value, id: record.uuid() }
    }
}

/// A sort key with its alias.
fn key(key: &'static str) -> &'static str {
    match key {
        "updated_at" => "t.updated_at",
        "name_key" => "t.name_key",
        "last_message_key" => "t.last_message_key",
        "score" => "t.score",
        "value_key" => "t.value_key",
        "close_key" => "t.close_key",
        _ => "t.created_at",
    }
}

/// The column that a key is made from.
fn source(key: &'static str) -> &'static str {
    match key {
        "last_message_key" => "last_message_at",
        "value_key" => "value_amount",
        "close_key" => "expected_close_on",
        key => key,
    }
}

/// The key that the database generates for what is not there.
fn nothing(key: Option<&str>) -> SortValue {
    match key {
        Some("value_key") => SortValue::Int(-1),
        Some("close_key") => SortValue::Text(String::new()),
        _ => SortValue::Int(0),
    }
}

fn custom_key(kind: CustomKind, value: Option<&serde_json::Value>) -> String {
    value.and_then(|value| kind.key(value)).unwrap_or_default()
}

impl SqlStore {
    /// A page of a filtered and sorted list.
    pub(super) async fn listing<T: Listed>(
        &self,
        organization: OrganizationId,
        filter: &Filter,
        sort: &SortBy,
        page: &PageRequest,
    ) -> Result<Page<T>> {
        let list = list_key::<T>(filter, sort);
        // The rows in sight may be few, and are found by who looks after them.
        let in_sight = in_sight::<T>(&self.sight);
        let listing = Listing::new(organization, self.db(), filter, sort).within(in_sight.as_ref());
        let mut path = listing.choose::<T>();
        if let Path::Probe(filters) = &path {
            // A wrong cursor or limit is told before the database is asked anything.
            listing.statement::<T>(None, list, page)?;
            let counts = self.rows(Some(organization), listing.probe::<T>(filters)).await?;
            let counts = counts.into_iter().next().unwrap_or_default();
            path = Path::decide(filters, counts)?;
        }
        let (statement, limit) = listing.statement::<T>(path.collected(), list, page)?;
        let rows = self.rows(Some(organization), statement).await?;
        list::page(rows, limit, list, T::from_row, |record: &T| listing.position(record))
    }
}

impl SqlStore {
    /// The first that pass a filter, oldest first, after a place in that order: a walk whose filter may change on the way,
    /// as cursors may not.
    pub(super) async fn found<T: Listed>(
        &self,
        organization: OrganizationId,
        filter: &Filter,
        after: Option<(DateTime<Utc>, impl Id)>,
        limit: u32,
    ) -> Result<Vec<T>> {
        let newest = SortBy::newest(T::NOUN).ok_or_else(|| Error::internal("a noun has no order of creation"))?;
        let sort = SortBy { descending: false, ..newest };
        let list = list_key::<T>(filter, &sort);
        let cursor = after.map(|(at, id)| list::by_time(at, id).encode(list));
        let page = PageRequest { limit: Some(limit), cursor };
        Ok(self.listing(organization, filter, &sort, &page).await?.data)
    }
}

/// What the cursors of a list are bound to.
pub(super) fn list_key<T: Listed>(filter: &Filter, sort: &SortBy) -> ListKey {
    ListKey::of(&(T::NOUN, format!("{sort:?} {filter:?}")))
}
