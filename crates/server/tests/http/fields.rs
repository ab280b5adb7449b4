use serde_json::{Value, json};

use crate::{
    nouns::{ask, listed, lives, ok},
    server::Server,
};

const AT: &str = "/api/crm/fields";

#[tokio::test]
async fn a_field_lives_as_the_contract_says() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let new = json!({"object": "contact", "key": "tier", "type": "choice", "options": ["gold", "tin"]});
    lives(&server, &una, AT, new, json!({"label": "Tier", "options": ["gold", "tin", "wood"]})).await;
    assert_eq!(listed(&server, &una, AT, "key").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_field_in_use_checks_its_values_and_stays() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let new = json!({"object": "contact", "key": "size", "type": "number"});
    let field = ok(&server, &una, "POST", AT, new.clone()).await;
    assert_eq!(ask(&server, &una, "POST", AT, new).await.status, 409);
    let wrong =
        ask(&server, &una, "POST", "/api/crm/clients", json!({"name": "Ada", "custom": {"size": "many"}})).await;
    assert_eq!((wrong.problem().0, wrong.wrong()[0].0.as_str()), (422, "/custom/size"));
    for (name, size) in [("Ada", json!({"size": 5})), ("Bob", json!({"size": 7})), ("Cleo", json!({}))] {
        ok(&server, &una, "POST", "/api/crm/clients", json!({"name": name, "custom": size})).await;
    }
    assert_eq!(listed(&server, &una, "/api/crm/clients?custom.size[gte]=6", "name").await, ["Bob"]);
    assert_eq!(listed(&server, &una, "/api/crm/clients?sort=-custom.size", "name").await, ["Bob", "Ada"]);
    let path = format!("{AT}/{}", field["id"].as_str().unwrap());
    assert_eq!(ask(&server, &una, "DELETE", &path, Value::Null).await.problem(), (409, "field_in_use".to_owned()));
}
