//! Passwords and addresses over HTTP.

use chrono::Duration;
use serde_json::{Value, json};

use crate::server::{Member, Reply, Server};

const UNA: &str = "una@acme.example";

async fn post(server: &Server, path: &str, body: &Value) -> Reply {
    server.call("POST", path).json(body).send().await
}

/// The token in a mail's link.
async fn token(server: &Server, subject: &str, page: &str) -> String {
    let mail = server.mail(UNA, subject).await;
    let link = mail.text.lines().find(|line| line.starts_with("https://crm.acme.example/#/")).unwrap().to_owned();
    link.strip_prefix(&format!("https://crm.acme.example/#/{page}/")).unwrap().to_owned()
}

#[tokio::test]
async fn an_address_is_confirmed_by_the_token_that_came_to_it() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let profile =
        async || server.call("GET", "/api/users/profile").by(&una).send().await.json()["email_verified"].clone();
    assert_eq!(profile().await, json!(false));
    let first = token(&server, "Confirm your e-mail address", "verify-email").await;
    server.clock.advance(Duration::minutes(2));
    let again = server.call("POST", "/api/auth/verify-email/send").by(&una).send().await;
    assert_eq!((again.status.as_u16(), again.text()), (202, String::new()));
    assert_eq!(post(&server, "/api/auth/verify-email/send", &json!({})).await.status, 401);

    let older = post(&server, "/api/auth/verify-email", &json!({"token": first})).await;
    assert_eq!(older.wrong(), [("/token".to_owned(), "unknown".to_owned())]);
    let newest = loop {
        let newest = token(&server, "Confirm your e-mail address", "verify-email").await;
        if newest != first {
            break newest;
        }
    };
    assert_eq!(post(&server, "/api/auth/verify-email", &json!({"token": newest})).await.status, 204);
    assert_eq!(profile().await, json!(true));
    let signed_in = json!({"email": UNA, "password": "correct horse"});
    assert_eq!(post(&server, "/api/auth/signin", &signed_in).await.json()["user"]["email_verified"], json!(true));
}

/// OWASP ASVS 6.4.3 and 6.3.8.
#[tokio::test]
async fn a_forgotten_password_is_replaced_by_whoever_reads_the_mail() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let nobody = post(&server, "/api/auth/password/forgot", &json!({"email": "nobody@acme.example"})).await;
    let odd = post(&server, "/api/auth/password/forgot", &json!({"email": "no address"})).await;
    let known = post(&server, "/api/auth/password/forgot", &json!({"email": " UNA@acme.example "})).await;
    for reply in [&nobody, &odd, &known] {
        assert_eq!((reply.status.as_u16(), reply.text()), (202, String::new()));
        let names = |reply: &Reply| reply.headers.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(reply), names(&nobody));
    }
    let token = token(&server, "Choose a new password", "reset-password").await;
    assert!(server.mails.lock().unwrap().iter().all(|mail| mail.to == UNA));

    let reset = async |token: &str, password: &str| {
        post(&server, "/api/auth/password/reset", &json!({"token": token, "password": password})).await
    };
    assert_eq!(reset(&token, "password123").await.wrong(), [("/password".to_owned(), "too_common".to_owned())]);
    assert_eq!(reset("x", "another horse").await.wrong(), [("/token".to_owned(), "unknown".to_owned())]);
    assert_eq!(reset(&token, "another horse").await.status, 204);
    assert_eq!(reset(&token, "a third horse").await.wrong(), [("/token".to_owned(), "used".to_owned())]);
    let reply = server.call("GET", "/api/users/profile").by(&una).send().await;
    assert_eq!(reply.problem(), (401, "session_ended".to_owned()));
    let sign_in = async |password: &str| {
        post(&server, "/api/auth/signin", &json!({"email": UNA, "password": password})).await.status.as_u16()
    };
    assert_eq!((sign_in("correct horse").await, sign_in("another horse").await), (401, 200));
    server.mail(UNA, "Your password was changed").await;
}

/// ASVS 6.2.2 and 6.2.3.
#[tokio::test]
async fn a_known_password_is_replaced_and_other_sessions_end() {
    let server = Server::start().await;
    let here = server.sign_up("una").await;
    let account = json!({"email": UNA, "password": "correct horse"});
    let there = Member::of(&post(&server, "/api/auth/signin", &account).await.json());
    let change = async |by: &Member, current: &str, new: &str| {
        let input = json!({"current_password": current, "password": new});
        server.call("PUT", "/api/auth/password").by(by).json(&input).send().await
    };
    let wrong = change(&here, "wrong horse!", "another horse").await;
    assert_eq!(wrong.wrong(), [("/current_password".to_owned(), "wrong".to_owned())]);
    assert_eq!(change(&here, "correct horse", "another horse").await.status, 204);
    assert_eq!(server.call("GET", "/api/users/profile").by(&here).send().await.status, 200);
    let reply = server.call("GET", "/api/users/profile").by(&there).send().await;
    assert_eq!(reply.problem(), (401, "session_ended".to_owned()));
    assert_eq!(post(&server, "/api/auth/signin", &account).await.status, 401);
}

/// Where a mail leads to is the operator's word, whatever a request says (OWASP ASVS 3.7.2).
#[tokio::test]
async fn no_request_decides_where_a_link_leads_to() {
    let server = Server::start().await;
    server.sign_up("una").await;
    let with = json!({"email": UNA, "redirect_to": "https://evil.example"});
    let refused = post(&server, "/api/auth/password/forgot", &with).await;
    assert_eq!(refused.wrong(), [("/redirect_to".to_owned(), "unknown".to_owned())]);
    let call = server.call("POST", "/api/auth/password/forgot?redirect_to=https://evil.example");
    let call = call.header("host", "evil.example").header("x-forwarded-host", "evil.example");
    let reply = call.header("origin", "https://evil.example").json(&json!({"email": UNA})).send().await;
    assert_eq!((reply.status.as_u16(), reply.header("location")), (202, ""));
    let mail = server.mail(UNA, "Choose a new password").await;
    assert!(mail.text.contains("\nhttps://crm.acme.example/#/reset-password/") && !mail.text.contains("evil"));
}
