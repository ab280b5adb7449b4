//! What can be read, by noun. Every read but those of [`IdentityReads`] and [`WorkQueue`] (ARCHITECTURE, decision 5) takes
//! the organisation. A page's row carries all that the page shows: one page is one SELECT.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    domain::{
        account::{Account, SealedSecret, SkippedMessage, SyncCursor},
        chat::{Chat, ChatState},
        company::Company,
        contact::{Contact, IdentityKind},
        currency::Currency,
        custom_field::{CustomField, CustomValue, Noun},
        deal::Deal,
        event::{Event, Subject, SubjectKind},
        external_id::ExternalId,
        job::{Claim, Job, JobState, Lane},
        media::Media,
        message::Message,
        note::Note,
        notification::Notification,
        organization::{Credential, Member, Membership, Organization, SignInSession, User},
        pipeline::{Pipeline, Stage, StageMove},
        rule::Rule,
        run::{Run, RunOutcome, Timer},
        task::Task,
    },
    error::Result,
    id::*,
    page::{Page, PageRequest},
    ports::store::{Filter, SortBy, idempotency::IdempotencyRecord},
};

/// Bounds on an instant: `gte` and `gt` from below, `lte` and `lt` from above.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeRange {
    /// At or after.
    pub gte: Option<DateTime<Utc>>,
    /// After.
    pub gt: Option<DateTime<Utc>>,
    /// At or before.
    pub lte: Option<DateTime<Utc>>,
    /// Before.
    pub lt: Option<DateTime<Utc>>,
}

/// Who holds an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The identity.
    pub kind: IdentityKind,
    /// Its value.
    pub value: String,
    /// The contact.
    pub contact_id: ContactId,
    /// Its name.
    pub name: String,
    /// Whether it claims the identity.
    pub claimed: bool,
}

/// Contacts.
#[async_trait]
pub trait ContactReads {
    /// One contact, deleted or not.
    async fn contact(&self, organization: OrganizationId, id: ContactId) -> Result<Option<Contact>>;
    /// Several contacts, in any order; unknown ids are left out.
    async fn contacts_by_ids(&self, organization: OrganizationId, ids: &[ContactId]) -> Result<Vec<Contact>>;
    /// A page of the contacts that are not deleted.
    async fn contacts(
        &self,
        organization: OrganizationId,
        filter: &Filter,
        sort: &SortBy,
        page: &PageRequest,
    ) -> Result<Page<Contact>>;
    /// Who, among the contacts that are not deleted, holds any of these identities.
    async fn holders(&self, organization: OrganizationId, identities: &[(IdentityKind, String)])
    -> Result<Vec<Holder>>;
    /// The deleted contacts that stand in one of `stages`, at most `limit`.
    async fn deleted_contacts_in_stages(
        &self,
        organization: OrganizationId,
        stages: &[StageId],
        limit: u32,
    ) -> Result<Vec<Contact>>;
    /// Contacts that entered one of `stages` (any stage, if empty) and come after `after` by id, in order of id.
    async fn contacts_in_stages(
        &self,
        organization: OrganizationId,
        stages: &[StageId],
        after: Option<ContactId>,
        limit: u32,
    ) -> Result<Vec<Contact>>;
}

/// Companies.
#[async_trait]
pub trait CompanyReads {
    /// One company, deleted or not.
    async fn company(&self, organization: OrganizationId, id: CompanyId) -> Result<Option<Company>>;
    /// A page of the companies that are not deleted.
    async fn companies(
        &self,
        organization: OrganizationId,
        filter: &Filter,
        sort: &SortBy,
        page: &PageRequest,
    ) -> Result<Page<Company>>;
}

/// Custom fields and external ids.
#[async_trait]
pub trait FieldReads {
    /// Every definition, by noun, then key.
    async fn custom_fields(&self, organization: OrganizationId) -> Result<Vec<CustomField>>;
    /// One value of a field, of those with this key if one is given: tells whether there are any.
    async fn any_custom_value(
        &self,
        organization: OrganizationId,
        field: FieldId,
        key: Option<&str>,
    ) -> Result<Option<CustomValue>>;
    /// Who has these external ids: those that nobody has are left out.
    async fn external_ids(
        &self,
        organization: OrganizationId,
        object: Noun,
        ids: &[(String, String)],
    ) -> Result<Vec<ExternalId>>;
}

/// Which deals of a pipeline are summed up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueFilter {
    /// Looked after by this user.
    pub assigned_to: Option<UserId>,
    /// Whose contact came from this source.
    pub source: Option<String>,
}

/// The deals of one stage that have the same currency and the same probability, summed up.
#[derive(Debug, Clone, PartialEq)]
pub struct DealSum {
    /// The stage.
    pub stage_id: StageId,
    /// Of what they are worth something; `None` for deals without a value.
    pub currency: Option<Currency>,
    /// Their own probability.
    pub probability: Option<f64>,
    /// How many there are.
    pub count: i64,
    /// What they are worth together, in ten-thousandths; exact, whatever their number.
    pub amount: i128,
}

/// Deals.
#[async_trait]
pub trait DealReads {
    /// One deal, deleted or not.
    async fn deal(&self, organization: OrganizationId, id: DealId) -> Result<Option<Deal>>;
    /// A page of the deals that are not deleted.
    async fn deals(
        &self,
        organization: OrganizationId,
        filter: &Filter,
        sort: &SortBy,
        page: &PageRequest,
    ) -> Result<Page<Deal>>;
    /// The deleted deals that stand in one of `stages`, at most `limit`.
    async fn deleted_deals_in_stages(
        &self,
        organization: OrganizationId,
        stages: &[StageId],
        limit: u32,
    ) -> Result<Vec<Deal>>;
    /// Deals that stand in one of `stages` (any stage, if empty) and come after `after` by id, in order of id.
    async fn deals_in_stages(
        &self,
        organization: OrganizationId,
        stages: &[StageId],
        after: Option<DealId>,
        limit: u32,
    ) -> Result<Vec<Deal>>;
    /// The deals that entered each of these stages last, at most `cards` a stage, latest entry first.
    async fn deal_cards(&self, organization: OrganizationId, stages: &[StageId], cards: u32) -> Result<Vec<Deal>>;
    /// What the deals of a pipeline are worth, in no order.
    async fn deal_sums(
        &self,
        organization: OrganizationId,
        pipeline: PipelineId,
        filter: &ValueFilter,
    ) -> Result<Vec<DealSum>>;
}

/// What tasks can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum TaskSort {
    /// When they were made.
    CreatedAt,
    /// By when they are to be done; those without come last.
    DueAt,
}

/// Which tasks. Absent members do not filter.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct TaskFilter {
    /// Of this contact or deal.
    pub on: Option<Subject>,
    /// Whose.
    pub assigned_to: Option<UserId>,
    /// Done, or not.
    pub done: Option<bool>,
    /// Due before this instant.
    pub due_before: Option<DateTime<Utc>>,
    /// Due at this instant or later.
    pub due_after: Option<DateTime<Utc>>,
}

/// The newest of each kind on a timeline, each newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TimelineRows {
    /// Notes.
    pub notes: Vec<Note>,
    /// Tasks.
    pub tasks: Vec<Task>,
    /// Messages, of a contact alone.
    pub messages: Vec<Message>,
    /// Moves.
    pub moves: Vec<StageMove>,
    /// Deals, of a contact alone; deleted ones are left out.
    pub deals: Vec<Deal>,
}

/// Notes, tasks, timelines.
#[async_trait]
pub trait ActivityReads {
    /// One note.
    async fn note(&self, organization: OrganizationId, id: NoteId) -> Result<Option<Note>>;
    /// A page of the notes on a contact or deal, newest first.
    async fn notes(&self, organization: OrganizationId, on: Subject, page: &PageRequest) -> Result<Page<Note>>;
    /// One task.
    async fn task(&self, organization: OrganizationId, id: TaskId) -> Result<Option<Task>>;
    /// A page of tasks.
    async fn tasks(
        &self,
        organization: OrganizationId,
        filter: &TaskFilter,
        sort: TaskSort,
        descending: bool,
        page: &PageRequest,
    ) -> Result<Page<Task>>;
    /// What is on the timeline of a contact or deal before `(microseconds, id)`, or at all: at most `limit` of each kind.
    async fn timeline(
        &self,
        organization: OrganizationId,
        on: Subject,
        before: Option<(i64, uuid::Uuid)>,
        limit: u32,
    ) -> Result<TimelineRows>;
}

/// One column of a board.
#[derive(Debug, Clone, PartialEq)]
pub struct BoardColumn {
    /// The stage.
    pub stage_id: StageId,
    /// How many contacts are in it.
    pub count: i64,
    /// The first page of them, latest entry first.
    pub cards: Vec<Contact>,
}

/// How contacts went through one stage.
#[derive(Debug, Clone, PartialEq)]
pub struct StageConversion {
    /// The stage.
    pub stage_id: StageId,
    /// Entries into it in the period.
    pub entered: i64,
    /// Of these, those that went on to a later stage that is not lost, or were won.
    pub moved_on: i64,
    /// Of these, those that went to a lost stage.
    pub lost: i64,
    /// Median time in the stage of those that left it, in seconds.
    pub median_seconds: Option<f64>,
}

/// Pipelines, stages, history, board and conversion.
#[async_trait]
pub trait PipelineReads {
    /// Every pipeline, oldest first.
    async fn pipelines(&self, organization: OrganizationId) -> Result<Vec<Pipeline>>;
    /// Every stage, by pipeline and place.
    async fn stages(&self, organization: OrganizationId) -> Result<Vec<Stage>>;
    /// Both, in the same orders, as they are at one instant.
    async fn pipelines_with_stages(&self, organization: OrganizationId) -> Result<(Vec<Pipeline>, Vec<Stage>)>;
    /// The moves of a contact or of a deal, newest first.
    async fn stage_history(
        &self,
        organization: OrganizationId,
        subject: Subject,
        page: &PageRequest,
    ) -> Result<Page<StageMove>>;
    /// The move by which a contact or a deal entered its present stage.
    async fn stage_move(&self, organization: OrganizationId, id: EventId) -> Result<Option<StageMove>>;
    /// Counts and first cards of each stage of a pipeline.
    async fn board(&self, organization: OrganizationId, pipeline: PipelineId, cards: u32) -> Result<Vec<BoardColumn>>;
    /// How contacts, or deals, went through the stages of a pipeline: entries in `[from, to)`, folded by the database.
    async fn conversion(
        &self,
        organization: OrganizationId,
        pipeline: PipelineId,
        subject: SubjectKind,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<StageConversion>>;
}

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
    /// Its sealed secrets.
    async fn account_secret(&self, organization: OrganizationId, id: AccountId) -> Result<Option<SealedSecret>>;
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
    /// The events of a subject that the rules have not seen, in order, at most `limit`.
    async fn pending_events(&self, organization: OrganizationId, subject: uuid::Uuid, limit: u32)
    -> Result<Vec<Event>>;
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
    /// A user's place in an organisation.
    async fn membership(&self, organization: OrganizationId, user: UserId) -> Result<Option<Membership>>;
    /// Where a user belongs, oldest first.
    async fn memberships(&self, user: UserId) -> Result<Vec<Membership>>;
    /// The members of an organisation, oldest first.
    async fn members(&self, organization: OrganizationId) -> Result<Vec<Member>>;
    /// One session.
    async fn session(&self, id: SessionId) -> Result<Option<SignInSession>>;
    /// The session whose newest or previous refresh token has this hash.
    async fn session_by_refresh_hash(&self, hash: &[u8]) -> Result<Option<SignInSession>>;
}

/// Work shared out among replicas. Global: a claim names the organisation in which the payload is then read.
#[async_trait]
pub trait WorkQueue {
    /// Claims at most `limit` due items of these lanes for `lease`, oldest first; items claimed by somebody alive are
    /// passed over. A claim is known by its `owner` and its token: an owner that claims once has no claim twice.
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
