//! Guessing passwords (OWASP ASVS 5.0, 6.3.1): so many failures cost nothing, later ones are refused at once.

use chrono::Duration;
use dealwright_server::{Options, limits::Limits};
use futures::future::join_all;
use serde_json::json;

use crate::server::{Reply, Server};

const WRONG: &str = "wrong horse!";
const RIGHT: &str = "correct horse";

/// Without the limit of calls, so that it is the throttle that speaks.
async fn server() -> Server {
    Server::with(Options::default().limits(Limits::off())).await
}

async fn sign_in(server: &Server, address: &str, email: &str, password: &str) -> Reply {
    let input = json!({"email": email, "password": password});
    server.call("POST", "/api/auth/signin").from(address).json(&input).send().await
}

fn refused(reply: &Reply) -> u64 {
    assert_eq!(reply.problem(), (429, "rate_limited".to_owned()));
    reply.header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn the_sixth_failure_in_a_row_is_refused_whether_there_is_such_an_account_or_not() {
    let server = server().await;
    server.sign_up("una").await;
    let mut told = Vec::new();
    for email in ["una@acme.example", "nobody@acme.example"] {
        for place in 0..5 {
            // From wherever it comes, however it is written.
            let reply = sign_in(&server, &format!("192.0.2.{place}"), &email.to_uppercase(), WRONG).await;
            assert_eq!(reply.problem(), (401, "invalid_credentials".to_owned()));
        }
        // The right password does not help: who guesses must not learn that it is right.
        let reply = sign_in(&server, "192.0.2.9", email, RIGHT).await;
        assert_eq!(refused(&reply), 180);
        told.push(reply.json()["detail"].clone());
    }
    assert_eq!(told[0], told[1]);
    // What is refused does not count: the wait does not grow.
    server.clock.advance(Duration::seconds(180));
    assert_eq!(sign_in(&server, "192.0.2.9", "una@acme.example", RIGHT).await.status, 200);
}

/// ASVS 6.1.1: who keeps failing for an account, from wherever, does not keep its owner out.
#[tokio::test]
async fn what_fails_elsewhere_keeps_nobody_out_where_they_have_signed_in_before() {
    let server = server().await;
    server.sign_up("una").await;
    let una = async |address: &str, password: &str| sign_in(&server, address, "una@acme.example", password).await;
    for home in ["192.0.2.1", "2001:db8:1:2::7"] {
        assert_eq!(una(home, RIGHT).await.status, 200);
    }
    for place in 0..5 {
        assert_eq!(una(&format!("198.51.100.{place}"), WRONG).await.status, 401);
    }
    refused(&una("198.51.100.9", RIGHT).await);
    // Neither at home, nor in another place of the same network.
    assert_eq!(una("192.0.2.1", RIGHT).await.status, 200);
    assert_eq!(una("2001:db8:1:2::8", RIGHT).await.status, 200);
    refused(&una("2001:db8:1:3::7", RIGHT).await);
    // Which lets nobody begin anew elsewhere, and is no licence to guess at home.
    refused(&una("198.51.100.9", RIGHT).await);
    for _ in 0..5 {
        assert_eq!(una("192.0.2.1", WRONG).await.status, 401);
    }
    refused(&una("192.0.2.1", RIGHT).await);
    assert_eq!(una("2001:db8:1:2::7", RIGHT).await.status, 200);
}

/// Whoever calls themselves by another person's id spends none of that person's tries.
#[tokio::test]
async fn what_somebody_calls_themselves_is_no_id() {
    let server = server().await;
    let una = server.sign_up("una").await;
    for name in [format!("user:{}", una.user), una.user.clone()] {
        for place in 0..5 {
            let reply = sign_in(&server, &format!("192.0.2.{place}"), &name, WRONG).await;
            assert_eq!(reply.problem(), (401, "invalid_credentials".to_owned()));
        }
    }
    let input = json!({"current_password": RIGHT, "password": "another horse"});
    let reply = server.call("PUT", "/api/auth/password").by(&una).json(&input).send().await;
    assert_eq!(reply.status, 204, "{}", reply.text());
}

#[tokio::test]
async fn success_lets_the_account_begin_anew_but_not_the_address() {
    let server = server().await;
    server.sign_up("una").await;
    for round in 0..7 {
        for _ in 0..4 {
            assert_eq!(sign_in(&server, "192.0.2.1", "una@acme.example", WRONG).await.status, 401, "{round}");
        }
        assert_eq!(sign_in(&server, "192.0.2.1", "una@acme.example", RIGHT).await.status, 200, "{round}");
    }
    // 28 failures; success is none.
    for (place, status) in [(1, 401), (2, 401), (3, 429)] {
        let email = format!("guess{place}@acme.example");
        assert_eq!(sign_in(&server, "192.0.2.1", &email, WRONG).await.status, status, "{place}");
    }
    assert_eq!(refused(&sign_in(&server, "192.0.2.1", "una@acme.example", RIGHT).await), 30);
    // Which is nobody else's fault.
    assert_eq!(sign_in(&server, "192.0.2.2", "una@acme.example", RIGHT).await.status, 200);
}

#[tokio::test]
async fn of_two_hundred_guesses_at_once_five_are_tried() {
    let server = server().await;
    server.sign_up("una").await;
    let guesses = (0..200).map(|place| {
        let (server, address) = (&server, format!("192.0.2.{place}"));
        async move { sign_in(server, &address, "una@acme.example", &format!("guess number {place}")).await.status }
    });
    let statuses = join_all(guesses).await;
    let count = |status: u16| statuses.iter().filter(|it| it.as_u16() == status).count();
    assert_eq!((count(401), count(429)), (5, 195));
}

#[tokio::test]
async fn of_two_hundred_accounts_at_once_from_one_address_thirty_are_tried() {
    let server = server().await;
    let guesses = (0..200).map(|place| {
        let (server, email) = (&server, format!("guess{place}@acme.example"));
        async move { sign_in(server, "192.0.2.1", &email, WRONG).await.status }
    });
    let statuses = join_all(guesses).await;
    let count = |status: u16| statuses.iter().filter(|it| it.as_u16() == status).count();
    assert_eq!((count(401), count(429)), (30, 170));
}
