//! At its most talkative, the log still keeps secrets to itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs::File,
    process::{Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use dealwright_peers::{
    Mail, free_port,
    product::{Api, Server, StatusCode, eventually},
};
use serde_json::json;

const PASSWORD: &str = "correct horse battery";

/// ASVS 13.4.2 and 16.2.5.
#[test]
fn no_level_of_the_log_shows_a_password_or_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let (mail, port) = (Mail::start().unwrap(), free_port().unwrap());
    let mut program = Command::new(env!("CARGO_BIN_EXE_dealwright-server"));
    program.stderr(Stdio::from(File::create(&log).unwrap()));
    let database = format!("sqlite://{}", folder.path().join("crm.db").display());
    let ca = mail.ca_file.to_str().unwrap();
    let sender = "crm@secrets.test";
    let sender_password = mail.add_user(sender).unwrap();
    let smtp = format!("smtps://crm%40secrets.test:{sender_password}@localhost:{}", mail.ports.smtps);
    let arguments = [
        "--extra-ca",
        ca,
        "--log-level",
        "trace",
        "--smtp-url",
        &smtp,
        "--mail-from",
        sender,
        "--public-url",
        "https://crm.test",
    ];
    let listen = ([127, 0, 0, 1], port.number).into();
    let server = Server::start(program, listen, &database, &folder.path().join("data"), &arguments).unwrap();

    let mut api = Api::new(&server.url);
    let ours = "una@secrets.test";
    let sign_up = json!({ "email": ours, "password": PASSWORD, "name": "Una", "organization_name": "Acme" });
    let signed_up = api.post("/api/auth/signup", sign_up, StatusCode::CREATED).unwrap();
    api.sign_in(signed_up["access_token"].as_str().unwrap());
    let mailbox_password = mail.add_user(ours).unwrap();
    let host = |port: u16| json!({ "host": "localhost", "port": port, "security": "tls", "username": ours, "password": mailbox_password });
    let account =
        json!({ "platform": "email", "email": ours, "imap": host(mail.ports.imaps), "smtp": host(mail.ports.smtps) });
    let account = api.post("/api/bd-accounts/connect", account, StatusCode::CREATED).unwrap();
    let status = format!("/api/bd-accounts/{}/status", account["account"]["id"].as_str().unwrap());
    eventually("the mailbox is watched", || Ok((api.get(&status)?["status"] == "active").then_some(()))).unwrap();
    let invited = "max@secrets.test";
    mail.add_user(invited).unwrap();
    let invitation = json!({ "email": invited, "role": "member" });
    let invitation = api.post("/api/team/members/invite", invitation, StatusCode::CREATED).unwrap();
    let invite_token = invitation["token"].as_str().unwrap().to_owned();
    let received = mail.await_mailbox(invited, "INBOX", 1).unwrap();
    let received = String::from_utf8_lossy(&received[0]).replace("=\r\n", "").replace("=\n", "");
    assert!(received.contains(&invite_token), "{received}");
    drop(server);

    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("\"level\":\"TRACE\""), "the log is at its most talkative");
    for secret in [
        PASSWORD,
        &mailbox_password,
        &sender_password,
        &invite_token,
        // As SASL PLAIN and LOGIN send it.
        &STANDARD.encode(format!("\0{ours}\0{mailbox_password}")),
        &STANDARD.encode(&mailbox_password),
        signed_up["access_token"].as_str().unwrap(),
        signed_up["refresh_token"].as_str().unwrap(),
    ] {
        let shown = log.lines().find(|line| line.contains(secret));
        assert_eq!(shown, None, "{secret:?} is in the log");
    }
}
