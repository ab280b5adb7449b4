//! What reading a mail promises, whatever the mail: one function for the tests here and for fuzzing.

use chrono::{DateTime, Utc};
use dealwright::ports::connector::Delivery;

use super::{
    super::threading, MAX_ADDRESS, MAX_PERSON, MAX_RECIPIENTS, MAX_SUBJECT, MAX_TEXT, Received, parse, provider_id_of,
};

/// Reads bytes as a mail to `me@example.test`, and fails loudly where what comes of it is not as bounded and clean as the
/// engine may rely on.
///
/// # Panics
/// When a promise is broken.
pub fn holds_its_promises(raw: &[u8]) {
    let arrived = DateTime::<Utc>::UNIX_EPOCH + chrono::Duration::days(20_000);
    let received = Received { account: "me@example.test", at: arrived };
    let mail = match parse(raw, received) {
        Delivery::Message(mail) => mail,
        Delivery::Skipped { provider_id, reason } => {
            assert!(!provider_id.is_empty() && !reason.is_empty(), "{provider_id:?} is skipped for {reason:?}");
            return;
        }
    };
    assert_eq!(mail.provider_id, provider_id_of(raw), "the id depends on how much is read");
    let plain = |text: &str| !text.chars().any(|c| c.is_control());
    assert!(mail.text.len() <= MAX_TEXT && !mail.text.contains('\0'), "the text");
    let title = mail.title.as_deref().unwrap_or("-");
    assert!(!title.is_empty() && plain(title) && title.chars().count() <= MAX_SUBJECT, "the subject {title:?}");
    let sender = &mail.sender;
    assert!(plain(&sender.id) && sender.id.len() <= MAX_ADDRESS && sender.id.contains('@'), "the sender {sender:?}");
    assert!(sender.id != received.account && sender.email.as_ref() == Some(&sender.id), "the sender {sender:?}");
    let name = sender.name.as_deref().unwrap_or("-");
    assert!(!name.is_empty() && plain(name) && name.chars().count() <= MAX_PERSON, "the name {name:?}");
    assert!(mail.media.len() <= 100 && mail.replies_to.len() <= threading::MAX_REFERENCES + 1, "how much of it");
    assert!(mail.sent_at <= arrived, "it is sent at {}, after it arrived", mail.sent_at);
    for members in ["to", "cc"] {
        let people = mail.metadata.get(members).and_then(|it| it.as_array()).map_or(0, Vec::len);
        assert!(people <= MAX_RECIPIENTS, "{people} {members}");
    }
    for file in &mail.media {
        assert!(!file.name.is_empty() && plain(&file.name) && !file.name.contains('/'), "the file {:?}", file.name);
    }
    assert_eq!(format!("{:?}", Some(&mail)), format!("{:?}", again(raw, received)), "the same mail reads otherwise");
}

fn again(raw: &[u8], received: Received<'_>) -> Option<Box<dealwright::ports::connector::Incoming>> {
    match parse(raw, received) {
        Delivery::Message(mail) => Some(mail),
        Delivery::Skipped { .. } => None,
    }
}
