//! Companies.

use dealwright::{
    domain::{company::Company, event::EventKind},
    patch::Patch,
    scope::Role,
    services::{
        companies::{CompanyPatch, DeleteCompany, ListCompanies, NewCompany, UpdateCompany},
        contacts::NewContact,
    },
};

use crate::{
    cases,
    world::{World, noon, pointers, refused},
};

cases![
    what_people_type_is_kept_in_one_form,
    what_is_wrong_is_told_at_once,
    an_edit_states_what_changed,
    a_deleted_company_is_gone_until_it_is_restored,
    lists_filter_and_sort,
    a_contact_works_at_a_company_that_exists,
    another_organisation_has_none_of_them,
];

async fn company(world: &World, name: &str) -> Company {
    world.later(1);
    world.me.companies().create(NewCompany { name: name.into(), ..Default::default() }).await.unwrap()
}

async fn what_people_type_is_kept_in_one_form(world: World) {
    let new = NewCompany {
        name: " Acme ".into(),
        domain: Some(" Acme.Example ".into()),
        industry: Some(" tools ".into()),
        size: Some(12),
        website: Some("acme.example/shop".into()),
        tags: vec!["vip".into(), "big".into(), "vip".into()],
        ..Default::default()
    };
    let acme = world.me.companies().create(new).await.unwrap();
    assert_eq!((acme.name.as_str(), acme.name_key.as_str(), acme.version), ("Acme", "acme", 1));
    assert_eq!((acme.domain.as_deref(), acme.industry.as_deref()), (Some("acme.example"), Some("tools")));
    assert_eq!((acme.website.as_deref(), acme.size), (Some("https://acme.example/shop"), Some(12)));
    assert_eq!(acme.tags, ["big", "vip"]);
    assert_eq!(world.me.companies().get(acme.id).await.unwrap(), acme);
    let events = world.events(acme.id).await;
    assert_eq!(events.iter().map(|it| it.kind).collect::<Vec<_>>(), [EventKind::CompanyCreated]);
    assert_eq!(events[0].changes["domain"].after, "acme.example");
}

async fn what_is_wrong_is_told_at_once(world: World) {
    let new = NewCompany {
        name: " ".into(),
        domain: Some("acme".into()),
        size: Some(-1),
        website: Some("ftp://acme.example".into()),
        custom: serde_json::json!({"tier": 1}).as_object().unwrap().clone(),
        external_ids: [("E R P".to_owned(), "7".to_owned())].into(),
        ..Default::default()
    };
    let found: Vec<_> = pointers(world.me.companies().create(new).await).into_iter().map(|(at, _)| at).collect();
    assert_eq!(found, ["/name", "/domain", "/website", "/size", "/external_ids/E R P", "/custom/tier"]);
    assert_eq!(world.me.companies().list(Default::default()).await.unwrap().data, []);
}

async fn an_edit_states_what_changed(world: World) {
    let acme = company(&world, "Acme").await;
    let update = |patch, if_version| UpdateCompany { id: acme.id, patch, if_version };
    let patch = CompanyPatch { size: 7.into(), name: "Acme Ltd".to_owned().into(), ..Default::default() };
    let edited = world.me.companies().update(update(patch.clone(), Some(1))).await.unwrap();
    assert_eq!((edited.version, edited.size, edited.name.as_str()), (2, Some(7), "Acme Ltd"));
    refused(world.me.companies().update(update(patch.clone(), Some(1))).await, 412, "precondition_failed");
    assert_eq!(world.me.companies().update(update(patch, None)).await.unwrap(), edited, "nothing changes");
    let cleared = CompanyPatch { size: Patch::Null, ..Default::default() };
    assert_eq!(world.me.companies().update(update(cleared, None)).await.unwrap().size, None);
    let nameless = CompanyPatch { name: Patch::Null, ..Default::default() };
    let wrong = pointers(world.me.companies().update(update(nameless, None)).await);
    assert_eq!(wrong, [("/name".to_owned(), "required".to_owned())]);
    let kinds: Vec<_> = world.events(acme.id).await.into_iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [EventKind::CompanyCreated, EventKind::CompanyUpdated, EventKind::CompanyUpdated]);
}

async fn a_deleted_company_is_gone_until_it_is_restored(world: World) {
    let new = NewCompany {
        name: "Acme".into(),
        tags: vec!["vip".into()],
        external_ids: [("erp".to_owned(), "7".to_owned())].into(),
        ..Default::default()
    };
    let acme = world.me.companies().create(new.clone()).await.unwrap();
    world.me.companies().delete(DeleteCompany { id: acme.id, if_version: Some(1) }).await.unwrap();
    refused(world.me.companies().get(acme.id).await, 404, "not_found");
    assert_eq!(world.me.companies().list(Default::default()).await.unwrap().data, []);
    let twin = world.me.companies().create(new).await.unwrap();
    let error = refused(world.me.companies().restore(acme.id.into()).await, 409, "external_id_taken");
    assert!(error.message().contains(&twin.id.to_string()), "{error}");
    world.me.companies().delete(DeleteCompany { id: twin.id, if_version: None }).await.unwrap();
    let back = world.me.companies().restore(acme.id.into()).await.unwrap();
    assert_eq!((back.version, back.tags.clone()), (3, vec!["vip".to_owned()]));
    let tagged = ListCompanies { tag: Some("vip".into()), ..Default::default() };
    assert_eq!(world.me.companies().list(tagged).await.unwrap().data, [back]);
}

async fn lists_filter_and_sort(world: World) {
    for (name, industry, domain) in
        [("bea", "tools", None), ("Ada", "food", Some("ada.example")), ("Cleo", "tools", None)]
    {
        world.later(60);
        let new = NewCompany {
            name: name.into(),
            industry: Some(industry.into()),
            domain: domain.map(Into::into),
            ..Default::default()
        };
        world.me.companies().create(new).await.unwrap();
    }
    let names = async |input: ListCompanies| {
        let page = world.me.companies().list(input).await.unwrap();
        page.data.into_iter().map(|it| it.name).collect::<Vec<_>>()
    };
    let all = ListCompanies::default;
    assert_eq!(names(all()).await, ["Cleo", "Ada", "bea"]);
    assert_eq!(names(ListCompanies { sort: Some("name".into()), ..all() }).await, ["Ada", "bea", "Cleo"]);
    assert_eq!(names(ListCompanies { industry: Some("tools".into()), ..all() }).await, ["Cleo", "bea"]);
    assert_eq!(names(ListCompanies { domain: Some(" ADA.example".into()), ..all() }).await, ["Ada"]);
    let since = dealwright::ports::store::TimeRange {
        gte: Some(noon() + chrono::Duration::seconds(120)),
        ..Default::default()
    };
    assert_eq!(names(ListCompanies { created_at: Some(since), ..all() }).await, ["Cleo", "Ada"]);
    let sort = ListCompanies { sort: Some("size".into()), ..all() };
    refused(world.me.companies().list(sort).await, 400, "invalid_parameter");
}

async fn a_contact_works_at_a_company_that_exists(world: World) {
    let acme = company(&world, "Acme").await;
    let new = |company| NewContact { name: "Ada".into(), company_id: Some(company), ..Default::default() };
    let ada = world.me.contacts().create(new(acme.id)).await.unwrap();
    assert_eq!(ada.company_id, Some(acme.id));
    world.me.companies().delete(DeleteCompany { id: acme.id, if_version: None }).await.unwrap();
    let unknown = [("/company_id".to_owned(), "unknown".to_owned())];
    assert_eq!(pointers(world.me.contacts().create(new(acme.id)).await), unknown);
    // Who is there already stays there, whatever else is edited.
    let patch = serde_json::from_value(serde_json::json!({"name": "Ada L"})).unwrap();
    let update = dealwright::services::contacts::UpdateContact { id: ada.id, patch, if_version: None };
    assert_eq!(world.me.contacts().update(update).await.unwrap().company_id, Some(acme.id));
}

async fn another_organisation_has_none_of_them(world: World) {
    let acme = company(&world, "Acme").await;
    let (_, them) = world.other_organization().await;
    refused(them.companies().get(acme.id).await, 404, "not_found");
    refused(them.companies().restore(acme.id.into()).await, 404, "not_found");
    let update = UpdateCompany { id: acme.id, patch: CompanyPatch::default(), if_version: None };
    refused(them.companies().update(update).await, 404, "not_found");
    refused(them.companies().delete(DeleteCompany { id: acme.id, if_version: None }).await, 404, "not_found");
    assert_eq!(them.companies().list(Default::default()).await.unwrap().data, []);
    let new = NewContact { name: "Eve".into(), company_id: Some(acme.id), ..Default::default() };
    assert_eq!(pointers(them.contacts().create(new).await), [("/company_id".to_owned(), "unknown".to_owned())]);
    let (_, viewer) = world.member("viv", Role::Viewer).await;
    let new = NewCompany { name: "Mine".into(), ..Default::default() };
    refused(viewer.companies().create(new).await, 403, "forbidden");
    assert_eq!(viewer.companies().get(acme.id).await.unwrap(), acme);
}
