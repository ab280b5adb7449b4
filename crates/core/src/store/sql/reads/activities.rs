//! Notes, tasks and timelines.

use async_trait::async_trait;

use super::{
    list::{Conditions, Order, by_number, by_time},
    select::{portions_of_parts, select, select_by, union},
};
use crate::{
    domain::{
        chat::Chat,
        deal::Deal,
        event::{Subject, SubjectKind},
        message::Message,
        note::Note,
        pipeline::StageMove,
        task::Task,
    },
    error::Result,
    id::*,
    page::{ListKey, Page, PageRequest, Position},
    ports::store::{ActivityReads, Record, TaskFilter, TaskSort, TimelineRows},
    store::sql::{SqlStore, statement::Statement},
};

/// Of a contact's chats, those with the newest messages, whose messages are on its timeline.
const CHATS: i64 = 100;

#[async_trait]
impl ActivityReads for SqlStore {
    async fn note(&self, organization: OrganizationId, id: NoteId) -> Result<Option<Note>> {
        self.record(Some(organization), select_by::<Note>(organization, "id", &id)).await
    }

    async fn notes(&self, organization: OrganizationId, on: Subject, page: &PageRequest) -> Result<Page<Note>> {
        let list = ListKey::of(&("notes", on));
        let (statement, order) = (on_subject::<Note>(organization, on), Order::newest("t.created_at"));
        self.page_of(organization, statement, order, list, page, |it: &Note| by_time(it.created_at, it.id)).await
    }

    async fn task(&self, organization: OrganizationId, id: TaskId) -> Result<Option<Task>> {
        self.record(Some(organization), select_by::<Task>(organization, "id", &id)).await
    }

    async fn tasks(
        &self,
        organization: OrganizationId,
        filter: &TaskFilter,
        sort: TaskSort,
        descending: bool,
        page: &PageRequest,
    ) -> Result<Page<Task>> {
        let list = ListKey::of(&("tasks", filter, sort, descending));
        let (statement, order) = tasks(organization, filter, sort, descending);
        self.page_of(organization, statement, order, list, page, |it: &Task| task_place(sort, it)).await
    }

    async fn timeline(
        &self,
        organization: OrganizationId,
        on: Subject,
        before: Option<(i64, uuid::Uuid)>,
        limit: u32,
    ) -> Result<TimelineRows> {
        let limit = i64::from(limit);
        let of = |statement, key| until(statement, key, before, limit);
        let mut found = TimelineRows {
            notes: self.records(Some(organization), of(on_subject::<Note>(organization, on), "created_at")).await?,
            tasks: self.records(Some(organization), of(on_subject::<Task>(organization, on), "created_at")).await?,
            moves: self.records(Some(organization), of(on_subject::<StageMove>(organization, on), "moved_at")).await?,
            ..TimelineRows::default()
        };
        if on.kind == SubjectKind::Contact {
            let mut deals = on_subject::<Deal>(organization, on);
            deals.push(" AND t.deleted_at IS NULL");
            found.deals = self.records(Some(organization), of(deals, "created_at")).await?;
            let mut chats = select_by::<Chat>(organization, "contact_id", &on.id);
            chats.push(" ORDER BY t.last_message_at DESC, t.id DESC LIMIT ").bind(&CHATS);
            let chats: Vec<Chat> = self.records(Some(organization), chats).await?;
            let chats: Vec<ChatId> = chats.into_iter().map(|chat| chat.id).collect();
            for chats in portions_of_parts(&chats).into_iter().filter(|chats| !chats.is_empty()) {
                let statement = messages(organization, &chats, before, limit);
                found.messages.extend(self.records::<Message>(Some(organization), statement).await?);
            }
        }
        Ok(found)
    }
}

/// The rows on a contact or deal.
pub(super) fn on_subject<T: Record>(organization: OrganizationId, on: Subject) -> Statement {
    let column = if on.kind == SubjectKind::Deal { "deal_id" } else { "contact_id" };
    select_by::<T>(organization, column, &on.id)
}

/// The newest rows before a place.
pub(super) fn until(mut statement: Statement, key: &str, before: Option<(i64, uuid::Uuid)>, limit: i64) -> Statement {
    if let Some((at, id)) = before {
        statement.push(" AND (t.").push(key).push(", t.id) < (").bind(&at).push(", ").bind(&id).push(")");
    }
    statement.push(" ORDER BY t.").push(key).push(" DESC, t.id DESC LIMIT ").bind(&limit);
    statement
}

/// The newest messages of each of these chats before a place: one limited walk a chat.
pub(super) fn messages(
    organization: OrganizationId,
    chats: &[ChatId],
    before: Option<(i64, uuid::Uuid)>,
    limit: i64,
) -> Statement {
    union::<Message, _>(organization, chats, |chat, part| {
        part.push(" AND t.chat_id = ").bind(chat);
        *part = until(std::mem::take(part), "timestamp", before, limit);
    })
}

/// Tasks by the index that begins with the most telling condition and goes on with the sort key.
pub(super) fn tasks(
    organization: OrganizationId,
    filter: &TaskFilter,
    sort: TaskSort,
    descending: bool,
) -> (Statement, Order) {
    let key = match sort {
        TaskSort::CreatedAt => "t.created_at",
        TaskSort::DueAt => "t.due_key",
    };
    let order = Order { key, text: false, descending, unique: false, id: "t.id" };
    let mut statement = match filter.on {
        Some(on) => on_subject::<Task>(organization, on),
        None => select::<Task>(organization),
    };
    // By their date, tasks are listed by whether they are done: the index has it before the date.
    if sort == TaskSort::DueAt {
        if let Some(user) = &filter.assigned_to {
            statement.push(" AND t.assigned_to = ").bind(user);
        }
        statement.push(" AND t.done = ").bind(&filter.done.unwrap_or_default());
        bounds(&mut statement, filter, " AND t.due_key");
    } else {
        let mut conditions = Conditions::new();
        conditions.equal("assigned_to", filter.assigned_to.as_ref());
        conditions.equal("done", filter.done.as_ref());
        conditions.push(&mut statement);
        bounds(&mut statement, filter, " AND t.due_at");
    }
    (statement, order)
}

fn bounds(statement: &mut Statement, filter: &TaskFilter, column: &str) {
    if let Some(before) = &filter.due_before {
        statement.push(column).push(" < ").bind(before);
    }
    if let Some(after) = &filter.due_after {
        statement.push(column).push(" >= ").bind(after);
        // What has no date falls due at no instant.
        statement.push(" AND t.due_at IS NOT NULL");
    }
}

fn task_place(sort: TaskSort, task: &Task) -> Position {
    match sort {
        TaskSort::CreatedAt => by_time(task.created_at, task.id),
        TaskSort::DueAt => by_number(task.due_at.map_or(i64::MAX, |at| at.timestamp_micros()), task.id),
    }
}
