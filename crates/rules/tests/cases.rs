//! Runs `cases/*.json`: rules with facts and what they shall do, or why they shall be refused. A text that begins with `$`
//! stands for the id of that name in `cases/world.json`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{fs, path::Path, sync::Arc};

use chrono::DateTime;
use dealwright::{
    domain::{
        custom_field::{CustomField, CustomKind, Noun},
        rule::{Action, Facts},
    },
    id::{FieldId, Id, OrganizationId},
    ports::rule_engine::{Directory, RuleEngine},
};
use dealwright_rules::declarative::Declarative;
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct World {
    ids: Map<String, Value>,
    pipelines: Vec<Value>,
    stages: Vec<Value>,
    teams: Vec<Value>,
    users: Vec<Value>,
    fields: Vec<Value>,
    facts: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// The whole rule …
    rule: Option<Map<String, Value>>,
    /// … or just its condition …
    condition: Option<Value>,
    /// … or just its actions.
    actions: Option<Value>,
    /// What it does with which facts.
    #[serde(default)]
    checks: Vec<Check>,
    /// Members that the plan must have.
    plan: Option<Map<String, Value>>,
    /// Why it is refused.
    error: Option<Refusal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    /// Changes to the facts of the world.
    #[serde(default)]
    facts: Value,
    /// Whether the condition holds …
    holds: Option<bool>,
    /// … or exactly what the rule wants.
    actions: Option<Vec<Action>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    pointer: String,
    code: String,
    /// A part of the sentence.
    says: Option<String>,
}

fn main() {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let world: World = read(&folder.join("world.json"));
    let directory = Arc::new(directory(&world));
    let world = Arc::new(world);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut trials = Vec::new();
    for file in files.iter().filter(|file| file.file_name().unwrap() != "world.json") {
        let mut cases: Value = read(file);
        resolve(&mut cases, &world.ids);
        for case in cases.as_array().unwrap() {
            let case: Case = serde_json::from_value(case.clone()).unwrap_or_else(|error| panic!("{error}: {case}"));
            let (world, directory) = (world.clone(), directory.clone());
            let name = format!("{}: {}", file.file_stem().unwrap().to_str().unwrap(), case.name);
            trials.push(Trial::test(name, move || run(&case, &world, &directory)));
        }
    }
    assert!(trials.len() >= 80, "only {} cases were found", trials.len());
    libtest_mimic::run(&arguments, trials).exit();
}

fn run(case: &Case, world: &World, directory: &Directory) -> Result<(), Failed> {
    let definition = definition(case);
    let compiled = match (Declarative.compile(&definition, directory), &case.error) {
        (Ok(compiled), None) => compiled,
        (Err(error), Some(refusal)) => return refused(&error, refusal),
        (Ok(_), Some(_)) => return Err("it was accepted".into()),
        (Err(error), None) => return Err(format!("it was refused: {error:?}").into()),
    };
    if case.checks.is_empty() && case.plan.is_none() {
        return Err("the case checks nothing".into());
    }
    let plan = serde_json::to_value(&compiled.plan)?;
    for (member, expected) in case.plan.iter().flatten() {
        if &plan[member] != expected {
            return Err(format!("plan.{member} is {}, not {expected}", plan[member]).into());
        }
    }
    // What the store keeps is text.
    let kept = serde_json::from_str(&compiled.compiled.to_string())?;
    let rule = Declarative.load(&kept)?;
    for (index, check) in case.checks.iter().enumerate() {
        let mut facts = world.facts.clone();
        resolve(&mut facts, &world.ids);
        merge(&mut facts, &check.facts);
        let facts: Facts = serde_json::from_value(facts)?;
        let actions = rule.evaluate(&facts)?;
        let held = !actions.is_empty();
        match (check.holds, &check.actions) {
            (Some(holds), None) if held == holds => {}
            (None, Some(expected)) if expected == &actions => {}
            (Some(_), None) => return Err(format!("check {index}: held = {held}").into()),
            (None, Some(_)) => {
                return Err(format!("check {index}: {}", serde_json::to_string_pretty(&actions)?).into());
            }
            _ => return Err(format!("check {index} needs either holds or actions").into()),
        }
    }
    Ok(())
}

fn definition(case: &Case) -> Map<String, Value> {
    let members = match (&case.rule, &case.condition, &case.actions) {
        (Some(rule), None, None) => return rule.clone(),
        (None, Some(condition), None) => {
            json!({ "trigger": "message.received", "condition": condition, "actions": [{ "notify_team": true }] })
        }
        (None, None, Some(actions)) => json!({ "trigger": "message.received", "actions": actions }),
        _ => panic!("{}: give one of rule, condition, actions", case.name),
    };
    serde_json::from_value(members).unwrap()
}

fn refused(error: &dealwright::Error, refusal: &Refusal) -> Result<(), Failed> {
    let [field] = error.fields() else { return Err(format!("not one wrong member: {error:?}").into()) };
    let whole = if refusal.code == "not_available" { "not_available" } else { "validation_failed" };
    let as_told = error.kind().status() == 422
        && error.code() == whole
        && field.pointer == refusal.pointer
        && field.code == refusal.code
        && refusal.says.as_ref().is_none_or(|part| field.detail.contains(part));
    if as_told { Ok(()) } else { Err(format!("{} {}: {error}", field.pointer, field.code).into()) }
}

fn directory(world: &World) -> Directory {
    fn rows<T: for<'de> Deserialize<'de>>(rows: &[Value], ids: &Map<String, Value>) -> Vec<T> {
        let mut rows = Value::Array(rows.to_vec());
        resolve(&mut rows, ids);
        serde_json::from_value(rows).unwrap()
    }
    Directory {
        pipelines: rows(&world.pipelines, &world.ids),
        stages: rows(&world.stages, &world.ids),
        teams: rows(&world.teams, &world.ids),
        users: rows(&world.users, &world.ids),
        fields: rows(&world.fields, &world.ids).into_iter().map(field).collect(),
        currency: "CHF".parse().unwrap(),
    }
}

fn field((id, object, key, kind, options): (FieldId, Noun, String, CustomKind, Vec<String>)) -> CustomField {
    let at = DateTime::UNIX_EPOCH;
    let (organization_id, label) = (OrganizationId::from_uuid(uuid::Uuid::nil()), key.clone());
    CustomField { id, organization_id, object, key, label, kind, options, created_at: at, updated_at: at, version: 1 }
}

fn read<T: for<'de> Deserialize<'de>>(file: &Path) -> T {
    let text = fs::read_to_string(file).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn resolve(value: &mut Value, ids: &Map<String, Value>) {
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix('$') {
                *value = ids.get(name).unwrap_or_else(|| panic!("${name} is not in world.json")).clone();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|item| resolve(item, ids)),
        Value::Object(members) => members.values_mut().for_each(|member| resolve(member, ids)),
        _ => {}
    }
}

/// RFC 7396, but `null` stays as a value: facts have it.
fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (_, Value::Null) => {}
        (Value::Object(target), Value::Object(patch)) => {
            for (member, value) in patch {
                match (target.get_mut(member), value) {
                    (Some(there @ Value::Object(_)), Value::Object(_)) => merge(there, value),
                    _ => {
                        target.insert(member.clone(), value.clone());
                    }
                }
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}
