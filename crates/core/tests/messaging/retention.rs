//! How long each kind of thing is kept: cleared when its time has come and not before, and nothing else.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use dealwright::{
    Handle,
    domain::{
        audit::{AuditEntry, AuditObject, payload_digest},
        event::{EventKind, Subject},
        job::{JobState, Lane},
        message::MessageStatus,
        retention::{RetentionDays, RetentionKind, Walk},
        run::{Run, RunOutcome},
    },
    id::{ContactId, Id, OrganizationId},
    page::PageRequest,
    ports::{
        connector::Incoming,
        store::{
            ActivityReads, Aged, AuditReads, Batch, MessageReads, Old, PrivacyReads, Store, Update, WorkItem,
            WorkQueue, Write,
        },
    },
    scope::{Actor, Role},
    services::{
        activities::DealNote,
        analytics::PerformanceQuery,
        audit::{AuditFaultKind, AuditView, ListAudit},
        companies::{DeleteCompany, NewCompany},
        contacts::{DeleteContact, NewContact},
        deals::{DeleteDeal, NewDeal},
        media::NewMedia,
        messaging::{MediaRef, SendMessage},
        privacy::{RetentionProgress, RetentionView},
    },
    testkit::provider::message,
};
use object_store::ObjectStoreExt;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::cases,
    privacy::{MARK, dump, found, marked, path, planted},
    world::{ADA, World, noon, pointers, refused, until},
};

cases!(
    each_kind_is_cleared_when_its_time_has_come,
    what_is_not_over_stays_until_it_is,
    an_entry_waits_for_its_seal,
    nothing_of_what_messages_said_is_left,
    a_file_stays_as_long_as_somebody_sends_it,
    what_was_emptied_in_the_trash_does_not_come_back,
    a_run_that_is_killed_goes_on,
    a_longer_time_holds_from_then_on,
    a_log_that_was_cleared_in_time_verifies,
    admins_say_how_long_things_are_kept,
);

const DAY: i64 = 86_400;

fn days(days: Value) -> RetentionDays {
    serde_json::from_value(days).unwrap()
}

async fn keep(world: &World, policy: Value) -> RetentionView {
    world.me.retention().replace(days(policy)).await.unwrap()
}

async fn of_kind(world: &World, kind: RetentionKind) -> RetentionProgress {
    let view = world.me.retention().get(()).await.unwrap();
    view.progress.into_iter().find(|it| it.kind == kind).unwrap()
}

/// Everything that a walk may come to.
async fn rows(world: &World, organization: OrganizationId, walk: Walk) -> Aged {
    rows_until(world, organization, walk, world.env.now() + Duration::days(1)).await
}

async fn rows_until(world: &World, organization: OrganizationId, walk: Walk, before: DateTime<Utc>) -> Aged {
    let all = Old::Behind { at: DateTime::UNIX_EPOCH, id: Uuid::nil(), before, limit: 10_000 };
    match world.store.old(organization, walk, &all).await.unwrap() {
        // How far the rules are with a subject is no part of its events.
        Aged::Events(events) => Aged::Events(events.into_iter().map(|(event, _)| (event, 0)).collect()),
        rows => rows,
    }
}

async fn text(world: &World, walk: Walk) -> String {
    format!("{:?}", rows(world, world.organization, walk).await)
}

fn count(rows: &Aged) -> usize {
    match rows {
        Aged::Messages(all) => all.len(),
        Aged::Files(all) => all.len(),
        Aged::Runs(all) => all.len(),
        Aged::Events(all) => all.len(),
        Aged::Moves(all) => all.len(),
        Aged::Notifications(all) => all.len(),
        Aged::Jobs(all) => all.len(),
        Aged::Contacts(all) => all.len(),
        Aged::Deals(all) => all.len(),
        Aged::Companies(all) => all.len(),
        Aged::Audit(all) => all.len(),
    }
}

/// Does what is due, and what comes a little later: the log of the database is emptied.
async fn settle(world: &World) {
    for _ in 0..4 {
        world.drain().await;
        world.later(61);
    }
}

/// A contact, a deal and a company in the trash.
async fn trash(me: &Handle) -> (ContactId, NewTrash) {
    let contact =
        NewContact { name: marked("Cy"), emails: vec!["cy@globex.example".to_owned()], ..NewContact::default() };
    let contact = me.contacts().create(contact).await.unwrap().id;
    let deal = me.deals().create(NewDeal { name: marked("old deal"), ..NewDeal::default() }).await.unwrap().id;
    let note = json!({ "deal_id": deal, "text": marked("note on an old deal") });
    me.notes().create_on_deal(serde_json::from_value::<DealNote>(note).unwrap()).await.unwrap();
    let company = NewCompany {
        name: marked("Globex"),
        website: Some("https://zq7mark.example".to_owned()),
        tags: vec![marked("tag of a company")],
        ..NewCompany::default()
    };
    let company = me.companies().create(company).await.unwrap().id;
    me.contacts().delete(DeleteContact { id: contact, if_version: None }).await.unwrap();
    me.deals().delete(DeleteDeal { id: deal, if_version: None }).await.unwrap();
    me.companies().delete(DeleteCompany { id: company, if_version: None }).await.unwrap();
    (contact, NewTrash { deal, company })
}

struct NewTrash {
    deal: dealwright::id::DealId,
    company: dealwright::id::CompanyId,
}

/// What the log tells of clearings, newest first.
async fn clearings(world: &World) -> Vec<AuditView> {
    let filter = ListAudit { object_kind: Some(AuditObject::Retention), limit: Some(200), ..ListAudit::default() };
    let mut told = world.me.audit().list(filter).await.unwrap().data;
    told.retain(|entry| entry.actor_id.is_none());
    told
}

/// ASVS 5.0, 14.2.4 and 14.2.7.
async fn each_kind_is_cleared_when_its_time_has_come(world: World) {
    let planted = planted(&world).await;
    let (contact, trash_of_ours) = trash(&world.me).await;
    let (other, stranger) = world.other_organization().await;
    trash(&stranger).await;
    world.drain().await;
    let begun = world.env.now();
    let mut of_other = Vec::new();
    for walk in Walk::ALL {
        of_other.push(format!("{:?}", rows(&world, other, *walk).await));
    }
    let counted = world.me.analytics().team_performance(PerformanceQuery::default()).await.unwrap();
    // What comes of time alone, such as a message that waits, has come before anything is looked at.
    world.later(4 * DAY);
    settle(&world).await;
    let cases: &[(Value, RetentionKind, &[Walk])] = &[
        (json!({ "jobs": 10 }), RetentionKind::Jobs, &[Walk::Jobs]),
        (json!({ "notifications": 20 }), RetentionKind::Notifications, &[Walk::Notifications]),
        (json!({ "deleted": 30 }), RetentionKind::Deleted, &[Walk::Contacts, Walk::Deals, Walk::Companies]),
        (json!({ "runs": 40 }), RetentionKind::Runs, &[Walk::Runs]),
        (json!({ "messages": 50, "runs": 50 }), RetentionKind::Messages, &[Walk::Messages, Walk::Files]),
        (json!({ "events": 60 }), RetentionKind::Events, &[Walk::Events, Walk::Moves]),
        (json!({ "audit": 70 }), RetentionKind::Audit, &[Walk::Audit]),
    ];
    assert_eq!(cases.iter().map(|it| it.1).collect::<BTreeSet<_>>().len(), RetentionKind::ALL.len());
    for (policy, kind, walks) in cases {
        let kept = days(policy.clone()).of(*kind).unwrap();
        world.clock.set(begun + Duration::days(kept) - Duration::hours(1));
        let planted =
            async |walk: &Walk| rows_until(&world, world.organization, *walk, begun + Duration::days(5)).await;
        let mut before = Vec::new();
        for walk in *walks {
            before.push(planted(walk).await);
        }
        keep(&world, policy.clone()).await;
        settle(&world).await;
        for (walk, before) in walks.iter().zip(&before) {
            let now = planted(walk).await;
            assert!(now == *before, "{walk} was cleared too early:\n{before:?}\n{now:?}");
        }
        assert_eq!(of_kind(&world, *kind).await.cleared, 0, "{kind}");
        world.later(5 * DAY);
        settle(&world).await;
        let done = of_kind(&world, *kind).await;
        assert!(done.cleared > 0 && !done.running, "{done:?}");
        assert!(done.cleared_before.unwrap() > begun && done.last_run_at.unwrap() > begun, "{done:?}");
        for (walk, before) in walks.iter().zip(&before) {
            let now = planted(walk).await;
            let removes = [Walk::Files, Walk::Notifications].contains(walk);
            let expected = if removes { 0 } else { count(before) };
            assert!(count(before) > 0 && count(&now) == expected, "{walk}: {before:?}\n{now:?}");
            assert!(*walk == Walk::Audit || !format!("{now:?}").contains(MARK), "{walk}: {now:?}");
        }
        let told = clearings(&world).await.remove(0).after.unwrap();
        assert_eq!((&told["kind"], &told["cleared"]), (&json!(kind), &json!(done.cleared)));
        assert_eq!(told["cleared_before"], json!(done.cleared_before.unwrap()));
        assert_eq!(clearings(&world).await.len(), cases.iter().position(|it| it.1 == *kind).unwrap() + 1);
        let verified = world.me.audit().verify(()).await.unwrap();
        assert!(verified.sound && verified.waiting == 0, "{verified:?}");
    }
    // Each in its own way.
    let Aged::Jobs(jobs) = rows(&world, world.organization, Walk::Jobs).await else { panic!() };
    let old = |at: DateTime<Utc>| at < begun;
    assert!(jobs.iter().filter(|job| old(job.created_at)).all(|job| job.payload == json!({}) && job.key_id.is_none()));
    let Aged::Audit(entries) = rows(&world, world.organization, Walk::Audit).await else { panic!() };
    assert!(entries.iter().filter(|entry| old(entry.at)).all(|entry| entry.payload.is_none()));
    assert!(world.store.erasure(world.organization, contact).await.unwrap().is_some());
    for subject in [Subject::from(trash_of_ours.deal), trash_of_ours.company.into()] {
        assert!(!format!("{:?}", world.events(subject).await).contains(MARK));
    }
    let bytes = world.objects().get(&path(&world, planted.file)).await;
    assert!(matches!(bytes, Err(object_store::Error::NotFound { .. })));
    let query = PerformanceQuery { from: Some(counted.from), to: Some(counted.to), ..PerformanceQuery::default() };
    assert_eq!(world.me.analytics().team_performance(query).await.unwrap(), counted);
    // What people look after themselves stays.
    assert!(world.me.contacts().get(planted.contact.id).await.unwrap().name.contains(MARK));
    assert!(world.me.deals().get(planted.deal).await.unwrap().name.contains(MARK));
    for (walk, before) in Walk::ALL.iter().zip(of_other) {
        assert_eq!(format!("{:?}", rows(&world, other, *walk).await), before, "{walk} of somebody else");
    }
}

/// An event that no rule has seen, and a message that waits, with its file and its job.
async fn what_is_not_over_stays_until_it_is(world: World) {
    let chat = world.ada_writes("hello").await;
    world.drain().await;
    let file = NewMedia { name: "offer.txt".to_owned(), media_type: None, data: MARK.into() };
    let file = world.me.media().upload(file).await.unwrap().id;
    let waiting = SendMessage {
        chat_id: Some(chat.chat_id),
        text: marked("later"),
        media: vec![MediaRef { id: file }],
        send_at: Some(world.env.now() + Duration::days(40)),
        ..SendMessage::default()
    };
    let waiting = world.me.messages().send(waiting).await.unwrap().id;
    let contact = world.contact(&marked("Bea")).await.id;
    let mut batch = Batch::default();
    batch.uproot(Lane::Dispatch, contact.uuid());
    world.store.commit(world.organization, batch).await.unwrap();
    keep(&world, json!({ "messages": 10, "runs": 10, "events": 10, "jobs": 10 })).await;
    let is_left = async || {
        let bea = format!("{:?}", world.events(contact).await);
        let message = format!("{:?}", world.store.message(world.organization, waiting).await.unwrap());
        let file = world.store.media(world.organization, file).await.unwrap().is_some();
        (bea.contains(MARK), message.contains(MARK), file)
    };
    let payloads = async || {
        let Aged::Jobs(jobs) = rows(&world, world.organization, Walk::Jobs).await else { panic!() };
        jobs.iter().filter(|job| job.payload != json!({})).count()
    };
    for _ in 0..3 {
        world.later(10 * DAY);
        settle(&world).await;
        assert_eq!(is_left().await, (true, true, true));
        assert_eq!(payloads().await, 1);
    }
    // Then each is over.
    let now = world.env.now();
    let mut batch = Batch::default();
    let organization_id = world.organization;
    batch.plant(WorkItem { lane: Lane::Dispatch, id: contact.uuid(), organization_id, due_at: now });
    world.store.commit(world.organization, batch).await.unwrap();
    world.clock.set(noon() + Duration::days(41));
    settle(&world).await;
    assert_eq!(world.message_status(waiting).await, MessageStatus::Sent);
    world.later(DAY);
    settle(&world).await;
    assert_eq!((is_left().await, payloads().await), ((false, false, true), 0));
    // The file as long as if the message had been written when it went.
    world.later(10 * DAY);
    settle(&world).await;
    assert!(!is_left().await.2);
}

/// What nothing asks to seal stays unsealed until something does.
async fn an_entry_waits_for_its_seal(world: World) {
    keep(&world, json!({ "audit": 10 })).await;
    world.drain().await;
    let contact = world.env.id::<ContactId>().unwrap();
    let payload = format!("{{\"salt\":\"{MARK}\"}}");
    let entry = AuditEntry {
        id: world.env.id().unwrap(),
        organization_id: world.organization,
        at: world.env.now(),
        actor: Actor::System,
        actor_id: None,
        action: "teams.create".to_owned(),
        object_kind: AuditObject::Team,
        object_id: contact.uuid(),
        payload_digest: payload_digest(&payload),
        payload: Some(payload),
        seq: None,
        seal: None,
        sealed_by: None,
        sealed: None,
    };
    let mut batch = Batch::default();
    batch.note(Write::insert(&entry)).unwrap();
    world.store.commit(world.organization, batch).await.unwrap();
    let now = async || world.store.audit_entry(world.organization, entry.id).await.unwrap().unwrap();
    world.later(11 * DAY);
    world.drain().await;
    assert!(of_kind(&world, RetentionKind::Audit).await.cleared > 0);
    assert!(now().await.payload.is_some(), "it was cleared without a seal");
    world.later(DAY);
    settle(&world).await;
    assert!(now().await.payload.is_none() && now().await.seq.is_some());
    assert!(world.me.audit().verify(()).await.unwrap().sound);
}

/// ASVS 5.0, 14.2.7: on the disk, in what rules quoted, and in what was answered to a key.
async fn nothing_of_what_messages_said_is_left(world: World) {
    let folder = tempfile::tempdir().unwrap();
    let world = match world.url().starts_with("sqlite") {
        true => World::at(format!("sqlite://{}/crm.db", folder.path().display())).await,
        false => world,
    };
    let now = world.env.now();
    let mails = (0..230).map(|number| {
        let text = if number == 7 { MARK.repeat(9_000) } else { marked(&number.to_string()) };
        let mail = message(&format!("{MARK}{number}@globex.example"), ADA, &text, now + Duration::seconds(number));
        Incoming { title: Some(marked("subject")), ..mail }
    });
    world.receive(mails.collect::<Vec<_>>()).await.unwrap();
    let chat = world.chats().await.remove(0).chat_id;
    let keyed = world.me.clone().with_idempotency_key("once");
    keyed.call("messages.send", json!({ "chat_id": chat, "text": marked("answer") })).await.unwrap();
    world.drain().await;
    let event = world.events_about(world.contacts().await.remove(0).id, EventKind::MessageReceived).await.remove(0);
    let run = Run {
        id: world.env.id().unwrap(),
        organization_id: world.organization,
        rule_id: world.env.id().unwrap(),
        rule_version: 1,
        event_id: event.id,
        event_kind: event.kind.to_string(),
        contact_id: None,
        deal_id: None,
        outcome: RunOutcome::Applied,
        facts: json!({ "message": { "text": marked("fact") } }),
        actions: json!([]),
        duration_us: 1,
        error: None,
        stopped: false,
        created_at: now,
        sealed_by: None,
        sealed: None,
    };
    let mut batch = Batch::default();
    batch.note(Write::insert(&run)).unwrap();
    world.store.commit(world.organization, batch).await.unwrap();
    assert!(dump(&world).contains(MARK));
    let before = rows(&world, world.organization, Walk::Messages).await;
    let inbox = world.chats().await;
    keep(&world, json!({ "messages": 30, "runs": 30 })).await;
    world.later(31 * DAY);
    settle(&world).await;
    let left = found(&dump(&world));
    assert!(left.is_empty(), "{left:#?}");
    let after = rows(&world, world.organization, Walk::Messages).await;
    assert_eq!((count(&before), count(&after)), (231, 231));
    for (then, now) in inbox.iter().zip(world.chats().await) {
        assert_eq!((then.chat_id, then.unread_count), (now.chat_id, now.unread_count));
        assert_eq!(then.contact, now.contact);
    }
    // The same mail is known all the same, and who wrote it is answered at the address that they have.
    let again = message(&format!("{MARK}3@globex.example"), ADA, "again", world.env.now());
    world.receive([again]).await.unwrap();
    assert_eq!(count(&rows(&world, world.organization, Walk::Messages).await), 231);
    let sent = world.send(chat, "Are you there?").await;
    world.drain().await;
    assert_eq!(world.message_status(sent.id).await, MessageStatus::Sent);
}

async fn a_file_stays_as_long_as_somebody_sends_it(world: World) {
    let chat = world.ada_writes("hello").await.chat_id;
    let file = NewMedia { name: "prices.txt".to_owned(), media_type: None, data: "prices".into() };
    let file = world.me.media().upload(file).await.unwrap().id;
    let send = async || {
        let media = vec![MediaRef { id: file }];
        let new = SendMessage { chat_id: Some(chat), text: "prices".to_owned(), media, ..SendMessage::default() };
        let id = world.me.messages().send(new).await.unwrap().id;
        world.drain().await;
        id
    };
    let first = send().await;
    keep(&world, json!({ "messages": 10, "runs": 10 })).await;
    world.later(8 * DAY);
    let second = send().await;
    world.later(4 * DAY);
    settle(&world).await;
    let media = async |id| world.message(id).await.content.unwrap().media.len();
    assert_eq!((media(first).await, media(second).await), (0, 1));
    assert_eq!(world.me.media().download(file).await.unwrap().data, "prices");
    world.later(8 * DAY);
    settle(&world).await;
    assert_eq!(media(second).await, 0);
    refused(world.me.media().get(file).await, 404, "not_found");
    let bytes = world.objects().get(&path(&world, file)).await;
    assert!(matches!(bytes, Err(object_store::Error::NotFound { .. })));
    let again = SendMessage { chat_id: Some(chat), media: vec![MediaRef { id: file }], ..SendMessage::default() };
    assert_eq!(pointers(world.me.messages().send(again).await), [("/media/0/id".to_owned(), "unknown".to_owned())]);
}

async fn what_was_emptied_in_the_trash_does_not_come_back(world: World) {
    let (contact, trash) = trash(&world.me).await;
    keep(&world, json!({ "deleted": 10 })).await;
    // Who is brought back in time stays.
    let kept = world.contact(&marked("Dee")).await.id;
    world.me.contacts().delete(DeleteContact { id: kept, if_version: None }).await.unwrap();
    world.later(9 * DAY);
    settle(&world).await;
    world.me.contacts().restore(kept.into()).await.unwrap();
    world.later(2 * DAY);
    settle(&world).await;
    refused(world.me.contacts().restore(contact.into()).await, 404, "not_found");
    refused(world.me.deals().restore(trash.deal.into()).await, 404, "not_found");
    refused(world.me.companies().restore(trash.company.into()).await, 404, "not_found");
    assert!(world.me.contacts().get(kept).await.unwrap().name.contains(MARK));
    let notes = world.store.notes(world.organization, trash.deal.into(), &PageRequest::default()).await.unwrap().data;
    assert_eq!(notes.iter().map(|note| note.text.as_str()).collect::<Vec<_>>(), ["erased"]);
    for walk in [Walk::Contacts, Walk::Deals, Walk::Companies] {
        let text = text(&world, walk).await;
        assert!(text.contains("erased") && !text.contains(MARK), "{text}");
    }
    // Deleted anew, somebody waits anew.
    world.me.contacts().delete(DeleteContact { id: kept, if_version: None }).await.unwrap();
    world.later(9 * DAY);
    settle(&world).await;
    assert!(world.store.erasure(world.organization, kept).await.unwrap().is_none());
    world.later(2 * DAY);
    settle(&world).await;
    assert!(world.store.erasure(world.organization, kept).await.unwrap().is_some());
    let cleared = of_kind(&world, RetentionKind::Deleted).await.cleared;
    assert_eq!(cleared, 4);
}

async fn a_run_that_is_killed_goes_on(world: World) {
    let now = world.env.now();
    let texts = (0..1_500).map(|number| message(&number.to_string(), ADA, &marked(&number.to_string()), now));
    world.receive(texts.collect::<Vec<_>>()).await.unwrap();
    world.drain().await;
    keep(&world, json!({ "messages": 10, "runs": 10 })).await;
    world.later(11 * DAY);
    let cut = async {
        until("the run under way", async || {
            let run = of_kind(&world, RetentionKind::Messages).await;
            (run.running && run.cleared > 0).then_some(run.cleared)
        })
        .await
    };
    // The process dies in the middle: what it has in hand is dropped.
    let cleared = tokio::select! {
        biased;
        cleared = cut => cleared,
        () = world.drain() => panic!("nothing was under way"),
    };
    assert!(cleared < 1_500, "{cleared}");
    assert!(text(&world, Walk::Messages).await.contains(MARK));
    // Another one goes on once the claim of the dead one has run out.
    let other = world.replica().await;
    other.runtime().drain().await.unwrap();
    world.later(16);
    other.runtime().drain().await.unwrap();
    assert!(!text(&world, Walk::Messages).await.contains(MARK));
    let done = of_kind(&world, RetentionKind::Messages).await;
    // Each message once, and what the inbox showed of the last one.
    assert_eq!((done.cleared, done.running), (1_501, false));
    other.runtime().drain().await.unwrap();
    let told = clearings(&world).await;
    let counts: Vec<_> = told.iter().map(|entry| entry.after.as_ref().unwrap()["cleared"].as_i64().unwrap()).collect();
    assert_eq!(counts, [1_501]);
}

async fn a_longer_time_holds_from_then_on(world: World) {
    world.ada_writes(&marked("one")).await;
    keep(&world, json!({ "messages": 10, "runs": 10 })).await;
    world.later(9 * DAY);
    settle(&world).await;
    keep(&world, json!({})).await;
    world.later(30 * DAY);
    settle(&world).await;
    assert!(text(&world, Walk::Messages).await.contains(MARK));
    assert_eq!(world.store.next_due(&[Lane::Retention]).await.unwrap(), None);
    // A shorter one at once.
    keep(&world, json!({ "messages": 100, "runs": 100 })).await;
    settle(&world).await;
    assert!(text(&world, Walk::Messages).await.contains(MARK));
    keep(&world, json!({ "messages": 20, "runs": 20 })).await;
    settle(&world).await;
    assert!(!text(&world, Walk::Messages).await.contains(MARK));
}

/// ASVS 5.0, 16.4.2.
async fn a_log_that_was_cleared_in_time_verifies(world: World) {
    for number in 0..230 {
        let team = dealwright::services::team::NewTeam { name: marked(&format!("team {number}")) };
        world.me.teams().create(team).await.unwrap();
    }
    keep(&world, json!({ "audit": 10 })).await;
    world.drain().await;
    world.later(11 * DAY);
    world.me.teams().create(dealwright::services::team::NewTeam { name: "new".to_owned() }).await.unwrap();
    let claim = async |owner| {
        let now = world.env.now();
        world.store.claim(&[Lane::Audit], Uuid::from_u128(owner), now, Duration::seconds(9), 99).await.unwrap()
    };
    // What tells of it waits for its seal.
    claim(7).await;
    settle(&world).await;
    let verified = world.me.audit().verify(()).await.unwrap();
    assert!(verified.sound && verified.cleared > 230, "{verified:?}");
    settle(&world).await;
    let verified = world.me.audit().verify(()).await.unwrap();
    assert!(verified.sound && verified.waiting == 0, "{verified:?}");
    let entries = world.store.sealed_entries(world.organization, 0, 500).await.unwrap();
    assert!(!format!("{entries:?}").contains(MARK));
    world.let_log_be_rewritten();
    let write = async |write: Write| {
        let mut batch = Batch::default();
        batch.note(write).unwrap();
        world.store.commit(world.organization, batch).await.unwrap();
    };
    let clearing = |entry: &AuditEntry| entry.object_kind == AuditObject::Retention && entry.actor == Actor::System;
    let told = entries.iter().rev().find(|entry| clearing(entry)).unwrap();
    let young = entries.iter().rev().find(|entry| !clearing(entry)).unwrap();
    assert!(young.payload.is_some());
    // One whose time had not come, and what told of the others.
    for entry in [young, told] {
        write(Write::Update(Update::of(entry).set("payload", &None::<String>))).await;
        let fault = world.me.audit().verify(()).await.unwrap().fault.unwrap();
        assert_eq!((fault.kind, fault.entry_id), (AuditFaultKind::Cleared, Some(entry.id)), "{fault:?}");
        write(Write::put(entry)).await;
        assert!(world.me.audit().verify(()).await.unwrap().sound);
    }
    // What somebody else writes of a clearing is none.
    let forged = AuditEntry { actor: Actor::User { id: world.una }, ..told.clone() };
    write(Write::put(&forged)).await;
    assert_eq!(world.me.audit().verify(()).await.unwrap().fault.unwrap().kind, AuditFaultKind::Edited);
    write(Write::put(told)).await;
    // Its own entries stay, so that it does not go round and round.
    world.later(30 * DAY);
    settle(&world).await;
    let since = clearings(&world).await.len();
    for _ in 0..20 {
        world.later(DAY);
        settle(&world).await;
    }
    assert_eq!(clearings(&world).await.len(), since);
    assert!(world.me.audit().verify(()).await.unwrap().sound);
}

/// ASVS 5.0, 8.2.1.
async fn admins_say_how_long_things_are_kept(world: World) {
    let (_, manager) = world.member("max", Role::Manager).await;
    let (_, admin) = world.member("ada", Role::Admin).await;
    let without = manager.retention().get(()).await.unwrap();
    assert_eq!(without.days, RetentionDays::default());
    assert!(without.progress.iter().all(|it| it.cleared == 0 && it.last_run_at.is_none() && !it.running));
    let policy = days(json!({ "messages": 365, "runs": 90, "audit": 36_500 }));
    refused(manager.retention().replace(policy).await, 403, "forbidden");
    let said = admin.retention().replace(policy).await.unwrap();
    assert_eq!((said.days, world.me.retention().get(()).await.unwrap().days), (policy, policy));
    let told = || async {
        let filter = ListAudit { object_kind: Some(AuditObject::Retention), ..ListAudit::default() };
        world.me.audit().list(filter).await.unwrap().data
    };
    let entry = told().await.remove(0);
    assert_eq!((entry.action.as_str(), entry.after.unwrap()["days"]["runs"].as_i64()), ("retention.replace", Some(90)));
    // Saying the same again changes nothing.
    admin.retention().replace(policy).await.unwrap();
    assert_eq!(told().await.len(), 1);
    let flaw = |pointer: &str, code: &str| (pointer.to_owned(), code.to_owned());
    let wrong = days(json!({ "jobs": 0, "audit": 36_501, "messages": 10 }));
    let wrong: BTreeSet<_> = pointers(admin.retention().replace(wrong).await).into_iter().collect();
    let expected =
        [flaw("/audit", "out_of_range"), flaw("/jobs", "out_of_range"), flaw("/runs", "longer_than_messages")];
    assert_eq!(wrong, expected.into());
    let events = world.events(world.organization).await;
    assert!(
        events.iter().any(|it| it.kind == EventKind::OrganizationUpdated && it.data["what"] == "retention.replaced")
    );
    // It works by itself, and nothing of it is anybody's to cancel.
    world.drain().await;
    assert!(world.me.jobs().list(Default::default()).await.unwrap().data.iter().all(|it| it.state != JobState::Failed));
}
