//! Deals.

use super::*;

#[tokio::test]
async fn deals_walk_the_index_of_their_sort() {
    let stores = stores().await;
    let deal = Noun::Deal;
    for (sort, index) in [
        ("created_at", "deals_created"),
        ("updated_at", "deals_updated"),
        ("name", "deals_name"),
        ("value", "deals_worth"),
        ("expected_close_on", "deals_close"),
    ] {
        for statement in listed::<Deal>(&Filter::default(), &place(deal, sort), None) {
            assert_plan(&stores, sort, &statement, index).await;
        }
    }
    for (filter, index) in [
        (equal(deal, "contact_id", &n::<ContactId>(3)), "deals_contact"),
        (equal(deal, "company_id", &n::<CompanyId>(4)), "deals_company"),
        (equal(deal, "stage_id", &n::<StageId>(3)), "deals_stage_created"),
        (equal(deal, "pipeline_id", &n::<PipelineId>(1)), "deals_pipeline"),
        (equal(deal, "assigned_to", &n::<UserId>(3)), "deals_assigned"),
        (equal(deal, "status", &StageKind::Lost), "deals_status"),
    ] {
        for statement in listed::<Deal>(&filter, &place(deal, "created_at"), None) {
            assert_plan(&stores, index, &statement, index).await;
        }
    }
    let amount =
        Bounds { gte: Some(1_000_000_i64.to_value()), lt: Some(2_000_000_i64.to_value()), ..Bounds::default() };
    let day = Bounds { gte: Some("2026-11-22".to_owned().to_value()), ..Bounds::default() };
    let sort = SortBy { place: place(deal, "created_at"), descending: true };
    for (filter, index) in [
        (equal(deal, "name", &"D".to_owned()), "deals_name"),
        (Filter::Test(place(deal, "value"), Is::Within(amount)), "deals_worth"),
        (Filter::Test(place(deal, "expected_close_on"), Is::Within(day)), "deals_close"),
    ] {
        for store in &stores {
            let counted = Listing::new(n(1), store.db(), &filter, &sort).probe::<Deal>(&[&filter]);
            let plan = explain(store, &counted).await;
            assert!(plan.contains(index) && faults(store.db(), &plan).is_empty(), "counting {filter:?}:\n{plan}");
        }
    }
}

#[tokio::test]
async fn deals_of_a_team_are_walked_and_those_closed_in_a_period_are_collected() {
    let stores = stores().await;
    let deal = Noun::Deal;
    for (filter, sort, index) in [
        (equal(deal, "team_id", &n::<TeamId>(3)), "created_at", "deals_team"),
        (equal(deal, "status", &StageKind::Open), "value", "deals_worth"),
        (equal(deal, "pipeline_id", &n::<PipelineId>(1)), "name", "deals_name"),
    ] {
        for statement in listed::<Deal>(&filter, &place(deal, sort), None) {
            assert_plan(&stores, &format!("deals {filter:?} by {sort}"), &statement, index).await;
        }
    }
    let range = Bounds { gte: Some(at(100).to_value()), lt: Some(at(300).to_value()), ..Bounds::default() };
    let closed = Filter::Test(place(deal, "closed_at"), Is::Within(range));
    for store in &stores {
        let sort = SortBy { place: place(deal, "created_at"), descending: true };
        let listing = Listing::new(n(1), store.db(), &closed, &sort);
        assert_eq!(listing.choose::<Deal>(), Path::Probe(vec![&closed]));
        let collected = listing.statement::<Deal>(Some(&closed), ListKey::of(&"plans"), &PageRequest::default());
        for statement in [listing.probe::<Deal>(&[&closed]), collected.unwrap().0] {
            let plan = explain(store, &statement).await;
            println!("plan: {:?}: deals closed in a period: deals_closed", store.db());
            assert!(plan.contains("deals_closed") && !plan.contains("Seq Scan on deals"), "{}\n{plan}", statement.text);
        }
    }
}
