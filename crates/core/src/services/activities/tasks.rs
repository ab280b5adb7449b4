//! Tasks: making, reading, editing and removing them. Each has one work item, due when something about it is next to be
//! told: its reminder, or that it has fallen due.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{On, due::tell_assignee};
use crate::{
    domain::{
        event::EventKind,
        job::Lane,
        task::Task,
        text::{self, Flaws},
    },
    error::{Error, Result},
    id::{ContactId, DealId, Id, TaskId, UserId},
    page::{Page, PageRequest},
    patch::Patch,
    ports::store::{TaskFilter, TaskSort},
    services::unit::{Unit, check_version, keyed},
};

/// A task to be made for a contact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactTask {
    /// The contact.
    pub contact_id: ContactId,
    /// What is to be done, 1…200 characters.
    pub title: String,
    /// By when.
    #[serde(default)]
    pub due_at: Option<DateTime<Utc>>,
    /// When its assignee is reminded.
    #[serde(default)]
    pub remind_at: Option<DateTime<Utc>>,
    /// Who is to do it: a member; the caller if left out, nobody if `null`.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub assigned_to: Patch<UserId>,
    /// Whether it is done already: then nobody is reminded of it, and it never falls due.
    #[serde(default)]
    pub done: bool,
}

/// A task to be made for a deal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DealTask {
    /// The deal.
    pub deal_id: DealId,
    /// What is to be done, 1…200 characters.
    pub title: String,
    /// By when.
    #[serde(default)]
    pub due_at: Option<DateTime<Utc>>,
    /// When its assignee is reminded.
    #[serde(default)]
    pub remind_at: Option<DateTime<Utc>>,
    /// Who is to do it: a member; the caller if left out, nobody if `null`.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub assigned_to: Patch<UserId>,
    /// Whether it is done already: then nobody is reminded of it, and it never falls due.
    #[serde(default)]
    pub done: bool,
}

/// Which tasks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListTasks {
    /// On this contact.
    pub contact_id: Option<ContactId>,
    /// On this deal.
    pub deal_id: Option<DealId>,
    /// Whose: a member's id, or `me`.
    pub assigned_to: Option<String>,
    /// Done ones, or those that are not.
    pub done: Option<bool>,
    /// Due before this instant.
    pub due_before: Option<DateTime<Utc>>,
    /// Due at this instant or later.
    pub due_after: Option<DateTime<Utc>>,
    /// `created_at` or `due_at`, with a leading `-` for largest first; newest first if left out. Those without `due_at` come
    /// as if they were due last.
    pub sort: Option<String>,
    /// Items a page, 1…200.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Which tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListContactTasks {
    /// Of this contact.
    pub contact_id: ContactId,
    /// Items a page, 1…200.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// Which tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDealTasks {
    /// Of this deal.
    pub deal_id: DealId,
    /// Items a page, 1…200.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// A change of a task: a merge patch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TaskPatch {
    /// What is to be done.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub title: Patch<String>,
    /// By when.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub due_at: Patch<DateTime<Utc>>,
    /// When its assignee is reminded.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub remind_at: Patch<DateTime<Utc>>,
    /// Who is to do it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub assigned_to: Patch<UserId>,
    /// Whether it is done.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub done: Patch<bool>,
}

/// Which task, and its change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateTask {
    /// Which one.
    pub id: TaskId,
    /// Its change.
    pub patch: TaskPatch,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Which task is to be removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteTask {
    /// Which one.
    pub id: TaskId,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// A task whose contact or deal is there.
pub(super) async fn find(unit: &mut Unit, id: TaskId) -> Result<Option<Task>> {
    let organization = unit.organization_id();
    let found = match unit.known::<Task>(&keyed(organization, id))? {
        Some(known) => known,
        None => match unit.store().task(organization, id).await? {
            Some(found) => unit.meet(found)?,
            None => None,
        },
    };
    let Some(task) = found else { return Ok(None) };
    let on = On::of(task.contact_id, task.deal_id)?;
    Ok(on.lives(unit).await?.then_some(task))
}

pub(crate) async fn get(unit: &mut Unit, id: TaskId) -> Result<Task> {
    find(unit, id).await?.ok_or_else(|| Error::not_found("task", id))
}

/// What a task is made from.
pub(crate) struct Draft {
    pub(crate) title: String,
    pub(crate) due_at: Option<DateTime<Utc>>,
    pub(crate) remind_at: Option<DateTime<Utc>>,
    pub(crate) assigned_to: Option<UserId>,
    pub(crate) done: bool,
}

fn assignee(unit: &Unit, given: Patch<UserId>) -> Option<UserId> {
    match given {
        Patch::Absent => unit.scope().user_id(),
        Patch::Null => None,
        Patch::Value(user) => Some(user),
    }
}

pub(crate) async fn for_contact(unit: &mut Unit, input: ContactTask) -> Result<Task> {
    let assigned_to = assignee(unit, input.assigned_to);
    let (title, due_at, remind_at) = (input.title, input.due_at, input.remind_at);
    let draft = Draft { title, due_at, remind_at, assigned_to, done: input.done };
    create(unit, On::Contact(input.contact_id), draft).await
}

pub(crate) async fn for_deal(unit: &mut Unit, input: DealTask) -> Result<Task> {
    let assigned_to = assignee(unit, input.assigned_to);
    let (title, due_at, remind_at) = (input.title, input.due_at, input.remind_at);
    let draft = Draft { title, due_at, remind_at, assigned_to, done: input.done };
    create(unit, On::Deal(input.deal_id), draft).await
}

pub(crate) async fn create(unit: &mut Unit, on: On, draft: Draft) -> Result<Task> {
    let on = on.check(unit).await?;
    let task = Task {
        id: unit.id()?,
        organization_id: unit.organization_id(),
        contact_id: on.contact(),
        deal_id: on.deal(),
        title: draft.title,
        due_at: draft.due_at,
        remind_at: draft.remind_at,
        assigned_to: draft.assigned_to,
        done: draft.done,
        done_at: draft.done.then(|| unit.now()),
        due_told: false,
        reminded: false,
        created_by: unit.scope().user_id(),
        created_at: unit.now(),
        updated_at: unit.now(),
        version: 1,
    };
    let task = checked(unit, None, task).await?;
    unit.fact(EventKind::TaskCreated, on)?.changes(None, &task).data("task_id", task.id).insert(&task);
    plant(unit, &task);
    tell_assignee(unit, &task).await?;
    Ok(task)
}

async fn checked(unit: &mut Unit, before: Option<&Task>, mut task: Task) -> Result<Task> {
    let mut flaws = Flaws::default();
    if let Some(title) = flaws.take("/title", text::name(&task.title)) {
        task.title = title;
    }
    if let Some(user) = task.assigned_to
        && before.is_none_or(|before| before.assigned_to != Some(user))
        && !unit.is_member(user).await?
    {
        flaws.add("/assigned_to", "unknown", format!("{user} is no member of the organisation"));
    }
    flaws.end()?;
    Ok(task)
}

/// Plants the task's work item for what is next to be told, or takes it away.
fn plant(unit: &mut Unit, task: &Task) {
    match task.next_at() {
        Some(at) => unit.plant(Lane::Task, task.id, at),
        None => unit.batch.uproot(Lane::Task, task.id.uuid()),
    }
}

pub(crate) async fn list(unit: &mut Unit, input: ListTasks) -> Result<Page<Task>> {
    let assigned_to = match input.assigned_to.as_deref() {
        None => None,
        Some("me") => Some(unit.scope().require_member()?),
        Some(id) => Some(id.parse::<UserId>().map_err(|_| {
            let detail = format!("{id:?} is no member: an id or me is expected");
            Error::malformed(detail.clone()).code_of("invalid_parameter").field("/assigned_to", "invalid", detail)
        })?),
    };
    let (sort, descending) = sort(input.sort.as_deref())?;
    let filter = TaskFilter {
        contact_id: input.contact_id,
        deal_id: input.deal_id,
        assigned_to,
        done: input.done,
        due_before: input.due_before,
        due_after: input.due_after,
    };
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    unit.store().tasks(unit.organization_id(), &filter, sort, descending, &page).await
}

fn sort(text: Option<&str>) -> Result<(TaskSort, bool)> {
    match text {
        None | Some("-created_at") => Ok((TaskSort::CreatedAt, true)),
        Some("created_at") => Ok((TaskSort::CreatedAt, false)),
        Some("due_at") => Ok((TaskSort::DueAt, false)),
        Some("-due_at") => Ok((TaskSort::DueAt, true)),
        Some(other) => {
            let detail = format!("tasks cannot be sorted by {other:?}: created_at or due_at is expected");
            Err(Error::malformed(detail.clone()).code_of("invalid_parameter").field("/sort", "unknown", detail))
        }
    }
}

pub(crate) async fn of_contact(unit: &mut Unit, input: ListContactTasks) -> Result<Page<Task>> {
    let on = On::Contact(input.contact_id).check(unit).await?;
    list_on(unit, on, PageRequest { limit: input.limit, cursor: input.cursor }).await
}

pub(crate) async fn of_deal(unit: &mut Unit, input: ListDealTasks) -> Result<Page<Task>> {
    let on = On::Deal(input.deal_id).check(unit).await?;
    list_on(unit, on, PageRequest { limit: input.limit, cursor: input.cursor }).await
}

async fn list_on(unit: &Unit, on: On, page: PageRequest) -> Result<Page<Task>> {
    let filter = TaskFilter { contact_id: on.contact(), deal_id: on.deal(), ..TaskFilter::default() };
    unit.store().tasks(unit.organization_id(), &filter, TaskSort::CreatedAt, true, &page).await
}

pub(crate) async fn update(unit: &mut Unit, input: UpdateTask) -> Result<Task> {
    let before = get(unit, input.id).await?;
    check_version("task", input.if_version, before.version)?;
    let mut after = before.clone();
    let patch = input.patch;
    // A title cannot be cleared: the check says so.
    patch.title.replace(&mut after.title);
    patch.due_at.apply(&mut after.due_at);
    patch.remind_at.apply(&mut after.remind_at);
    patch.assigned_to.apply(&mut after.assigned_to);
    patch.done.replace(&mut after.done);
    if before.done && !after.done {
        // What was done is left with whoever did it, also when they leave.
        unit.drop_gone(&mut after.assigned_to, &mut None).await?;
    }
    let mut after = checked(unit, Some(&before), after).await?;
    if after == before {
        return Ok(before);
    }
    let now = unit.now();
    // Another time is told anew.
    after.due_told &= after.due_at == before.due_at;
    after.reminded &= after.remind_at == before.remind_at;
    if after.done != before.done {
        after.done_at = after.done.then_some(now);
    }
    after.updated_at = now;
    let on = On::of(before.contact_id, before.deal_id)?;
    let (fact, after) = unit.fact(EventKind::TaskUpdated, on)?.edit(&before, &after)?;
    fact.changes(Some(&before), &after).data("task_id", after.id);
    plant(unit, &after);
    if after.assigned_to != before.assigned_to {
        tell_assignee(unit, &after).await?;
    }
    Ok(after)
}

/// Gives a task to somebody, or to nobody.
pub(crate) fn give(unit: &mut Unit, task: Task, to: Option<UserId>) -> Result<()> {
    let Some(before) = unit.meet(task)? else { return Ok(()) };
    let after = Task { assigned_to: to, updated_at: unit.now(), ..before.clone() };
    let on = On::of(before.contact_id, before.deal_id)?;
    let (fact, after) = unit.fact(EventKind::TaskUpdated, on)?.edit(&before, &after)?;
    fact.changes(Some(&before), &after).data("task_id", after.id);
    Ok(())
}

pub(crate) async fn delete(unit: &mut Unit, input: DeleteTask) -> Result<()> {
    let task = get(unit, input.id).await?;
    check_version("task", input.if_version, task.version)?;
    let on = On::of(task.contact_id, task.deal_id)?;
    unit.fact(EventKind::TaskDeleted, on)?.change("title", &task.title, ()).data("task_id", task.id).delete(&task);
    unit.batch.uproot(Lane::Task, task.id.uuid());
    Ok(())
}
