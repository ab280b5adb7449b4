//! The example against a real Dovecot and Postfix.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use dealwright_peers::Mail;
use serde_json::json;

#[test]
fn a_strangers_mail_is_answered_and_the_contact_moved() {
    let mail = Mail::start().unwrap();
    let (ours, stranger) = ("una@example02.test", "ada@example02.test");
    let password = mail.add_user(ours).unwrap();
    mail.add_user(stranger).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let host = |port: u16| json!({ "host": "localhost", "port": port, "security": "starttls", "username": ours, "password": password });
    let settings =
        json!({ "platform": "email", "email": ours, "imap": host(mail.ports.imap), "smtp": host(mail.ports.smtp) });
    std::fs::write(folder.path().join("settings.json"), settings.to_string()).unwrap();
    let mut example = Command::new(env!("CARGO_BIN_EXE_mailbox"))
        .arg("settings.json")
        .arg(&mail.ca_file)
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = Vec::new();
    for line in BufReader::new(example.stdout.take().unwrap()).lines().map(Result::unwrap) {
        if line == "the mailbox is active" {
            let now = dealwright::env::Env::system().now().to_rfc2822();
            let text = format!(
                "From: Ada <{stranger}>\r\nTo: {ours}\r\nSubject: Hello\r\nMessage-ID: <1@example02.test>\r\nDate: {now}\r\n\r\nIs it free?\r\n"
            );
            mail.deliver(stranger, ours, text.as_bytes()).unwrap();
        }
        printed.push(line);
    }
    assert!(example.wait().unwrap().success(), "{printed:#?}");
    for line in ["Ada writes: Is it free?", "moved by a rule: true", "the answer is sent"] {
        assert!(printed.iter().any(|it| it == line), "{line:?} is not among {printed:#?}");
    }
    let answers = mail.await_mailbox(stranger, "INBOX", 1).unwrap();
    let answer = String::from_utf8_lossy(&answers[0]).into_owned();
    assert!(answer.contains("In-Reply-To: <1@example02.test>") && answer.contains("Subject: Re: Hello"), "{answer}");
}
