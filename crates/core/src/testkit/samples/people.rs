//! The organisation and the people in it.

use chrono::Duration;

use super::Samples;
use crate::{
    domain::organization::{Credential, Membership, Organization, SignInSession, User},
    id::UserId,
    scope::Role,
};

impl Samples {
    /// The organisation.
    pub fn organization(&self) -> Organization {
        Organization {
            id: self.organization_id,
            name: "Acme".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            created_at: Self::epoch(),
            updated_at: Self::epoch(),
            version: 1,
        }
    }

    /// Somebody.
    pub fn user(&mut self) -> User {
        let (id, number) = (self.id::<UserId>(), self.number());
        User {
            id,
            email: format!("user{number}-{id}@acme.example"),
            name: format!("User {number}"),
            created_at: self.hour(99),
        }
    }

    /// A password that nobody knows.
    pub fn credential(&self, user: &User) -> Credential {
        Credential { user_id: user.id, password_hash: "$argon2id$v=19$".to_owned(), updated_at: Self::epoch() }
    }

    /// Their place in the organisation.
    pub fn membership(&mut self, user: &User) -> Membership {
        Membership {
            organization_id: self.organization_id,
            user_id: user.id,
            role: self.choose(Role::ALL),
            created_at: self.hour(99),
        }
    }

    /// Their session.
    pub fn session(&mut self, user: &User) -> SignInSession {
        SignInSession {
            id: self.id(),
            user_id: user.id,
            organization_id: self.organization_id,
            refresh_hash: self.next().to_be_bytes().to_vec(),
            previous_hash: Some(self.next().to_be_bytes().to_vec()),
            refreshed_at: Self::epoch(),
            expires_at: Self::epoch() + Duration::days(30),
            revoked_at: None,
            created_at: Self::epoch(),
        }
    }
}
