//! The world of contacts and pipelines, with rules in it.

use std::ops::Deref;

use chrono::{DateTime, Duration, Utc};
use dealwright::{
    Crm, Handle, Registry,
    domain::{contact::Contact, run::Run},
    id::{AccountId, ContactId, RuleId},
    ports::connector::Incoming,
    services::{
        automation::{ListRuns, RuleView},
        contacts::{ListContacts, NewContact},
    },
    testkit::provider::{Provider, message},
};
use dealwright_rules::declarative::Declarative;
use serde_json::{Value, json};

pub use crate::harness::world::{noon, pointers, refused};
use crate::{
    harness::{Database, world},
    script::Script,
};

pub struct World {
    base: world::World,
    pub provider: Provider,
    /// What rules of the engine `scripted` do.
    pub script: Script,
}

impl Deref for World {
    type Target = world::World;

    fn deref(&self) -> &world::World {
        &self.base
    }
}

fn registry(provider: &Provider, script: &Script) -> Registry {
    let mut registry = Registry::new();
    registry.rule_engine(Declarative).rule_engine(script.clone()).connector(provider.clone());
    registry
}

/// The address of the account.
const MAILBOX: &str = "una@acme.example";

impl World {
    pub async fn new(database: Database) -> Self {
        let (provider, script) = (Provider::new("email"), Script::default());
        let base = world::World::new(database, registry(&provider, &script)).await;
        Self { base, provider, script }
    }

    /// Connects the account; what it receives is delivered by [`World::receive`].
    pub async fn mailbox(&self) -> AccountId {
        self.me.accounts().connect(self.provider.account(MAILBOX)).await.unwrap().account.account.id
    }

    /// Somebody writes, and the rules see it. Answers who it is.
    pub async fn receive(&self, account: AccountId, incoming: Incoming) -> Contact {
        let email = incoming.sender.email.clone();
        self.deliver(account, incoming).await;
        self.settle().await;
        let who = ListContacts { email, ..ListContacts::default() };
        self.me.contacts().list(who).await.unwrap().data.remove(0)
    }

    pub async fn deliver(&self, account: AccountId, incoming: Incoming) {
        let inbox = self.crm.inbox(self.organization, account).await.unwrap();
        inbox.deliver(vec![incoming.into()], json!(null)).await.unwrap();
    }

    /// A message that is written now.
    pub fn note(&self, from: &str, text: &str) -> Incoming {
        self.later(1);
        let now = self.env.now();
        message(&format!("{from}/{now}"), from, text, now)
    }

    /// Another engine over the same database, as a second process would be.
    pub async fn second_engine(&self) -> (Crm, Handle) {
        let registry = registry(&self.provider, &self.script);
        let crm =
            Crm::builder().store(self.store.clone()).env(self.env.clone()).registry(registry).build().await.unwrap();
        let me = crm.as_user(self.organization, self.una).await.unwrap();
        (crm, me)
    }

    /// Saves a rule.
    pub async fn rule(&self, definition: Value) -> RuleId {
        saved(&self.me, definition).await
    }

    pub async fn edit(&self, rule: RuleId, patch: Value) -> Value {
        self.me.call("rules.update", json!({ "id": rule, "patch": patch })).await.unwrap()
    }

    pub async fn rule_now(&self, rule: RuleId) -> RuleView {
        self.me.rules().get(rule).await.unwrap()
    }

    /// Does everything that is due, and what comes of it.
    pub async fn settle(&self) -> u64 {
        self.crm.runtime().drain().await.unwrap()
    }

    /// Lets time pass, in one step, and does what is due then.
    pub async fn hours(&self, hours: f64) {
        self.clock.advance(Duration::milliseconds((hours * 3_600_000.0) as i64));
        self.settle().await;
    }

    /// Makes it `at`, which must be later, and does what is due then.
    pub async fn until(&self, at: DateTime<Utc>) {
        let wait = at - self.env.now();
        assert!(wait > Duration::zero(), "{at} has passed");
        self.clock.advance(wait);
        self.settle().await;
    }

    /// A new contact in the first stage, with whatever rules say to it.
    pub async fn settled(&self, name: &str) -> Contact {
        let contact = self.contact(name).await;
        self.settle().await;
        self.contact_now(contact.id).await
    }

    pub async fn contact_from(&self, name: &str, source: &str) -> Contact {
        self.later(1);
        let new = NewContact { name: name.to_owned(), source: Some(source.to_owned()), ..Default::default() };
        self.me.contacts().create(new).await.unwrap()
    }

    pub async fn contact_now(&self, contact: ContactId) -> Contact {
        self.me.contacts().get(contact).await.unwrap()
    }

    /// The name of the stage that a contact is in.
    pub async fn stage_of(&self, contact: ContactId) -> String {
        let contact = self.contact_now(contact).await;
        let pipelines = self.me.pipelines().list(Default::default()).await.unwrap().data;
        let mut stages = pipelines.into_iter().flat_map(|pipeline| pipeline.stages);
        stages.find(|stage| stage.id == contact.stage_id).unwrap().name
    }

    /// Every run, oldest first.
    pub async fn runs(&self) -> Vec<Run> {
        self.runs_by(ListRuns::default()).await
    }

    pub async fn runs_of(&self, rule: RuleId) -> Vec<Run> {
        self.runs_by(ListRuns { rule_id: Some(rule), ..ListRuns::default() }).await
    }

    async fn runs_by(&self, which: ListRuns) -> Vec<Run> {
        let mut runs = self.me.runs().list(ListRuns { limit: Some(200), ..which }).await.unwrap().data;
        runs.reverse();
        runs
    }

    /// How the runs of a rule ended, oldest first.
    pub async fn outcomes(&self, rule: RuleId) -> Vec<&'static str> {
        self.runs_of(rule).await.iter().map(|run| run.outcome.as_str()).collect()
    }
}

pub async fn saved(me: &Handle, definition: Value) -> RuleId {
    let rule = me.call("rules.create", definition).await.unwrap();
    rule["id"].as_str().unwrap().parse().unwrap()
}
