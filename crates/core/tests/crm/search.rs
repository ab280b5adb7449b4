//! The condition tree, held against a plain reading of the same conditions over every contact.

use dealwright::{
    domain::{
        contact::Contact,
        custom_field::{CustomKind, Noun},
    },
    services::{
        contacts::{DeleteContact, NewContact},
        fields::NewField,
        listing::Search,
    },
    testkit::samples::Samples,
};
use serde_json::{Map, Value, json};

use crate::{
    cases,
    world::{World, pointers, refused},
};

cases![
    every_operator_means_what_it_says,
    random_trees_find_what_a_plain_reading_finds,
    faulty_conditions_are_refused_with_their_place,
    a_search_finds_nothing_of_another_organisation,
];

fn search(filter: Value) -> Search {
    Search { filter: filter.as_object().unwrap().clone(), ..Default::default() }
}

async fn define(world: &World, key: &str, kind: CustomKind, options: &[&str]) {
    let options = options.iter().map(|it| (*it).to_owned()).collect();
    let new = NewField { object: Noun::Contact, key: key.into(), label: None, kind, options };
    world.me.fields().create(new).await.unwrap();
}

/// Contacts with few different values in each field, one of them deleted.
async fn people(world: &World, count: usize) -> Vec<Contact> {
    define(world, "size", CustomKind::Number, &[]).await;
    define(world, "note", CustomKind::Text, &[]).await;
    define(world, "vip", CustomKind::Boolean, &[]).await;
    define(world, "since", CustomKind::Date, &[]).await;
    define(world, "tier", CustomKind::Choice, &["gold", "tin"]).await;
    define(world, "topics", CustomKind::MultiChoice, &["Art", "music", "Übung"]).await;
    let mut dice = Samples::new(7);
    let mut people = Vec::new();
    for number in 0..count {
        world.later(30);
        let mut custom = Map::new();
        let mut put = |key: &str, values: Vec<Value>, dice: &mut Samples| {
            let value = dice.choose(&values);
            if !value.is_null() {
                custom.insert(key.to_owned(), value);
            }
        };
        put("size", vec![json!(null), json!(-3), json!(2.5), json!(10), json!(9)], &mut dice);
        put(
            "note",
            vec![json!(null), json!("Rot"), json!("rotwein"), json!("it's"), json!("Die Ärzte"), json!("ΟΔΟΣ 5")],
            &mut dice,
        );
        put("vip", vec![json!(null), json!(true), json!(false)], &mut dice);
        put("since", vec![json!(null), json!("2025-12-31"), json!("2026-01-01")], &mut dice);
        put("tier", vec![json!(null), json!("gold"), json!("tin")], &mut dice);
        put("topics", vec![json!(null), json!(["Art"]), json!(["Art", "music"]), json!(["Übung"])], &mut dice);
        let mut tags: Vec<String> = Vec::new();
        for tag in ["vip", "EU", "cold", "Ökö"] {
            if dice.one_in(3) {
                tags.push(tag.to_owned());
            }
        }
        let new = json!({
            "name": format!("{} {number}", dice.choose(&["Ada", "ÄDA", "bob", "Zoë"])),
            "emails": if dice.one_in(2) { vec![format!("c{number}@acme.example")] } else { vec![] },
            "phones": if dice.one_in(3) { vec![format!("+49301000{number:02}")] } else { vec![] },
            "handles": {"telegram": dice.one_in(3).then(|| format!("Tele{number}"))},
            "source": dice.choose(&[json!(null), json!("web"), json!("Fair"), json!("100%_x"), json!("MÉTÉO")]),
            "assigned_to": dice.one_in(3).then_some(world.una),
            "tags": tags,
            "custom": custom,
            "external_ids": if dice.one_in(4) { json!({"erp": format!("e{number}")}) } else { json!({}) },
        });
        let new: NewContact = serde_json::from_value(new).unwrap();
        let contact = world.me.contacts().create(new).await.unwrap();
        let contact = match dice.below(4) {
            0 => world.go(contact.id, world.stage("won").id).await,
            1 => world.go(contact.id, world.stage("qualified").id).await,
            _ => contact,
        };
        people.push(contact);
    }
    let gone = people.remove(3);
    world.me.contacts().delete(DeleteContact { id: gone.id, if_version: None }).await.unwrap();
    people
}

/// What a field of a contact is, as REST shows it; lists are lists.
fn field(world: &World, contact: &Contact, name: &str) -> Value {
    let shown = serde_json::to_value(contact).unwrap();
    match name {
        "stage" => {
            json!(world.sales.stages.iter().find(|it| it.id == contact.stage_id).unwrap().name)
        }
        name => name.split('.').fold(shown, |value, member| value.get(member).cloned().unwrap_or(Value::Null)),
    }
}

fn fold(text: &str) -> String {
    text.to_lowercase().replace('ς', "σ")
}

fn order(a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn holds(world: &World, contact: &Contact, condition: &Value) -> bool {
    condition.as_object().unwrap().iter().all(|(name, value)| match name.as_str() {
        "all" => value.as_array().unwrap().iter().all(|it| holds(world, contact, it)),
        "any" => value.as_array().unwrap().iter().any(|it| holds(world, contact, it)),
        "not" => !holds(world, contact, value),
        name => {
            let found = field(world, contact, name);
            let listed = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            let items: Vec<Value> = listed(&found).into_iter().filter(|it| !it.is_null()).collect();
            // A list that is always there is something even if it is empty.
            let is_list = matches!(name, "tags" | "emails" | "phones");
            let any_of = |wanted: &Value| {
                let wanted = listed(wanted);
                items.iter().any(|it| wanted.iter().any(|w| w == it || order(w, it).is_some_and(|o| o.is_eq())))
            };
            match value {
                Value::Object(operators) => operators.iter().all(|(operator, wanted)| {
                    let bound = |fits: fn(std::cmp::Ordering) -> bool| order(&found, wanted).is_some_and(fits);
                    let texts: Vec<String> = listed(wanted).iter().filter_map(|it| it.as_str().map(fold)).collect();
                    let own: Vec<String> = items.iter().filter_map(|it| it.as_str().map(fold)).collect();
                    match operator.as_str() {
                        "in" => any_of(wanted),
                        "ne" => (is_list || !items.is_empty()) && !any_of(wanted),
                        "exists" => wanted.as_bool().unwrap() != items.is_empty(),
                        "gt" => bound(|o| o.is_gt()),
                        "gte" => bound(|o| o.is_ge()),
                        "lt" => bound(|o| o.is_lt()),
                        "lte" => bound(|o| o.is_le()),
                        "starts_with" => own.iter().any(|it| texts.iter().any(|text| it.starts_with(text))),
                        "contains" if found.is_array() => own.iter().any(|it| texts.contains(it)),
                        "contains" => own.iter().any(|it| texts.iter().any(|text| it.contains(text))),
                        other => panic!("{other}"),
                    }
                }),
                wanted => any_of(wanted),
            }
        }
    })
}

/// Every contact that a search finds, page by page.
async fn found(world: &World, filter: &Value, sort: Option<&str>) -> Vec<Contact> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let input = Search { limit: Some(17), cursor, sort: sort.map(Into::into), ..search(filter.clone()) };
        let page = world.me.contacts().search(input).await.unwrap_or_else(|error| panic!("{filter}: {error}"));
        all.extend(page.data);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return all;
        }
    }
}

async fn check(world: &World, people: &[Contact], filter: &Value, sort: Option<&str>) -> usize {
    let found = found(world, filter, sort).await;
    let mut names: Vec<_> = found.iter().map(|it| &it.name).collect();
    names.sort();
    let by_custom = sort.and_then(|sort| sort.trim_start_matches('-').strip_prefix("custom."));
    let mut expected: Vec<_> = (people.iter())
        .filter(|it| by_custom.is_none_or(|key| it.custom.contains_key(key)))
        .filter(|it| holds(world, it, filter))
        .map(|it| &it.name)
        .collect();
    expected.sort();
    assert_eq!(names, expected, "{filter} by {sort:?}");
    names.len()
}

async fn every_operator_means_what_it_says(world: World) {
    let people = people(&world, 40).await;
    let una = world.una;
    let mut something = 0;
    for filter in [
        json!({}),
        json!({"stage": "lead"}),
        json!({"stage": ["won", "qualified"]}),
        json!({"stage": {"ne": "lead"}}),
        json!({"name": "Zoë 5"}),
        json!({"name": {"contains": "äda"}}),
        json!({"name": {"starts_with": ["ZO", "b"]}}),
        json!({"tags": "vip"}),
        json!({"tags": {"ne": ["vip", "EU"]}}),
        json!({"tags": {"contains": "eu"}}),
        json!({"tags": {"contains": "ÖKÖ"}}),
        json!({"tags": {"starts_with": "ök"}}),
        json!({"tags": {"exists": false}}),
        json!({"emails": {"exists": true}, "phones": {"exists": false}}),
        json!({"emails": "c1@acme.example"}),
        json!({"emails": {"starts_with": "C1"}}),
        json!({"emails": {"ne": "c1@acme.example"}}),
        json!({"handles.telegram": {"exists": true}}),
        json!({"handles.telegram": {"starts_with": "tele1"}}),
        json!({"source": "web"}),
        json!({"source": {"contains": "%_"}}),
        json!({"source": {"contains": "été"}}),
        json!({"source": {"ne": "web"}}),
        json!({"not": {"source": "web"}}),
        json!({"source": {"exists": false}}),
        json!({"assigned_to": una}),
        json!({"assigned_to": {"exists": false}}),
        json!({"score": {"gte": 0}}),
        json!({"custom.size": 10}),
        json!({"custom.size": {"gt": -3, "lt": 10}}),
        json!({"custom.size": {"ne": 10}}),
        json!({"not": {"custom.size": {"ne": 10}}}),
        json!({"custom.note": "Rot"}),
        json!({"custom.note": {"contains": "ROT"}}),
        json!({"custom.note": {"contains": "Ärzte"}}),
        json!({"custom.note": {"contains": ["äRZT", "οδός"]}}),
        json!({"custom.note": {"starts_with": "οδο"}}),
        json!({"custom.note": {"starts_with": "it'"}}),
        json!({"custom.note": {"ne": "Rot"}}),
        json!({"custom.vip": false}),
        json!({"custom.vip": {"ne": true}}),
        json!({"custom.vip": {"exists": true}}),
        json!({"custom.since": {"gte": "2026-01-01"}}),
        json!({"custom.since": "2025-12-31"}),
        json!({"custom.tier": ["gold", "tin"]}),
        json!({"custom.topics": "Art"}),
        json!({"custom.topics": {"ne": "Art"}}),
        json!({"custom.topics": {"contains": "ART"}}),
        json!({"custom.topics": {"contains": "übUNG"}}),
        json!({"custom.topics": {"exists": false}}),
        json!({"external_ids.erp": {"exists": true}}),
        json!({"external_ids.erp": {"ne": "e1"}}),
        json!({"any": [{"stage": "won"}, {"all": [{"tags": "vip"}, {"custom.vip": true}]}]}),
        json!({"not": {"any": [{"tags": "vip"}, {"tags": "EU"}, {"custom.size": {"exists": true}}]}}),
    ] {
        something += usize::from(check(&world, &people, &filter, None).await > 0);
    }
    assert!(something > 42, "only {something} found anything");
    assert_eq!(found(&world, &json!({"assigned_to": "me"}), None).await.len(), {
        people.iter().filter(|it| it.assigned_to == Some(una)).count()
    });
    let sorted = found(&world, &json!({"custom.size": {"exists": true}}), Some("-custom.size")).await;
    let sizes: Vec<_> = sorted.iter().map(|it| it.custom["size"].as_f64().unwrap()).collect();
    assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
}

fn leaf(dice: &mut Samples, world: &World) -> Value {
    let leaves = [
        json!({"stage": "lead"}),
        json!({"stage": {"in": ["won", "lead"]}}),
        json!({"tags": "vip"}),
        json!({"tags": {"contains": "Vip"}}),
        json!({"tags": {"ne": "EU"}}),
        json!({"name": {"contains": "a"}}),
        json!({"source": "web"}),
        json!({"source": {"ne": "web"}}),
        json!({"source": {"exists": false}}),
        json!({"assigned_to": world.una}),
        json!({"emails": {"exists": true}}),
        json!({"custom.size": {"gte": 9}}),
        json!({"custom.size": 2.5}),
        json!({"custom.note": {"contains": "rot"}}),
        json!({"custom.note": {"contains": "ÄRZTE"}}),
        json!({"tags": {"contains": "ökö"}}),
        json!({"custom.vip": true}),
        json!({"custom.tier": {"ne": "tin"}}),
        json!({"custom.topics": ["music", "Übung"]}),
        json!({"custom.since": {"lt": "2026-01-01"}}),
        json!({"external_ids.erp": {"exists": true}}),
    ];
    dice.choose(&leaves)
}

fn tree(dice: &mut Samples, world: &World, depth: usize) -> Value {
    let several = |dice: &mut Samples| {
        let count = 1 + dice.below(3);
        (0..count).map(|_| tree(dice, world, depth - 1)).collect::<Vec<_>>()
    };
    match if depth == 0 { 9 } else { dice.below(6) } {
        0 | 1 => json!({"all": several(dice)}),
        2 => json!({"any": several(dice)}),
        3 => json!({"not": tree(dice, world, depth - 1)}),
        _ => leaf(dice, world),
    }
}

/// ASVS 1.2.4.
async fn random_trees_find_what_a_plain_reading_finds(world: World) {
    let people = people(&world, 60).await;
    let mut dice = Samples::new(11);
    let sorts = [None, Some("name"), Some("-updated_at"), Some("custom.size"), Some("-custom.note"), Some("score")];
    let mut something = 0;
    for number in 0..150 {
        let filter = tree(&mut dice, &world, 3);
        something += usize::from(check(&world, &people, &filter, sorts[number % sorts.len()]).await > 0);
    }
    assert!(something > 75, "only {something} found anything");
}

/// ASVS 1.2.4 and 4.3.1.
async fn faulty_conditions_are_refused_with_their_place(world: World) {
    define(&world, "size", CustomKind::Number, &[]).await;
    let deep = (0..17).fold(json!({"tags": "x"}), |inner, _| json!({"not": inner}));
    let deepest = format!("/filter{}", "/not".repeat(16));
    for (filter, pointer, code) in [
        (json!({"shoe": 1}), "/filter/shoe", "unknown"),
        (json!({"custom.shoe": 1}), "/filter/custom.shoe", "unknown"),
        (json!({"stage": "leed"}), "/filter/stage", "unknown"),
        (json!({"assigned_to": "nobody"}), "/filter/assigned_to", "unknown"),
        (json!({"tags": null}), "/filter/tags", "invalid"),
        (json!({"tags": []}), "/filter/tags", "empty"),
        (json!({"tags": {}}), "/filter/tags", "empty"),
        (json!({"tags": {"like": "x"}}), "/filter/tags/like", "unknown"),
        (json!({"tags": {"gt": "x"}}), "/filter/tags/gt", "invalid"),
        (json!({"name": {"matches": "x"}}), "/filter/name/matches", "not_available"),
        (json!({"name": {"contains": ""}}), "/filter/name/contains", "invalid"),
        (json!({"score": "many"}), "/filter/score", "invalid"),
        (json!({"custom.size": {"gte": "many"}}), "/filter/custom.size/gte", "invalid"),
        (json!({"created_at": {"gte": "yesterday"}}), "/filter/created_at/gte", "invalid"),
        (json!({"all": []}), "/filter/all", "empty"),
        (json!({"any": {"tags": "x"}}), "/filter/any", "invalid"),
        (json!({"any": [{"tags": "x"}, {"not": {"shoe": 1}}]}), "/filter/any/1/not/shoe", "unknown"),
        (json!({"tags": vec!["x"; 201]}), "/filter/tags", "too_many"),
        (deep, &deepest, "too_deep"),
    ] {
        let wrong = pointers(world.me.contacts().search(search(filter.clone())).await);
        assert_eq!(wrong, [(pointer.to_owned(), code.to_owned())], "{filter}");
    }
    let sort = Search { sort: Some("emails".into()), ..Default::default() };
    refused(world.me.contacts().search(sort).await, 400, "invalid_parameter");
    let first = Search { limit: Some(1), ..Default::default() };
    world.contact("Ada").await;
    world.contact("Bob").await;
    let cursor = world.me.contacts().search(first).await.unwrap().next_cursor;
    let other = Search { cursor, ..search(json!({"tags": "vip"})) };
    refused(world.me.contacts().search(other).await, 400, "invalid_cursor");
}

async fn a_search_finds_nothing_of_another_organisation(world: World) {
    people(&world, 12).await;
    let (_, them) = world.other_organization().await;
    for filter in
        [json!({}), json!({"tags": "vip"}), json!({"not": {"tags": "vip"}}), json!({"emails": {"exists": true}})]
    {
        assert_eq!(them.contacts().search(search(filter)).await.unwrap().data, []);
    }
    let theirs = pointers(them.contacts().search(search(json!({"custom.size": 1}))).await);
    assert_eq!(theirs[0].1, "unknown");
    let stage = search(json!({"stage": world.stage("lead").id}));
    assert_eq!(pointers(them.contacts().search(stage).await)[0].1, "unknown");
}
