use serde_json::{Value, json};

use crate::{
    nouns::{ask, batches, listed, lives, ok, returns},
    server::{Member, Server},
};

const AT: &str = "/api/crm/deals";

async fn stages(server: &Server, by: &Member) -> Vec<Value> {
    ok(server, by, "GET", "/api/pipeline/stages", Value::Null).await["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_deal_lives_as_the_contract_says() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let new = json!({"name": "Rockets", "value": {"amount": "1250", "currency": "EUR"}});
    let path = lives(&server, &una, AT, new, json!({"probability": 0.5, "expected_close_on": "2026-12-24"})).await;
    returns(&server, &una, AT, &path).await;
    let value = ok(&server, &una, "GET", &path, Value::Null).await["value"].clone();
    assert_eq!(value, json!({"amount": "1250.00", "currency": "EUR"}));
}

#[tokio::test]
async fn a_move_changes_stage_and_status_and_is_remembered() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let (first, won) = {
        let stages = stages(&server, &una).await;
        let won = stages.iter().find(|it| it["kind"] == "won").unwrap();
        (stages[0]["id"].clone(), won["id"].clone())
    };
    let deal = ok(&server, &una, "POST", AT, json!({"name": "Rockets"})).await;
    assert_eq!((&deal["stage_id"], &deal["status"]), (&first, &json!("open")));
    let path = format!("{AT}/{}", deal["id"].as_str().unwrap());
    let to_won = json!({"stage_id": won, "reason": "signed"});
    let stale = server.call("PATCH", &format!("{path}/stage")).by(&una).header("if-match", "\"7\"").json(&to_won);
    assert_eq!(stale.send().await.status, 412);
    let moved = ok(&server, &una, "PATCH", &format!("{path}/stage"), to_won.clone()).await;
    assert_eq!((&moved["stage_id"], &moved["status"]), (&won, &json!("won")));
    // Moved there again it stays as it is, and the history says nothing of it.
    assert_eq!(ok(&server, &una, "PATCH", &format!("{path}/stage"), to_won).await, moved);
    let history = ok(&server, &una, "GET", &format!("{path}/history"), Value::Null).await;
    let entries = history["data"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[0]["reason"], &entries[0]["deal_id"]), (2, &json!("signed"), &deal["id"]));
    assert_eq!((&entries[0]["from_stage_id"], &entries[0]["to_stage_id"]), (&first, &won));
    let edited = ask(&server, &una, "PATCH", &path, json!({"stage_id": first})).await;
    assert_eq!((edited.problem().0, edited.wrong()), (422, vec![("/stage_id".to_owned(), "read_only".to_owned())]));
}

#[tokio::test]
async fn an_upsert_places_a_new_deal_and_leaves_one_that_is_there() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let stages = stages(&server, &una).await;
    let (stage, other, pipeline) = (&stages[2]["id"], &stages[1]["id"], &stages[2]["pipeline_id"]);
    let path = format!("{AT}/by-external-id/erp/7");
    let new = json!({"name": "Rockets", "stage_id": stage, "pipeline_id": pipeline});
    let made = ok(&server, &una, "PUT", &path, new.clone()).await;
    assert_eq!((&made["stage_id"], &made["version"]), (stage, &json!(1)));
    assert_eq!(ok(&server, &una, "PUT", &path, new).await, made);
    let moved = ask(&server, &una, "PUT", &path, json!({"stage_id": other})).await;
    assert_eq!((moved.problem().0, moved.wrong()[0].0.as_str()), (422, "/stage_id"));
    assert!(moved.text().contains("/api/crm/deals/{id}/stage"), "{}", moved.text());
    let nowhere = json!({"name": "Rockets", "stage_id": una.user});
    let nowhere = ask(&server, &una, "PUT", &format!("{AT}/by-external-id/erp/8"), nowhere).await;
    assert_eq!(nowhere.wrong(), [("/stage_id".to_owned(), "unknown".to_owned())]);
}

#[tokio::test]
async fn deals_are_made_in_batches_and_found_by_filters() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    batches(&server, &una, AT).await;
    let new = |name: &str, amount: &str, day: &str| json!({"name": name, "value": {"amount": amount, "currency": "EUR"}, "expected_close_on": day});
    for new in [new("Small", "99.99", "2026-12-01"), new("Large", "100", "2027-01-01")] {
        ok(&server, &una, "POST", AT, new).await;
    }
    for (query, names) in [
        ("name=Two", vec!["Two"]),
        ("value[gte]=100", vec!["Large"]),
        ("value[lt]=100", vec!["Small"]),
        ("expected_close_on[gt]=2026-12-01", vec!["Large"]),
        ("expected_close_on[lte]=2026-12-01&value[gt]=0&name=Small", vec!["Small"]),
        ("status=open&sort=-value&limit=2", vec!["Large", "Small"]),
    ] {
        assert_eq!(listed(&server, &una, &format!("{AT}?{query}"), "name").await, names, "{query}");
    }
    for query in ["value[gte]=much", "expected_close_on[gt]=soon", "value=5", "value[like]=5"] {
        let odd = ask(&server, &una, "GET", &format!("{AT}?{query}"), Value::Null).await;
        assert_eq!(odd.status, 400, "{query}: {}", odd.text());
    }
    let cleared = json!({"value": {"amount": null}});
    let deal = listed(&server, &una, &format!("{AT}?name=Large"), "id").await[0].clone();
    let path = format!("{AT}/{}", deal.as_str().unwrap());
    let refused = ask(&server, &una, "PATCH", &path, cleared).await;
    assert_eq!(refused.wrong(), [("/value/amount".to_owned(), "required".to_owned())]);
    assert_eq!(ok(&server, &una, "PATCH", &path, json!({"value": null})).await["value"], Value::Null);
}
