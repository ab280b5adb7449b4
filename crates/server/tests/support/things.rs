//! One of everything, made when it is asked for.

use std::{collections::BTreeMap, sync::Arc};

use base64::Engine;
use chrono::TimeDelta;
use dealwright::{
    Crm, Handle, Operation,
    domain::{custom_field::Noun, event::EventKind, linked_identity::LinkedIdentity, organization::SignInSession},
    id::{ContactId, OrganizationId, UserId},
    ports::store::{Store, Write},
    scope::{Permission, Resource, Role},
    services::identity::NewUser,
    store::sql::SqlStore,
    testkit::{
        provider::{Provider, message},
        samples::Samples,
    },
};
use futures::future::{BoxFuture, FutureExt};
use serde_json::{Value, json};

use super::{
    inputs::KEEPER,
    valid::{gather, replaced},
};

/// Everything that an organisation may have and an id names.
pub const NOUNS: &[&str] = &[
    "me",
    "user",
    "other user",
    "team",
    "session",
    "identity",
    "invitation",
    "api key",
    "role",
    "other role",
    "field",
    "company",
    "pipeline",
    "stage",
    "other stage",
    "contact",
    "deal",
    "note",
    "task",
    "rule",
    "run",
    "account",
    "chat",
    "message",
    "outgoing",
    "media",
    "notification",
    "job",
    "own job",
];

/// An organisation, its owner, and what was made in it last.
pub struct Side {
    pub organization: OrganizationId,
    pub owner: UserId,
    pub me: Handle,
    /// Whose things are made where what is whose matters: the owner, unless told otherwise.
    pub asker: Handle,
    pub crm: Crm,
    pub store: Arc<SqlStore>,
    provider: Provider,
    /// In every text of it.
    word: &'static str,
    made: u64,
    /// Who looks after what is made; somebody new, unless told otherwise.
    keeper: Option<UserId>,
    latest: BTreeMap<&'static str, String>,
}

impl Side {
    pub fn new(
        crm: Crm,
        store: Arc<SqlStore>,
        provider: Provider,
        me: Handle,
        organization: OrganizationId,
        owner: UserId,
        word: &'static str,
    ) -> Self {
        Self {
            organization,
            owner,
            asker: me.clone(),
            me,
            crm,
            store,
            provider,
            word,
            made: 0,
            keeper: None,
            latest: BTreeMap::new(),
        }
    }

    /// The same with numbers that another one in the same organisation does not give.
    pub fn counting_from(self, made: u64) -> Self {
        Self { made, ..self }
    }

    /// The custom fields that name members: one a noun, with one key everywhere.
    pub async fn define(&self) {
        for object in Noun::ALL {
            self.ask("fields.create", json!({ "object": object, "key": KEEPER, "type": "user" })).await;
        }
    }

    /// One of everything; what comes of it by itself has come.
    pub async fn fill(&mut self) {
        for noun in NOUNS {
            self.id(noun).await;
        }
        // What lists show besides: somebody of no team, a deal's activities, a chat that somebody looks after.
        let (user, company, stage) = (self.id("user").await, self.id("company").await, self.id("stage").await);
        let name = format!("Nobody's {}", self.word);
        let new = json!({ "name": name, "company_id": company, "assigned_to": user });
        let contact = self.ask("contacts.create", new).await["id"].clone();
        self.ask("contacts.move", json!({ "contact_id": contact, "stage_id": stage })).await;
        let (deal, chat) = (self.id("deal").await, self.id("chat").await);
        self.ask("notes.create_on_deal", json!({ "deal_id": deal, "text": name })).await;
        self.ask("tasks.create_for_deal", json!({ "deal_id": deal, "title": name })).await;
        self.ask("chats.update", json!({ "id": chat, "patch": { "assigned_to": user } })).await;
        self.crm.runtime().drain().await.unwrap();
    }

    /// A message that still waits, with its job.
    pub async fn wait(&mut self) {
        self.latest.retain(|noun, _| !matches!(*noun, "outgoing" | "job"));
        self.id("job").await;
    }

    /// An input with our ids in the places of `$` and new numbers in those of `#`.
    pub async fn resolved(&mut self, input: &Value) -> Value {
        let mut texts = BTreeMap::new();
        gather(input, &mut texts);
        for (text, into) in &mut texts {
            *into = match text.strip_prefix('$') {
                Some(noun) => self.id(noun).await,
                None if text.contains('#') => text.replace('#', &self.number().to_string()),
                None => text.clone(),
            };
        }
        replaced(input, &texts)
    }

    /// What is asked for next is made anew.
    pub fn forget(&mut self) {
        self.latest.clear();
    }

    /// Of these nouns what is asked for next is made anew.
    pub fn forget_those(&mut self, nouns: &[&str]) {
        self.latest.retain(|noun, _| !nouns.contains(noun));
    }

    /// What is made from now on this member looks after, who also does what is done by one member.
    pub fn look_after(&mut self, asker: Handle) {
        self.forget();
        self.keeper = asker.scope().user_id();
        self.asker = asker;
    }

    /// Takes these for its own.
    pub fn share(&mut self, other: &Self, nouns: &[&'static str]) {
        self.latest.extend(nouns.iter().map(|noun| (*noun, other.latest[noun].clone())));
    }

    /// What an operation has changed or removed is made anew; pipelines, of which there are only so many, if it was about
    /// them.
    pub fn forget_after(&mut self, operation: &Operation) {
        let frame = operation.name.starts_with("pipelines.") || operation.name.starts_with("stages.");
        self.latest.retain(|noun, _| !frame && matches!(*noun, "pipeline" | "stage" | "other stage"));
    }

    /// Somebody of this role joins, and what is made for one member is made for them from now on.
    pub async fn let_ask(&mut self, role: Role, password: Option<String>) -> String {
        let email = format!("{role}-{}@{}.example", self.number(), self.word);
        let new = NewUser { email: email.clone(), name: format!("The {role} {}", self.word), password };
        let member = self.crm.organizations().add_member(self.organization, new, role).await.unwrap();
        self.asker = self.crm.as_user(self.organization, member.user_id).await.unwrap();
        self.forget();
        email
    }

    fn asker_id(&self) -> UserId {
        self.asker.scope().user_id().unwrap()
    }

    /// The last number that it gave.
    pub fn made(&self) -> u64 {
        self.made
    }

    pub fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    async fn ask(&self, operation: &str, input: Value) -> Value {
        self.me.call(operation, input.clone()).await.unwrap_or_else(|error| panic!("{operation} {input}: {error}"))
    }

    /// The id of one of these.
    pub fn id<'s>(&'s mut self, noun: &'s str) -> BoxFuture<'s, String> {
        async move {
            let noun = NOUNS.iter().copied().find(|it| *it == noun).unwrap_or_else(|| panic!("no {noun} can be made"));
            if let Some(id) = self.latest.get(noun) {
                return id.clone();
            }
            let id = self.make(noun).await;
            self.latest.insert(noun, id.clone());
            id
        }
        .boxed()
    }

    async fn make(&mut self, noun: &'static str) -> String {
        let (word, number) = (self.word, self.number());
        let name = format!("{noun} {number} {word}");
        let email = format!("{}-{number}@{word}.example", noun.replace(' ', "-"));
        let made = match noun {
            "user" if self.keeper.is_some() => json!({ "id": self.keeper }),
            "user" | "other user" => {
                let new = NewUser { email, name, password: None };
                let member = self.crm.organizations().add_member(self.organization, new, Role::Member).await.unwrap();
                json!({ "id": member.user_id })
            }
            "team" => {
                let team = self.ask("teams.create", json!({ "name": name })).await;
                let user = self.id("user").await;
                self.ask("teams.add_member", json!({ "id": team["id"], "user_id": user })).await;
                team
            }
            "session" => {
                let (mut samples, now) = (self.samples(number), self.crm.env().now());
                let user = samples.user();
                let session = SignInSession {
                    user_id: self.asker_id(),
                    user_agent: Some(name),
                    created_at: now,
                    expires_at: now + TimeDelta::days(1),
                    ..samples.session(&user)
                };
                self.write(&mut samples, Write::insert(&session)).await;
                json!({ "id": session.id })
            }
            "identity" => {
                // Another way in besides: the last one stays.
                let (mut samples, user) = (self.samples(number), self.asker_id());
                let stranger = samples.user();
                let [one, other] = [&name, &format!("{name}, too")].map(|subject| LinkedIdentity {
                    user_id: user,
                    subject: subject.clone(),
                    email: Some(email.clone()),
                    ..samples.linked_identity(&stranger)
                });
                self.write(&mut samples, Write::insert(&one)).await;
                self.write(&mut samples, Write::insert(&other)).await;
                json!({ "id": one.id })
            }
            "invitation" => {
                let team = self.id("team").await;
                self.ask("invitations.create", json!({ "email": email, "role": "member", "team_id": team })).await
            }
            "me" => json!({ "id": self.asker_id() }),
            "api key" => {
                let input = json!({ "name": name, "scopes": ["contacts:read"], "acts_for": self.asker_id() });
                self.ask("api_keys.create", input).await
            }
            "role" | "other role" => {
                let role = self.ask("roles.create", json!({ "name": name, "permissions": ["contacts:read"] })).await;
                let user = self.id("other user").await;
                if noun == "role" && self.word != "acme" {
                    self.ask("members.set_role", json!({ "id": user, "role": role["id"] })).await;
                }
                role
            }
            "field" => {
                let input = json!({ "object": "contact", "key": format!("k{number}"), "type": "text", "label": name });
                self.ask("fields.create", input).await
            }
            "company" => {
                let user = self.id("user").await;
                let input = json!({ "name": name, "domain": format!("c{number}.{word}.example"), "industry": word,
                    "tags": [word], "external_ids": { "erp": format!("company-{number}") },
                    "custom": { KEEPER: user } });
                self.ask("companies.create", input).await
            }
            "pipeline" => {
                let stages = json!([{ "name": format!("First {word}") }, { "name": format!("Second {word}") }]);
                let made = self.ask("pipelines.create", json!({ "name": name, "stages": stages })).await;
                let id = |at: usize| made["stages"][at]["id"].as_str().unwrap().to_owned();
                self.latest.extend([("stage", id(0)), ("other stage", id(1))]);
                made
            }
            "stage" | "other stage" => {
                self.id("pipeline").await;
                json!({ "id": self.latest[noun] })
            }
            "contact" => {
                let (company, team) = (self.id("company").await, self.id("team").await);
                let (user, stage) = (self.id("user").await, self.id("stage").await);
                let external = json!({ "erp": format!("contact-{number}") });
                let input = json!({ "name": name, "emails": [email], "company_id": company, "team_id": team,
                    "assigned_to": user, "tags": [word], "source": word, "external_ids": external,
                    "custom": { KEEPER: user } });
                let made = self.ask("contacts.create", input).await;
                self.ask("contacts.move", json!({ "contact_id": made["id"], "stage_id": stage })).await;
                made
            }
            "deal" => {
                let (contact, user) = (self.id("contact").await, self.id("user").await);
                let (company, stage) = (self.id("company").await, self.id("stage").await);
                let external = json!({ "erp": format!("deal-{number}") });
                let input = json!({ "name": name, "contact_id": contact, "company_id": company, "assigned_to": user,
                    "stage_id": stage, "value": { "amount": "7.00", "currency": "EUR" }, "external_ids": external,
                    "custom": { KEEPER: user } });
                self.ask("deals.create", input).await
            }
            "note" => {
                let contact = self.id("contact").await;
                self.ask("notes.create_on_contact", json!({ "contact_id": contact, "text": name })).await
            }
            "task" => {
                let (contact, user) = (self.id("contact").await, self.id("user").await);
                let input = json!({ "contact_id": contact, "title": name, "assigned_to": user });
                self.ask("tasks.create_for_contact", input).await
            }
            "rule" => {
                let input = json!({ "name": name, "trigger": "contact.created", "action": { "add_tag": word } });
                self.ask("rules.create", input).await
            }
            "account" => {
                let mut input = json!(self.provider.account(&email));
                input["visibility"] = json!("organization");
                let may = self.asker.scope().require(Permission::write(Resource::Accounts)).is_ok();
                let by = if may { &self.asker } else { &self.me };
                by.call("accounts.connect", input).await.unwrap()["account"].clone()
            }
            "chat" => {
                let (account, contact) = (self.id("account").await, self.id("contact").await);
                let contact = self.ask("contacts.get", json!(contact)).await;
                let inbox = self.crm.inbox(self.organization, account.parse().unwrap()).await.unwrap();
                let from = contact["emails"][0].as_str().unwrap();
                let incoming = message(&name, from, &name, self.crm.env().now());
                inbox.deliver(vec![incoming.into()], Value::Null).await.unwrap();
                let chats = self.ask("chats.list", json!({ "account_id": account })).await;
                json!({ "id": chats["data"][0]["chat_id"] })
            }
            "message" => {
                let chat = self.id("chat").await;
                self.ask("messages.list", json!({ "chat_id": chat })).await["data"][0].clone()
            }
            "outgoing" => {
                let chat = self.id("chat").await;
                self.ask("messages.send", json!({ "chat_id": chat, "text": name })).await
            }
            "job" => {
                self.id("outgoing").await;
                self.ask("jobs.list", json!({ "limit": 1 })).await["data"][0].clone()
            }
            "own job" => {
                // Not part of anything that could be cancelled in its place.
                let stage = self.id("stage").await;
                let input = json!({ "name": name, "trigger": "time_elapsed", "action": { "add_tag": word },
                    "condition": { "stage": stage, "elapsed_hours": 48 } });
                self.ask("rules.create", input).await;
                let jobs = self.ask("jobs.list", json!({})).await;
                let mut jobs = jobs["data"].as_array().unwrap().iter();
                jobs.find(|job| job["kind"] == "plant_timers").unwrap().clone()
            }
            "media" => {
                let data = base64::engine::general_purpose::STANDARD.encode(&name);
                self.ask("media.upload", json!({ "name": format!("{name}.txt"), "data": data })).await
            }
            "notification" => {
                self.tell(self.asker_id()).await;
                return self.latest[noun].clone();
            }
            "run" => {
                let (mut samples, contact) = (self.samples(number), self.id("contact").await.parse::<ContactId>());
                let mut rule = samples.rule();
                rule.id = self.id("rule").await.parse().unwrap();
                let event = samples.event(EventKind::ContactCreated, *contact.as_ref().unwrap());
                let mut made = samples.run(&rule, &event, contact.ok());
                made.facts = json!({ "contact": name });
                made.deal_id = Some(self.id("deal").await.parse().unwrap());
                self.write(&mut samples, Write::insert(&made)).await;
                json!({ "id": made.id })
            }
            other => panic!("no {other} can be made"),
        };
        made["id"].as_str().unwrap_or_else(|| panic!("{noun}: no id in {made}")).to_owned()
    }

    /// Tells a person something.
    pub async fn tell(&mut self, user: UserId) {
        let (number, contact) = (self.number(), self.id("contact").await);
        let mut samples = self.samples(number);
        let mut made = samples.notification(user);
        (made.title, made.contact_id) = (format!("Notification {}", self.word), Some(contact.parse().unwrap()));
        self.write(&mut samples, Write::insert(&made)).await;
        self.latest.insert("notification", made.id.to_string());
    }

    /// Makes rows that only the engine's loops make else.
    fn samples(&self, number: u64) -> Samples {
        let seed = self.word.bytes().fold(number, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let mut samples = Samples::new(seed);
        samples.organization_id = self.organization;
        samples
    }

    async fn write(&self, samples: &mut Samples, write: Write) {
        let batch = samples.batch([write]);
        self.store.commit(self.organization, batch).await.unwrap();
    }
}
