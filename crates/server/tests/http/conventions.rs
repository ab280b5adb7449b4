use serde_json::json;

use crate::server::Server;

#[tokio::test]
async fn an_unknown_address_is_a_problem_too() {
    let server = Server::start().await;
    for path in ["/", "/api", "/api/nothing", "/api/crm/clients/", "/%00"] {
        assert_eq!(server.call("GET", path).send().await.problem(), (404, "not_found".to_owned()), "{path}");
    }
}

/// ASVS 13.4.4.
#[tokio::test]
async fn another_method_is_refused_with_those_that_are_allowed() {
    let server = Server::start().await;
    let reply = server.call("DELETE", "/api/users/profile").send().await;
    assert_eq!(reply.problem(), (405, "method_not_allowed".to_owned()));
    assert!(reply.header("allow").contains("GET"), "{:?}", reply.headers);
    // Whatever it would repeat of the request.
    let reply = server.call("TRACE", "/api/users/profile").header("x-marker", "repeat-me").send().await;
    assert_eq!(reply.problem(), (405, "method_not_allowed".to_owned()));
    assert!(!reply.text().contains("repeat-me") && !reply.headers.contains_key("x-marker"));
}

#[tokio::test]
async fn a_sane_request_id_is_taken_over() {
    let server = Server::start().await;
    let reply = server.call("GET", "/healthz").header("x-request-id", "trace-7.a_b").send().await;
    assert_eq!(reply.header("x-request-id"), "trace-7.a_b");
    for odd in ["a b", "<x>", "", &"x".repeat(129)] {
        let reply = server.call("GET", "/healthz").header("x-request-id", odd).send().await;
        assert_eq!(reply.header("x-request-id").len(), 32, "{odd}");
    }
}

#[tokio::test]
async fn health_and_readiness_need_no_credential() {
    let server = Server::start().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.call("GET", path).send().await.json(), json!({"status": "ok"}));
    }
}

#[tokio::test]
async fn an_id_that_is_no_uuid_names_nothing() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    for id in ["1", "x", "%00", "..%2f", "019aab32-6c00-7000-8000-000000000001"] {
        let reply = server.call("GET", &format!("/api/crm/clients/{id}")).by(&una).send().await;
        assert_eq!(reply.problem(), (404, "not_found".to_owned()), "{id}");
    }
}

/// ASVS 15.3.7.
#[tokio::test]
async fn wrong_parameters_are_refused_never_ignored() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    for (query, pointer) in [
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("limit=ten", "/limit"),
        ("limit=1&limit=1", "/limit"),
        ("nope=1", "/nope"),
        ("stage_id=x", "/stage_id"),
        ("created_at[gte]=yesterday", "/created_at[gte]"),
        ("created_at[eq]=2026-01-01T00:00:00Z", "/created_at[eq]"),
        ("tag=%ff", "/tag"),
        ("tag=%00", "/tag"),
    ] {
        let reply = server.call("GET", &format!("/api/crm/clients?{query}")).by(&una).send().await;
        assert_eq!(reply.problem(), (400, "invalid_parameter".to_owned()), "{query}");
        assert_eq!(reply.wrong()[0].0, pointer, "{query}");
    }
    let reply = server.call("GET", "/api/crm/clients?sort=shoe_size").by(&una).send().await;
    assert_eq!(reply.status, 400);
    let reply = server.call("GET", "/api/crm/clients?cursor=zzz").by(&una).send().await;
    assert_eq!(reply.problem(), (400, "invalid_cursor".to_owned()));
}

#[tokio::test]
async fn good_parameters_reach_the_operation() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    for (name, tag) in [("Ada", "vip"), ("Bob", "cold"), ("Cyd", "vip")] {
        let input = json!({"name": name, "tags": [tag]});
        assert_eq!(server.call("POST", "/api/crm/clients").by(&una).json(&input).send().await.status, 201);
    }
    let names = async |query: &str| {
        let reply = server.call("GET", &format!("/api/crm/clients?{query}")).by(&una).send().await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        let page = reply.json();
        let names: Vec<String> =
            page["data"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect();
        (names, page["next_cursor"].as_str().map(str::to_owned))
    };
    assert_eq!(names("tag=vip&sort=name").await.0, ["Ada", "Cyd"]);
    assert!(names("created_at[gt]=2026-11-23T00:00:00Z").await.0.is_empty());
    let (first, cursor) = names("sort=-name&limit=2").await;
    assert_eq!(first, ["Cyd", "Bob"]);
    assert_eq!(names(&format!("sort=-name&limit=2&cursor={}", cursor.unwrap())).await.0, ["Ada"]);
}
