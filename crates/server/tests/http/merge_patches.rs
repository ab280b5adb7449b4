//! Merge patches (RFC 7396): `null` clears what can be cleared, and is refused where nothing can; nothing is fine.

use serde_json::{Value, json};

use crate::support::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn null_clears_or_is_refused_with_its_place() {
    let mut side = World::sqlite().await.ours;
    for (operation, noun, patch, wrong) in [
        ("chats.update", "chat", json!({"state": null}), Some("/state")),
        ("chats.update", "chat", json!({"labels": ["hot"]}), None),
        ("chats.update", "chat", json!({"labels": null}), None),
        ("rules.update", "rule", json!({"name": null}), Some("/name")),
        ("rules.update", "rule", json!({"enabled": null}), Some("/enabled")),
        ("rules.update", "rule", json!({"position": null}), Some("/position")),
        ("accounts.update", "account", json!({"display_name": null}), Some("/display_name")),
        ("accounts.update", "account", json!({"visibility": null}), Some("/visibility")),
        ("deals.update", "deal", json!({"value": {"currency": null}}), Some("/value/currency")),
        ("deals.update", "deal", json!({"value": null}), None),
        ("organizations.update", "", json!({"name": null}), Some("/name")),
        ("notifications.update", "notification", json!({"read": null}), Some("/read")),
    ] {
        let id = if noun.is_empty() { Value::Null } else { json!(side.id(noun).await) };
        let input = |patch: &Value| match &id {
            Value::Null => json!({"patch": patch}),
            id => json!({"id": id, "patch": patch}),
        };
        let answer = side.me.call(operation, input(&patch)).await;
        match (answer, wrong) {
            (Err(error), Some(pointer)) => {
                let found: Vec<_> = error.fields().iter().map(|it| (it.pointer.as_str(), &*it.code)).collect();
                assert_eq!(found, [(pointer, "required")], "{operation} {patch}");
            }
            (Ok(answer), None) => {
                for (name, value) in patch.as_object().unwrap() {
                    let cleared = if name == "labels" { json!([]) } else { Value::Null };
                    assert_eq!(
                        answer[name],
                        if value.is_null() { cleared } else { value.clone() },
                        "{operation} {patch}"
                    );
                }
            }
            (answer, _) => panic!("{operation} {patch}: {answer:?}"),
        }
        // A patch of nothing changes nothing.
        let (first, second) = (input(&json!({})), input(&json!({})));
        let first = side.me.call(operation, first).await.unwrap_or_else(|error| panic!("{operation}: {error}"));
        assert_eq!(side.me.call(operation, second).await.unwrap(), first, "{operation}");
    }
}
