//! What can be read of contacts, companies, deals, their pipelines and what happens around them. A page's row carries all
//! that the page shows: one page is one SELECT.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    domain::{
        company::Company,
        contact::{Contact, IdentityKind},
        custom_field::{CustomField, CustomValue, Noun},
        deal::Deal,
        event::Subject,
        external_id::ExternalId,
        message::Message,
        note::Note,
        pipeline::{Pipeline, Stage, StageMove},
        task::Task,
    },
    error::Result,
    id::*,
    page::{Page, PageRequest},
    ports::store::{Filter, SortBy},
};

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
    /// The first contacts, oldest first, that pass a filter, are not deleted and come after `after` by (creation, id).
    async fn contacts_found(
        &self,
        organization: OrganizationId,
        filter: &Filter,
        after: Option<(DateTime<Utc>, ContactId)>,
        limit: u32,
    ) -> Result<Vec<Contact>>;
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
    /// Several companies, in any order; unknown ids are left out.
    async fn companies_by_ids(&self, organization: OrganizationId, ids: &[CompanyId]) -> Result<Vec<Company>>;
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
    /// The values of these fields with this key, at most `limit`.
    async fn custom_values(
        &self,
        organization: OrganizationId,
        fields: &[FieldId],
        key: &str,
        limit: u32,
    ) -> Result<Vec<CustomValue>>;
    /// Who has these external ids: those that nobody has are left out.
    async fn external_ids(
        &self,
        organization: OrganizationId,
        object: Noun,
        ids: &[(String, String)],
    ) -> Result<Vec<ExternalId>>;
}

/// Deals.
#[async_trait]
pub trait DealReads {
    /// One deal, deleted or not.
    async fn deal(&self, organization: OrganizationId, id: DealId) -> Result<Option<Deal>>;
    /// Several deals, in any order; unknown ids are left out.
    async fn deals_by_ids(&self, organization: OrganizationId, ids: &[DealId]) -> Result<Vec<Deal>>;
    /// A page of the deals that are not deleted.
    async fn deals(
        &self,
        organization: OrganizationId,
        filter: &Filter,
        sort: &SortBy,
        page: &PageRequest,
    ) -> Result<Page<Deal>>;
    /// The first deals, oldest first, that pass a filter, are not deleted and come after `after` by (creation, id).
    async fn deals_found(
        &self,
        organization: OrganizationId,
        filter: &Filter,
        after: Option<(DateTime<Utc>, DealId)>,
        limit: u32,
    ) -> Result<Vec<Deal>>;
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
    /// Of this contact.
    pub contact_id: Option<ContactId>,
    /// Of this deal.
    pub deal_id: Option<DealId>,
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
    /// A page of the tasks whose contact or deal is not deleted.
    async fn tasks(
        &self,
        organization: OrganizationId,
        filter: &TaskFilter,
        sort: TaskSort,
        descending: bool,
        page: &PageRequest,
    ) -> Result<Page<Task>>;
    /// Tasks on a contact or deal that are not done and of which something is still to be told, oldest first, after a
    /// place in that order.
    async fn untold_tasks(
        &self,
        organization: OrganizationId,
        on: Subject,
        after: Option<(DateTime<Utc>, TaskId)>,
        limit: u32,
    ) -> Result<Vec<Task>>;
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

/// Pipelines, stages, history and board.
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
}
