//! People, organisations, sessions and tokens, through the doors, on each database.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod audit;
#[path = "../harness/mod.rs"]
mod harness;
mod mails;
mod organizations;
#[path = "../team/outbox.rs"]
mod outbox;
mod ownership;
mod passwords;
mod providers;
mod sessions;
mod tokens;
mod two_factor;

use std::{ops::Deref, process::ExitCode, sync::Arc};

use dealwright::{
    CrmBuilder, Registry,
    env::Env,
    services::identity::{SignUp, SignedIn, TokenKeys},
    testkit::voucher::Voucher,
};

use crate::{
    harness::{Database, world},
    outbox::Outbox,
};

/// Where people find the engine.
pub const PUBLIC_URL: &str = "https://crm.acme.example";

/// The world of contacts and pipelines, the key that signs its tokens, and a mail server that keeps what it is given.
pub struct World {
    base: world::World,
    /// The text of its key file.
    pub key_file: String,
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
        let key_file = TokenKeys::new_key_file(&Env::system()).unwrap();
        let keys = TokenKeys::from_key_file(&key_file).unwrap();
        let url = world::fresh(database).await;
        let outbox = Arc::new(Outbox::default());
        let mailer = outbox.clone();
        let mut registry = Registry::new();
        registry.sign_in_provider(Voucher::new("google")).sign_in_provider(Voucher::new("github"));
        let give =
            |builder: CrmBuilder| builder.token_keys(keys).mailer(mailer).public_url(PUBLIC_URL).registry(registry);
        let base = world::World::over(&url, give).await;
        Self { base, key_file, outbox }
    }

    /// Somebody who signs up as `NAME@acme.example` with an organisation of their own.
    pub async fn sign_up(&self, name: &str) -> SignedIn {
        let new = SignUp {
            email: address(name),
            password: PASSWORD.to_owned(),
            name: name.to_owned(),
            organization_name: Some(format!("{name}'s")),
            invite_token: None,
        };
        self.crm.identity().sign_up(new).await.unwrap()
    }
}

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery";

/// Where somebody gets their mail.
pub fn address(name: &str) -> String {
    format!("{name}@acme.example")
}

fn main() -> ExitCode {
    let rooms = [
        ("audit", audit::CASES),
        ("mails", mails::CASES),
        ("organizations", organizations::CASES),
        ("ownership", ownership::CASES),
        ("passwords", passwords::CASES),
        ("providers", providers::CASES),
        ("sessions", sessions::CASES),
        ("tokens", tokens::CASES),
        ("two_factor", two_factor::CASES),
    ];
    harness::run(&rooms, |database| Box::pin(World::new(database)))
}
