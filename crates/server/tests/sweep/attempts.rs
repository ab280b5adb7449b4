//! What is asked, made from the schemas of the operations.

use std::collections::{BTreeMap, BTreeSet};

use dealwright::{Effect, Operation, scope::Role};
use serde_json::{Value, json};

use crate::{
    spots,
    support::{
        inputs::{OF_MANAGERS, ROOMS},
        valid::{bases, gather, noun_of, own_noun, replaced, resolved, schemas},
    },
};

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
    pub fn new(operation: &'static Operation, input: Value) -> Self {
        let mut texts = BTreeMap::new();
        gather(&input, &mut texts);
        let tested = texts.keys().filter_map(|text| text.strip_prefix('@')).map(str::to_owned).collect();
        Self { operation, input, tested }
    }

    /// Whether it is refused to a role before anybody looks whose id it is.
    pub fn is_closed_to(&self, role: Role) -> bool {
        let of_managers = self.tested.iter().any(|noun| OF_MANAGERS.contains(&(self.operation.name, noun)));
        !self.operation.is_open_to(role) || of_managers && role < Role::Admin
    }
}

/// Every attempt, operation by operation.
pub fn attempts() -> Vec<Attempt> {
    let (schemas, definitions) = schemas();
    let mut all = Vec::new();
    for (operation, schema) in schemas {
        let found = ids_in(operation, &schema, &definitions);
        let bases = bases(operation, &schema, &definitions);
        for (path, noun) in &found {
            let base = bases.iter().find(|base| base.pointer(&pointer(path)).is_some()).unwrap_or(&bases[0]);
            all.push(Attempt::new(operation, placed(base, path, noun)));
        }
        for base in bases {
            // As it is: whatever it answers is our own.
            all.push(Attempt { tested: Vec::new(), ..Attempt::new(operation, base.clone()) });
            // Where ids must fit each other, all of them are the other organisation's.
            let mut texts = BTreeMap::new();
            gather(&base, &mut texts);
            for (text, into) in &mut texts {
                *into = text.strip_prefix('$').map_or_else(|| text.clone(), |noun| format!("@{noun}"));
            }
            let attempt = Attempt::new(operation, replaced(&base, &texts));
            if attempt.tested.len() > 1 {
                all.push(attempt);
            }
        }
    }
    all.extend(spots::all());
    all
}

/// Every question that names nothing of anybody's, and each with every word of a closed list that it may name: their
/// answers say what is ours, numbers included.
pub fn questions() -> Vec<Attempt> {
    let (schemas, definitions) = schemas();
    let mut all = Vec::new();
    for (operation, schema) in schemas.into_iter().filter(|(operation, _)| operation.effect == Effect::Query) {
        for base in bases(operation, &schema, &definitions) {
            all.push(Attempt::new(operation, base.clone()));
            for (name, member) in resolved(&schema, &definitions)["properties"].as_object().into_iter().flatten() {
                for word in words(member, &definitions) {
                    let mut input = base.clone();
                    input[name] = word;
                    all.push(Attempt::new(operation, input));
                }
            }
        }
    }
    all
}

/// The words that a member may be.
fn words(schema: &Value, definitions: &Value) -> Vec<Value> {
    let schema = resolved(schema, definitions);
    let mut found: Vec<Value> = schema["enum"].as_array().into_iter().flatten().cloned().collect();
    found.extend(schema["const"].is_string().then(|| schema["const"].clone()));
    for many in ["anyOf", "oneOf"] {
        found.extend(schema[many].as_array().into_iter().flatten().flat_map(|it| words(it, definitions)));
    }
    found.retain(Value::is_string);
    found
}

/// Where the input of an operation names what, by its schema.
pub fn ids_in(operation: &'static Operation, schema: &Value, definitions: &Value) -> BTreeSet<(Vec<String>, String)> {
    let mut walk = Walk { operation, definitions, found: BTreeSet::new() };
    walk.visit(schema, &mut Vec::new());
    walk.found
}

fn pointer(path: &[String]) -> String {
    path.iter().map(|step| format!("/{step}")).collect()
}

/// The input with an id put to the test at a path.
pub fn placed(base: &Value, path: &[String], noun: &str) -> Value {
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

/// Looks for every id in a schema.
struct Walk<'d> {
    operation: &'static Operation,
    definitions: &'d Value,
    found: BTreeSet<(Vec<String>, String)>,
}

impl Walk<'_> {
    fn visit(&mut self, schema: &Value, path: &mut Vec<String>) {
        let definitions = self.definitions;
        let schema = resolved(schema, definitions);
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
