//! The organisation's settings.

use dealwright::scope::Role;
use serde_json::{Value, json};

use crate::{
    World, cases,
    world::{pointers, refused},
};

cases![
    settings_are_changed_by_a_patch,
    each_flaw_is_named,
    versions_are_checked,
    admins_change_settings_and_others_look,
];

async fn settings_are_changed_by_a_patch(world: World) {
    let before = world.ask("organizations.get", Value::Null).await;
    assert_eq!(
        (&before["name"], &before["time_zone"], &before["locale"], &before["currency"], &before["version"]),
        (&json!("Acme"), &json!("UTC"), &json!("en"), &json!("EUR"), &json!(1))
    );
    let patch = json!({ "name": " Acme Ltd ", "time_zone": "Europe/Berlin", "locale": "de-at", "currency": "chf" });
    let after = world.ask("organizations.update", json!({ "patch": patch })).await;
    assert_eq!(
        (&after["name"], &after["time_zone"], &after["locale"], &after["currency"], &after["version"]),
        (&json!("Acme Ltd"), &json!("Europe/Berlin"), &json!("de-AT"), &json!("CHF"), &json!(2))
    );
    assert_eq!(world.ask("organizations.get", Value::Null).await, after);
    let event = world.events(world.organization).await.pop().unwrap();
    assert_eq!((&event.changes["currency"].before, &event.changes["currency"].after), (&json!("EUR"), &json!("CHF")));
    // What changes nothing writes nothing.
    let same = world.ask("organizations.update", json!({ "patch": { "name": "Acme Ltd" } })).await;
    assert_eq!(same, after);
}

async fn each_flaw_is_named(world: World) {
    let patch = json!({ "name": "", "time_zone": "Mars/Olympus", "locale": "english!", "currency": "XXX" });
    let wrong = pointers(world.me.call("organizations.update", json!({ "patch": patch })).await);
    let expected = [("/name", "required"), ("/time_zone", "unknown"), ("/locale", "invalid"), ("/currency", "unknown")];
    assert_eq!(wrong, expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned())));
    for member in ["name", "time_zone", "locale", "currency"] {
        let cleared = json!({ "patch": { member: null } });
        let wrong = pointers(world.me.call("organizations.update", cleared).await);
        assert_eq!(wrong, [(format!("/{member}"), "required".to_owned())]);
    }
}

async fn versions_are_checked(world: World) {
    let update = |version: i64, name: &str| {
        world.me.call("organizations.update", json!({ "patch": { "name": name }, "if_version": version }))
    };
    refused(update(2, "A").await, 412, "precondition_failed");
    update(1, "A").await.unwrap();
    refused(update(1, "B").await, 412, "precondition_failed");
}

async fn admins_change_settings_and_others_look(world: World) {
    let (_, admin) = world.member("ann", Role::Admin).await;
    let (_, manager) = world.member("mo", Role::Manager).await;
    let input = json!({ "patch": { "name": "Renamed" } });
    refused(manager.call("organizations.update", input.clone()).await, 403, "forbidden");
    manager.call("organizations.get", Value::Null).await.unwrap();
    admin.call("organizations.update", input).await.unwrap();
}
