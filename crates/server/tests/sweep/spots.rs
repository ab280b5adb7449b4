//! Ids in places of which no schema tells: custom fields, condition trees, batches, rules and roles. They are made from the
//! tables by which those places are read, so that a field, a fact, an action or a batch more is asked about too.

use dealwright::{
    domain::{
        custom_field::Noun,
        fact_path::{FactKind, FactPath},
        rule::Action,
    },
    operation, operations,
    ports::store::{FieldKind, fields},
};
use schemars::generate::SchemaGenerator;
use serde_json::{Map, Value, json};

use crate::{
    attempts::{Attempt, ids_in, placed},
    support::{
        inputs::{KEEPER, ROLES, RULES},
        valid::{bases, noun_of, resolved, schemas},
    },
};

/// Facts that are ids of what nobody else can name.
const UNNAMED: &[&str] = &["event.id"];

/// Every one that is looked up, or searched for.
pub fn all() -> Vec<Attempt> {
    let mut all = batches();
    for noun in Noun::ALL {
        filters(*noun, &mut all);
        custom(*noun, &mut all);
    }
    let (looked_up, _) = conditions();
    all.extend(looked_up);
    all.extend(rules());
    all.extend(ROLES.iter().map(|(name, input)| attempt(name, serde_json::from_str(input).unwrap())));
    all
}

/// Conditions of rules that compare with any id at all, unseen: a foreign one is no other than one that nobody has.
pub fn compared() -> Vec<Attempt> {
    conditions().1
}

fn attempt(name: &str, input: Value) -> Attempt {
    let operation = operation(name).unwrap_or_else(|| panic!("{name} is no operation"));
    let attempt = Attempt::new(operation, input);
    assert!(!attempt.tested.is_empty(), "{} puts nothing to the test", attempt.input);
    attempt
}

const fn room(noun: Noun) -> &'static str {
    match noun {
        Noun::Contact => "contacts",
        Noun::Company => "companies",
        Noun::Deal => "deals",
    }
}

/// Each field of a noun that is an id, in a search.
fn filters(noun: Noun, all: &mut Vec<Attempt>) {
    let search = format!("{}.search", room(noun));
    let of = operation(&search).unwrap();
    let mut filter = |name: &str, what: &str| {
        let (theirs, ours) = (format!("@{what}"), format!("${what}"));
        for filter in [
            json!({ name: theirs }),
            json!({ name: { "in": [theirs, ours] } }),
            json!({ "any": [{ name: [theirs] }, { "all": [{ "not": { name: { "ne": theirs } } }] }] }),
        ] {
            all.push(attempt(&search, json!({ "filter": filter })));
        }
    };
    for field in fields(noun) {
        match field.kind {
            FieldKind::Stage => filter(field.name, "stage"),
            FieldKind::Pipeline => filter(field.name, "pipeline"),
            FieldKind::User => filter(field.name, "user"),
            FieldKind::Id => {
                let what = noun_of(of, field.name);
                filter(field.name, what.unwrap_or_else(|| panic!("{noun}: what does {} name?", field.name)));
            }
            FieldKind::Name
            | FieldKind::Text
            | FieldKind::Word(_)
            | FieldKind::Integer
            | FieldKind::Real
            | FieldKind::Amount
            | FieldKind::Time
            | FieldKind::Date
            | FieldKind::Tags
            | FieldKind::Addresses(_)
            | FieldKind::Handle(_) => {}
        }
    }
    filter(&format!("custom.{KEEPER}"), "user");
}

/// A custom field that names a member, wherever it has a value.
fn custom(noun: Noun, all: &mut Vec<Attempt>) {
    let (room, keeper) = (room(noun), json!({ KEEPER: "@user" }));
    let id = format!("${noun}");
    let name = format!("{room} #");
    for (verb, input) in [
        ("create", json!({ "name": name, "custom": keeper })),
        ("batch", json!({ "items": [{ "name": name, "custom": keeper }] })),
        ("update", json!({ "id": id, "patch": { "custom": keeper } })),
        ("upsert", json!({ "system": "erp", "external_id": "kept-#", "patch": { "name": name, "custom": keeper } })),
        ("list", json!({ "custom": keeper })),
    ] {
        all.push(attempt(&format!("{room}.{verb}"), input));
    }
}

/// The items of a batch are inputs of the operation that makes one.
fn batches() -> Vec<Attempt> {
    let (schemas, definitions) = schemas();
    let mut all = Vec::new();
    for batch in operations().filter(|it| it.name.ends_with(".batch")) {
        let create = batch.name.replace(".batch", ".create");
        let one = schemas.iter().find(|(operation, _)| operation.name == create);
        let (create, schema) = one.unwrap_or_else(|| panic!("{}: what makes one item?", batch.name));
        let base = &bases(create, schema, &definitions)[0];
        for (path, noun) in ids_in(create, schema, &definitions) {
            all.push(attempt(batch.name, json!({ "items": [placed(base, &path, &noun)] })));
        }
    }
    assert!(all.len() > 5, "batches name hardly anything");
    all
}

/// Every fact that is an id, in the condition of a rule: those that are looked up, and those that are not.
fn conditions() -> (Vec<Attempt>, Vec<Attempt>) {
    let (mut looked_up, mut compared) = (Vec::new(), Vec::new());
    let kept = ["contact", "deal"].map(|noun| FactPath::parse(&format!("{noun}.custom.{KEEPER}")).unwrap());
    for fact in FactPath::all().chain(kept) {
        let path = fact.as_str();
        let (head, member) = path.rsplit_once('.').unwrap_or(("", path));
        let (noun, into) = match fact.kind() {
            FactKind::Stage => ("stage", &mut looked_up),
            FactKind::Pipeline => ("pipeline", &mut looked_up),
            FactKind::User | FactKind::Custom => ("user", &mut looked_up),
            FactKind::Id if UNNAMED.contains(&path) => continue,
            FactKind::Id if member == "id" => (head, &mut compared),
            FactKind::Id => {
                let noun = noun_of(operation("rules.create").unwrap(), member);
                (noun.unwrap_or_else(|| panic!("what does the fact {path} name?")), &mut compared)
            }
            FactKind::Flag
            | FactKind::Number
            | FactKind::Hours
            | FactKind::Text
            | FactKind::Word(_)
            | FactKind::Texts
            | FactKind::Time
            | FactKind::Date
            | FactKind::Choice
            | FactKind::Choices => continue,
        };
        let trigger = if fact.is_of_deal() { "deal.updated" } else { "contact.created" };
        let theirs = format!("@{noun}");
        for condition in [json!({ path: theirs }), json!({ "any": [{ "not": { path: { "in": [theirs] } } }] })] {
            let rule =
                json!({ "name": "Rule #", "trigger": trigger, "condition": condition, "action": { "stop": true } });
            into.push(attempt("rules.create", rule));
        }
        if !fact.is_of_deal() {
            let patch = json!({ "condition": { path: theirs } });
            into.push(attempt("rules.update", json!({ "id": "$rule", "patch": patch })));
        }
    }
    (looked_up, compared)
}

/// What rules do and wait for, made and changed. Each action that holds an id has its line.
fn rules() -> Vec<Attempt> {
    let mut generator = SchemaGenerator::default();
    let schema = generator.subschema_for::<Action>().to_value();
    let definitions = Value::Object(generator.take_definitions(true));
    let actions = resolved(&schema, &definitions)["oneOf"].as_array().unwrap();
    assert!(actions.len() > 5, "{schema}: the actions are not where they were");
    for (name, schema) in actions.iter().filter_map(|it| it["properties"].as_object()).flatten() {
        let known = RULES.iter().any(|(_, text)| text.contains(&format!("\"{name}\"")));
        assert!(known || !holds_id(schema, &definitions, 0), "the action {name} holds ids: give it a line in RULES");
    }
    let mut all = Vec::new();
    for (trigger, text) in RULES {
        let members: Map<String, Value> = serde_json::from_str(&format!("{{\"trigger\": {trigger}, {text}}}")).unwrap();
        let mut rule = members.clone();
        rule.insert("name".to_owned(), json!("Rule #"));
        all.push(attempt("rules.create", Value::Object(rule)));
        all.push(attempt("rules.update", json!({ "id": "$rule", "patch": members })));
    }
    all
}

fn holds_id(schema: &Value, definitions: &Value, depth: u8) -> bool {
    let schema = resolved(schema, definitions);
    schema["format"] == "uuid"
        || depth < 8
            && match schema {
                Value::Object(members) => members.values().any(|it| holds_id(it, definitions, depth + 1)),
                Value::Array(items) => items.iter().any(|it| holds_id(it, definitions, depth + 1)),
                _ => false,
            }
}
