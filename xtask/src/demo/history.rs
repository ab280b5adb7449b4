//! The demo organisation: six weeks of a small sales team, lived through by the real engine under a virtual clock. Nothing
//! is inserted: strangers' mails come in by the connector's door, rules fire, people answer and move contacts by hand.
#![expect(clippy::indexing_slicing, reason = "a JSON value answers null for what it does not have")]

mod deals;

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use async_trait::async_trait;
use chrono::{DateTime, Duration, Timelike, Utc};
use dealwright::{
    Crm, Handle, Registry,
    cipher::Cipher,
    env::{Env, ManualClock},
    id::{AccountId, MessageId},
    ports::connector::{
        Address, Capabilities, Connected, Connector, Credentials, Delivery, Inbox, Incoming, Outgoing, SendError, Sent,
        Session, Settled,
    },
    scope::Role,
    services::identity::{NewOrganization, NewUser},
};
use serde_json::{Map, Value, json};

/// The sign-in that the demo prints.
pub const EMAIL: &str = "demo@dealwright.example";
/// Its password.
pub const PASSWORD: &str = "dealwright-demo";
/// How long the organisation has been at work.
const DAYS: i64 = 42;
/// Strangers that write on a working day.
const STRANGERS_A_DAY: u32 = 9;

const FIRST: &[&str] = &[
    "Ada",
    "Grace",
    "Alan",
    "Edsger",
    "Barbara",
    "Donald",
    "Radia",
    "Ken",
    "Margaret",
    "Dennis",
    "Frances",
    "Leslie",
    "Hedy",
    "John",
    "Katherine",
    "Niklaus",
    "Sophie",
    "Tim",
    "Anita",
    "Vint",
    "Joan",
    "Claude",
    "Mary",
    "Tony",
];
const LAST: &[&str] = &[
    "Berger",
    "Okafor",
    "Lindqvist",
    "Moreau",
    "Tanaka",
    "Novak",
    "Silva",
    "Haddad",
    "Kowalski",
    "Jensen",
    "Rossi",
    "Varga",
    "Papadakis",
    "Byrne",
    "Demir",
    "Castillo",
    "Ivanova",
    "Schmid",
    "Nguyen",
    "Laine",
];
const COMPANIES: &[&str] = &[
    "northwind",
    "initech",
    "umbra-logistics",
    "bluepeak",
    "hexagon-foods",
    "solaris-energy",
    "quillworks",
    "brightyard",
    "mesa-health",
    "ferrous",
];
const QUESTIONS: &[(&str, &str)] = &[
    (
        "Pricing for a team of ten",
        "Hello,\n\nwe are ten people in business development. What would it cost us a month?\n\nBest",
    ),
    ("Self-hosting", "Hi, can we run it on our own machines, and what does it need?"),
    ("Switching over", "We have about 4,000 contacts in spreadsheets. How would we bring them over?"),
    ("A short demo?", "Could somebody show us how the rules work? Thursday afternoon would be fine."),
    ("Telegram accounts", "Does it work with several accounts per person? We talk to most of our clients there."),
    ("Question about data protection", "Where are the data kept, and who can read them?"),
];
const ANSWERS: &[&str] = &[
    "Thank you for writing. Shall we speak on Thursday at three?",
    "Yes, that works. I have attached what I promised, in words: it is one binary and one file.",
    "Good question. The short answer is yes; the long one needs a call. When would it suit you?",
];
const FOLLOW_UPS: &[&str] = &[
    "That sounds good, thank you. Let us go on.",
    "One more question: who else uses it?",
    "I have asked our lawyer, she has no objection.",
    "Thursday is fine.",
];

/// Numbers that look thrown and are the same every time (xorshift64), so that every demo tells the same story.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(limit.max(1))).unwrap_or_default()
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> Result<&'a T> {
        let place = self.below(u32::try_from(from.len())?) as usize;
        from.get(place).copied().context("nothing to pick from")
    }
}

/// A mailbox that exists in the story only: takes what is sent, and is never asked for what comes in.
struct StoryMailbox;

#[async_trait]
impl Connector for StoryMailbox {
    fn platform(&self) -> &'static str {
        "email"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { receive: true, send: true, media: false, begin_chat: true, settle: false }
    }

    async fn connect(&self, settings: &Map<String, Value>) -> dealwright::Result<Connected> {
        let handle = settings.get("email").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Connected { display_name: handle.clone(), handle, credentials: Credentials(Value::Null) })
    }

    async fn run(&self, session: Session) -> dealwright::Result<()> {
        session.shutdown.cancelled().await;
        Ok(())
    }

    async fn send(&self, _: &Credentials, outgoing: &Outgoing) -> std::result::Result<Sent, SendError> {
        Ok(Sent { provider_id: outgoing.reference.clone() })
    }

    async fn settle(&self, _: &Credentials, _: &Outgoing) -> dealwright::Result<Settled> {
        Ok(Settled::Unknown)
    }

    fn reference(&self, from: &Address, message_id: MessageId) -> String {
        format!("{message_id}@{}", from.id.rsplit('@').next().unwrap_or("localhost"))
    }
}

/// A stranger of the story, from their first mail on.
struct Stranger {
    name: String,
    address: String,
    subject: &'static str,
    mails: u32,
    interest: u32,
}

struct Story {
    crm: Crm,
    clock: ManualClock,
    dice: Dice,
    /// Handles of the people on the team.
    team: Vec<Handle>,
    account: AccountId,
    inbox: Arc<dyn Inbox>,
    stages: Vec<String>,
    strangers: Vec<Stranger>,
}

/// Makes the demo's database with six weeks of history that end now.
pub async fn make(database: &Path, cipher: Cipher) -> Result<()> {
    let now = Env::system().now();
    let clock = ManualClock::at(now - Duration::days(DAYS));
    let env = Env::system().with_clock(clock.clone());
    let mut registry = Registry::new();
    registry.connector(StoryMailbox).rule_engine(dealwright_rules::declarative::Declarative);
    let crm = Crm::builder()
        .database(format!("sqlite://{}", database.display()))
        .registry(registry)
        .env(env)
        .cipher(cipher)
        .build()
        .await?;
    let mut story = Story::begin(crm, clock).await?;
    while story.clock_now() < now - Duration::hours(1) {
        story.hour().await?;
    }
    story.clock.set(now);
    story.crm.runtime().drain().await?;
    story
        .inbox
        .status(
            dealwright::domain::account::AccountStatus::Disconnected,
            Some("a mailbox of the demo: connect your own".to_owned()),
        )
        .await?;
    story.crm.runtime().drain().await?;
    Ok(())
}

impl Story {
    async fn begin(crm: Crm, clock: ManualClock) -> Result<Self> {
        let owner =
            NewUser { email: EMAIL.to_owned(), name: "Una Ortega".to_owned(), password: Some(PASSWORD.to_owned()) };
        let made = crm.organizations().create(NewOrganization { name: "Acme".to_owned(), owner }).await?;
        let organization = made.organization.id;
        let mut team = vec![crm.as_user(organization, made.owner.id).await?];
        for (name, email, role) in [
            ("Per Dahl", "per@dealwright.example", Role::Manager),
            ("Mei Sato", "mei@dealwright.example", Role::Member),
        ] {
            let member = NewUser { email: email.to_owned(), name: name.to_owned(), password: None };
            let user = crm.organizations().add_member(organization, member, role).await?;
            team.push(crm.as_user(organization, user.user_id).await?);
        }
        let una = team.first().context("the owner")?;
        for rule in [
            json!({"id":"client-responded","trigger":"message.received","condition":{"stage":"lead","is_first_response":true,"message.text":{"contains":"cost"}},"action":{"move_to_stage":"qualified","notify_team":true}}),
            json!({"id":"time-based-lead-to-qualified","trigger":"time_elapsed","condition":{"stage":"lead","elapsed_hours":24,"has_response":true},"action":{"move_to_stage":"qualified"}}),
            json!({"id":"self-hosters","name":"Tag self-hosters","trigger":"message.received","condition":{"message.text":{"contains":"own machines"}},"actions":[{"add_tag":"self-hosted"}]}),
            json!({"id":"proposal-sent","name":"Tell the team about proposals","trigger":"stage.changed","condition":{"stage":"proposal"},"actions":[{"notify_team":true}]}),
        ] {
            una.call("rules.create", rule).await?;
        }
        let connected =
            una.call("accounts.connect", json!({ "platform": "email", "email": "hello@acme.example" })).await?;
        let account: AccountId =
            connected.pointer("/account/id").and_then(Value::as_str).context("no account")?.parse()?;
        let stages = una.call("stages.list", json!({})).await?;
        let stages = stages["data"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|stage| stage["id"].as_str().map(str::to_owned))
            .collect();
        let inbox = crm.inbox(organization, account).await?;
        Ok(Self { crm, clock, dice: Dice(0x0dea_1419_u64), team, account, inbox, stages, strangers: Vec::new() })
    }

    fn clock_now(&self) -> DateTime<Utc> {
        dealwright::env::Clock::now(&self.clock)
    }

    /// One hour of the story: at work people write, answer and move; at night only time passes.
    async fn hour(&mut self) -> Result<()> {
        self.clock.advance(Duration::minutes(60));
        if (8..18).contains(&self.clock_now().hour()) {
            if self.dice.below(10) < STRANGERS_A_DAY {
                self.new_stranger().await?;
            }
            self.follow_up().await?;
            self.crm.runtime().drain().await?;
            self.answer().await?;
            self.decide().await?;
        }
        self.crm.runtime().drain().await?;
        Ok(())
    }

    async fn new_stranger(&mut self) -> Result<()> {
        let name = format!("{} {}", self.dice.pick(FIRST)?, self.dice.pick(LAST)?);
        let company = self.dice.pick(COMPANIES)?;
        let number = self.strangers.len();
        let address = format!("{}{number}@{company}.example", name.to_lowercase().replace(' ', "."));
        let place = self.dice.below(u32::try_from(QUESTIONS.len())?) as usize;
        let (subject, question) = QUESTIONS.get(place).copied().context("no question")?;
        self.strangers.push(Stranger { name, address, subject, mails: 0, interest: self.dice.below(100) });
        self.mail(number, question).await
    }

    /// Somebody who was answered writes again.
    async fn follow_up(&mut self) -> Result<()> {
        let known = u32::try_from(self.strangers.len())?;
        if known > 3 && self.dice.below(100) < 60 {
            // The newer ones are the livelier ones.
            let number = known - 1 - self.dice.below(known.min(30));
            let text = self.dice.pick(FOLLOW_UPS)?;
            self.mail(number as usize, text).await?;
        }
        Ok(())
    }

    async fn mail(&mut self, number: usize, text: &str) -> Result<()> {
        let now = self.clock_now();
        let stranger = self.strangers.get_mut(number).context("no such stranger")?;
        let reference = format!("{}.{number}@story", stranger.mails);
        let replies_to = (0..stranger.mails).rev().map(|mail| format!("{mail}.{number}@story")).collect();
        stranger.mails += 1;
        let incoming = Incoming {
            provider_id: reference.clone(),
            reference: Some(reference),
            replies_to,
            chat: None,
            title: Some(stranger.subject.to_owned()),
            sender: Address {
                id: stranger.address.clone(),
                name: Some(stranger.name.clone()),
                email: Some(stranger.address.clone()),
                ..Address::default()
            },
            text: text.to_owned(),
            media: Vec::new(),
            sent_at: now,
            automatic: None,
            metadata: Map::from_iter([("subject".to_owned(), json!(stranger.subject))]),
        };
        self.inbox.deliver(vec![Delivery::Message(Box::new(incoming))], json!({ "mails": now.timestamp() })).await?;
        Ok(())
    }

    /// Somebody of the team answers one of the chats that wait.
    async fn answer(&mut self) -> Result<()> {
        let place = self.dice.below(u32::try_from(self.team.len())?) as usize;
        let person = self.team.get(place).context("nobody is there")?;
        let inbox =
            person.call("chats.list", json!({ "unread": true, "account_id": self.account, "limit": 3 })).await?;
        for chat in inbox["data"].as_array().into_iter().flatten() {
            if self.dice.below(100) < 70 {
                let text = self.dice.pick(ANSWERS)?;
                person.call("messages.read", chat["last_message"]["id"].clone()).await?;
                person.call("messages.send", json!({ "chat_id": chat["chat_id"], "text": text })).await?;
            }
        }
        Ok(())
    }

    /// Somebody moves a contact on, or gives it up; the keen ones are won.
    async fn decide(&mut self) -> Result<()> {
        for (from, to) in [(1, 2), (2, 3), (3, 4)] {
            if self.dice.below(100) >= 55 {
                continue;
            }
            let stage = self.stages.get(from).context("no stage")?;
            let person = self.team.get(self.dice.below(2) as usize).context("nobody is there")?.clone();
            let found =
                person.call("contacts.list", json!({ "stage_id": stage, "limit": 1, "sort": "updated_at" })).await?;
            let Some(contact) = found["data"].get(0) else { continue };
            let address = contact["emails"][0].as_str().unwrap_or_default();
            let interest = self.strangers.iter().find(|it| it.address == address).map_or(50, |it| it.interest);
            let (to, reason) =
                if interest + self.dice.below(40) < 40 { (5, "no budget this year") } else { (to, "asked for it") };
            let stage = self.stages.get(to).context("no stage")?;
            person
                .call("contacts.move", json!({ "contact_id": contact["id"], "stage_id": stage, "reason": reason }))
                .await?;
            if contact["assigned_to"].is_null() {
                let user = person.scope().user_id();
                person
                    .call("contacts.update", json!({ "id": contact["id"], "patch": { "assigned_to": user } }))
                    .await?;
            }
            self.deal(&person, contact, to, reason).await?;
        }
        Ok(())
    }
}
