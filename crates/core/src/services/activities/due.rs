//! What comes of a task whose time has come: its assignee is told, and that it has fallen due is an event that rules see.

use super::{On, tasks};
use crate::{
    domain::{event::EventKind, job::Claim, notification::NotificationKind, task::Task},
    error::Result,
    id::{Id, TaskId},
    ports::store::{Update, WorkEnd},
    services::{
        notifications::{self, NewNotification},
        unit::Unit,
    },
};

/// Tells what has come due of a task, and plants what is next.
pub(crate) async fn come_due(unit: &mut Unit, claim: Claim) -> Result<()> {
    let task = tasks::find(unit, TaskId::from_uuid(claim.id)).await?;
    let Some(task) = task.filter(|task| !task.done) else {
        unit.batch.end(WorkEnd::Done(claim));
        return Ok(());
    };
    let now = unit.now();
    let on = On::of(task.contact_id, task.deal_id)?;
    let has_come = |at: Option<chrono::DateTime<chrono::Utc>>, told: bool| !told && at.is_some_and(|at| at <= now);
    let mut told = task.clone();
    if has_come(task.remind_at, task.reminded) {
        told.reminded = true;
        notify(unit, &task, NotificationKind::TaskReminder, format!("Reminder: {}", task.title)).await?;
    }
    if has_come(task.due_at, task.due_told) {
        told.due_told = true;
        notify(unit, &task, NotificationKind::TaskDue, format!("Due: {}", task.title)).await?;
        // Activity: people have not edited it.
        let update = Update::of(&task).set("due_told", &true).expect("due_told", &false).expect("due_at", &task.due_at);
        unit.fact(EventKind::TaskDue, on)?
            .data("task_id", task.id)
            .data("title", &task.title)
            .data("assigned_to", task.assigned_to)
            .data("due_at", task.due_at)
            .touch(update);
    }
    if told.reminded != task.reminded {
        let update = Update::of(&task).set("reminded", &true).expect("remind_at", &task.remind_at);
        unit.note_touch(update)?;
    }
    unit.batch.end(match told.next_at() {
        Some(next) => WorkEnd::Later(claim, next),
        None => WorkEnd::Done(claim),
    });
    Ok(())
}

/// Tells the task's assignee, if it has one.
async fn notify(unit: &mut Unit, task: &Task, kind: NotificationKind, title: String) -> Result<()> {
    let Some(user_id) = task.assigned_to else { return Ok(()) };
    let new = NewNotification {
        contact_id: task.contact_id,
        deal_id: task.deal_id,
        task_id: Some(task.id),
        ..NewNotification::new(user_id, kind, title)
    };
    notifications::notify(unit, new).await
}

/// Tells the task's assignee that it is theirs, unless it is done or they gave it to themselves.
pub(super) async fn tell_assignee(unit: &mut Unit, task: &Task) -> Result<()> {
    if task.done || task.assigned_to == unit.scope().user_id() {
        return Ok(());
    }
    notify(unit, task, NotificationKind::Assigned, format!("{} was assigned to you", task.title)).await
}
