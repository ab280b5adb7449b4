//! One call a cell.

use axum::{
    Router,
    body::Body,
    http::{Method, Request, header},
};
use dealwright::{
    Effect, Operation, OutputKind, operation, operations, scope::Role, services::identity::SignIn, testkit::rows_of,
};
use dealwright_server::{Options, app, routes::routes};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::support::{calls::call, things::Side, valid, world::World};

const PASSWORD: &str = "correct horse";

/// A call of an operation that counts.
struct Ask {
    operation: &'static Operation,
    method: Method,
    /// As in `inputs`; nothing for what is no JSON, or is streamed.
    input: Option<Value>,
    route: Option<&'static dealwright_server::route::Route>,
    good: u16,
}

/// Every operation at each of its addresses, in every way that is written down.
fn asks() -> Vec<Ask> {
    let (schemas, definitions) = valid::schemas();
    let mut all = Vec::new();
    for route in routes() {
        let (operation, schema) = schemas.iter().find(|(it, _)| it.name == route.operation).unwrap();
        let good = if operation.output_kind == OutputKind::Empty { 204 } else { route.status };
        let method = route.method.method();
        for input in valid::bases(operation, schema, &definitions) {
            all.push(Ask { operation, method: method.clone(), input: Some(input), route: Some(route), good });
        }
    }
    for (name, method, good) in [
        ("media.upload", Method::POST, 201),
        ("media.download", Method::GET, 200),
        ("contacts.export", Method::GET, 200),
    ] {
        all.push(Ask { operation: operation(name).unwrap(), method, input: None, route: None, good });
    }
    for operation in operations() {
        assert!(all.iter().any(|ask| ask.operation.name == operation.name), "{} is never asked", operation.name);
    }
    all
}

/// What goes over the wire.
struct Wire {
    what: String,
    request: Request<Body>,
}

impl Ask {
    async fn wire(&self, side: &mut Side, token: &str) -> Wire {
        let (path, body) = match (self.route, &self.input) {
            (Some(route), Some(input)) => {
                let (path, body) = call(route, &side.resolved(input).await);
                (path, body.map(|body| body.to_string()))
            }
            _ if self.method == Method::POST => ("/api/media?name=a.txt".to_owned(), Some("bytes".to_owned())),
            _ if self.operation.name == "contacts.export" => {
                (format!("/api/crm/clients/{}/export", side.id("contact").await), None)
            }
            _ => (format!("/api/media/{}", side.id("media").await), None),
        };
        let kind = if self.input.is_some() { "application/json" } else { "application/octet-stream" };
        let mut builder = Request::builder().method(&self.method).uri(&path);
        builder = builder.header(header::AUTHORIZATION, format!("Bearer {token}"));
        if body.is_some() {
            builder = builder.header(header::CONTENT_TYPE, kind);
        }
        let what = format!("{}: {} {path} {body:?}", self.operation.name, self.method);
        Wire { what, request: builder.body(body.map_or_else(Body::empty, Body::from)).unwrap() }
    }
}

async fn answer(router: &Router, request: Request<Body>) -> (u16, Value) {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

pub async fn every_cell(world: World, database: &str) {
    let router = app(world.crm.clone(), Options::default());
    let (crm, mut side) = (world.crm.clone(), world.ours);
    let asks = asks();
    let (mut flaws, mut open, mut closed) = (Vec::new(), 0, 0);
    for role in Role::ALL {
        let email = side.let_ask(*role, Some(PASSWORD.to_owned())).await;
        let signed_in =
            crm.identity().sign_in(SignIn { email, password: PASSWORD.to_owned(), totp_code: None }).await.unwrap();
        let token = signed_in.access_token;

        let mut refused = Vec::new();
        for ask in asks.iter().filter(|ask| !ask.operation.is_open_to(*role)) {
            refused.push(ask.wire(&mut side, &token).await);
        }
        let before = rows_of(&side.store, side.organization).await.unwrap();
        for Wire { what, request } in refused {
            closed += 1;
            let (status, told) = answer(&router, request).await;
            if (status, told["code"].as_str()) != (403, Some("forbidden")) {
                flaws.push(format!("{role} is not refused: {what}: {status} {told}"));
            }
        }
        assert!(
            rows_of(&side.store, side.organization).await.unwrap() == before,
            "what was refused to {role} has changed rows"
        );

        for ask in asks.iter().filter(|ask| ask.operation.is_open_to(*role)) {
            open += 1;
            let Wire { what, request } = ask.wire(&mut side, &token).await;
            let (status, told) = answer(&router, request).await;
            if status != ask.good {
                flaws.push(format!("{role} may: {what}: {status} {told}"));
            }
            if ask.operation.effect == Effect::Command {
                // What was changed or removed is no good for the next one.
                side.forget_after(ask.operation);
            }
        }
    }
    println!(
        "access: {} operations, {} roles, {open} calls that succeed, {closed} that are refused ({database})",
        operations().count(),
        Role::ALL.len()
    );
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
}
