//! Which contacts and deals the members of a role see, and what goes with them.

use dealwright::{
    Handle,
    id::{ContactId, TeamId, UserId},
    page::PageRequest,
    scope::Role,
    services::{
        contacts::ListContacts,
        identity::{NewUser, SignIn},
        listing::Search,
        team::{NewRole, SetRole},
    },
};
use serde_json::{Value, json};

use crate::{
    World, cases,
    world::{pointers, refused},
};

cases![
    contacts_and_deals_are_seen_as_the_role_says,
    pages_hold_what_is_in_sight,
    a_task_is_its_assignees_whosever_the_contact_is,
    what_is_given_away_goes_out_of_sight,
    another_role_or_team_counts_at_the_next_call,
    a_key_sees_what_the_member_sees_for_whom_it_acts,
    a_duplicate_out_of_sight_is_not_named,
    who_sees_some_records_may_nothing_that_works_on_all,
];

const WORK: &[&str] = &[
    "contacts:read",
    "contacts:write",
    "deals:read",
    "deals:write",
    "pipeline:read",
    "analytics:read",
    "automation:read",
    "api_keys:write",
    "team:read",
];

/// Somebody new who sees so much.
async fn member(world: &World, name: &str, visibility: &str) -> UserId {
    let new = json!({ "name": format!("{name}'s"), "permissions": WORK, "record_visibility": visibility });
    let role = world.ask("roles.create", new).await;
    assert_eq!(role["record_visibility"], visibility);
    let (user, _) = world.member(name, Role::Viewer).await;
    world.ask("members.set_role", json!({ "id": user, "role": role["id"] })).await;
    user
}

async fn handle(world: &World, user: UserId) -> Handle {
    world.crm.as_user(world.organization, user).await.unwrap()
}

async fn names(handle: &Handle, operation: &str, input: Value) -> Vec<String> {
    let page = handle.call(operation, input).await.unwrap();
    let mut names: Vec<_> =
        page["data"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// ASVS 8.2.2: a contact and a deal for each way of being looked after, and what each visibility sees of them.
async fn contacts_and_deals_are_seen_as_the_role_says(world: World) {
    let (ida, bo) = (member(&world, "ida", "own").await, member(&world, "bo", "team").await);
    let all = member(&world, "ali", "organization").await;
    let (stranger, _) = world.member("max", Role::Member).await;
    let ours = world.team("Ours", &[ida, bo, all]).await;
    let others = world.team("Others", &[stranger]).await;
    // Name, who looks after it, and whether ida sees it, and bo.
    let rows = [
        ("nobody", Value::Null, Value::Null, true, true),
        ("ida", json!(ida), Value::Null, true, false),
        ("bo", json!(bo), Value::Null, false, true),
        ("max", json!(stranger), Value::Null, false, false),
        ("ours", Value::Null, ours.clone(), false, true),
        ("max of ours", json!(stranger), ours.clone(), false, true),
        ("others", Value::Null, others.clone(), false, false),
        ("ida of others", json!(ida), others.clone(), true, false),
    ];
    let mut made = Vec::new();
    for (name, assigned_to, team_id, by_ida, by_bo) in rows {
        world.later(1);
        let new = json!({ "name": name, "assigned_to": assigned_to, "team_id": team_id, "tags": ["t"] });
        let contact = world.ask("contacts.create", new).await["id"].clone();
        let new = json!({ "name": name, "assigned_to": assigned_to, "team_id": team_id, "contact_id": contact,
            "value": { "amount": "10", "currency": "EUR" } });
        let deal = world.ask("deals.create", new).await["id"].clone();
        world.ask("notes.create_on_contact", json!({ "contact_id": contact, "text": name })).await;
        made.push((name, contact, deal, [by_ida, by_bo, true]));
    }
    for (place, user) in [ida, bo, all].into_iter().enumerate() {
        let asks = handle(&world, user).await;
        let mut seen: Vec<String> = made.iter().filter(|it| it.3[place]).map(|it| it.0.to_owned()).collect();
        seen.sort();
        for input in [json!({}), json!({ "sort": "name" }), json!({ "tag": "t" }), json!({ "sort": "-updated_at" })] {
            assert_eq!(names(&asks, "contacts.list", input.clone()).await, seen, "{input}");
        }
        assert_eq!(names(&asks, "deals.list", json!({})).await, seen);
        assert_eq!(names(&asks, "contacts.search", json!({ "filter": { "tags": "t" } })).await, seen);
        let to_max = names(&asks, "contacts.list", json!({ "assigned_to": stranger })).await;
        assert_eq!(to_max.len(), made.iter().filter(|it| it.0.starts_with("max") && it.3[place]).count());
        for (name, contact, deal, sees) in &made {
            for (operation, input) in [
                ("contacts.get", contact.clone()),
                ("contacts.history", json!({ "contact_id": contact })),
                ("timelines.of_contact", json!({ "contact_id": contact })),
                ("notes.list_of_contact", json!({ "contact_id": contact })),
                ("deals.get", deal.clone()),
                ("deals.history", json!({ "id": deal })),
            ] {
                let answer = asks.call(operation, input).await;
                match sees[place] {
                    true => drop(answer.unwrap()),
                    false => drop(refused(answer, 404, "not_found")),
                }
            }
            for (operation, input) in [
                ("contacts.update", json!({ "id": contact, "patch": { "source": format!("{place}") } })),
                ("deals.update", json!({ "id": deal, "patch": { "name": name } })),
            ] {
                let answer = asks.call(operation, input).await;
                assert_eq!(answer.is_ok(), sees[place], "{operation} {name}: {answer:?}");
            }
        }
        let board = asks.call("pipelines.board", json!({ "pipeline_id": world.sales.pipeline.id })).await.unwrap();
        let count: i64 = board["stages"].as_array().unwrap().iter().map(|it| it["count"].as_i64().unwrap()).sum();
        assert_eq!(count as usize, seen.len(), "{board}");
        let value = asks.call("analytics.pipeline_value", json!({})).await.unwrap();
        assert_eq!(value["totals"][0]["count"].as_u64().unwrap() as usize, seen.len(), "{value}");
    }
}

/// Few in sight are collected, many are walked to; both page alike, in every order.
async fn pages_hold_what_is_in_sight(world: World) {
    let (ida, (max, _)) = (member(&world, "ida", "team").await, world.member("max", Role::Member).await);
    let (few, many) = (world.team("Few", &[ida]).await, world.team("Many", &[]).await);
    let team = |team: &Value| -> TeamId { serde_json::from_value(team.clone()).unwrap() };
    let fill = async |count: usize, assigned_to: Option<UserId>, team_id: Option<TeamId>, name: &str| {
        let one = |at: usize| {
            let name = format!("{name} {}", (at * 7919) % count);
            json!({ "name": name, "assigned_to": assigned_to, "team_id": team_id })
        };
        let all: Vec<_> = (0..count).map(one).collect();
        for items in all.chunks(500) {
            world.later(1);
            let items = items.to_vec();
            world.ask("contacts.batch", json!({ "items": items })).await;
        }
    };
    fill(30, Some(ida), None, "ida").await;
    fill(20, Some(max), Some(team(&few)), "few").await;
    fill(10, None, None, "nobody").await;
    fill(40, Some(max), Some(team(&many)), "many").await;
    fill(15, Some(ida), Some(team(&few)), "both").await;
    let pages = async |asks: &Handle, sort: &str, limit: u32| {
        let (mut found, mut cursor): (Vec<ContactId>, _) = (Vec::new(), None);
        loop {
            let search = Search { sort: Some(sort.to_owned()), limit: Some(limit), cursor, ..Search::default() };
            let page = asks.contacts().search(search).await.unwrap();
            found.extend(page.data.iter().map(|it| it.id));
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => return found,
            }
        }
    };
    // Once where few are in sight, and once where more are than are collected.
    for seen in [75, 2_175] {
        let (asks, me) = (handle(&world, ida).await, &world.me);
        for sort in ["name", "-created_at", "-score"] {
            let in_sight = |id: &ContactId, all: &[(ContactId, bool)]| all.iter().any(|(it, seen)| it == id && *seen);
            let everything = me.contacts().list(ListContacts::default()).await.unwrap();
            assert!(!everything.data.is_empty());
            let mut all = Vec::new();
            let mut cursor = None;
            loop {
                let page = me
                    .contacts()
                    .search(Search { sort: Some(sort.into()), limit: Some(200), cursor, ..Search::default() })
                    .await
                    .unwrap();
                all.extend(page.data.iter().map(|it| (it.id, asks.scope().sight.sees(it.assigned_to, it.team_id))));
                match page.next_cursor {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
            let wanted: Vec<_> = all.iter().map(|it| it.0).filter(|id| in_sight(id, &all)).collect();
            assert_eq!(wanted.len(), seen, "{sort}");
            assert!(pages(&asks, sort, 200).await == wanted, "{sort}: the pages differ");
        }
        fill(2_100, Some(ida), None, "more").await;
    }
    let page = PageRequest { limit: Some(7), cursor: None };
    let input = ListContacts { limit: page.limit, assigned_to: Some(max), ..ListContacts::default() };
    let of_max = handle(&world, ida).await.contacts().list(input).await.unwrap();
    assert!(of_max.data.iter().all(|it| it.name.starts_with("few")) && of_max.next_cursor.is_some());
}

async fn a_task_is_its_assignees_whosever_the_contact_is(world: World) {
    let (ida, (max, _)) = (member(&world, "ida", "own").await, world.member("max", Role::Member).await);
    let contact = world.ask("contacts.create", json!({ "name": "Ada", "assigned_to": max })).await["id"].clone();
    let task = |title: &str, user: UserId| json!({ "contact_id": contact, "title": title, "assigned_to": user });
    let hers = world.ask("tasks.create_for_contact", task("Call Ada", ida)).await["id"].clone();
    let his = world.ask("tasks.create_for_contact", task("Write to Ada", max)).await["id"].clone();
    let asks = handle(&world, ida).await;
    for input in [json!({}), json!({ "sort": "due_at" }), json!({ "assigned_to": ida, "done": false })] {
        let listed = asks.call("tasks.list", input.clone()).await.unwrap();
        let titles: Vec<_> = listed["data"].as_array().unwrap().iter().map(|it| it["title"].clone()).collect();
        assert_eq!(titles, ["Call Ada"], "{input}");
    }
    asks.call("tasks.update", json!({ "id": hers, "patch": { "done": true } })).await.unwrap();
    refused(asks.call("tasks.get", his.clone()).await, 404, "not_found");
    refused(asks.call("tasks.delete", json!({ "id": his })).await, 404, "not_found");
    refused(asks.call("contacts.get", contact.clone()).await, 404, "not_found");
    // Once it is done away with, so is the reason to see it.
    world.ask("tasks.update", json!({ "id": hers, "patch": { "assigned_to": max } })).await;
    refused(asks.call("tasks.get", hers).await, 404, "not_found");
}

async fn what_is_given_away_goes_out_of_sight(world: World) {
    let (ida, (max, _)) = (member(&world, "ida", "own").await, world.member("max", Role::Member).await);
    let asks = handle(&world, ida).await;
    // What one makes and says nothing of is nobody's: everybody sees it, and whoever takes it has it to themselves.
    let ada = asks.call("contacts.create", json!({ "name": "Ada" })).await.unwrap()["id"].clone();
    asks.call("contacts.get", ada.clone()).await.unwrap();
    asks.call("contacts.assign", json!({ "contact_ids": [ada], "user_id": ida })).await.unwrap();
    let given = json!({ "id": ada, "patch": { "assigned_to": max } });
    assert_eq!(asks.call("contacts.update", given.clone()).await.unwrap()["assigned_to"], json!(max));
    refused(asks.call("contacts.get", ada.clone()).await, 404, "not_found");
    refused(asks.call("contacts.update", given).await, 404, "not_found");
    refused(asks.call("contacts.delete", json!({ "id": ada })).await, 404, "not_found");
    let batch = asks.call("contacts.assign", json!({ "contact_ids": [ada], "user_id": ida })).await;
    assert!(!batch.unwrap_err().message().is_empty());
    // Deleted ones too come back to those alone who see them.
    world.ask("contacts.delete", json!({ "id": ada })).await;
    refused(asks.call("contacts.restore", json!({ "id": ada })).await, 404, "not_found");
    // A deal of one's own with a contact that is not.
    world.ask("contacts.restore", json!({ "id": ada })).await;
    let new = json!({ "name": "Licence", "assigned_to": ida, "contact_id": ada });
    assert_eq!(pointers(asks.call("deals.create", new.clone()).await), [("/contact_id".into(), "unknown".into())]);
    let deal = world.ask("deals.create", new).await;
    assert_eq!(asks.call("deals.get", deal["id"].clone()).await.unwrap()["contact_id"], ada);
}

/// ASVS 8.3.2.
async fn another_role_or_team_counts_at_the_next_call(world: World) {
    let new = NewUser { email: "bo@people.example".into(), name: "Bo".into(), password: Some("correct horse".into()) };
    let bo = world.crm.organizations().add_member(world.organization, new, Role::Member).await.unwrap().user_id;
    let given = SignIn { email: "bo@people.example".into(), password: "correct horse".into(), totp_code: None };
    let token = world.crm.identity().sign_in(given).await.unwrap().access_token;
    let team = world.team("Closers", &[]).await;
    let ada = world.ask("contacts.create", json!({ "name": "Ada", "team_id": team })).await["id"].clone();
    let sees = async || {
        let asks = world.crm.with_scope(world.crm.identity().authenticate(&token).await.unwrap());
        asks.call("contacts.get", ada.clone()).await.is_ok()
    };
    assert!(sees().await);
    let new = NewRole { permissions: vec!["contacts:read".into()], name: "Team".into(), ..NewRole::default() };
    let role = world.me.roles().create(new).await.unwrap().id.unwrap();
    world.me.members().set_role(SetRole { id: bo, role: dealwright::scope::RoleKey::Own(role).into() }).await.unwrap();
    assert!(sees().await, "a role sees everything unless it says otherwise");
    for (visibility, seen) in
        [(json!("team"), false), (Value::Null, true), (json!("own"), false), (json!("team"), false)]
    {
        world.ask("roles.update", json!({ "id": role, "patch": { "record_visibility": visibility } })).await;
        assert_eq!(sees().await, seen, "{visibility}");
    }
    world.ask("teams.add_member", json!({ "id": team, "user_id": bo })).await;
    assert!(sees().await);
    world.ask("teams.remove_member", json!({ "id": team, "user_id": bo })).await;
    assert!(!sees().await);
}

async fn a_key_sees_what_the_member_sees_for_whom_it_acts(world: World) {
    let (ida, (max, _)) = (member(&world, "ida", "own").await, world.member("max", Role::Member).await);
    let asks = handle(&world, ida).await;
    let new = json!({ "name": "Sync", "scopes": ["contacts:read"], "acts_for": ida });
    let secret = asks.call("api_keys.create", new).await.unwrap()["secret"].as_str().unwrap().to_owned();
    world.ask("contacts.create", json!({ "name": "Hers", "assigned_to": ida })).await;
    world.ask("contacts.create", json!({ "name": "His", "assigned_to": max })).await;
    let key = world.crm.with_scope(world.crm.identity().authenticate(&secret).await.unwrap());
    assert_eq!(names(&key, "contacts.list", json!({})).await, ["Hers"]);
    // A key of the organisation would see everything.
    let new = json!({ "name": "Wide", "scopes": ["contacts:read"] });
    refused(asks.call("api_keys.create", new).await, 403, "forbidden");
}

async fn a_duplicate_out_of_sight_is_not_named(world: World) {
    let (ida, (max, _)) = (member(&world, "ida", "own").await, world.member("max", Role::Member).await);
    let asks = handle(&world, ida).await;
    let hidden = json!({ "name": "Ada Secret", "emails": ["ada@acme.example"], "assigned_to": max,
        "external_ids": { "erp": "7" } });
    let hidden = world.ask("contacts.create", hidden).await["id"].as_str().unwrap().to_owned();
    let new = json!({ "name": "Ada", "emails": ["ada@acme.example"] });
    let error = refused(asks.call("contacts.create", new.clone()).await, 409, "duplicate");
    assert!(error.message().contains("a contact that you do not see has the same email"), "{error}");
    assert_eq!(error.details().unwrap(), &json!({ "candidates": [] }));
    let seen = json!({ "name": "Ada Seen", "emails": ["ada@acme.example"], "allow_duplicate": true });
    asks.call("contacts.create", seen).await.unwrap();
    let error = refused(asks.call("contacts.create", new).await, 409, "duplicate");
    let told = format!("{error} {}", error.details().unwrap());
    assert!(told.contains("Ada Seen") && !told.contains("Ada Secret") && !told.contains(&hidden), "{told}");
    // Its id elsewhere is still its own.
    let upsert = json!({ "system": "erp", "external_id": "7", "patch": { "name": "Mine" } });
    refused(asks.call("contacts.upsert", upsert).await, 404, "not_found");
    let taken = json!({ "name": "Mine", "external_ids": { "erp": "7" } });
    let error = refused(asks.call("contacts.create", taken).await, 409, "external_id_taken");
    assert!(!format!("{error} {:?}", error.details()).contains("Ada Secret"), "{error}");
    assert_eq!(world.ask("contacts.get", json!(hidden)).await["name"], "Ada Secret");
}

async fn who_sees_some_records_may_nothing_that_works_on_all(world: World) {
    for wide in [
        "audit:read",
        "privacy:read",
        "privacy:write",
        "team:write",
        "pipeline:write",
        "fields:write",
        "automation:write",
        "organization:write",
        "jobs:write",
    ] {
        let new = |visibility: &str| json!({ "name": wide, "permissions": ["contacts:read", wide], "record_visibility": visibility });
        for visibility in ["own", "team"] {
            let error = world.me.call("roles.create", new(visibility)).await;
            let text = format!("{}", error.as_ref().unwrap_err());
            assert_eq!(pointers(error), [("/record_visibility".to_owned(), "too_narrow".to_owned())], "{wide}");
            assert!(text.contains(wide), "{text}");
        }
        let role = world.ask("roles.create", new("organization")).await["id"].clone();
        let narrow = json!({ "id": role, "patch": { "record_visibility": "own" } });
        assert_eq!(
            pointers(world.me.call("roles.update", narrow).await),
            [("/record_visibility".into(), "too_narrow".into())]
        );
    }
    let role = json!({ "name": "Narrow", "permissions": ["contacts:read"], "record_visibility": "own" });
    let role = world.ask("roles.create", role).await["id"].clone();
    let widen = json!({ "id": role, "patch": { "permissions": ["team:write"] } });
    assert_eq!(
        pointers(world.me.call("roles.update", widen).await),
        [("/record_visibility".into(), "too_narrow".into())]
    );
    let both = json!({ "id": role, "patch": { "permissions": ["team:write"], "record_visibility": null } });
    assert_eq!(world.ask("roles.update", both).await["record_visibility"], "organization");
}
