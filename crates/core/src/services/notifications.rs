//! Notifications: what a user is told in the application. Made by rules and by the system, read and settled by the user.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::{
    domain::{
        event::{EventKind, Subject},
        notification::{Notification, NotificationKind},
        organization::User,
        text::Flaws,
    },
    error::{Error, Result},
    id::{ContactId, DealId, NotificationId, RuleId, TaskId, UserId},
    page::{Page, PageRequest},
    patch::Patch,
    ports::store::{Column, Update, Write},
    services::{
        mail::{self, NewMail},
        unit::Unit,
    },
};

/// What is to be told to whom.
pub(crate) struct NewNotification {
    pub(crate) user_id: UserId,
    pub(crate) kind: NotificationKind,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) contact_id: Option<ContactId>,
    pub(crate) deal_id: Option<DealId>,
    pub(crate) task_id: Option<TaskId>,
    pub(crate) rule_id: Option<RuleId>,
}

impl NewNotification {
    /// One sentence, about nothing in particular yet.
    pub(crate) const fn new(user_id: UserId, kind: NotificationKind, title: String) -> Self {
        Self { user_id, kind, title, body: None, contact_id: None, deal_id: None, task_id: None, rule_id: None }
    }
}

/// The change of a notification: a merge patch.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NotificationPatch {
    /// Whether it was read.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub read: Patch<bool>,
}

/// Which notification, and its change.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateNotification {
    /// Which one.
    pub id: NotificationId,
    /// Its change.
    pub patch: NotificationPatch,
}

/// What a notification's mail is sent for.
pub(crate) fn mail_key(id: NotificationId) -> String {
    format!("notification:{id}")
}

/// Tells a member something, in the ways in which they want to be told; who has left is told nothing, whatever still
/// names them. The users' rows are read one by one unless the unit has met them: [`meet_users`] first, if there are
/// several.
pub(crate) async fn notify(unit: &mut Unit, new: NewNotification) -> Result<()> {
    if !unit.is_member(new.user_id).await? {
        return Ok(());
    }
    let user = match unit.known::<User>(&[new.user_id.to_value()])? {
        Some(known) => known,
        None => match unit.store().user(new.user_id).await? {
            Some(found) => unit.meet(found)?,
            None => None,
        },
    };
    let Some(user) = user else { return Ok(()) };
    let channels = user.preferences.channels(new.kind);
    let id: NotificationId = unit.id()?;
    if channels.email {
        let text = match &new.body {
            Some(body) => format!("{}\n\n{body}\n", new.title),
            None => format!("{}\n", new.title),
        };
        let key = mail_key(id);
        let (to, subject) = (user.email, new.title.clone());
        mail::send(unit, NewMail { to, to_name: Some(user.name), subject, text, key }).await?;
    }
    if !channels.in_app {
        return Ok(());
    }
    let notification = Notification {
        id,
        organization_id: unit.organization_id(),
        user_id: new.user_id,
        kind: new.kind.to_string(),
        title: new.title,
        body: new.body,
        contact_id: new.contact_id,
        deal_id: new.deal_id,
        task_id: new.task_id,
        rule_id: new.rule_id,
        data: Map::new(),
        read: false,
        created_at: unit.now(),
    };
    let about = new.contact_id.map(Subject::from).or_else(|| new.deal_id.map(Subject::from));
    let subject = about.unwrap_or_else(|| notification.organization_id.into());
    unit.fact(EventKind::NotificationCreated, subject)?
        .data("notification_id", notification.id)
        .data("user_id", notification.user_id)
        .write(Write::insert(&notification));
    Ok(())
}

/// Reads several members at once, so that each can be notified without a read of their own.
pub(crate) async fn meet_users(unit: &mut Unit, members: &[UserId]) -> Result<()> {
    for user in unit.store().users(members).await? {
        unit.meet(user)?;
    }
    unit.kept.members.extend(members.iter().map(|member| (*member, true)));
    Ok(())
}

pub(crate) async fn list(unit: &mut Unit, page: PageRequest) -> Result<Page<Notification>> {
    let user = unit.scope().require_person()?;
    unit.store().notifications(unit.organization_id(), user, &page).await
}

pub(crate) async fn get(unit: &mut Unit, id: NotificationId) -> Result<Notification> {
    let user = unit.scope().require_person()?;
    let found = unit.store().notification(unit.organization_id(), id).await?;
    // Somebody else's notification does not exist for this user.
    found.filter(|it| it.user_id == user).ok_or_else(|| Error::not_found("notification", id))
}

pub(crate) async fn update(unit: &mut Unit, input: UpdateNotification) -> Result<Notification> {
    let mut notification = get(unit, input.id).await?;
    let mut flaws = Flaws::default();
    let read = flaws.given("/read", input.patch.read).unwrap_or(notification.read);
    flaws.end()?;
    if notification.read != read {
        unit.note(Write::Update(Update::of(&notification).set("read", &read)))?;
        notification.read = read;
    }
    Ok(notification)
}
