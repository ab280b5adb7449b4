//! Who is recognised by an address: one contact claims it, duplicates hold it unclaimed.

use dealwright::{
    domain::contact::{Contact, Handles, IdentityKind},
    id::ContactId,
    ports::store::ContactReads,
    services::contacts::{ContactPatch, DeleteContact, NewContact, UpdateContact},
};
use serde_json::json;

use crate::{
    cases,
    world::{World, refused},
};

cases![
    a_taken_address_is_refused_with_its_candidates,
    each_kind_of_identity_is_recognised,
    a_duplicate_that_is_let_through_holds_the_address_unclaimed,
    a_deleted_contact_releases_its_claims,
    restoring_retakes_the_claims_that_are_free,
    restoring_leaves_the_claims_that_are_taken,
    an_address_that_is_edited_away_is_free,
    an_edit_takes_no_claim_from_another,
    of_concurrent_creations_with_one_address_exactly_one_wins,
    of_concurrent_duplicates_exactly_one_claims,
];

const EMAIL: &str = "ada@acme.example";

fn new(name: &str, allow_duplicate: bool) -> NewContact {
    NewContact { name: name.into(), emails: vec![EMAIL.into()], allow_duplicate, ..Default::default() }
}

/// Who holds the address: the contact, and whether it claims it; oldest contact first.
async fn holders(world: &World) -> Vec<(ContactId, bool)> {
    let identity = [(IdentityKind::Email, EMAIL.to_owned())];
    let mut holders = world.store.holders(world.organization, &identity).await.unwrap();
    holders.sort_by_key(|holder| holder.contact_id);
    holders.into_iter().map(|holder| (holder.contact_id, holder.claimed)).collect()
}

async fn two_holders(world: &World) -> (Contact, Contact) {
    let ada = world.contact_with_email("Ada", EMAIL).await.unwrap();
    world.later(1);
    let twin = world.me.contacts().create(new("Twin", true)).await.unwrap();
    (ada, twin)
}

async fn delete(world: &World, contact: &Contact) {
    world.later(1);
    world.me.contacts().delete(DeleteContact { id: contact.id, if_version: None }).await.unwrap();
}

async fn a_taken_address_is_refused_with_its_candidates(world: World) {
    let (ada, twin) = two_holders(&world).await;
    let error = refused(world.me.contacts().create(new("Third", false)).await, 409, "duplicate");
    let candidates = json!([
        { "id": ada.id, "name": "Ada", "reason": "email" },
        { "id": twin.id, "name": "Twin", "reason": "email" },
    ]);
    assert_eq!(error.details().unwrap()["candidates"], candidates);
    assert_eq!(world.me.contacts().list(Default::default()).await.unwrap().data.len(), 2);
}

async fn each_kind_of_identity_is_recognised(world: World) {
    let handles =
        Handles { telegram: Some("Ada".into()), linkedin: Some("ada-l".into()), twitter: Some("ada_tweets".into()) };
    let ada = NewContact { name: "Ada".into(), phones: vec!["+4930123456".into()], handles, ..Default::default() };
    let ada = world.me.contacts().create(ada).await.unwrap();
    let handles = |telegram: Option<&str>, linkedin: Option<&str>, twitter: Option<&str>| NewContact {
        name: "Other".into(),
        handles: Handles {
            telegram: telegram.map(Into::into),
            linkedin: linkedin.map(Into::into),
            twitter: twitter.map(Into::into),
        },
        ..Default::default()
    };
    let same = [
        (NewContact { name: "Other".into(), phones: vec!["0049 30 123456".into()], ..Default::default() }, "phone"),
        (handles(Some("@aDA"), None, None), "telegram"),
        (handles(None, Some("ADA-L"), None), "linkedin"),
        (handles(None, None, Some("Ada_Tweets")), "twitter"),
    ];
    for (same, reason) in same {
        let error = refused(world.me.contacts().create(same).await, 409, "duplicate");
        let candidates = json!([{ "id": ada.id, "name": "Ada", "reason": reason }]);
        assert_eq!(error.details().unwrap()["candidates"], candidates);
    }
    // The same text at another provider is somebody else.
    world.me.contacts().create(handles(None, Some("ada"), None)).await.unwrap();
}

async fn a_duplicate_that_is_let_through_holds_the_address_unclaimed(world: World) {
    let (ada, twin) = two_holders(&world).await;
    assert_eq!(twin.emails, [EMAIL]);
    assert_eq!(holders(&world).await, [(ada.id, true), (twin.id, false)]);
}

async fn a_deleted_contact_releases_its_claims(world: World) {
    let ada = world.contact_with_email("Ada", EMAIL).await.unwrap();
    delete(&world, &ada).await;
    assert_eq!(holders(&world).await, []);
    let next = world.contact_with_email("Next", EMAIL).await.unwrap();
    assert_eq!(holders(&world).await, [(next.id, true)]);
}

async fn restoring_retakes_the_claims_that_are_free(world: World) {
    let (ada, twin) = two_holders(&world).await;
    delete(&world, &ada).await;
    assert_eq!(holders(&world).await, [(twin.id, false)]);
    world.me.contacts().restore(ada.id.into()).await.unwrap();
    assert_eq!(holders(&world).await, [(ada.id, true), (twin.id, false)]);
}

async fn restoring_leaves_the_claims_that_are_taken(world: World) {
    let ada = world.contact_with_email("Ada", EMAIL).await.unwrap();
    delete(&world, &ada).await;
    let next = world.contact_with_email("Next", EMAIL).await.unwrap();
    world.me.contacts().restore(ada.id.into()).await.unwrap();
    assert_eq!(holders(&world).await, [(ada.id, false), (next.id, true)]);
}

async fn an_address_that_is_edited_away_is_free(world: World) {
    let ada = world.contact_with_email("Ada", EMAIL).await.unwrap();
    let patch = ContactPatch { emails: vec!["ida@acme.example".to_owned()].into(), ..Default::default() };
    world.me.contacts().update(UpdateContact { id: ada.id, patch, if_version: None }).await.unwrap();
    assert_eq!(holders(&world).await, []);
    let next = world.contact_with_email("Next", EMAIL).await.unwrap();
    assert_eq!(holders(&world).await, [(next.id, true)]);
}

async fn an_edit_takes_no_claim_from_another(world: World) {
    let ada = world.contact_with_email("Ada", EMAIL).await.unwrap();
    let ben = world.contact("Ben").await;
    let patch = ContactPatch { emails: vec![EMAIL.to_owned()].into(), ..Default::default() };
    world.me.contacts().update(UpdateContact { id: ben.id, patch, if_version: None }).await.unwrap();
    assert_eq!(holders(&world).await, [(ada.id, true), (ben.id, false)]);
}

/// ASVS 2.3.4.
async fn of_concurrent_creations_with_one_address_exactly_one_wins(world: World) {
    let tries = (0..8).map(|i| {
        let me = world.me.clone();
        tokio::spawn(async move { me.contacts().create(new(&format!("Ada {i}"), false)).await })
    });
    let mut won = Vec::new();
    for attempt in futures::future::join_all(tries).await {
        match attempt.unwrap() {
            Ok(contact) => won.push(contact.id),
            Err(error) => assert_eq!((error.code(), error.kind().status()), ("duplicate", 409), "{error}"),
        }
    }
    assert_eq!(won.len(), 1);
    assert_eq!(holders(&world).await, [(won[0], true)]);
    assert_eq!(world.me.contacts().list(Default::default()).await.unwrap().data.len(), 1);
}

async fn of_concurrent_duplicates_exactly_one_claims(world: World) {
    let tries = (0..4).map(|i| {
        let me = world.me.clone();
        tokio::spawn(async move { me.contacts().create(new(&format!("Ada {i}"), true)).await })
    });
    for attempt in futures::future::join_all(tries).await {
        attempt.unwrap().unwrap();
    }
    let holders = holders(&world).await;
    assert_eq!(holders.len(), 4);
    assert_eq!(holders.iter().filter(|(_, claimed)| *claimed).count(), 1);
}
