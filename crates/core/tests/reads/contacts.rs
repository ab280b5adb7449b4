use std::cmp::Ordering;

use chrono::Duration;
use dealwright::{
    domain::{
        contact::Contact,
        custom_field::Noun,
        pipeline::{Pipeline, Stage, StageKind},
    },
    id::*,
    page::{ListKey, PageRequest, Position, SortValue},
    ports::store::{Bounds, Column, ContactReads, Filter, Is, Place, SortBy, TimeRange, Value, Write, field_named},
    testkit::samples::{Samples, contact_rows},
};

use crate::support::{assert_bounds, assert_distinct, everywhere, fill, walk};

/// Which contacts; absent members do not filter.
#[derive(Debug, Clone, Default, PartialEq)]
struct ContactFilter {
    stage_id: Option<StageId>,
    pipeline_id: Option<PipelineId>,
    tag: Option<String>,
    assigned_to: Option<UserId>,
    team_id: Option<TeamId>,
    shared_with: Option<Vec<TeamId>>,
    source: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    created_at: Option<TimeRange>,
    updated_at: Option<TimeRange>,
    last_message_at: Option<TimeRange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ContactSort {
    CreatedAt,
    UpdatedAt,
    Name,
    LastMessageAt,
    Score,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sort {
    field: ContactSort,
    descending: bool,
}

fn place(name: &str) -> Place {
    Place::Field(field_named(Noun::Contact, name).unwrap())
}

impl Sort {
    fn by(self) -> SortBy {
        let name = match self.field {
            ContactSort::CreatedAt => "created_at",
            ContactSort::UpdatedAt => "updated_at",
            ContactSort::Name => "name",
            ContactSort::LastMessageAt => "last_message_at",
            ContactSort::Score => "score",
        };
        SortBy { place: place(name), descending: self.descending }
    }
}

impl ContactFilter {
    fn tree(&self) -> Filter {
        let mut all = Vec::new();
        let mut equal = |name: &str, value: Option<Value>| {
            all.extend(value.map(|value| Filter::Test(place(name), Is::AnyOf(vec![value]))));
        };
        equal("stage_id", self.stage_id.map(|it| it.to_value()));
        equal("pipeline_id", self.pipeline_id.map(|it| it.to_value()));
        equal("tags", self.tag.as_ref().map(Column::to_value));
        equal("assigned_to", self.assigned_to.map(|it| it.to_value()));
        equal("team_id", self.team_id.map(|it| it.to_value()));
        equal("source", self.source.as_ref().map(Column::to_value));
        equal("emails", self.email.as_ref().map(Column::to_value));
        equal("phones", self.phone.as_ref().map(Column::to_value));
        all.extend(self.shared_with.as_ref().map(|teams| {
            let teams = teams.iter().map(Column::to_value).collect();
            let tests = [Is::Exists(false), Is::AnyOf(teams)];
            Filter::Any(tests.map(|is| Filter::Test(place("team_id"), is)).into())
        }));
        for (name, range) in [
            ("created_at", self.created_at),
            ("updated_at", self.updated_at),
            ("last_message_at", self.last_message_at),
        ] {
            let range = range.filter(|it| *it != TimeRange::default());
            all.extend(range.map(|range| {
                let bound = |at: Option<chrono::DateTime<chrono::Utc>>| at.map(|at| at.to_value());
                let (gte, gt, lte, lt) = (bound(range.gte), bound(range.gt), bound(range.lte), bound(range.lt));
                Filter::Test(place(name), Is::Within(Bounds { gte, gt, lte, lt }))
            }));
        }
        Filter::All(all)
    }
}

const SORTS: [ContactSort; 5] =
    [ContactSort::CreatedAt, ContactSort::UpdatedAt, ContactSort::Name, ContactSort::LastMessageAt, ContactSort::Score];

fn sorts() -> impl Iterator<Item = Sort> {
    SORTS.into_iter().flat_map(|field| [true, false].map(|descending| Sort { field, descending }))
}

struct World {
    samples: Samples,
    pipelines: Vec<Pipeline>,
    stages: Vec<Stage>,
    users: Vec<UserId>,
    teams: Vec<TeamId>,
    contacts: Vec<Contact>,
}

impl World {
    fn new(seed: u64, contacts: usize) -> Self {
        let mut samples = Samples::new(seed);
        let pipelines = vec![samples.pipeline(), samples.pipeline()];
        let stages = (pipelines.iter())
            .flat_map(|pipeline| (0..3).map(|place| (pipeline.clone(), place)).collect::<Vec<_>>())
            .map(|(pipeline, place)| samples.stage(&pipeline, place, StageKind::Open))
            .collect();
        let users = vec![samples.id(), samples.id()];
        let teams = vec![samples.id(), samples.id()];
        let mut world = Self { samples, pipelines, stages, users, teams, contacts: Vec::new() };
        for _ in 0..contacts {
            let contact = world.contact();
            world.contacts.push(contact);
        }
        world
    }

    fn contact(&mut self) -> Contact {
        let samples = &mut self.samples;
        let stage = samples.choose(&self.stages);
        let mut contact = samples.contact(&stage);
        contact.assigned_to = samples.choose(&[None, Some(self.users[0]), Some(self.users[1])]);
        contact.team_id = samples.choose(&[None, Some(self.teams[0]), Some(self.teams[1])]);
        contact.deleted_at = samples.one_in(9).then_some(contact.created_at);
        contact
    }

    fn rows(&self) -> Vec<Write> {
        let frame = self.pipelines.iter().map(Write::insert).chain(self.stages.iter().map(Write::insert));
        frame.chain(self.contacts.iter().flat_map(contact_rows)).collect()
    }

    /// What a list must give, by a plain sort of everything.
    fn expected(&self, filter: &ContactFilter, sort: Sort) -> Vec<ContactId> {
        let mut all: Vec<&Contact> = self.contacts.iter().filter(|it| matches(filter, it)).collect();
        all.sort_by(|a, b| {
            let order = compare(sort.field, a, b);
            if sort.descending { order.reverse() } else { order }
        });
        all.into_iter().map(|it| it.id).collect()
    }
}

fn compare(field: ContactSort, a: &Contact, b: &Contact) -> Ordering {
    let by_key = match field {
        ContactSort::CreatedAt => a.created_at.cmp(&b.created_at),
        ContactSort::UpdatedAt => a.updated_at.cmp(&b.updated_at),
        ContactSort::Name => a.name_key.as_bytes().cmp(b.name_key.as_bytes()),
        // `None` is less than any instant: the oldest.
        ContactSort::LastMessageAt => a.last_message_at.cmp(&b.last_message_at),
        ContactSort::Score => a.score.cmp(&b.score),
    };
    by_key.then(a.id.cmp(&b.id))
}

fn matches(filter: &ContactFilter, contact: &Contact) -> bool {
    let within = |range: Option<TimeRange>, time: Option<chrono::DateTime<chrono::Utc>>| {
        range.filter(|it| *it != TimeRange::default()).is_none_or(|range| {
            time.is_some_and(|time| {
                range.gte.is_none_or(|it| time >= it)
                    && range.gt.is_none_or(|it| time > it)
                    && range.lte.is_none_or(|it| time <= it)
                    && range.lt.is_none_or(|it| time < it)
            })
        })
    };
    contact.deleted_at.is_none()
        && filter.stage_id.is_none_or(|it| contact.stage_id == it)
        && filter.pipeline_id.is_none_or(|it| contact.pipeline_id == it)
        && filter.tag.as_ref().is_none_or(|it| contact.tags.contains(it))
        && filter.assigned_to.is_none_or(|it| contact.assigned_to == Some(it))
        && filter.team_id.is_none_or(|it| contact.team_id == Some(it))
        && filter.shared_with.as_ref().is_none_or(|all| contact.team_id.is_none_or(|it| all.contains(&it)))
        && filter.source.as_ref().is_none_or(|it| contact.source.as_ref() == Some(it))
        && filter.email.as_ref().is_none_or(|it| contact.emails.contains(it))
        && filter.phone.as_ref().is_none_or(|it| contact.phones.contains(it))
        && within(filter.created_at, Some(contact.created_at))
        && within(filter.updated_at, Some(contact.updated_at))
        && within(filter.last_message_at, contact.last_message_at)
}

/// Each filter alone.
fn filters(world: &World) -> Vec<ContactFilter> {
    let hours = |hours| Some(Samples::epoch() + Duration::hours(hours));
    let live = world.contacts.iter().find(|it| it.deleted_at.is_none() && !it.phones.is_empty()).unwrap();
    let none = ContactFilter::default;
    vec![
        ContactFilter { stage_id: Some(live.stage_id), ..none() },
        ContactFilter { pipeline_id: Some(live.pipeline_id), ..none() },
        ContactFilter { tag: Some("vip".to_owned()), ..none() },
        ContactFilter { tag: Some("nobody's".to_owned()), ..none() },
        ContactFilter { assigned_to: Some(world.users[0]), ..none() },
        ContactFilter { team_id: Some(world.teams[0]), ..none() },
        ContactFilter { shared_with: Some(vec![world.teams[1]]), ..none() },
        ContactFilter { shared_with: Some(Vec::new()), ..none() },
        ContactFilter { source: Some("import".to_owned()), ..none() },
        ContactFilter { email: Some(live.emails[0].clone()), ..none() },
        ContactFilter { phone: Some(live.phones[0].clone()), ..none() },
        ContactFilter { created_at: Some(TimeRange { gte: hours(10), lt: hours(30), ..<_>::default() }), ..none() },
        ContactFilter { updated_at: Some(TimeRange { gt: hours(20), lte: hours(50), ..<_>::default() }), ..none() },
        ContactFilter { last_message_at: Some(TimeRange { lt: hours(40), ..<_>::default() }), ..none() },
        ContactFilter {
            last_message_at: Some(TimeRange { gte: hours(5), lte: hours(60), ..<_>::default() }),
            ..none()
        },
        ContactFilter { last_message_at: Some(TimeRange::default()), ..none() },
    ]
}

fn both(a: &ContactFilter, b: &ContactFilter) -> ContactFilter {
    ContactFilter {
        stage_id: a.stage_id.or(b.stage_id),
        pipeline_id: a.pipeline_id.or(b.pipeline_id),
        tag: a.tag.clone().or(b.tag.clone()),
        assigned_to: a.assigned_to.or(b.assigned_to),
        team_id: a.team_id.or(b.team_id),
        shared_with: a.shared_with.clone().or(b.shared_with.clone()),
        source: a.source.clone().or(b.source.clone()),
        email: a.email.clone().or(b.email.clone()),
        phone: a.phone.clone().or(b.phone.clone()),
        created_at: a.created_at.or(b.created_at),
        updated_at: a.updated_at.or(b.updated_at),
        last_message_at: a.last_message_at.or(b.last_message_at),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sort_walks_all_contacts_once_while_others_are_added() {
    for place in everywhere().await {
        let mut world = World::new(1, 120);
        let organization = world.samples.organization_id;
        fill(&place.store, &mut world.samples.clone(), world.rows()).await;
        world.samples.next();
        let none = ContactFilter::default();
        for sort in sorts() {
            let expected = world.expected(&none, sort);
            let newcomers: Vec<Contact> = (0..12).map(|_| world.contact()).collect();
            let mut samples = world.samples.clone();
            world.samples.next();
            let add = async {
                for contact in &newcomers {
                    fill(&place.store, &mut samples, contact_rows(contact)).await;
                }
            };
            let list = walk(7, async |page| place.store.contacts(organization, &none.tree(), &sort.by(), &page).await);
            let (found, ()) = tokio::join!(list, add);
            let ids: Vec<ContactId> = found.iter().map(|it| it.id).collect();
            assert_distinct(&ids);
            let known: Vec<ContactId> = ids.into_iter().filter(|it| expected.contains(it)).collect();
            assert_eq!(known, expected, "{} {sort:?}", place.name);
            for pair in found.windows(2) {
                let order = compare(sort.field, &pair[0], &pair[1]);
                assert_eq!(order, if sort.descending { Ordering::Greater } else { Ordering::Less });
            }
            world.contacts.extend(newcomers);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_alone_and_in_pairs_find_what_a_plain_scan_finds() {
    let world = World::new(2, 160);
    let organization = world.samples.organization_id;
    for place in everywhere().await {
        fill(&place.store, &mut world.samples.clone(), world.rows()).await;
        let single = filters(&world);
        let pairs = single.iter().enumerate().flat_map(|(i, a)| single[i + 1..].iter().map(move |b| both(a, b)));
        let mut sorts = sorts().collect::<Vec<_>>().into_iter().cycle();
        let alone: Vec<_> = single.iter().flat_map(|it| SORTS.map(|field| (it.clone(), field))).collect();
        let alone = alone.into_iter().map(|(filter, field)| (filter, Sort { field, descending: true }));
        let mut found_something = 0;
        for (filter, sort) in alone.chain(pairs.map(|it| (it, sorts.next().unwrap()))) {
            let found =
                walk(7, async |page| place.store.contacts(organization, &filter.tree(), &sort.by(), &page).await).await;
            let ids: Vec<ContactId> = found.iter().map(|it| it.id).collect();
            assert_eq!(ids, world.expected(&filter, sort), "{} {filter:?} {sort:?}", place.name);
            for contact in &found {
                assert_eq!(Some(contact), world.contacts.iter().find(|it| it.id == contact.id));
            }
            found_something += usize::from(!ids.is_empty());
        }
        assert!(found_something > 80, "only {found_something} of the filters found anything");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_common_and_what_is_rare_are_found_alike() {
    // More than are ever collected: what is common is walked, what is rare is not.
    let mut world = World::new(3, 2_500);
    for (place, contact) in world.contacts.iter_mut().enumerate() {
        let odd = place % 20 == 7;
        let stage = if odd { &world.stages[4] } else { &world.stages[place % 2] };
        (contact.stage_id, contact.pipeline_id) = (stage.id, stage.pipeline_id);
        contact.deleted_at = None;
        contact.tags = if odd { vec!["common".into(), "rare".into()] } else { vec!["common".into()] };
        contact.assigned_to = Some(world.users[usize::from(odd)]);
        contact.source = Some(if odd { "rare" } else { "common" }.to_owned());
        contact.last_message_at = (!odd).then_some(contact.updated_at);
    }
    let organization = world.samples.organization_id;
    let hours = |hours| Some(Samples::epoch() + Duration::hours(hours));
    let none = ContactFilter::default;
    let wide = Some(TimeRange { gte: hours(1), lt: hours(68), ..<_>::default() });
    let common = [
        ContactFilter { tag: Some("common".to_owned()), ..none() },
        ContactFilter { pipeline_id: Some(world.pipelines[0].id), ..none() },
        ContactFilter { assigned_to: Some(world.users[0]), ..none() },
        ContactFilter { source: Some("common".to_owned()), ..none() },
        ContactFilter { updated_at: wide, ..none() },
        ContactFilter { last_message_at: wide, ..none() },
    ];
    let rare = [
        ContactFilter { tag: Some("rare".to_owned()), ..none() },
        ContactFilter { pipeline_id: Some(world.pipelines[1].id), ..none() },
        ContactFilter { assigned_to: Some(world.users[1]), ..none() },
        ContactFilter { source: Some("rare".to_owned()), ..none() },
        ContactFilter { stage_id: Some(world.stages[0].id), ..none() },
    ];
    for place in everywhere().await {
        fill(&place.store, &mut world.samples.clone(), world.rows()).await;
        let mut sorts = sorts().collect::<Vec<_>>().into_iter().cycle();
        let pairs = common.iter().flat_map(|a| common.iter().chain(&rare).map(move |b| both(a, b)));
        for filter in pairs.chain(rare.iter().cloned()) {
            let sort = sorts.next().unwrap();
            let list =
                walk(200, async |page| place.store.contacts(organization, &filter.tree(), &sort.by(), &page).await);
            let ids: Vec<ContactId> = list.await.iter().map(|it| it.id).collect();
            assert_eq!(ids, world.expected(&filter, sort), "{} {filter:?} {sort:?}", place.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_no_row_can_hold_finds_nothing() {
    let world = World::new(8, 20);
    let organization = world.samples.organization_id;
    let nul = || Some("v\0p".to_owned());
    let none = ContactFilter::default;
    for place in everywhere().await {
        fill(&place.store, &mut world.samples.clone(), world.rows()).await;
        for filter in [
            ContactFilter { tag: nul(), ..none() },
            ContactFilter { source: nul(), ..none() },
            ContactFilter { email: nul(), ..none() },
            ContactFilter { phone: nul(), assigned_to: Some(world.users[0]), ..none() },
        ] {
            for sort in sorts() {
                let page = place
                    .store
                    .contacts(organization, &filter.tree(), &sort.by(), &PageRequest::default())
                    .await
                    .unwrap();
                assert!(page.data.is_empty(), "{} {filter:?}", place.name);
            }
        }
        // A cursor of this list that somebody has tampered with.
        let (filter, sort) = (none(), Sort { field: ContactSort::Name, descending: true });
        let list = ListKey::of(&(Noun::Contact, format!("{:?} {:?}", sort.by(), filter.tree())));
        for value in [SortValue::Text("v\0p".to_owned()), SortValue::Int(1)] {
            let cursor = Position { value, id: uuid::Uuid::nil() }.encode(list);
            let page = PageRequest { limit: None, cursor: Some(cursor) };
            let error = place.store.contacts(organization, &filter.tree(), &sort.by(), &page).await.unwrap_err();
            assert_eq!(error.code(), "invalid_cursor", "{}", place.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_refused_with_another_sort_or_filter() {
    let world = World::new(4, 30);
    let organization = world.samples.organization_id;
    for place in everywhere().await {
        fill(&place.store, &mut world.samples.clone(), world.rows()).await;
        let (none, sort) = (ContactFilter::default(), Sort { field: ContactSort::Name, descending: true });
        let first = PageRequest { limit: Some(3), cursor: None };
        let page = place.store.contacts(organization, &none.tree(), &sort.by(), &first).await.unwrap();
        let cursor = page.next_cursor.unwrap();
        let tagged = ContactFilter { tag: Some("vip".to_owned()), ..ContactFilter::default() };
        let ascending = Sort { descending: false, ..sort };
        let score = Sort { field: ContactSort::Score, ..sort };
        for (filter, sort) in [(&tagged, sort), (&none, ascending), (&none, score)] {
            assert_bounds(&cursor, async |page| {
                place.store.contacts(organization, &filter.tree(), &sort.by(), &page).await
            })
            .await;
        }
        assert_bounds("garbage", async |page| {
            place.store.contacts(organization, &none.tree(), &sort.by(), &page).await
        })
        .await;
        // Other page sizes are the same list.
        let rest = PageRequest { limit: Some(200), cursor: Some(cursor) };
        let rest = place.store.contacts(organization, &none.tree(), &sort.by(), &rest).await.unwrap().data;
        assert_eq!(page.data.len() + rest.len(), world.expected(&none, sort).len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_organisation_sees_no_contact() {
    let world = World::new(5, 20);
    let live = world.contacts.iter().find(|it| it.deleted_at.is_none()).unwrap();
    let stranger: OrganizationId = Samples::new(99).organization_id;
    for place in everywhere().await {
        let store = &place.store;
        fill(store, &mut world.samples.clone(), world.rows()).await;
        let page = PageRequest::default();
        for sort in sorts() {
            for filter in [ContactFilter::default()].into_iter().chain(filters(&world)) {
                assert!(store.contacts(stranger, &filter.tree(), &sort.by(), &page).await.unwrap().data.is_empty());
            }
        }
        assert_eq!(store.contact(stranger, live.id).await.unwrap(), None);
        assert!(store.contacts_by_ids(stranger, &[live.id]).await.unwrap().is_empty());
        assert!(store.holders(stranger, &live.identities()).await.unwrap().is_empty());
        for stages in [vec![], vec![live.stage_id], world.stages.iter().map(|it| it.id).collect()] {
            assert!(store.contacts_in_stages(stranger, &stages, None, 9).await.unwrap().is_empty());
        }
        assert_eq!(store.contact(world.samples.organization_id, live.id).await.unwrap().as_ref(), Some(live));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_in_stages_come_once_in_order_of_their_ids() {
    let world = World::new(6, 90);
    let organization = world.samples.organization_id;
    let some: Vec<StageId> = world.stages.iter().map(|it| it.id).collect();
    for place in everywhere().await {
        fill(&place.store, &mut world.samples.clone(), world.rows()).await;
        for stages in [&[][..], &some[..1], &some[1..4], &[some[0], some[0]]] {
            let mut expected: Vec<ContactId> = (world.contacts.iter())
                .filter(|it| it.deleted_at.is_none() && (stages.is_empty() || stages.contains(&it.stage_id)))
                .map(|it| it.id)
                .collect();
            expected.sort();
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let some = place.store.contacts_in_stages(organization, stages, after, 7).await.unwrap();
                let Some(last) = some.last() else { break };
                after = Some(last.id);
                found.extend(some.iter().map(|it| it.id));
            }
            assert_eq!(found, expected, "{} {stages:?}", place.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn identities_tell_their_holders_however_many_are_asked_for() {
    let mut world = World::new(7, 40);
    world.contacts[0].deleted_at = Some(Samples::epoch());
    let organization = world.samples.organization_id;
    for place in everywhere().await {
        fill(&place.store, &mut world.samples.clone(), world.rows()).await;
        let known = world.contacts.iter().flat_map(Contact::identities);
        let unknown =
            (0..1_200).map(|n| (dealwright::domain::contact::IdentityKind::Email, format!("x{n}@example.net")));
        let asked: Vec<_> = known.chain(unknown).collect();
        let mut found = place.store.holders(organization, &asked).await.unwrap();
        found.sort_by(|a, b| (a.kind, &a.value).cmp(&(b.kind, &b.value)));
        let live = world.contacts.iter().filter(|it| it.deleted_at.is_none());
        let mut expected: Vec<_> = live
            .flat_map(|it| it.identities().into_iter().map(|(kind, value)| (kind, value, it.id, it.name.clone())))
            .collect();
        expected.sort();
        let found: Vec<_> = found.into_iter().map(|it| (it.kind, it.value, it.contact_id, it.name)).collect();
        assert_eq!(found, expected, "{}", place.name);
        assert!(place.store.holders(organization, &[]).await.unwrap().is_empty());

        let ids: Vec<ContactId> = world.contacts.iter().map(|it| it.id).collect();
        let mut samples = Samples::new(70);
        let unknown = std::iter::repeat_with(|| samples.id()).take(600);
        let asked: Vec<ContactId> = unknown.chain(ids.iter().copied()).chain(ids.iter().copied()).collect();
        let mut found = place.store.contacts_by_ids(organization, &asked).await.unwrap();
        found.sort_by_key(|it| ids.iter().position(|id| *id == it.id));
        assert_eq!(found, world.contacts, "{}: deleted ones too, each once", place.name);
    }
}
