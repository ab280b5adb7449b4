//! Rooms: which there are, and who may enter which.

use std::collections::HashSet;

use dealwright::{
    Error,
    id::{AccountId, Id, OrganizationId, TeamId, UserId},
    scope::{Permission, Resource, Scope, Sight},
};
use serde::Deserialize;
use serde_json::{Value, json};
use socketioxide::extract::{AckSender, SocketRef, TryData};
use tracing::debug;
use uuid::Uuid;

use super::client::{Client, Handshake};
use crate::{problem::Problem, state::Shared};

/// Everybody of an organisation; entered by itself.
pub fn organization(id: OrganizationId) -> String {
    format!("org-{id}")
}

/// All sockets of one person; entered by itself.
pub fn user(id: UserId) -> String {
    format!("{USER}{id}")
}

/// Who listens to an account.
pub fn account(id: AccountId) -> String {
    format!("{ACCOUNT}{id}")
}

/// Who listens to a team.
pub fn team(id: TeamId) -> String {
    format!("{TEAM}{id}")
}

const ACCOUNT: &str = "bd-account-";
const TEAM: &str = "team-";
const USER: &str = "user-";

/// What is said in rooms, by what must be read to hear it.
const SAID: &[Resource] = &[Resource::Contacts, Resource::Deals, Resource::Accounts, Resource::Notifications];

/// Those in a room who may hear of a resource: a room beside the room, which no client names.
pub fn hearers(room: &str, resource: Resource) -> String {
    format!("{room}/{}", resource.as_str())
}

/// Of those who see some records alone, those who see what this member or this team looks after; `None`: what nobody does.
pub fn seers(organization: OrganizationId, resource: Resource, keeper: Option<Uuid>) -> String {
    let keeper = keeper.map_or_else(|| "nobody".to_owned(), |id| id.to_string());
    format!("{}/{keeper}", hearers(&self::organization(organization), resource))
}

/// Of those in such a room, those to whom fields are closed: they hear that something changed, and of fields that are open to
/// everybody how.
pub fn spared(room: &str) -> String {
    format!("{room}~")
}

/// The rooms beside a room in which a client hears of a resource.
fn heard(room: &str, resource: Resource, scope: &Scope) -> Vec<String> {
    let private = resource == Resource::Notifications;
    if !scope.permissions.contains(Permission::read(resource)) || (private && scope.person.is_none()) {
        return Vec::new();
    }
    let of_record = matches!(resource, Resource::Contacts | Resource::Deals);
    let rooms = match &scope.sight {
        // Of tasks and notifications they hear as themselves.
        Sight::Limited { user, teams } if of_record && !room.starts_with(USER) => {
            // In the organisation's room alone: a team's room tells whoever sees it nothing more.
            let keepers = teams.iter().map(|team| team.uuid()).chain([user.uuid()]).map(Some).chain([None]);
            let whole = room == organization(scope.organization_id);
            keepers.filter(|_| whole).map(|keeper| seers(scope.organization_id, resource, keeper)).collect()
        }
        _ => vec![hearers(room, resource)],
    };
    match of_record && !scope.fields.is_empty() && !room.starts_with(USER) {
        true => rooms.iter().map(|room| spared(room)).collect(),
        false => rooms,
    }
}

/// Puts a socket into the rooms beside its own whose words its client may hear, and out of the others.
pub fn tune(socket: &SocketRef, scope: &Scope) {
    let (beside, own): (Vec<_>, Vec<_>) = socket.rooms().into_iter().partition(|room| room.contains('/'));
    let heard: HashSet<String> =
        own.iter().flat_map(|room| SAID.iter().flat_map(|resource| heard(room, *resource, scope))).collect();
    for room in beside.into_iter().filter(|room| !heard.contains(&**room)) {
        socket.leave(room);
    }
    socket.join(heard.into_iter().collect::<Vec<_>>());
}

fn leave(socket: &SocketRef, room: &str) {
    socket.leave(room.to_owned());
    for resource in SAID {
        socket.leave(hearers(room, *resource));
    }
}

/// A room that a client names.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Named {
    Member { room: String },
    Bare(String),
}

impl Named {
    fn room(self) -> String {
        match self {
            Self::Member { room } | Self::Bare(room) => room,
        }
    }
}

/// Puts a new socket into its own rooms and listens to it.
pub fn greet(shared: Shared, socket: &SocketRef) {
    let Some(client) = socket.extensions.get::<Client>() else { return };
    let scope = client.scope();
    socket.join(organization(scope.organization_id));
    if let Some(id) = scope.user_id() {
        socket.join(user(id));
    }
    tune(socket, &scope);
    let enters = shared.clone();
    socket.on("subscribe", move |socket: SocketRef, TryData(named): TryData<Named>, ack: AckSender| {
        let shared = enters.clone();
        async move {
            let answer = match named {
                Ok(named) => enter(&shared, &socket, &named.room()).await,
                Err(_) => Err(unreadable("{room} is expected")),
            };
            acknowledge(ack, answer);
        }
    });
    socket.on("unsubscribe", move |socket: SocketRef, TryData(named): TryData<Named>, ack: AckSender| async move {
        let answer = match named {
            Ok(named) => {
                let room = named.room();
                // One's own rooms are not left; one that was never entered is left all the same.
                match room.starts_with(ACCOUNT) || room.starts_with(TEAM) {
                    true => {
                        leave(&socket, &room);
                        Ok(())
                    }
                    false => Err(unknown(&room)),
                }
            }
            Err(_) => Err(unreadable("{room} is expected")),
        };
        acknowledge(ack, answer);
    });
    socket.on("authenticate", move |socket: SocketRef, TryData(given): TryData<Handshake>, ack: AckSender| {
        let shared = shared.clone();
        async move {
            let answer = match given {
                Ok(given) => authenticate(&shared, &socket, given).await,
                Err(_) => Err(unreadable("{token} is expected")),
            };
            acknowledge(ack, answer);
        }
    });
}

async fn enter(shared: &Shared, socket: &SocketRef, room: &str) -> Result<(), Problem> {
    let client = socket.extensions.get::<Client>().ok_or_else(|| unknown(room))?;
    let handle = shared.crm().with_scope(client.scope());
    let refused = |error: Error| match error.kind() {
        dealwright::ErrorKind::NotFound => unknown(room),
        _ => error.into(),
    };
    if let Some(id) = room.strip_prefix(TEAM).and_then(|id| id.parse::<TeamId>().ok()) {
        handle.teams().listen(id).await.map_err(refused)?;
        socket.join(team(id));
        tune(socket, &client.scope());
        return Ok(());
    }
    let id: AccountId = room.strip_prefix(ACCOUNT).and_then(|id| id.parse().ok()).ok_or_else(|| unknown(room))?;
    // Whoever may see the account may listen to it: another organisation's is not found.
    handle.call("accounts.get", json!(id)).await.map_err(refused)?;
    // The room of the account as it is named by us, whatever form of the id was sent.
    socket.join(account(id));
    tune(socket, &client.scope());
    Ok(())
}

/// A newer token keeps the connection: sockets close when their token expires.
async fn authenticate(shared: &Shared, socket: &SocketRef, given: Handshake) -> Result<(), Problem> {
    let token = given.token().to_owned();
    let scope = shared.crm().identity().authenticate(&token).await?;
    let shown = socket.extensions.get::<Client>().is_some_and(|client| client.show(token, scope.clone()));
    if !shown {
        return Err(Error::forbidden("this token is somebody else's: connect anew").into());
    }
    tune(socket, &scope);
    Ok(())
}

fn unknown(room: &str) -> Problem {
    Error::not_found("room", room).into()
}

fn unreadable(what: &str) -> Problem {
    Error::malformed(what).into()
}

fn acknowledge(ack: AckSender, answer: Result<(), Problem>) {
    let answer: Value = match answer {
        Ok(()) => json!({"ok": true}),
        Err(problem) => json!({"error": {"code": problem.code(), "detail": problem.detail()}}),
    };
    if let Err(error) = ack.send(&answer) {
        debug!(%error, "an acknowledgement found no listener");
    }
}
