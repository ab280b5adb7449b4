//! People, organisations, sessions and tokens, through the doors, on each database.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../harness/mod.rs"]
mod harness;
mod organizations;
mod passwords;
mod sessions;
mod tokens;

use std::{ops::Deref, process::ExitCode};

use dealwright::{
    env::Env,
    services::identity::{SignUp, SignedIn, TokenKeys},
};

use crate::harness::{Database, world};

/// The world of contacts and pipelines, and the key that signs its tokens.
pub struct World {
    base: world::World,
    /// The text of its key file.
    pub key_file: String,
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
        let base = world::World::over(&url, |builder| builder.token_keys(keys)).await;
        Self { base, key_file }
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
        ("organizations", organizations::CASES),
        ("passwords", passwords::CASES),
        ("sessions", sessions::CASES),
        ("tokens", tokens::CASES),
    ];
    harness::run(&rooms, |database| Box::pin(World::new(database)))
}
