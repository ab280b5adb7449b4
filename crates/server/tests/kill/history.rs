//! The events of everything, read from the database itself.

use std::collections::BTreeSet;

use dealwright::{
    domain::event::Subject,
    id::OrganizationId,
    page::PageRequest,
    ports::store::AutomationReads,
    store::sql::{SqlStore, StoreOptions},
};

use crate::World;

/// Every subject's events are numbered from 1 without a hole, each with an id of its own. Answers how many there are.
pub fn must_have_no_holes(world: &World, organization: &str, subjects: impl Iterator<Item = Subject>) -> usize {
    let organization: OrganizationId = organization.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqlStore::open(&world.database, StoreOptions::default()).await.unwrap();
        let mut ids = BTreeSet::new();
        for subject in subjects {
            let page = PageRequest { limit: Some(200), cursor: None };
            let mut events = store.events_of(organization, subject, &page).await.unwrap().data;
            events.reverse();
            let numbers: Vec<_> = events.iter().map(|event| event.subject_seq).collect();
            assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>(), "{subject:?}: {events:?}");
            assert!(!events.is_empty(), "{subject:?} has no history");
            for event in events {
                assert!(ids.insert(event.id), "{event:?} is there twice");
            }
        }
        ids.len()
    })
}
