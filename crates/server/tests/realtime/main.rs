//! Live views over a real socket, heard by the clients that Socket.IO's own makers ship.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod live;
mod messenger;

use std::time::Duration;

use dealwright::services::identity::{SignIn, SignedIn};
use dealwright_peers::{Heard, SocketIoClient, Transport};
use serde_json::{Value, json};

use crate::{live::Live, messenger::note};

/// The next line with this event, read.
fn hear(heard: &Heard, event: &str) -> Value {
    let line = heard.await_line(|line| line.contains(&format!("\"{event}\""))).unwrap();
    serde_json::from_str(&line).unwrap()
}

/// Every client in each way of connecting that it has.
fn clients() -> [(SocketIoClient, Option<Transport>); 4] {
    let (node, python) = (SocketIoClient::node().unwrap(), SocketIoClient::python().unwrap());
    [
        (node.clone(), None),
        (node, Some(Transport::Polling)),
        (python.clone(), Some(Transport::Websocket)),
        (python, Some(Transport::Polling)),
    ]
}

/// ASVS 4.4.3 and 4.4.4.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_does_not_count_is_refused() {
    let live = Live::start().await;
    for (client, transport) in clients() {
        let heard = client.listen(&live.url, "nonsense", &[], transport).unwrap();
        let line = heard.await_line(|line| line.contains("connect_error")).unwrap();
        assert!(line.contains("invalid_token"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moves_and_edits_reach_ones_own_organisation_alone() {
    let live = Live::start().await;
    for (place, (client, transport)) in clients().into_iter().enumerate() {
        let una = live.sign_up(&format!("una{place}")).await;
        let eve = live.sign_up(&format!("eve{place}")).await;
        let unas = client.listen(&live.url, &una.access_token, &[], transport).unwrap();
        let eves = client.listen(&live.url, &eve.access_token, &[], transport).unwrap();
        hear(&unas, "connect");
        hear(&eves, "connect");

        let ada = live.contact(&una, "Ada").await;
        let made = hear(&unas, "client-updated")["data"].clone();
        assert_eq!((&made["clientId"], &made["changes"]["name"]), (&ada, &json!("Ada")));
        let stages = live.call(&una, "stages.list", json!({})).await;
        let (lead, qualified) = (stages["data"][0]["id"].clone(), stages["data"][1]["id"].clone());
        live.call(&una, "contacts.move", json!({"contact_id": ada, "stage_id": qualified})).await;
        live.call(&una, "contacts.update", json!({"id": ada, "patch": {"source": "fair"}})).await;

        let moved = hear(&unas, "stage-changed")["data"].clone();
        assert_eq!((&moved["clientId"], &moved["fromStage"], &moved["toStage"]), (&ada, &lead, &qualified));
        assert_eq!(
            (&moved["autoMoved"], &moved["ruleId"], &moved["dealId"]),
            (&json!(false), &Value::Null, &Value::Null)
        );
        let edited = hear(&unas, "client-updated")["data"].clone();
        assert_eq!((&edited["clientId"], &edited["changes"]["source"]), (&ada, &json!("fair")));
        assert!(edited["seq"].as_i64() > moved["seq"].as_i64());

        // What Eve hears first is her own.
        let bob = live.contact(&eve, "Bob").await;
        live.call(&eve, "contacts.update", json!({"id": bob, "patch": {"source": "web"}})).await;
        let line = eves.await_line(|line| line.contains("client") || line.contains("stage")).unwrap();
        assert!(line.contains(bob.as_str().unwrap()), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_reach_who_listens_to_the_account_and_bodies_who_may_read_them() {
    let live = Live::start().await;
    let una = live.sign_up("una").await;
    let max = live.join(&una, "max").await;
    let eve = live.sign_up("eve").await;
    let account = live.connect_account(&una, "owner").await;
    let room = format!("bd-account-{}", account.as_str().unwrap());

    let (node, python) = (SocketIoClient::node().unwrap(), SocketIoClient::python().unwrap());
    let unas = node.listen(&live.url, &una.access_token, &[&room], None).unwrap();
    let maxs = python.listen(&live.url, &max.access_token, &[&room], None).unwrap();
    let eves = node.listen(&live.url, &eve.access_token, &[&room, "org-x", "team-x"], None).unwrap();
    assert_eq!(hear(&unas, "subscribed")["ack"], json!({"ok": true}));
    assert_eq!(hear(&maxs, "subscribed")["ack"], json!({"ok": true}));
    for _ in 0..3 {
        assert_eq!(hear(&eves, "subscribed")["ack"]["error"]["code"], "not_found");
    }

    live.messenger.deliver(note("ada@acme.example", "Hello!")).await;
    let hers = hear(&unas, "new-message")["data"].clone();
    assert_eq!(hers["message"]["content"]["text"], "Hello!");
    assert_eq!((&hers["unreadCount"], &hers["message"]["chat_id"]), (&json!(1), &hers["chatId"]));
    let his = hear(&maxs, "new-message")["data"].clone();
    assert_eq!((&his["chatId"], &his["message"]["content"]), (&hers["chatId"], &Value::Null));

    // To the owner's team.
    live.call(&una, "accounts.update", json!({"id": account, "patch": {"visibility": "team"}})).await;
    let team = live.call(&una, "teams.create", json!({"name": "Closers"})).await["id"].clone();
    for member in [&una, &max] {
        live.call(&una, "teams.add_member", json!({"id": team, "user_id": member.user.id})).await;
    }
    live.messenger.deliver(note("ada@acme.example", "Hello, all!")).await;
    let his = hear(&maxs, "new-message")["data"].clone();
    assert_eq!(his["message"]["content"]["text"], "Hello, all!");
    assert!(!eves.so_far().iter().any(|line| line.contains("new-message")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_teams_room_is_its_members_and_admins_and_is_heard_once() {
    let live = Live::start().await;
    let una = live.sign_up("una").await;
    let (max, eve) = (live.join(&una, "max").await, live.join(&una, "eve").await);
    let team = live.call(&una, "teams.create", json!({"name": "Closers"})).await["id"].clone();
    live.call(&una, "teams.add_member", json!({"id": team, "user_id": max.user.id})).await;
    let room = format!("team-{}", team.as_str().unwrap());
    let stranger = live.sign_up("bob").await;
    let (node, python) = (SocketIoClient::node().unwrap(), SocketIoClient::python().unwrap());
    for other in [&eve, &stranger] {
        let heard = node.listen(&live.url, &other.access_token, &[&room], None).unwrap();
        assert_eq!(hear(&heard, "subscribed")["ack"]["error"]["code"], "not_found");
    }
    // The owner may listen to every team.
    let unas = node.listen(&live.url, &una.access_token, &[&room], None).unwrap();
    let maxs = python.listen(&live.url, &max.access_token, &[&room], None).unwrap();
    for heard in [&unas, &maxs] {
        assert_eq!(hear(heard, "subscribed")["ack"], json!({"ok": true}));
    }
    let ada = live.call(&una, "contacts.create", json!({"name": "Ada", "team_id": team})).await["id"].clone();
    let stages = live.call(&una, "stages.list", json!({})).await;
    live.call(&una, "contacts.move", json!({"contact_id": ada, "stage_id": stages["data"][1]["id"]})).await;
    live.call(&una, "contacts.update", json!({"id": ada, "patch": {"team_id": null}})).await;
    live.call(&una, "contacts.update", json!({"id": ada, "patch": {"source": "last"}})).await;
    for heard in [&unas, &maxs] {
        // In the organisation's room and in the team's, each socket hears each event once.
        for expected in ["Ada", "stage-changed", "team_id", "last"] {
            let line = heard.await_line(|line| line.contains("stage-") || line.contains("client-")).unwrap();
            assert!(line.contains(expected), "{expected} is expected: {line}");
        }
    }
}

/// ASVS 8.2.2: who sees some records alone hears of those alone, in whichever room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_out_of_sight_is_not_heard() {
    let live = Live::start().await;
    let una = live.sign_up("una").await;
    let (max, ida) = (live.join(&una, "max").await, live.join(&una, "ida").await);
    let team = live.call(&una, "teams.create", json!({"name": "Closers"})).await["id"].clone();
    for member in [&max, &ida] {
        live.call(&una, "teams.add_member", json!({"id": team, "user_id": member.user.id})).await;
    }
    let sees = async |member: &SignedIn, visibility: &str| {
        let permissions =
            ["contacts:read", "deals:read", "messages:read", "accounts:read", "team:read", "profile:read"];
        let role = json!({"name": visibility, "permissions": permissions, "record_visibility": visibility});
        let role = live.call(&una, "roles.create", role).await["id"].clone();
        live.call(&una, "members.set_role", json!({"id": member.user.id, "role": role})).await;
    };
    sees(&ida, "own").await;
    sees(&max, "team").await;
    let account = live.connect_account(&una, "organization").await;
    let rooms = [format!("team-{}", team.as_str().unwrap()), format!("bd-account-{}", account.as_str().unwrap())];
    let rooms: Vec<&str> = rooms.iter().map(String::as_str).collect();
    let (node, python) = (SocketIoClient::node().unwrap(), SocketIoClient::python().unwrap());
    let idas = node.listen(&live.url, &ida.access_token, &rooms, None).unwrap();
    let maxs = python.listen(&live.url, &max.access_token, &rooms, None).unwrap();
    for heard in [&idas, &maxs] {
        for _ in &rooms {
            assert_eq!(hear(heard, "subscribed")["ack"], json!({"ok": true}));
        }
    }

    let stages = live.call(&una, "stages.list", json!({})).await;
    for (name, assigned_to, team_id) in [
        ("Una's", json!(una.user.id), Value::Null),
        ("The team's", json!(una.user.id), team.clone()),
        ("Ida's", json!(ida.user.id), Value::Null),
        ("Nobody's", Value::Null, Value::Null),
    ] {
        let email = format!("{}@acme.example", name.to_lowercase().replace([' ', '\''], "-"));
        let new = json!({"name": name, "assigned_to": assigned_to, "team_id": team_id, "emails": [email]});
        let contact = live.call(&una, "contacts.create", new).await["id"].clone();
        let new = json!({"name": name, "assigned_to": assigned_to, "team_id": team_id, "contact_id": contact});
        let deal = live.call(&una, "deals.create", new).await["id"].clone();
        live.call(&una, "contacts.move", json!({"contact_id": contact, "stage_id": stages["data"][1]["id"]})).await;
        live.messenger.deliver(note(&email, name)).await;
        let won = stages["data"].as_array().unwrap().iter().find(|it| it["kind"] == "won").unwrap()["id"].clone();
        live.call(&una, "deals.move", json!({"id": deal, "patch": {"stage_id": won}})).await;
        live.call(&una, "contacts.update", json!({"id": contact, "patch": {"source": name}})).await;
    }
    // The last contact is everybody's; what is said of others and of deals may come in any order.
    let everything = |heard: &Heard| {
        let mut told: Vec<String> = Vec::new();
        for (last, times) in [("\"source\":\"Nobody's\"", 1), ("\"text\":\"Nobody's\"", 1), ("\"status\":\"won\"", 2)] {
            while told.iter().filter(|line| line.contains(last)).count() < times {
                // Each client writes JSON in its own way.
                let line: Value = serde_json::from_str(&heard.await_line(|_| true).unwrap()).unwrap();
                told.push(line.to_string());
            }
        }
        told.extend(heard.so_far());
        told
    };
    for (heard, seen, unseen) in [
        (&idas, ["Ida's", "Nobody's"], ["Una's", "The team's"]),
        (&maxs, ["The team's", "Nobody's"], ["Una's", "Ida's"]),
    ] {
        let told = everything(heard);
        let count = |words: &[&str]| told.iter().filter(|line| words.iter().all(|it| line.contains(it))).count();
        for name in seen {
            for (event, member) in [
                ("client-updated", "name"),
                ("deal-updated", "name"),
                ("new-message", "text"),
                ("client-updated", "source"),
            ] {
                assert_eq!(count(&[event, &format!("\"{member}\":\"{name}\"")]), 1, "{event} {name}: {told:#?}");
            }
        }
        for name in unseen {
            assert_eq!(count(&[name]), 0, "{name}: {told:#?}");
        }
        // The contact's move and the deal's, of two of each.
        assert_eq!((count(&["stage-changed"]), count(&["\"status\":\"won\""])), (4, 2), "{told:#?}");
    }
}

/// ASVS 8.2.3: to whom fields are closed is told that something changed, and nothing of fields that a role may hide.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_hidden_is_not_heard() {
    let live = Live::start().await;
    let una = live.sign_up("una").await;
    let max = live.join(&una, "max").await;
    let role = json!({"name": "Closed", "permissions": ["contacts:read", "deals:read", "profile:read"],
        "fields": {"contact": {"emails": "hidden"}, "deal": {"value": "hidden"}}});
    let role = live.call(&una, "roles.create", role).await["id"].clone();
    live.call(&una, "members.set_role", json!({"id": max.user.id, "role": role})).await;
    let node = SocketIoClient::node().unwrap();
    let unas = node.listen(&live.url, &una.access_token, &[], None).unwrap();
    let maxs = node.listen(&live.url, &max.access_token, &[], None).unwrap();
    hear(&unas, "connect");
    hear(&maxs, "connect");
    let new = json!({"name": "Ada", "emails": ["ada@acme.example"]});
    let ada = live.call(&una, "contacts.create", new).await["id"].clone();
    let new = json!({"name": "Licence", "contact_id": ada, "value": {"amount": "1234.00", "currency": "EUR"}});
    live.call(&una, "deals.create", new).await;
    for (heard, told) in [(&unas, true), (&maxs, false)] {
        let contact = hear(heard, "client-updated")["data"].clone();
        assert_eq!((&contact["clientId"], &contact["changes"]["name"]), (&ada, &json!("Ada")));
        assert_eq!(contact.to_string().contains("ada@acme.example"), told, "{contact}");
        let deal = hear(heard, "deal-updated")["data"].clone();
        assert_eq!(deal["changes"]["name"], "Licence");
        assert_eq!(deal["changes"].get("value").is_some(), told, "{deal}");
    }
    // Once everything is open again, everything is heard.
    live.call(&una, "roles.update", json!({"id": role, "patch": {"fields": null}})).await;
    let mut source = 0;
    loop {
        source += 1;
        live.call(&una, "contacts.update", json!({"id": ada, "patch": {"source": format!("fair {source}")}})).await;
        if hear(&maxs, "client-updated")["data"]["changes"]["source"].is_string() {
            break;
        }
        assert!(source < 200, "an open field is not heard");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deals_are_heard_by_all_and_a_due_task_by_its_assignee() {
    let live = Live::start().await;
    let una = live.sign_up("una").await;
    let max = live.join(&una, "max").await;
    let (node, python) = (SocketIoClient::node().unwrap(), SocketIoClient::python().unwrap());
    let unas = node.listen(&live.url, &una.access_token, &[], None).unwrap();
    let maxs = python.listen(&live.url, &max.access_token, &[], None).unwrap();
    hear(&unas, "connect");
    hear(&maxs, "connect");

    let ada = live.contact(&una, "Ada").await;
    for heard in [&unas, &maxs] {
        assert_eq!(hear(heard, "client-updated")["data"]["clientId"], ada);
    }
    let deal = live.call(&una, "deals.create", json!({"name": "Licence", "contact_id": ada})).await["id"].clone();
    let stages = live.call(&una, "stages.list", json!({})).await;
    let patch = json!({"stage_id": stages["data"][1]["id"]});
    live.call(&una, "deals.move", json!({"id": deal, "patch": patch})).await;
    for heard in [&unas, &maxs] {
        let made = hear(heard, "deal-updated")["data"].clone();
        assert_eq!((&made["dealId"], &made["changes"]["name"]), (&deal, &json!("Licence")));
        let moved = hear(heard, "stage-changed")["data"].clone();
        assert_eq!((&moved["dealId"], &moved["clientId"]), (&deal, &ada));
        assert!(moved["seq"].as_i64() > made["seq"].as_i64());
    }

    // What is due already falls due at once.
    let due = json!({"contact_id": ada, "title": "Call", "due_at": "2026-01-01T00:00:00Z", "assigned_to": max.user.id});
    let task = live.call(&una, "tasks.create_for_contact", due).await["id"].clone();
    let heard = hear(&maxs, "task-due")["data"].clone();
    assert_eq!((&heard["taskId"], &heard["task"]["title"]), (&task, &json!("Call")));
    live.call(&una, "contacts.update", json!({"id": ada, "patch": {"source": "last"}})).await;
    let line = unas.await_line(|line| line.contains("client-") || line.contains("task-due")).unwrap();
    assert!(line.contains("last"), "una is told of nobody else's task: {line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_and_goes_is_heard_and_what_is_open_again() {
    let live = Live::start().await;
    let una = live.sign_up("una").await;
    let heard = SocketIoClient::python().unwrap().listen(&live.url, &una.access_token, &[], None).unwrap();
    hear(&heard, "connect");
    let ada = live.contact(&una, "Ada").await;
    live.call(&una, "contacts.delete", json!({"id": ada})).await;
    live.call(&una, "contacts.restore", serde_json::json!({ "id": ada })).await;
    let mut seq = 0;
    for (member, value) in [("name", json!("Ada")), ("deleted", json!(true)), ("deleted", json!(false))] {
        let told = hear(&heard, "client-updated")["data"].clone();
        assert_eq!((&told["clientId"], &told["changes"][member]), (&ada, &value), "{told}");
        assert!(told["seq"].as_i64().unwrap() > seq, "{told}");
        seq = told["seq"].as_i64().unwrap();
    }

    let stages = live.call(&una, "stages.list", json!({})).await;
    let stage = |name: &str| {
        stages["data"].as_array().unwrap().iter().find(|stage| stage["name"] == name).unwrap()["id"].clone()
    };
    let deal = live.call(&una, "deals.create", json!({"name": "Licence"})).await["id"].clone();
    hear(&heard, "deal-updated");
    for (name, status) in [("won", "won"), ("lead", "open"), ("qualified", ""), ("lost", "lost")] {
        live.call(&una, "deals.move", json!({"id": deal, "patch": {"stage_id": stage(name)}})).await;
        let moved = hear(&heard, "stage-changed")["data"].clone();
        assert_eq!((&moved["dealId"], &moved["toStage"]), (&deal, &stage(name)));
        if !status.is_empty() {
            let line = heard.await_line(|_| true).unwrap();
            let told = serde_json::from_str::<Value>(&line).unwrap();
            assert_eq!((&told["event"], &told["data"]["changes"]["status"]), (&json!("deal-updated"), &json!(status)));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_was_left_is_heard_no_more() {
    let live = Live::start().await;
    let una = live.sign_up("una").await;
    let account = live.connect_account(&una, "organization").await;
    let room = format!("bd-account-{}", account.as_str().unwrap());
    let own = format!("org-{}", una.organization.id);
    for (place, client) in [SocketIoClient::node().unwrap(), SocketIoClient::python().unwrap()].iter().enumerate() {
        let leaves = client.listen(&live.url, &una.access_token, &[&room], None).unwrap();
        let stays = client.listen(&live.url, &una.access_token, &[&room], None).unwrap();
        hear(&leaves, "subscribed");
        hear(&stays, "subscribed");
        live.messenger.deliver(note("ada@acme.example", &format!("Hello {place}"))).await;
        hear(&leaves, "new-message");
        hear(&stays, "new-message");

        leaves.say("unsubscribe", &json!({"room": room}).to_string()).unwrap();
        assert_eq!(hear(&leaves, "acknowledged")["ack"], json!({"ok": true}));
        // One's own rooms are not left, and what is no room says so.
        for odd in [json!({"room": own}), json!({"chat": 1})] {
            leaves.say("unsubscribe", &odd.to_string()).unwrap();
            assert!(hear(&leaves, "acknowledged")["ack"]["error"]["code"].is_string(), "{odd}");
        }
        live.messenger.deliver(note("ada@acme.example", &format!("Again {place}"))).await;
        hear(&stays, "new-message");
        live.contact(&una, "Last").await;
        let told = |line: &str| line.contains("new-message") || line.contains("Last");
        let line = leaves.await_line(told).unwrap();
        assert!(line.contains("Last"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_token_keeps_the_connection() {
    let live = Live::start().await;
    for (place, client) in [SocketIoClient::node().unwrap(), SocketIoClient::python().unwrap()].iter().enumerate() {
        let una = live.sign_up(&format!("una{place}")).await;
        let eve = live.sign_up(&format!("eve{place}")).await;
        let heard = client.listen(&live.url, &una.access_token, &[], None).unwrap();
        hear(&heard, "connect");
        for (token, code) in [(eve.access_token.as_str(), "forbidden"), ("nonsense", "invalid_token")] {
            heard.say("authenticate", &json!({"token": token}).to_string()).unwrap();
            assert_eq!(hear(&heard, "acknowledged")["ack"]["error"]["code"], code);
        }
        heard.say("authenticate", "{}").unwrap();
        assert!(hear(&heard, "acknowledged")["ack"]["error"]["code"].is_string());

        let sign_in = async || {
            let again = SignIn {
                email: format!("una{place}@acme.example"),
                password: "correct horse".to_owned(),
                totp_code: None,
            };
            live.crm.identity().sign_in(again).await.unwrap()
        };
        let again = sign_in().await;
        heard.say("authenticate", &json!({"token": again.access_token}).to_string()).unwrap();
        assert_eq!(hear(&heard, "acknowledged")["ack"], json!({"ok": true}));
        let end = async |token: &str| {
            let scope = live.crm.identity().authenticate(token).await.unwrap();
            live.crm.identity().sign_out(scope.session_id.unwrap()).await.unwrap();
        };
        end(&una.access_token).await;
        // Another session that ends later is hung up on: sessions were looked at since.
        let other = sign_in().await;
        let others = client.listen(&live.url, &other.access_token, &[], None).unwrap();
        hear(&others, "connect");
        end(&other.access_token).await;
        hear(&others, "disconnect");
        live.contact(&una, "Ada").await;
        let line = heard.await_line(|line| line.contains("disconnect") || line.contains("Ada")).unwrap();
        assert!(line.contains("Ada"), "{line}");
        end(&again.access_token).await;
        hear(&heard, "disconnect");
    }
}

/// ASVS 8.3.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_room_of_another_organisation_is_entered() {
    let live = Live::start().await;
    let (una, bob) = (live.sign_up("una").await, live.sign_up("bob").await);
    let account = live.connect_account(&una, "organization").await;
    let team = live.call(&una, "teams.create", json!({"name": "Closers"})).await["id"].clone();
    let rooms = [
        format!("bd-account-{}", account.as_str().unwrap()),
        format!("team-{}", team.as_str().unwrap()),
        format!("org-{}", una.organization.id),
        format!("user-{}", una.user.id),
    ];
    let rooms: Vec<&str> = rooms.iter().map(String::as_str).collect();
    for client in [SocketIoClient::node().unwrap(), SocketIoClient::python().unwrap()] {
        let bobs = client.listen(&live.url, &bob.access_token, &rooms, None).unwrap();
        for _ in &rooms {
            assert_eq!(hear(&bobs, "subscribed")["ack"]["error"]["code"], "not_found");
        }
        // What Bob hears first is his own, though Una's rooms have more to tell before.
        let contact = live.contact(&una, "Ada").await;
        live.call(&una, "contacts.update", json!({"id": contact, "patch": {"team_id": team}})).await;
        let own = live.contact(&bob, "Eve").await;
        live.call(&bob, "contacts.update", json!({"id": own, "patch": {"source": "web"}})).await;
        let line = bobs.await_line(|line| line.contains("client-") || line.contains("stage-")).unwrap();
        assert!(line.contains(own.as_str().unwrap()), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_and_notifications_reach_whom_they_concern() {
    let live = Live::start().await;
    let una = live.sign_up("una").await;
    let max = live.join(&una, "max").await;
    let (node, python) = (SocketIoClient::node().unwrap(), SocketIoClient::python().unwrap());
    let unas = node.listen(&live.url, &una.access_token, &[], None).unwrap();
    let maxs = python.listen(&live.url, &max.access_token, &[], None).unwrap();
    hear(&unas, "connect");
    hear(&maxs, "connect");

    let account = live.connect_account(&una, "organization").await;
    for heard in [&unas, &maxs] {
        let active = heard.await_line(|line| line.contains("account-status") && line.contains("active")).unwrap();
        let active: Value = serde_json::from_str(&active).unwrap();
        assert_eq!((&active["data"]["accountId"], &active["data"]["status"]), (&account, &json!("active")));
    }

    let rule = json!({"id": "tell", "trigger": "contact.created", "action": {"notify_team": true}});
    live.call(&una, "rules.create", rule).await;
    // Without a team and an assignee the owners and admins are told; a member is not.
    let ada = live.contact(&una, "Ada").await;
    let told = hear(&unas, "notification")["data"].clone();
    assert_eq!(told["notification"]["contact_id"], ada);
    hear(&maxs, "client-updated");
    live.call(&una, "contacts.update", json!({"id": ada, "patch": {"source": "fair"}})).await;
    let edited = maxs.await_line(|line| line.contains("notification") || line.contains("client-updated")).unwrap();
    assert!(edited.contains("client-updated"), "{edited}");
}

/// ASVS 4.4.3 and 4.4.4.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_out_is_hung_up_on() {
    let live = Live::start().await;
    for (place, (client, transport)) in clients().into_iter().enumerate() {
        let una = live.sign_up(&format!("una{place}")).await;
        let heard = client.listen(&live.url, &una.access_token, &[], transport).unwrap();
        hear(&heard, "connect");
        let scope = live.crm.identity().authenticate(&una.access_token).await.unwrap();
        live.crm.identity().sign_out(scope.session_id.unwrap()).await.unwrap();
        hear(&heard, "disconnect");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_hears_what_its_scopes_say_until_it_is_revoked() {
    let live = Live::start().await;
    let una = live.sign_up("una").await;
    let account = live.connect_account(&una, "organization").await;
    let room = format!("bd-account-{}", account.as_str().unwrap());
    let key =
        async |scopes: &[&str]| live.call(&una, "api_keys.create", json!({"name": "Zapier", "scopes": scopes})).await;
    let (deals, contacts) = (key(&["deals:read", "accounts:read"]).await, key(&["contacts:read"]).await);
    let (node, python) = (SocketIoClient::node().unwrap(), SocketIoClient::python().unwrap());
    let of_deals = node.listen(&live.url, deals["secret"].as_str().unwrap(), &[&room], None).unwrap();
    let of_contacts = python.listen(&live.url, contacts["secret"].as_str().unwrap(), &[&room], None).unwrap();
    let all = node.listen(&live.url, &una.access_token, &[&room], None).unwrap();
    assert_eq!(hear(&of_deals, "subscribed")["ack"], json!({"ok": true}));
    assert_eq!(hear(&of_contacts, "subscribed")["ack"]["error"]["code"], "forbidden");
    hear(&all, "subscribed");

    live.messenger.deliver(note("ada@acme.example", "Hello!")).await;
    assert_eq!(hear(&all, "new-message")["data"]["message"]["content"]["text"], "Hello!");
    let ada = live.contact(&una, "Ada").await;
    live.call(&una, "contacts.update", json!({"id": ada, "patch": {"source": "fair"}})).await;
    live.call(&una, "deals.create", json!({"name": "Licence", "contact_id": ada})).await;
    // Each hears its own first, though more was said before and between; messages neither of them reads.
    let said = |line: &str| ["new-message", "client-", "deal-", "stage-"].iter().any(|it| line.contains(it));
    let line = of_contacts.await_line(said).unwrap();
    assert!(line.contains("client-updated") || line.contains("stage-changed"), "{line}");
    let line = of_deals.await_line(said).unwrap();
    assert!(line.contains("deal-updated"), "{line}");
    assert!(!of_contacts.so_far().iter().any(|line| line.contains("deal-updated") || line.contains("new-message")));

    live.call(&una, "api_keys.revoke", deals["id"].clone()).await;
    hear(&of_deals, "disconnect");
}

#[test]
fn sessions_are_looked_at_every_few_seconds_unless_told_otherwise() {
    assert_eq!(dealwright_server::Options::default().session_check, Duration::from_secs(10));
}
