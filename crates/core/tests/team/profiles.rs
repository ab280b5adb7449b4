//! What people say of themselves, and how they want to be told.

use dealwright::scope::Role;
use serde_json::{Value, json};

use crate::{World, cases, told, world::pointers};

cases![
    a_profile_is_replaced_as_a_whole,
    each_flaw_is_named,
    who_wants_it_is_told_by_e_mail_too,
    who_wants_silence_is_not_told,
];

async fn a_profile_is_replaced_as_a_whole(world: World) {
    let before = world.ask("profile.get", Value::Null).await;
    assert_eq!((&before["name"], &before["two_factor_enabled"]), (&json!("owner-of-Acme"), &json!(false)));
    let kinds = &before["preferences"]["notifications"];
    for kind in ["rule.notify_team", "task.due", "task.reminder", "assigned"] {
        assert_eq!(kinds[kind], json!({ "in_app": true, "email": false }), "{kind}");
    }
    let new = json!({ "name": " Una ", "avatar_url": "https://acme.example/una.png", "time_zone": "Europe/Berlin",
                      "locale": "de", "preferences": { "notifications": { "assigned": { "email": true } } } });
    let after = world.ask("profile.replace", new).await;
    assert_eq!((&after["name"], &after["locale"]), (&json!("Una"), &json!("de")));
    assert_eq!(after["preferences"]["notifications"]["assigned"], json!({ "in_app": true, "email": true }));
    assert_eq!(world.ask("profile.get", Value::Null).await, after);
    // What is left out is as if it had never been said.
    let bare = world.ask("profile.replace", json!({ "name": "Una" })).await;
    assert_eq!((&bare["avatar_url"], &bare["time_zone"], &bare["locale"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!(bare["preferences"], before["preferences"]);
    assert_eq!(bare["email"], before["email"]);
}

/// ASVS 1.2.2.
async fn each_flaw_is_named(world: World) {
    let new = json!({ "name": " ", "avatar_url": "javascript:alert(1)", "time_zone": "Mars", "locale": "!" });
    let wrong = pointers(world.me.call("profile.replace", new).await);
    let expected =
        [("/name", "required"), ("/avatar_url", "invalid"), ("/time_zone", "unknown"), ("/locale", "invalid")];
    assert_eq!(wrong, expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned())));
    for preferences in [
        json!({ "notifications": { "rain": { "in_app": true } } }),
        json!({ "notifications": { "assigned": { "by_pigeon": true } } }),
        json!({ "colour": "blue" }),
    ] {
        let new = json!({ "name": "Una", "preferences": preferences });
        assert!(!pointers(world.me.call("profile.replace", new).await).is_empty());
    }
    let email = json!({ "name": "Una", "email": "eve@acme.example" });
    assert_eq!(pointers(world.me.call("profile.replace", email).await), [("/email".to_owned(), "unknown".to_owned())]);
}

async fn who_wants_it_is_told_by_e_mail_too(world: World) {
    let (bo, bos) = world.member("bo", Role::Member).await;
    let wants = json!({ "name": "Bo", "preferences": { "notifications": { "assigned": { "email": true } } } });
    bos.call("profile.replace", wants).await.unwrap();
    let ada = world.contact("Ada").await;
    world.ask("contacts.assign", json!({ "contact_ids": [ada.id], "user_id": bo })).await;
    world.settle().await;
    assert_eq!(told(&bos).await.len(), 1);
    let mails = world.outbox.to("bo@people.example");
    assert_eq!(mails.iter().map(|it| it.subject.as_str()).collect::<Vec<_>>(), ["Ada was assigned to you"]);
    assert_eq!(mails[0].to_name.as_deref(), Some("Bo"));
}

async fn who_wants_silence_is_not_told(world: World) {
    let (bo, bos) = world.member("bo", Role::Member).await;
    let silence = json!({ "in_app": false, "email": false });
    let wants = json!({ "name": "Bo", "preferences": { "notifications": { "assigned": silence } } });
    bos.call("profile.replace", wants).await.unwrap();
    let ada = world.contact("Ada").await;
    world.ask("contacts.assign", json!({ "contact_ids": [ada.id], "user_id": bo })).await;
    world.settle().await;
    assert!(told(&bos).await.is_empty() && world.outbox.to("bo@people.example").is_empty());
}
