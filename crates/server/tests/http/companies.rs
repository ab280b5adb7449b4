use serde_json::{Value, json};

use crate::{
    nouns::{ask, batches, listed, lives, ok, returns},
    server::Server,
};

const AT: &str = "/api/crm/companies";

#[tokio::test]
async fn a_company_lives_as_the_contract_says() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let new = json!({"name": "Acme", "domain": "acme.example", "tags": ["vip"]});
    let path = lives(&server, &una, AT, new, json!({"industry": "rockets", "domain": null})).await;
    returns(&server, &una, AT, &path).await;
    assert_eq!(ok(&server, &una, "GET", &path, Value::Null).await["tags"], json!(["vip"]));
}

#[tokio::test]
async fn companies_are_made_in_batches_and_found_by_filters() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    batches(&server, &una, AT).await;
    assert_eq!(listed(&server, &una, &format!("{AT}?name=Two"), "name").await, ["Two"]);
    assert_eq!(listed(&server, &una, &format!("{AT}?sort=name"), "name").await, ["One", "Two"]);
    let odd = ask(&server, &una, "GET", &format!("{AT}?shoe=7"), Value::Null).await;
    assert_eq!(odd.problem(), (400, "invalid_parameter".to_owned()));
}
