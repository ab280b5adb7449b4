//! The router, made from the two tables.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    middleware,
    routing::on,
};
use bytes::Bytes;
use dealwright::Crm;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    admit::admit,
    client::TrustedProxies,
    door::Bound,
    frame::frame,
    limits::Limits,
    openapi::{self, Catalogue},
    origins::Origins,
    problem::Problem,
    realtime,
    routes::routes,
    shell::SHELL_ROUTES,
    state::Shared,
};

/// How the router is made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Ends live connections and the tasks that feed them.
    pub shutdown: CancellationToken,
    /// How often it is looked whether the sessions behind live connections still stand; every 10 s by default.
    pub session_check: Duration,
    /// Whose word about a client's address counts; nobody's by default.
    pub trusted_proxies: TrustedProxies,
    /// How often who may ask.
    pub limits: Limits,
    /// Sites beside our own that may call with a browser's credentials; none by default.
    pub origins: Origins,
    /// Whether browsers are told that hosts below this one answer over HTTPS alone, too; not by default.
    pub hsts_subdomains: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            shutdown: CancellationToken::new(),
            session_check: realtime::SESSION_CHECK,
            trusted_proxies: TrustedProxies::default(),
            limits: Limits::default(),
            origins: Origins::default(),
            hsts_subdomains: false,
        }
    }
}

impl Options {
    /// The same, with a token that ends live connections.
    #[must_use]
    pub fn shutdown(mut self, shutdown: CancellationToken) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// The same, with another pause between looks at the sessions behind live connections.
    #[must_use]
    pub fn session_check(mut self, pause: Duration) -> Self {
        self.session_check = pause;
        self
    }

    /// The same with other limits on how often who may ask.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same with other sites that may call with a browser's credentials.
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// The same, telling browsers of HTTPS for hosts below this one too, or not.
    #[must_use]
    pub fn hsts_subdomains(mut self, below: bool) -> Self {
        self.hsts_subdomains = below;
        self
    }

    /// The same behind proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` count.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.trusted_proxies = proxies;
        self
    }
}

/// The whole server as a router: serve it alone, or merge it into an application of your own.
///
/// Serve it by `into_make_service_with_connect_info::<SocketAddr>()`, so that it knows from which address a request comes:
/// without one, nothing is counted by address. An application that learns the address by other means puts a
/// [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo) into the request's extensions.
///
/// Must be called inside a tokio runtime: live views are fed by a task that ends with the router.
pub fn app(crm: Crm, options: Options) -> Router {
    let catalogue = Catalogue::whole();
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
    let (live_layer, live) = realtime::open(&shared);
    let live = Arc::new(live);

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
    let router = router
        .fallback(move || {
            // The router owns the live side: it ends when the last copy of the router is gone.
            let _live = &live;
            async { Problem::not_found() }
        })
        .layer(live_layer)
        .layer(middleware::from_fn_with_state(shared.clone(), admit));
    // Outside of what refuses calls, so that a page that is let in can read why.
    let router = match shared.options().origins.cors() {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router.layer(middleware::from_fn_with_state(shared.clone(), frame)).with_state(shared)
}
