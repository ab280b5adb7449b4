//! What is refused, and where it stood.

use dealwright::{
    domain::contact::Handles,
    patch::Patch,
    services::contacts::{ContactPatch, MoveContact, NewContact, UpdateContact},
};
use serde_json::json;

use crate::{
    cases,
    world::{World, pointers, refused},
};

cases![
    each_flaw_of_a_new_contact_is_named,
    all_flaws_are_told_at_once,
    lists_have_bounds,
    a_patch_is_checked_as_well,
    what_does_not_exist_is_refused,
    a_move_is_checked,
];

fn ada() -> NewContact {
    NewContact { name: "Ada".into(), ..Default::default() }
}

/// ASVS 2.2.1.
async fn each_flaw_of_a_new_contact_is_named(world: World) {
    let stranger = world.env.id().unwrap();
    let long = "x".repeat(201);
    let faulty: Vec<(NewContact, &str, &str)> = vec![
        (NewContact { name: "  ".into(), ..ada() }, "/name", "required"),
        (NewContact { name: long, ..ada() }, "/name", "too_long"),
        (NewContact { name: "A\u{7}".into(), ..ada() }, "/name", "control_character"),
        (NewContact { emails: vec!["a@acme.example".into(), "nope".into()], ..ada() }, "/emails/1", "invalid"),
        (NewContact { phones: vec!["030 123".into()], ..ada() }, "/phones/0", "invalid"),
        (
            NewContact { handles: Handles { twitter: Some("a da".into()), ..Default::default() }, ..ada() },
            "/handles/twitter",
            "invalid",
        ),
        (NewContact { source: Some("x".repeat(101)), ..ada() }, "/source", "too_long"),
        (NewContact { tags: vec!["ok".into(), "".into()], ..ada() }, "/tags/1", "required"),
        (NewContact { tags: vec!["x".repeat(101)], ..ada() }, "/tags/0", "too_long"),
        (NewContact { assigned_to: Some(stranger), ..ada() }, "/assigned_to", "unknown"),
    ];
    for (new, pointer, code) in faulty {
        let found = pointers(world.me.contacts().create(new).await);
        assert_eq!(found, [(pointer.to_owned(), code.to_owned())]);
    }
    assert_eq!(world.me.contacts().list(Default::default()).await.unwrap().data, []);
}

async fn all_flaws_are_told_at_once(world: World) {
    let new = NewContact {
        name: "".into(),
        emails: vec!["x".into()],
        phones: vec!["y".into()],
        assigned_to: Some(world.env.id().unwrap()),
        ..Default::default()
    };
    let found: Vec<_> = pointers(world.me.contacts().create(new).await).into_iter().map(|(at, _)| at).collect();
    assert_eq!(found, ["/name", "/emails/0", "/phones/0", "/assigned_to"]);
}

async fn lists_have_bounds(world: World) {
    let emails = |n: usize| (0..n).map(|i| format!("a{i}@acme.example")).collect::<Vec<_>>();
    let tags = |n: usize| (0..n).map(|i| format!("tag {i}")).collect::<Vec<_>>();
    let many = NewContact { emails: emails(51), tags: tags(101), ..ada() };
    let found = pointers(world.me.contacts().create(many).await);
    let expected = [("/emails", "too_many"), ("/tags", "too_many")];
    assert_eq!(found, expected.map(|(at, code)| (at.to_owned(), code.to_owned())));
    let full = NewContact { emails: emails(50), tags: tags(100), ..ada() };
    let full = world.me.contacts().create(full).await.unwrap();
    assert_eq!((full.emails.len(), full.tags.len()), (50, 100));
}

async fn a_patch_is_checked_as_well(world: World) {
    let ada = world.contact("Ada").await;
    let patch = ContactPatch { name: Patch::Null, emails: vec!["nope".to_owned()].into(), ..Default::default() };
    let found = pointers(world.me.contacts().update(UpdateContact { id: ada.id, patch, if_version: None }).await);
    let expected = [("/name", "required"), ("/emails/0", "invalid")];
    assert_eq!(found, expected.map(|(at, code)| (at.to_owned(), code.to_owned())));
    assert_eq!(world.me.contacts().get(ada.id).await.unwrap(), ada);
}

/// ASVS 2.2.3.
async fn what_does_not_exist_is_refused(world: World) {
    let custom = json!({ "size": 3 }).as_object().unwrap().clone();
    let new = NewContact {
        company_id: Some(world.env.id().unwrap()),
        team_id: Some(world.env.id().unwrap()),
        custom,
        ..ada()
    };
    let found: Vec<_> = pointers(world.me.contacts().create(new).await).into_iter().map(|(at, _)| at).collect();
    assert_eq!(found, ["/custom/size", "/company_id", "/team_id"]);
}

async fn a_move_is_checked(world: World) {
    let ada = world.contact("Ada").await;
    let go = async |stage_id, reason: Option<String>| {
        world.me.contacts().move_to(MoveContact { contact_id: ada.id, stage_id, reason, if_version: None }).await
    };
    let nowhere = world.env.id().unwrap();
    assert_eq!(pointers(go(nowhere, None).await), [("/stage_id".to_owned(), "unknown".to_owned())]);
    let long = Some("x".repeat(501));
    assert_eq!(pointers(go(world.stage("won").id, long).await), [("/reason".to_owned(), "too_long".to_owned())]);
    let nobody =
        MoveContact { contact_id: world.env.id().unwrap(), stage_id: ada.stage_id, reason: None, if_version: None };
    refused(world.me.contacts().move_to(nobody).await, 404, "not_found");
}
