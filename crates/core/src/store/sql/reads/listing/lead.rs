//! Filters that have an index of their own: the rows that pass one are found without looking at the others.

use super::Listed;
use crate::{
    domain::text,
    id::OrganizationId,
    ports::store::{Bounds, Column, FieldKind, Filter, Is, Place, Value, field_named},
    scope::Sight,
    store::sql::statement::Statement,
};

/// The column that a filter fixes to one value, if it does.
pub(super) fn fixed_column(filter: &Filter) -> Option<&'static str> {
    match filter {
        Filter::Test(Place::Field(field), Is::AnyOf(values)) if values.len() == 1 && is_plain(field.kind) => {
            Some(field.column)
        }
        _ => None,
    }
}

/// Whether the value stands in the column as it is.
const fn is_plain(kind: FieldKind) -> bool {
    matches!(
        kind,
        FieldKind::Stage
            | FieldKind::Pipeline
            | FieldKind::User
            | FieldKind::Id
            | FieldKind::Text
            | FieldKind::Word(_)
            | FieldKind::Integer
            | FieldKind::Time
            | FieldKind::Date
    )
}

/// Whether at most a few rows pass.
pub(super) fn is_identity(filter: &Filter) -> bool {
    match filter {
        Filter::Test(Place::Field(field), Is::AnyOf(_)) => {
            matches!(field.kind, FieldKind::Addresses(_) | FieldKind::Handle(_))
        }
        Filter::Test(Place::ExternalId(_), Is::AnyOf(_)) => true,
        _ => false,
    }
}

/// Whether [`ids`] finds the rows that pass.
pub(super) fn has_index(filter: &Filter) -> bool {
    match filter {
        Filter::Test(Place::Field(field), Is::AnyOf(_)) => {
            (field.indexed && is_plain(field.kind))
                || is_identity(filter)
                || matches!(field.kind, FieldKind::Tags | FieldKind::Name)
        }
        Filter::Test(Place::Field(field), Is::Within(_)) => {
            (field.key.is_some() && field.kind != FieldKind::Name) || (field.indexed && field.kind == FieldKind::Time)
        }
        Filter::Test(Place::Custom { .. }, Is::AnyOf(_) | Is::Within(_)) => true,
        Filter::Test(Place::ExternalId(_), Is::AnyOf(_)) => true,
        Filter::Any(parts) => is_looked_after(parts),
        _ => false,
    }
}

/// What is seen by who sees not all: what a member or one of some teams looks after, and what nobody does.
pub(in super::super) fn in_sight<T: Listed>(sight: &Sight) -> Option<Filter> {
    let Sight::Limited { user, teams } = sight else { return None };
    let (member, team) = (field_named(T::NOUN, "assigned_to")?, field_named(T::NOUN, "team_id")?);
    let test = |field, is| Filter::Test(Place::Field(field), is);
    Some(Filter::Any(vec![
        test(member, Is::AnyOf(vec![user.to_value()])),
        test(team, Is::AnyOf(teams.iter().map(Column::to_value).collect())),
        Filter::All(vec![test(member, Is::Exists(false)), test(team, Is::Exists(false))]),
    ]))
}

/// Whether it is what [`in_sight`] makes: each part has an index, and leaves out what those before it have.
fn is_looked_after(parts: &[Filter]) -> bool {
    let is = |filter: &Filter, name: &str, exists: bool| match filter {
        Filter::Test(Place::Field(field), Is::AnyOf(_)) => exists && field.name == name,
        Filter::Test(Place::Field(field), Is::Exists(false)) => !exists && field.name == name,
        _ => false,
    };
    let [member, team, Filter::All(nobody)] = parts else { return false };
    let [no_member, no_team] = nobody.as_slice() else { return false };
    is(member, "assigned_to", true)
        && is(team, "team_id", true)
        && is(no_member, "assigned_to", false)
        && is(no_team, "team_id", false)
}

/// Selects the ids of what [`in_sight`] lets pass, each once.
fn looked_after<T: Listed>(organization: OrganizationId, parts: &[Filter], statement: &mut Statement) {
    let values = |at: usize, statement: &mut Statement| {
        if let Some(Filter::Test(_, is)) = parts.get(at) {
            push_values(statement, is);
        }
    };
    let rows = |statement: &mut Statement| {
        statement.push(&format!("SELECT t.id FROM {} t WHERE t.deleted_at IS NULL", T::TABLE.name));
        statement.push(" AND t.organization_id = ").bind(&organization);
    };
    rows(statement);
    statement.push(" AND t.assigned_to IN (");
    values(0, statement);
    statement.push(") UNION ALL ");
    rows(statement);
    statement.push(" AND t.team_id IN (");
    values(1, statement);
    statement.push(") AND (t.assigned_to IS NULL OR t.assigned_to NOT IN (");
    values(0, statement);
    statement.push(")) UNION ALL ");
    rows(statement);
    statement.push(" AND t.assigned_to IS NULL AND t.team_id IS NULL");
}

/// Selects the ids of the rows that pass, by the filter's own index. Of a filter by a text in a custom field these are
/// all that may pass: keys are cut, so the text itself is still to be compared.
pub(super) fn ids<T: Listed>(organization: OrganizationId, filter: &Filter, statement: &mut Statement) {
    if let Filter::Any(parts) = filter {
        return looked_after::<T>(organization, parts, statement);
    }
    let Filter::Test(place, is) = filter else { return };
    match place {
        Place::Custom { id, kind, .. } => {
            statement.push("SELECT x.record_id AS id FROM custom_values x WHERE x.organization_id = ");
            statement.bind(&organization).push(" AND x.field_id = ").bind(id);
            let key = |value: &Value| json(value).and_then(|it| kind.key(&it)).unwrap_or_default();
            match is {
                Is::AnyOf(values) => {
                    let keys: Vec<String> = values.iter().map(key).collect();
                    statement.push(" AND x.value IN (").bind_all(&keys).push(")");
                }
                Is::Within(bounds) => {
                    for (operator, bound) in bounds.each() {
                        statement.push(" AND x.value").push(operator).bind(&key(bound));
                    }
                }
                _ => {}
            }
        }
        Place::ExternalId(system) => {
            statement.push("SELECT x.record_id AS id FROM external_ids x WHERE x.organization_id = ");
            statement.bind(&organization).push(" AND x.object = ").bind(&T::NOUN);
            statement.push(" AND x.system = ").bind(system).push(" AND x.external_id IN (");
            push_values(statement, is).push(")");
        }
        Place::Field(field) => match field.kind {
            FieldKind::Tags => {
                let (table, id) = T::TAGS.unwrap_or(("contact_tags", "contact_id"));
                statement.push(&format!("SELECT x.{id} AS id FROM {table} x WHERE x.organization_id = "));
                statement.bind(&organization).push(" AND x.tag IN (");
                push_values(statement, is).push(")");
            }
            FieldKind::Addresses(kind) | FieldKind::Handle(kind) => {
                statement.push("SELECT x.contact_id AS id FROM contact_identities x WHERE x.organization_id = ");
                statement.bind(&organization).push(" AND x.kind = ").bind(&kind).push(" AND x.value IN (");
                push_values(statement, is).push(")");
            }
            kind => {
                statement.push(&format!("SELECT t.id FROM {} t WHERE t.deleted_at IS NULL", T::TABLE.name));
                statement.push(" AND t.organization_id = ").bind(&organization).push(" AND ");
                match (kind, is) {
                    // Stages lead indexes, pipelines do not.
                    (FieldKind::Pipeline, _) => {
                        statement.push("t.stage_id IN (SELECT s.id FROM stages s WHERE s.organization_id = ");
                        statement.bind(&organization).push(" AND s.pipeline_id IN (");
                        push_values(statement, is).push("))");
                    }
                    // The key leads an index, the name does not.
                    (FieldKind::Name, Is::AnyOf(values)) => {
                        let keys: Vec<String> = values.iter().filter_map(name_key).collect();
                        statement.push("t.name_key IN (").bind_all(&keys).push(") AND t.name IN (");
                        push_values(statement, is).push(")");
                    }
                    (_, Is::Within(bounds)) => within(field.column, field.key, bounds, statement),
                    _ => {
                        statement.push("t.").push(field.column).push(" IN (");
                        push_values(statement, is).push(")");
                    }
                }
            }
        },
    }
}

fn name_key(value: &Value) -> Option<String> {
    match value {
        Value::Text(name) => Some(text::name_key(name)),
        _ => None,
    }
}

fn push_values<'s>(statement: &'s mut Statement, is: &Is) -> &'s mut Statement {
    let values = match is {
        Is::AnyOf(values) | Is::NoneOf(values) => values.as_slice(),
        _ => &[],
    };
    for (place, value) in values.iter().enumerate() {
        statement.push(if place == 0 { "" } else { ", " }).bind_value(value.clone());
    }
    if values.is_empty() { statement.push("NULL") } else { statement }
}

/// The range of a sort key. What is not there is within none, though it sorts as the least.
pub(super) fn within(column: &str, key: Option<&str>, bounds: &Bounds, statement: &mut Statement) {
    let key = key.unwrap_or(column);
    if key == column {
        statement.push("TRUE");
    } else {
        statement.push("t.").push(column).push(" IS NOT NULL");
    }
    for (operator, bound) in bounds.each() {
        statement.push(" AND t.").push(key).push(operator).bind_value(bound.clone());
    }
}

/// A value of a test on a custom field as JSON has it.
pub(super) fn json(value: &Value) -> Option<serde_json::Value> {
    match value {
        Value::Text(text) => Some(serde_json::Value::from(text.as_str())),
        Value::Real(number) => serde_json::Number::from_f64(*number).map(serde_json::Value::Number),
        Value::Int(number) => Some(serde_json::Value::from(*number)),
        Value::Bool(flag) => Some(serde_json::Value::from(*flag)),
        _ => None,
    }
}
