//! What can be read of messaging, automation and people, by noun; the rest is in `crm`. Every read but those of [`IdentityReads`] and [`WorkQueue`] (ARCHITECTURE, decision 5) takes
//! the organisation. A page's row carries all that the page shows: one page is one SELECT.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    domain::{
        account::{Account, SkippedMessage, SyncCursor},
        api_key::ApiKey,
        chat::{Chat, ChatState},
        event::{Event, Subject},
        job::{Claim, Job, JobState, Lane},
        linked_identity::LinkedIdentity,
        mail_token::{MailPurpose, MailToken},
        media::Media,
        message::Message,
        notification::Notification,
        organization::{Credential, Member, Membership, Organization, SignInSession, User},
        role::Grant,
        rule::Rule,
        run::{Run, RunOutcome, Timer},
    },
    error::Result,
    id::*,
    page::{Page, PageRequest},
    ports::store::idempotency::IdempotencyRecord,
};

/// Bounds: `gte` and `gt` from below, `lte` and `lt` from above.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "RangeOf{T}")]
#[serde(deny_unknown_fields)]
pub struct Range<T> {
    /// At or above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gte: Option<T>,
    /// Above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gt: Option<T>,
    /// At or below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lte: Option<T>,
    /// Below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lt: Option<T>,
}

/// Bounds on an instant.
pub type TimeRange = Range<DateTime<Utc>>;

/// Accounts.
#[async_trait]
pub trait AccountReads {
    /// One account.
    async fn account(&self, organization: OrganizationId, id: AccountId) -> Result<Option<Account>>;
    /// A page of accounts, newest first; only those of `platform` if given.
    async fn accounts(
        &self,
        organization: OrganizationId,
        platform: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Account>>;
    /// The account with this handle, if the organisation has it.
    async fn account_by_handle(
        &self,
        organization: OrganizationId,
        platform: &str,
        handle: &str,
    ) -> Result<Option<Account>>;
    /// How far it has synchronised.
    async fn account_cursor(&self, organization: OrganizationId, id: AccountId) -> Result<Option<SyncCursor>>;
    /// The messages it did not take in, newest first, at most `limit`.
    async fn skipped_messages(
        &self,
        organization: OrganizationId,
        id: AccountId,
        limit: u32,
    ) -> Result<Vec<SkippedMessage>>;
}

/// Which chats.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChatFilter {
    /// On this account.
    pub account_id: Option<AccountId>,
    /// With this contact.
    pub contact_id: Option<ContactId>,
    /// Looked after by this user.
    pub assigned_to: Option<UserId>,
    /// In this state.
    pub state: Option<ChatState>,
    /// With unread messages (`true`) or without (`false`).
    pub unread: Option<bool>,
}

/// A chat with what the inbox shows of its contact and account.
#[derive(Debug, Clone, PartialEq)]
pub struct InboxRow {
    /// The chat.
    pub chat: Chat,
    /// The contact's name.
    pub contact_name: Option<String>,
    /// Who owns the account.
    pub account_owner: Option<UserId>,
    /// Who may read its bodies.
    pub visibility: crate::domain::account::Visibility,
}

/// Chats, messages and media.
#[async_trait]
pub trait MessageReads {
    /// One chat.
    async fn chat(&self, organization: OrganizationId, id: ChatId) -> Result<Option<Chat>>;
    /// Chats of an account by the provider's ids.
    async fn chats_by_keys(
        &self,
        organization: OrganizationId,
        account: AccountId,
        keys: &[String],
    ) -> Result<Vec<Chat>>;
    /// The chats that the messages with these references belong to: `(reference, chat)`.
    async fn chats_by_references(
        &self,
        organization: OrganizationId,
        account: AccountId,
        references: &[String],
    ) -> Result<Vec<(String, Chat)>>;
    /// The contact's chat with the newest message, on `account` if given.
    async fn latest_chat(
        &self,
        organization: OrganizationId,
        contact: ContactId,
        account: Option<AccountId>,
    ) -> Result<Option<Chat>>;
    /// A page of the inbox, newest message first.
    async fn inbox(
        &self,
        organization: OrganizationId,
        filter: &ChatFilter,
        page: &PageRequest,
    ) -> Result<Page<InboxRow>>;
    /// One message.
    async fn message(&self, organization: OrganizationId, id: MessageId) -> Result<Option<Message>>;
    /// A page of a chat's messages, newest first.
    async fn messages(&self, organization: OrganizationId, chat: ChatId, page: &PageRequest) -> Result<Page<Message>>;
    /// Which of these provider ids an account has already.
    async fn known_provider_ids(
        &self,
        organization: OrganizationId,
        account: AccountId,
        ids: &[String],
    ) -> Result<Vec<String>>;
    /// Whether a message of the chat that was made before this one is being sent or, made after `since`, still waits for
    /// its first try.
    async fn is_preceded(
        &self,
        organization: OrganizationId,
        chat: ChatId,
        message: MessageId,
        since: DateTime<Utc>,
    ) -> Result<bool>;
    /// How many messages these accounts have sent since an instant: `(account, messages)`; none is left out.
    async fn sent_since(
        &self,
        organization: OrganizationId,
        accounts: &[AccountId],
        since: DateTime<Utc>,
    ) -> Result<Vec<(AccountId, i64)>>;
    /// The references of a chat's newest sent or received messages, oldest first, at most `limit`.
    async fn references(&self, organization: OrganizationId, chat: ChatId, limit: u32) -> Result<Vec<String>>;
    /// Outgoing messages of an account with these references.
    async fn messages_by_references(
        &self,
        organization: OrganizationId,
        account: AccountId,
        references: &[String],
    ) -> Result<Vec<Message>>;
    /// Incoming messages of a chat that are unread and not newer than `until`.
    async fn unread_messages(
        &self,
        organization: OrganizationId,
        chat: ChatId,
        until: DateTime<Utc>,
    ) -> Result<Vec<MessageId>>;
    /// One file's row.
    async fn media(&self, organization: OrganizationId, id: MediaId) -> Result<Option<Media>>;
}

/// Which runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunFilter {
    /// Of this rule.
    pub rule_id: Option<RuleId>,
    /// On this contact, or a deal of theirs.
    pub contact_id: Option<ContactId>,
    /// On this deal.
    pub deal_id: Option<DealId>,
    /// That ended so.
    pub outcome: Option<RunOutcome>,
}

/// What tells whether rules held in memory are still true.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RulesState {
    /// How many events the organisation itself has had: while this stays the same, so do its rules.
    pub epoch: i64,
    /// Changes with every pipeline that is made, edited (its stages count as edits) or removed.
    pub pipelines: String,
    /// The rules whose last run failed, by id. Counting failures is no event.
    pub failing: Vec<RuleId>,
}

/// Rules, their versions, runs and timers; events.
#[async_trait]
pub trait AutomationReads {
    /// Every rule, by position, then id.
    async fn rules(&self, organization: OrganizationId) -> Result<Vec<Rule>>;
    /// What tells whether rules held in memory are still true.
    async fn rules_state(&self, organization: OrganizationId) -> Result<RulesState>;
    /// One rule.
    async fn rule(&self, organization: OrganizationId, id: RuleId) -> Result<Option<Rule>>;
    /// The states of a rule, newest version first; the present one included.
    async fn rule_versions(&self, organization: OrganizationId, id: RuleId, page: &PageRequest) -> Result<Page<Rule>>;
    /// A page of runs, newest first.
    async fn runs(&self, organization: OrganizationId, filter: &RunFilter, page: &PageRequest) -> Result<Page<Run>>;
    /// One run.
    async fn run(&self, organization: OrganizationId, id: RunId) -> Result<Option<Run>>;
    /// The runs that these events have led to, oldest first.
    async fn runs_of_events(&self, organization: OrganizationId, events: &[EventId]) -> Result<Vec<Run>>;
    /// A timer.
    async fn timer(&self, organization: OrganizationId, id: TimerId) -> Result<Option<Timer>>;
    /// The timers of a contact or of a deal.
    async fn timers_of(&self, organization: OrganizationId, subject: Subject) -> Result<Vec<Timer>>;
    /// The timers of a rule, in order of id after `after`.
    async fn timers_of_rule(
        &self,
        organization: OrganizationId,
        rule: RuleId,
        after: Option<TimerId>,
        limit: u32,
    ) -> Result<Vec<Timer>>;
    /// One event.
    async fn event(&self, organization: OrganizationId, id: EventId) -> Result<Option<Event>>;
    /// The events of these subjects that the rules have not seen, by subject and in order, the first `of_each` of each.
    async fn pending_events(
        &self,
        organization: OrganizationId,
        subjects: &[uuid::Uuid],
        of_each: u32,
    ) -> Result<Vec<Event>>;
    /// A page of a subject's events, newest first.
    async fn events_of(
        &self,
        organization: OrganizationId,
        subject: Subject,
        page: &PageRequest,
    ) -> Result<Page<Event>>;
}

/// Jobs, notifications, idempotency keys.
#[async_trait]
pub trait JobReads {
    /// One job.
    async fn job(&self, organization: OrganizationId, id: JobId) -> Result<Option<Job>>;
    /// The job with this de-duplication key.
    async fn job_by_dedup_key(&self, organization: OrganizationId, key: &str) -> Result<Option<Job>>;
    /// A page of jobs, newest first.
    async fn jobs(
        &self,
        organization: OrganizationId,
        state: Option<JobState>,
        page: &PageRequest,
    ) -> Result<Page<Job>>;
    /// A user's notifications, unread first, then newest first.
    async fn notifications(
        &self,
        organization: OrganizationId,
        user: UserId,
        page: &PageRequest,
    ) -> Result<Page<Notification>>;
    /// One notification.
    async fn notification(&self, organization: OrganizationId, id: NotificationId) -> Result<Option<Notification>>;
    /// What was answered to this key.
    async fn idempotency(
        &self,
        organization: OrganizationId,
        actor: &str,
        operation: &str,
        key: &str,
    ) -> Result<Option<IdempotencyRecord>>;
}

/// What a membership comes to at this moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Seat {
    /// Who, where and as what.
    pub membership: Membership,
    /// What the role gives.
    pub grant: Grant,
    /// Whether the organisation asks for a second factor.
    pub needs_two_factor: bool,
    /// Whether it does, and the member has none.
    pub lacks_two_factor: bool,
}

/// People and organisations: global tables, read by `identity` (credential → scope) and `runtime` alone.
#[async_trait]
pub trait IdentityReads {
    /// One organisation.
    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>>;
    /// Every organisation's id, for `doctor` and maintenance.
    async fn organization_ids(&self) -> Result<Vec<OrganizationId>>;
    /// One user.
    async fn user(&self, id: UserId) -> Result<Option<User>>;
    /// The user with this normalised e-mail address.
    async fn user_by_email(&self, email: &str) -> Result<Option<User>>;
    /// A user's password.
    async fn credential(&self, user: UserId) -> Result<Option<Credential>>;
    /// A user's seat in an organisation.
    async fn seat(&self, organization: OrganizationId, user: UserId) -> Result<Option<Seat>>;
    /// A session, ended or not, with the seat of its user in its organisation.
    async fn signed_in(&self, session: SessionId) -> Result<Option<(SignInSession, Option<Seat>)>>;
    /// The secret of a purpose that a user was sent last.
    async fn mail_token(&self, user: UserId, purpose: MailPurpose) -> Result<Option<MailToken>>;
    /// The secret with this hash.
    async fn mail_token_by_hash(&self, hash: &[u8]) -> Result<Option<MailToken>>;
    /// A user's place in an organisation.
    async fn membership(&self, organization: OrganizationId, user: UserId) -> Result<Option<Membership>>;
    /// Where a user belongs, oldest first.
    async fn memberships(&self, user: UserId) -> Result<Vec<Membership>>;
    /// The members of an organisation, oldest first.
    async fn members(&self, organization: OrganizationId) -> Result<Vec<Member>>;
    /// A page of a user's sessions that stand at `now`, newest first: in whichever organisation, or in this one.
    async fn sessions(
        &self,
        user: UserId,
        within: Option<OrganizationId>,
        now: DateTime<Utc>,
        page: &PageRequest,
    ) -> Result<Page<SignInSession>>;
    /// All of a user's sessions that stand at `now`: in whichever organisation, or in this one.
    async fn open_sessions(
        &self,
        user: UserId,
        within: Option<OrganizationId>,
        now: DateTime<Utc>,
    ) -> Result<Vec<SignInSession>>;
    /// Whether the user with this normalised e-mail address has ever had a session that began in this network.
    async fn has_signed_in_from(&self, email: &str, network: &str) -> Result<bool>;
    /// One session.
    async fn session(&self, id: SessionId) -> Result<Option<SignInSession>>;
    /// The API key whose secret has this hash, in whichever organisation, with the seat there of whom it acts for.
    async fn api_key_by_hash(&self, hash: &[u8]) -> Result<Option<(ApiKey, Option<Seat>)>>;
    /// Whom a provider knows by this name.
    async fn identity(&self, provider: &str, subject: &str) -> Result<Option<LinkedIdentity>>;
    /// Everything that a user is elsewhere, oldest first.
    async fn identities(&self, user: UserId) -> Result<Vec<LinkedIdentity>>;
    /// The session whose newest or previous refresh token has this hash.
    async fn session_by_refresh_hash(&self, hash: &[u8]) -> Result<Option<SignInSession>>;
}

/// Work shared out among replicas. Global: a claim names the organisation in which the payload is then read.
#[async_trait]
pub trait WorkQueue {
    /// Makes free what dead processes had claimed; to be asked for every now and then.
    ///
    /// A clock that was set back holds nothing up until it has caught up: a lease that ends impossibly late ends a lease
    /// from now, and an item of a lane whose items never wait for long is due now.
    async fn free(&self, lanes: &[Lane], now: DateTime<Utc>, lease: chrono::Duration) -> Result<()>;
    /// Claims at most `limit` due and free items of these lanes for `lease`, oldest first. A claim is known by its `owner`
    /// and its token: an owner that claims once has no claim twice.
    async fn claim(
        &self,
        lanes: &[Lane],
        owner: uuid::Uuid,
        now: DateTime<Utc>,
        lease: chrono::Duration,
        limit: u32,
    ) -> Result<Vec<Claim>>;
    /// Prolongs a claim until `until`; false: somebody else has it.
    async fn renew(&self, claim: &Claim, until: DateTime<Utc>) -> Result<bool>;
    /// Gives a claim back, due at `due_at`; nothing happens if it is no longer held.
    async fn release(&self, claim: &Claim, due_at: DateTime<Utc>) -> Result<()>;
    /// When the next item of these lanes is due, claimed ones aside.
    async fn next_due(&self, lanes: &[Lane]) -> Result<Option<DateTime<Utc>>>;
}
