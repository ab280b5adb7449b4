//! Batches and external ids.

use dealwright::{
    domain::custom_field::Noun,
    services::{
        batch::{BatchOutcome, ItemStatus},
        companies::UpsertCompany,
        contacts::{ContactBatch, DeleteContact, NewContact, UpsertContact},
    },
};
use serde_json::{Value, json};

use crate::{
    cases,
    world::{World, pointers, refused},
};

cases![
    a_bad_item_spoils_none_of_the_rest,
    an_item_that_is_none_fails_alone,
    items_of_a_batch_see_each_other,
    a_batch_is_bounded,
    an_upsert_makes_and_then_changes,
    an_external_id_names_one_of_a_kind,
    a_deleted_contact_releases_its_external_ids,
];

async fn batch(world: &World, items: Value) -> BatchOutcome {
    let input: ContactBatch = serde_json::from_value(json!({"items": items})).unwrap();
    world.me.contacts().create_batch(input).await.unwrap()
}

async fn a_bad_item_spoils_none_of_the_rest(world: World) {
    let outcome = batch(
        &world,
        json!([
            {"ref": "a", "name": "Ada", "tags": ["vip"]},
            {"ref": "b", "name": " ", "emails": ["nope"]},
            {"ref": "c", "name": "Cleo", "shoe": 7},
            {"name": "Dan", "emails": ["dan@acme.example"]},
        ]),
    )
    .await;
    let items = &outcome.items;
    let statuses: Vec<_> = items.iter().map(|it| (it.reference.as_deref(), it.status)).collect();
    use ItemStatus::{Created, Failed};
    assert_eq!(statuses, [(Some("a"), Created), (Some("b"), Failed), (Some("c"), Failed), (None, Created)]);
    let wrong: Vec<_> = items[1].error.as_ref().unwrap().errors.iter().map(|it| it.pointer.as_str()).collect();
    assert_eq!((wrong, items[1].id), (vec!["/name", "/emails/0"], None));
    assert_eq!(items[2].error.as_ref().unwrap().errors[0].pointer, "/shoe");
    let people = world.me.contacts().list(Default::default()).await.unwrap().data;
    let mut names: Vec<_> = people.iter().map(|it| it.name.as_str()).collect();
    names.sort();
    assert_eq!(names, ["Ada", "Dan"]);
    let ada = people.iter().find(|it| it.name == "Ada").unwrap();
    assert_eq!(items[0].id.unwrap().to_string(), ada.id.to_string());
    assert_eq!((world.events(ada.id).await.len(), world.history(ada.id).await.len()), (1, 1));
}

async fn an_item_that_is_none_fails_alone(world: World) {
    let long = "r".repeat(201);
    let outcome = batch(
        &world,
        json!([
            {"ref": "a", "name": "Ada"},
            {"ref": "b", "name": "Bo\u{7}b"},
            {"ref": "c", "name": "Cleo", "custom": {"x": ["\u{0}"]}},
            {"ref": 4, "name": "Dan"},
            {"ref": long, "name": "Eve"},
            "Fay",
            null,
            {"ref": null, "name": "Gus"},
        ]),
    )
    .await;
    let wrong = outcome.items.iter().map(|it| {
        (
            it.reference.as_deref(),
            it.error.as_ref().map(|error| (error.errors[0].pointer.as_str(), &*error.errors[0].code)),
        )
    });
    let invalid = |pointer| Some((pointer, "invalid"));
    assert_eq!(
        wrong.collect::<Vec<_>>(),
        [
            (Some("a"), None),
            (Some("b"), invalid("/name")),
            (Some("c"), invalid("/custom/x/0")),
            (None, invalid("/ref")),
            (None, invalid("/ref")),
            (None, invalid("")),
            (None, invalid("")),
            (None, None),
        ]
    );
}

async fn items_of_a_batch_see_each_other(world: World) {
    let outcome = batch(
        &world,
        json!([
            {"name": "Ada", "emails": ["ada@acme.example"], "external_ids": {"erp": "1"}},
            {"name": "Twin", "emails": ["ada@acme.example"]},
            {"name": "Bob", "external_ids": {"erp": "1"}},
            {"name": "Let through", "emails": ["ada@acme.example"], "allow_duplicate": true},
        ]),
    )
    .await;
    let codes: Vec<_> = outcome.items.iter().map(|it| it.error.as_ref().map(|it| it.code.as_str())).collect();
    assert_eq!(codes, [None, Some("duplicate"), Some("external_id_taken"), None]);
    assert_eq!(world.me.contacts().list(Default::default()).await.unwrap().data.len(), 2);
}

/// ASVS 2.3.2.
async fn a_batch_is_bounded(world: World) {
    for (items, code) in [(json!([]), "required"), (json!(vec![json!({"name": "x"}); 501]), "too_many")] {
        let input: ContactBatch = serde_json::from_value(json!({"items": items})).unwrap();
        let wrong = pointers(world.me.contacts().create_batch(input).await);
        assert_eq!(wrong, [("/items".to_owned(), code.to_owned())]);
    }
    let many: Vec<_> = (0..500).map(|i| json!({"name": format!("Contact {i}")})).collect();
    let outcome = batch(&world, json!(many)).await;
    assert!(outcome.items.iter().all(|it| it.status == ItemStatus::Created));
    let board = dealwright::services::pipeline::Board { pipeline_id: world.sales.pipeline.id, ..board() };
    assert_eq!(world.me.pipelines().board(board).await.unwrap().stages[0].count, 500);
}

fn board() -> dealwright::services::pipeline::Board {
    serde_json::from_value(json!({"pipeline_id": uuid::Uuid::nil()})).unwrap()
}

fn upsert(system: &str, id: &str, patch: Value) -> UpsertContact {
    let patch = serde_json::from_value(patch).unwrap();
    UpsertContact { system: system.into(), external_id: id.into(), patch, allow_duplicate: false, if_version: None }
}

async fn an_upsert_makes_and_then_changes(world: World) {
    let contacts = world.me.contacts();
    let wrong = pointers(contacts.upsert(upsert("erp", "7", json!({}))).await);
    assert_eq!(wrong, [("/name".to_owned(), "required".to_owned())]);
    let ada = contacts.upsert(upsert(" ERP", "7 ", json!({"name": "Ada", "tags": ["new"]}))).await.unwrap();
    assert_eq!((ada.version, ada.external_ids["erp"].as_str()), (1, "7"));
    let again = contacts.upsert(upsert("erp", "7", json!({"name": "Ada L"}))).await.unwrap();
    assert_eq!((again.id, again.version, again.name.as_str()), (ada.id, 2, "Ada L"));
    assert_eq!(again.tags, ["new"], "what is not named stays");
    assert_eq!(contacts.upsert(upsert("erp", "7", json!({}))).await.unwrap(), again);
    let wrong = pointers(contacts.upsert(upsert("e r p", " ", json!({}))).await);
    assert_eq!(wrong.iter().map(|(at, _)| at.as_str()).collect::<Vec<_>>(), ["/system", "/external_id"]);
    let both = futures::future::join_all((0..4).map(|_| {
        let me = world.me.clone();
        tokio::spawn(async move { me.contacts().upsert(upsert("erp", "8", json!({"name": "Bob"}))).await.unwrap().id })
    }));
    let ids: std::collections::BTreeSet<_> = both.await.into_iter().map(|it| it.unwrap()).collect();
    assert_eq!(ids.len(), 1, "one contact, whoever came first");
}

async fn an_external_id_names_one_of_a_kind(world: World) {
    let new = |name: &str| NewContact {
        name: name.into(),
        external_ids: [("erp".to_owned(), "7".to_owned())].into(),
        ..Default::default()
    };
    let ada = world.me.contacts().create(new("Ada")).await.unwrap();
    let error = refused(world.me.contacts().create(new("Bob")).await, 409, "external_id_taken");
    assert_eq!(error.fields()[0].pointer, "/external_ids/erp");
    // A company may have the same id, and so may another organisation's contact.
    let patch = serde_json::from_value(json!({"name": "Acme"})).unwrap();
    let acme = UpsertCompany { system: "erp".into(), external_id: "7".into(), patch, if_version: None };
    world.me.companies().upsert(acme.clone()).await.unwrap();
    assert_eq!(world.me.companies().upsert(acme).await.unwrap().version, 1);
    let (theirs, them) = world.other_organization().await;
    let eve = them.contacts().upsert(upsert("erp", "7", json!({"name": "Eve"}))).await.unwrap();
    assert_ne!(eve.id, ada.id);
    let ids = [("erp".into(), "7".into())];
    let found = dealwright::ports::store::FieldReads::external_ids(&*world.store, theirs, Noun::Contact, &ids);
    assert_eq!(found.await.unwrap().len(), 1);
}

async fn a_deleted_contact_releases_its_external_ids(world: World) {
    let contacts = world.me.contacts();
    let ada = contacts.upsert(upsert("erp", "7", json!({"name": "Ada"}))).await.unwrap();
    contacts.delete(DeleteContact { id: ada.id, if_version: None }).await.unwrap();
    let bob = contacts.upsert(upsert("erp", "7", json!({"name": "Bob"}))).await.unwrap();
    assert_ne!(bob.id, ada.id);
    refused(contacts.restore(ada.id.into()).await, 409, "external_id_taken");
    contacts.upsert(upsert("erp", "7", json!({"external_ids": {"crm": "b"}}))).await.unwrap();
    let found = contacts.get(bob.id).await.unwrap();
    assert_eq!(
        found.external_ids.into_iter().collect::<Vec<_>>(),
        [("crm".into(), "b".into()), ("erp".into(), "7".into())]
    );
}
