//! The organisation and the people in it.

use chrono::Duration;

use super::Samples;
use crate::{
    domain::{
        company::Company,
        custom_field::{CustomField, CustomKind, Noun},
        organization::{Credential, Membership, Organization, SignInSession, User},
    },
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

    /// A company.
    pub fn company(&mut self) -> Company {
        let number = self.number();
        Company {
            id: self.id(),
            organization_id: self.organization_id,
            name: format!("Company {number}"),
            name_key: format!("company {number}"),
            domain: Some(format!("company{number}.example")),
            industry: None,
            size: None,
            website: None,
            tags: Vec::new(),
            custom: serde_json::Map::new(),
            external_ids: std::collections::BTreeMap::new(),
            created_at: Self::epoch(),
            updated_at: Self::epoch(),
            deleted_at: None,
            version: 1,
        }
    }

    /// A custom field of contacts that holds a text.
    pub fn custom_field(&mut self) -> CustomField {
        let key = format!("field{}", self.number());
        CustomField {
            id: self.id(),
            organization_id: self.organization_id,
            object: Noun::Contact,
            label: key.clone(),
            key,
            kind: CustomKind::Text,
            options: Vec::new(),
            created_at: Self::epoch(),
            updated_at: Self::epoch(),
            version: 1,
        }
    }
}
