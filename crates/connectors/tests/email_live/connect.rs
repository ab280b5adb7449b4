//! What a person who connects a mailbox is told.

use dealwright::ports::connector::Connector;
use dealwright_connectors::email::EmailOptions;
use serde_json::json;

use super::support::*;

async fn problems(options: EmailOptions, settings: &serde_json::Value) -> Vec<(String, String, String)> {
    let error = with_options(options).connect(object(settings)).await.unwrap_err();
    assert_eq!(error.code(), "validation_failed");
    error.fields().iter().map(|f| (f.pointer.clone(), f.code.to_string(), f.detail.clone())).collect()
}

#[tokio::test]
async fn good_settings_connect_by_tls_starttls_and_where_allowed_without() {
    let account = account("connect.good");
    let connector = connector(account.mail);
    let connected = connector.connect(object(&account.settings())).await.unwrap();
    assert_eq!(
        (connected.handle.as_str(), connected.display_name.as_str()),
        (account.address.as_str(), "Test Account")
    );
    let ports = &account.mail.ports;
    let other_way = with(
        account.settings(),
        &[
            ("/imap/security", json!("starttls")),
            ("/imap/port", json!(ports.imap)),
            ("/smtp/security", json!("tls")),
            ("/smtp/port", json!(ports.smtps)),
        ],
    );
    connector.connect(object(&other_way)).await.unwrap();
    let open = with(
        account.settings(),
        &[("/imap/security", json!("none")), ("/imap/port", json!(ports.imap)), ("/smtp/security", json!("none"))],
    );
    connector.connect(object(&open)).await.unwrap();
    let strict = EmailOptions { allow_plaintext: false, ..options(account.mail) };
    let pointers: Vec<_> = problems(strict, &open).await.into_iter().map(|(pointer, ..)| pointer).collect();
    assert_eq!(pointers, ["/imap/security", "/smtp/security"]);
}

#[tokio::test]
async fn wrong_passwords_are_named_where_they_stand() {
    let account = account("connect.password");
    let wrong = with(account.settings(), &[("/imap/password", json!("wrong")), ("/smtp/password", json!("ungültig"))]);
    let problems = problems(options(account.mail), &wrong).await;
    let codes: Vec<_> = problems.iter().map(|(pointer, code, _)| (pointer.as_str(), code.as_str())).collect();
    assert_eq!(codes, [("/imap/password", "credentials_rejected"), ("/smtp/password", "credentials_rejected")]);
    assert!(problems[0].2.contains("Authentication failed"), "{problems:?}");
}

#[tokio::test]
async fn a_password_beyond_ascii_signs_in() {
    let account = account("connect.unicode");
    let users = account.mail.folder().join("users").join(&account.address);
    std::fs::write(users, format!("{}:{{PLAIN}}pässwörd\n", account.address)).unwrap();
    let settings =
        with(account.settings(), &[("/imap/password", json!("pässwörd")), ("/smtp/password", json!("pässwörd"))]);
    connector(account.mail).connect(object(&settings)).await.unwrap();
}

#[tokio::test]
async fn unreachable_hosts_and_closed_ports_are_named() {
    let account = account("connect.host");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let wrong =
        with(account.settings(), &[("/imap/port", json!(closed)), ("/smtp/host", json!("no-such-host.invalid"))]);
    let problems = problems(options(account.mail), &wrong).await;
    assert_eq!((problems[0].0.as_str(), problems[0].1.as_str()), ("/imap/host", "unreachable"));
    assert_eq!(problems[1].0, "/smtp/host");
    assert!(["not_found", "timed_out"].contains(&problems[1].1.as_str()), "{problems:?}");
}

/// ASVS 12.3.2.
#[tokio::test]
async fn an_untrusted_certificate_and_one_for_another_name_are_refused() {
    let account = account("connect.certificate");
    let stranger = EmailOptions { extra_ca: vec![], ..options(account.mail) };
    let found = problems(stranger, &account.settings()).await;
    let codes: Vec<_> = found.iter().map(|(pointer, code, _)| (pointer.as_str(), code.as_str())).collect();
    assert_eq!(codes, [("/imap/host", "untrusted_certificate"), ("/smtp/host", "untrusted_certificate")]);
    let other_name =
        with(account.settings(), &[("/imap/host", json!("127.0.0.2")), ("/smtp/host", json!("127.0.0.1"))]);
    let found = problems(
        EmailOptions { connect_timeout: std::time::Duration::from_secs(2), ..options(account.mail) },
        &other_name,
    )
    .await;
    assert_eq!(found[0].0, "/imap/host", "{found:?}");
}

#[tokio::test]
async fn the_wrong_kind_of_security_and_the_wrong_server_are_told() {
    let account = account("connect.security");
    let ports = &account.mail.ports;
    let tls_on_plain = with(account.settings(), &[("/imap/port", json!(ports.imap)), ("/smtp/security", json!("tls"))]);
    let found = problems(options(account.mail), &tls_on_plain).await;
    let codes: Vec<_> = found.iter().map(|(pointer, code, _)| (pointer.as_str(), code.as_str())).collect();
    assert_eq!(codes, [("/imap/security", "tls_failed"), ("/smtp/security", "tls_failed")]);
    let swapped = with(
        account.settings(),
        &[
            ("/imap/port", json!(ports.smtp)),
            ("/imap/security", json!("none")),
            ("/smtp/port", json!(ports.imap)),
            ("/smtp/security", json!("none")),
        ],
    );
    let found = problems(options(account.mail), &swapped).await;
    let codes: Vec<_> = found.iter().map(|(pointer, code, _)| (pointer.as_str(), code.as_str())).collect();
    assert_eq!(codes, [("/imap/port", "wrong_protocol"), ("/smtp/port", "wrong_protocol")]);
}

/// ASVS 1.3.6.
#[tokio::test]
async fn private_hosts_are_refused_where_only_public_ones_are_allowed() {
    let account = account("connect.private");
    let found = problems(EmailOptions { public_hosts_only: true, ..options(account.mail) }, &account.settings()).await;
    let codes: Vec<_> = found.iter().map(|(pointer, code, _)| (pointer.as_str(), code.as_str())).collect();
    assert_eq!(codes, [("/imap/host", "private_address"), ("/smtp/host", "private_address")]);
}
