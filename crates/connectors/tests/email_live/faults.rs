//! Mail servers that misbehave: played by a script, because the real ones do not.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dealwright::ports::connector::{Connector as _, Credentials, Settled};
use dealwright_connectors::email::{EmailConnector, EmailOptions};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use super::support::*;

/// What the server does about a command.
enum Act {
    /// Says this (`$` stands for the tag, `\n` for a line end) and goes on.
    Say(String),
    /// Says this and closes the connection.
    Close(String),
}

fn say(text: impl Into<String>) -> Act {
    Act::Say(text.into())
}

/// What is different with a server: given the command without its tag and how many connections there were before.
type Twist = Box<dyn Fn(&str, usize) -> Option<Act> + Send + Sync>;

/// A mailbox of scripted mails: UIDs from 1.
struct Script {
    mails: Vec<String>,
    idle: bool,
    /// What was appended.
    kept: Arc<Mutex<Vec<String>>>,
    twist: Twist,
}

impl Script {
    fn new(mails: &[String], twist: impl Fn(&str, usize) -> Option<Act> + Send + Sync + 'static) -> Self {
        Self {
            mails: mails.iter().map(|mail| mail.replace('\n', "\r\n")).collect(),
            idle: true,
            kept: Arc::default(),
            twist: Box::new(twist),
        }
    }

    fn answer(&self, command: &str) -> Act {
        let uids = || {
            let set = command.split(' ').nth(2).unwrap_or_default();
            (1..=self.mails.len()).filter(|uid| holds(set, *uid, self.mails.len())).collect::<Vec<_>>()
        };
        let word = command.split(' ').next().unwrap_or_default();
        match word {
            "CAPABILITY" if self.idle => say("* CAPABILITY IMAP4rev1 IDLE\n$ OK\n"),
            "CAPABILITY" => say("* CAPABILITY IMAP4rev1\n$ OK\n"),
            "EXAMINE" => {
                let count = self.mails.len();
                say(format!(
                    "* {count} EXISTS\n* OK [UIDVALIDITY 7] ok\n* OK [UIDNEXT {}] ok\n$ OK [READ-ONLY] done\n",
                    count + 1
                ))
            }
            "LIST" => say("* LIST (\\HasNoChildren) \"/\" INBOX\n$ OK\n"),
            "IDLE" => say("+ idling\n"),
            "APPEND" => say("+ go on\n"),
            "DONE" => say("$ OK idle ended\n"),
            "LOGOUT" => Act::Close("* BYE\n$ OK\n".to_owned()),
            "UID" if command.starts_with("UID SEARCH UID ") => {
                let set = command.rsplit(' ').next().unwrap();
                let found = (1..=self.mails.len()).filter(|uid| holds(set, *uid, self.mails.len()));
                say(format!("* SEARCH{}\n$ OK\n", found.map(|uid| format!(" {uid}")).collect::<String>()))
            }
            "FETCH" => self.sizes(&(1..=self.mails.len()).collect::<Vec<_>>()),
            "UID" if command.contains("RFC822.SIZE") => self.sizes(&uids()),
            "UID" if command.contains("BODY.PEEK[]") => {
                let mails = uids().into_iter().map(|uid| {
                    let mail = &self.mails[uid - 1];
                    format!("* {uid} FETCH (UID {uid} BODY[] {{{}}}\n{mail})\n", mail.len())
                });
                say(format!("{}$ OK\n", mails.collect::<String>()))
            }
            _ => say("$ OK\n"),
        }
    }

    fn sizes(&self, uids: &[usize]) -> Act {
        let sizes = uids.iter().map(|uid| {
            format!(
                "* {uid} FETCH (UID {uid} RFC822.SIZE {} INTERNALDATE \"02-Mar-2026 10:00:00 +0000\")\n",
                self.mails[uid - 1].len()
            )
        });
        say(format!("{}$ OK\n", sizes.collect::<String>()))
    }
}

/// Whether a UID set such as `1:3,5` or `4:*` has `uid`.
fn holds(set: &str, uid: usize, last: usize) -> bool {
    set.split(',').any(|range| {
        let (from, to) = range.split_once(':').unwrap_or((range, range));
        let number = |text: &str| if text == "*" { last } else { text.parse().unwrap() };
        let (from, to) = (number(from), number(to));
        (from.min(to)..=from.max(to)).contains(&uid)
    })
}

/// Plays a server; gives its port.
async fn play(script: Script) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (script, connections) = (Arc::new(script), AtomicUsize::new(0));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (script, before) = (script.clone(), connections.fetch_add(1, Ordering::SeqCst));
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                stream.write_all(b"* OK hello\r\n").await.unwrap();
                let (mut line, mut idle_tag) = (String::new(), String::new());
                while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                    let said = line.trim_end().to_owned();
                    let whole = (idle_tag.clone(), said.clone());
                    let (tag, command) =
                        said.split_once(' ').map_or(whole, |(tag, command)| (tag.into(), command.into()));
                    let (tag, command): (&str, &str) = (&tag, &command);
                    let act = (script.twist)(command, before).unwrap_or_else(|| script.answer(command));
                    let (text, close) = match act {
                        Act::Say(text) => (text, false),
                        Act::Close(text) => (text, true),
                    };
                    // Bodies have their own line ends already.
                    let text = text.replace("\r\n", "\n").replace('\n', "\r\n").replace('$', tag);
                    if command == "IDLE" {
                        idle_tag = tag.to_owned();
                    }
                    let literal =
                        line.trim_end().strip_suffix('}').and_then(|line| line.rsplit('{').next()?.parse().ok());
                    if stream.write_all(text.as_bytes()).await.is_err() || close {
                        return;
                    }
                    if let Some(size) = literal.filter(|_| text.starts_with('+')) {
                        let (mut mail, done) = (vec![0; size], format!("{tag} OK kept\r\n"));
                        stream.read_exact(&mut mail).await.unwrap();
                        stream.write_all(done.as_bytes()).await.unwrap();
                        script.kept.lock().unwrap().push(String::from_utf8(mail).unwrap());
                        stream.read_line(&mut line).await.unwrap();
                    }
                    line.clear();
                }
            });
        }
    });
    port
}

fn impatient() -> EmailOptions {
    EmailOptions {
        allow_plaintext: true,
        command_timeout: Duration::from_secs(5),
        poll_interval: Duration::from_millis(50),
        ..EmailOptions::default()
    }
}

fn connector() -> Arc<EmailConnector> {
    with_options(impatient())
}

fn credentials(port: u16) -> Credentials {
    let server = json!({"host": "127.0.0.1", "port": port, "security": "none", "username": "u", "password": "p"});
    Credentials(json!({"email": "me@example.test", "imap": server, "smtp": server}))
}

fn mails(count: usize) -> Vec<String> {
    (1..=count).map(|n| mail(&format!("n{n}"), &format!("text {n}"))).collect()
}

#[tokio::test]
async fn a_mail_that_the_server_refuses_costs_itself_alone() {
    let script = Script::new(&mails(3), |command, _| {
        let asks = command.contains("BODY.PEEK") && holds(command.split(' ').nth(2).unwrap(), 2, 3);
        asks.then(|| say("$ NO [CANNOT] corrupted\n"))
    });
    let inbox = Recorder::new();
    let running = run(&connector(), credentials(play(script).await), "me@example.test", &inbox);
    let memory = inbox.until(|memory| memory.is_active()).await;
    running.stop().await;
    assert_eq!(memory.texts(), ["text 1", "text 3"]);
    assert_eq!(
        memory.skipped,
        [("uid:7:2".to_owned(), "the mail server refuses to hand it out: [CANNOT] corrupted".to_owned())]
    );
}

#[tokio::test]
async fn a_mail_that_breaks_every_connection_is_left_out_after_some_tries() {
    let script = Script::new(&mails(3), |command, _| {
        let asks = command.contains("BODY.PEEK") && holds(command.split(' ').nth(2).unwrap(), 2, 3);
        asks.then(|| Act::Close("* 2 FETCH (UID 2 BODY[] {100}\nhalf".to_owned()))
    });
    let (connector, credentials, inbox) = (connector(), credentials(play(script).await), Recorder::new());
    let mut failures = 0;
    while inbox.memory().skipped.is_empty() {
        let error = run(&connector, credentials.clone(), "me@example.test", &inbox).error().await;
        assert_eq!(error.code(), "unreachable", "{error}");
        failures += 1;
        assert!(failures < 20, "{:?}", inbox.memory());
    }
    let running = run(&connector, credentials, "me@example.test", &inbox);
    let memory = inbox.until(|memory| memory.is_active()).await;
    running.stop().await;
    assert_eq!(memory.texts(), ["text 1", "text 3"], "each once");
    assert!(memory.skipped[0].1.starts_with("it could not be fetched in 5 tries"), "{:?}", memory.skipped);
    assert!(memory.cursor.unwrap().get("stuck").is_none());
}

#[tokio::test]
async fn an_interrupted_search_is_no_empty_mailbox() {
    let script = Script::new(&mails(2), |command, before| {
        (command.starts_with("UID SEARCH") && before == 1).then(|| Act::Close(String::new()))
    });
    let (connector, credentials, inbox) = (connector(), credentials(play(script).await), Recorder::new());
    let running = run(&connector, credentials.clone(), "me@example.test", &inbox);
    inbox.until(|memory| memory.is_active()).await;
    running.stop().await;
    inbox.deliver_cursor(json!({"uid_validity": 7, "last_uid": 1})).await;
    let error = run(&connector, credentials.clone(), "me@example.test", &inbox).error().await;
    assert_eq!(error.code(), "unreachable", "{error}");
    assert_eq!(inbox.memory().cursor.unwrap()["last_uid"], 1, "nothing was passed over");
    let running = run(&connector, credentials, "me@example.test", &inbox);
    inbox.until(|memory| memory.texts() == ["text 1", "text 2", "text 2"]).await;
    running.stop().await;
}

#[tokio::test]
async fn a_server_without_idle_is_polled() {
    let arrived = Arc::new(AtomicUsize::new(1));
    let seen = arrived.clone();
    let mut script = Script::new(&mails(2), move |command, _| {
        let count = seen.load(Ordering::SeqCst);
        match command {
            "EXAMINE \"INBOX\"" => {
                Some(say(format!("* {count} EXISTS\n* OK [UIDVALIDITY 7] ok\n* OK [UIDNEXT {}] ok\n$ OK\n", count + 1)))
            }
            "FETCH 1:* (UID RFC822.SIZE INTERNALDATE)" => Some(say("* 1 FETCH (UID 1 RFC822.SIZE 9)\n$ OK\n")),
            "IDLE" => Some(say("$ BAD no idle here\n")),
            _ => None,
        }
    });
    script.idle = false;
    let inbox = Recorder::new();
    let running = run(&connector(), credentials(play(script).await), "me@example.test", &inbox);
    inbox.until(|memory| memory.texts() == ["text 1"]).await;
    arrived.store(2, Ordering::SeqCst);
    inbox.until(|memory| memory.texts() == ["text 1", "text 2"]).await;
    running.stop().await;
}

#[tokio::test]
async fn news_during_the_step_before_idle_are_not_slept_through() {
    let script = Script::new(&mails(2), |command, _| match command {
        "EXAMINE \"INBOX\"" => Some(say("* 1 EXISTS\n* OK [UIDVALIDITY 7] ok\n* OK [UIDNEXT 2] ok\n$ OK\n")),
        "FETCH 1:* (UID RFC822.SIZE INTERNALDATE)" => Some(say("* 1 FETCH (UID 1 RFC822.SIZE 9)\n* 2 EXISTS\n$ OK\n")),
        _ => None,
    });
    let inbox = Recorder::new();
    let running = run(&connector(), credentials(play(script).await), "me@example.test", &inbox);
    inbox.until(|memory| memory.texts() == ["text 1", "text 2"]).await;
    running.stop().await;
}

#[tokio::test]
async fn nonsense_ends_the_connection_and_nothing_else() {
    for nonsense in [
        "* OK [ALERT]é\n$ OK\n",
        "* FETCH FETCH\n",
        "\u{1}\u{2}\n",
        "* 1 FETCH (BODY[] {99999999999999999999}\n",
        "$ OK [UIDNEXT 99999999999]\n",
    ] {
        let script = Script::new(&mails(1), move |command, _| {
            command.starts_with("EXAMINE").then(|| Act::Close(nonsense.to_owned()))
        });
        let inbox = Recorder::new();
        let error = run(&connector(), credentials(play(script).await), "me@example.test", &inbox).error().await;
        assert_eq!(error.kind(), dealwright::ErrorKind::Unavailable, "{nonsense:?}: {error}");
        assert!(inbox.memory().cursor.is_none());
    }
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_for_ever() {
    let script = Script::new(&[], |command, _| command.starts_with("EXAMINE").then(|| say("")));
    let connector = with_options(EmailOptions { command_timeout: Duration::from_millis(200), ..impatient() });
    let error = run(&connector, credentials(play(script).await), "me@example.test", &Recorder::new()).error().await;
    assert_eq!(error.code(), "timed_out");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let error = run(&connector, credentials(port), "me@example.test", &Recorder::new()).error().await;
    assert_eq!(error.code(), "timed_out");
}

#[tokio::test]
async fn shutdown_ends_even_a_connection_that_hangs() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let running = run(&connector(), credentials(port), "me@example.test", &Recorder::new());
    let (_stream, _) = silent.accept().await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_temporary_sign_in_failure_does_not_disconnect_the_account() {
    let script =
        Script::new(&[], |command, _| command.starts_with("LOGIN").then(|| say("$ NO [UNAVAILABLE] try later\n")));
    let inbox = Recorder::new();
    let error = run(&connector(), credentials(play(script).await), "me@example.test", &inbox).error().await;
    assert_eq!((error.code(), inbox.memory().statuses.len()), ("refused", 0), "{error}");
}

#[tokio::test]
async fn settling_without_a_folder_of_sent_mails_finds_nothing() {
    let script =
        Script::new(&[], |command, _| command.starts_with("EXAMINE \"Sent\"").then(|| say("$ NO no such mailbox\n")));
    let credentials = credentials(play(script).await);
    let account = account("faults.settle");
    let connector = connector();
    let sending = outgoing(&connector, &account, "x@example.test", "hello");
    assert_eq!(connector.settle(&credentials, &sending).await.unwrap(), Settled::Unknown);
}

/// Sends a mail through the real Postfix with its copy going to the script; gives the copies and the commands.
async fn send_with_copy(
    name: &str,
    twist: impl Fn(&str, usize) -> Option<Act> + Send + Sync + 'static,
) -> (Vec<String>, Vec<String>) {
    let account = account(name);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = heard.clone();
    let script = Script::new(&[], move |command, before| {
        hearing.lock().unwrap().push(command.to_owned());
        twist(command, before)
    });
    let kept = script.kept.clone();
    let mut credentials = credentials(play(script).await);
    let settings = credentials.0.as_object_mut().unwrap();
    settings["email"] = json!(account.address);
    settings["smtp"] = account.settings()["smtp"].clone();
    let connector = with_options(EmailOptions { extra_ca: options(account.mail).extra_ca, ..impatient() });
    connector.send(&credentials, &outgoing(&connector, &account, &account.address, "hello")).await.unwrap();
    account.mails("INBOX", 1).await;
    let heard = heard.lock().unwrap().clone();
    let kept = kept.lock().unwrap().clone();
    (kept, heard)
}

fn folders(command: &str, list: &str) -> Option<Act> {
    (command.starts_with("LIST")).then(|| say(format!("{list}$ OK\n")))
}

#[tokio::test]
async fn the_folder_marked_as_sent_is_used_whatever_its_name() {
    let (kept, heard) = send_with_copy("faults.marked", |command, _| {
        folders(command, "* LIST () \"/\" Sent\n* LIST (\\HasNoChildren \\Sent) \"/\" \"Gesendet \\\"&APY-\"\n")
    })
    .await;
    assert!(kept.len() == 1 && kept[0].contains("\r\n\r\nhello\r\n"), "{kept:?}");
    assert!(heard.iter().any(|command| command.starts_with("APPEND \"Gesendet \\\"&APY-\" (\\Seen) \"")), "{heard:#?}");
}

#[tokio::test]
async fn a_folder_with_a_usual_name_is_found_and_otherwise_one_is_made() {
    let (kept, heard) = send_with_copy("faults.named", |command, _| {
        folders(command, "* LIST () \".\" INBOX\n* LIST () \".\" \"INBOX.Sent Items\"\n")
    })
    .await;
    assert_eq!(kept.len(), 1);
    assert!(heard.iter().any(|command| command.starts_with("APPEND \"INBOX.Sent Items\"")), "{heard:#?}");
    let made = Arc::new(AtomicUsize::new(0));
    let (kept, heard) = send_with_copy("faults.made", move |command, _| {
        if command == "CREATE \"Sent\"" {
            made.store(1, Ordering::SeqCst);
        }
        let missing =
            made.load(Ordering::SeqCst) == 0 && (command.starts_with("APPEND") || command == "EXAMINE \"Sent\"");
        missing.then(|| say("$ NO [TRYCREATE] no such mailbox\n"))
    })
    .await;
    assert_eq!(kept.len(), 1, "{heard:#?}");
}

#[tokio::test]
async fn a_copy_that_fails_is_tried_once_more() {
    let (kept, _) = send_with_copy("faults.again", |command, before| {
        (command.starts_with("APPEND") && before == 0).then(|| Act::Close(String::new()))
    })
    .await;
    assert_eq!(kept.len(), 1);
}
