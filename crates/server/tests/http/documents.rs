//! The OpenAPI document and the page that shows it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::server::Server;

fn references<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|it| references(it, found));
        }
        Value::Array(items) => items.iter().for_each(|it| references(it, found)),
        _ => {}
    }
}

/// ASVS 2.1.1.
#[tokio::test]
async fn the_document_is_whole() {
    let server = Server::start().await;
    let document = server.call("GET", "/api/openapi.json").send().await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in found {
        assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference} leads nowhere");
    }
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} stands twice");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{method} {path} has no summary");
            for name in path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}')) {
                let declared = operation["parameters"].as_array().unwrap().iter().any(|it| it["name"] == name);
                assert!(declared, "{method} {path} does not declare {name}");
            }
        }
    }
    assert!(ids.contains("contacts.create") && ids.contains("auth.sign_up"));
}

/// ASVS 2.1.1.
#[tokio::test]
async fn the_document_tells_parameters_bodies_and_headers() {
    let server = Server::start().await;
    let document = server.call("GET", "/api/openapi.json").send().await.json();
    let list = &document["paths"]["/api/crm/clients"]["get"];
    let limit = list["parameters"].as_array().unwrap().iter().find(|it| it["name"] == "limit").unwrap();
    assert_eq!((&limit["in"], &limit["schema"]["type"]), (&"query".into(), &"integer".into()));
    assert_eq!((&limit["schema"]["minimum"], &limit["schema"]["maximum"]), (&1.into(), &200.into()));
    let file = &document["paths"]["/api/media/{id}"]["get"];
    assert!(file.get("requestBody").is_none() && file.pointer("/responses/200/content/*~1*").is_some(), "{file}");
    let create = &document["paths"]["/api/crm/clients"]["post"];
    let body = create.pointer("/requestBody/content/application~1json/schema").unwrap();
    assert!(body["properties"].get("name").is_some(), "{body}");
    assert!(body["properties"].get("allow_duplicate").is_none(), "{body}");
    let patch = &document["paths"]["/api/crm/clients/{id}"]["patch"];
    assert!(patch.pointer("/requestBody/content/application~1merge-patch+json").is_some());
    assert!(patch["parameters"].as_array().unwrap().iter().any(|it| it["name"] == "If-Match"));
    assert!(patch.pointer("/responses/200/headers/ETag").is_some(), "{patch}");
}

#[tokio::test]
async fn the_page_fetches_nothing_from_elsewhere() {
    let server = Server::start().await;
    let reply = server.call("GET", "/docs").send().await;
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    let page = reply.text();
    assert!(page.contains("/api/crm/clients/{id}"));
    for foreign in ["http://", "https://", "<script", "src="] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[tokio::test]
async fn the_document_links_what_is_made_to_what_may_be_asked_of_it() {
    let server = Server::start().await;
    let document = server.call("GET", "/api/openapi.json").send().await.json();
    let links =
        |path: &str, method: &str, status: &str| document["paths"][path][method]["responses"][status]["links"].clone();
    let made = links("/api/crm/clients", "post", "201");
    assert_eq!(made["contacts.update"]["parameters"]["id"], "$response.body#/id");
    assert_eq!(made["notes.create_on_contact"]["parameters"]["contact_id"], "$response.body#/id");
    assert_eq!(links("/api/jobs", "get", "200")["jobs.get"]["parameters"]["id"], "$response.body#/data/0/id");
    assert!(links("/api/crm/clients/search", "post", "200").is_null());
    let known: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|it| it["operationId"].as_str().unwrap())
        .collect();
    let mut linked = BTreeSet::new();
    for operation in document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
    {
        for response in operation["responses"].as_object().unwrap().values() {
            for link in response["links"].as_object().into_iter().flatten() {
                linked.insert(link.1["operationId"].as_str().unwrap().to_owned());
            }
        }
    }
    assert!(
        linked.len() > 60 && linked.iter().all(|id| known.contains(id.as_str())),
        "{} operations are linked",
        linked.len()
    );
}
