//! What other rooms rely on: contacts recognised by addresses, and several changes in one unit.

use std::sync::Arc;

use chrono::{DateTime, Duration, TimeZone, Utc};
use futures::future::BoxFuture;

use crate::{
    Crm, Result,
    domain::{
        contact::{Contact, IdentityKind},
        event::EventKind,
    },
    env::{Env, ManualClock},
    id::{ContactId, OrganizationId, StageId},
    page::PageRequest,
    ports::{
        connector::Address,
        store::{AutomationReads, ContactReads, PipelineReads},
    },
    runtime::commit,
    scope::Scope,
    services::{
        contacts::{self, NewContact},
        pipeline,
        unit::Unit,
    },
    store::sql::{SqlStore, StoreOptions},
};

struct World {
    crm: Crm,
    store: Arc<SqlStore>,
    organization: OrganizationId,
    stages: Vec<StageId>,
}

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).unwrap()
}

impl World {
    async fn new() -> Self {
        let store = Arc::new(SqlStore::open("sqlite::memory:", StoreOptions::default()).await.unwrap());
        let env = Env::system().with_clock(ManualClock::at(noon()));
        let organization = env.id().unwrap();
        let crm = Crm::builder().store(store.clone()).env(env).build().await.unwrap();
        let mut world = Self { crm, store, organization, stages: Vec::new() };
        world.unit(|unit| Box::pin(pipeline::create_default(unit))).await;
        world.stages = world.store.stages(organization).await.unwrap().into_iter().map(|stage| stage.id).collect();
        world
    }

    async fn unit<T: Send>(&self, verb: impl for<'u> Fn(&'u mut Unit) -> BoxFuture<'u, Result<T>> + Send + Sync) -> T {
        commit(&self.crm.engine, &Scope::system(self.organization), verb).await.unwrap()
    }

    async fn from(&self, address: Address) -> Contact {
        self.unit(|unit| {
            let address = address.clone();
            Box::pin(async move { contacts::from_address(unit, &address, "email", noon()).await })
        })
        .await
    }

    async fn stored(&self, id: ContactId) -> Contact {
        self.store.contact(self.organization, id).await.unwrap().unwrap()
    }

    async fn kinds(&self, id: ContactId) -> Vec<EventKind> {
        let page = PageRequest { limit: Some(200), cursor: None };
        let events = self.store.events_of(self.organization, id.into(), &page).await.unwrap().data;
        events.into_iter().rev().map(|event| event.kind).collect()
    }

    async fn claimed(&self, email: &str) -> Vec<(ContactId, bool)> {
        let identity = [(IdentityKind::Email, email.to_owned())];
        let holders = self.store.holders(self.organization, &identity).await.unwrap();
        holders.into_iter().map(|holder| (holder.contact_id, holder.claimed)).collect()
    }
}

fn mail(name: Option<&str>, email: &str) -> Address {
    Address { id: email.into(), name: name.map(Into::into), email: Some(email.into()), ..Default::default() }
}

fn new(name: &str, email: &str) -> NewContact {
    NewContact { name: name.into(), emails: vec![email.into()], allow_duplicate: true, ..Default::default() }
}

#[tokio::test]
async fn a_stranger_becomes_a_contact_at_the_time_of_the_message() {
    let world = World::new().await;
    let yesterday = noon() - Duration::days(1);
    let address = mail(Some(" Ada\r\nLovelace "), "Ada@Acme.Example");
    let ada = world
        .unit(|unit| {
            let address = address.clone();
            Box::pin(async move { contacts::from_address(unit, &address, "email", yesterday).await })
        })
        .await;
    assert_eq!((ada.name.as_str(), ada.name_key.as_str()), ("Ada  Lovelace", "ada  lovelace"));
    assert_eq!((ada.emails.clone(), ada.source.as_deref()), (vec!["ada@acme.example".to_owned()], Some("email")));
    assert_eq!((ada.created_at, ada.stage_entered_at, ada.stage_id), (yesterday, yesterday, world.stages[0]));
    assert_eq!(world.stored(ada.id).await, ada);
    assert_eq!(world.from(mail(None, "ada@acme.example")).await, ada);
    assert_eq!(world.from(mail(None, "ben@acme.example")).await.name, "ben@acme.example");
}

#[tokio::test]
async fn a_message_of_tomorrow_makes_a_contact_of_today() {
    let world = World::new().await;
    let address = mail(None, "ada@acme.example");
    let ada = world
        .unit(|unit| {
            let address = address.clone();
            Box::pin(async move { contacts::from_address(unit, &address, "email", noon() + Duration::days(1)).await })
        })
        .await;
    assert_eq!(ada.created_at, noon());
}

#[tokio::test]
async fn two_messages_of_one_unit_make_one_contact() {
    let world = World::new().await;
    let (first, second) = world
        .unit(|unit| {
            Box::pin(async move {
                let first =
                    contacts::from_address(unit, &mail(Some("Ada"), "ada@acme.example"), "email", noon()).await?;
                let second = contacts::from_address(unit, &mail(None, "ADA@acme.example"), "email", noon()).await?;
                Ok((first, second))
            })
        })
        .await;
    assert_eq!(first, second);
    assert_eq!(world.claimed("ada@acme.example").await, [(first.id, true)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_messages_of_one_stranger_make_one_contact() {
    let world = World::new().await;
    let address = || mail(None, "ada@acme.example");
    let (a, b, c, d) =
        tokio::join!(world.from(address()), world.from(address()), world.from(address()), world.from(address()));
    assert_eq!([a.id; 3], [b.id, c.id, d.id]);
    assert_eq!(world.claimed("ada@acme.example").await, [(a.id, true)]);
}

#[tokio::test]
async fn a_message_goes_to_the_claimant_else_to_the_oldest_holder() {
    let world = World::new().await;
    let mut people = Vec::new();
    for name in ["Ada", "Twin", "Third"] {
        let made = world.unit(|unit| Box::pin(contacts::create(unit, new(name, "ada@acme.example")))).await;
        people.push(made.id);
    }
    let address = || mail(None, "ada@acme.example");
    assert_eq!(world.from(address()).await.id, people[0]);
    let (gone, _) = (people.remove(0), people.sort());
    let input = contacts::DeleteContact { id: gone, if_version: None };
    world.unit(|unit| Box::pin(contacts::delete(unit, input.clone()))).await;
    assert_eq!(world.from(address()).await.id, people[0]);
    world.unit(|unit| Box::pin(contacts::restore(unit, gone.into()))).await;
    assert_eq!(world.from(address()).await.id, gone);
}

#[tokio::test]
async fn an_odd_address_is_kept_and_recognised_again() {
    let world = World::new().await;
    let odd = mail(None, "\"Ada L\"@localhost");
    let ada = world.from(odd.clone()).await;
    assert_eq!(ada.emails, ["\"ada l\"@localhost"]);
    assert_eq!(world.from(odd).await.id, ada.id);
    let renamed = world
        .unit(|unit| {
            Box::pin(contacts::change(unit, ada.id, |contact| {
                contact.name = "Ada".to_owned();
                contact.emails.push("ada@acme.example".to_owned());
                Ok(())
            }))
        })
        .await;
    assert_eq!(renamed.emails, ["\"ada l\"@localhost", "ada@acme.example"]);
}

#[tokio::test]
async fn a_telegram_handle_is_no_linkedin_handle() {
    let world = World::new().await;
    let address = Address { id: "7".into(), handle: Some("Ada".into()), ..Default::default() };
    let mut met = Vec::new();
    for platform in ["telegram", "linkedin", "telegram"] {
        let contact = world
            .unit(|unit| {
                let address = address.clone();
                Box::pin(async move { contacts::from_address(unit, &address, platform, noon()).await })
            })
            .await;
        met.push(contact);
    }
    assert_eq!((met[0].name.as_str(), met[0].handles.telegram.as_deref()), ("Ada", Some("Ada")));
    assert_eq!(met[1].handles.linkedin.as_deref(), Some("Ada"));
    assert_eq!(met[2], met[0]);
    assert_ne!(met[1].id, met[0].id);
}

#[tokio::test]
async fn a_score_is_activity_it_changes_no_version() {
    let world = World::new().await;
    let ada = world.unit(|unit| Box::pin(contacts::create(unit, new("Ada", "ada@acme.example")))).await;
    for score in [7, 7] {
        world.unit(|unit| Box::pin(contacts::set_score(unit, ada.id, score))).await;
    }
    let scored = world.stored(ada.id).await;
    assert_eq!(scored, Contact { score: 7, ..ada.clone() });
    assert_eq!(world.kinds(ada.id).await, [EventKind::ContactCreated, EventKind::ContactUpdated]);
}

#[tokio::test]
async fn several_changes_in_one_unit_are_one_edit() {
    let world = World::new().await;
    let ada = world.unit(|unit| Box::pin(contacts::create(unit, new("Ada", "ada@acme.example")))).await;
    let (second, third) = (world.stages[1], world.stages[2]);
    let last = world
        .unit(|unit| {
            Box::pin(async move {
                contacts::change(unit, ada.id, |contact| {
                    contact.tags.push("vip".to_owned());
                    contact.emails.clear();
                    Ok(())
                })
                .await?;
                contacts::set_score(unit, ada.id, 3).await?;
                pipeline::move_contact(unit, ada.id, second, None).await?;
                contacts::change(unit, ada.id, |contact| {
                    contact.tags = vec!["new".to_owned()];
                    contact.emails.push("ada@acme.example".to_owned());
                    Ok(())
                })
                .await?;
                pipeline::move_contact(unit, ada.id, third, None).await
            })
        })
        .await;
    assert_eq!(world.stored(ada.id).await, last);
    assert_eq!((last.version, last.score, last.stage_id), (2, 3, third));
    assert_eq!((last.tags.clone(), last.emails.clone()), (vec!["new".to_owned()], ada.emails));
    assert_eq!(world.claimed("ada@acme.example").await, [(ada.id, true)]);
    assert_eq!(world.kinds(ada.id).await.len(), 6);

    let page = PageRequest { limit: Some(200), cursor: None };
    let moves = world.store.stage_history(world.organization, ada.id.into(), &page).await.unwrap().data;
    let entry = |stage: StageId| moves.iter().find(|entry| entry.to_stage_id == stage).unwrap();
    assert_eq!(moves.len(), 3);
    assert_eq!(entry(world.stages[0]).left_to, Some(second));
    assert_eq!((entry(second).left_to, entry(second).left_at), (Some(third), Some(noon())));
    assert_eq!((entry(third).id, entry(third).left_at), (last.stage_entry_id, None));
}

#[tokio::test]
async fn a_contact_that_is_made_and_moved_in_one_unit_is_written_whole() {
    let world = World::new().await;
    let second = world.stages[1];
    let ada = world
        .unit(|unit| {
            Box::pin(async move {
                let ada = contacts::create(unit, new("Ada", "ada@acme.example")).await?;
                contacts::set_score(unit, ada.id, 5).await?;
                pipeline::move_contact(unit, ada.id, second, Some("at once".to_owned())).await
            })
        })
        .await;
    assert_eq!(world.stored(ada.id).await, ada);
    assert_eq!((ada.score, ada.stage_id), (5, second));
    assert_eq!(world.kinds(ada.id).await.len(), 3);
}
