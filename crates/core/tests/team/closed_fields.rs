//! Fields that a role hides from its members, or lets them not change.

use dealwright::{
    Handle, Result,
    error::FieldError,
    id::UserId,
    operations,
    scope::{Resource, Role},
};
use serde_json::{Value, json};

use crate::{
    World, cases,
    world::{pointers, refused},
};

cases![
    what_is_hidden_is_in_no_answer,
    what_is_closed_is_not_changed,
    lists_do_not_go_by_what_is_hidden,
    what_is_open_is_changed_beside_what_is_closed,
    a_read_only_stage_is_not_moved_from,
    who_has_closed_fields_may_nothing_that_goes_round_them,
    what_is_wrong_with_closed_fields_is_named,
    embedders_are_told_no_more,
];

/// In each field that a role may hide, and in nothing else.
const SECRET: &str = "hush";

const WORK: &[&str] = &[
    "contacts:read",
    "contacts:write",
    "companies:read",
    "companies:write",
    "deals:read",
    "deals:write",
    "pipeline:read",
    "messages:read",
    "api_keys:write",
];

fn hidden() -> Value {
    json!({
        "contact": { "emails": "hidden", "phones": "hidden", "handles": "hidden", "source": "hidden", "tags": "hidden",
            "custom.note": "hidden", "external_ids": "hidden" },
        "company": { "domain": "hidden", "industry": "hidden", "size": "hidden", "website": "hidden", "tags": "hidden",
            "custom": "hidden", "external_ids": "hidden" },
        "deal": { "value": "hidden", "probability": "hidden", "expected_close_on": "hidden", "lost_reason": "hidden",
            "custom": "hidden", "external_ids": "hidden" },
    })
}

async fn member(world: &World, name: &str, fields: Value) -> Handle {
    let new = json!({ "name": format!("{name}'s"), "permissions": WORK, "fields": fields });
    let role = world.ask("roles.create", new).await;
    assert_eq!(role["fields"], fields);
    let (user, _) = world.member(name, Role::Viewer).await;
    world.ask("members.set_role", json!({ "id": user, "role": role["id"] })).await;
    handle(world, user).await
}

async fn handle(world: &World, user: UserId) -> Handle {
    world.crm.as_user(world.organization, user).await.unwrap()
}

struct Things {
    contact: Value,
    company: Value,
    deal: Value,
}

/// One of each, with something in every field that may be hidden.
async fn things(world: &World) -> Things {
    for object in ["contact", "company", "deal"] {
        world.ask("fields.create", json!({ "object": object, "key": "note", "type": "text" })).await;
        world.ask("fields.create", json!({ "object": object, "key": "open", "type": "text" })).await;
    }
    let company = json!({ "name": "Acme", "domain": "hush.example", "industry": SECRET, "size": 98765,
        "website": "https://hush.example", "tags": [SECRET], "custom": { "note": SECRET }, "external_ids": { "erp": SECRET } });
    let company = world.ask("companies.create", company).await["id"].clone();
    let contact = json!({ "name": "Ada", "emails": ["hush@acme.example"], "phones": ["+4930987654"],
        "handles": { "telegram": "hush_ada" }, "source": SECRET, "tags": [SECRET],
        "custom": { "note": SECRET, "open": "told" }, "external_ids": { "erp": SECRET } });
    let contact = world.ask("contacts.create", contact).await["id"].clone();
    let deal = json!({ "name": "Licence", "contact_id": contact, "value": { "amount": "98765", "currency": "EUR" },
        "probability": 0.98765, "expected_close_on": "2031-09-08", "custom": { "note": SECRET },
        "external_ids": { "erp": SECRET } });
    let deal = world.ask("deals.create", deal).await["id"].clone();
    Things { contact, company, deal }
}

fn tells(value: &Value) -> bool {
    let text = value.to_string();
    ["hush", "98765", "987654", "2031-09-08"].iter().any(|secret| text.contains(secret))
}

/// ASVS 8.2.3: whatever is asked about a thing of each kind, hidden values are not in the answer.
async fn what_is_hidden_is_in_no_answer(world: World) {
    let things = things(&world).await;
    let asks = member(&world, "ida", hidden()).await;
    let (contact, company, deal) = (&things.contact, &things.company, &things.deal);
    let lost = world.stage("lost").id;
    let questions = [
        ("contacts.get", contact.clone()),
        ("contacts.list", json!({})),
        ("contacts.search", json!({ "filter": { "name": "Ada" } })),
        ("contacts.update", json!({ "id": contact, "patch": { "name": "Ada" } })),
        ("contacts.update", json!({ "id": contact, "patch": { "custom": { "open": "more" } } })),
        ("contacts.move", json!({ "contact_id": contact, "stage_id": world.stage("proposal").id })),
        ("contacts.history", json!({ "contact_id": contact })),
        ("companies.get", company.clone()),
        ("companies.list", json!({})),
        ("companies.search", json!({ "filter": { "name": "Acme" } })),
        ("companies.update", json!({ "id": company, "patch": { "name": "Acme Ltd" } })),
        ("deals.get", deal.clone()),
        ("deals.list", json!({})),
        ("deals.search", json!({ "filter": { "name": "Licence" }, "sort": "-created_at" })),
        ("deals.update", json!({ "id": deal, "patch": { "name": "Licences" } })),
        ("deals.move", json!({ "id": deal, "patch": { "stage_id": lost, "reason": "too dear" } })),
        ("timelines.of_contact", json!({ "contact_id": contact })),
        ("timelines.of_deal", json!({ "deal_id": deal })),
        ("pipelines.board", json!({ "pipeline_id": world.sales.pipeline.id })),
        ("pipelines.board", json!({ "pipeline_id": world.sales.pipeline.id, "subject": "deal" })),
    ];
    for (operation, input) in questions {
        let owner = match operation.split_once('.').unwrap().1 {
            "get" | "list" | "search" | "of_contact" | "of_deal" | "board" | "history" => {
                Some(world.ask(operation, input.clone()).await)
            }
            _ => None,
        };
        let answer = asks.call(operation, input.clone()).await.unwrap_or_else(|error| panic!("{operation}: {error}"));
        assert!(!tells(&answer), "{operation}: {answer}");
        if let Some(owner) = owner.filter(|_| !operation.ends_with("history") && operation != "timelines.of_deal") {
            assert!(tells(&owner), "{operation} tells nobody anything: {owner}");
        }
    }
    // What is asked about records by other operations tells of none of these fields, or is not for such a role.
    let about = |resource| matches!(resource, Resource::Contacts | Resource::Companies | Resource::Deals);
    assert!(operations().filter(|it| about(it.permission.resource)).count() > 40);
    let shown = asks.call("contacts.get", contact.clone()).await.unwrap();
    assert_eq!(
        (&shown["custom"], &shown["emails"], &shown["source"]),
        (&json!({ "open": "more" }), &json!([]), &Value::Null)
    );
    // What it replays is what it told.
    let again = asks.clone().with_idempotency_key("once");
    let update = json!({ "id": contact, "patch": { "custom": { "open": "again" } } });
    let first = again.call("contacts.update", update.clone()).await.unwrap();
    assert_eq!(again.call("contacts.update", update).await.unwrap(), first);
    assert!(!tells(&first));
    // Nothing was lost by it.
    assert!(tells(&world.ask("contacts.get", contact.clone()).await));
}

fn flaws(result: Result<Value>) -> Vec<(String, String)> {
    let error = refused(result, 403, "forbidden");
    let flaw = |it: &FieldError| (it.pointer.clone(), it.code.to_string());
    error.fields().iter().map(flaw).collect()
}

async fn what_is_closed_is_not_changed(world: World) {
    let things = things(&world).await;
    let asks = member(&world, "ida", hidden()).await;
    let closed = |of: &[(&str, &str)]| -> Vec<(String, String)> {
        of.iter().map(|(pointer, code)| ((*pointer).to_owned(), (*code).to_owned())).collect()
    };
    let (contact, company, deal) = (&things.contact, &things.company, &things.deal);
    for (operation, input, named) in [
        (
            "contacts.update",
            json!({ "id": contact, "patch": { "emails": [], "tags": ["x"] } }),
            vec!["/emails", "/tags"],
        ),
        ("contacts.update", json!({ "id": contact, "patch": { "custom": { "note": "x" } } }), vec!["/custom/note"]),
        ("contacts.update", json!({ "id": contact, "patch": { "custom": null } }), vec!["/custom/note"]),
        (
            "contacts.update",
            json!({ "id": contact, "patch": { "external_ids": { "erp": null } } }),
            vec!["/external_ids"],
        ),
        (
            "contacts.create",
            json!({ "name": "Bob", "phones": ["+49301234567"], "source": "x" }),
            vec!["/phones", "/source"],
        ),
        (
            "contacts.upsert",
            json!({ "system": "crm", "external_id": "1", "patch": { "name": "Bob" } }),
            vec!["/external_ids"],
        ),
        ("companies.create", json!({ "name": "B", "domain": "b.example" }), vec!["/domain"]),
        ("companies.update", json!({ "id": company, "patch": { "size": 5 } }), vec!["/size"]),
        ("deals.create", json!({ "name": "D", "value": { "amount": "1", "currency": "EUR" } }), vec!["/value"]),
        (
            "deals.update",
            json!({ "id": deal, "patch": { "value": null, "probability": 0.1 } }),
            vec!["/probability", "/value"],
        ),
    ] {
        let wanted: Vec<_> = named.iter().map(|it| (*it, "hidden")).collect();
        assert_eq!(flaws(asks.call(operation, input.clone()).await), closed(&wanted), "{operation} {input}");
    }
    let batch = json!({ "items": [{ "name": "Eve" }, { "name": "Bob", "source": "x" }] });
    let batch = asks.call("contacts.batch", batch).await.unwrap();
    assert_eq!(
        (&batch["items"][0]["status"], &batch["items"][1]["error"]["code"]),
        (&json!("created"), &json!("forbidden"))
    );
    assert_eq!(batch["items"][1]["error"]["errors"][0]["pointer"], "/source");
    assert!(tells(&world.ask("contacts.get", contact.clone()).await));
}

async fn lists_do_not_go_by_what_is_hidden(world: World) {
    things(&world).await;
    let asks = member(&world, "ida", hidden()).await;
    for (operation, input) in [
        ("contacts.list", json!({ "email": "hush@acme.example" })),
        ("contacts.list", json!({ "phone": "+4930987654" })),
        ("contacts.list", json!({ "tag": SECRET })),
        ("contacts.list", json!({ "source": SECRET })),
        ("contacts.list", json!({ "custom": { "note": SECRET } })),
        ("contacts.list", json!({ "sort": "custom.note" })),
        ("contacts.shared", json!({ "tag": SECRET })),
        ("contacts.search", json!({ "filter": { "handles.telegram": "hush_ada" } })),
        ("contacts.search", json!({ "filter": { "external_ids.erp": SECRET } })),
        (
            "contacts.search",
            json!({ "filter": { "any": [{ "name": "Ada" }, { "not": { "all": [{ "tags": SECRET }] } }] } }),
        ),
        ("companies.list", json!({ "domain": "hush.example" })),
        ("companies.search", json!({ "filter": { "size": { "gt": 5 } } })),
        ("companies.search", json!({ "filter": { "custom.open": "x" } })),
        ("deals.list", json!({ "sort": "-value" })),
        ("deals.list", json!({ "value": { "gte": "5" } })),
        ("deals.search", json!({ "filter": { "value.currency": "EUR" } })),
        ("deals.search", json!({ "filter": { "probability": { "gt": 0.1 } } })),
        ("deals.search", json!({ "filter": { "lost_reason": { "exists": true } } })),
        ("deals.list", json!({ "sort": "expected_close_on" })),
    ] {
        assert!(world.me.call(operation, input.clone()).await.is_ok(), "{operation} {input}: nobody may");
        let error = refused(asks.call(operation, input.clone()).await, 403, "forbidden");
        assert!(error.message().contains("does not see"), "{operation} {input}: {error}");
    }
    let found = asks.call("contacts.list", json!({ "custom": { "open": "told" } })).await.unwrap();
    assert_eq!(found["data"][0]["name"], "Ada");
}

async fn what_is_open_is_changed_beside_what_is_closed(world: World) {
    let things = things(&world).await;
    let closed = json!({ "contact": { "source": "read_only", "assigned_to": "read_only", "custom.note": "read_only" },
        "deal": { "value": "read_only" } });
    let asks = member(&world, "ida", closed).await;
    let shown = asks.call("contacts.get", things.contact.clone()).await.unwrap();
    assert_eq!((&shown["source"], &shown["custom"]["note"]), (&json!(SECRET), &json!(SECRET)));
    // All of it sent back, with what is open changed.
    let patch = json!({ "name": "Ada Lovelace", "emails": ["ada@acme.example"], "source": SECRET,
        "custom": { "note": SECRET, "open": "x" } });
    let changed = asks.call("contacts.update", json!({ "id": things.contact, "patch": patch })).await.unwrap();
    assert_eq!((&changed["name"], &changed["custom"]["open"]), (&json!("Ada Lovelace"), &json!("x")));
    let user = asks.scope().user_id().unwrap();
    for input in [json!({ "contact_ids": [things.contact], "user_id": user })] {
        assert_eq!(
            flaws(asks.call("contacts.assign", input).await),
            [("/assigned_to".to_owned(), "read_only".to_owned())]
        );
    }
    let patch = json!({ "id": things.deal, "patch": { "value": { "amount": "1" } } });
    assert_eq!(flaws(asks.call("deals.update", patch).await), [("/value".to_owned(), "read_only".to_owned())]);
    assert_eq!(
        asks.call("deals.list", json!({ "sort": "-value" })).await.unwrap()["data"][0]["value"]["amount"],
        "98765.00"
    );
    // What the owner does, and what rules do, is not held to it.
    world.ask("contacts.update", json!({ "id": things.contact, "patch": { "source": "fair" } })).await;
    asks.call("contacts.delete", json!({ "id": things.contact })).await.unwrap();
    let back = asks.call("contacts.restore", json!({ "id": things.contact })).await.unwrap();
    assert_eq!(back["source"], "fair");
}

async fn a_read_only_stage_is_not_moved_from(world: World) {
    let things = things(&world).await;
    let closed =
        json!({ "contact": { "stage_id": "read_only" }, "deal": { "stage_id": "read_only", "name": "read_only" } });
    let asks = member(&world, "ida", closed).await;
    let to = world.stage("proposal").id;
    let stage = [("/stage_id".to_owned(), "read_only".to_owned())];
    let moved = asks.call("contacts.move", json!({ "contact_id": things.contact, "stage_id": to })).await;
    assert_eq!(flaws(moved), stage);
    let moved = asks.call("deals.move", json!({ "id": things.deal, "patch": { "stage_id": to } })).await;
    assert_eq!(flaws(moved), stage);
    // What is new begins where it is put, and has a name.
    asks.call("deals.create", json!({ "name": "New", "stage_id": to })).await.unwrap();
    let renamed = asks.call("deals.update", json!({ "id": things.deal, "patch": { "name": "Other" } })).await;
    assert_eq!(flaws(renamed), [("/name".to_owned(), "read_only".to_owned())]);
}

async fn who_has_closed_fields_may_nothing_that_goes_round_them(world: World) {
    for (allowed, fields) in [
        ("team:write", json!({ "contact": { "name": "read_only" } })),
        ("automation:read", json!({ "contact": { "phones": "hidden" } })),
        ("automation:write", json!({ "contact": { "phones": "read_only" } })),
        ("audit:read", json!({ "company": { "size": "hidden" } })),
        ("privacy:read", json!({ "contact": { "custom": "hidden" } })),
        ("analytics:read", json!({ "deal": { "value": "hidden" } })),
        ("analytics:read", json!({ "contact": { "source": "hidden" } })),
    ] {
        let new = json!({ "name": allowed, "permissions": ["contacts:read", allowed], "fields": fields });
        let error = world.me.call("roles.create", new).await;
        assert_eq!(pointers(error), [("/fields".to_owned(), "too_narrow".to_owned())], "{allowed} {fields}");
    }
    let new = json!({ "name": "Analyst", "permissions": ["analytics:read"], "fields": { "contact": { "phones": "hidden" } } });
    let role = world.ask("roles.create", new).await["id"].clone();
    let more = json!({ "id": role, "patch": { "fields": { "deal": { "value": "hidden" } } } });
    assert_eq!(pointers(world.me.call("roles.update", more).await), [("/fields".to_owned(), "too_narrow".to_owned())]);
    let none = json!({ "id": role, "patch": { "fields": null, "permissions": ["team:write"] } });
    assert_eq!(world.ask("roles.update", none).await["fields"], json!({}));
}

async fn what_is_wrong_with_closed_fields_is_named(world: World) {
    things(&world).await;
    let new = json!({ "name": "Odd", "permissions": [], "fields": {
        "contact": { "name": "hidden", "rank": "hidden", "custom.missing": "hidden", "custom.note": "read_only" },
        "rocket": { "fuel": "hidden" },
        "deal": { "stage_id": "hidden" },
    } });
    assert_eq!(
        pointers(world.me.call("roles.create", new).await),
        [
            ("/fields/contact/custom.missing", "unknown"),
            ("/fields/contact/name", "invalid"),
            ("/fields/contact/rank", "unknown"),
            ("/fields/deal/stage_id", "invalid"),
            ("/fields/rocket", "unknown"),
        ]
        .map(|(pointer, code)| (pointer.to_owned(), code.to_owned()))
    );
    let new = json!({ "name": "Odd", "permissions": [], "fields": { "contact": { "phones": "secret" } } });
    assert!(world.me.call("roles.create", new).await.is_err());
}

/// The typed handles go the same way.
async fn embedders_are_told_no_more(world: World) {
    let things = things(&world).await;
    let asks = member(&world, "ida", hidden()).await;
    let id = things.contact.as_str().unwrap().parse().unwrap();
    let contact = asks.contacts().get(id).await.unwrap();
    assert!(contact.emails.is_empty() && contact.source.is_none() && contact.custom.contains_key("open"));
    let listed = asks.contacts().list(Default::default()).await.unwrap();
    assert!(listed.data.iter().all(|it| it.tags.is_empty()));
    let text = asks.text(dealwright::operation("contacts.get").unwrap(), things.contact.clone()).await.unwrap();
    assert!(!text.contains(SECRET) && text.contains("Ada"), "{text}");
}
