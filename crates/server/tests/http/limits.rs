//! How often anybody may ask (OWASP ASVS 5.0, 2.4.1 and 15.2.2).

use chrono::Duration;
use dealwright::ports::limiter::Quota;
use dealwright_server::{Options, client::TrustedProxies, limits::Limits};
use serde_json::json;

use crate::server::{Reply, Server};

async fn stranger(server: &Server, path: &str, address: &str) -> Reply {
    server.call("GET", path).from(address).send().await
}

/// ASVS 6.6.3.
#[tokio::test]
async fn an_address_asks_sixty_times_a_minute_without_a_credential() {
    let server = Server::start().await;
    for left in (0..60).rev() {
        let reply = stranger(&server, "/api/openapi.json", "192.0.2.1").await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("ratelimit"), format!("\"address\";r={left};t=60"));
        assert_eq!(reply.header("ratelimit-policy"), "\"address\";q=60;w=60");
    }
    // Whatever is asked, an address that does not exist too.
    for path in ["/api/openapi.json", "/docs", "/nowhere", "/api/users/profile"] {
        let reply = stranger(&server, path, "192.0.2.1").await;
        assert_eq!(reply.problem(), (429, "rate_limited".to_owned()), "{path}");
        assert_eq!((reply.header("retry-after"), reply.header("ratelimit")), ("1", "\"address\";r=0;t=60"));
    }
    let input = json!({"email": "una@acme.example", "password": "correct horse"});
    let reply = server.call("POST", "/api/auth/signin").from("192.0.2.1").json(&input).send().await;
    assert_eq!(reply.status, 429);
    assert_eq!(stranger(&server, "/docs", "192.0.2.2").await.status, 200);
    server.clock.advance(Duration::seconds(1));
    assert_eq!(stranger(&server, "/docs", "192.0.2.1").await.status, 200);
    assert_eq!(stranger(&server, "/docs", "192.0.2.1").await.status, 429);
}

#[tokio::test]
async fn a_credential_that_does_not_count_is_none_and_one_that_does_is_never_its_addresss_fault() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    for _ in 0..60 {
        let call = server.call("GET", "/api/users/profile").from("192.0.2.1").header("authorization", "Bearer made-up");
        assert_eq!(call.send().await.status, 401);
    }
    let call = server.call("GET", "/api/users/profile").from("192.0.2.1").header("authorization", "Bearer made-up");
    assert_eq!(call.send().await.status, 429);
    // Others behind the same address go on.
    let reply = server.call("GET", "/api/users/profile").from("192.0.2.1").by(&una).send().await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("ratelimit"), "\"user\";r=599;t=30, \"organization\";r=5999;t=30");
    assert_eq!(reply.header("ratelimit-policy"), "\"user\";q=1200;w=60, \"organization\";q=12000;w=60");
}

/// ASVS 4.1.3.
#[tokio::test]
async fn a_network_of_version_six_is_one_address_and_nobody_makes_up_another() {
    let limits = Limits::off().address(Some(Quota::per_minute(2)));
    let proxies = TrustedProxies::read(&["10.0.0.0/8".to_owned()]).unwrap();
    let server = Server::with(Options::default().limits(limits).trusted_proxies(proxies)).await;
    for (address, status) in
        [("2001:db8::1", 200), ("2001:db8::2", 200), ("2001:db8::ffff:3", 429), ("2001:db8:0:1::1", 200)]
    {
        assert_eq!(stranger(&server, "/docs", address).await.status, status, "{address}");
    }
    let via = async |peer: &str, forwarded: &str| {
        server.call("GET", "/docs").from(peer).header("x-forwarded-for", forwarded).send().await.status.as_u16()
    };
    let made_up =
        [via("192.0.2.1", "1.1.1.1").await, via("192.0.2.1", "2.2.2.2").await, via("192.0.2.1", "3.3.3.3").await];
    assert_eq!(made_up, [200, 200, 429]);
    let proxied = [
        via("10.0.0.1", "9.9.9.9, 198.51.100.7").await,
        via("10.0.0.2", "8.8.8.8, 198.51.100.7").await,
        via("10.0.0.1", "198.51.100.7").await,
    ];
    assert_eq!(proxied, [200, 200, 429]);
    assert_eq!(via("10.0.0.1", "198.51.100.8").await, 200);
}

#[tokio::test]
async fn a_user_asks_as_often_as_the_policy_says_and_dear_calls_cost_more() {
    let server = Server::start().await;
    let (una, eve) = (server.sign_up("una").await, server.sign_up("eve").await);
    let left = |reply: &Reply| reply.header("ratelimit").split(';').nth(1).unwrap().to_owned();
    let first = server.call("GET", "/api/users/profile").by(&una).send().await;
    assert_eq!(left(&first), "r=599");
    let search = server.call("POST", "/api/crm/clients/search").by(&una).json(&json!({})).send().await;
    assert_eq!((search.status.as_u16(), left(&search)), (200, "r=597".to_owned()));
    let batch = server.call("POST", "/api/crm/clients/batch").by(&una).json(&json!({"items": []})).send().await;
    assert_eq!(left(&batch), "r=587");
    for _ in 0..587 {
        server.call("GET", "/api/nowhere").by(&una).send().await;
    }
    let refused = server.call("GET", "/api/users/profile").by(&una).send().await;
    assert_eq!(refused.problem(), (429, "rate_limited".to_owned()));
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit-policy")), ("1", "\"user\";q=1200;w=60"));
    assert_eq!(server.call("GET", "/api/users/profile").by(&eve).send().await.status, 200);
    server.clock.advance(Duration::milliseconds(100));
    for status in [200, 200, 429] {
        assert_eq!(server.call("GET", "/api/users/profile").by(&una).send().await.status, status);
    }
}

#[tokio::test]
async fn an_organisation_has_a_limit_of_its_own() {
    let limits = Limits::off().organization(Some(Quota::per_minute(3)));
    let server = Server::with(Options::default().limits(limits)).await;
    let (una, eve) = (server.sign_up("una").await, server.sign_up("eve").await);
    for status in [200, 200, 200, 429] {
        assert_eq!(server.call("GET", "/api/users/profile").by(&una).send().await.status, status);
    }
    let refused = server.call("GET", "/api/users/profile").by(&una).send().await;
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit")), ("20", "\"organization\";r=0;t=60"));
    assert_eq!(server.call("GET", "/api/users/profile").by(&eve).send().await.status, 200);
}

#[tokio::test]
async fn probes_and_polls_are_counted_apart() {
    let server = Server::start().await;
    for _ in 0..61 {
        stranger(&server, "/docs", "192.0.2.1").await;
    }
    for path in ["/healthz", "/readyz"] {
        let reply = stranger(&server, path, "192.0.2.1").await;
        assert_eq!((reply.status.as_u16(), reply.header("ratelimit-policy")), (200, "\"background\";q=1200;w=60"));
    }
    for _ in 0..598 {
        assert_eq!(stranger(&server, "/healthz", "192.0.2.1").await.status, 200);
    }
    assert_eq!(stranger(&server, "/healthz", "192.0.2.1").await.status, 429);
}

#[tokio::test]
async fn limits_may_be_off() {
    let server = Server::with(Options::default().limits(Limits::off())).await;
    for _ in 0..100 {
        let reply = stranger(&server, "/docs", "192.0.2.1").await;
        assert_eq!((reply.status.as_u16(), reply.headers.contains_key("ratelimit")), (200, false));
    }
}
