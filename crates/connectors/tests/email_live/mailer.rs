//! The engine's own mails over the real Postfix.

use std::fs;

use chrono::{TimeZone, Utc};
use dealwright::{
    ErrorKind,
    ports::mailer::{Mail, Mailer},
};
use dealwright_connectors::email::{EmailOptions, SmtpMailer};

use crate::support::{Account, account, options};

fn mail(to: &str) -> Mail {
    Mail {
        to: to.to_owned(),
        to_name: Some("Bob".to_owned()),
        subject: "Größe".to_owned(),
        text: "Hello Bob,\n.\nhttps://crm.acme.example/#/invitation/x\n".to_owned(),
        reference: "one".to_owned(),
        written_at: Utc.with_ymd_and_hms(2026, 3, 2, 9, 0, 0).unwrap(),
    }
}

fn mailer(scheme: &str, ada: &Account, password: &str, port: u16) -> SmtpMailer {
    let user = ada.address.replace('@', "%40");
    let options = EmailOptions {
        extra_ca: EmailOptions::default().trust_pem(&fs::read(&ada.mail.ca_file).unwrap()).unwrap().extra_ca,
        ..options(ada.mail)
    };
    let from = format!("Acme CRM <{}>", ada.address);
    SmtpMailer::new(&format!("{scheme}://{user}:{password}@localhost:{port}"), &from, &options).unwrap()
}

#[tokio::test]
async fn mails_go_out_by_tls_and_by_starttls() {
    let (ada, bob) = (account("mailer.ada"), account("mailer.bob"));
    for (scheme, port) in [("smtps", ada.mail.ports.smtps), ("smtp", ada.mail.ports.smtp)] {
        mailer(scheme, &ada, &ada.password, port).send(&mail(&bob.address)).await.unwrap();
    }
    for received in bob.mails("INBOX", 2).await {
        for line in
            ["Auto-Submitted: auto-generated", "From: \"Acme CRM\" <", "Message-ID: <one@", "Date: Mon, 2 Mar 2026"]
        {
            assert!(received.contains(line), "{line} is not in\n{received}");
        }
        assert!(received.contains("https://crm.acme.example/#/invitation/x"), "{received}");
    }
}

#[tokio::test]
async fn what_may_pass_is_told_apart_from_what_never_will() {
    let ada = account("mailer.refused");
    let (smtps, password) = (ada.mail.ports.smtps, ada.password.clone());
    let unknown = mailer("smtps", &ada, &password, smtps).send(&mail("nobody.at.all@example.test")).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Invalid);
    // The operator will put it right.
    let wrong = mailer("smtps", &ada, "wrong", smtps).send(&mail(&ada.address)).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Unavailable);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let away = mailer("smtps", &ada, &password, closed).send(&mail(&ada.address)).await.unwrap_err();
    assert_eq!(away.kind(), ErrorKind::Unavailable);
}
