//! Filters as tests of one row, `t`. Each answers true or false, never null, so that `NOT` means what it says.

use super::{Listed, lead};
use crate::{
    domain::custom_field::CustomKind,
    id::OrganizationId,
    ports::store::{Column, Field, FieldKind, Filter, Is, Place, Value},
    store::sql::{Db, statement::Statement},
};

/// A condition of the index that is walked: a column's one value, or a range of the sort key.
pub(super) fn direct(filter: &Filter, statement: &mut Statement) {
    match filter {
        Filter::Test(Place::Field(field), Is::Within(bounds)) => {
            lead::within(field.column, field.key, bounds, statement);
        }
        Filter::Test(Place::Field(field), Is::AnyOf(values)) => {
            statement.push("t.").push(field.column).push(" = ");
            statement.bind_value(values.first().cloned().unwrap_or(Value::Null));
        }
        Filter::Test(Place::Custom { kind, .. }, Is::Within(bounds)) => {
            statement.push("TRUE");
            for (operator, bound) in bounds.each() {
                let key = lead::json(bound).and_then(|it| kind.key(&it)).unwrap_or_default();
                statement.push(" AND v.value").push(operator).bind(&key);
            }
        }
        _ => {
            statement.push("TRUE");
        }
    }
}

/// Any filter.
pub(super) fn push<T: Listed>(db: Db, organization: OrganizationId, filter: &Filter, statement: &mut Statement) {
    let each = |filters: &[Filter], word: &str, none: &str, statement: &mut Statement| {
        statement.push("(");
        for (place, filter) in filters.iter().enumerate() {
            statement.push(if place == 0 { "" } else { word });
            push::<T>(db, organization, filter, statement);
        }
        statement.push(if filters.is_empty() { none } else { "" }).push(")");
    };
    match filter {
        Filter::All(all) => each(all, " AND ", "TRUE", statement),
        Filter::Any(any) => each(any, " OR ", "FALSE", statement),
        Filter::Not(not) => {
            statement.push("NOT ");
            // Brackets: a test may be several.
            statement.push("(");
            push::<T>(db, organization, not, statement);
            statement.push(")");
        }
        Filter::Test(place, is) => match place {
            Place::Field(field) => of_field::<T>(db, organization, filter, field, is, statement),
            Place::Custom { key, kind, .. } => of_custom(db, key, *kind, is, statement),
            Place::ExternalId(system) => of_external::<T>(organization, system, is, statement),
        },
    }
}

fn of_field<T: Listed>(
    db: Db,
    organization: OrganizationId,
    filter: &Filter,
    field: &'static Field,
    is: &Is,
    statement: &mut Statement,
) {
    let items = db.json_items(&format!("t.{}", field.column));
    match (field.kind, is) {
        (FieldKind::Tags | FieldKind::Addresses(_), Is::Exists(expected)) => {
            statement.push("t.").push(field.column).push(if *expected { " <> '[]'" } else { " = '[]'" });
        }
        (FieldKind::Tags | FieldKind::Addresses(_), Is::AnyOf(_)) => in_index::<T>(organization, filter, statement),
        (FieldKind::Tags | FieldKind::Addresses(_), Is::NoneOf(values)) => {
            statement.push("NOT ");
            let any = Filter::Test(Place::Field(field), Is::AnyOf(values.clone()));
            in_index::<T>(organization, &any, statement);
        }
        (FieldKind::Tags | FieldKind::Addresses(_), is) => {
            statement.push("EXISTS (SELECT 1 FROM ").push(&items).push(" WHERE ");
            searched("j.value", is, true, statement);
            statement.push(")");
        }
        (FieldKind::Handle(kind), is) => {
            let member = db.json_text("t.handles", kind.as_str());
            match is {
                // Letter case does not tell handles apart.
                Is::AnyOf(values) | Is::NoneOf(values) => {
                    let text = format!("folded({member})");
                    membership(&text, values, matches!(is, Is::NoneOf(_)), statement);
                }
                is => scalar(&member, is, statement),
            }
        }
        (FieldKind::Name, Is::Contains(_) | Is::StartsWith(_)) => searched("t.name_key", is, false, statement),
        (_, Is::Contains(_) | Is::StartsWith(_)) => {
            searched(&format!("t.{}", field.column), is, false, statement);
        }
        (_, is) => scalar(&format!("t.{}", field.column), is, statement),
    }
}

/// Whether the row is among those that the filter's own index has.
fn in_index<T: Listed>(organization: OrganizationId, filter: &Filter, statement: &mut Statement) {
    statement.push("EXISTS (");
    lead::ids::<T>(organization, filter, statement);
    let column = match filter {
        Filter::Test(Place::Field(field), _) if field.kind == FieldKind::Tags => {
            T::TAGS.map_or("contact_id", |(_, id)| id)
        }
        Filter::Test(Place::ExternalId(_), _) => "record_id",
        _ => "contact_id",
    };
    statement.push(" AND x.").push(column).push(" = t.id)");
}

fn of_external<T: Listed>(organization: OrganizationId, system: &str, is: &Is, statement: &mut Statement) {
    match is {
        Is::Exists(expected) => {
            statement.push(if *expected { "" } else { "NOT " });
            statement.push("EXISTS (SELECT 1 FROM external_ids x WHERE x.organization_id = ").bind(&organization);
            statement.push(" AND x.object = ").bind(&T::NOUN).push(" AND x.system = ").bind(&system.to_owned());
            statement.push(" AND x.record_id = t.id)");
        }
        is => {
            let any = match is {
                Is::AnyOf(values) | Is::NoneOf(values) => values.clone(),
                _ => Vec::new(),
            };
            if matches!(is, Is::NoneOf(_)) {
                of_external::<T>(organization, system, &Is::Exists(true), statement);
                statement.push(" AND NOT ");
            }
            let filter = Filter::Test(Place::ExternalId(system.to_owned()), Is::AnyOf(any));
            in_index::<T>(organization, &filter, statement);
        }
    }
}

fn of_custom(db: Db, key: &str, kind: CustomKind, is: &Is, statement: &mut Statement) {
    let text = db.json_text("t.custom", key);
    match (kind, is) {
        (_, Is::Exists(_)) => scalar(&text, is, statement),
        (CustomKind::MultiChoice, is) => {
            let none = matches!(is, Is::NoneOf(_));
            if none {
                statement.push(&text).push(" IS NOT NULL AND NOT ");
            }
            statement.push("EXISTS (SELECT 1 FROM ").push(&db.json_items(&db.json_member("t.custom", key)));
            statement.push(" WHERE ");
            match is {
                Is::AnyOf(values) | Is::NoneOf(values) => membership("j.value", values, false, statement),
                is => searched("j.value", is, true, statement),
            }
            statement.push(")");
        }
        (CustomKind::Number, is) => scalar(&db.json_number("t.custom", key), is, statement),
        (CustomKind::Boolean, Is::AnyOf(values) | Is::NoneOf(values)) => {
            // As JSON writes it: SQLite reads a truth value as a number.
            let json = db.json_raw("t.custom", key);
            let words: Vec<Value> = values
                .iter()
                .map(|value| match value {
                    Value::Bool(flag) => flag.to_string().to_value(),
                    other => other.clone(),
                })
                .collect();
            membership(&json, &words, matches!(is, Is::NoneOf(_)), statement);
        }
        (_, Is::Contains(_) | Is::StartsWith(_)) => searched(&text, is, false, statement),
        (_, is) => scalar(&text, is, statement),
    }
}

/// A test of an expression that may be null.
fn scalar(expression: &str, is: &Is, statement: &mut Statement) {
    match is {
        Is::Exists(expected) => {
            statement.push(expression).push(if *expected { " IS NOT NULL" } else { " IS NULL" });
        }
        Is::AnyOf(values) => membership(expression, values, false, statement),
        Is::NoneOf(values) => membership(expression, values, true, statement),
        Is::Within(bounds) => {
            statement.push("(").push(expression).push(" IS NOT NULL");
            for (operator, bound) in bounds.each() {
                statement.push(" AND ").push(expression).push(operator).bind_value(bound.clone());
            }
            statement.push(")");
        }
        Is::Contains(_) | Is::StartsWith(_) => searched(expression, is, false, statement),
    }
}

fn membership(expression: &str, values: &[Value], none: bool, statement: &mut Statement) {
    statement.push("(").push(expression).push(" IS NOT NULL AND ").push(expression);
    statement.push(if none { " NOT IN (" } else { " IN (" });
    for (place, value) in values.iter().enumerate() {
        statement.push(if place == 0 { "" } else { ", " }).bind_value(value.clone());
    }
    statement.push(if values.is_empty() { "NULL))" } else { "))" });
}

/// Whether one of the texts is found; the item of a list is the whole text.
fn searched(expression: &str, is: &Is, item: bool, statement: &mut Statement) {
    let (texts, at_start) = match is {
        Is::Contains(texts) => (texts, false),
        Is::StartsWith(texts) => (texts, true),
        _ => return,
    };
    statement.push("(").push(expression).push(" IS NOT NULL AND (");
    for (place, text) in texts.iter().enumerate() {
        statement.push(if place == 0 { "" } else { " OR " });
        if item && !at_start {
            statement.push("folded(").push(expression).push(") = ").bind(text);
        } else if at_start {
            let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
            statement.push("substr(folded(").push(expression).push(&format!("), 1, {length}) = ")).bind(text);
        } else {
            // Without its occurrences the text is another one; the two databases name the search by place differently.
            statement.push("replace(folded(").push(expression).push("), ").bind(text);
            statement.push(", '') <> folded(").push(expression).push(")");
        }
    }
    statement.push("))");
}
