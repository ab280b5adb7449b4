#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
};

use dealwright_peers::Mail;

const MESSAGE: &[u8] = b"From: Ada <ada@far.example>\nTo: una@acme.example\nSubject: Offer\n\n.five\nhello\n";

#[test]
fn a_message_handed_in_by_smtp_lands_in_the_maildir_and_shows_by_imap() {
    let mail = Mail::start().unwrap();
    let password = mail.add_user("una@acme.example").unwrap();
    assert_eq!(mail.add_user("una@acme.example").unwrap(), password, "a known address keeps its password");
    mail.deliver("ada@far.example", "una@acme.example", MESSAGE).unwrap();
    let inbox = mail.await_mailbox("una@acme.example", "INBOX", 1).unwrap();
    let text = String::from_utf8(inbox[0].clone()).unwrap();
    assert!(text.contains("Subject: Offer") && text.ends_with(".five\nhello\n"), "{text}");

    let mut imap = Imap::open(mail.ports.imap);
    imap.ask(&format!("login una@acme.example {password}"), "OK");
    assert!(imap.ask("list \"\" * return (special-use)", "OK").contains("\\Sent"));
    assert!(imap.ask("select inbox", "OK").contains("* 1 EXISTS"));
    imap.ask("append Sent {2+}\r\nx\n", "OK");
    assert_eq!(mail.mailbox("una@acme.example", "Sent").unwrap(), [b"x\n"]);
    Imap::open(mail.ports.imap).ask("login una@acme.example wrong", "NO");
}

#[test]
fn users_added_one_after_the_other_can_write_to_each_other_at_once() {
    let mail = Mail::start().unwrap();
    for n in 0..8 {
        let address = format!("user{n}@acme.example");
        assert!(mail.deliver("ada@far.example", &address, MESSAGE).unwrap_err().to_string().contains("550"));
        mail.add_user(&address).unwrap();
        mail.deliver("ada@far.example", &address, MESSAGE).unwrap();
        mail.await_mailbox(&address, "INBOX", 1).unwrap();
    }
    mail.deliver("ada@far.example", "user1+token@acme.example", MESSAGE).unwrap();
    mail.await_mailbox("user1@acme.example", "INBOX", 2).unwrap();
    assert!(mail.add_user("no address").unwrap_err().to_string().contains("local@domain"));
}

#[test]
fn each_side_goes_down_and_comes_back_alone() {
    let mail = Mail::start().unwrap();
    let password = mail.add_user("una@acme.example").unwrap();
    mail.stop_imap().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", mail.ports.imap)).is_err());
    mail.deliver("ada@far.example", "una@acme.example", MESSAGE).unwrap();
    mail.await_mailbox("una@acme.example", "INBOX", 1).unwrap();
    mail.start_imap().unwrap();

    mail.stop_smtp().unwrap();
    assert!(mail.deliver("ada@far.example", "una@acme.example", MESSAGE).is_err());
    let mut imap = Imap::open(mail.ports.imap);
    imap.ask(&format!("login una@acme.example {password}"), "OK");
    assert!(imap.ask("select inbox", "OK").contains("* 1 EXISTS"));
    mail.start_smtp().unwrap();
    mail.deliver("ada@far.example", "una@acme.example", MESSAGE).unwrap();
    mail.await_mailbox("una@acme.example", "INBOX", 2).unwrap();
}

#[test]
fn two_systems_live_side_by_side_and_one_can_be_attached_to() {
    let (one, two) = (Mail::start().unwrap(), Mail::start().unwrap());
    one.add_user("una@acme.example").unwrap();
    assert!(two.deliver("ada@far.example", "una@acme.example", MESSAGE).is_err(), "the other knows no such user");
    let attached = Mail::attach(one.folder()).unwrap();
    attached.add_user("ben@acme.example").unwrap();
    attached.deliver("ada@far.example", "ben@acme.example", MESSAGE).unwrap();
    assert_eq!(one.await_mailbox("ben@acme.example", "INBOX", 1).unwrap().len(), 1);
    assert!(attached.stop_imap().unwrap_err().to_string().contains("shared"));
}

#[test]
fn the_certificate_holds_on_all_four_doors() {
    let mail = Mail::start().unwrap();
    let ca = mail.ca_file.to_str().unwrap();
    for (port, starttls) in [
        (mail.ports.imap, Some("imap")),
        (mail.ports.imaps, None),
        (mail.ports.smtp, Some("smtp")),
        (mail.ports.smtps, None),
    ] {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-verify_return_error", "-verify_hostname", "localhost", "-CAfile", ca]);
        client.args(["-connect", &format!("127.0.0.1:{port}")]).stdin(Stdio::null());
        if let Some(protocol) = starttls {
            client.args(["-starttls", protocol]);
        }
        let said = String::from_utf8_lossy(&client.output().unwrap().stdout).into_owned();
        assert!(said.contains("Verify return code: 0 (ok)") && said.contains("CN = localhost"), "{port}: {said}");
    }
    let mut text = Command::new("openssl");
    let text = text.args(["x509", "-noout", "-text", "-in", ca]).output().unwrap();
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("CA:FALSE") && text.contains("DNS:localhost, IP Address:127.0.0.1"), "{text}");
}

struct Imap(BufReader<TcpStream>);

impl Imap {
    fn open(port: u16) -> Self {
        let mut imap = Self(BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap()));
        imap.0.read_line(&mut String::new()).unwrap();
        imap
    }

    fn ask(&mut self, command: &str, status: &str) -> String {
        self.0.get_mut().write_all(format!("t {command}\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        while !answer.lines().any(|line| line.starts_with("t ")) {
            assert!(self.0.by_ref().read_line(&mut answer).unwrap() > 0, "{command}: {answer}");
        }
        assert!(answer.lines().any(|line| line.starts_with(&format!("t {status}"))), "{command}: {answer}");
        answer
    }
}
