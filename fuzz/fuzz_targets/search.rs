//! Searches: a condition tree as JSON, put to a real database. One that is taken finds something or nothing, never fails;
//! what it does not find, its `not` finds; `all` and `any` of one are that one.
#![no_main]

use std::{collections::BTreeSet, sync::OnceLock};

use dealwright::{
    Crm, Handle,
    services::identity::{NewOrganization, NewUser},
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// An organisation with a few contacts.
struct World {
    runtime: Runtime,
    me: Handle,
    all: BTreeSet<String>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let me = runtime.block_on(fill());
        let all = runtime.block_on(find(&me, &json!({}))).unwrap();
        assert_eq!(all.len(), 5);
        World { runtime, me, all }
    })
}

async fn fill() -> Handle {
    let crm = Crm::builder().database("sqlite::memory:").build().await.unwrap();
    let owner = NewUser { email: "una@acme.example".to_owned(), name: "Una".to_owned(), password: None };
    let made = crm.organizations().create(NewOrganization { name: "Acme".to_owned(), owner }).await.unwrap();
    let me = crm.as_user(made.organization.id, made.owner.id).await.unwrap();
    for (key, kind) in [("size", "number"), ("note", "text"), ("since", "date"), ("ok", "boolean")] {
        me.call("fields.create", json!({ "object": "contact", "key": key, "type": kind })).await.unwrap();
    }
    let company = me.call("companies.create", json!({ "name": "Analytical Engines" })).await.unwrap();
    for contact in [
        json!({ "name": "Ada", "emails": ["ada@example.test"], "phones": ["+4930123456"], "tags": ["vip", "eu"],
            "source": "fair", "company_id": company["id"], "assigned_to": made.owner.id,
            "custom": { "size": 7, "note": "Ä 100%", "since": "2026-01-02", "ok": true }, "external_ids": { "erp": "7" } }),
        json!({ "name": "Bob_%", "emails": ["bob@example.test", "b@example.test"], "tags": ["VIP"],
            "handles": { "telegram": "bob" }, "custom": { "size": 0.5, "ok": false } }),
        json!({ "name": "Żółw", "source": "web", "custom": { "note": "_" } }),
        json!({ "name": "ß", "tags": ["ß"], "handles": { "linkedin": "ss", "twitter": "ss" } }),
        json!({ "name": "1" }),
    ] {
        me.call("contacts.create", contact).await.unwrap();
    }
    me
}

async fn find(me: &Handle, filter: &Value) -> Option<BTreeSet<String>> {
    match me.call("contacts.search", json!({ "filter": filter, "limit": 200 })).await {
        Ok(page) => {
            let found = page["data"].as_array().unwrap().iter();
            Some(found.map(|contact| contact["id"].as_str().unwrap().to_owned()).collect())
        }
        Err(error) => {
            assert_eq!(error.kind().status(), 422, "{filter}: {error}");
            for field in error.fields() {
                let place = field.pointer.strip_prefix("/filter").expect(&field.pointer);
                assert!(filter.pointer(place).is_some(), "{} points to nothing in {filter}", field.pointer);
            }
            None
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(filter @ Value::Object(_)) = serde_json::from_slice::<Value>(data) else { return };
    // The server refuses these before they come here.
    if data.contains(&0) || filter.to_string().contains("\\u0000") {
        return;
    }
    let world = world();
    world.runtime.block_on(async {
        let Some(found) = find(&world.me, &filter).await else { return };
        assert!(found.is_subset(&world.all));
        // What nests too deep by it is refused.
        if let Some(others) = find(&world.me, &json!({ "not": filter })).await {
            assert_eq!(others, &world.all - &found, "not {filter}");
        }
        for many in ["all", "any"] {
            if let Some(alone) = find(&world.me, &json!({ many: [filter] })).await {
                assert_eq!(alone, found, "{many} of {filter}");
            }
        }
    });
});
