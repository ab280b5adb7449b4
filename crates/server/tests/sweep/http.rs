//! The same over HTTP, for ids that stand in paths.

use axum::{
    body::Body,
    http::{Method, Request},
};
use dealwright_server::{Options, app, routes::routes};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::{
    support::world::{MARKER, World},
    sweep::rows,
};

/// What `{id}` names in the paths that begin so; other members name what they are called.
const PATHS: &[(&str, &str)] = &[
    ("/api/auth/sessions/", "session"),
    ("/api/auth/identities/", "identity"),
    ("/api/team/members/", "user"),
    ("/api/auth/api-keys/", "api key"),
    ("/api/team/teams/", "team"),
    ("/api/team/roles/", "role"),
    ("/api/team/invitations/", "invitation"),
    ("/api/crm/clients/", "contact"),
    ("/api/crm/companies/", "company"),
    ("/api/crm/fields/", "field"),
    ("/api/crm/deals/", "deal"),
    ("/api/crm/notes/", "note"),
    ("/api/crm/tasks/", "task"),
    ("/api/pipeline/stages/", "stage"),
    ("/api/pipeline/", "pipeline"),
    ("/api/bd-accounts/", "account"),
    ("/api/messaging/chats/", "chat"),
    ("/api/messaging/messages/", "message"),
    ("/api/media/", "media"),
    ("/api/automation/rules/", "rule"),
    ("/api/notifications/", "notification"),
    ("/api/jobs/", "job"),
];

/// Reads and removes at every path that names one row.
pub async fn sweep(mut world: World) {
    world.theirs.fill().await;
    world.theirs.wait().await;
    let token = world.sign_up("una", "acme").await.1.access_token;
    let before = rows(&world.theirs).await;
    let router = app(world.crm.clone(), Options::default());
    let mut asked = 0;
    for route in routes() {
        let method = route.method.method();
        if !route.path.contains('{') || !matches!(method, Method::GET | Method::DELETE) {
            continue;
        }
        let mut path = String::new();
        for step in route.path.split('/').skip(1) {
            let noun = match step {
                "{id}" => PATHS.iter().find(|(begin, _)| route.path.starts_with(begin)).map(|(_, noun)| *noun),
                _ => step.strip_prefix('{').and_then(|name| name.strip_suffix("_id}")),
            };
            assert!(noun.is_some() || !step.starts_with('{'), "{}: what does {step} name?", route.path);
            path.push('/');
            path.push_str(&match noun {
                Some(noun) => world.theirs.id(noun).await,
                None => step.to_owned(),
            });
        }
        let request = Request::builder().method(&method).uri(&path).header("authorization", format!("Bearer {token}"));
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        assert!(status == 404 && !text.contains(MARKER), "{method} {path}: {status} {text}");
        asked += 1;
    }
    assert!(asked > 40, "{asked} paths");
    assert_eq!(rows(&world.theirs).await, before);
    println!("sweep: {asked} paths, 0 leaks");
}
