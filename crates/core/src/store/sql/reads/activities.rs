//! Notes, tasks and timelines.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    list::{Conditions, OPAQUE, OPAQUE_END, Order, and_equal, by_number, by_time},
    listing::RARE,
    select::{cell, columns, portions_of_parts, select, select_by, union},
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
        let order = task_order(sort, descending);
        let on = filter.contact_id.is_some() || filter.deal_id.is_some();
        if sort == TaskSort::DueAt && filter.done.is_none() && !on {
            let (statement, limit) = tasks_by_date(organization, filter, order, list, page)?;
            let mut data: Vec<Task> = self.records(Some(organization), statement).await?;
            data.sort_by_key(|task| (due_key(task), task.id));
            if descending {
                data.reverse();
            }
            let more = data.len() > limit;
            data.truncate(limit);
            let next_cursor = data.last().filter(|_| more).map(|last| task_place(sort, last).encode(list));
            return Ok(Page { data, next_cursor });
        }
        let bounded = filter.due_before.is_some() || filter.due_after.is_some();
        let mut statement = tasks(organization, filter, sort);
        if sort == TaskSort::CreatedAt && bounded && !on {
            // A wrong cursor or limit is told before the database is asked anything.
            order.finish(&mut statement.clone(), list, page)?;
            let count = self.rows(Some(organization), count_due(organization, filter)).await?;
            let count: i64 = cell(&mut count.into_iter().next().unwrap_or_default().into_iter())?;
            if count <= RARE {
                statement = tasks_collected(organization, filter);
            }
        }
        self.page_of(organization, statement, order, list, page, |it: &Task| task_place(sort, it)).await
    }

    async fn untold_tasks(
        &self,
        organization: OrganizationId,
        on: Subject,
        after: Option<(DateTime<Utc>, TaskId)>,
        limit: u32,
    ) -> Result<Vec<Task>> {
        self.records(Some(organization), untold_tasks(organization, on, after, limit)).await
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

/// The tasks on a contact or deal of which something is still to be told, oldest first.
pub(super) fn untold_tasks(
    organization: OrganizationId,
    on: Subject,
    after: Option<(DateTime<Utc>, TaskId)>,
    limit: u32,
) -> Statement {
    let mut statement = on_subject::<Task>(organization, on);
    statement.push(" AND NOT t.done AND ((t.due_at IS NOT NULL AND NOT t.due_told)");
    statement.push(" OR (t.remind_at IS NOT NULL AND NOT t.reminded))");
    if let Some((at, id)) = after {
        statement.push(" AND (t.created_at, t.id) > (").bind(&at).push(", ").bind(&id).push(")");
    }
    statement.push(" ORDER BY t.created_at, t.id LIMIT ").bind(&i64::from(limit));
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
pub(super) fn tasks(organization: OrganizationId, filter: &TaskFilter, sort: TaskSort) -> Statement {
    let mut statement = select::<Task>(organization);
    conditions(filter, filter.done, sort, &mut statement);
    statement
}

/// Tasks by their date, done or not: one limited walk for each, since the index has that before the date. In no order.
pub(super) fn tasks_by_date(
    organization: OrganizationId,
    filter: &TaskFilter,
    order: Order,
    list: ListKey,
    page: &PageRequest,
) -> Result<(Statement, usize)> {
    let mut limit = Ok(0);
    let statement = union::<Task, _>(organization, &[false, true], |done, part| {
        conditions(filter, Some(*done), TaskSort::DueAt, part);
        limit = order.finish(part, list, page);
    });
    Ok((statement, limit?))
}

/// The ids of tasks by the index of their date.
fn push_due(organization: OrganizationId, filter: &TaskFilter, statement: &mut Statement) {
    let either = filter.done.map_or(vec![false, true], |done| vec![done]);
    for (place, done) in either.into_iter().enumerate() {
        statement.push(if place == 0 { "" } else { " UNION ALL " });
        statement.push("SELECT t.id FROM tasks t WHERE t.organization_id = ").bind(&organization);
        conditions(filter, Some(done), TaskSort::DueAt, statement);
    }
}

/// How many fall due between the bounds, counted as far as matters.
pub(super) fn count_due(organization: OrganizationId, filter: &TaskFilter) -> Statement {
    let mut statement = Statement::new("SELECT COUNT(*) FROM (");
    push_due(organization, filter, &mut statement);
    statement.push(&format!(" LIMIT {}) AS p0", RARE + 1));
    statement
}

/// The few tasks that fall due between the bounds, to be put into another order: goes on with ` AND …`.
pub(super) fn tasks_collected(organization: OrganizationId, filter: &TaskFilter) -> Statement {
    let mut statement = Statement::new("WITH picked AS MATERIALIZED (");
    push_due(organization, filter, &mut statement);
    statement.push(&format!(") SELECT {} FROM picked p CROSS JOIN tasks t", columns::<Task>("t")));
    statement.push(" WHERE t.id = p.id AND t.organization_id = ").bind(&organization);
    statement
}

/// The order of a list of tasks.
pub(super) const fn task_order(sort: TaskSort, descending: bool) -> Order {
    let key = match sort {
        TaskSort::CreatedAt => "t.created_at",
        TaskSort::DueAt => "t.due_key",
    };
    Order { key, text: false, descending, unique: false, id: "t.id" }
}

/// Whether the contact or deal of a task is there, asked row by row: nothing that a planner could join or hash.
const LIVING: &str = "(SELECT c.deleted_at FROM contacts c WHERE c.organization_id = t.organization_id AND c.id = t.contact_id) IS NULL \
                      AND (SELECT d.deleted_at FROM deals d WHERE d.organization_id = t.organization_id AND d.id = t.deal_id) IS NULL";

fn conditions(filter: &TaskFilter, done: Option<bool>, sort: TaskSort, statement: &mut Statement) {
    let on = filter.contact_id.is_some() || filter.deal_id.is_some();
    let mut conditions = Conditions::new();
    conditions.equal("contact_id", filter.contact_id.as_ref());
    conditions.equal("deal_id", filter.deal_id.as_ref());
    if sort == TaskSort::DueAt && !on {
        // The index has whether they are done before the date.
        and_equal(statement, "assigned_to", filter.assigned_to.as_ref());
        and_equal(statement, "done", done.as_ref());
    } else {
        conditions.equal("assigned_to", filter.assigned_to.as_ref());
        conditions.equal("done", done.as_ref());
    }
    conditions.push(statement);
    bounds(statement, filter, if sort == TaskSort::DueAt { " AND t.due_key" } else { " AND t.due_at" });
    statement.push(OPAQUE).push(LIVING).push(OPAQUE_END);
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

/// What has no date is due after everything that has one.
fn due_key(task: &Task) -> i64 {
    task.due_at.map_or(i64::MAX, |at| at.timestamp_micros())
}

fn task_place(sort: TaskSort, task: &Task) -> Position {
    match sort {
        TaskSort::CreatedAt => by_time(task.created_at, task.id),
        TaskSort::DueAt => by_number(due_key(task), task.id),
    }
}
