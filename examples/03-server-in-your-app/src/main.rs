#![doc = "The CRM's routes, live views and documents in an axum application of your own."]

use std::net::SocketAddr;

use anyhow::Result;
use axum::{Json, Router, extract::State, routing::get};
use dealwright::{Crm, Registry};
use serde_json::{Value, json};

/// The application's own routes beside those of the CRM. Both speak to the same engine.
fn application(crm: Crm) -> Router {
    let own = Router::new().route("/stores-answer", get(stores_answer)).with_state(crm.clone());
    own.merge(dealwright_server::app(crm, dealwright_server::Options::default()))
}

/// A route of one's own: no HTTP between it and the engine.
async fn stores_answer(State(crm): State<Crm>) -> Json<Value> {
    Json(json!({"answers": crm.ping().await.is_ok()}))
}

async fn engine(database: &str) -> dealwright::Result<Crm> {
    let mut registry = Registry::new();
    registry.rule_engine(dealwright_rules::declarative::Declarative);
    Crm::builder().database(database).registry(registry).build().await
}

#[tokio::main]
async fn main() -> Result<()> {
    let crm = engine("sqlite://crm.db").await?;
    // Rules, timers and jobs run in this process as long as this is held.
    let _running = crm.runtime().start().await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    println!("the CRM and the application answer at http://{}", listener.local_addr()?);
    // With the client's address: what is limited by address is limited only where it is known.
    let service = application(crm).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn get(router: &Router, path: &str) -> String {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn both_sides_answer() {
        let router = application(engine("sqlite::memory:").await.unwrap());
        assert_eq!(get(&router, "/stores-answer").await, "{\"answers\":true}");
        assert!(get(&router, "/api/openapi.json").await.contains("\"contacts.create\""));
    }
}
