//! Receiving, from a real Dovecot.

use dealwright::ports::connector::Connector as _;
use dealwright_connectors::email::EmailOptions;
use serde_json::json;

use super::support::*;

#[tokio::test]
async fn a_first_start_takes_over_what_is_there_and_idle_brings_what_comes() {
    let account = account("sync.first");
    let connector = connector(account.mail);
    account.receive(&mail("one", "first"));
    account.receive(&mail("two", "second"));
    account.mails("INBOX", 2).await;

    let inbox = Recorder::new();
    let running = run_account(&connector, &account, &inbox);
    let memory = inbox.until(|memory| memory.is_active()).await;
    assert_eq!(memory.texts(), ["first", "second"]);
    let first = &memory.messages[0];
    assert_eq!(first.reference.as_deref(), Some("one@elsewhere.test"));
    assert_eq!((first.sender.id.as_str(), first.sender.name.as_deref()), ("ada@elsewhere.test", Some("Ada")));
    assert_eq!(first.sent_at.to_rfc3339(), "2026-03-02T10:00:00+00:00");
    assert_eq!(first.metadata["subject"], "About one");

    account.receive(&mail("three", "pushed"));
    let memory = inbox.until(|memory| memory.messages.len() == 3).await;
    assert_eq!(memory.texts()[2], "pushed");
    assert!(
        account.flags().iter().all(|flags| !flags.contains('S')),
        "no mail was marked as read: {:?}",
        account.flags()
    );
    running.stop().await;
}

#[tokio::test]
async fn a_restart_continues_where_the_cursor_stands() {
    let account = account("sync.restart");
    let connector = connector(account.mail);
    let inbox = Recorder::new();
    let running = run_account(&connector, &account, &inbox);
    let memory = inbox.until(|memory| memory.is_active()).await;
    assert!(memory.messages.is_empty() && memory.cursor.is_some(), "an empty mailbox has a cursor too");
    running.stop().await;

    account.receive(&mail("away", "while away"));
    account.mails("INBOX", 1).await;
    let running = run_account(&connector, &account, &inbox);
    inbox.until(|memory| memory.texts() == ["while away"]).await;
    running.stop().await;
    inbox.forget_status();
    let running = run_account(&connector, &account, &inbox);
    let memory = inbox.until(|memory| memory.is_active()).await;
    assert_eq!(memory.texts(), ["while away"], "nothing twice");
    running.stop().await;
}

#[tokio::test]
async fn history_is_limited_and_comes_in_batches() {
    let account = account("sync.history");
    let connector = with_options(EmailOptions { history: 120, ..options(account.mail) });
    connector.connect(object(&account.settings())).await.unwrap();
    put_files(&account, (0..130).map(|n| mail(&format!("n{n}"), &format!("text {n}"))));
    let inbox = Recorder::new();
    let running = run_account(&connector, &account, &inbox);
    let memory = inbox.until(|memory| memory.is_active()).await;
    let texts: Vec<String> = (10..130).map(|n| format!("text {n}")).collect();
    assert_eq!(memory.texts(), texts);
    running.stop().await;
}

#[tokio::test]
async fn a_step_that_the_engine_refused_is_done_again() {
    let account = account("sync.refused");
    let connector = connector(account.mail);
    account.receive(&mail("one", "kept"));
    account.mails("INBOX", 1).await;
    let inbox = Recorder::new();
    inbox.refuse(1);
    let error = run_account(&connector, &account, &inbox).error().await;
    assert_eq!(error.message(), "the store is away");
    assert!(inbox.memory().messages.is_empty() && inbox.memory().cursor.is_none());
    let running = run_account(&connector, &account, &inbox);
    inbox.until(|memory| memory.texts() == ["kept"]).await;
    running.stop().await;
}

#[tokio::test]
async fn a_renumbered_mailbox_loses_nothing_and_ids_stay() {
    let account = account("sync.renumbered");
    let connector = connector(account.mail);
    account.receive(&mail("one", "first"));
    account.receive(&mail("two", "second"));
    account.mails("INBOX", 2).await;
    let inbox = Recorder::new();
    let running = run_account(&connector, &account, &inbox);
    inbox.until(|memory| memory.is_active()).await;
    running.stop().await;
    let before = inbox.memory();

    // The server numbers the mailbox by the second in which it finds it, which may still be the same one: the list of its
    // numbers is emptied and given the next.
    for file in std::fs::read_dir(account.maildir()).unwrap().map(|file| file.unwrap().path()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if name == "dovecot-uidlist" {
            let list = std::fs::read_to_string(&file).unwrap();
            let words = list.lines().next().unwrap().split(' ').map(|word| match word.split_at(1) {
                ("V", validity) => format!("V{}", validity.parse::<u32>().unwrap() + 1),
                ("N", _) => "N1".to_owned(),
                _ => word.to_owned(),
            });
            std::fs::write(&file, format!("{}\n", words.collect::<Vec<_>>().join(" "))).unwrap();
        } else if name.starts_with("dovecot") {
            std::fs::remove_file(file).unwrap();
        }
    }
    account.receive(&mail("three", "third"));
    account.mails("INBOX", 3).await;
    inbox.forget_status();
    let running = run_account(&connector, &account, &inbox);
    let memory = inbox.until(|memory| memory.is_active()).await;
    running.stop().await;
    let validity = |memory: &Memory| memory.cursor.as_ref().unwrap()["uid_validity"].clone();
    assert_ne!(validity(&before), validity(&memory), "the server has renumbered");
    let ids = |text: &str| {
        let same = memory.messages.iter().filter(|message| message.text == text);
        same.map(|message| message.provider_id.as_str()).collect::<Vec<_>>()
    };
    for known in ["first", "second"] {
        assert!(
            matches!(ids(known)[..], [before, again] if before == again),
            "the engine knows it again: {:?}",
            ids(known)
        );
    }
    assert_eq!((ids("third").len(), memory.messages.len()), (1, 5));

    inbox.forget_status();
    let running = run_account(&connector, &account, &inbox);
    let memory = inbox.until(|memory| memory.is_active()).await;
    assert_eq!(memory.messages.len(), 5, "once is enough");
    running.stop().await;
}

#[tokio::test]
async fn too_large_mails_are_skipped_with_a_reason_and_broken_ones_do_not_stop_the_rest() {
    let account = account("sync.broken");
    let connector = with_options(EmailOptions { max_message_bytes: 100_000, ..options(account.mail) });
    connector.connect(object(&account.settings())).await.unwrap();
    let nobody = "Subject: hi\n\nwho am I".to_owned();
    let nested = format!("From: a@b.c\n{}x", "Content-Type: message/rfc822\n\n".repeat(3000));
    put_files(
        &account,
        [mail("large", &"x".repeat(120_000)), nobody, nested, "\n\n\n".to_owned(), mail("good", "still here")],
    );
    let inbox = Recorder::new();
    let running = run_account(&connector, &account, &inbox);
    let memory = inbox.until(|memory| memory.is_active()).await;
    running.stop().await;
    assert_eq!(memory.messages.len(), 2);
    assert_eq!(memory.texts()[1], "still here");
    let reasons: Vec<&str> = memory.skipped.iter().map(|(_, reason)| reason.as_str()).collect();
    assert!(reasons[0].contains("at most 100000 are taken in"), "{reasons:?}");
    assert_eq!(reasons[1..], ["it names no sender address", "it is no mail: it has no headers"]);
    assert!(memory.skipped[0].0.starts_with("uid:"));
}

#[tokio::test]
async fn automatic_mails_and_own_mails_are_told_apart() {
    let account = account("sync.automatic");
    let connector = connector(account.mail);
    account.receive(&mail("away", "I am away").replace("Subject:", "Auto-Submitted: auto-replied\nSubject:"));
    account.receive(&mail("own", "loop").replace("ada@elsewhere.test>\nTo", &format!("{}>\nTo", account.address)));
    account.receive(&mail("person", "hello"));
    account.mails("INBOX", 3).await;
    let inbox = Recorder::new();
    let running = run_account(&connector, &account, &inbox);
    let memory = inbox.until(|memory| memory.is_active()).await;
    running.stop().await;
    let found: Vec<_> =
        memory.messages.iter().map(|message| (message.text.as_str(), message.automatic.as_deref())).collect();
    assert_eq!(found, [("I am away", Some("Auto-Submitted: auto-replied")), ("hello", None)]);
    assert_eq!(memory.skipped[0].1, "this account sent it itself");
}

#[tokio::test]
async fn a_stopped_server_ends_the_connection_and_a_new_one_continues() {
    let mail_system: &'static dealwright_peers::Mail = Box::leak(Box::new(dealwright_peers::Mail::start().unwrap()));
    let account = account_on(mail_system, "sync.stopped");
    let connector = connector(mail_system);
    let inbox = Recorder::new();
    let running = run_account(&connector, &account, &inbox);
    inbox.until(|memory| memory.is_active()).await;

    tokio::task::spawn_blocking(move || mail_system.stop_imap().unwrap()).await.unwrap();
    let error = running.error().await;
    assert!(["refused", "unreachable"].contains(&error.code()), "{error}"); // with a BYE or without
    assert!(error.message().starts_with("imap: the "), "{error}");
    let error = run_account(&connector, &account, &inbox).error().await;
    assert_eq!(error.code(), "unreachable", "{error}");

    account.receive(&mail("meanwhile", "came meanwhile"));
    tokio::task::spawn_blocking(move || mail_system.start_imap().unwrap()).await.unwrap();
    account.mails("INBOX", 1).await;
    let running = run_account(&connector, &account, &inbox);
    inbox.until(|memory| memory.texts() == ["came meanwhile"]).await;
    running.stop().await;
}

#[tokio::test]
async fn a_changed_password_is_reported_and_ends_the_connection() {
    let account = account("sync.password");
    let inbox = Recorder::new();
    let credentials = account.credentials_with(&[("/imap/password", json!("old"))]);
    let error = run(&connector(account.mail), credentials, &account.address, &inbox).error().await;
    assert_eq!(error.code(), dealwright_connectors::email::CREDENTIALS_REJECTED);
    assert_eq!(inbox.memory().statuses, [dealwright::domain::account::AccountStatus::Disconnected]);
}

#[tokio::test]
async fn waiting_is_renewed_and_goes_on() {
    let account = account("sync.renewed");
    let connector =
        with_options(EmailOptions { idle_renewal: std::time::Duration::from_millis(50), ..options(account.mail) });
    let inbox = Recorder::new();
    let running = run_account(&connector, &account, &inbox);
    inbox.until(|memory| memory.is_active()).await;
    for n in 1..=3 {
        account.receive(&mail(&format!("n{n}"), "renewed"));
        inbox.until(|memory| memory.messages.len() == n).await;
    }
    running.stop().await;
}
