use chrono::TimeZone;
use proptest::prelude::*;

use super::*;

const ACCOUNT: &str = "me@example.test";

fn arrived() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 2, 12, 0, 0).unwrap()
}

fn read(raw: impl AsRef<[u8]>) -> Delivery {
    parse(raw.as_ref(), Received { account: ACCOUNT, at: arrived() })
}

fn message(raw: impl AsRef<[u8]>) -> Incoming {
    match read(raw) {
        Delivery::Message(message) => *message,
        Delivery::Skipped { reason, .. } => panic!("skipped: {reason}"),
    }
}

fn skip_reason(raw: impl AsRef<[u8]>) -> String {
    match read(raw) {
        Delivery::Message(message) => panic!("delivered: {message:?}"),
        Delivery::Skipped { reason, .. } => reason,
    }
}

/// A mail with LF line ends for reading ease; the wire has CRLF.
fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

const PLAIN: &str = "From: =?utf-8?B?QWRhIEzDtnZlbGFjZQ==?= <Ada@Example.TEST>\nTo: Me <me@example.test>, b@example.test\nCc: c@example.test\n\
    Subject: =?iso-8859-1?Q?Gr=FC=DFe?=\n from afar\nDate: Mon, 2 Mar 2026 10:00:00 +0100\nMessage-ID: <one@example.test>\n\
    In-Reply-To: <zero@example.test>\nReferences: <root@example.test>\n <zero@example.test>\n\nHello\nthere\n";

#[test]
fn a_plain_mail_is_read_whole() {
    let mail = message(crlf(PLAIN));
    assert_eq!(mail.text, "Hello\nthere");
    assert_eq!(mail.title.as_deref(), Some("Grüße from afar"));
    assert_eq!(mail.sender.id, "ada@example.test");
    assert_eq!(mail.sender.email.as_deref(), Some("ada@example.test"));
    assert_eq!(mail.sender.name.as_deref(), Some("Ada Lövelace"));
    assert_eq!(mail.reference.as_deref(), Some("one@example.test"));
    assert_eq!(mail.replies_to, ["zero@example.test", "root@example.test"]);
    assert_eq!(mail.sent_at, Utc.with_ymd_and_hms(2026, 3, 2, 9, 0, 0).unwrap());
    assert_eq!(mail.automatic, None);
    assert_eq!(
        Value::Object(mail.metadata),
        json!({"subject": "Grüße from afar", "message_id": "one@example.test", "to": ["me@example.test", "b@example.test"], "cc": ["c@example.test"]})
    );
    assert!(mail.provider_id.starts_with("one@example.test#"));
}

#[test]
fn the_provider_id_survives_another_transport() {
    let way = format!(
        "Received: from x by y; Mon, 2 Mar 2026 11:00:00 +0100\nReturn-Path: <ada@example.test>\nX-Spam: no\n{PLAIN}\n\n"
    );
    assert_eq!(message(&way).provider_id, message(crlf(PLAIN)).provider_id);
    assert_eq!(provider_id_of(way.as_bytes()), message(crlf(PLAIN)).provider_id);
    assert_ne!(message(PLAIN.replace("there", "here")).provider_id, message(PLAIN).provider_id);
}

const MIXED: &str = "From: ada@example.test\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\npreamble\n--B\n\
    Content-Type: multipart/alternative; boundary=A\n\n--A\nContent-Type: text/plain; charset=windows-1252\nContent-Transfer-Encoding: quoted-printable\n\n\
    price: 5 =80\n--A\nContent-Type: text/html\n\n<p>price</p>\n--A--\n\
    --B\nContent-Type: image/png\nContent-Disposition: inline; filename=\"a.png\"\nContent-Transfer-Encoding: base64\n\niVBORw==\n\
    --B\nContent-Type: text/csv; charset=iso-8859-1; name=\"=?utf-8?Q?M=C3=A4rz=2Ecsv?=\"\nContent-Disposition: attachment\nContent-Transfer-Encoding: base64\n\n5Pb8\n\
    --B\nContent-Type: application/pdf\nContent-Disposition: attachment; filename*=UTF-8''..%2F%C3%9Cber.pdf\nContent-Transfer-Encoding: base64\n\nJVBERg==\n\
    --B\nContent-Type: text/plain\nContent-Disposition: attachment; filename=notes.txt\n\nline 1\nline 2\n--B--\n";

#[test]
fn files_come_out_byte_for_byte_and_the_body_alone_is_the_text() {
    let mail = message(crlf(MIXED));
    assert_eq!(mail.text, "price: 5 €");
    let files: Vec<(&str, &str, &[u8])> =
        mail.media.iter().map(|f| (f.name.as_str(), f.media_type.as_str(), &f.bytes[..])).collect();
    assert_eq!(
        files,
        [
            ("a.png", "image/png", b"\x89PNG".as_slice()),
            ("März.csv", "text/csv", b"\xe4\xf6\xfc"),
            ("Über.pdf", "application/pdf", b"%PDF"),
            ("notes.txt", "text/plain", b"line 1\r\nline 2"),
        ]
    );
}

#[test]
fn html_alone_becomes_text_and_an_empty_plain_part_gives_way_to_it() {
    assert_eq!(
        message("From: a@b.c\nContent-Type: text/html; charset=utf-8\n\n<div>Tsch\u{fc}s</div><div>Ada</div>").text,
        "Tschüs\nAda"
    );
    let both = "From: a@b.c\nContent-Type: multipart/alternative; boundary=A\n\n--A\nContent-Type: text/plain\n\n \n--A\nContent-Type: text/html\n\n<p>here</p>\n--A--\n";
    assert_eq!(message(both).text, "here");
}

#[test]
fn old_and_foreign_charsets_are_read() {
    let mail = |charset: &str, body: &[u8]| {
        let mut raw = format!("From: a@b.c\nContent-Type: text/plain; charset={charset}\n\n").into_bytes();
        raw.extend_from_slice(body);
        message(raw).text
    };
    assert_eq!(mail("koi8-r", b"\xf0\xd2\xc9\xd7\xc5\xd4"), "Привет");
    assert_eq!(mail("shift_jis", b"\x82\xb1\x82\xf1"), "こん");
    assert_eq!(mail("gb18030", b"\xc4\xe3\xba\xc3"), "你好");
    assert_eq!(mail("no-such-charset", "é".as_bytes()), "é");
}

#[test]
fn broken_mails_are_delivered_as_best_they_can_be() {
    let bare = message("From: a@b.c\n\nno date, no id");
    assert_eq!((bare.sent_at, bare.reference.as_deref(), bare.title.as_deref()), (arrived(), None, None));
    assert_eq!(bare.provider_id.len(), 32);
    let eight_bit = message(b"From: J\xfcrgen <j@b.c>\nSubject: Gr\xfc\xdfe\n\nb\xf6se\x00\x1b".as_slice());
    assert_eq!((eight_bit.sender.id.as_str(), eight_bit.text.as_str()), ("j@b.c", "b\u{fffd}se"));
    let unclosed =
        message("From: a@b.c\nContent-Type: multipart/mixed; boundary=B\n\n--B\nContent-Type: text/plain\n\nhalf");
    assert_eq!((unclosed.text.as_str(), unclosed.media.len()), ("half", 0));
    let bad_base64 =
        message("From: a@b.c\nContent-Transfer-Encoding: base64\nContent-Type: text/plain\n\n%%%not base64%%%");
    assert!(bad_base64.text.contains("not base64"));
    let sender_header = message("From: undisclosed\nSender: s@b.c\n\nx");
    assert_eq!(sender_header.sender.id, "s@b.c");
}

#[test]
fn what_is_no_mail_is_skipped_with_a_reason() {
    assert_eq!(skip_reason(""), "it is no mail: it has no headers");
    assert_eq!(skip_reason("Subject: hi\n\nx"), "it names no sender address");
    assert_eq!(skip_reason(format!("X: {}\n\n", "x".repeat(MAX_HEADERS))), "its headers are larger than 1024 KiB");
    let repeated = "--b\nContent-Type: multipart/mixed; boundary=none\n\n".repeat(3000);
    let repeated =
        format!("From: a@b.c\nContent-Type: multipart/mixed; boundary=b\n\n{repeated}{}", "x y\n".repeat(500_000));
    assert_eq!(skip_reason(repeated), "it nests or repeats its parts beyond reason");
    assert_eq!(
        skip_reason(format!(
            "From: a@b.c\nContent-Type: multipart/mixed; boundary=b\n{}",
            "\n--b\n".repeat(MAX_BOUNDARIES + 1)
        )),
        "it has more than 10000 parts"
    );
}

#[test]
fn implausible_dates_give_way_to_the_arrival() {
    let sent = |date: &str| message(format!("From: a@b.c\nDate: {date}\n\nx")).sent_at;
    assert_eq!(sent("Mon, 2 Mar 2026 12:30:00 +0000"), arrived(), "a clock half an hour fast");
    for date in
        ["Fri, 2 Mar 2035 12:00:00 +0000", "Thu, 1 Jan 1970 00:00:00 +0000", "32 Foo 2026 99:99:99", "", "garbage"]
    {
        assert_eq!(sent(date), arrived(), "{date:?}");
    }
    assert_eq!(sent("Mon, 23 Feb 2026 12:00:00 -0500"), Utc.with_ymd_and_hms(2026, 2, 23, 17, 0, 0).unwrap());
}

#[test]
fn own_mails_are_not_taken_in_again() {
    assert_eq!(skip_reason("From: Me <ME@example.test>\n\nx"), "this account sent it itself");
    let own = threading::reference(ACCOUNT, uuid::Uuid::from_u128(7).into());
    assert_eq!(
        skip_reason(format!("From: list@example.test\nMessage-ID: <{own}>\n\nx")),
        "this account sent it itself"
    );
    let colleagues = threading::reference("other@example.test", uuid::Uuid::from_u128(7).into());
    assert_eq!(message(format!("From: other@example.test\nMessage-ID: <{colleagues}>\n\nx")).text, "x");
}

#[test]
fn automatic_mails_say_why() {
    let mail = message("From: a@b.c\nAuto-Submitted: auto-replied\nSubject: Away\n\nback on Monday");
    assert_eq!(mail.automatic.as_deref(), Some("Auto-Submitted: auto-replied"));
    assert_eq!(mail.metadata["automatic"], "Auto-Submitted: auto-replied");
}

const BOUNCE: &str = "From: MAILER-DAEMON@mx.example.test (Mail Delivery System)\nReturn-Path: <>\nAuto-Submitted: auto-replied\n\
    Content-Type: multipart/report; report-type=delivery-status; boundary=R\n\n--R\nContent-Type: text/plain; charset=us-ascii\n\n\
    I could not deliver it.\n--R\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\nAction: failed\n--R\nContent-Type: message/rfc822\n\n\
    From: me@example.test\nMessage-ID: <lost@example.test>\nSubject: Offer\n\nDear Ada\n--R--\n";

#[test]
fn a_bounce_is_automatic_and_answers_the_mail_it_returns() {
    let mail = message(crlf(BOUNCE));
    assert_eq!(mail.automatic.as_deref(), Some("a delivery report (multipart/report)"));
    assert_eq!(mail.text, "I could not deliver it.");
    assert_eq!(mail.replies_to, ["lost@example.test"]);
    let returned = mail.media.iter().find(|file| file.media_type == "message/rfc822").unwrap();
    assert!(
        returned.name.ends_with(".eml") && returned.bytes.starts_with(b"From: me@example.test\r\nMessage-ID: <lost")
    );
    let headers_only = BOUNCE.replace("message/rfc822", "text/rfc822-headers");
    assert_eq!(message(crlf(&headers_only)).replies_to, ["lost@example.test"]);
}

#[test]
fn long_bodies_and_many_files_are_cut_and_it_is_said() {
    let long = message(format!("From: a@b.c\nContent-Type: text/plain; charset=utf-8\n\n{}", "ä".repeat(MAX_TEXT)));
    assert_eq!(long.text.len(), MAX_TEXT);
    assert_eq!(long.metadata["text_truncated"], true);
    let part = "--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n";
    let many =
        message(format!("From: a@b.c\nContent-Type: multipart/mixed; boundary=b\n\n{}--b--\n", part.repeat(103)));
    assert_eq!((many.media.len(), &many.metadata["attachments_left_out"]), (100, &json!(3)));
    assert_eq!(many.media[7].name, "attachment-8.png");
}

/// Deeper than any stack, had the parser opened them.
#[test]
fn absurd_nesting_is_survived() {
    let nested = format!("From: a@b.c\nSubject: deep\n{}x", "Content-Type: message/rfc822\n\n".repeat(100_000));
    assert_eq!(message(nested).title.as_deref(), Some("deep"));
    let in_base64 = {
        use base64::Engine;
        let inner = "Content-Type: message/rfc822\n\n".repeat(50_000);
        base64::engine::general_purpose::STANDARD.encode(inner)
    };
    let hidden =
        format!("From: a@b.c\nCon tent-type: Message / RFC822\nContent-Transfer-Encoding: base64\n\n{in_base64}");
    assert_eq!(message(hidden).media.len(), 1);
    let multiparts: String =
        (0..3000).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
    assert_eq!(message(format!("From: a@b.c\n{multiparts}\n\nx")).sender.id, "a@b.c");
}

fn corpus() -> Vec<Vec<u8>> {
    [PLAIN, MIXED, BOUNCE].iter().map(|mail| crlf(mail).into_bytes()).collect()
}

/// Bytes are cut out, doubled or exchanged at a few places.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), 0_usize..40, any::<u8>(), 0_u8..4);
    (prop::sample::select(corpus()), prop::collection::vec(edit, 1..12)).prop_map(|(mut mail, edits)| {
        for (at, length, byte, kind) in edits {
            if mail.is_empty() {
                break;
            }
            let at = at.index(mail.len());
            let end = (at + length).min(mail.len());
            match kind {
                0 => drop(mail.drain(at..end)),
                1 => mail.splice(at..at, mail[at..end].to_vec()).for_each(drop),
                2 => mail[at] = byte,
                _ => mail.truncate(end),
            }
        }
        mail
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(raw in prop::collection::vec(any::<u8>(), 0..2000)) {
        holds_its_promises(&raw);
    }

    #[test]
    fn mutated_mails_never_panic(raw in mutated()) {
        holds_its_promises(&raw);
    }
}
