//! Lists of contacts: filters, sorts, pages.

use chrono::Duration;
use dealwright::{
    domain::contact::Contact,
    ports::store::TimeRange,
    services::contacts::{ListContacts, NewContact},
};

use crate::{
    cases,
    world::{World, noon, refused},
};

cases![
    each_sort_has_its_order,
    an_unknown_sort_is_refused,
    each_filter_finds_what_it_says,
    a_filter_is_read_as_people_type_it,
    pages_follow_each_other,
    a_cursor_belongs_to_its_list,
];

async fn people(world: &World) -> Vec<Contact> {
    let mut people = Vec::new();
    for (name, source, tag) in [("bea", "fair", "vip"), ("Ada", "web", "vip"), ("Cleo", "fair", "new")] {
        world.later(60);
        let new = NewContact {
            name: name.into(),
            emails: vec![format!("{name}@acme.example")],
            phones: vec![format!("+49 30 12345{}", people.len())],
            source: Some(source.into()),
            tags: vec![tag.into()],
            assigned_to: (name == "Ada").then_some(world.una),
            ..Default::default()
        };
        people.push(world.me.contacts().create(new).await.unwrap());
    }
    people
}

async fn names(world: &World, input: ListContacts) -> Vec<String> {
    world.me.contacts().list(input).await.unwrap().data.into_iter().map(|contact| contact.name).collect()
}

fn sorted(sort: &str) -> ListContacts {
    ListContacts { sort: Some(sort.into()), ..Default::default() }
}

async fn each_sort_has_its_order(world: World) {
    let people = people(&world).await;
    world.go(people[0].id, world.stage("won").id).await;
    for (sort, expected) in [
        ("created_at", ["bea", "Ada", "Cleo"]),
        ("-created_at", ["Cleo", "Ada", "bea"]),
        ("updated_at", ["Ada", "Cleo", "bea"]),
        ("-updated_at", ["bea", "Cleo", "Ada"]),
        ("name", ["Ada", "bea", "Cleo"]),
        ("-name", ["Cleo", "bea", "Ada"]),
        // None has a message or a score: the id, which is the order of creation, decides.
        ("last_message_at", ["bea", "Ada", "Cleo"]),
        ("-score", ["Cleo", "Ada", "bea"]),
    ] {
        assert_eq!(names(&world, sorted(sort)).await, expected, "{sort}");
    }
    assert_eq!(names(&world, Default::default()).await, ["Cleo", "Ada", "bea"]);
}

async fn an_unknown_sort_is_refused(world: World) {
    for sort in ["email", "--name", "", "name,score"] {
        let error = refused(world.me.contacts().list(sorted(sort)).await, 400, "invalid_parameter");
        assert_eq!(error.fields()[0].pointer, "/sort");
    }
}

async fn each_filter_finds_what_it_says(world: World) {
    let people = people(&world).await;
    world.go(people[2].id, world.stage("won").id).await;
    let all = ListContacts::default();
    let second = noon() + Duration::seconds(120);
    let since = TimeRange { gte: Some(second), ..Default::default() };
    let before = TimeRange { lt: Some(second), ..Default::default() };
    let cases: Vec<(ListContacts, Vec<&str>)> = vec![
        (ListContacts { stage_id: Some(world.stage("won").id), ..all.clone() }, vec!["Cleo"]),
        (ListContacts { pipeline_id: Some(world.sales.pipeline.id), ..all.clone() }, vec!["Cleo", "Ada", "bea"]),
        (ListContacts { pipeline_id: Some(world.env.id().unwrap()), ..all.clone() }, vec![]),
        (ListContacts { tag: Some("vip".into()), ..all.clone() }, vec!["Ada", "bea"]),
        (ListContacts { assigned_to: Some(world.una), ..all.clone() }, vec!["Ada"]),
        (ListContacts { source: Some("fair".into()), ..all.clone() }, vec!["Cleo", "bea"]),
        (ListContacts { email: Some("ada@acme.example".into()), ..all.clone() }, vec!["Ada"]),
        (ListContacts { phone: Some("+4930123450".into()), ..all.clone() }, vec!["bea"]),
        (ListContacts { created_at: Some(since), ..all.clone() }, vec!["Cleo", "Ada"]),
        (ListContacts { created_at: Some(before), ..all.clone() }, vec!["bea"]),
        (ListContacts { updated_at: Some(before), ..all.clone() }, vec!["bea"]),
        (ListContacts { last_message_at: Some(since), ..all.clone() }, vec![]),
        (ListContacts { tag: Some("vip".into()), source: Some("fair".into()), ..all.clone() }, vec!["bea"]),
    ];
    for (input, expected) in cases {
        assert_eq!(names(&world, input.clone()).await, expected, "{input:?}");
    }
}

async fn a_filter_is_read_as_people_type_it(world: World) {
    people(&world).await;
    let by = |email: Option<&str>, phone: Option<&str>| ListContacts {
        email: email.map(Into::into),
        phone: phone.map(Into::into),
        ..Default::default()
    };
    assert_eq!(names(&world, by(Some(" ADA@acme.example "), None)).await, ["Ada"]);
    assert_eq!(names(&world, by(None, Some("0049 (30) 123451"))).await, ["Ada"]);
    let error = refused(world.me.contacts().list(by(None, Some("123451"))).await, 400, "invalid_parameter");
    assert_eq!(error.fields()[0].pointer, "/phone");
}

async fn pages_follow_each_other(world: World) {
    for i in 0..5 {
        world.contact(&format!("Contact {i}")).await;
    }
    let mut names = Vec::new();
    let mut cursor = None;
    loop {
        let input = ListContacts { limit: Some(2), cursor: cursor.clone(), ..sorted("name") };
        let page = world.me.contacts().list(input).await.unwrap();
        names.push(page.data.iter().map(|contact| contact.name.clone()).collect::<Vec<_>>());
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
        world.contact("Contact -1").await;
    }
    assert_eq!(names, [vec!["Contact 0", "Contact 1"], vec!["Contact 2", "Contact 3"], vec!["Contact 4"]]);
}

async fn a_cursor_belongs_to_its_list(world: World) {
    for i in 0..3 {
        world.contact(&format!("Contact {i}")).await;
    }
    let first = world.me.contacts().list(ListContacts { limit: Some(1), ..sorted("name") }).await.unwrap();
    let other = ListContacts { cursor: first.next_cursor, ..sorted("-name") };
    refused(world.me.contacts().list(other).await, 400, "invalid_cursor");
    for limit in [0, 201] {
        let input = ListContacts { limit: Some(limit), ..Default::default() };
        refused(world.me.contacts().list(input).await, 400, "invalid_parameter");
    }
}
