//! What is personal in events, runs, moves and the audit log lies sealed by a key of the contact's own.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dealwright::{
    domain::{
        audit::{AuditEntry, AuditObject},
        event::{Event, EventKind, Subject},
        payload::{ContactKey, Personal},
        pipeline::StageMove,
        run::Run,
    },
    id::{ContactId, DealId, Id},
    page::PageRequest,
    ports::store::{
        AuditFilter, AuditReads, AutomationReads, PipelineReads, RunFilter, SecretReads, Store, Update, Write,
    },
    services::{
        activities::ContactNote,
        audit::AuditFaultKind,
        contacts::{DeleteContact, MoveContact},
        deals::NewDeal,
    },
    testkit::samples::{Samples, contact_rows},
};
use serde_json::json;

use crate::{cases, world::World};

cases! {
    nothing_personal_stands_in_the_open,
    everything_is_told_as_it_was,
    an_erasure_is_felt_by_all_of_it_at_once,
    what_is_written_of_somebody_erased_is_not_kept,
    a_sealed_part_opens_in_its_row_only,
    units_that_need_a_first_key_agree_on_one,
}

const MARK: &str = "zq7mark";
const PAGE: PageRequest = PageRequest { limit: Some(200), cursor: None };

/// Somebody with a deal, of whom all four kinds of rows tell.
async fn planted(world: &World) -> (ContactId, DealId) {
    let rule = |name: &str, trigger: &str| {
        json!({ "name": name, "trigger": trigger, "condition": { "contact.name": { "contains": MARK } },
                "actions": [{ "add_tag": format!("{MARK} tag") }] })
    };
    world.rule(rule("contacts", "contact.updated")).await;
    world.rule(rule("deals", "deal.created")).await;
    let contact = world.contact(&format!("{MARK} Ada")).await.id;
    let patch = json!({ "id": contact, "patch": { "source": format!("{MARK} fair") } });
    world.me.call("contacts.update", patch).await.unwrap();
    let stage_id = world.stage("qualified").id;
    let reason = Some(format!("{MARK} reason"));
    let moved = MoveContact { contact_id: contact, stage_id, reason: reason.clone(), if_version: None };
    world.me.contacts().move_to(moved).await.unwrap();
    let deal = NewDeal { name: format!("{MARK} licence"), contact_id: Some(contact), ..NewDeal::default() };
    let deal = world.me.deals().create(deal).await.unwrap().id;
    let moved = json!({ "id": deal, "patch": { "stage_id": stage_id, "reason": reason } });
    world.me.call("deals.move", moved).await.unwrap();
    world.settle().await;
    world.me.contacts().delete(DeleteContact { id: contact, if_version: None }).await.unwrap();
    world.me.contacts().restore(contact.into()).await.unwrap();
    world.settle().await;
    (contact, deal)
}

/// Every row of the four kinds about somebody and their deal, as the store answers them.
struct Rows {
    events: Vec<Event>,
    runs: Vec<Run>,
    moves: Vec<StageMove>,
    entries: Vec<AuditEntry>,
}

impl Rows {
    async fn of(world: &World, contact: ContactId, deal: DealId) -> Self {
        let (store, organization) = (&world.store, world.organization);
        let mut rows = Self { events: Vec::new(), runs: Vec::new(), moves: Vec::new(), entries: Vec::new() };
        for subject in [Subject::from(contact), Subject::from(deal)] {
            rows.events.extend(store.events_of(organization, subject, &PAGE).await.unwrap().data);
            rows.moves.extend(store.stage_history(organization, subject, &PAGE).await.unwrap().data);
        }
        let filter = RunFilter { contact_id: Some(contact), ..RunFilter::default() };
        rows.runs = store.runs(organization, &filter, &PAGE).await.unwrap().data;
        // That somebody was erased is told of the erasure.
        let kind = Some(AuditObject::Contact);
        let filter = AuditFilter { object_id: Some(contact.uuid()), object_kind: kind, ..AuditFilter::default() };
        rows.entries = store.audit_entries(organization, &filter, &PAGE).await.unwrap().data;
        rows
    }

    /// How many of each kind tell something personal.
    fn telling(&self) -> [usize; 4] {
        fn count<T: std::fmt::Debug>(rows: &[T]) -> usize {
            rows.iter().filter(|row| format!("{row:?}").contains(MARK)).count()
        }
        // What the log tells of contacts is nothing but when they were deleted, by whom and from where.
        let entries = self.entries.iter().filter(|entry| entry.payload.is_some()).count();
        [count(&self.events), count(&self.runs), count(&self.moves), entries]
    }

    /// How many of each kind have a sealed part.
    fn sealed(&self) -> [usize; 4] {
        fn count<T: Personal>(rows: &[T]) -> usize {
            rows.iter().filter(|row| row.sealed().is_some()).count()
        }
        [count(&self.events), count(&self.runs), count(&self.moves), count(&self.entries)]
    }
}

/// The key of somebody.
async fn key(world: &World, contact: ContactId) -> Option<ContactKey> {
    world.store.contact_keys(world.organization, &[contact]).await.unwrap().pop()
}

/// Numbers what is written past the engine, so that no two of its events are one.
static MADE: AtomicU64 = AtomicU64::new(0);

/// Writes past the engine, as whoever has the database may.
async fn write(world: &World, writes: impl IntoIterator<Item = Write>) {
    world.let_log_be_rewritten();
    let mut samples = Samples::new(world.env.now().timestamp_micros().unsigned_abs() + MADE.fetch_add(1, Relaxed));
    samples.organization_id = world.organization;
    let batch = samples.batch(writes);
    world.store.commit(world.organization, batch).await.unwrap();
}

/// What stands in the columns is what is read without the key.
async fn nothing_personal_stands_in_the_open(world: World) {
    let (contact, deal) = planted(&world).await;
    let before = Rows::of(&world, contact, deal).await;
    for (told, sealed) in before.telling().into_iter().zip(before.sealed()) {
        assert!(told > 0 && sealed >= told, "{:?} tell, {:?} are sealed", before.telling(), before.sealed());
    }
    let key = key(&world, contact).await.unwrap();
    write(&world, [Write::put(&ContactKey { key: None, ..key.clone() })]).await;
    let after = Rows::of(&world, contact, deal).await;
    assert_eq!((after.telling(), after.sealed()), ([0; 4], before.sealed()));
    for (whole, left) in before.events.iter().zip(&after.events) {
        assert_eq!((whole.erased(), left.kind), (left.erased(), whole.kind));
    }
    // Counts and states are still told.
    let told = after.events.iter().find(|it| it.kind == EventKind::StageChanged).unwrap();
    assert!(told.changes.contains_key("stage_id"), "{told:?}");
    // The same key, and it is all there again.
    write(&world, [Write::put(&key)]).await;
    assert_eq!(Rows::of(&world, contact, deal).await.telling(), before.telling());
}

/// Sealing changes nothing of what members, rules and the verifier are told.
async fn everything_is_told_as_it_was(world: World) {
    let (contact, deal) = planted(&world).await;
    let runs = world.me.runs().list(Default::default()).await.unwrap().data;
    assert!(runs.iter().all(|run| run.facts["contact"]["name"] == format!("{MARK} Ada")), "{runs:?}");
    assert!(runs.iter().any(|run| run.deal_id == Some(deal)) && runs.iter().any(|run| run.deal_id.is_none()));
    let moves = world.history(contact).await;
    assert_eq!(moves.last().unwrap().reason.as_deref(), Some("zq7mark reason"));
    let told = world.me.call("audit.list", json!({ "object_id": contact })).await.unwrap();
    assert!(told["data"][0]["before"].is_object() && told["data"][0]["cleared"] == false, "{told}");
    let verified = world.me.audit().verify(()).await.unwrap();
    assert_eq!((verified.sound, verified.cleared), (true, 0));
    // No answer tells how it is kept.
    for answer in [json!(runs), json!(moves), told] {
        assert!(!answer.to_string().contains("sealed_by"), "{answer}");
    }
}

/// From the commit of the erasure on, before its job has come to a row.
async fn an_erasure_is_felt_by_all_of_it_at_once(world: World) {
    let (contact, deal) = planted(&world).await;
    let sealed = Rows::of(&world, contact, deal).await.sealed();
    world.me.contacts().erase(contact).await.unwrap();
    assert_eq!(key(&world, contact).await.map(|it| it.key), Some(None));
    let rows = Rows::of(&world, contact, deal).await;
    // Nothing was cleared yet.
    assert_eq!((rows.telling(), rows.sealed()), ([0; 4], sealed));
    // And then it is.
    for _ in 0..4 {
        world.settle().await;
        world.later(61);
    }
    let rows = Rows::of(&world, contact, deal).await;
    assert_eq!((rows.telling(), rows.sealed()), ([0; 4], [0; 4]));
    let verified = world.me.audit().verify(()).await.unwrap();
    assert!(verified.sound && verified.cleared > 0, "{verified:?}");
}

/// By another process, which holds the key still.
async fn what_is_written_of_somebody_erased_is_not_kept(world: World) {
    let (contact, _) = planted(&world).await;
    let (_, other) = world.second_engine().await;
    let deal = NewDeal { name: format!("{MARK} order"), contact_id: Some(contact), ..NewDeal::default() };
    let deal = other.deals().create(deal).await.unwrap().id;
    world.me.contacts().erase(contact).await.unwrap();
    let note = json!({ "deal_id": deal, "text": format!("{MARK} note") });
    let told = async || {
        let events = world.events(deal).await;
        events.iter().filter(|event| format!("{event:?}").contains(MARK)).count()
    };
    for handle in [&other, &world.me] {
        handle.notes().create_on_deal(serde_json::from_value(note.clone()).unwrap()).await.unwrap();
        assert_eq!(told().await, 0);
    }
    assert_eq!(world.events(deal).await.iter().filter(|it| it.kind == EventKind::NoteCreated).count(), 2);
}

/// ASVS 5.0, 11.3.3: what was changed or copied is refused, and in the log it is named.
async fn a_sealed_part_opens_in_its_row_only(world: World) {
    let (contact, deal) = planted(&world).await;
    let rows = Rows::of(&world, contact, deal).await;
    let put = |event: &Event| Write::Update(Update::of(event).set("sealed", &event.sealed));
    let [one, other] = [EventKind::ContactCreated, EventKind::ContactUpdated]
        .map(|kind| rows.events.iter().find(|it| it.kind == kind).unwrap());
    let copied = Event { sealed: other.sealed.clone(), ..one.clone() };
    let changed = Event { sealed: Some(b"nothing that anybody has ever sealed".to_vec()), ..one.clone() };
    for wrong in [copied, changed] {
        write(&world, [put(&wrong)]).await;
        let error = world.store.event(world.organization, one.id).await.unwrap_err();
        assert_eq!(error.code(), "internal");
    }
    write(&world, [put(one)]).await;
    assert_eq!(world.store.event(world.organization, one.id).await.unwrap().as_ref(), Some(one));
    let entry = rows.entries.iter().find(|it| it.sealed.is_some()).unwrap();
    let changed = Update::of(entry).set("sealed", &Some(b"edited".to_vec()));
    write(&world, [Write::Update(changed)]).await;
    let verified = world.me.audit().verify(()).await.unwrap();
    let fault = verified.fault.unwrap();
    assert_eq!((fault.kind, fault.entry_id), (AuditFaultKind::Edited, Some(entry.id)));
}

/// Somebody who was there before there were keys is given one by whoever writes of them first.
async fn units_that_need_a_first_key_agree_on_one(world: World) {
    let mut samples = Samples::new(9);
    samples.organization_id = world.organization;
    let ada = samples.contact(&world.stage("lead"));
    write(&world, contact_rows(&ada)).await;
    assert!(key(&world, ada.id).await.is_none());
    let (_, other) = world.second_engine().await;
    let (_, third) = world.second_engine().await;
    let notes = [&other, &third, &other, &third].into_iter().enumerate().map(|(number, handle)| async move {
        let text = format!("{MARK} {number}");
        let note: ContactNote = serde_json::from_value(json!({ "contact_id": ada.id, "text": text })).unwrap();
        handle.notes().create_on_contact(note).await.unwrap();
    });
    futures::future::join_all(notes).await;
    assert!(key(&world, ada.id).await.unwrap().key.is_some());
    let told = world.events(ada.id).await;
    let notes: Vec<_> = told.iter().filter(|it| it.kind == EventKind::NoteCreated).collect();
    assert!(notes.len() == 4 && notes.iter().all(|it| format!("{it:?}").contains(MARK)), "{notes:?}");
}
