//! Inputs of the operations that count, made from their schemas and from what is written down beside them.

use std::collections::BTreeMap;

use dealwright::{Operation, operations};
use schemars::generate::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::inputs::{INPUTS, MEMBERS, NO_IDS, NO_IDS_OF, ROOMS};

/// Every operation with the schema of its input, and what the schemas refer to.
pub fn schemas() -> (Vec<(&'static Operation, Value)>, Value) {
    let mut generator = SchemaGenerator::default();
    let schemas = operations().map(|it| (it, (it.input)(&mut generator).to_value())).collect();
    (schemas, Value::Object(generator.take_definitions(true)))
}

/// Inputs of an operation that count: those that are written down, else what the schema requires, if that is ids alone.
pub fn bases(operation: &'static Operation, schema: &Value, definitions: &Value) -> Vec<Value> {
    let written: Vec<Value> = INPUTS
        .iter()
        .filter(|(name, _)| *name == operation.name)
        .map(|(_, text)| serde_json::from_str(text).unwrap())
        .collect();
    if !written.is_empty() {
        return written;
    }
    let schema = resolved(schema, definitions);
    if schema["format"] == "uuid" {
        return vec![json!(format!("${}", own_noun(operation)))];
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let mut input = Map::new();
    for name in required.iter().map(|it| it.as_str().unwrap()) {
        let value = match (name, noun_of(operation, name)) {
            ("patch", _) => json!({}),
            (_, Some(noun)) if name.ends_with('s') => json!([format!("${noun}")]),
            (_, Some(noun)) => json!(format!("${noun}")),
            _ => panic!("{} needs {name}: give it a line in inputs.rs", operation.name),
        };
        input.insert(name.to_owned(), value);
    }
    // What takes no input at all is given none.
    vec![if schema["properties"].is_object() { Value::Object(input) } else { Value::Null }]
}

/// The schema behind references.
pub fn resolved<'s>(mut schema: &'s Value, definitions: &'s Value) -> &'s Value {
    while let Some(name) = schema["$ref"].as_str() {
        schema = &definitions[name.rsplit('/').next().unwrap()];
    }
    schema
}

/// What the ids of an operation name.
pub fn own_noun(operation: &Operation) -> &'static str {
    let room = operation.name.split('.').next().unwrap();
    let found = ROOMS.iter().find(|(name, _)| *name == operation.name || *name == room);
    found.unwrap_or_else(|| panic!("{}: what do its ids name? give {room} a line in ROOMS", operation.name)).1
}

/// What a member names by its name; nothing if that is no id's.
pub fn noun_of(operation: &Operation, name: &str) -> Option<&'static str> {
    let other = NO_IDS.contains(&name) || NO_IDS_OF.contains(&(operation.name, name));
    if other {
        return None;
    }
    if name == "id" {
        return Some(own_noun(operation));
    }
    let found = MEMBERS.iter().find(|(_, names)| names.contains(&name)).map(|(noun, _)| *noun);
    let like = name.ends_with("_id") || name.ends_with("_ids");
    assert!(
        found.is_some() || !like,
        "{}: what does {name} name? give it a place in MEMBERS or NO_IDS",
        operation.name
    );
    found
}

/// The texts in a value.
pub fn gather(value: &Value, texts: &mut BTreeMap<String, String>) {
    match value {
        Value::String(text) => drop(texts.insert(text.clone(), String::new())),
        Value::Array(items) => items.iter().for_each(|item| gather(item, texts)),
        Value::Object(members) => members.values().for_each(|item| gather(item, texts)),
        _ => {}
    }
}

/// A value with other texts.
pub fn replaced(value: &Value, texts: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => Value::from(texts[text].clone()),
        Value::Array(items) => items.iter().map(|item| replaced(item, texts)).collect(),
        Value::Object(members) => members.iter().map(|(name, item)| (name.clone(), replaced(item, texts))).collect(),
        other => other.clone(),
    }
}
