//! What each action does. What it means for a run that one of them cannot be carried out is told in `failing`.

use dealwright::{
    domain::{event::EventKind, message::MessageStatus},
    page::PageRequest,
    scope::Role,
};
use serde_json::{Value, json};

use crate::{
    cases,
    world::{World, pointers},
};

cases! {
    tags_are_added_and_removed_once,
    fields_are_set_and_cleared,
    addresses_company_and_team_are_set_and_cleared,
    an_address_that_another_claims_is_held_as_by_an_edit,
    only_a_rule_writes_the_score,
    an_assignee_is_named_by_address_or_id,
    an_unknown_assignee_is_refused_when_saved,
    the_assignee_owners_and_admins_are_notified_once,
    what_a_notification_says,
    a_notification_is_its_users_own,
    an_answer_goes_out_with_its_variables,
    the_source_form_with_several_actions_in_one_object,
}

async fn tags_are_added_and_removed_once(world: World) {
    world
        .rule(json!({ "name": "tags", "trigger": "contact.created",
                      "actions": [{ "add_tag": ["new", "web", "new"] }, { "remove_tag": ["old", "absent"] }] }))
        .await;
    let new = json!({ "name": "Ada", "tags": ["old", "web"] });
    let ada = world.me.call("contacts.create", new).await.unwrap();
    world.settle().await;
    let ada = world.contact_now(ada["id"].as_str().unwrap().parse().unwrap()).await;
    assert_eq!(ada.tags, ["new", "web"]);
}

async fn fields_are_set_and_cleared(world: World) {
    world
        .rule(json!({ "name": "set", "trigger": "contact.created", "condition": { "contact.source": "fair" },
                      "actions": [{ "set_field": { "name": "Ada (fair)", "source": null } }] }))
        .await;
    let ada = world.contact_from("Ada", "fair").await;
    world.settle().await;
    let ada = world.contact_now(ada.id).await;
    assert_eq!((ada.name.as_str(), ada.source.as_deref()), ("Ada (fair)", None));
}

async fn addresses_company_and_team_are_set_and_cleared(world: World) {
    let acme = world.me.call("companies.create", json!({ "name": "Acme" })).await.unwrap()["id"].clone();
    let team = world.me.call("teams.create", json!({ "name": "Closers" })).await.unwrap()["id"].clone();
    let fields = json!({ "emails": ["ADA@work.example"], "phones": ["+49 89 1234567"], "handles": { "telegram": "@ada" },
                         "company_id": acme, "team_id": "closers" });
    let rule = |name: &str, fields: &Value| {
        json!({ "name": name, "trigger": "contact.created", "condition": { "contact.source": name },
                                                   "actions": [{ "set_field": fields }] })
    };
    world.rule(rule("set", &fields)).await;
    let nothing =
        json!({ "emails": null, "phones": [], "handles": { "telegram": null }, "company_id": null, "team_id": null });
    world.rule(rule("clear", &nothing)).await;
    let shown =
        |contact: &Value| ["emails", "phones", "handles", "company_id", "team_id"].map(|name| contact[name].clone());
    let ada = world.contact_from("Ada", "set").await;
    world.settle().await;
    let handles = |telegram: Value| json!({ "telegram": telegram, "linkedin": null, "twitter": null });
    let set = [json!(["ada@work.example"]), json!(["+49891234567"]), handles(json!("ada")), acme.clone(), team.clone()];
    assert_eq!(shown(&json!(world.contact_now(ada.id).await)), set);
    let page = world.me.call("contacts.list", json!({ "email": "ada@work.example" })).await.unwrap();
    assert_eq!(page["data"][0]["id"], json!(ada.id), "found by its address");
    let new = json!({ "name": "Bob", "source": "clear", "emails": ["bob@work.example"], "phones": ["+49891234568"],
                      "handles": { "telegram": "bob", "twitter": "bob" }, "company_id": acme, "team_id": team });
    let bob = world.me.call("contacts.create", new).await.unwrap()["id"].as_str().unwrap().parse().unwrap();
    world.settle().await;
    let kept = json!({ "telegram": null, "linkedin": null, "twitter": "bob" });
    assert_eq!(shown(&json!(world.contact_now(bob).await)), [json!([]), json!([]), kept, Value::Null, Value::Null]);
}

async fn an_address_that_another_claims_is_held_as_by_an_edit(world: World) {
    let rule = world
        .rule(json!({ "name": "set", "trigger": "contact.created", "condition": { "contact.source": "fair" },
                      "actions": [{ "set_field": { "emails": ["ada@work.example"] } }] }))
        .await;
    world.contact_with_email("Ada", "ada@work.example").await.unwrap();
    let by_rule = world.contact_from("Twin", "fair").await;
    let by_hand = world.contact_from("Twin", "web").await;
    let patch = json!({ "id": by_hand.id, "patch": { "emails": ["ada@work.example"] } });
    let edited = world.me.call("contacts.update", patch).await;
    world.settle().await;
    let set = world.contact_now(by_rule.id).await.emails == ["ada@work.example"];
    assert_eq!((set, world.outcomes(rule).await == ["applied"]), (edited.is_ok(), edited.is_ok()), "{edited:?}");
}

async fn only_a_rule_writes_the_score(world: World) {
    world
        .rule(json!({ "name": "score", "trigger": "contact.created", "actions": [{ "set_field": { "score": 40 } }] }))
        .await;
    let high = world
        .rule(json!({ "name": "high", "trigger": "contact.updated", "condition": { "contact.score": { "gte": 40 } },
                      "actions": [{ "add_tag": "hot" }] }))
        .await;
    let ada = world.settled("Ada").await;
    assert_eq!((ada.score, ada.tags.as_slice()), (40, ["hot".to_owned()].as_slice()));
    assert!(!world.outcomes(high).await.is_empty());
    let patch = json!({ "id": ada.id, "patch": { "score": 99 } });
    assert!(world.me.call("contacts.update", patch).await.is_err());
    assert_eq!(world.contact_now(ada.id).await.score, 40);
}

async fn an_assignee_is_named_by_address_or_id(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    world
        .rule(json!({ "name": "web", "trigger": "contact.created", "condition": { "contact.source": "web" },
                      "actions": [{ "assign_to": "bo@people.example" }] }))
        .await;
    world
        .rule(json!({ "name": "fair", "trigger": "contact.created", "condition": { "contact.source": "fair" },
                      "actions": [{ "assign_to": bo }] }))
        .await;
    for source in ["web", "fair"] {
        let contact = world.contact_from("Ada", source).await;
        world.settle().await;
        assert_eq!(world.contact_now(contact.id).await.assigned_to, Some(bo), "{source}");
    }
}

async fn an_unknown_assignee_is_refused_when_saved(world: World) {
    let (_, other) = world.other_organization().await;
    let stranger = other.scope().user_id().unwrap();
    for user in [json!("nobody@people.example"), json!(stranger)] {
        let rule = json!({ "name": "to", "trigger": "contact.created", "actions": [{ "assign_to": user }] });
        let refused = pointers(world.me.call("rules.create", rule).await);
        assert_eq!(refused[0].0, "/actions/0/assign_to");
    }
}

async fn titles(who: &dealwright::Handle) -> Vec<String> {
    let page = PageRequest { limit: Some(200), cursor: None };
    let all = who.notifications().list(page).await.unwrap().data;
    // Whoever is given a contact by somebody is told that as well.
    all.into_iter().filter(|it| it.kind.starts_with("rule.")).map(|it| it.title).collect()
}

async fn the_assignee_owners_and_admins_are_notified_once(world: World) {
    let (admin, ann) = world.member("ann", Role::Admin).await;
    let (member, mia) = world.member("mia", Role::Member).await;
    let (_, max) = world.member("max", Role::Manager).await;
    let (_, other) = world.other_organization().await;
    world
        .rule(
            json!({ "name": "tell", "trigger": "contact.created", "actions": [{ "notify_team": { "text": "{{contact.name}}" } }] }),
        )
        .await;
    for (name, assignee) in [("Nobody's", None), ("Admin's", Some(admin)), ("Member's", Some(member))] {
        let new = json!({ "name": name, "assigned_to": assignee });
        world.later(1);
        world.me.call("contacts.create", new).await.unwrap();
        world.settle().await;
    }
    let everything = ["Member's", "Admin's", "Nobody's"];
    assert_eq!(titles(&world.me).await, everything);
    assert_eq!(titles(&ann).await, everything);
    assert_eq!(titles(&mia).await, ["Member's"]);
    assert!(titles(&max).await.is_empty());
    assert!(titles(&other).await.is_empty());
}

async fn what_a_notification_says(world: World) {
    let rule = world
        .rule(json!({ "name": "tell", "trigger": "contact.created", "condition": { "contact.source": "a" },
                      "actions": [{ "notify_team": true }] }))
        .await;
    world
        .rule(json!({ "name": "say", "trigger": "contact.created", "condition": { "contact.source": "b" },
                      "actions": [{ "notify_team": { "text": "{{contact.name}} of {{contact.source}}, {{message.text|silent}}" } }] }))
        .await;
    for source in ["a", "b"] {
        world.contact_from("Ada", source).await;
        world.settle().await;
    }
    let said = world.me.notifications().list(PageRequest::default()).await.unwrap().data;
    assert_eq!(said[0].title, "Ada of b, silent");
    assert_eq!(said[1].title, "Ada: rule tell asks for your attention");
    assert_eq!((said[1].kind.as_str(), said[1].rule_id, said[1].read), ("rule.notify_team", Some(rule), false));
    assert!(said[1].contact_id.is_some());
    let events = world.events(world.organization).await;
    assert!(events.iter().all(|event| event.kind != EventKind::NotificationCreated), "rules held ready stay so");
}

async fn a_notification_is_its_users_own(world: World) {
    let (_, ann) = world.member("ann", Role::Admin).await;
    world.rule(json!({ "name": "tell", "trigger": "contact.created", "actions": [{ "notify_team": true }] })).await;
    world.settled("Ada").await;
    let mine = world.me.notifications().list(PageRequest::default()).await.unwrap().data.remove(0);
    assert_eq!(ann.notifications().get(mine.id).await.unwrap_err().code(), "not_found");
    let read = json!({ "id": mine.id, "patch": { "read": true } });
    assert!(ann.call("notifications.update", read.clone()).await.is_err());
    world.me.call("notifications.update", read).await.unwrap();
    assert!(world.me.notifications().get(mine.id).await.unwrap().read);
    assert!(!ann.notifications().list(PageRequest::default()).await.unwrap().data[0].read);
}

async fn an_answer_goes_out_with_its_variables(world: World) {
    let account = world.mailbox().await;
    world
        .rule(json!({ "name": "answer", "trigger": "message.received", "condition": { "is_first_response": true },
                      "actions": [{ "send_message": { "text": "Hello {{contact.name|there}}, about “{{message.text}}”: soon." } }] }))
        .await;
    let mut hello = world.note("ada@globex.example", "{{contact.email}}");
    hello.sender.name = Some("Ada".to_owned());
    let ada = world.receive(account, hello).await;
    let [sent] = &world.provider.outgoing()[..] else { panic!() };
    assert_eq!(sent.text, "Hello Ada, about “{{contact.email}}”: soon.");
    assert_eq!(sent.to.email.as_deref(), Some("ada@globex.example"));
    let chat = world.me.chats().list(Default::default()).await.unwrap().data.remove(0);
    let messages = json!({ "chat_id": chat.chat_id });
    let messages = world.me.call("messages.list", messages).await.unwrap();
    assert_eq!(messages["data"][0]["status"], json!(MessageStatus::Sent));
    assert_eq!(messages["data"][0]["contact_id"], json!(ada.id));
    let run = world.runs().await.remove(0);
    let events = world.events(ada.id).await;
    let queued = events.iter().find(|event| event.kind == EventKind::MessageQueued).unwrap();
    assert_eq!(queued.cause.chain[0].run_id, run.id);
}

async fn the_source_form_with_several_actions_in_one_object(world: World) {
    let rule = world
        .rule(json!({ "id": "both", "trigger": "contact.created",
                      "action": { "notify_team": true, "move_to_stage": "qualified", "add_tag": "met" } }))
        .await;
    let ada = world.settled("Ada").await;
    assert_eq!(world.stage_of(ada.id).await, "qualified");
    assert_eq!(ada.tags, ["met"]);
    let Value::Array(actions) = &world.runs_of(rule).await[0].actions else { panic!() };
    assert_eq!(actions.len(), 3);
    assert_eq!(titles(&world.me).await.len(), 1);
}
