//! The JSON schemas of every operation and shell route, with their shared components. Inputs are described as they are
//! read and answers as they are written; a type whose two forms differ has two components, `Name` and `NameInput`.

use std::collections::BTreeMap;

use dealwright::operations;
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value};

use crate::{parameters::Schemas, shell::SHELL_ROUTES};

const PLACE: &str = "#/components/schemas/";

/// Schemas of inputs and answers, by operation or shell route.
#[derive(Debug)]
pub struct Catalogue {
    /// What is read.
    pub inputs: BTreeMap<&'static str, Value>,
    /// What is answered.
    pub outputs: BTreeMap<&'static str, Value>,
    /// What both refer to.
    pub components: Map<String, Value>,
}

impl Catalogue {
    /// Asks every operation and every shell route.
    pub fn whole() -> Self {
        let generator = |settings: SchemaSettings| {
            let mut settings = settings.with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            });
            settings.untagged_enum_variant_titles = false;
            SchemaGenerator::new(settings)
        };
        let mut reading = generator(SchemaSettings::draft2020_12().for_deserialize());
        let mut writing = generator(SchemaSettings::draft2020_12().for_serialize());
        let (mut inputs, mut outputs) = (BTreeMap::new(), BTreeMap::new());
        for operation in operations() {
            inputs.insert(operation.name, (operation.input)(&mut reading).to_value());
            outputs.insert(operation.name, (operation.output)(&mut writing).to_value());
        }
        for route in SHELL_ROUTES {
            if let Some(input) = route.input {
                inputs.insert(route.name, input(&mut reading).to_value());
            }
            if let Some(output) = route.output {
                outputs.insert(route.name, output(&mut writing).to_value());
            }
        }
        let mut read = reading.take_definitions(true);
        let mut components = writing.take_definitions(true);
        part(&mut read, &components, &mut inputs);
        for (name, schema) in read {
            components.entry(name).or_insert(schema);
        }
        Self { inputs, outputs, components }
    }

    /// For looking behind references.
    pub fn schemas(&self) -> Schemas<'_> {
        Schemas(&self.components)
    }
}

/// Renames what is read otherwise than it is written.
fn part(read: &mut Map<String, Value>, written: &Map<String, Value>, inputs: &mut BTreeMap<&'static str, Value>) {
    let mut differ: Vec<String> = read
        .iter()
        .filter(|(name, schema)| written.get(*name).is_some_and(|it| it != *schema))
        .map(|it| it.0.clone())
        .collect();
    // What refers to something that differs, differs too.
    loop {
        let refers = |schema: &Value| differ.iter().any(|name| mentions(schema, &format!("{PLACE}{name}")));
        let more: Vec<String> = read
            .iter()
            .filter(|(name, schema)| !differ.contains(name) && written.contains_key(*name) && refers(schema))
            .map(|it| it.0.clone())
            .collect();
        if more.is_empty() {
            break;
        }
        differ.extend(more);
    }
    for name in &differ {
        if let Some(schema) = read.remove(name) {
            read.insert(format!("{name}Input"), schema);
        }
    }
    let rename = |reference: &mut String| {
        if let Some(name) = reference.strip_prefix(PLACE)
            && differ.iter().any(|it| it == name)
        {
            reference.push_str("Input");
        }
    };
    read.values_mut().chain(inputs.values_mut()).for_each(|schema| each_reference(schema, &rename));
}

fn mentions(schema: &Value, reference: &str) -> bool {
    match schema {
        Value::Object(members) => {
            members.get("$ref").and_then(Value::as_str) == Some(reference)
                || members.values().any(|it| mentions(it, reference))
        }
        Value::Array(items) => items.iter().any(|it| mentions(it, reference)),
        _ => false,
    }
}

fn each_reference(schema: &mut Value, change: &impl Fn(&mut String)) {
    match schema {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(reference) if name == "$ref" => change(reference),
                    member => each_reference(member, change),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|it| each_reference(it, change)),
        _ => {}
    }
}

/// The schema of a type, for tables.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;
