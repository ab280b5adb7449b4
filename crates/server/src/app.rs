//! The router, made from the two tables.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    middleware,
    routing::on,
};
use bytes::Bytes;
use dealwright::Crm;
use tracing::error;

use crate::{
    door::Bound,
    frame::frame,
    openapi::{self, Catalogue},
    problem::Problem,
    routes::routes,
    shell::SHELL_ROUTES,
    state::Shared,
};

/// How the router is made.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {}

/// The whole server as a router: serve it alone, or merge it into an application of your own.
///
/// Must be called inside a tokio runtime: live views are fed by a task that ends with the router.
pub fn app(crm: Crm, options: Options) -> Router {
    let catalogue = Catalogue::new();
    let bound: Vec<Arc<Bound>> = routes()
        .filter_map(|route| {
            let bound = Bound::new(route, &catalogue);
            if bound.is_none() {
                // A test finds such a line before anybody can start a server with it.
                error!(operation = route.operation, path = route.path, "the route names no operation: left out");
            }
            bound.map(Arc::new)
        })
        .collect();
    let document = openapi::document(&catalogue, &bound);
    let page = openapi::page(&document);
    let shared = Shared::new(crm, options, Bytes::from(document.to_string()), Bytes::from(page));
    drop(catalogue);

    let mut router = Router::new();
    for bound in bound {
        let (method, path) = (bound.route().method.filter(), bound.route().path);
        let handler = move |State(shared): State<Shared>, request: Request| bound.clone().answer(shared, request);
        router = router.route(path, on(method, handler));
    }
    for route in SHELL_ROUTES {
        let handler = move |State(shared): State<Shared>, request: Request| route.answer(shared, request);
        router = router.route(route.path, on(route.method.filter(), handler));
    }
    router
        .fallback(|| async { Problem::not_found() })
        .layer(middleware::from_fn_with_state(shared.clone(), frame))
        .with_state(shared)
}
