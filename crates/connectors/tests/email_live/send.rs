//! Sending, through a real Postfix.

use dealwright::ports::connector::{Connector as _, SendError, Settled};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::support::*;

#[tokio::test]
async fn an_answer_arrives_threaded_and_is_kept_once_in_sent() {
    let (ada, bob) = (account("send.ada"), account("send.bob"));
    let connector = connector(ada.mail);
    let mut sending = outgoing(&connector, &ada, &bob.address, "Grüße,\n.\nAda");
    sending.references = vec!["root@example.test".into(), "last@example.test".into()];
    sending.media = vec![file("März.bin", "application/x-test", vec![0, 159, 146, 150, 13, 10, 46, 13, 10])];
    let sent = connector.send(&ada.credentials(), &sending).await.unwrap();

    let arrived = bob.mails("INBOX", 1).await.remove(0).replace("\r\n", "\n");
    assert!(arrived.contains(&format!("Message-ID: <{}>", sending.reference)), "{arrived}");
    assert!(
        arrived.contains("In-Reply-To: <last@example.test>\n")
            && arrived.contains("References: <root@example.test> <last@example.test>\n"),
        "{arrived}"
    );
    assert!(
        arrived.contains("Subject: Re: Offer\n")
            && arrived.contains("From: \"Test Account\" <send.ada@example.test>\n"),
        "{arrived}"
    );
    let kept = ada.mails("Sent", 1).await;
    assert_eq!(kept.len(), 1);
    assert!(kept[0].contains(&format!("Message-ID: <{}>", sending.reference)));

    let inbox = Recorder::new();
    let running = run_account(&connector, &bob, &inbox);
    let memory = inbox.until(|memory| memory.messages.len() == 1).await;
    running.stop().await;
    let message = &memory.messages[0];
    assert_eq!(message.text, "Grüße,\n.\nAda");
    assert_eq!(message.replies_to, ["last@example.test", "root@example.test"]);
    assert_eq!(message.provider_id, sent.provider_id, "one rule for both sides");
    assert_eq!(message.media, sending.media);
    assert_eq!(message.sender.name.as_deref(), Some("Test Account"));

    let settled = connector.settle(&ada.credentials(), &sending).await.unwrap();
    assert_eq!(settled, Settled::Sent(sent));
    let other = outgoing(&connector, &ada, &bob.address, "never sent");
    assert_eq!(connector.settle(&ada.credentials(), &other).await.unwrap(), Settled::Unknown);
}

#[tokio::test]
async fn tls_from_the_first_byte_works_and_a_second_try_is_not_kept_twice() {
    let (ada, bob) = (account("send.tls"), account("send.tls.bob"));
    let connector = connector(ada.mail);
    let credentials =
        ada.credentials_with(&[("/smtp/security", json!("tls")), ("/smtp/port", json!(ada.mail.ports.smtps))]);
    let sending = outgoing(&connector, &ada, &bob.address, "hello");
    let first = connector.send(&credentials, &sending).await.unwrap();
    let second = connector.send(&credentials, &sending).await.unwrap();
    assert_eq!(first, second);
    bob.mails("INBOX", 2).await;
    assert_eq!(ada.mails("Sent", 1).await.len(), 1);
}

#[tokio::test]
async fn large_files_travel_in_both_directions() {
    let (ada, bob) = (account("send.large"), account("send.large.bob"));
    let connector = connector(ada.mail);
    let mut sending = outgoing(&connector, &ada, &bob.address, "see the file");
    let bytes: Vec<u8> = (0..2_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    sending.media = vec![file("data.bin", "application/octet-stream", bytes)];
    connector.send(&ada.credentials(), &sending).await.unwrap();
    let inbox = Recorder::new();
    let running = run_account(&connector, &bob, &inbox);
    let memory = inbox.until(|memory| memory.messages.len() == 1).await;
    running.stop().await;
    assert!(memory.messages[0].media == sending.media);
}

#[tokio::test]
async fn an_unknown_recipient_is_refused_for_good() {
    let ada = account("send.unknown");
    let connector = connector(ada.mail);
    let sending = outgoing(&connector, &ada, "nobody.at.all@example.test", "hello");
    let (kind, error) = kind(connector.send(&ada.credentials(), &sending).await);
    assert_eq!((kind, error.code()), ("permanent", "refused"));
    assert!(error.message().contains("the recipient") && error.message().contains("550"), "{error}");
    assert!(ada.mail.mailbox(&ada.address, "Sent").unwrap().is_empty(), "what was not sent is not kept");
}

#[tokio::test]
async fn wrong_credentials_are_refused_for_good_and_say_so() {
    let ada = account("send.password");
    let connector = connector(ada.mail);
    let sending = outgoing(&connector, &ada, &ada.address, "hello");
    let (kind, error) =
        kind(connector.send(&ada.credentials_with(&[("/smtp/password", json!("old"))]), &sending).await);
    assert_eq!((kind, error.code()), ("permanent", dealwright_connectors::email::CREDENTIALS_REJECTED));
}

#[tokio::test]
async fn a_server_that_is_away_is_worth_another_try() {
    let ada = account("send.away");
    let connector = connector(ada.mail);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let sending = outgoing(&connector, &ada, &ada.address, "hello");
    let (kind, error) = kind(connector.send(&ada.credentials_with(&[("/smtp/port", json!(closed))]), &sending).await);
    assert_eq!((kind, error.code()), ("temporary", "unreachable"));
}

#[tokio::test]
async fn a_mail_that_is_sent_stays_sent_when_no_copy_can_be_kept() {
    let (ada, bob) = (account("send.nocopy"), account("send.nocopy.bob"));
    let connector = connector(ada.mail);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let sending = outgoing(&connector, &ada, &bob.address, "hello");
    connector.send(&ada.credentials_with(&[("/imap/port", json!(closed))]), &sending).await.unwrap();
    bob.mails("INBOX", 1).await;
}

/// Where a proxy between us and Postfix cuts the connection.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    /// While the mail is on its way.
    InTheMail,
    /// After Postfix has answered to the whole mail, without passing the answer on.
    BeforeTheAnswer,
}

/// A proxy for one connection; gives its port.
async fn proxy(to: u16, cut: Cut) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
        let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
        let (mut seen, mut ended) = (Vec::new(), false);
        loop {
            tokio::select! {
                read = client.read(&mut up) => {
                    let read = read.unwrap_or(0);
                    if read == 0 { return; }
                    seen.extend_from_slice(&up[..read]);
                    let in_mail = seen.windows(6).any(|window| window == b"DATA\r\n") && seen.len() > 100_000;
                    if cut == Cut::InTheMail && in_mail { return; }
                    ended |= seen.ends_with(b"\r\n.\r\n");
                    server.write_all(&up[..read]).await.unwrap();
                }
                read = server.read(&mut down) => {
                    let read = read.unwrap_or(0);
                    if read == 0 || ended { return; }
                    client.write_all(&down[..read]).await.unwrap();
                }
            }
        }
    });
    port
}

fn through(account: &Account, port: u16) -> [(&'static str, Value); 2] {
    let _ = account;
    [("/smtp/port", json!(port)), ("/smtp/security", json!("none"))]
}

#[tokio::test]
async fn an_answer_lost_after_the_mail_is_doubtful() {
    let (ada, bob) = (account("send.doubtful"), account("send.doubtful.bob"));
    let connector = connector(ada.mail);
    let port = proxy(ada.mail.ports.smtp, Cut::BeforeTheAnswer).await;
    let sending = outgoing(&connector, &ada, &bob.address, "did it arrive?");
    let result = connector.send(&ada.credentials_with(&through(&ada, port)), &sending).await;
    assert!(matches!(result, Err(SendError::Doubtful(_))), "{result:?}");
    assert_eq!(bob.mails("INBOX", 1).await.len(), 1, "it did");
    assert_eq!(
        connector.settle(&ada.credentials(), &sending).await.unwrap(),
        Settled::Unknown,
        "which Sent does not know"
    );
}

#[tokio::test]
async fn a_mail_cut_off_in_the_middle_was_surely_not_taken() {
    let (ada, bob) = (account("send.cut"), account("send.cut.bob"));
    let connector = connector(ada.mail);
    let port = proxy(ada.mail.ports.smtp, Cut::InTheMail).await;
    let mut sending = outgoing(&connector, &ada, &bob.address, "long");
    sending.media = vec![file("zeros", "application/octet-stream", vec![0; 24_000_000])];
    let (kind, error) = kind(connector.send(&ada.credentials_with(&through(&ada, port)), &sending).await);
    assert_eq!(kind, "temporary", "{error}");
    assert!(bob.mail.mailbox(&bob.address, "INBOX").unwrap().is_empty());
}
