//! How a list of contacts finds its rows. A filter and a sort that share an index are walked along it. For any other
//! filter there are two ways, and the wrong one costs seconds at a million contacts: *walk* the sort's index and test
//! each row (good for what is common), or *collect* what the filter's own index has and sort it (good for what is
//! rare). Neither planner knows which, so the rows of each filter are counted first, up to a bound. What remains slow
//! is the meeting of two common filters that hardly meet.

use crate::{
    domain::contact::{Contact, IdentityKind},
    error::Result,
    id::*,
    page::{ListKey, PageRequest, Position, SortValue},
    ports::store::{Column, ContactFilter, ContactSort, Row, Sort, TimeRange},
    store::sql::statement::Statement,
};

use super::{
    list::{OPAQUE, OPAQUE_END, Order, by_number, by_time},
    select::{cell, columns},
};

/// Up to this many rows are collected and sorted, some 3 µs each; more are walked. Counting so far costs a quarter of a
/// millisecond.
const RARE: i64 = 2_000;

/// One condition of a filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition<'a> {
    Stage(StageId),
    Pipeline(PipelineId),
    Tag(&'a String),
    AssignedTo(UserId),
    Team(TeamId),
    SharedWith(&'a Vec<TeamId>),
    Source(&'a String),
    Identity(IdentityKind, &'a String),
    During(ContactSort, TimeRange),
}

/// How the rows are found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Path<'a> {
    /// Along the sort's index.
    Walk,
    /// By the index of this condition, then sorted.
    Collect(Condition<'a>),
    /// To be chosen by how many rows each of these has.
    Probe(Vec<Condition<'a>>),
}

impl<'a> Path<'a> {
    /// The way for conditions with this many rows each, counted up to the bound.
    pub(super) fn decide(conditions: &[Condition<'a>], counts: Row) -> Result<Self> {
        let counts = &mut counts.into_iter();
        let mut rarest = None;
        for condition in conditions {
            let count: i64 = cell(counts)?;
            if count <= RARE && rarest.as_ref().is_none_or(|(least, _)| count < *least) {
                rarest = Some((count, condition));
            }
        }
        Ok(rarest.map_or(Self::Walk, |(_, condition)| Self::Collect(condition.clone())))
    }

    /// The condition by which rows are collected.
    pub(super) fn collected(&self) -> Option<&Condition<'a>> {
        match self {
            Self::Collect(condition) => Some(condition),
            Self::Walk | Self::Probe(_) => None,
        }
    }
}

fn conditions(filter: &ContactFilter) -> Vec<Condition<'_>> {
    let during = |field, range: Option<TimeRange>| {
        range.filter(|it| *it != TimeRange::default()).map(|range| Condition::During(field, range))
    };
    [
        filter.stage_id.map(Condition::Stage),
        filter.pipeline_id.map(Condition::Pipeline),
        filter.tag.as_ref().map(Condition::Tag),
        filter.assigned_to.map(Condition::AssignedTo),
        filter.team_id.map(Condition::Team),
        filter.shared_with.as_ref().map(Condition::SharedWith),
        filter.source.as_ref().map(Condition::Source),
        filter.email.as_ref().map(|it| Condition::Identity(IdentityKind::Email, it)),
        filter.phone.as_ref().map(|it| Condition::Identity(IdentityKind::Phone, it)),
        during(ContactSort::CreatedAt, filter.created_at),
        during(ContactSort::UpdatedAt, filter.updated_at),
        during(ContactSort::LastMessageAt, filter.last_message_at),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether the walk's own index takes this condition: a range of the sort key, and one leading column: the stage under
/// every sort; the assignee or the source under the sort that lists have by themselves.
fn is_direct(condition: &Condition<'_>, filter: &ContactFilter, sort: ContactSort) -> bool {
    let by_creation = sort == ContactSort::CreatedAt && filter.stage_id.is_none();
    match condition {
        Condition::Stage(_) => true,
        Condition::During(field, _) => *field == sort,
        Condition::AssignedTo(_) => by_creation,
        Condition::Team(_) => by_creation && filter.assigned_to.is_none(),
        Condition::Source(_) => by_creation && filter.assigned_to.is_none() && filter.team_id.is_none(),
        Condition::SharedWith(_) | Condition::Pipeline(_) | Condition::Tag(_) | Condition::Identity(..) => false,
    }
}

/// The way for this filter and sort.
pub(super) fn choose(filter: &ContactFilter, sort: ContactSort) -> Path<'_> {
    let mut rest = conditions(filter);
    // What is shared is most of what there is: a test of each row, never a way to find them.
    rest.retain(|it| !is_direct(it, filter, sort) && !matches!(it, Condition::SharedWith(_)));
    // An address belongs to one contact, or to a few duplicates: no need to count.
    if let Some(identity) = rest.iter().find(|it| matches!(it, Condition::Identity(..))) {
        return Path::Collect(identity.clone());
    }
    if rest.is_empty() { Path::Walk } else { Path::Probe(rest) }
}

/// Counts the rows of each condition up to the bound: one column each.
pub(super) fn probe(organization: OrganizationId, conditions: &[Condition<'_>]) -> Statement {
    let mut statement = Statement::new("SELECT ");
    for (place, condition) in conditions.iter().enumerate() {
        statement.push(if place == 0 { "" } else { ", " }).push("(SELECT COUNT(*) FROM (");
        condition.ids(organization, &mut statement);
        statement.push(&format!(" LIMIT {}) AS p{place})", RARE + 1));
    }
    statement
}

/// The statement of one page, collected by `collect` or walked, and the page's limit.
pub(super) fn statement(
    organization: OrganizationId,
    filter: &ContactFilter,
    sort: Sort<ContactSort>,
    collect: Option<&Condition<'_>>,
    list: ListKey,
    request: &PageRequest,
) -> Result<(Statement, usize)> {
    let columns = columns::<Contact>("t");
    let mut statement = Statement::default();
    match collect {
        // `CROSS JOIN` keeps the order of the tables on SQLite, `MATERIALIZED` on both.
        Some(condition) => {
            statement.push("WITH picked AS MATERIALIZED (");
            condition.ids(organization, &mut statement);
            statement.push(&format!(") SELECT {columns} FROM picked p CROSS JOIN contacts t WHERE t.id = p.id AND "));
        }
        None => {
            statement.push(&format!("SELECT {columns} FROM contacts t WHERE "));
        }
    }
    statement.push("t.organization_id = ").bind(&organization).push(" AND t.deleted_at IS NULL");
    let (direct, rest): (Vec<_>, Vec<_>) = (conditions(filter).into_iter())
        .filter(|condition| Some(condition) != collect)
        .partition(|condition| collect.is_none() && is_direct(condition, filter, sort.field));
    for condition in direct {
        statement.push(" AND ");
        condition.predicate(organization, &mut statement);
    }
    for (place, condition) in rest.iter().enumerate() {
        statement.push(if place == 0 { OPAQUE } else { " AND " });
        condition.predicate(organization, &mut statement);
    }
    if !rest.is_empty() {
        statement.push(OPAQUE_END);
    }
    let text = sort.field == ContactSort::Name;
    let order = Order { key: key(sort.field), text, descending: sort.descending, unique: false };
    let limit = order.finish(&mut statement, list, request)?;
    Ok((statement, limit))
}

/// The sort key as its index has it.
const fn key(sort: ContactSort) -> &'static str {
    match sort {
        ContactSort::CreatedAt => "t.created_at",
        ContactSort::UpdatedAt => "t.updated_at",
        ContactSort::Name => "t.name_key",
        // Generated by the database: a null is 0.
        ContactSort::LastMessageAt => "t.last_message_key",
        ContactSort::Score => "t.score",
    }
}

/// The place of a contact under a sort.
pub(super) fn position(sort: ContactSort, contact: &Contact) -> Position {
    match sort {
        ContactSort::CreatedAt => by_time(contact.created_at, contact.id),
        ContactSort::UpdatedAt => by_time(contact.updated_at, contact.id),
        ContactSort::Name => Position { value: SortValue::Text(contact.name_key.clone()), id: contact.id.uuid() },
        ContactSort::LastMessageAt => {
            by_number(contact.last_message_at.map_or(0, |it| it.timestamp_micros()), contact.id)
        }
        ContactSort::Score => by_number(contact.score, contact.id),
    }
}

impl Condition<'_> {
    /// The ids of the contacts that hold it, by an index of its own.
    fn ids(&self, organization: OrganizationId, statement: &mut Statement) {
        let side = match self {
            Self::Tag(_) => "SELECT x.contact_id AS id FROM contact_tags x WHERE x.organization_id = ",
            Self::Identity(..) => "SELECT x.contact_id AS id FROM contact_identities x WHERE x.organization_id = ",
            _ => "SELECT t.id FROM contacts t WHERE t.deleted_at IS NULL AND t.organization_id = ",
        };
        statement.push(side).bind(&organization).push(" AND ");
        match self {
            Self::Tag(tag) => statement.push("x.tag = ").bind(*tag),
            Self::Identity(kind, value) => statement.push("x.kind = ").bind(kind).push(" AND x.value = ").bind(*value),
            // Stages lead indexes, pipelines do not.
            Self::Pipeline(id) => {
                statement.push("t.stage_id IN (SELECT s.id FROM stages s WHERE s.organization_id = ");
                statement.bind(&organization).push(" AND s.pipeline_id = ").bind(id).push(")")
            }
            Self::Stage(_)
            | Self::AssignedTo(_)
            | Self::Team(_)
            | Self::SharedWith(_)
            | Self::Source(_)
            | Self::During(..) => {
                self.predicate(organization, statement);
                statement
            }
        };
    }

    /// Whether one contact, `t`, holds it.
    fn predicate(&self, organization: OrganizationId, statement: &mut Statement) {
        match self {
            Self::Stage(id) => equal("t.stage_id", id, statement),
            Self::Pipeline(id) => equal("t.pipeline_id", id, statement),
            Self::AssignedTo(id) => equal("t.assigned_to", id, statement),
            Self::Team(id) => equal("t.team_id", id, statement),
            Self::SharedWith(teams) => {
                statement.push("(t.team_id IS NULL OR t.team_id IN (").bind_all(*teams).push("))");
            }
            Self::Source(source) => equal("t.source", *source, statement),
            Self::Tag(_) | Self::Identity(..) => {
                statement.push("EXISTS (");
                self.ids(organization, statement);
                statement.push(" AND x.contact_id = t.id)");
            }
            Self::During(field, range) => during(*field, range, statement),
        }
    }
}

fn equal(column: &str, value: &impl Column, statement: &mut Statement) {
    statement.push(column).push(" = ").bind(value);
}

fn during(field: ContactSort, range: &TimeRange, statement: &mut Statement) {
    // No message is within no range, though it sorts as the oldest.
    statement.push(if field == ContactSort::LastMessageAt { "t.last_message_at IS NOT NULL" } else { "TRUE" });
    let bounds = [(" >= ", range.gte), (" > ", range.gt), (" <= ", range.lte), (" < ", range.lt)];
    for (operator, bound) in bounds {
        if let Some(bound) = bound {
            statement.push(" AND ").push(key(field)).push(operator).bind(&bound);
        }
    }
}
