//! What each answer of a submission server means for the mail, played by a script.

use std::{sync::Arc, time::Duration};

use dealwright::ports::connector::{Connector as _, Credentials, Outgoing};
use dealwright_connectors::email::{CREDENTIALS_REJECTED, EmailConnector, EmailOptions};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::Mutex,
};

use super::support::*;

const HELLO: &str = "250-mx.example.test\r\n250-AUTH PLAIN LOGIN\r\n250-STARTTLS\r\n250 SIZE 100000\r\n";

/// A server that answers as usual but for commands that begin with `when`, where it says `then`; `.` is the mail's end.
/// An empty answer is silence. Gives its port and what it heard.
async fn play(when: &'static str, then: &'static str) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = heard.clone();
    tokio::spawn(async move {
        loop {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            let hearing = hearing.clone();
            tokio::spawn(async move {
                stream.write_all(if when == "greeting" { then.as_bytes() } else { b"220 hello\r\n" }).await.unwrap();
                let (mut in_mail, mut line) = (false, Vec::new());
                while stream.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
                    let command = String::from_utf8_lossy(&line).trim_end().to_owned();
                    line.clear();
                    if in_mail && command != "." {
                        continue;
                    }
                    let usual = match command.split([' ', ':']).next().unwrap() {
                        "EHLO" => HELLO,
                        "AUTH" => "235 welcome\r\n",
                        "DATA" => "354 go on\r\n",
                        "QUIT" => "221 bye\r\n",
                        _ => "250 ok\r\n",
                    };
                    let answer = if command.starts_with(when) { then } else { usual };
                    in_mail = answer.starts_with("354");
                    hearing.lock().await.push(command);
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, heard)
}

fn connector() -> Arc<EmailConnector> {
    let patience = Duration::from_millis(500);
    with_options(EmailOptions {
        allow_plaintext: true,
        command_timeout: patience,
        delivery_timeout: patience,
        ..EmailOptions::default()
    })
}

fn credentials(smtp: u16, security: &str) -> Credentials {
    let server = |port: u16, security: &str| json!({"host": "127.0.0.1", "port": port, "security": security, "username": "u", "password": "p"});
    // Nobody listens on port 1: copies are not what these tests are about.
    Credentials(json!({"email": "me@example.test", "imap": server(1, "none"), "smtp": server(smtp, security)}))
}

fn sending(connector: &EmailConnector) -> Outgoing {
    let account = Account { mail: shared(), address: "me@example.test".to_owned(), password: String::new() };
    outgoing(connector, &account, "ada@example.test", "hello")
}

async fn outcome(when: &'static str, then: &'static str) -> (&'static str, String) {
    let connector = connector();
    let (port, _) = play(when, then).await;
    let (kind, error) = kind(connector.send(&credentials(port, "none"), &sending(&connector)).await);
    (kind, error.code().to_owned())
}

#[tokio::test]
async fn each_answer_is_classified_by_what_it_says_of_the_mail() {
    let cases = [
        ("greeting", "421 too busy\r\n", "temporary", "refused"),
        ("greeting", "554 go away\r\n", "permanent", "refused"),
        ("greeting", "hello?\r\n", "temporary", "wrong_protocol"),
        ("greeting", "", "temporary", "timed_out"),
        ("AUTH", "454 later\r\n", "temporary", "refused"),
        ("AUTH", "535 5.7.8 no\r\n", "permanent", CREDENTIALS_REJECTED),
        ("MAIL", "451 later\r\n", "temporary", "unavailable"),
        ("MAIL", "550 not you\r\n", "permanent", "refused"),
        ("RCPT", "450 4.2.0 greylisted\r\n", "temporary", "unavailable"),
        ("RCPT", "550-no such\r\n550 person\r\n", "permanent", "refused"),
        ("RCPT", "", "temporary", "timed_out"),
        ("DATA", "554 no\r\n", "permanent", "refused"),
        (".", "451 later\r\n", "temporary", "unavailable"),
        (".", "554 spam\r\n", "permanent", "refused"),
        (".", "", "doubtful", "timed_out"),
        (".", "what?\r\n", "doubtful", "wrong_protocol"),
        (".", "354 more\r\n", "doubtful", "wrong_protocol"),
    ];
    for (when, then, kind, code) in cases {
        assert_eq!(outcome(when, then).await, (kind, code.to_owned()), "{when} {then:?}");
    }
}

#[tokio::test]
async fn a_taken_mail_is_sent_and_the_dialogue_is_the_shortest() {
    let connector = connector();
    let (port, heard) = play("nothing", "").await;
    let mail = sending(&connector);
    connector.send(&credentials(port, "none"), &mail).await.unwrap();
    // Whether the farewell has arrived yet is a matter of luck.
    let heard: Vec<String> = heard.lock().await.iter().filter(|command| *command != "QUIT").cloned().collect();
    let heard = heard.join("\n");
    let mail_from = heard.lines().nth(2).unwrap();
    assert!(mail_from.starts_with("MAIL FROM:<me@example.test> SIZE="), "{heard}");
    assert_eq!(
        heard.replace(mail_from, "MAIL"),
        "EHLO example.test\nAUTH PLAIN AHUAcA==\nMAIL\nRCPT TO:<ada@example.test>\nDATA\n."
    );
}

#[tokio::test]
async fn login_is_used_where_plain_is_not_offered() {
    let connector = connector();
    let (port, heard) = play("EHLO", "250-mx\r\n250 AUTH LOGIN\r\n").await;
    // The script's usual answer to AUTH ends the sign-in at once.
    connector.send(&credentials(port, "none"), &sending(&connector)).await.unwrap();
    assert_eq!(heard.lock().await[1], "AUTH LOGIN");
    let (port, _) = play("EHLO", "250 mx\r\n").await;
    let (kind, error) = kind(connector.send(&credentials(port, "none"), &sending(&connector)).await);
    assert_eq!((kind, error.code()), ("temporary", "no_sign_in"));
}

#[tokio::test]
async fn a_mail_over_the_servers_limit_is_not_even_tried() {
    let connector = connector();
    let (port, heard) = play("nothing", "").await;
    let mut mail = sending(&connector);
    mail.media = vec![file("a", "image/png", vec![0; 100_000])];
    let (kind, error) = kind(connector.send(&credentials(port, "none"), &mail).await);
    assert_eq!((kind, error.code()), ("permanent", "too_large"));
    assert!(!heard.lock().await.iter().any(|command| command.starts_with("MAIL")));
}

#[tokio::test]
async fn international_addresses_need_a_server_that_takes_them() {
    let connector = connector();
    let mail = Outgoing { to: person("jürgen@example.test", None), ..sending(&connector) };
    let (port, _) = play("nothing", "").await;
    assert_eq!(kind(connector.send(&credentials(port, "none"), &mail).await).0, "permanent");
    let (port, heard) = play("EHLO", "250-mx\r\n250-SMTPUTF8\r\n250 AUTH PLAIN\r\n").await;
    connector.send(&credentials(port, "none"), &mail).await.unwrap();
    assert!(heard.lock().await.contains(&"RCPT TO:<jürgen@example.test>".to_owned()));
}

/// ASVS 12.3.1.
#[tokio::test]
async fn words_slipped_in_before_tls_are_not_believed() {
    let connector = connector();
    let (port, heard) = play("STARTTLS", "220 go\r\n250-mx\r\n250 AUTH PLAIN\r\n").await;
    let (kind, error) = kind(connector.send(&credentials(port, "starttls"), &sending(&connector)).await);
    assert_eq!((kind, error.code()), ("temporary", "tls_failed"));
    assert!(!heard.lock().await.iter().any(|command| command.starts_with("AUTH")), "no password without TLS");
    let (port, heard) = play("EHLO", "250-mx\r\n250 AUTH PLAIN\r\n").await;
    let result = connector.send(&credentials(port, "starttls"), &sending(&connector)).await;
    assert_eq!(super::support::kind(result).1.code(), "tls_failed");
    assert_eq!(heard.lock().await.len(), 1, "STARTTLS taken out of the answer means no sign-in");
}

#[tokio::test]
async fn a_sender_that_the_server_refuses_is_told_when_connecting() {
    let account = account("submission.sender");
    let (port, _) = play("MAIL", "553 5.7.1 not owned by user\r\n").await;
    let settings = with(account.settings(), &[("/smtp/port", json!(port)), ("/smtp/security", json!("none"))]);
    let error = super::support::connector(account.mail).connect(object(&settings)).await.unwrap_err();
    let pointers: Vec<&str> = error.fields().iter().map(|field| field.pointer.as_str()).collect();
    assert_eq!(pointers, ["/email"]);
    let (port, _) = play("EHLO", "250 mx\r\n").await;
    let settings = with(settings, &[("/smtp/port", Value::from(port))]);
    let error = super::support::connector(account.mail).connect(object(&settings)).await.unwrap_err();
    assert_eq!(error.fields()[0].pointer, "/smtp/security");
}
