//! The second factor over HTTP.

use chrono::Duration;
use dealwright::testkit::totp_code;
use serde_json::{Value, json};

use crate::server::{Member, Reply, Server};

async fn post(server: &Server, by: &Member, path: &str, body: &Value) -> Reply {
    server.call("POST", path).by(by).json(body).send().await
}

async fn sign_in(server: &Server, code: Option<&str>) -> Reply {
    let mut input = json!({"email": "una@acme.example", "password": "correct horse"});
    if let Some(code) = code {
        input["totp_code"] = json!(code);
    }
    server.call("POST", "/api/auth/signin").json(&input).send().await
}

#[tokio::test]
async fn a_second_factor_is_set_up_asked_for_and_given_up() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let enabled =
        async || server.call("GET", "/api/users/profile").by(&una).send().await.json()["two_factor_enabled"].clone();
    assert_eq!(server.call("POST", "/api/auth/2fa/setup").send().await.status, 401);
    let setup = post(&server, &una, "/api/auth/2fa/setup", &json!({})).await.json();
    let secret = setup["secret"].as_str().unwrap();
    assert!(setup["otpauth_url"].as_str().unwrap().contains(secret));
    let code = |seconds: i64| totp_code(secret, server.crm.env().now() + Duration::seconds(seconds)).unwrap();
    let wrong = post(&server, &una, "/api/auth/2fa/enable", &json!({"code": "000000"})).await;
    assert_eq!(wrong.wrong(), [("/code".to_owned(), "invalid_totp".to_owned())]);
    let codes = post(&server, &una, "/api/auth/2fa/enable", &json!({"code": code(0)})).await.json();
    assert_eq!((codes["recovery_codes"].as_array().unwrap().len(), enabled().await), (10, json!(true)));

    assert_eq!(sign_in(&server, None).await.problem(), (401, "two_factor_required".to_owned()));
    assert_eq!(sign_in(&server, Some(&code(0))).await.problem(), (401, "invalid_totp".to_owned()), "it was used");
    assert_eq!(sign_in(&server, Some(&code(30))).await.status, 200);
    assert_eq!(sign_in(&server, codes["recovery_codes"][0].as_str()).await.status, 200);

    let disable = async |body: Value| post(&server, &una, "/api/auth/2fa/disable", &body).await;
    assert_eq!(disable(json!({})).await.problem(), (403, "step_up_required".to_owned()));
    assert_eq!(disable(json!({"code": codes["recovery_codes"][1]})).await.status, 204);
    assert_eq!((enabled().await, sign_in(&server, None).await.status.as_u16()), (json!(false), 200));
}

/// ASVS 7.2.4.
#[tokio::test]
async fn a_session_is_made_fresh_by_proof_and_the_one_before_ends() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let step_up = async |body: Value| post(&server, &una, "/api/auth/step-up", &body).await;
    assert_eq!(step_up(json!({})).await.problem(), (403, "step_up_required".to_owned()));
    let wrong = step_up(json!({"password": "wrong horse"})).await;
    assert_eq!(wrong.wrong(), [("/password".to_owned(), "wrong".to_owned())]);
    let answer = step_up(json!({"password": "correct horse"})).await;
    assert_eq!((answer.status.as_u16(), answer.cookies().len()), (200, 2));
    let now = Member::of(&answer.json());
    let before = server.call("GET", "/api/users/profile").by(&una).send().await;
    assert_eq!(before.problem(), (401, "session_ended".to_owned()));
    let sessions = server.call("GET", "/api/auth/sessions").by(&now).send().await.json();
    assert_eq!(sessions["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&sessions["data"][0]["current"], &sessions["data"][0]["factors"]),
        (&json!(true), &json!(["password"]))
    );
}

/// ASVS 6.3.3.
#[tokio::test]
async fn an_organisation_that_requires_it_lets_nobody_in_without() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let patch = json!({"require_two_factor": true}).to_string();
    let call =
        server.call("PATCH", "/api/organization").by(&una).header("content-type", "application/merge-patch+json");
    assert_eq!(call.body(patch).send().await.json()["require_two_factor"], json!(true));
    for (path, status) in [
        ("/api/crm/clients", 403),
        ("/api/organization", 403),
        ("/api/team/members", 403),
        ("/api/users/profile", 200),
        ("/api/auth/sessions", 200),
        ("/api/users/organizations", 200),
    ] {
        let reply = server.call("GET", path).by(&una).send().await;
        assert_eq!(reply.status, status, "{path}");
        if status == 403 {
            assert_eq!(reply.problem().1, "two_factor_required");
        }
    }
    let upload =
        server.call("POST", "/api/media?name=a.txt").by(&una).header("content-type", "application/octet-stream");
    assert_eq!(upload.body("acme").send().await.problem(), (403, "two_factor_required".to_owned()));
    let setup = post(&server, &una, "/api/auth/2fa/setup", &json!({})).await.json();
    let code = totp_code(setup["secret"].as_str().unwrap(), server.crm.env().now()).unwrap();
    assert_eq!(post(&server, &una, "/api/auth/2fa/enable", &json!({"code": code})).await.status, 200);
    assert_eq!(server.call("GET", "/api/crm/clients").by(&una).send().await.status, 200);
}
