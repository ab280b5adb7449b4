//! Between the engine and IMAP, and SMTP.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::TimeDelta;
use dealwright::{
    Crm, Handle, Registry,
    domain::message::{Message, MessageStatus},
    env::{Env, ManualClock},
    id::{AccountId, ChatId, MessageId},
    services::{
        contacts::ListContacts,
        identity::{NewOrganization, NewUser},
        messaging::{ListChats, ListMessages, SendMessage},
    },
};
use dealwright_connectors::email::{EmailConnector, EmailOptions};
use dealwright_peers::{Mail, Proxy, shared_mail};
use serde_json::json;

use crate::steps::{Fault, Place, break_at, chosen};

const FAULTS: [Fault; 5] = [Fault::Cut, Fault::Truncate, Fault::Silence, Fault::Refuse, Fault::Delay(LATENESS)];
/// Shorter than an outage.
const PATIENCE: Duration = Duration::from_millis(500);
/// Within patience: what comes so much later is no failure, and nothing is tried twice for it.
const LATENESS: Duration = Duration::from_millis(60);
/// Whether a step surely comes again on another line like the one whose steps were counted: pieces of an answer come
/// together or apart, an idle line is told of nothing or of something more, and lines close in one piece or in two, so
/// that the last third may not.
const fn comes_again(step: u64, steps: u64) -> bool {
    step * 3 <= steps * 2
}
/// About the steps of one look into the folder of sent mails; the looks after it are the same.
const ONE_LOOK: u64 = 45;
/// Mails that wait at the server when the account is connected, each from somebody else.
const WAITING: usize = 3;

/// A mail system with a line to each of its servers.
struct Bench {
    mail: &'static Mail,
    imap: Arc<Proxy>,
    smtp: Arc<Proxy>,
}

/// An engine with one account on a mailbox of its own.
struct Office {
    crm: Crm,
    me: Handle,
    account: AccountId,
    clock: ManualClock,
    address: String,
}

impl Bench {
    fn new() -> Self {
        let mail = shared_mail().unwrap();
        let line = |port| Arc::new(Proxy::to(port).unwrap());
        Self { mail, imap: line(mail.ports.imap), smtp: line(mail.ports.smtp) }
    }

    /// A new account; `name` must be the run's own.
    async fn office(&self, name: &str) -> Office {
        let address = format!("{name}@faults.test");
        let password = self.mail.add_user(&address).unwrap();
        let options = EmailOptions {
            connect_timeout: PATIENCE,
            command_timeout: PATIENCE,
            delivery_timeout: PATIENCE,
            ..EmailOptions::default().trust_pem(&std::fs::read(&self.mail.ca_file).unwrap()).unwrap()
        };
        let clock = ManualClock::at(Env::system().now());
        let env = Env::system().with_clock(clock.clone());
        let mut registry = Registry::new();
        registry.connector(EmailConnector::new(options, env.clone()).unwrap());
        let crm = Crm::builder().database("sqlite::memory:").registry(registry).env(env).build().await.unwrap();
        let owner = NewUser { email: address.clone(), name: "Una".into(), password: None };
        let made = crm.organizations().create(NewOrganization { name: "Acme".into(), owner }).await.unwrap();
        let me = crm.as_user(made.organization.id, made.owner.id).await.unwrap();
        let server = |port: u16| json!({ "host": "localhost", "port": port, "security": "starttls", "username": address, "password": password });
        let account = json!({ "platform": "email", "email": address, "imap": server(self.imap.port()), "smtp": server(self.smtp.port()) });
        // The machine may be busy, and these servers are given little time.
        let mut tries = 0;
        let connected = loop {
            match me.call("accounts.connect", account.clone()).await {
                Ok(connected) => break connected,
                Err(error) => assert!(tries < 20, "{error}"),
            }
            tries += 1;
        };
        let account = connected["account"]["id"].as_str().unwrap().parse().unwrap();
        Office { crm, me, account, clock, address }
    }

    fn write(&self, to: &Office, number: usize) {
        let mail = format!(
            "From: Stranger {number} <stranger{number}@elsewhere.test>\r\nTo: {}\r\nSubject: Question {number}\r\n\
             Message-ID: <q{number}.{}@elsewhere.test>\r\nDate: {}\r\n\r\nWhat about {number}?\r\n",
            to.address,
            to.address.replace('@', "."),
            Env::system().now().to_rfc2822()
        );
        self.mail.deliver("stranger@elsewhere.test", &to.address, mail.as_bytes()).unwrap();
    }
}

impl Office {
    /// What came in: who wrote what, over all chats.
    async fn arrived(&self) -> Vec<String> {
        let mut arrived = Vec::new();
        for chat in self.me.chats().list(ListChats::default()).await.unwrap().data {
            for message in self.messages(chat.chat_id).await {
                arrived.push(message.content.unwrap().text.trim().to_owned());
            }
        }
        arrived.sort();
        arrived
    }

    async fn messages(&self, chat: ChatId) -> Vec<Message> {
        self.me.messages().list(ListMessages { chat_id: chat, limit: Some(200), cursor: None }).await.unwrap().data
    }

    /// Waits until something is so; meanwhile the clock runs ahead, so that no back-off is sat through.
    async fn until<T>(&self, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
        for _ in 0..600 {
            if let Some(found) = ask().await {
                return found;
            }
            self.clock.advance(TimeDelta::seconds(1));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what} never came");
    }

    /// Lets the account's connection take in what waits at the server, and one mail more that arrives while it is held.
    async fn take_in(&self, bench: &Bench) -> Vec<String> {
        let running = self.crm.runtime().start().await.unwrap();
        self.until("what waited", async || (self.arrived().await.len() >= WAITING).then_some(())).await;
        bench.write(self, WAITING);
        self.until("the mail after it", async || (self.arrived().await.len() > WAITING).then_some(())).await;
        running.stop().await;
        self.arrived().await
    }
}

/// Everybody who writes is told once; nobody twice.
async fn takes_in(bench: &Bench, name: &str, fault: Option<(Place, Fault)>) -> (Vec<String>, u64, bool) {
    let office = bench.office(name).await;
    for number in 0..WAITING {
        bench.write(&office, number);
    }
    bench.mail.await_mailbox(&office.address, "INBOX", WAITING).unwrap();
    bench.imap.count();
    let lifting = fault.map(|(place, fault)| break_at(&bench.imap, place, fault));
    let arrived = office.take_in(bench).await;
    let contacts = office.me.contacts().list(ListContacts::default()).await.unwrap().data.len();
    assert_eq!(contacts, WAITING + 1, "{name}: one contact for each who wrote");
    if let Some(lifting) = lifting {
        lifting.abort();
    }
    let counts = bench.imap.lift();
    (arrived, counts.steps, counts.struck)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_to_imap_breaks() {
    let bench = Bench::new();
    let (sound, steps, _) = takes_in(&bench, "imap.sound", None).await;
    assert_eq!(sound.len(), WAITING + 1);
    let (mut tried, mut struck, mut wrong, mut missed) = (0, 0, Vec::new(), Vec::new());
    for (turn, fault) in FAULTS.into_iter().enumerate() {
        for step in chosen(steps, 6, turn) {
            let name = format!("imap.{turn}.{step}");
            let (arrived, _, has_struck) = takes_in(&bench, &name, Some((Place::Step(step), fault))).await;
            tried += 1;
            struck += u64::from(has_struck);
            missed.extend((!has_struck && comes_again(step, steps)).then(|| format!("{fault:?} at {step} of {steps}")));
            if arrived != sound {
                wrong.push(format!("{fault:?} at {step}: {arrived:?}"));
            }
        }
    }
    let bad = wrong.len();
    println!(
        "faults: imap {steps} steps × {} faults: {tried} tried, {struck} struck, {bad} lost or doubled",
        FAULTS.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(missed.is_empty(), "these never struck, the steps are not what was counted: {missed:#?}");
}

/// Which of an office's lines is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Smtp,
    Imap,
}

/// How a message ended, how often it arrived, how many copies of it are kept, and over how many steps it went.
struct Sent {
    status: MessageStatus,
    arrived: usize,
    copies: usize,
    steps: u64,
    struck: bool,
}

/// One message goes out; what happens to it is waited for.
///
/// Cut at the step `doubt`, the line to SMTP loses the answer to the mail's last line: what became of it is looked up in
/// the folder of sent mails.
async fn sends(bench: &Bench, name: &str, way: Way, doubt: Option<u64>, fault: Option<(Place, Fault)>) -> Sent {
    let office = bench.office(name).await;
    let to = format!("{name}.to@faults.test");
    bench.mail.add_user(&to).unwrap();
    let contact = office.me.call("contacts.create", json!({ "name": "Ada", "emails": [to] })).await.unwrap();
    let contact_id = Some(contact["id"].as_str().unwrap().parse().unwrap());
    let account_id = Some(office.account);
    let new = SendMessage { contact_id, account_id, text: "Hello".into(), ..Default::default() };
    let message = office.me.messages().send(new).await.unwrap().id;
    let line = if way == Way::Smtp { &bench.smtp } else { &bench.imap };
    bench.smtp.count();
    bench.imap.count();
    if let Some(step) = doubt {
        bench.smtp.arm(Place::Step(step), Fault::Cut);
    }
    let lifting = fault.map(|(place, fault)| break_at(line, place, fault));
    let status = office
        .until("the end of the message", async || {
            office.crm.runtime().drain().await.unwrap();
            office.clock.advance(TimeDelta::seconds(40));
            ended(&office.me, message).await
        })
        .await;
    if let Some(lifting) = lifting {
        lifting.abort();
    }
    let counts = line.lift();
    // A mail that comes at all comes within the blink in which Postfix hands it on; a second mail after it is proof that
    // none is still on its way.
    bench.mail.deliver("last@elsewhere.test", &to, b"Subject: last\r\n\r\nlast\r\n").unwrap();
    let mails = bench.until_last(&to).await;
    let copies = bench.mail.mailbox(&office.address, "Sent").unwrap().len();
    Sent { status, arrived: mails - 1, copies, steps: counts.steps, struck: counts.struck }
}

impl Bench {
    /// The mails of an inbox once the one that was handed in last is among them.
    async fn until_last(&self, address: &str) -> usize {
        for _ in 0..600 {
            let mails = self.mail.mailbox(address, "INBOX").unwrap();
            if mails.iter().any(|mail| mail.windows(13).any(|it| it == b"Subject: last")) {
                return mails.len();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the last mail to {address} never came");
    }
}

/// The status of a message that needs nobody to do anything more about it.
async fn ended(me: &Handle, message: MessageId) -> Option<MessageStatus> {
    let now = me.messages().get(message).await.unwrap();
    let waits = me.messages().explain(message).await.unwrap().waits_for;
    let is_over = matches!(now.status, MessageStatus::Sent | MessageStatus::Failed | MessageStatus::Unknown);
    (is_over && waits.is_none()).then_some(now.status)
}

/// What happens to a message, break by break.
#[derive(Default)]
struct Tally {
    tried: u64,
    struck: u64,
    wrong: Vec<String>,
    missed: Vec<String>,
    ends: BTreeMap<String, u64>,
}

impl Tally {
    /// One message more; whether it went the way that was to be broken.
    fn add(&mut self, step: u64, fault: Fault, sound: &Sent, sent: &Sent, goes: bool) {
        let what = format!("{fault:?} at {step} of {}", sound.steps);
        self.tried += 1;
        self.struck += u64::from(sent.struck);
        let Sent { status, arrived, copies, .. } = sent;
        *self.ends.entry(format!("{status} arrived {arrived} kept {copies}")).or_default() += 1;
        // Keeping a copy is tried twice at once and no more, which an outage outlasts; two copies there never are.
        let kept = if matches!(fault, Fault::Silence | Fault::Refuse) { 0..=1 } else { 1..=1 };
        let is_right = match status {
            MessageStatus::Sent => *arrived == 1 && kept.contains(copies),
            MessageStatus::Unknown => *arrived <= 1 && *copies == 0,
            _ => *arrived == 0 && *copies == 0,
        };
        if !is_right {
            self.wrong.push(format!("{what}: {status} arrived {arrived} kept {copies}"));
        }
        if goes && !sent.struck && comes_again(step, sound.steps) {
            self.missed.push(what);
        }
    }

    fn must_hold(&self, what: &str) {
        let Self { tried, struck, ends, wrong, missed } = self;
        let (faults, bad) = (FAULTS.len(), wrong.len());
        println!("faults: {what} × {faults} faults: {tried} tried, {struck} struck, {ends:?}, {bad} lost or doubled");
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(missed.is_empty(), "these never struck, the steps are not what was counted: {missed:#?}");
    }

    /// How many messages nobody knows the end of.
    fn unknown(&self) -> u64 {
        self.ends.iter().filter(|(end, _)| end.starts_with("unknown")).map(|(_, count)| count).sum()
    }
}

/// Breaks about `some` of the first `steps` of a message's way by each fault.
async fn breaks(
    bench: &Bench,
    name: &str,
    way: Way,
    mut doubt: Option<u64>,
    sound: &Sent,
    steps: u64,
    some: u64,
) -> Tally {
    let mut tally = Tally::default();
    for (turn, fault) in FAULTS.into_iter().enumerate() {
        for step in chosen(steps, some, turn) {
            let place = Some((Place::Step(step), fault));
            // The line to SMTP may be cut a step too early or too late to leave a doubt: a step before or behind, then.
            for (attempt, aside) in [0, -1, 1, -2, 2].into_iter().enumerate() {
                let cut = doubt.map(|step| step.saturating_add_signed(aside));
                let sent = sends(bench, &format!("{name}.{turn}.{step}.{attempt}"), way, cut, place).await;
                let in_doubt = sent.status == MessageStatus::Unknown && sent.arrived == 1;
                let goes = doubt.is_none() || in_doubt;
                tally.add(step, fault, sound, &sent, goes);
                if goes {
                    doubt = cut;
                    break;
                }
            }
        }
    }
    tally
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_to_smtp_breaks() {
    let bench = Bench::new();
    let sound = sends(&bench, "smtp.sound", Way::Smtp, None, None).await;
    assert_eq!((sound.status, sound.arrived, sound.copies), (MessageStatus::Sent, 1, 1));
    let tally = breaks(&bench, "smtp", Way::Smtp, None, &sound, sound.steps, 6).await;
    tally.must_hold(&format!("smtp {} steps", sound.steps));
    let (unknown, tried) = (tally.unknown(), tally.tried);
    assert!(unknown * 3 <= tried, "most faults come before the mail's last line, and are no doubt: {:?}", tally.ends);
}

/// The mail has gone out; its copy is looked for in the folder of sent mails, and put there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_of_keeping_a_copy_breaks() {
    let bench = Bench::new();
    let sound = sends(&bench, "copy.sound", Way::Imap, None, None).await;
    assert_eq!((sound.status, sound.arrived, sound.copies), (MessageStatus::Sent, 1, 1));
    let tally = breaks(&bench, "copy", Way::Imap, None, &sound, sound.steps, 4).await;
    tally.must_hold(&format!("imap of sending, {} steps", sound.steps));
}

/// The mail has gone out and nobody was told: the folder of sent mails is asked about it, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_of_settling_a_doubt_breaks() {
    let bench = Bench::new();
    let all = sends(&bench, "doubt.sound", Way::Smtp, None, None).await.steps;
    let mut found = None;
    // The step is another one now and then: a piece more or less on the way there.
    'search: for round in 0..3 {
        for step in (1..=all + 2).rev() {
            let sent = sends(&bench, &format!("doubt.{round}.at.{step}"), Way::Imap, Some(step), None).await;
            if sent.status == MessageStatus::Unknown && sent.arrived == 1 {
                found = Some((step, sent));
                break 'search;
            }
        }
    }
    let (doubt, sound) = found.expect("there is a step whose loss leaves a doubt");
    let tally = breaks(&bench, "doubt", Way::Imap, Some(doubt), &sound, sound.steps.min(ONE_LOOK), 2).await;
    tally.must_hold(&format!("imap of settling, {} steps", sound.steps));
    assert!(tally.unknown() >= FAULTS.len() as u64, "each fault meets messages in doubt: {:?}", tally.ends);
}
