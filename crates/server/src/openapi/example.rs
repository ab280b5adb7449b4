//! Examples, told from schemas: what a schema offers itself, else a plain value of its type for each needed member.

use serde_json::{Map, Value, json};

use crate::parameters::Schemas;

/// An example of what a schema describes; `None` where any value would mislead.
pub fn example(schema: &Value, schemas: Schemas<'_>) -> Option<Value> {
    of(schema, schemas, 0)
}

fn of(schema: &Value, schemas: Schemas<'_>, depth: usize) -> Option<Value> {
    let first = |word: &str| schema.get(word).and_then(Value::as_array)?.first().cloned();
    if let Some(found) = first("examples").or_else(|| schema.get("const").cloned()).or_else(|| first("enum")) {
        return Some(found);
    }
    let resolved = schemas.resolve(schema);
    if !std::ptr::eq(resolved, schema) {
        return of(resolved, schemas, depth);
    }
    if let Some(choice) = first("oneOf").or_else(|| first("anyOf")) {
        return of(&choice, schemas, depth + 1);
    }
    let kind = match schema.get("type") {
        Some(Value::Array(types)) => types.first().and_then(Value::as_str),
        other => other.and_then(Value::as_str),
    };
    match kind? {
        "string" => match schema.get("format").and_then(Value::as_str) {
            Some("uuid") => Some(json!("019aab32-6c00-7000-8000-000000000001")),
            Some("date") => Some(json!("2026-11-22")),
            Some("date-time") => Some(json!("2026-11-22T10:00:00Z")),
            _ => Some(json!("text")),
        },
        "integer" => Some(schema.get("minimum").cloned().unwrap_or(json!(1))),
        "number" => Some(json!(1.0)),
        "boolean" => Some(json!(true)),
        "array" => {
            let item = schema.get("items").filter(|it| it.is_object()).and_then(|it| of(it, schemas, depth + 1));
            Some(Value::Array(item.into_iter().collect()))
        }
        "object" if depth < 6 => {
            let required = schema.get("required").and_then(Value::as_array);
            let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|it| it == name));
            let mut object = Map::new();
            for (name, member) in schemas.members(schema) {
                // A patch needs nothing: its first members show what one looks like.
                let shown = is_required(name) || member.get("examples").is_some();
                if shown && let Some(value) = of(member, schemas, depth + 1) {
                    object.insert(name.clone(), value);
                }
            }
            Some(Value::Object(object))
        }
        _ => None,
    }
}
