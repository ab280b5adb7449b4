//! What is asked, made from the schemas of the operations.

use std::collections::{BTreeMap, BTreeSet};

use dealwright::{Operation, operations};
use schemars::generate::SchemaGenerator;
use serde_json::{Map, Value, json};

use crate::inputs::{INPUTS, MEMBERS, NO_IDS, NO_IDS_OF, REFUSED, ROOMS, SPOTS};

/// One question.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub operation: &'static Operation,
    /// With `$` and `@` in it, as in `inputs`.
    pub input: Value,
    /// The nouns of the ids that are put to the test.
    pub tested: Vec<String>,
}

impl Attempt {
    fn new(operation: &'static Operation, input: Value) -> Self {
        let mut texts = BTreeMap::new();
        gather(&input, &mut texts);
        let tested = texts.keys().filter_map(|text| text.strip_prefix('@')).map(str::to_owned).collect();
        Self { operation, input, tested }
    }

    /// Whether it is refused whosever id it is.
    pub fn is_always_refused(&self) -> bool {
        self.tested.iter().any(|noun| REFUSED.contains(&(self.operation.name, noun)))
    }
}

/// Every attempt, operation by operation.
pub fn attempts() -> Vec<Attempt> {
    let mut generator = SchemaGenerator::default();
    let schemas: Vec<_> = operations().map(|it| (it, (it.input)(&mut generator).to_value())).collect();
    let definitions = Value::Object(generator.take_definitions(true));
    let mut all = Vec::new();
    for (operation, schema) in schemas {
        let mut walk = Walk { operation, definitions: &definitions, found: BTreeSet::new() };
        walk.visit(&schema, &mut Vec::new());
        let bases = bases(operation, walk.resolved(&schema));
        for (path, noun) in &walk.found {
            let base = bases.iter().find(|base| base.pointer(&pointer(path)).is_some()).unwrap_or(&bases[0]);
            all.push(Attempt::new(operation, placed(base, path, noun)));
        }
        for base in bases {
            // Where ids must fit each other, all of them are the other organisation's.
            let mut texts = BTreeMap::new();
            gather(&base, &mut texts);
            for (text, into) in &mut texts {
                *into = text.strip_prefix('$').map_or_else(|| text.clone(), |noun| format!("@{noun}"));
            }
            let attempt = Attempt::new(operation, replaced(&base, &texts));
            if walk.found.is_empty() || attempt.tested.len() > 1 {
                all.push(attempt);
            }
        }
    }
    for (name, text) in SPOTS {
        let operation = dealwright::operation(name).unwrap_or_else(|| panic!("{name} is no operation"));
        let attempt = Attempt::new(operation, serde_json::from_str(text).unwrap());
        assert!(!attempt.tested.is_empty(), "{text} puts nothing to the test");
        all.push(attempt);
    }
    all
}

fn pointer(path: &[String]) -> String {
    path.iter().map(|step| format!("/{step}")).collect()
}

/// The input with an id put to the test at a path.
fn placed(base: &Value, path: &[String], noun: &str) -> Value {
    let Some((step, rest)) = path.split_first() else { return json!(format!("@{noun}")) };
    let null = Value::Null;
    if step == "0" {
        return json!([placed(base.get(0).unwrap_or(&null), rest, noun)]);
    }
    let mut object = base.as_object().cloned().unwrap_or_default();
    let inner = placed(object.get(step).unwrap_or(&null), rest, noun);
    object.insert(step.clone(), inner);
    Value::Object(object)
}

/// Inputs of an operation that count: those that are written down, else what the schema requires, if that is ids alone.
fn bases(operation: &'static Operation, schema: &Value) -> Vec<Value> {
    let written: Vec<Value> = INPUTS
        .iter()
        .filter(|(name, _)| *name == operation.name)
        .map(|(_, text)| serde_json::from_str(text).unwrap())
        .collect();
    if !written.is_empty() {
        return written;
    }
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

fn own_noun(operation: &Operation) -> &'static str {
    let room = operation.name.split('.').next().unwrap();
    let found = ROOMS.iter().find(|(name, _)| *name == operation.name || *name == room);
    found.unwrap_or_else(|| panic!("{}: what do its ids name? give {room} a line in ROOMS", operation.name)).1
}

/// What a member names by its name; nothing if that is no id's.
fn noun_of(operation: &Operation, name: &str) -> Option<&'static str> {
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

/// Looks for every id in a schema.
struct Walk<'d> {
    operation: &'static Operation,
    definitions: &'d Value,
    found: BTreeSet<(Vec<String>, String)>,
}

impl<'d> Walk<'d> {
    fn resolved<'s>(&self, mut schema: &'s Value) -> &'s Value
    where
        'd: 's,
    {
        while let Some(name) = schema["$ref"].as_str() {
            schema = &self.definitions[name.rsplit('/').next().unwrap()];
        }
        schema
    }

    fn visit(&mut self, schema: &Value, path: &mut Vec<String>) {
        let definitions = self.definitions;
        let schema = match schema["$ref"].as_str() {
            Some(name) => &definitions[name.rsplit('/').next().unwrap()],
            None => schema,
        };
        let name = path.iter().rev().find(|step| *step != "0");
        if path.len() > 8 {
            // A tree of trees.
            return;
        }
        let is_id = schema["format"] == "uuid";
        // The id of an item is that of what the list is called.
        let inside = path.iter().rev().skip_while(|step| *step != "0").nth(1);
        let noun = match (name.map(String::as_str), inside) {
            (None, _) => is_id.then(|| own_noun(self.operation)),
            (Some("id"), Some(list)) if path.len() > 2 => {
                Some(ROOMS.iter().find(|(room, _)| room == list).unwrap_or_else(|| panic!("{list}: give it a room")).1)
            }
            (Some(name), _) => noun_of(self.operation, name),
        };
        match noun {
            Some(noun) if schema["items"].is_object() => {
                path.push("0".to_owned());
                self.found.insert((path.clone(), noun.to_owned()));
                path.pop();
            }
            Some(noun) => drop(self.found.insert((path.clone(), noun.to_owned()))),
            None => assert!(!is_id, "{}: what does {path:?} name?", self.operation.name),
        }
        if noun.is_some() {
            return;
        }
        for many in ["anyOf", "oneOf", "allOf"] {
            for schema in schema[many].as_array().into_iter().flatten() {
                self.visit(schema, path);
            }
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            path.push(name.clone());
            self.visit(schema, path);
            path.pop();
        }
        if schema["items"].is_object() {
            path.push("0".to_owned());
            self.visit(&schema["items"], path);
            path.pop();
        }
    }
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
