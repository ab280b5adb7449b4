//! Notifications: what a user is told in the application. Made by rules and by the system, read and settled by the user.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::{
    domain::{
        event::{EventKind, Subject},
        notification::Notification,
    },
    error::{Error, Result},
    id::{ContactId, NotificationId, RuleId, UserId},
    page::{Page, PageRequest},
    ports::store::{Update, Write},
    services::unit::Unit,
};

/// What is to be told to whom.
pub(crate) struct NewNotification {
    pub(crate) user_id: UserId,
    pub(crate) kind: &'static str,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) contact_id: Option<ContactId>,
    pub(crate) rule_id: Option<RuleId>,
}

/// The change of a notification.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotificationPatch {
    /// Whether it was read.
    pub read: bool,
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

/// Tells a user something.
pub(crate) fn notify(unit: &mut Unit, new: NewNotification) -> Result<NotificationId> {
    let notification = Notification {
        id: unit.id()?,
        organization_id: unit.organization_id(),
        user_id: new.user_id,
        kind: new.kind.to_owned(),
        title: new.title,
        body: new.body,
        contact_id: new.contact_id,
        rule_id: new.rule_id,
        data: Map::new(),
        read: false,
        created_at: unit.now(),
    };
    let subject = new.contact_id.map_or_else(|| Subject::from(notification.organization_id), Subject::from);
    unit.fact(EventKind::NotificationCreated, subject)?
        .data("notification_id", notification.id)
        .data("user_id", notification.user_id)
        .write(Write::insert(&notification));
    Ok(notification.id)
}

pub(crate) async fn list(unit: &mut Unit, page: PageRequest) -> Result<Page<Notification>> {
    let user = unit.scope().require_user()?;
    unit.store().notifications(unit.organization_id(), user, &page).await
}

pub(crate) async fn get(unit: &mut Unit, id: NotificationId) -> Result<Notification> {
    let user = unit.scope().require_user()?;
    let found = unit.store().notification(unit.organization_id(), id).await?;
    // Somebody else's notification does not exist for this user.
    found.filter(|it| it.user_id == user).ok_or_else(|| Error::not_found("notification", id))
}

pub(crate) async fn update(unit: &mut Unit, input: UpdateNotification) -> Result<Notification> {
    let mut notification = get(unit, input.id).await?;
    if notification.read != input.patch.read {
        unit.note(Write::Update(Update::of(&notification).set("read", &input.patch.read)))?;
        notification.read = input.patch.read;
    }
    Ok(notification)
}
