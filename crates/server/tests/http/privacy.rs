//! One person's data over HTTP: as one document, and erased.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::server::{Member, Server};

async fn contact(server: &Server, by: &Member, name: &str) -> String {
    let reply = server.call("POST", "/api/crm/clients").by(by).json(&json!({ "name": name })).send().await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_export_is_one_document_with_every_section() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let id = contact(&server, &una, "Ada").await;
    // More than a page of them.
    for number in 0..55 {
        let path = format!("/api/crm/clients/{id}/notes");
        let input = json!({ "text": format!("Note {number}, \"quoted\"") });
        assert_eq!(server.call("POST", &path).by(&una).json(&input).send().await.status, 201);
    }
    let path = format!("/api/crm/clients/{id}/export");
    let reply = server.call("GET", &path).by(&una).send().await;
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, "application/json"));
    assert_eq!(reply.header("cache-control"), "no-store");
    assert!(reply.header("content-disposition").contains("person.json"));
    let told = reply.json();
    assert_eq!((&told["format"], &told["contact"]["name"]), (&json!("dealwright person 1"), &json!("Ada")));
    let texts: BTreeSet<&str> =
        told["notes"].as_array().unwrap().iter().map(|it| it["text"].as_str().unwrap()).collect();
    assert!(texts.len() == 55 && texts.contains("Note 54, \"quoted\""), "{texts:?}");
    for section in
        ["deals", "chats", "messages", "files", "stage_history", "tasks", "events", "runs", "notifications", "audit"]
    {
        assert!(told[section].is_array(), "{section}: {told}");
    }
    assert!(told["events"].as_array().unwrap().len() > 55);
    let asked = server.call("GET", "/api/audit?action=contacts.export").by(&una).send().await.json();
    let [entry] = asked["data"].as_array().unwrap().as_slice() else { panic!("{asked}") };
    assert_eq!((&entry["object_kind"], &entry["object_id"]), (&json!("contact"), &json!(id)));
    let stranger = server.sign_up("eve").await;
    assert_eq!(server.call("GET", &path).by(&stranger).send().await.problem(), (404, "not_found".to_owned()));
    assert_eq!(server.call("GET", "/api/crm/clients/ada/export").by(&una).send().await.status, 404);
    assert_eq!(server.call("GET", &path).send().await.status, 401);
}

#[tokio::test]
async fn an_erasure_is_a_job_and_the_person_is_gone_at_once() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let id = contact(&server, &una, "Ada Lovelace").await;
    let path = format!("/api/crm/clients/{id}/erase");
    let reply = server.call("POST", &path).by(&una).send().await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let job = reply.json();
    assert_eq!((&job["kind"], &job["state"], &job["progress"]), (&json!("erase_contact"), &json!("queued"), &json!(0)));
    let gone = format!("/api/crm/clients/{id}");
    assert_eq!(server.call("GET", &gone).by(&una).send().await.status, 404);
    assert_eq!(server.call("POST", &format!("{gone}/restore")).by(&una).send().await.status, 404);
    for _ in 0..3 {
        server.crm.runtime().drain().await.unwrap();
        server.clock.advance(chrono::Duration::seconds(61));
    }
    let again: Value = server.call("POST", &path).by(&una).send().await.json();
    assert_eq!((&again["id"], &again["state"]), (&job["id"], &json!("done")));
    let told = server.call("GET", &format!("{gone}/export")).by(&una).send().await.text();
    assert!(!told.contains("Ada"), "{told}");
    let stranger = server.sign_up("eve").await;
    assert_eq!(server.call("POST", &path).by(&stranger).send().await.status, 404);
}
