//! Every route that is no operation, once with what counts: signing in and out, files, health.

use chrono::TimeDelta;
use dealwright::{
    domain::mail_token::{MailPurpose, MailToken},
    ports::store::{Batch, Store, Write},
    scope::Role,
    services::identity::NewUser,
    testkit::{totp_code, voucher::code_for},
};
use dealwright_server::shell::SHELL_ROUTES;
use reqwest::Method;
use serde_json::{Value, json};

use crate::live::Live;

/// Asks each; one that nobody asks here is found missing at the end.
pub async fn every_route(live: &Live) {
    let token = live.token();
    for route in SHELL_ROUTES.iter().filter(|route| route.method.method() == Method::GET && !route.path.contains('{')) {
        good(live, &Method::GET, route.path, Some(&token), None, 200).await;
    }
    let file = live.upload("/api/media?name=a.txt", "acme").await;
    assert_eq!(file.status(), 201);
    let file: Value = file.json().await.unwrap();
    good(live, &Method::GET, &format!("/api/media/{}", file["id"].as_str().unwrap()), Some(&token), None, 200).await;

    good(live, &Method::GET, "/api/auth/oauth/telegram/landing", None, None, 200).await;
    let contact = post(live, "/api/crm/clients", Some(&token), &json!({ "name": "Ada" }), 201).await;
    let export = format!("/api/crm/clients/{}/export", contact["id"].as_str().unwrap());
    good(live, &Method::GET, &export, Some(&token), None, 200).await;

    let account = json!({ "email": "guest@initech.example", "password": "correct horse" });
    let mut new = account.clone();
    (new["name"], new["organization_name"]) = (json!("Guest"), json!("Guest's"));
    post(live, "/api/auth/signup", None, &new, 201).await;
    let guest = post(live, "/api/auth/signin", None, &account, 200).await;
    post(live, "/api/auth/verify", None, &json!({ "token": guest["access_token"] }), 200).await;
    let guest = post(live, "/api/auth/refresh", None, &json!({ "refresh_token": guest["refresh_token"] }), 200).await;
    let own = guest["access_token"].as_str();
    post(live, "/api/auth/verify-email/send", own, &json!({}), 202).await;
    let setup = post(live, "/api/auth/2fa/setup", own, &json!({}), 200).await;
    let code = totp_code(setup["secret"].as_str().unwrap(), live.side.crm.env().now()).unwrap();
    let codes = post(live, "/api/auth/2fa/enable", own, &json!({ "code": code }), 200).await;
    post(live, "/api/auth/2fa/disable", own, &json!({ "code": codes["recovery_codes"][0] }), 204).await;
    post(live, "/api/auth/password/forgot", None, &json!({ "email": account["email"] }), 202).await;
    let change = json!({ "current_password": "correct horse", "password": "another horse" });
    good(live, &Method::PUT, "/api/auth/password", own, Some(&change), 204).await;
    for (path, purpose) in
        [("/api/auth/verify-email", MailPurpose::VerifyEmail), ("/api/auth/password/reset", MailPurpose::ResetPassword)]
    {
        let mut input = json!({ "token": mail_token(live, &guest["user"], purpose).await });
        if purpose == MailPurpose::ResetPassword {
            input["password"] = json!("correct horse");
        }
        post(live, path, None, &input, 204).await;
    }
    let guest = post(live, "/api/auth/signin", None, &account, 200).await;
    let own = guest["access_token"].as_str();
    by_provider(live, own).await;
    let heir = NewUser { email: "heir@initech.example".into(), name: "Heir".into(), password: None };
    let organization = guest["organization"]["id"].as_str().unwrap().parse().unwrap();
    let heir = live.side.crm.organizations().add_member(organization, heir, Role::Member).await.unwrap();
    let proven = json!({ "user_id": heir.user_id, "password": "correct horse" });
    post(live, "/api/organization/transfer", own, &proven, 200).await;

    let renewed = post(live, "/api/auth/step-up", own, &json!({ "password": "correct horse" }), 200).await;
    let own = renewed["access_token"].as_str();

    let invitation = json!({ "email": "guest@initech.example", "role": "member" });
    let invitation = post(live, "/api/team/members/invite", Some(&token), &invitation, 201).await;
    post(live, "/api/team/invitations/accept", own, &json!({ "token": invitation["token"] }), 200).await;
    let there = json!({ "organization_id": live.signed_in.organization.id });
    post(live, "/api/auth/switch", own, &there, 200).await;
    post(live, "/api/auth/signout", own, &json!({}), 204).await;
}

/// A token as it would have come by mail.
async fn mail_token(live: &Live, user: &Value, purpose: MailPurpose) -> &'static str {
    let now = live.side.crm.env().now();
    let token = MailToken {
        user_id: user["id"].as_str().unwrap().parse().unwrap(),
        purpose,
        token_hash: MailToken::hash(purpose.as_str()),
        email: user["email"].as_str().unwrap().to_owned(),
        expires_at: now + TimeDelta::hours(1),
        used_at: None,
        created_at: now,
    };
    let mut batch = Batch::default();
    batch.note(Write::put(&token)).unwrap();
    live.side.store.commit(live.side.organization, batch).await.unwrap();
    purpose.as_str()
}

/// Signs somebody in by a provider, and links somebody else to it.
async fn by_provider(live: &Live, own: Option<&str>) {
    let (cookie, code) = proof(live, "p-1").await;
    let given = json!({ "code": code, "organization_name": "Provided" });
    let answer = live.browse(&Method::POST, "/api/auth/oauth/signin", &cookie, Some(&given)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let (cookie, code) = proof(live, "p-2").await;
    let request = reqwest::Client::new().post(live.url("/api/auth/identities")).header("cookie", cookie);
    let answer = request.bearer_auth(own.unwrap()).json(&json!({ "code": code })).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
}

/// What a browser keeps that was at the provider, and the code that it came back with.
async fn proof(live: &Live, subject: &str) -> (String, String) {
    let away = live.browse(&Method::GET, "/api/auth/oauth/google/start", "", None).await;
    let header = |answer: &reqwest::Response, name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    let cookie = header(&away, "set-cookie").split(';').next().unwrap().to_owned();
    let state = header(&away, "location").split_once("state=").unwrap().1.to_owned();
    let email = format!("{subject}@initech.example");
    let code: String = code_for(subject, Some(&email), true).bytes().map(|byte| format!("%{byte:02X}")).collect();
    let path = format!("/api/auth/oauth/google/callback?state={state}&code={code}");
    let back = live.browse(&Method::GET, &path, &cookie, None).await;
    (cookie, header(&back, "location").split_once("oauth_code=").unwrap().1.to_owned())
}

async fn post(live: &Live, path: &str, token: Option<&str>, body: &Value, expected: u16) -> Value {
    good(live, &Method::POST, path, token, Some(body), expected).await
}

async fn good(
    live: &Live,
    method: &Method,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
    expected: u16,
) -> Value {
    let response = live.ask(method, path, token, body).await;
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    assert_eq!(status, expected, "{method} {path}: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}
