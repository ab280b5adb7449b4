//! Notes, tasks and timelines.

use serde_json::{Value, json};

use crate::{
    nouns::{listed, lives, ok},
    server::{Member, Server},
};

/// The addresses of a contact and of a deal.
async fn subjects(server: &Server, by: &Member) -> [String; 2] {
    let mut paths = Vec::new();
    for noun in ["clients", "deals"] {
        let made = ok(server, by, "POST", &format!("/api/crm/{noun}"), json!({"name": "Ada"})).await;
        paths.push(format!("/api/crm/{noun}/{}", made["id"].as_str().unwrap()));
    }
    paths.try_into().unwrap()
}

#[tokio::test]
async fn notes_and_tasks_live_as_the_contract_says() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    for subject in subjects(&server, &una).await {
        let (notes, tasks) = (format!("{subject}/notes"), format!("{subject}/tasks"));
        lives(&server, &una, &notes, json!({"text": "Called"}), json!({"text": "Called twice"})).await;
        lives(&server, &una, &tasks, json!({"title": "Call"}), json!({"title": "Write", "done": true})).await;
        ok(&server, &una, "POST", &notes, json!({"text": "Hello"})).await;
        ok(&server, &una, "POST", &tasks, json!({"title": "Ring", "due_at": "2026-11-23T10:00:00Z"})).await;
        assert_eq!(listed(&server, &una, &notes, "text").await, ["Hello"]);
        assert_eq!(listed(&server, &una, &tasks, "title").await, ["Ring"]);
        let kinds = listed(&server, &una, &format!("{subject}/timeline"), "type").await;
        for kind in ["note", "task"] {
            assert_eq!(kinds.iter().filter(|it| **it == kind).count(), 1, "{subject}: {kinds:?}");
        }
        assert_eq!(listed(&server, &una, &format!("{subject}/timeline?limit=1"), "type").await.len(), 1);
    }
}

#[tokio::test]
async fn ones_own_tasks_are_found_by_when_they_are_due() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let [contact, _] = subjects(&server, &una).await;
    for (title, day, who) in
        [("Soon", "23", json!(una.user)), ("Late", "29", json!(una.user)), ("Nobody's", "23", Value::Null)]
    {
        let task = json!({"title": title, "due_at": format!("2026-11-{day}T10:00:00Z"), "assigned_to": who});
        ok(&server, &una, "POST", &format!("{contact}/tasks"), task).await;
    }
    let found = |query: &'static str| {
        let path = format!("/api/crm/tasks?{query}");
        let (server, una) = (&server, &una);
        async move { listed(server, una, &path, "title").await }
    };
    assert_eq!(found("assigned_to=me&due_before=2026-11-25T00:00:00Z").await, ["Soon"]);
    assert_eq!(found("assigned_to=me&sort=due_at").await, ["Soon", "Late"]);
    assert_eq!(found("due_before=2026-11-25T00:00:00Z&assigned_to=me&done=true").await, Vec::<Value>::new());
    assert_eq!(found("due_before=2026-11-25T00:00:00Z").await, ["Nobody's", "Soon"]);
}
