//! Every route that takes `If-Match`, by the valid inputs that the sweep and the contract test go by.

use axum::{
    body::Body,
    http::{Request, Response},
};
use dealwright::OutputKind;
use dealwright_server::{Options, app, routes::routes};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::support::{calls::call, valid, world::World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_is_gone_is_refused_and_the_present_one_is_taken() {
    let world = World::sqlite().await;
    let (mut side, signed_in) = world.sign_up("una", "acme").await;
    let router = app(world.crm.clone(), Options::default());
    let (schemas, definitions) = valid::schemas();
    let (mut asked, mut tagged) = (0, 0);
    for route in routes().filter(|route| route.if_match) {
        let (operation, schema) = schemas.iter().find(|(it, _)| it.name == route.operation).unwrap();
        let expected = if operation.output_kind == OutputKind::Empty { 204 } else { route.status };
        for base in valid::bases(operation, schema, &definitions) {
            let input = side.resolved(&base).await;
            let (path, body) = call(route, &input);
            let ask = async |tag: &str| {
                let request = Request::builder()
                    .method(route.method.method())
                    .uri(&path)
                    .header("authorization", format!("Bearer {}", signed_in.access_token))
                    .header("if-match", tag);
                let request = match &body {
                    Some(body) => request.header("content-type", "application/json").body(body.to_string()),
                    None => request.body(String::new()),
                };
                let response: Response<Body> = router.clone().oneshot(request.unwrap().map(Body::from)).await.unwrap();
                let tag = response.headers().get("etag").map(|it| it.to_str().unwrap().to_owned());
                let status = response.status().as_u16();
                let text = response.into_body().collect().await.unwrap().to_bytes();
                (status, tag, format!("{} {path} {body:?}: {text:?}", route.method.as_str()))
            };
            let (status, _, what) = ask("\"987\"").await;
            assert_eq!(status, 412, "{what}");
            let (status, tag, what) = ask("*").await;
            assert_eq!(status, expected, "{what}");
            if let Some(tag) = tag {
                let (status, _, what) = ask(&tag).await;
                assert_eq!(status, expected, "{what}");
                tagged += 1;
            }
            asked += 1;
            side.forget();
        }
    }
    assert!(asked >= 32 && tagged >= 20, "only {asked} were asked, {tagged} of them answered an ETag");
}
