//! Members, invitations, API keys, teams, assigning, settings and profiles, through the doors, on each database.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod api_keys;
mod assigning;
mod closed_fields;
#[path = "../harness/mod.rs"]
mod harness;
mod invitations;
mod members;
mod outbox;
mod profiles;
mod roles;
mod rules;
mod settings;
mod teams;
mod visibility;

use std::{ops::Deref, process::ExitCode, sync::Arc};

use dealwright::{Handle, Registry, domain::notification::Notification, page::PageRequest};
use dealwright_rules::declarative::Declarative;
use serde_json::{Value, json};

use crate::{
    harness::{Database, cases, world},
    outbox::Outbox,
};

/// The world of contacts and pipelines, with rules and a mail server that keeps what it is given.
pub struct World {
    base: world::World,
    pub outbox: Arc<Outbox>,
}

impl Deref for World {
    type Target = world::World;

    fn deref(&self) -> &world::World {
        &self.base
    }
}

impl World {
    async fn new(database: Database) -> Self {
        let outbox = Arc::new(Outbox::default());
        let mailer = outbox.clone();
        let url = world::fresh(database).await;
        let base = world::World::over(&url, |builder| {
            let mut registry = Registry::new();
            registry.rule_engine(Declarative);
            builder.registry(registry).mailer(mailer).public_url("https://crm.acme.example/")
        })
        .await;
        Self { base, outbox }
    }

    /// Does everything that is due, and what comes of it.
    pub async fn settle(&self) {
        self.crm.runtime().drain().await.unwrap();
    }

    /// Calls an operation as the owner.
    pub async fn ask(&self, operation: &str, input: Value) -> Value {
        self.me.call(operation, input).await.unwrap()
    }

    /// Makes a team of these members.
    pub async fn team(&self, name: &str, members: &[dealwright::id::UserId]) -> Value {
        self.later(1);
        let team = self.ask("teams.create", json!({ "name": name })).await["id"].clone();
        for member in members {
            self.later(1);
            self.ask("teams.add_member", json!({ "id": team, "user_id": member })).await;
        }
        team
    }

    pub async fn field(&self, contact: dealwright::id::ContactId, field: &str) -> Value {
        self.ask("contacts.get", json!(contact)).await[field].clone()
    }
}

/// What somebody has been told, newest first.
pub async fn told(who: &Handle) -> Vec<Notification> {
    who.notifications().list(PageRequest { limit: Some(200), cursor: None }).await.unwrap().data
}

fn main() -> ExitCode {
    let rooms = [
        ("members", members::CASES),
        ("invitations", invitations::CASES),
        ("api_keys", api_keys::CASES),
        ("teams", teams::CASES),
        ("assigning", assigning::CASES),
        ("roles", roles::CASES),
        ("visibility", visibility::CASES),
        ("closed_fields", closed_fields::CASES),
        ("rules", rules::CASES),
        ("settings", settings::CASES),
        ("profiles", profiles::CASES),
    ];
    harness::run(&rooms, |database| Box::pin(World::new(database)))
}
