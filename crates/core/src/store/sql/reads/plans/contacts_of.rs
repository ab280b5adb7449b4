//! Contacts, companies, custom fields, and what is counted before it is listed.

use super::*;

#[tokio::test]
async fn contacts_walk_the_index_of_their_sort() {
    let stores = stores().await;
    let contact = Noun::Contact;
    let stage = || equal(contact, "stage_id", &n::<StageId>(3));
    let assignee = || equal(contact, "assigned_to", &n::<UserId>(3));
    let tag = || text("tags", "common");
    for (sort, name) in SORTS {
        for (filter, index) in [
            (vec![], format!("contacts_{name}")),
            (vec![stage()], format!("contacts_stage_{name}")),
            (vec![tag()], format!("contacts_{name}")),
            (vec![tag(), stage()], format!("contacts_stage_{name}")),
            (vec![tag(), assignee()], {
                if sort == "created_at" { "contacts_assigned".into() } else { format!("contacts_{name}") }
            }),
        ] {
            let filter = Filter::All(filter);
            for statement in listed::<Contact>(&filter, &place(contact, sort), None) {
                assert_plan(&stores, &format!("{filter:?} by {name}"), &statement, &index).await;
            }
        }
    }
    for (filter, index) in [(assignee(), "contacts_assigned"), (text("source", "source1"), "contacts_source")] {
        for statement in listed::<Contact>(&filter, &place(contact, "created_at"), None) {
            assert_plan(&stores, &format!("{filter:?}"), &statement, index).await;
        }
    }
}

#[tokio::test]
async fn companies_walk_the_index_of_their_sort() {
    let stores = stores().await;
    let company = Noun::Company;
    for (sort, index) in
        [("created_at", "companies_created"), ("updated_at", "companies_updated"), ("name", "companies_name")]
    {
        for statement in listed::<Company>(&Filter::default(), &place(company, sort), None) {
            assert_plan(&stores, sort, &statement, index).await;
        }
    }
    let industry = equal(company, "industry", &"industry3".to_owned());
    for statement in listed::<Company>(&industry, &place(company, "created_at"), None) {
        assert_plan(&stores, "industry", &statement, "companies_industry").await;
    }
}

#[tokio::test]
async fn a_custom_field_s_values_are_walked_in_their_order() {
    for store in &stores().await {
        let (index, key) = match store.db() {
            Db::Sqlite => ("SEARCH v USING PRIMARY KEY", "(value,record_id)"),
            Db::Postgres => ("custom_values_pkey", "ROW(value, record_id)"),
        };
        for filter in [Filter::default(), text("tags", "common")] {
            for (place, statement) in listed::<Contact>(&filter, &custom(1), None).into_iter().enumerate() {
                let plan = explain(store, &statement).await;
                let faults = faults(store.db(), &plan);
                let sought = place % 2 == 0 || plan.replace("v.", "").contains(key);
                assert!(faults.is_empty() && plan.contains(index) && sought, "{}\n{plan}", statement.text);
            }
        }
    }
}

#[tokio::test]
async fn rare_conditions_are_counted_and_collected_by_their_own_index() {
    let stores = stores().await;
    let contact = Noun::Contact;
    let range = Bounds { gte: Some(at(100).to_value()), lt: Some(at(300).to_value()), ..Bounds::default() };
    let during = |name| Filter::Test(place(contact, name), Is::Within(range.clone()));
    let keys = |db| if db == Db::Sqlite { "sqlite_autoindex_contacts_1" } else { "contacts_pkey" };
    let is = |text: &str| Is::AnyOf(vec![text.to_owned().to_value()]);
    let cases = [
        (text("tags", "tag7"), "SEARCH x USING PRIMARY KEY", "contact_tags_pkey"),
        (text("emails", "7@example.org"), "SEARCH x USING PRIMARY KEY", "contact_identities"),
        (text("name", "C"), "contacts_name", "contacts_name"),
        (text("source", "rare"), "contacts_source", "contacts_source"),
        (equal(contact, "assigned_to", &n::<UserId>(6)), "contacts_assigned", "contacts_assigned"),
        (during("updated_at"), "contacts_updated", "contacts_updated"),
        (during("last_message_at"), "contacts_last_message", "contacts_last_message"),
        (equal(contact, "pipeline_id", &n::<PipelineId>(3)), "contacts_stage", "contacts_stage"),
        (Filter::Test(custom(1), is("c4ca")), "SEARCH x USING PRIMARY KEY", "custom_values_pkey"),
        (Filter::Test(Place::ExternalId("erp".into()), is("7")), "SEARCH x USING PRIMARY KEY", "external_ids_pkey"),
    ];
    let all = Filter::All(cases.iter().map(|(filter, ..)| filter.clone()).collect());
    let sort = SortBy { place: place(contact, "score"), descending: true };
    for (filter, sqlite, postgres) in &cases {
        for store in &stores {
            let listing = Listing::new(n(1), store.db(), &all, &sort);
            let counted = listing.probe::<Contact>(&[filter]);
            let collected = listing.statement::<Contact>(Some(filter), ListKey::of(&"plans"), &PageRequest::default());
            let index = if store.db() == Db::Sqlite { sqlite } else { postgres };
            let plan = explain(store, &counted).await;
            assert!(plan.contains(index) && !plan.contains("Seq Scan on contacts"), "counting {filter:?}:\n{plan}");
            let plan = explain(store, &collected.unwrap().0).await;
            assert!(plan.contains(index) && plan.contains(keys(store.db())), "{filter:?}:\n{plan}");
            assert!(!plan.contains("Seq Scan on contacts"), "{filter:?}:\n{plan}");
        }
    }
}

#[tokio::test]
async fn few_records_in_sight_are_counted_and_collected_by_who_looks_after_them() {
    let sight = Sight::Limited { user: n(6), teams: [n(3), n(4)].into() };
    let (contacts, deals) = (in_sight::<Contact>(&sight).unwrap(), in_sight::<Deal>(&sight).unwrap());
    assert_eq!((in_sight::<Company>(&sight), in_sight::<Contact>(&Sight::Organization)), (None, None));
    let sort = |noun| SortBy { place: place(noun, "updated_at"), descending: true };
    for store in &stores().await {
        let (list, page) = (ListKey::of(&"plans"), PageRequest::default());
        let sort = (sort(Noun::Contact), sort(Noun::Deal));
        let of_contacts = Listing::new(n(1), store.db(), &contacts, &sort.0);
        let of_deals = Listing::new(n(1), store.db(), &deals, &sort.1);
        assert_eq!(of_contacts.choose::<Contact>(), Path::Probe(vec![&contacts]));
        for (table, statement) in [
            ("contacts", of_contacts.probe::<Contact>(&[&contacts])),
            ("contacts", of_contacts.statement::<Contact>(Some(&contacts), list, &page).unwrap().0),
            ("deals", of_deals.probe::<Deal>(&[&deals])),
            ("deals", of_deals.statement::<Deal>(Some(&deals), list, &page).unwrap().0),
        ] {
            let plan = explain(store, &sight::limit(store.db(), &sight, statement)).await;
            let by = ["assigned", "team", "nobodys"].map(|it| plan.contains(&format!("{table}_{it}")));
            assert!(by == [true; 3] && !plan.contains("Seq Scan"), "{table}:\n{plan}");
        }
    }
}

#[tokio::test]
async fn each_filter_with_an_index_leads_in_the_order_of_creation() {
    let stores = stores().await;
    let (contact, company) = (Noun::Contact, Noun::Company);
    let range = Bounds { gte: Some(at(100).to_value()), lt: Some(at(19_000).to_value()), ..Bounds::default() };
    let within = |noun, name: &str| Filter::Test(place(noun, name), Is::Within(range.clone()));
    for (filter, sort, index) in [
        (equal(contact, "company_id", &n::<CompanyId>(3)), "created_at", "contacts_company"),
        (equal(contact, "team_id", &n::<TeamId>(3)), "created_at", "contacts_team"),
        (equal(contact, "pipeline_id", &n::<PipelineId>(1)), "created_at", "contacts_created"),
        (within(contact, "created_at"), "created_at", "contacts_created"),
        (within(contact, "updated_at"), "updated_at", "contacts_updated"),
        (text("source", "source1"), "name", "contacts_name"),
        (equal(contact, "assigned_to", &n::<UserId>(3)), "updated_at", "contacts_updated"),
    ] {
        for statement in listed::<Contact>(&filter, &place(contact, sort), None) {
            assert_plan(&stores, &format!("contacts {filter:?} by {sort}"), &statement, index).await;
        }
    }
    for (filter, sort, index) in [
        (equal(company, "domain", &"8.example".to_owned()), "created_at", "companies_domain"),
        (equal(company, "tags", &"common".to_owned()), "created_at", "companies_created"),
        (within(company, "updated_at"), "updated_at", "companies_updated"),
    ] {
        for statement in listed::<Company>(&filter, &place(company, sort), None) {
            assert_plan(&stores, &format!("companies {filter:?} by {sort}"), &statement, index).await;
        }
    }
}
