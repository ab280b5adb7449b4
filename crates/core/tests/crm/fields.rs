//! Custom fields: definitions and values.

use dealwright::{
    domain::{
        contact::Contact,
        custom_field::{CustomField, CustomKind, Noun},
        event::Event,
    },
    ports::store::{Batch, Store, Update, Write},
    scope::Role,
    services::{
        contacts::{ListContacts, NewContact, UpdateContact},
        fields::{DeleteField, FieldPatch, ListFields, NewField, UpdateField},
    },
};
use serde_json::{Value, json};

use crate::{
    cases,
    world::{World, pointers, refused},
};

cases![
    a_field_is_defined_listed_and_edited,
    a_faulty_definition_is_refused,
    values_are_checked_and_kept_in_one_form,
    values_are_patched_each_by_itself,
    lists_filter_and_sort_by_custom_fields,
    what_has_values_is_not_removed,
    a_deleted_contact_is_found_by_no_value,
    what_comes_back_fits_the_fields_of_today,
    a_text_is_never_taken_for_a_number,
    another_organisation_has_fields_of_its_own,
];

async fn define(world: &World, key: &str, kind: CustomKind, options: &[&str]) -> CustomField {
    let options = options.iter().map(|it| (*it).to_owned()).collect();
    let new = NewField { object: Noun::Contact, key: key.into(), label: None, kind, options };
    world.later(1);
    world.me.fields().create(new).await.unwrap()
}

async fn contact(world: &World, name: &str, custom: Value) -> dealwright::Result<Contact> {
    world.later(1);
    let custom = custom.as_object().unwrap().clone();
    world.me.contacts().create(NewContact { name: name.into(), custom, ..Default::default() }).await
}

async fn a_field_is_defined_listed_and_edited(world: World) {
    let size = define(&world, "size", CustomKind::Number, &[]).await;
    let tier = define(&world, "tier", CustomKind::Choice, &["gold", "tin"]).await;
    assert_eq!((size.label.as_str(), size.version, tier.options.len()), ("size", 1, 2));
    let list = world.me.fields().list(ListFields::default()).await.unwrap();
    assert_eq!(list.data, [tier.clone(), size.clone()]);
    let first = world.me.fields().list(ListFields { limit: Some(1), ..Default::default() }).await.unwrap();
    let rest = ListFields { limit: Some(1), cursor: first.next_cursor, ..Default::default() };
    let rest = world.me.fields().list(rest).await.unwrap();
    assert_eq!((first.data, rest.data, rest.next_cursor), (vec![tier.clone()], vec![size.clone()], None));
    let of_deals = ListFields { object: Some(Noun::Deal), ..Default::default() };
    assert_eq!(world.me.fields().list(of_deals).await.unwrap().data, []);
    let patch =
        FieldPatch { label: "Tier".to_owned().into(), options: vec!["gold".to_owned(), "silver".into()].into() };
    let edited = UpdateField { id: tier.id, patch, if_version: Some(1) };
    let edited = world.me.fields().update(edited).await.unwrap();
    assert_eq!((edited.label.as_str(), edited.version, edited.options[1].as_str()), ("Tier", 2, "silver"));
    let stale = UpdateField { id: tier.id, patch: FieldPatch::default(), if_version: Some(1) };
    refused(world.me.fields().update(stale).await, 412, "precondition_failed");
    let (_, member) = world.member("ben", Role::Member).await;
    let new = NewField { object: Noun::Deal, key: "x".into(), label: None, kind: CustomKind::Text, options: vec![] };
    refused(member.fields().create(new).await, 403, "forbidden");
}

async fn a_faulty_definition_is_refused(world: World) {
    let new = |key: &str, kind, options: &[&str]| NewField {
        object: Noun::Contact,
        key: key.into(),
        label: Some(" ".into()),
        kind,
        options: options.iter().map(|it| (*it).to_owned()).collect(),
    };
    let found = |result| pointers::<CustomField>(result).into_iter().map(|(at, _)| at).collect::<Vec<_>>();
    let wrong = world.me.fields().create(new("Shoe Size", CustomKind::Choice, &[])).await;
    assert_eq!(found(wrong), ["/key", "/label", "/options"]);
    let wrong = world.me.fields().create(new("size", CustomKind::Text, &["a"])).await;
    assert_eq!(found(wrong), ["/label", "/options"]);
    let wrong = world.me.fields().create(new("size", CustomKind::Choice, &["a", "A"])).await;
    assert_eq!(found(wrong), ["/label", "/options"]);
    define(&world, "size", CustomKind::Number, &[]).await;
    let again = NewField { label: None, ..new("size", CustomKind::Text, &[]) };
    refused(world.me.fields().create(again).await, 409, "key_taken");
}

async fn values_are_checked_and_kept_in_one_form(world: World) {
    define(&world, "note", CustomKind::Text, &[]).await;
    define(&world, "size", CustomKind::Number, &[]).await;
    define(&world, "since", CustomKind::Date, &[]).await;
    define(&world, "vip", CustomKind::Boolean, &[]).await;
    define(&world, "tier", CustomKind::Choice, &["gold", "tin"]).await;
    define(&world, "topics", CustomKind::MultiChoice, &["a", "b"]).await;
    define(&world, "buddy", CustomKind::User, &[]).await;
    let good = json!({
        "note": " hello ", "size": 4.5, "since": "2026-11-22", "vip": false, "tier": "gold", "topics": ["b", "a", "b"],
        "buddy": world.una,
    });
    let ada = contact(&world, "Ada", good).await.unwrap();
    let kept = json!({
        "note": "hello", "size": 4.5, "since": "2026-11-22", "vip": false, "tier": "gold", "topics": ["a", "b"],
        "buddy": world.una,
    });
    assert_eq!(Value::Object(ada.custom.clone()), kept);
    assert_eq!(world.me.contacts().get(ada.id).await.unwrap(), ada);
    let bad = json!({
        "note": 1, "size": "big", "since": "22.11.2026", "vip": "yes", "tier": "lead", "topics": ["c"],
        "buddy": world.env.id::<dealwright::id::UserId>().unwrap(), "other": 1,
    });
    let found: Vec<_> = pointers(contact(&world, "Bob", bad).await).into_iter().map(|(at, _)| at).collect();
    let expected = ["buddy", "note", "other", "since", "size", "tier", "topics", "vip"];
    assert_eq!(found, expected.map(|key| format!("/custom/{key}")));
}

async fn values_are_patched_each_by_itself(world: World) {
    define(&world, "size", CustomKind::Number, &[]).await;
    define(&world, "note", CustomKind::Text, &[]).await;
    let ada = contact(&world, "Ada", json!({"size": 1, "note": "x"})).await.unwrap();
    let update =
        |patch: Value| UpdateContact { id: ada.id, patch: serde_json::from_value(patch).unwrap(), if_version: None };
    let edited = world.me.contacts().update(update(json!({"custom": {"size": 2}}))).await.unwrap();
    assert_eq!(Value::Object(edited.custom), json!({"size": 2, "note": "x"}));
    let edited = world.me.contacts().update(update(json!({"custom": {"note": null}}))).await.unwrap();
    assert_eq!(Value::Object(edited.custom), json!({"size": 2}));
    let events = world.events(ada.id).await;
    let change = &events.last().unwrap().changes["custom"];
    assert_eq!((&change.before, &change.after), (&json!({"size": 2, "note": "x"}), &json!({"size": 2})));
    let edited = world.me.contacts().update(update(json!({"custom": null}))).await.unwrap();
    assert!(edited.custom.is_empty());
}

async fn names(world: &World, list: Value) -> Vec<String> {
    let input: ListContacts = serde_json::from_value(list).unwrap();
    world.me.contacts().list(input).await.unwrap().data.into_iter().map(|it| it.name).collect()
}

async fn lists_filter_and_sort_by_custom_fields(world: World) {
    define(&world, "size", CustomKind::Number, &[]).await;
    define(&world, "note", CustomKind::Text, &[]).await;
    define(&world, "vip", CustomKind::Boolean, &[]).await;
    for (name, custom) in [
        ("Ada", json!({"size": 10, "note": "Ähnlich", "vip": true})),
        ("Bob", json!({"size": -2.5, "note": "zuletzt"})),
        ("Cleo", json!({"size": 9, "note": "ahoi", "vip": false})),
        ("Dan", json!({})),
    ] {
        contact(&world, name, custom).await.unwrap();
    }
    // As a query has them: all texts.
    assert_eq!(names(&world, json!({"custom": {"size": "9"}})).await, ["Cleo"]);
    assert_eq!(names(&world, json!({"custom": {"size": {"gte": "9"}}})).await, ["Cleo", "Ada"]);
    assert_eq!(names(&world, json!({"custom": {"vip": "true"}})).await, ["Ada"]);
    assert_eq!(names(&world, json!({"custom": {"vip": {"exists": "false"}}})).await, ["Dan", "Bob"]);
    assert_eq!(names(&world, json!({"custom": {"size": {"lt": "10"}, "note": {"ne": "ahoi"}}})).await, ["Bob"]);
    // Those that have a value, in its order.
    assert_eq!(names(&world, json!({"sort": "custom.size"})).await, ["Bob", "Cleo", "Ada"]);
    assert_eq!(names(&world, json!({"sort": "-custom.size"})).await, ["Ada", "Cleo", "Bob"]);
    assert_eq!(names(&world, json!({"sort": "custom.note"})).await, ["Cleo", "Bob", "Ada"]);
    assert_eq!(
        names(&world, json!({"sort": "custom.size", "custom": {"vip": {"exists": "true"}}})).await,
        ["Cleo", "Ada"]
    );
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let input = ListContacts { sort: Some("custom.size".into()), limit: Some(1), cursor, ..Default::default() };
        let page = world.me.contacts().list(input).await.unwrap();
        all.extend(page.data.into_iter().map(|it| it.name));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(all, ["Bob", "Cleo", "Ada"]);
    for (wrong, pointer) in [
        (json!({"custom": {"age": "1"}}), "/custom/age"),
        (json!({"custom": {"size": "big"}}), "/custom/size"),
        (json!({"custom": {"size": {"contains": "1"}}}), "/custom/size/contains"),
        (json!({"sort": "custom.age"}), "/sort"),
    ] {
        let input: ListContacts = serde_json::from_value(wrong.clone()).unwrap();
        let error = refused(world.me.contacts().list(input).await, 400, "invalid_parameter");
        assert_eq!(error.fields()[0].pointer, pointer, "{wrong}");
    }
}

async fn what_has_values_is_not_removed(world: World) {
    let tier = define(&world, "tier", CustomKind::Choice, &["gold", "tin"]).await;
    let ada = contact(&world, "Ada", json!({"tier": "gold"})).await.unwrap();
    let delete = DeleteField { id: tier.id, if_version: None };
    let error = refused(world.me.fields().delete(delete.clone()).await, 409, "field_in_use");
    assert!(error.message().contains(&ada.id.to_string()), "{error}");
    let options = |options: &[&str]| UpdateField {
        id: tier.id,
        patch: FieldPatch {
            options: options.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>().into(),
            ..Default::default()
        },
        if_version: None,
    };
    refused(world.me.fields().update(options(&["tin"])).await, 409, "option_in_use");
    world.me.fields().update(options(&["gold"])).await.unwrap();
    let patch = serde_json::from_value(json!({"custom": {"tier": null}})).unwrap();
    world.me.contacts().update(UpdateContact { id: ada.id, patch, if_version: None }).await.unwrap();
    world.me.fields().delete(delete).await.unwrap();
    refused(world.me.fields().get(tier.id).await, 404, "not_found");
    assert_eq!(pointers(contact(&world, "Bob", json!({"tier": "gold"})).await)[0].1, "unknown");
}

async fn a_deleted_contact_is_found_by_no_value(world: World) {
    let size = define(&world, "size", CustomKind::Number, &[]).await;
    let ada = contact(&world, "Ada", json!({"size": 1})).await.unwrap();
    let delete = dealwright::services::contacts::DeleteContact { id: ada.id, if_version: None };
    world.me.contacts().delete(delete).await.unwrap();
    assert_eq!(names(&world, json!({"sort": "custom.size"})).await, Vec::<String>::new());
    world.me.contacts().restore(ada.id.into()).await.unwrap();
    assert_eq!(names(&world, json!({"custom": {"size": "1"}, "sort": "custom.size"})).await, ["Ada"]);
    let delete = DeleteField { id: size.id, if_version: None };
    refused(world.me.fields().delete(delete).await, 409, "field_in_use");
}

async fn what_comes_back_fits_the_fields_of_today(world: World) {
    let size = define(&world, "size", CustomKind::Text, &[]).await;
    let tier = define(&world, "tier", CustomKind::Choice, &["gold", "tin"]).await;
    let topics = define(&world, "topics", CustomKind::MultiChoice, &["price", "terms"]).await;
    define(&world, "motto", CustomKind::Text, &[]).await;
    let custom = json!({"size": "abc", "tier": "tin", "topics": ["price", "terms"], "motto": "Never late"});
    let ada = contact(&world, "Ada", custom).await.unwrap();
    contact(&world, "Bob", json!({})).await.unwrap();
    let delete = dealwright::services::contacts::DeleteContact { id: ada.id, if_version: None };
    world.me.contacts().delete(delete).await.unwrap();
    world.me.fields().delete(DeleteField { id: size.id, if_version: None }).await.unwrap();
    define(&world, "size", CustomKind::Number, &[]).await;
    for (id, options) in [(tier.id, ["gold"]), (topics.id, ["terms"])] {
        let options = options.map(str::to_owned).to_vec();
        let patch = FieldPatch { options: options.into(), ..Default::default() };
        world.me.fields().update(UpdateField { id, patch, if_version: None }).await.unwrap();
    }
    let back = world.me.contacts().restore(ada.id.into()).await.unwrap();
    let left = json!({"topics": ["terms"], "motto": "Never late"});
    assert_eq!(json!(back.custom), left);
    let event = world.events(ada.id).await.pop().unwrap();
    assert_eq!((event.kind.as_str(), &event.changes["custom"].after), ("contact.restored", &left));
    assert_eq!(event.changes["custom"].before["size"], "abc");
    let other = world.me.call("contacts.search", json!({"filter": {"custom.size": {"ne": 5}}})).await.unwrap();
    assert_eq!(other["data"], json!([]));
    assert_eq!(names(&world, json!({"custom": {"topics": "terms"}})).await, ["Ada"]);
}

async fn a_text_is_never_taken_for_a_number(world: World) {
    define(&world, "size", CustomKind::Number, &[]).await;
    let ada = contact(&world, "Ada", json!({"size": 7})).await.unwrap();
    contact(&world, "Bob", json!({"size": 5})).await.unwrap();
    // What no release of ours writes: the lists of everybody must stand it.
    let mut batch = Batch::default();
    let custom = json!({"size": "abc"}).as_object().unwrap().clone();
    let event = world.events(ada.id).await.pop().unwrap();
    let event = Event { id: world.env.id().unwrap(), subject_seq: 0, ..event };
    batch.fact([Write::Update(Update::of(&ada).set("custom", &custom))], event);
    world.store.commit(world.organization, batch).await.unwrap();
    for (test, found) in [
        (json!({"ne": 5}), vec![]),
        (json!({"ne": 6}), vec!["Bob"]),
        (json!({"gte": -1}), vec!["Bob"]),
        (json!({"exists": false}), vec![]),
    ] {
        let tree = json!({"filter": {"any": [{"custom.size": test}, {"name": {"starts_with": "zz"}}]}});
        let page = world.me.call("contacts.search", tree).await.unwrap();
        let data = page["data"].as_array().unwrap();
        assert_eq!(data.iter().map(|it| it["name"].as_str().unwrap()).collect::<Vec<_>>(), found, "{test}");
    }
}

async fn another_organisation_has_fields_of_its_own(world: World) {
    let size = define(&world, "size", CustomKind::Number, &[]).await;
    contact(&world, "Ada", json!({"size": 1})).await.unwrap();
    let (_, them) = world.other_organization().await;
    assert_eq!(them.fields().list(ListFields::default()).await.unwrap().data, []);
    refused(them.fields().get(size.id).await, 404, "not_found");
    refused(them.fields().delete(DeleteField { id: size.id, if_version: None }).await, 404, "not_found");
    let new =
        NewField { object: Noun::Contact, key: "size".into(), label: None, kind: CustomKind::Text, options: vec![] };
    them.fields().create(new).await.unwrap();
    let custom = json!({"size": "small"}).as_object().unwrap().clone();
    them.contacts().create(NewContact { name: "Eve".into(), custom, ..Default::default() }).await.unwrap();
    assert_eq!(names(&world, json!({"sort": "custom.size"})).await, ["Ada"]);
}
