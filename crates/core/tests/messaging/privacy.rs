//! One person's data: told as a whole, and erased for good, with everything else staying as it was.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Duration;
use dealwright::{
    domain::{
        contact::{Contact, Handles},
        event::EventKind,
        job::{Job, JobState},
        media::Attachment,
        message::MessageStatus,
        run::{Run, RunOutcome},
    },
    id::{ContactId, DealId, MediaId, MessageId},
    ports::{
        connector::Incoming,
        store::{Batch, MessageReads, PrivacyReads, Store, TABLES, Write},
    },
    scope::Role,
    services::{
        activities::{ContactNote, ContactTask, DealNote, DealTask},
        analytics::PerformanceQuery,
        contacts::{DeleteContact, MoveContact, NewContact},
        deals::NewDeal,
        fields::NewField,
        media::NewMedia,
        messaging::{MediaRef, SendMessage},
        privacy::{ExportContact, Section},
    },
    testkit::provider::message,
};
use dealwright_peers::psql;
use serde_json::{Map, Value, json};

use crate::{
    harness::cases,
    world::{World, note, refused},
};

cases!(
    an_erased_person_is_nowhere,
    everything_of_a_person_is_told_page_by_page,
    what_others_have_stays,
    what_was_pending_is_ended,
    erasing_again_is_the_same_erasure,
    an_erased_mail_is_not_taken_in_again,
    the_files_of_an_erased_mail_are_not_stored_again,
    only_admins_see_or_erase_a_person_as_a_whole,
    an_answer_that_named_them_is_not_given_again,
);

/// Every personal value that a test plants, so that it is found whatever it is in.
pub const MARK: &str = "zq7mark";

pub fn marked(what: &str) -> String {
    format!("{MARK} {what}")
}

/// Somebody with everything that there may be about somebody.
pub struct Planted {
    pub contact: Contact,
    pub deal: DealId,
    /// A file that went to them alone, and one that went to somebody else too.
    pub file: MediaId,
    shared: MediaId,
    /// What waits for its time.
    waiting: MessageId,
}

async fn field(world: &World, object: &str) {
    let field: NewField = serde_json::from_value(json!({ "object": object, "key": "pet", "type": "text" })).unwrap();
    world.me.fields().create(field).await.unwrap();
}

fn custom(what: &str) -> Map<String, Value> {
    Map::from_iter([("pet".to_owned(), json!(marked(what)))])
}

fn system(what: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("erp".to_owned(), marked(what))])
}

const ADDRESS: &str = "zq7mark-ada@globex.example";

pub async fn planted(world: &World) -> Planted {
    for object in ["contact", "deal"] {
        field(world, object).await;
    }
    let (max, _) = world.member("max", Role::Member).await;
    let new = NewContact {
        name: marked("Ada"),
        emails: vec![ADDRESS.to_owned()],
        phones: vec!["+4915112345678".to_owned()],
        handles: Handles { telegram: Some("zq7mark_ada".to_owned()), ..Handles::default() },
        source: Some(marked("fair")),
        tags: vec![marked("tag")],
        custom: custom("cat"),
        external_ids: system("customer"),
        assigned_to: Some(max),
        ..NewContact::default()
    };
    let contact = world.me.contacts().create(new).await.unwrap();
    let id = contact.id;
    let other = world.contact("Bea").await;
    let move_to = |stage, reason: &str| MoveContact {
        contact_id: id,
        stage_id: world.stage(stage).id,
        reason: Some(marked(reason)),
        if_version: None,
    };
    world.me.contacts().move_to(move_to("qualified", "reason")).await.unwrap();
    let deal = NewDeal {
        name: marked("deal"),
        contact_id: Some(id),
        custom: custom("dog"),
        external_ids: system("order"),
        assigned_to: Some(max),
        ..NewDeal::default()
    };
    let deal = world.me.deals().create(deal).await.unwrap().id;
    let note = |text: &str| json!({ "text": marked(text) });
    let task = |title: &str| json!({ "title": marked(title), "due_at": world.env.now() + Duration::days(3), "assigned_to": max });
    let on = |mut value: Value, name: &str, id: Value| {
        value[name] = id;
        value
    };
    let of = |value: Value| on(value, "contact_id", json!(id));
    let of_deal = |value: Value| on(value, "deal_id", json!(deal));
    let me = &world.me;
    me.notes().create_on_contact(serde_json::from_value::<ContactNote>(of(note("note"))).unwrap()).await.unwrap();
    me.notes().create_on_deal(serde_json::from_value::<DealNote>(of_deal(note("deal note"))).unwrap()).await.unwrap();
    me.tasks().create_for_contact(serde_json::from_value::<ContactTask>(of(task("task"))).unwrap()).await.unwrap();
    me.tasks().create_for_deal(serde_json::from_value::<DealTask>(of_deal(task("deal task"))).unwrap()).await.unwrap();

    let file = Attachment { name: marked("cv.txt"), media_type: "text/plain".to_owned(), bytes: MARK.into() };
    let now = world.env.now();
    let subject = |incoming: Incoming| Incoming {
        title: Some(marked("subject")),
        media: vec![file.clone()],
        reference: Some("zq7mark.1@globex.example".to_owned()),
        ..incoming
    };
    let mail = message("zq7mark.1@globex.example#1", ADDRESS, &marked("text"), now);
    world.receive([subject(mail)]).await.unwrap();
    let chat = world.chats().await.remove(0).chat_id;
    let upload = |name: String| NewMedia { name, media_type: None, data: MARK.into() };
    let own = me.media().upload(upload(marked("offer.txt"))).await.unwrap().id;
    let shared = me.media().upload(upload("prices.txt".to_owned())).await.unwrap().id;
    let send = |media: Vec<MediaId>, text: &str| SendMessage {
        chat_id: Some(chat),
        text: marked(text),
        media: media.into_iter().map(|id| MediaRef { id }).collect(),
        ..SendMessage::default()
    };
    me.messages().send(send(vec![own, shared], "answer")).await.unwrap();
    let address = json!({ "id": other.id, "patch": { "emails": ["bea@globex.example"] } });
    me.contacts().update(serde_json::from_value(address).unwrap()).await.unwrap();
    let begin = SendMessage {
        account_id: Some(world.account),
        contact_id: Some(other.id),
        text: "prices".to_owned(),
        media: vec![MediaRef { id: shared }],
        ..SendMessage::default()
    };
    me.messages().send(begin).await.unwrap();
    world.drain().await;
    let later = SendMessage { send_at: Some(world.env.now() + Duration::days(2)), ..send(Vec::new(), "later") };
    let waiting = me.messages().send(later).await.unwrap().id;
    let event = world.events(id).await.pop().unwrap();
    let run = Run {
        id: world.env.id().unwrap(),
        organization_id: world.organization,
        rule_id: world.env.id().unwrap(),
        rule_version: 1,
        event_id: event.id,
        event_kind: event.kind.to_string(),
        contact_id: Some(id),
        deal_id: Some(deal),
        outcome: RunOutcome::Applied,
        facts: json!({ "contact": { "name": marked("fact") } }),
        actions: json!([{ "create_task": marked("action") }]),
        duration_us: 1,
        error: Some(marked("error")),
        stopped: false,
        created_at: world.env.now(),
        sealed_by: None,
        sealed: None,
    };
    let mut batch = Batch::default();
    batch.note(Write::insert(&run)).unwrap();
    world.store.commit(world.organization, batch).await.unwrap();
    // The log knows of it too.
    me.contacts().delete(DeleteContact { id, if_version: None }).await.unwrap();
    me.contacts().restore(id.into()).await.unwrap();
    world.drain().await;
    Planted { contact, deal, file: own, shared, waiting }
}

/// The whole database as it lies on the disk, or as PostgreSQL tells it, in lower case.
pub fn dump(world: &World) -> String {
    let url = world.url();
    let Some(file) = url.strip_prefix("sqlite://") else {
        let server = dealwright_peers::shared_postgres().unwrap();
        let (_, database) = url.rsplit_once('/').unwrap();
        let superuser = format!("{}/{database}", server.superuser().rsplit_once('/').unwrap().0);
        let rows = TABLES.iter().map(|table| format!("SELECT t::text FROM {} t;", table.name));
        return psql(&superuser, &rows.collect::<String>()).unwrap().to_lowercase();
    };
    let bytes = [file.to_owned(), format!("{file}-wal")].map(|path| std::fs::read(path).unwrap());
    String::from_utf8_lossy(&bytes.concat()).to_lowercase()
}

const VALUES: &[&str] = &[MARK, "4915112345678"];

/// Where personal values stand in a dump.
pub fn found(dump: &str) -> Vec<String> {
    let around = |at: usize| dump[dump.floor_char_boundary(at.saturating_sub(120))..].chars().take(200).collect();
    VALUES.iter().flat_map(|value| dump.match_indices(value)).map(|(at, _)| around(at)).take(5).collect()
}

/// Erases somebody and lets the job come to its end.
async fn erase(world: &World, id: ContactId) -> Job {
    let job = world.me.contacts().erase(id).await.unwrap();
    for _ in 0..4 {
        world.drain().await;
        world.later(61);
    }
    let ended = world.me.jobs().get(job.id).await.unwrap();
    assert_eq!(ended.state, JobState::Done, "{ended:?}");
    ended
}

/// Everything that is held about somebody, by section.
async fn exported(world: &World, id: ContactId) -> BTreeMap<String, Vec<Map<String, Value>>> {
    let (mut all, mut cursor) = (BTreeMap::<String, Vec<_>>::new(), None);
    loop {
        let part = world.me.contacts().export(ExportContact { id, cursor }).await.unwrap();
        all.entry(part.section.to_string()).or_default().extend(part.data);
        cursor = part.next_cursor;
        if cursor.is_none() {
            return all;
        }
    }
}

/// ASVS 5.0, 14.2.7: what is no longer wanted is gone, in the log and on the disk too.
async fn an_erased_person_is_nowhere(world: World) {
    // What a file still has of earlier states is seen in a file.
    let folder = tempfile::tempdir().unwrap();
    let world = match world.url().starts_with("sqlite") {
        true => World::at(format!("sqlite://{}/crm.db", folder.path().display())).await,
        false => world,
    };
    let planted = planted(&world).await;
    // More than a page of messages, and one that is longer than a page of the file.
    let texts = (0..420).map(|number| if number == 7 { MARK.repeat(9_000) } else { marked(&number.to_string()) });
    let now = world.env.now();
    let many = texts.enumerate().map(|(number, text)| message(&format!("{MARK}{number}"), ADDRESS, &text, now));
    world.receive(many.collect::<Vec<_>>()).await.unwrap();
    for value in VALUES {
        assert!(dump(&world).contains(value), "{value} was not planted");
    }
    let told = exported(&world, planted.contact.id).await;
    for section in Section::ALL.iter().filter(|section| **section != Section::Audit) {
        let text = json!(told[section.as_str()]).to_string();
        assert!(text.contains(MARK), "nothing was planted in {section}: {text}");
    }
    let job = erase(&world, planted.contact.id).await;
    assert!(job.progress > 440, "{job:?}");
    let left = found(&dump(&world));
    assert!(left.is_empty(), "{left:#?}");
    let text = json!(exported(&world, planted.contact.id).await).to_string();
    assert!(!text.contains(MARK), "{text}");
    // The log says that it happened, and its chain holds without what is gone.
    world.drain().await;
    let verified = world.me.audit().verify(()).await.unwrap();
    assert!(verified.sound && verified.cleared > 0, "{verified:?}");
    let erasure = world.store.erasure(world.organization, planted.contact.id).await.unwrap().unwrap();
    assert!(erasure.finished_at.is_some());
}

/// Pages of every length, and what belongs to others stays out.
async fn everything_of_a_person_is_told_page_by_page(world: World) {
    let planted = planted(&world).await;
    let messages: Vec<_> = (0..120).map(|number| note(&format!("n{number}"), world.env.now())).collect();
    world.receive(messages).await.unwrap();
    let ada = world.contacts().await.into_iter().find(|it| it.name == crate::world::ADA).unwrap();
    let told = exported(&world, ada.id).await;
    let ids: BTreeSet<_> = told["messages"].iter().map(|it| it["id"].to_string()).collect();
    assert_eq!((told["messages"].len(), ids.len()), (120, 120));
    assert_eq!(
        told.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        Section::ALL.iter().map(|it| it.as_str()).collect()
    );
    assert!(!json!(told).to_string().contains(MARK));

    let told = exported(&world, planted.contact.id).await;
    assert_eq!(told["contact"][0]["emails"], json!([ADDRESS]));
    assert_eq!(told["deals"][0]["id"], json!(planted.deal));
    // Of the contact and of the deal.
    for section in ["notes", "tasks"] {
        assert_eq!(told[section].len(), 2, "{section}: {:?}", told[section]);
    }
    // Once, though it is of both.
    assert_eq!(told["runs"].len(), 1);
    assert!(told["events"].iter().any(|event| event["subject"]["kind"] == "deal"));
    let again = world.me.contacts().export(ExportContact { id: planted.contact.id, cursor: None }).await.unwrap();
    let of_other = ExportContact { id: ada.id, cursor: again.next_cursor };
    refused(world.me.contacts().export(of_other).await, 400, "invalid_cursor");
    let odd = ExportContact { id: ada.id, cursor: Some("odd".to_owned()) };
    refused(world.me.contacts().export(odd).await, 400, "invalid_cursor");
    // That somebody was given it is told, once each time.
    let asked =
        dealwright::services::audit::ListAudit { action: Some("contacts.export".to_owned()), ..Default::default() };
    assert_eq!(world.me.audit().list(asked).await.unwrap().data.len(), 3);
}

async fn what_others_have_stays(world: World) {
    let planted = planted(&world).await;
    let bea = world.contacts().await.into_iter().find(|it| it.name == "Bea").unwrap();
    let before = exported(&world, bea.id).await;
    let counted = world.me.analytics().team_performance(PerformanceQuery::default()).await.unwrap();
    let deal = world.me.deals().get(planted.deal).await.unwrap();
    erase(&world, planted.contact.id).await;
    let mut after = exported(&world, bea.id).await;
    // But for the entry that tells of the export before.
    after.insert("audit".to_owned(), before["audit"].clone());
    assert_eq!(after, before);
    let query = PerformanceQuery { from: Some(counted.from), to: Some(counted.to), ..PerformanceQuery::default() };
    assert_eq!(world.me.analytics().team_performance(query).await.unwrap(), counted);
    let now = world.me.deals().get(planted.deal).await.unwrap();
    assert_eq!(
        (now.name.as_str(), now.stage_id, now.value, now.status),
        ("erased", deal.stage_id, deal.value, deal.status)
    );
    // Their file is gone with them, the one that others have is not.
    let organization = world.organization;
    assert!(world.store.media(organization, planted.file).await.unwrap().is_none());
    assert_eq!(world.me.media().download(planted.shared).await.unwrap().data, MARK);
    let bytes = object_store::ObjectStoreExt::get(world.objects(), &path(&world, planted.file)).await;
    assert!(matches!(bytes, Err(object_store::Error::NotFound { .. })));
}

pub fn path(world: &World, file: MediaId) -> object_store::path::Path {
    object_store::path::Path::from_iter(["organizations", &world.organization.to_string(), "media", &file.to_string()])
}

async fn what_was_pending_is_ended(world: World) {
    let planted = planted(&world).await;
    let id = planted.contact.id;
    world.me.contacts().erase(id).await.unwrap();
    // At once, whatever the job has come to.
    refused(world.me.contacts().get(id).await, 404, "not_found");
    refused(world.me.contacts().restore(id.into()).await, 404, "not_found");
    world.drain().await;
    let waiting = world.store.message(world.organization, planted.waiting).await.unwrap().unwrap();
    assert_eq!(waiting.status, MessageStatus::Cancelled);
    let sent = world.provider.outgoing().len();
    world.later(10 * 86_400);
    world.drain().await;
    assert_eq!(world.provider.outgoing().len(), sent);
    assert!(world.events_about(id, EventKind::TaskDue).await.is_empty());
    // Nothing stands for them where contacts are found or counted.
    assert!(world.contacts().await.iter().all(|contact| contact.id != id));
}

async fn erasing_again_is_the_same_erasure(world: World) {
    let contact = world.contact("Ada").await;
    world.me.contacts().delete(DeleteContact { id: contact.id, if_version: None }).await.unwrap();
    // One that was deleted too; and of several who ask at once one begins.
    let all = (0..4).map(|_| async { world.me.contacts().erase(contact.id).await.unwrap().id });
    let jobs: BTreeSet<_> = futures::future::join_all(all).await.into_iter().collect();
    assert_eq!(jobs.len(), 1);
    let job = erase(&world, contact.id).await;
    assert!(jobs.contains(&job.id));
    assert_eq!(world.events_about(contact.id, EventKind::ContactErased).await.len(), 1);
    refused(world.me.jobs().cancel(job.id).await, 409, "job_not_cancellable");
    let (_, stranger) = world.other_organization().await;
    refused(stranger.contacts().erase(contact.id).await, 404, "not_found");
    refused(stranger.contacts().export(ExportContact { id: contact.id, cursor: None }).await, 404, "not_found");
}

async fn an_erased_mail_is_not_taken_in_again(world: World) {
    let chat = world.ada_writes("hello").await;
    let ada = chat.contact.unwrap().id;
    erase(&world, ada).await;
    world.receive([message("hello", crate::world::ADA, "hello", world.env.now())]).await.unwrap();
    assert!(world.contacts().await.is_empty());
    // Who writes anew is somebody new, in a chat of their own.
    let again = world.ada_writes("I am back").await;
    assert_ne!(again.chat_id, chat.chat_id);
    assert_ne!(again.contact.unwrap().id, ada);
}

async fn the_files_of_an_erased_mail_are_not_stored_again(world: World) {
    let mut mail = message("hello", crate::world::ADA, "hello", world.env.now());
    let bytes = bytes::Bytes::from_static(b"alpha");
    mail.media = vec![Attachment { name: "a.txt".into(), media_type: "text/plain".into(), bytes }];
    world.receive([mail.clone()]).await.unwrap();
    let kept = async || {
        let list = object_store::ObjectStore::list(world.objects(), None);
        futures::TryStreamExt::try_collect::<Vec<_>>(list).await.unwrap().len()
    };
    assert_eq!(kept().await, 1);
    let ada = world.contacts().await[0].id;
    erase(&world, ada).await;
    assert_eq!(kept().await, 0);
    world.receive([mail]).await.unwrap();
    assert_eq!((kept().await, world.contacts().await.len()), (0, 0));
}

/// ASVS 5.0, 8.2.1.
async fn only_admins_see_or_erase_a_person_as_a_whole(world: World) {
    let contact = world.contact("Ada").await;
    for role in [Role::Viewer, Role::Member, Role::Manager] {
        let (_, member) = world.member(role.as_str(), role).await;
        refused(member.contacts().export(ExportContact { id: contact.id, cursor: None }).await, 403, "forbidden");
        refused(member.contacts().erase(contact.id).await, 403, "forbidden");
    }
    let (_, admin) = world.member("admin", Role::Admin).await;
    admin.contacts().export(ExportContact { id: contact.id, cursor: None }).await.unwrap();
    admin.contacts().erase(contact.id).await.unwrap();
}

async fn an_answer_that_named_them_is_not_given_again(world: World) {
    let keyed = world.me.clone().with_idempotency_key("once");
    let input = json!({ "name": marked("Ada") });
    let made = keyed.call("contacts.create", input.clone()).await.unwrap();
    let id: ContactId = made["id"].as_str().unwrap().parse().unwrap();
    erase(&world, id).await;
    refused(keyed.call("contacts.create", input).await, 409, "answer_erased");
    assert!(world.contacts().await.is_empty());
}
