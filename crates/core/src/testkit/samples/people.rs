//! The organisation and the people in it.

use chrono::Duration;

use super::Samples;
use crate::{
    domain::{
        api_key::ApiKey,
        audit::{AuditChain, AuditEntry, AuditObject, payload_digest},
        company::Company,
        contact::Contact,
        currency::Currency,
        custom_field::{CustomField, CustomKind, Noun},
        data_key::{CommonKey, DataKey, MasterKey},
        erasure::Erasure,
        linked_identity::{LinkedIdentity, LoginState},
        mail_token::{MailPurpose, MailToken},
        message::{CreditKind, Message, MessageCredit},
        note::Note,
        notification::Preferences,
        organization::{
            Credential, Factor, Invitation, InvitationStatus, Membership, Organization, SecondFactor, SignInSession,
            User,
        },
        payload::ContactKey,
        retention::{Retention, RetentionDays, RetentionMark, Walk},
        role::{OwnRole, RecordVisibility},
        task::Task,
        team::{AssignmentTurn, Team, TeamMember, pool},
    },
    id::{Id, MessageId, TeamId, UserId},
    scope::{Actor, Role},
};

impl Samples {
    /// The organisation.
    pub fn organization(&self) -> Organization {
        Organization {
            id: self.organization_id,
            name: "Acme".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            locale: "de".to_owned(),
            currency: Currency::default(),
            require_two_factor: false,
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
            avatar_url: None,
            time_zone: None,
            locale: None,
            preferences: Preferences::default(),
            email_verified: false,
            created_at: self.hour(99),
            version: 1,
        }
    }

    /// An entry of the audit log that waits for its seal.
    pub fn audit_entry(&mut self) -> AuditEntry {
        let payload = format!("{{\"salt\":\"{:x}\"}}", self.next());
        AuditEntry {
            id: self.id(),
            organization_id: self.organization_id,
            at: self.hour(99),
            actor: Actor::System,
            actor_id: None,
            action: "teams.create".to_owned(),
            object_kind: AuditObject::Team,
            object_id: self.id::<TeamId>().uuid(),
            payload_digest: payload_digest(&payload),
            payload: Some(payload),
            seq: None,
            seal: None,
            sealed_by: None,
            sealed: None,
        }
    }

    /// The head of a chain.
    pub fn audit_chain(&mut self) -> AuditChain {
        let seal = self.next().to_be_bytes().to_vec();
        AuditChain { organization_id: self.organization_id, seq: 7, seal, sealed_at: Self::epoch() }
    }

    /// A master key that wraps something.
    pub fn master_key(&mut self) -> MasterKey {
        MasterKey { id: format!("{:016x}", self.next()), created_at: Self::epoch() }
    }

    /// A key of the organisation's that was destroyed, so that it refers to no other row.
    pub fn data_key(&mut self) -> DataKey {
        let (id, organization_id, created_at) = (self.id(), self.organization_id, Self::epoch());
        DataKey { id, organization_id, master_key: None, wrapped: None, created_at, retired_at: None }
    }

    /// The same of a key of what is people's own.
    pub fn common_key(&mut self) -> CommonKey {
        let (id, created_at) = (self.id(), Self::epoch());
        CommonKey { id, master_key: None, wrapped: None, created_at, retired_at: None }
    }

    /// A password that nobody knows.
    pub fn credential(&self, user: &User) -> Credential {
        Credential { user_id: user.id, password_hash: "$argon2id$v=19$".to_owned(), updated_at: Self::epoch() }
    }

    /// Their second factor.
    pub fn second_factor(&mut self, user: &User, key: &CommonKey) -> SecondFactor {
        SecondFactor {
            user_id: user.id,
            key_id: key.id,
            sealed: self.next().to_be_bytes().to_vec(),
            enabled: true,
            last_step: 7,
            recovery: vec!["hash".to_owned()],
            created_at: Self::epoch(),
        }
    }

    /// A secret that they were sent.
    pub fn mail_token(&mut self, user: &User) -> MailToken {
        MailToken {
            user_id: user.id,
            purpose: MailPurpose::ResetPassword,
            token_hash: self.next().to_be_bytes().to_vec(),
            email: user.email.clone(),
            expires_at: Self::epoch() + Duration::hours(1),
            used_at: None,
            created_at: Self::epoch(),
        }
    }

    /// Their place in the organisation.
    pub fn membership(&mut self, user: &User) -> Membership {
        Membership {
            organization_id: self.organization_id,
            user_id: user.id,
            role: self.choose(Role::ALL).into(),
            created_at: self.hour(99),
        }
    }

    /// An invitation that can be accepted for a week.
    pub fn invitation(&mut self) -> Invitation {
        let created_at = self.hour(99);
        Invitation {
            id: self.id(),
            organization_id: self.organization_id,
            email: format!("guest{}@acme.example", self.number()),
            role: self.choose(Role::ALL).into(),
            team_id: None,
            invited_by: None,
            token_hash: self.next().to_be_bytes().to_vec(),
            status: InvitationStatus::Pending,
            expires_at: created_at + Duration::days(7),
            created_at,
        }
    }

    /// A role of the organisation's own.
    pub fn own_role(&mut self) -> OwnRole {
        let (name, created_at) = (format!("Role {}", self.number()), self.hour(99));
        OwnRole {
            id: self.id(),
            organization_id: self.organization_id,
            name_key: name.to_lowercase(),
            name,
            permissions: self.choose(Role::ALL).permissions(),
            record_visibility: self.choose(RecordVisibility::ALL),
            fields: serde_json::from_str(r#"{"deal": {"value": "hidden", "name": "read_only"}}"#).unwrap_or_default(),
            given: 0,
            created_at,
            updated_at: created_at,
            version: 1,
        }
    }

    /// A key of somebody's.
    pub fn api_key(&mut self, user: &User) -> ApiKey {
        ApiKey {
            id: self.id(),
            organization_id: self.organization_id,
            name: format!("Key {}", self.number()),
            prefix: format!("dw_{}", self.number()),
            secret_hash: self.next().to_be_bytes().to_vec(),
            scopes: self.choose(Role::ALL).permissions(),
            acts_for: Some(user.id),
            created_by: Some(user.id),
            expires_at: Some(self.hour(99)),
            last_used_at: None,
            created_at: self.hour(99),
        }
    }

    /// A team.
    pub fn team(&mut self) -> Team {
        let (name, created_at) = (format!("Team {}", self.number()), self.hour(99));
        Team {
            id: self.id(),
            organization_id: self.organization_id,
            name_key: name.to_lowercase(),
            name,
            created_at,
            updated_at: created_at,
            version: 1,
        }
    }

    /// Somebody's place in it.
    pub fn team_member(&mut self, team: &Team, user_id: UserId) -> TeamMember {
        TeamMember { organization_id: self.organization_id, team_id: team.id, user_id, created_at: self.hour(99) }
    }

    /// Their last turn in it.
    pub fn turn(&mut self, team: &Team, user_id: UserId) -> AssignmentTurn {
        AssignmentTurn {
            organization_id: self.organization_id,
            pool_id: pool(Some(team.id)),
            user_id,
            last_at: self.hour(99),
            version: 1,
        }
    }

    /// Somebody's credit for a message, after a wait.
    pub fn credit(&mut self, message: &Message, user_id: UserId) -> MessageCredit {
        MessageCredit {
            organization_id: self.organization_id,
            at: message.timestamp,
            message_id: message.id,
            user_id,
            kind: CreditKind::Sent,
            waited_us: i64::try_from(self.number()).ok(),
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
            address: Some("2001:db8::7".to_owned()),
            network: Some("2001:db8::".to_owned()),
            user_agent: Some("Sample/1.0".to_owned()),
            factors: vec![Factor::Password, Factor::Totp],
            proven_at: Self::epoch(),
            created_at: Self::epoch(),
        }
    }

    /// Who they are elsewhere.
    pub fn linked_identity(&mut self, user: &User) -> LinkedIdentity {
        LinkedIdentity {
            id: self.id(),
            user_id: user.id,
            provider: "google".to_owned(),
            subject: self.next().to_string(),
            email: Some(user.email.clone()),
            last_used_at: None,
            created_at: self.hour(99),
        }
    }

    /// A step of somebody's sign-in that waits for the next one.
    pub fn login_state(&mut self, key: &CommonKey) -> LoginState {
        LoginState {
            id: self.id(),
            token_hash: self.next().to_be_bytes().to_vec(),
            browser_hash: Some(self.next().to_be_bytes().to_vec()),
            key_id: key.id,
            sealed: vec![7; 40],
            used_at: None,
            expires_at: Self::epoch() + Duration::minutes(10),
            created_at: Self::epoch(),
        }
    }

    /// The key of a contact.
    pub fn contact_key(&mut self, contact: &Contact) -> ContactKey {
        let key = Some([self.next(), self.next(), self.next(), self.next()].map(u64::to_be_bytes).concat());
        ContactKey { organization_id: self.organization_id, contact_id: contact.id, key }
    }

    /// The erasure of a contact.
    pub fn erasure(&mut self, contact: &Contact) -> Erasure {
        Erasure {
            organization_id: self.organization_id,
            contact_id: contact.id,
            job_id: self.id(),
            created_at: Self::epoch(),
            finished_at: None,
        }
    }

    /// How long things are kept.
    pub fn retention(&self) -> Retention {
        Retention {
            organization_id: self.organization_id,
            days: RetentionDays { messages: Some(30), ..RetentionDays::default() },
            progress: serde_json::json!({ "cleared": 7 }),
            updated_at: Self::epoch(),
            version: 1,
        }
    }

    /// What a walk through old things remembers of one of them.
    pub fn retention_mark(&mut self) -> RetentionMark {
        RetentionMark { organization_id: self.organization_id, walk: Walk::Messages, id: self.id::<MessageId>().uuid() }
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

    /// A note on a contact.
    pub fn note(&mut self, contact: &Contact) -> Note {
        Note {
            id: self.id(),
            organization_id: self.organization_id,
            contact_id: Some(contact.id),
            deal_id: None,
            text: "Likes tea".to_owned(),
            created_by: None,
            created_at: Self::epoch(),
            updated_at: Self::epoch(),
            version: 1,
        }
    }

    /// A task for a contact.
    pub fn task(&mut self, contact: &Contact) -> Task {
        Task {
            id: self.id(),
            organization_id: self.organization_id,
            contact_id: Some(contact.id),
            deal_id: None,
            title: "Call back".to_owned(),
            due_at: None,
            remind_at: None,
            assigned_to: None,
            done: false,
            done_at: None,
            due_told: false,
            reminded: false,
            created_by: None,
            created_at: Self::epoch(),
            updated_at: Self::epoch(),
            version: 1,
        }
    }
}
