//! Lists, searches, batches and external ids of deals.

use dealwright::{
    domain::custom_field::{CustomKind, Noun},
    services::{
        batch::ItemStatus,
        companies::NewCompany,
        deals::{DealBatch, DeleteDeal, ListDeals, NewDeal, UpsertDeal},
        fields::NewField,
        listing::Search,
    },
};
use serde_json::{Value, json};

use crate::{
    cases,
    world::{World, pointers, refused},
};

cases![
    deals_are_sorted_by_what_they_are_worth_and_when_they_close,
    deals_are_filtered_and_searched,
    a_deal_has_custom_fields_a_company_and_a_team_that_exist,
    a_batch_of_deals_is_made_item_by_item,
    an_upsert_makes_a_deal_and_then_changes_it,
];

async fn deal(world: &World, new: Value) -> dealwright::domain::deal::Deal {
    world.later(1);
    let new: NewDeal = serde_json::from_value(new).unwrap();
    world.me.deals().create(new).await.unwrap()
}

async fn some(world: &World) {
    let eur = |amount: &str| json!({"amount": amount, "currency": "EUR"});
    deal(world, json!({"name": "b", "value": eur("20"), "expected_close_on": "2026-12-01"})).await;
    deal(world, json!({"name": "A", "value": {"amount": "100", "currency": "JPY"}, "probability": 0.5})).await;
    deal(
        world,
        json!({"name": "c", "value": eur("3.50"), "expected_close_on": "2026-11-30", "assigned_to": world.una}),
    )
    .await;
    deal(world, json!({"name": "d"})).await;
}

async fn names(world: &World, list: Value) -> String {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let mut input: ListDeals = serde_json::from_value(list.clone()).unwrap();
        (input.limit, input.cursor) = (Some(2), cursor);
        let page = world.me.deals().list(input).await.unwrap();
        all.extend(page.data.into_iter().map(|it| it.name));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return all.join(" ");
        }
    }
}

async fn found(world: &World, filter: Value) -> String {
    let input = Search { filter: filter.as_object().unwrap().clone(), sort: Some("name".into()), ..Default::default() };
    let page = world.me.deals().search(input).await.unwrap();
    page.data.into_iter().map(|it| it.name).collect::<Vec<_>>().join(" ")
}

async fn deals_are_sorted_by_what_they_are_worth_and_when_they_close(world: World) {
    some(&world).await;
    for (sort, expected) in [
        ("value", "d c b A"),
        ("-value", "A b c d"),
        ("expected_close_on", "A d c b"),
        ("-expected_close_on", "b c d A"),
        ("name", "A b c d"),
        ("-created_at", "d c A b"),
    ] {
        assert_eq!(names(&world, json!({"sort": sort})).await, expected, "{sort}");
    }
    let wrong = ListDeals { sort: Some("probability".into()), ..Default::default() };
    refused(world.me.deals().list(wrong).await, 400, "invalid_parameter");
}

async fn deals_are_filtered_and_searched(world: World) {
    some(&world).await;
    let d = world.me.deals().list(ListDeals::default()).await.unwrap().data.remove(0);
    world.me.deals().delete(DeleteDeal { id: d.id, if_version: None }).await.unwrap();
    let won = world.stage("won").id;
    deal(&world, json!({"name": "w", "stage_id": won, "value": {"amount": "7", "currency": "EUR"}})).await;
    assert_eq!(names(&world, json!({"status": "won"})).await, "w");
    assert_eq!(names(&world, json!({"status": "open", "sort": "-value"})).await, "A b c");
    assert_eq!(names(&world, json!({"assigned_to": world.una, "sort": "value"})).await, "c");
    assert_eq!(names(&world, json!({"closed_at": {"gte": "2026-01-01T00:00:00Z"}})).await, "w");
    for (filter, expected) in [
        (json!({}), "A b c w"),
        (json!({"value": {"gte": "3.50", "lt": "100"}}), "b c w"),
        (json!({"value": 20}), "b"),
        (json!({"value.currency": {"ne": "EUR"}}), "A"),
        (json!({"probability": {"exists": false}, "status": "open"}), "b c"),
        (json!({"probability": {"gte": 0.5}}), "A"),
        (json!({"expected_close_on": {"lt": "2026-12-01"}}), "c"),
        (json!({"stage": ["won", "lost"]}), "w"),
        (json!({"not": {"any": [{"assigned_to": "me"}, {"stage": "won"}]}}), "A b"),
        (json!({"name": {"contains": "B"}}), "b"),
    ] {
        assert_eq!(found(&world, filter.clone()).await, expected, "{filter}");
    }
    let wrong = Search { filter: json!({"value": {"gte": "much"}}).as_object().unwrap().clone(), ..Default::default() };
    let wrong = pointers(world.me.deals().search(wrong).await);
    assert_eq!(wrong, [("/filter/value/gte".to_owned(), "invalid".to_owned())]);
    let (_, them) = world.other_organization().await;
    assert_eq!(them.deals().search(Search::default()).await.unwrap().data, []);
}

async fn a_deal_has_custom_fields_a_company_and_a_team_that_exist(world: World) {
    let new = |key: &str| NewField {
        object: Noun::Deal,
        key: key.into(),
        label: None,
        kind: CustomKind::Number,
        options: vec![],
    };
    world.me.fields().create(new("seats")).await.unwrap();
    let acme = world.me.companies().create(NewCompany { name: "Acme".into(), ..Default::default() }).await.unwrap();
    let big = deal(&world, json!({"name": "big", "custom": {"seats": 90}, "company_id": acme.id})).await;
    deal(&world, json!({"name": "small", "custom": {"seats": 9}})).await;
    assert_eq!((big.custom["seats"].clone(), big.company_id), (json!(90), Some(acme.id)));
    assert_eq!(names(&world, json!({"sort": "custom.seats"})).await, "small big");
    assert_eq!(names(&world, json!({"custom": {"seats": {"gt": "9"}}})).await, "big");
    assert_eq!(names(&world, json!({"company_id": acme.id})).await, "big");
    assert_eq!(found(&world, json!({"custom.seats": {"lte": 9}})).await, "small");
    let wrong: NewDeal = serde_json::from_value(json!({
        "name": "x", "custom": {"seats": "many"}, "company_id": world.env.id::<dealwright::id::CompanyId>().unwrap(),
        "team_id": world.env.id::<dealwright::id::TeamId>().unwrap(),
    }))
    .unwrap();
    let mut wrong: Vec<_> = pointers(world.me.deals().create(wrong).await).into_iter().map(|(at, _)| at).collect();
    wrong.sort();
    assert_eq!(wrong, ["/company_id", "/custom/seats", "/team_id"]);
    world.me.deals().delete(DeleteDeal { id: big.id, if_version: None }).await.unwrap();
    assert_eq!(names(&world, json!({"sort": "custom.seats"})).await, "small");
}

async fn a_batch_of_deals_is_made_item_by_item(world: World) {
    let ada = world.contact("Ada").await;
    let items = json!({"items": [
        {"ref": "a", "name": "One", "contact_id": ada.id, "external_ids": {"erp": "1"}},
        {"ref": "b", "name": "Two", "value": {"amount": "x", "currency": "EUR"}},
        {"ref": "c", "name": "Three", "external_ids": {"erp": "1"}},
        {"ref": "d", "name": "Four"},
    ]});
    let input: DealBatch = serde_json::from_value(items).unwrap();
    let outcome = world.me.deals().create_batch(input).await.unwrap().items;
    use ItemStatus::{Created, Failed};
    assert_eq!(outcome.iter().map(|it| it.status).collect::<Vec<_>>(), [Created, Failed, Failed, Created]);
    assert_eq!(outcome[1].error.as_ref().unwrap().errors[0].pointer, "/value/amount");
    assert_eq!(outcome[2].error.as_ref().unwrap().code, "external_id_taken");
    assert_eq!(names(&world, json!({"sort": "name"})).await, "Four One");
}

async fn an_upsert_makes_a_deal_and_then_changes_it(world: World) {
    let upsert = async |patch: Value| {
        let patch = serde_json::from_value(patch).unwrap();
        world
            .me
            .deals()
            .upsert(UpsertDeal { system: "erp".into(), external_id: "7".into(), patch, if_version: None })
            .await
    };
    assert_eq!(pointers(upsert(json!({})).await), [("/name".to_owned(), "required".to_owned())]);
    let made = upsert(json!({"name": "Licence", "value": {"amount": "5", "currency": "EUR"}})).await.unwrap();
    assert_eq!((made.version, made.stage_id), (1, world.stage("lead").id));
    let changed = upsert(json!({"value": {"amount": "6"}})).await.unwrap();
    assert_eq!((changed.id, changed.version, changed.name.as_str()), (made.id, 2, "Licence"));
    let history = serde_json::from_value(json!({"id": made.id})).unwrap();
    assert_eq!(world.me.deals().history(history).await.unwrap().data.len(), 1);
}
