//! What is said: events of the engine become events of Socket.IO. Outer names are camelCase, a message inside is as in
//! REST; `seq` ascends per subject, and an event that is told twice has the same. A message is read once for all who listen
//! to its account, and its body is shown to whom it is shown elsewhere.

use std::{collections::HashMap, sync::Arc};

use dealwright::{
    Crm, ErrorKind, Handle,
    domain::{
        event::{Event, EventKind},
        restricted::is_hideable,
    },
    id::{AccountId, Id, MessageId, TeamId, UserId},
    scope::Resource,
    services::messaging::Sees,
};
use serde_json::{Map, Value, json};
use socketioxide::{SocketIo, extract::SocketRef};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;

use super::{client::Client, rooms};
use crate::metrics;

/// Says what happens until told to stop.
pub async fn run(crm: Crm, io: SocketIo, stop: CancellationToken) {
    let events = crm.events();
    relay(crm, io, events, stop).await;
}

async fn relay(crm: Crm, io: SocketIo, mut events: Receiver<Arc<Event>>, stop: CancellationToken) {
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
                warn!(missed, "live views fell behind and missed events; clients are told to read again");
                metrics::missed(missed);
                // Nobody knows whose they were. A server that hangs up is not called again by itself; so they are told.
                if let Err(error) = io.emit("events-missed", &json!({"missed": missed})).await {
                    debug!(%error, "some clients did not hear that they missed something");
                }
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
            say_of(io, event, about, "stage-changed", &stage_changed(event)).await;
            // That one is won or lost has an event of its own.
            if event.subject.deal().is_some() && event.changes.get("status").is_some_and(|it| it.after == "open") {
                let payload = json!({
                    "dealId": event.subject.id, "changes": {"status": "open"}, "seq": event.subject_seq,
                });
                say_of(io, event, Resource::Deals, "deal-updated", &payload).await;
            }
        }
        EventKind::ContactCreated
        | EventKind::ContactUpdated
        | EventKind::ContactDeleted
        | EventKind::ContactErased
        | EventKind::ContactRestored => {
            let payload = json!({"clientId": event.subject.id, "changes": changes(event), "seq": event.subject_seq});
            say_of(io, event, Resource::Contacts, "client-updated", &payload).await;
        }
        EventKind::DealCreated
        | EventKind::DealUpdated
        | EventKind::DealDeleted
        | EventKind::DealRestored
        | EventKind::DealWon
        | EventKind::DealLost => {
            say_of(io, event, Resource::Deals, "deal-updated", &deal_updated(event)).await;
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
    tell(io, rooms.iter().map(|room| rooms::hearers(room, about)).collect(), name, payload).await;
}

/// Says something of a contact or deal: in the organisation's room and those of its team, and to those who see it among
/// those who see some records alone.
async fn say_of(io: &SocketIo, event: &Event, about: Resource, name: &'static str, payload: &Value) {
    let organization = event.organization_id;
    let rooms = with_teams(rooms::organization(organization), event);
    let to = rooms.iter().map(|room| rooms::hearers(room, about));
    let keepers = keepers(event).into_iter().map(|keeper| rooms::seers(organization, about, keeper));
    let to: Vec<String> = to.chain(keepers).collect();
    let spared = to.iter().map(|room| rooms::spared(room)).collect();
    tell(io, to, name, payload).await;
    tell(io, spared, name, &sparing(payload)).await;
}

/// The same without what some role may not see. Which fields that are differs by role; what is told is what all may hear.
fn sparing(payload: &Value) -> Value {
    let mut payload = payload.clone();
    if let Some(changes) = payload.get_mut("changes").and_then(Value::as_object_mut) {
        changes.retain(|member, _| !is_hideable(member));
    }
    payload
}

/// Who looks after a contact or deal, as its event says; `None`: nobody. An event that does not say is no reason to tell
/// anybody.
fn keepers(event: &Event) -> Vec<Option<Uuid>> {
    let Some(member) = event.data.get("assigned_to") else { return Vec::new() };
    let ids = [Some(member), event.data.get("team_id")].into_iter().flatten();
    let ids: Vec<_> = ids.filter_map(|id| id.as_str()?.parse().ok()).map(Some).collect();
    if ids.is_empty() { vec![None] } else { ids }
}

async fn tell(io: &SocketIo, to: Vec<String>, name: &'static str, payload: &Value) {
    // A socket in two of the rooms hears it once.
    if let Err(error) = io.to(to).emit(name, payload).await {
        debug!(%error, name, "some clients did not hear it");
    }
}

/// The organisation's room and those of the contact's or deal's team, and of the team that it has just left.
fn with_teams(organization: String, event: &Event) -> Vec<String> {
    let changed = event.changes.get("team_id");
    let teams = [event.data.get("team_id"), changed.map(|it| &it.before), changed.map(|it| &it.after)];
    let teams = teams.into_iter().flatten();
    let room = |id: &Value| id.as_str()?.parse::<TeamId>().ok().map(rooms::team);
    std::iter::once(organization).chain(teams.filter_map(room)).collect()
}

fn datum(event: &Event, name: &str) -> Value {
    event.data.get(name).cloned().unwrap_or(Value::Null)
}

/// The new value of each changed field; that a contact or deal is deleted is a change too.
fn changes(event: &Event) -> Map<String, Value> {
    let deleted = match event.kind {
        EventKind::ContactDeleted | EventKind::ContactErased | EventKind::DealDeleted => Some(true),
        EventKind::ContactRestored | EventKind::DealRestored => Some(false),
        _ => None,
    };
    let changed = event.changes.iter().map(|(name, change)| (name.clone(), change.after.clone()));
    changed.chain(deleted.map(|deleted| ("deleted".to_owned(), json!(deleted)))).collect()
}

/// A deal that was won or lost has its new status as its change.
fn deal_updated(event: &Event) -> Value {
    let mut changes = changes(event);
    match event.kind {
        EventKind::DealWon => drop(changes.insert("status".to_owned(), json!("won"))),
        EventKind::DealLost => drop(changes.insert("status".to_owned(), json!("lost"))),
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
    let Some(message) = text("message_id").and_then(|id| id.parse::<MessageId>().ok()) else { return };
    let sockets: Vec<SocketRef> = io.within(rooms::account(account)).sockets();
    let listeners = sockets.into_iter().filter_map(|socket| {
        let scope = socket.extensions.get::<Client>()?.scope();
        Some((socket, scope))
    });
    let (sockets, scopes): (Vec<_>, Vec<_>) = listeners.unzip();
    if sockets.is_empty() {
        return;
    }
    let live = match crm.as_system(event.organization_id).messages().live(message, &scopes).await {
        Ok(Some(live)) => live,
        Ok(None) => return,
        Err(error) => {
            warn!(%error, name, "a live view cannot be read");
            return;
        }
    };
    let payload = |sees: Sees| {
        live.shown(sees).map(|message| {
            json!({
                "chatId": datum(event, "chat_id"),
                "message": message,
                "unreadCount": live.unread_count,
                "seq": event.subject_seq,
            })
        })
    };
    let mut payloads: HashMap<Sees, Option<Value>> = HashMap::new();
    for (socket, sees) in sockets.into_iter().zip(&live.sees) {
        let Some(payload) = payloads.entry(*sees).or_insert_with(|| payload(*sees)) else { continue };
        if let Err(error) = socket.emit(name, payload) {
            debug!(%error, name, "a client did not hear it");
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::Router;
    use dealwright::{
        domain::event::Subject,
        id::{ContactId, EventId, OrganizationId},
        scope::Scope,
    };
    use dealwright_peers::SocketIoClient;
    use tokio::{net::TcpListener, sync::broadcast};

    use super::*;

    fn event(seq: i64) -> Arc<Event> {
        let organization_id = OrganizationId::from_uuid(Uuid::nil());
        let scope = Scope::system(organization_id);
        Arc::new(Event {
            id: EventId::from_uuid(Uuid::nil()),
            organization_id,
            kind: EventKind::ContactUpdated,
            subject: Subject::from(ContactId::from_uuid(Uuid::nil())),
            subject_seq: seq,
            occurred_at: chrono::DateTime::UNIX_EPOCH,
            actor: scope.actor,
            cause: scope.cause,
            changes: BTreeMap::new(),
            data: Map::new(),
            sealed_by: None,
            sealed: None,
        })
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_listens_is_told_that_events_were_missed() {
        let (layer, io) = SocketIo::builder().req_path("/socket.io").build_layer();
        let organization = rooms::organization(OrganizationId::from_uuid(Uuid::nil()));
        let room = rooms::hearers(&organization, Resource::Contacts);
        io.ns("/", move |socket: SocketRef| {
            socket.join(room.clone());
            std::future::ready(())
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().layer(layer)).await });
        let heard = SocketIoClient::node().unwrap().listen(&url, "any", &[], None).unwrap();
        heard.await_line(|line| line.contains("connect")).unwrap();

        let (say, events) = broadcast::channel(2);
        for seq in 1..=5 {
            say.send(event(seq)).unwrap();
        }
        let crm = Crm::builder().database("sqlite::memory:").build().await.unwrap();
        let stop = CancellationToken::new();
        let bridge = tokio::spawn(relay(crm, io, events, stop.clone()));
        let missed = heard.await_line(|_| true).unwrap();
        assert!(missed.contains(r#"{"event":"events-missed","data":{"missed":3}}"#), "{missed}");
        // What was not missed is told after it.
        let next = heard.await_line(|_| true).unwrap();
        assert!(next.contains("client-updated") && next.contains(r#""seq":4"#), "{next}");
        stop.cancel();
        bridge.await.unwrap();
    }
}
