//! What is said: events of the engine become events of Socket.IO. Outer names are camelCase, a message inside is as in
//! REST; `seq` ascends per subject. Each listener of an account reads the message as themselves, so bodies are shown to
//! whom they are shown elsewhere.

use std::{collections::HashMap, sync::Arc};

use dealwright::{
    Crm, ErrorKind, Handle,
    domain::event::{Event, EventKind},
    id::{AccountId, Id, TeamId, UserId},
    scope::{Actor, Resource},
};
use serde_json::{Map, Value, json};
use socketioxide::{SocketIo, extract::SocketRef};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{client::Client, rooms};
use crate::metrics;

/// Says what happens until told to stop.
pub async fn run(crm: Crm, io: SocketIo, stop: CancellationToken) {
    let mut events = crm.events();
    loop {
        let received = tokio::select! {
            _ = stop.cancelled() => return,
            received = events.recv() => received,
        };
        match received {
            Ok(event) => {
                metrics::event(event.kind.as_str());
                say(&crm, &io, &event).await;
            }
            Err(RecvError::Lagged(missed)) => {
                warn!(missed, "live views fell behind and missed events; clients see them when they read again");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

async fn say(crm: &Crm, io: &SocketIo, event: &Arc<Event>) {
    let organization = rooms::organization(event.organization_id);
    match event.kind {
        EventKind::StageChanged => {
            let about = if event.subject.deal().is_some() { Resource::Deals } else { Resource::Contacts };
            emit(io, &with_teams(organization, event), about, "stage-changed", &stage_changed(event)).await;
        }
        EventKind::ContactUpdated => {
            let payload = json!({"clientId": event.subject.id, "changes": changes(event), "seq": event.subject_seq});
            emit(io, &with_teams(organization, event), Resource::Contacts, "client-updated", &payload).await;
        }
        EventKind::DealCreated
        | EventKind::DealUpdated
        | EventKind::DealDeleted
        | EventKind::DealRestored
        | EventKind::DealWon
        | EventKind::DealLost => {
            emit(io, &with_teams(organization, event), Resource::Deals, "deal-updated", &deal_updated(event)).await;
        }
        EventKind::MessageReceived | EventKind::MessageQueued => message(crm, io, event, "new-message").await,
        EventKind::MessageSent | EventKind::MessageUpdated => message(crm, io, event, "message-updated").await,
        EventKind::AccountConnected | EventKind::AccountStatusChanged => {
            let account = rooms::account(AccountId::from_uuid(event.subject.id));
            emit(io, &[account, organization], Resource::Accounts, "account-status", &account_status(event)).await;
        }
        EventKind::TaskDue => task_due(crm, io, event).await,
        EventKind::NotificationCreated => notification(crm, io, event).await,
        _ => {}
    }
}

/// Says it in rooms, to those who may read what it is about.
async fn emit(io: &SocketIo, rooms: &[String], about: Resource, name: &'static str, payload: &Value) {
    let to: Vec<String> = rooms.iter().map(|room| rooms::hearers(room, about)).collect();
    // A socket in two of the rooms hears it once.
    if let Err(error) = io.to(to).emit(name, payload).await {
        debug!(%error, name, "some clients did not hear it");
    }
}

/// The organisation's room and those of the contact's team, and of the team that it has just left.
fn with_teams(organization: String, event: &Event) -> Vec<String> {
    let left = event.changes.get("team_id").map(|change| &change.before);
    let teams = [event.data.get("team_id"), left].into_iter().flatten();
    let room = |id: &Value| id.as_str()?.parse::<TeamId>().ok().map(rooms::team);
    std::iter::once(organization).chain(teams.filter_map(room)).collect()
}

fn datum(event: &Event, name: &str) -> Value {
    event.data.get(name).cloned().unwrap_or(Value::Null)
}

/// The new value of each changed field.
fn changes(event: &Event) -> Map<String, Value> {
    event.changes.iter().map(|(name, change)| (name.clone(), change.after.clone())).collect()
}

/// A deal that was won or lost has its new status as its change; that it is deleted is one too.
fn deal_updated(event: &Event) -> Value {
    let mut changes = changes(event);
    match event.kind {
        EventKind::DealWon => drop(changes.insert("status".to_owned(), json!("won"))),
        EventKind::DealLost => drop(changes.insert("status".to_owned(), json!("lost"))),
        EventKind::DealDeleted => drop(changes.insert("deleted".to_owned(), json!(true))),
        EventKind::DealRestored => drop(changes.insert("deleted".to_owned(), json!(false))),
        _ => {}
    }
    json!({"dealId": event.subject.id, "changes": changes, "seq": event.subject_seq})
}

fn stage_changed(event: &Event) -> Value {
    let client = if event.subject.deal().is_some() { datum(event, "contact_id") } else { json!(event.subject.id) };
    json!({
        "clientId": client,
        "dealId": datum(event, "deal_id"),
        "fromStage": datum(event, "from_stage_id"),
        "toStage": datum(event, "to_stage_id"),
        "autoMoved": datum(event, "auto_moved"),
        "ruleId": datum(event, "rule_id"),
        "seq": event.subject_seq,
    })
}

fn account_status(event: &Event) -> Value {
    let changed = |name: &str| event.changes.get(name).map(|change| change.after.clone());
    let of = |name: &str, field: &str| match datum(event, name) {
        Value::Null => changed(field).unwrap_or(Value::Null),
        value => value,
    };
    json!({
        "accountId": event.subject.id,
        "status": of("status", "status"),
        "reason": of("reason", "status_reason"),
        "seq": event.subject_seq,
    })
}

/// What a person may read, asked as themselves; nothing if they may not, or if it is gone.
async fn read(handle: &Handle, operation: &str, id: Value) -> Option<Value> {
    match handle.call(operation, id).await {
        Ok(value) => Some(value),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => None,
        Err(error) => {
            warn!(%error, operation, "a live view cannot be read");
            None
        }
    }
}

async fn message(crm: &Crm, io: &SocketIo, event: &Event, name: &'static str) {
    let text = |name: &str| event.data.get(name).and_then(Value::as_str);
    let Some(account) = text("account_id").and_then(|id| id.parse::<AccountId>().ok()) else { return };
    let mut listeners: HashMap<Actor, Vec<SocketRef>> = HashMap::new();
    for socket in io.within(rooms::account(account)).sockets() {
        if let Some(client) = socket.extensions.get::<Client>() {
            listeners.entry(client.scope().actor).or_default().push(socket);
        }
    }
    for sockets in listeners.into_values() {
        let Some(client) = sockets.first().and_then(|socket| socket.extensions.get::<Client>()) else { continue };
        let handle = crm.with_scope(client.scope());
        let Some(shown) = read(&handle, "messages.get", datum(event, "message_id")).await else { continue };
        let Some(chat) = read(&handle, "chats.get", datum(event, "chat_id")).await else { continue };
        let payload = json!({
            "chatId": datum(event, "chat_id"),
            "message": shown,
            "unreadCount": chat.get("unread_count"),
            "seq": event.subject_seq,
        });
        for socket in sockets {
            if let Err(error) = socket.emit(name, &payload) {
                debug!(%error, name, "a client did not hear it");
            }
        }
    }
}

/// A task has fallen due: its assignee hears of it.
async fn task_due(crm: &Crm, io: &SocketIo, event: &Event) {
    let assignee = event.data.get("assigned_to").and_then(Value::as_str).and_then(|id| id.parse::<UserId>().ok());
    let Some(user) = assignee else { return };
    let Ok(handle) = crm.as_user(event.organization_id, user).await else { return };
    let Some(shown) = read(&handle, "tasks.get", datum(event, "task_id")).await else { return };
    let payload = json!({"taskId": datum(event, "task_id"), "task": shown, "seq": event.subject_seq});
    emit(io, &[rooms::user(user)], Resource::Contacts, "task-due", &payload).await;
}

async fn notification(crm: &Crm, io: &SocketIo, event: &Event) {
    let Some(user) = event.data.get("user_id").and_then(Value::as_str).and_then(|id| id.parse::<UserId>().ok()) else {
        return;
    };
    let Ok(handle) = crm.as_user(event.organization_id, user).await else { return };
    let Some(shown) = read(&handle, "notifications.get", datum(event, "notification_id")).await else { return };
    let payload = json!({"notification": shown, "seq": event.subject_seq});
    emit(io, &[rooms::user(user)], Resource::Notifications, "notification", &payload).await;
}
