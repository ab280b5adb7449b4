//! Which table keeps which noun, column by column: the one list that the SQL store, the migrations' parity test and the
//! unit's overlay go by. A column has the name of the struct's field.

use crate::{
    domain::{
        account::{Account, SealedSecret, SkippedMessage, SyncCursor},
        api_key::ApiKey,
        audit::{AuditChain, AuditEntry},
        chat::Chat,
        company::{Company, CompanyTag},
        contact::{Contact, ContactIdentity, ContactTag},
        currency::Currency,
        custom_field::{CustomField, CustomValue},
        data_key::{CommonKey, DataKey, MasterKey},
        deal::Deal,
        erasure::Erasure,
        event::{Event, Subject},
        external_id::ExternalId,
        job::Job,
        linked_identity::{LinkedIdentity, LoginState},
        mail_token::MailToken,
        media::Media,
        message::{Message, MessageCredit},
        money::Money,
        note::Note,
        notification::Notification,
        organization::{Credential, Invitation, Membership, Organization, SecondFactor, SignInSession, User},
        payload::{ContactKey, Personal},
        pipeline::{Pipeline, Stage, StageMove},
        retention::{Retention, RetentionMark},
        role::OwnRole,
        rule::Rule,
        run::{Run, Timer},
        task::Task,
        team::{AssignmentTurn, Team, TeamMember},
    },
    error::{Error, Result},
    ports::store::{
        idempotency::IdempotencyRecord,
        value::{Column, Value},
    },
};

/// A table: its columns in order, and which of them are the key.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Every column, in the order of rows.
    pub columns: &'static [&'static str],
    /// The columns that name one row; the organisation comes first in every table under row-level security.
    pub key: &'static [&'static str],
    /// Whether it stands outside row-level security (ARCHITECTURE, decision 5).
    pub global: bool,
    /// Whether a part of its rows is sealed by a contact's key.
    pub personal: bool,
}

impl Table {
    /// Whether the audit log tells of changes of it.
    pub(crate) fn is_audited(&self) -> bool {
        AUDITED.contains(&self.name)
    }

    /// The place of a column in a row.
    ///
    /// # Errors
    /// `internal` if the table has no such column.
    pub fn position(&self, column: &str) -> Result<usize> {
        self.columns
            .iter()
            .position(|it| *it == column)
            .ok_or_else(|| Error::internal(format!("{} has no column {column}", self.name)))
    }
}

/// Tables whose changes the audit log tells. What of them, it says itself (`services/audit/objects.rs`); here only that
/// writes keep the rows as they were read.
pub(crate) const AUDITED: &[&str] = &[
    "organizations",
    "users",
    "credentials",
    "second_factors",
    "identities",
    "memberships",
    "sessions",
    "api_keys",
    "roles",
    "invitations",
    "teams",
    "team_members",
    "pipelines",
    "stages",
    "contacts",
    "erasures",
    "retention",
    "companies",
    "deals",
    "custom_fields",
    "accounts",
    "account_secrets",
    "rules",
];

/// Tables that say whether a session stands and what its member may do, and see.
pub(crate) const SEATS: &[&str] =
    &["organizations", "second_factors", "memberships", "sessions", "roles", "teams", "team_members"];

/// One row, in the order of [`Table::columns`].
pub type Row = Vec<Value>;

/// A noun that a table keeps.
pub trait Record: Sized + Clone + Send + Sync {
    /// Its table.
    const TABLE: &'static Table;
    /// Its row.
    fn to_row(&self) -> Row;
    /// Reads its row.
    ///
    /// # Errors
    /// `internal` if the row is none of ours.
    fn from_row(row: Row) -> Result<Self>;

    /// The values of the key's columns.
    fn key(&self) -> Row {
        let row = self.to_row();
        let key = |column: &&str| Self::TABLE.columns.iter().position(|it| it == column);
        Self::TABLE.key.iter().filter_map(key).filter_map(|place| row.get(place).cloned()).collect()
    }
}

/// The next column of a row that is being read.
fn take<T: Column>(row: &mut std::vec::IntoIter<Value>, table: &str, column: &str) -> Result<T> {
    let value = row.next().ok_or_else(|| Error::internal(format!("a row of {table} ends before {column}")))?;
    T::from_value(value).map_err(|e| Error::internal(format!("{table}.{column} cannot be read")).with_source(e))
}

/// A row with a part that may be sealed, opened if the key of its contact follows it, as it does in what the store reads.
fn opened<T: Personal>(record: T, row: &mut std::vec::IntoIter<Value>) -> Result<T> {
    match row.next() {
        Some(key) => {
            let key = Option::<Vec<u8>>::from_value(key)
                .map_err(|e| Error::internal("the key of a contact cannot be read").with_source(e))?;
            record.opened(key.as_deref())
        }
        None => Ok(record),
    }
}

/// Declares the tables, in an order that puts what is pointed at first. A record that is no plain list of its fields
/// stands here by its name alone, and is written by hand below.
macro_rules! records {
    ($($type:ident $(= $table:literal $(($kind:ident))? key [$($key:ident),+] { $($field:ident),+ $(,)? })?)*) => {
        /// Every table of records.
        pub const TABLES: &[&Table] = &[$($type::TABLE,)*];
        $($(impl Record for $type {
            const TABLE: &'static Table = &Table {
                name: $table,
                columns: &[$(stringify!($field)),+],
                key: &[$(stringify!($key)),+],
                global: false $(|| records!(@global $kind))?,
                personal: false $(|| records!(@personal $kind))?,
            };
            fn to_row(&self) -> Row { vec![$(self.$field.to_value()),+] }
            fn from_row(row: Row) -> Result<Self> {
                let mut row = row.into_iter();
                let record = Self { $($field: take(&mut row, $table, stringify!($field))?),+ };
                records!(@open record, row $(, $kind)?)
            }
        })?)*
    };
    (@global global) => { true };
    (@global personal) => { false };
    (@personal personal) => { true };
    (@personal global) => { false };
    (@open $record:ident, $row:ident, personal) => { opened($record, &mut $row) };
    (@open $record:ident, $row:ident $(, global)?) => { Ok($record) };
}

records! {
    Organization = "organizations" (global) key [id] { id, name, time_zone, locale, currency, require_two_factor, created_at, updated_at, version }
    MasterKey = "master_keys" (global) key [id] { id, created_at }
    CommonKey = "common_keys" (global) key [id] { id, master_key, wrapped, created_at, retired_at }
    DataKey = "data_keys" key [organization_id, id] { id, organization_id, master_key, wrapped, created_at, retired_at }
    User = "users" (global) key [id] { id, email, name, avatar_url, time_zone, locale, preferences, email_verified, created_at, version }
    MailToken = "mail_tokens" (global) key [user_id, purpose] { user_id, purpose, token_hash, email, expires_at, used_at, created_at }
    Credential = "credentials" (global) key [user_id] { user_id, password_hash, updated_at }
    SecondFactor = "second_factors" (global) key [user_id] { user_id, key_id, sealed, enabled, last_step, recovery, created_at }
    Membership = "memberships" (global) key [organization_id, user_id] { organization_id, user_id, role, created_at }
    SignInSession = "sessions" (global) key [id] { id, user_id, organization_id, refresh_hash, previous_hash, refreshed_at, expires_at, revoked_at, address, network, user_agent, factors, proven_at, created_at }
    LinkedIdentity = "identities" (global) key [id] { id, user_id, provider, subject, email, last_used_at, created_at }
    LoginState = "login_states" (global) key [id] { id, token_hash, browser_hash, key_id, sealed, used_at, expires_at, created_at }
    ApiKey = "api_keys" (global) key [id] { id, organization_id, name, prefix, secret_hash, scopes, acts_for, created_by, expires_at, last_used_at, created_at }
    OwnRole = "roles" (global) key [organization_id, id] { id, organization_id, name, name_key, permissions, record_visibility, fields, given, created_at, updated_at, version }
    Invitation = "invitations" (global) key [id] { id, organization_id, email, role, team_id, invited_by, token_hash, status, expires_at, created_at }
    Team = "teams" key [organization_id, id] { id, organization_id, name, name_key, created_at, updated_at, version }
    TeamMember = "team_members" key [organization_id, team_id, user_id] { organization_id, team_id, user_id, created_at }
    AssignmentTurn = "assignment_turns" key [organization_id, pool_id, user_id] { organization_id, pool_id, user_id, last_at, version }
    Pipeline = "pipelines" key [organization_id, id] { id, organization_id, name, is_default, created_at, updated_at, version }
    Stage = "stages" key [organization_id, id] { id, organization_id, pipeline_id, name, order_index, color, kind, probability, automation_rules, created_at, updated_at, version }
    Contact = "contacts" key [organization_id, id] {
        id, organization_id, name, name_key, emails, phones, handles, company_id, assigned_to, team_id, source, tags, custom, external_ids,
        stage_id, pipeline_id, stage_entry_id, stage_entered_at, score, first_response_at, last_response_at, last_message_at, created_at,
        updated_at, deleted_at, version,
    }
    ContactIdentity = "contact_identities" key [organization_id, kind, value, contact_id] { organization_id, kind, value, contact_id, claimed }
    ContactTag = "contact_tags" key [organization_id, tag, contact_id] { organization_id, tag, contact_id }
    ContactKey = "contact_keys" key [organization_id, contact_id] { organization_id, contact_id, key }
    Erasure = "erasures" key [organization_id, contact_id] { organization_id, contact_id, job_id, created_at, finished_at }
    Retention = "retention" key [organization_id] { organization_id, days, progress, updated_at, version }
    RetentionMark = "retention_marks" key [organization_id, walk, id] { organization_id, walk, id }
    Company = "companies" key [organization_id, id] {
        id, organization_id, name, name_key, domain, industry, size, website, tags, custom, external_ids, created_at, updated_at,
        deleted_at, version,
    }
    CompanyTag = "company_tags" key [organization_id, tag, company_id] { organization_id, tag, company_id }
    CustomField = "custom_fields" key [organization_id, id] {
        id, organization_id, object, key, label, kind, options, created_at, updated_at, version,
    }
    CustomValue = "custom_values" key [organization_id, field_id, value, record_id] { organization_id, field_id, value, record_id }
    ExternalId = "external_ids" key [organization_id, object, system, external_id] { organization_id, object, system, external_id, record_id }
    Deal
    StageMove = "stage_history" (personal) key [organization_id, id] {
        id, organization_id, contact_id, deal_id, pipeline_id, from_stage_id, to_stage_id, moved_by, moved_at, left_at, left_to, auto_moved,
        rule_id, run_id, reason, sealed_by, sealed,
    }
    Note = "notes" key [organization_id, id] { id, organization_id, contact_id, deal_id, text, created_by, created_at, updated_at, version }
    Task = "tasks" key [organization_id, id] {
        id, organization_id, contact_id, deal_id, title, due_at, remind_at, assigned_to, done, done_at, due_told, reminded, created_by,
        created_at, updated_at, version,
    }
    Account = "accounts" key [organization_id, id] {
        id, organization_id, platform, display_name, handle, owner_id, visibility, status, status_since, status_reason, last_sync_at,
        flood_wait_until, source, lease_expires_at, created_at, updated_at, deleted_at, version,
    }
    SealedSecret = "account_secrets" key [organization_id, account_id] { account_id, organization_id, key_id, sealed }
    SyncCursor = "account_cursors" key [organization_id, account_id] { account_id, organization_id, cursor }
    SkippedMessage = "skipped_messages" key [organization_id, account_id, provider_id] { account_id, organization_id, provider_id, reason, skipped_at }
    Chat = "chats" key [organization_id, id] {
        id, organization_id, account_id, platform, chat_key, title, contact_id, last_message, last_message_at, unread_count, assigned_to,
        state, snoozed_until, waiting_since, sent_at, sent_by, labels, created_at, version,
    }
    Message = "messages" key [organization_id, id] {
        id, organization_id, account_id, chat_id, platform, direction, sender, content, contact_id, timestamp, read, status, error, send_at,
        metadata, provider_id, reference, sent_by, created_at,
    }
    MessageCredit = "message_credits" key [organization_id, at, message_id] { organization_id, at, message_id, user_id, kind, waited_us }
    Media = "media" key [organization_id, id] { id, organization_id, name, media_type, size, account_id, contact_id, created_at, used_at }
    Rule = "rules" key [organization_id, id] {
        id, organization_id, slug, name, enabled, engine, position, definition, compiled, plan, failures, paused_reason, updated_by,
        created_at, updated_at, version,
    }
    Run = "runs" (personal) key [organization_id, id] {
        id, organization_id, rule_id, rule_version, event_id, event_kind, contact_id, deal_id, outcome, facts, actions, duration_us, error, stopped,
        created_at, sealed_by, sealed,
    }
    Timer = "timers" key [organization_id, id] { id, organization_id, rule_id, subject_kind, subject_id, stage_entry_id, due_at, ripe }
    Job = "jobs" key [organization_id, id] {
        id, organization_id, kind, payload, key_id, state, progress, attempts, run_at, dedup_key, last_error, created_by, created_at, updated_at,
    }
    Notification = "notifications" key [organization_id, id] { id, organization_id, user_id, kind, title, body, contact_id, deal_id, task_id, rule_id, data, read, created_at }
    IdempotencyRecord = "idempotency_keys" key [organization_id, actor, operation, key] { organization_id, actor, operation, key, body_hash, answer, created_at }
    AuditEntry = "audit_entries" (personal) key [organization_id, id] {
        id, organization_id, at, actor, actor_id, action, object_kind, object_id, payload, payload_digest, seq, seal, sealed_by,
        sealed,
    }
    AuditChain = "audit_chains" key [organization_id] { organization_id, seq, seal, sealed_at }
    Event
    RuleVersion
}

/// A past state of a rule: the columns of `rules`, kept per version.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleVersion(pub Rule);

impl Record for RuleVersion {
    const TABLE: &'static Table = &Table {
        name: "rule_versions",
        columns: Rule::TABLE.columns,
        key: &["organization_id", "id", "version"],
        global: false,
        personal: false,
    };

    fn to_row(&self) -> Row {
        self.0.to_row()
    }

    fn from_row(row: Row) -> Result<Self> {
        Rule::from_row(row).map(Self)
    }
}

impl Record for Event {
    const TABLE: &'static Table = &Table {
        name: "events",
        columns: &[
            "id",
            "organization_id",
            "kind",
            "subject_kind",
            "subject_id",
            "subject_seq",
            "occurred_at",
            "actor",
            "cause",
            "changes",
            "data",
            "sealed_by",
            "sealed",
        ],
        key: &["organization_id", "id"],
        global: false,
        personal: true,
    };

    fn to_row(&self) -> Row {
        vec![
            self.id.to_value(),
            self.organization_id.to_value(),
            self.kind.to_value(),
            self.subject.kind.to_value(),
            self.subject.id.to_value(),
            self.subject_seq.to_value(),
            self.occurred_at.to_value(),
            self.actor.to_value(),
            self.cause.to_value(),
            self.changes.to_value(),
            self.data.to_value(),
            self.sealed_by.to_value(),
            self.sealed.to_value(),
        ]
    }

    fn from_row(row: Row) -> Result<Self> {
        let row = &mut row.into_iter();
        let event = Self {
            id: take(row, "events", "id")?,
            organization_id: take(row, "events", "organization_id")?,
            kind: take(row, "events", "kind")?,
            subject: Subject { kind: take(row, "events", "subject_kind")?, id: take(row, "events", "subject_id")? },
            subject_seq: take(row, "events", "subject_seq")?,
            occurred_at: take(row, "events", "occurred_at")?,
            actor: take(row, "events", "actor")?,
            cause: take(row, "events", "cause")?,
            changes: take(row, "events", "changes")?,
            data: take(row, "events", "data")?,
            sealed_by: take(row, "events", "sealed_by")?,
            sealed: take(row, "events", "sealed")?,
        };
        opened(event, row)
    }
}

impl Record for Deal {
    const TABLE: &'static Table = &Table {
        name: "deals",
        columns: &[
            "id",
            "organization_id",
            "name",
            "name_key",
            "contact_id",
            "company_id",
            "pipeline_id",
            "stage_id",
            "stage_entry_id",
            "stage_entered_at",
            "value_amount",
            "value_currency",
            "probability",
            "expected_close_on",
            "assigned_to",
            "team_id",
            "lost_reason",
            "status",
            "closed_at",
            "custom",
            "external_ids",
            "created_at",
            "updated_at",
            "deleted_at",
            "version",
        ],
        key: &["organization_id", "id"],
        global: false,
        personal: false,
    };

    fn to_row(&self) -> Row {
        vec![
            self.id.to_value(),
            self.organization_id.to_value(),
            self.name.to_value(),
            self.name_key.to_value(),
            self.contact_id.to_value(),
            self.company_id.to_value(),
            self.pipeline_id.to_value(),
            self.stage_id.to_value(),
            self.stage_entry_id.to_value(),
            self.stage_entered_at.to_value(),
            self.value.map(|value| value.amount).to_value(),
            self.value.map(|value| value.currency).to_value(),
            self.probability.to_value(),
            self.expected_close_on.to_value(),
            self.assigned_to.to_value(),
            self.team_id.to_value(),
            self.lost_reason.to_value(),
            self.status.to_value(),
            self.closed_at.to_value(),
            self.custom.to_value(),
            self.external_ids.to_value(),
            self.created_at.to_value(),
            self.updated_at.to_value(),
            self.deleted_at.to_value(),
            self.version.to_value(),
        ]
    }

    fn from_row(row: Row) -> Result<Self> {
        let row = &mut row.into_iter();
        Ok(Self {
            id: take(row, "deals", "id")?,
            organization_id: take(row, "deals", "organization_id")?,
            name: take(row, "deals", "name")?,
            name_key: take(row, "deals", "name_key")?,
            contact_id: take(row, "deals", "contact_id")?,
            company_id: take(row, "deals", "company_id")?,
            pipeline_id: take(row, "deals", "pipeline_id")?,
            stage_id: take(row, "deals", "stage_id")?,
            stage_entry_id: take(row, "deals", "stage_entry_id")?,
            stage_entered_at: take(row, "deals", "stage_entered_at")?,
            value: {
                let amount = take::<Option<i64>>(row, "deals", "value_amount")?;
                let currency = take::<Option<Currency>>(row, "deals", "value_currency")?;
                amount.zip(currency).map(|(amount, currency)| Money { amount, currency })
            },
            probability: take(row, "deals", "probability")?,
            expected_close_on: take(row, "deals", "expected_close_on")?,
            assigned_to: take(row, "deals", "assigned_to")?,
            team_id: take(row, "deals", "team_id")?,
            lost_reason: take(row, "deals", "lost_reason")?,
            status: take(row, "deals", "status")?,
            closed_at: take(row, "deals", "closed_at")?,
            custom: take(row, "deals", "custom")?,
            external_ids: take(row, "deals", "external_ids")?,
            created_at: take(row, "deals", "created_at")?,
            updated_at: take(row, "deals", "updated_at")?,
            deleted_at: take(row, "deals", "deleted_at")?,
            version: take(row, "deals", "version")?,
        })
    }
}
