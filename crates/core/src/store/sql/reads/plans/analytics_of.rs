//! Boards and analytics.

use super::*;

#[tokio::test]
async fn boards_conversion_and_lookups_by_many_keys_use_their_indexes() {
    let stores = stores().await;
    let texts = |prefix: &str| (1..=100).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
    let identities: Vec<_> =
        texts("").into_iter().map(|it| (IdentityKind::Email, format!("{it}@example.org"))).collect();
    for (what, statement, indexes) in [
        ("counts", pipelines::counts(n(1), n(1)), &["contacts_stage"][..]),
        ("cards", pipelines::first_cards::<Contact>(n(1), &[n(3), n(4)], 20), &["contacts_stage_entered"]),
        ("deal cards", pipelines::first_cards::<Deal>(n(1), &[n(3), n(4)], 20), &["deals_stage_entered"]),
        (
            "external ids",
            fields::external_ids(n(1), Noun::Contact, &[("erp".into(), "7".into()), ("erp".into(), "8".into())]),
            &["external_ids_pkey", "SEARCH t USING PRIMARY KEY"],
        ),
        (
            "custom values",
            fields::custom_values(n(1), &[n(2), n(3)], "v1", 200),
            &["custom_values_pkey", "SEARCH t USING PRIMARY KEY"],
        ),
        ("references", messages::by_references(n(1), n(3), &texts("r")), &["messages_reference"]),
        ("load", people::load(n(1), &[n(6), n(7)]), &["contacts_assigned_stage", "contacts_assigned"]),
        ("teams of", people::teams_of(n(1), &[n(3), n(4)]), &["team_members_user"]),
        ("belongings", people::belongings(n(3)), &["memberships_user"]),
        ("preceding", messages::preceding(n(1), n(3), n(4), at(1)), &["messages_going"]),
        ("sent since", messages::sent_since(n(1), &[n(3), n(4)], at(39_000)), &["messages_sent"]),
    ] {
        assert_no_scan(&stores, what, &statement, indexes).await;
    }
    for store in &stores {
        let holders = contacts::holders(store.db(), n(1), &identities);
        let indexes =
            ["contact_identities_pkey", "SEARCH i USING PRIMARY KEY (organization_id=? AND kind=? AND value=?)"];
        assert_no_scan(std::slice::from_ref(store), "holders", &holders, &indexes).await;
    }
}

#[tokio::test]
async fn analytics_walk_ranges_of_indexes() {
    let stores = stores().await;
    let spans = || GroupBy::Spans((0..10).map(|it| Period { from: at(it * 20), to: at(it * 20 + 20) }).collect());
    let period = Period { from: at(100), to: at(300) };
    for (subject, index) in [(MoverKind::Contact, "stage_history_stage"), (MoverKind::Deal, "stage_history_deal_stage")]
    {
        for group_by in [None, Some(GroupBy::Owner), Some(GroupBy::Source), Some(spans())] {
            let all = ConversionFilter {
                pipeline: n(1),
                subject,
                period,
                assigned_to: None,
                team_id: None,
                source: None,
                group_by,
            };
            assert_no_scan(&stores, "conversion", &analytics::conversion(n(1), &all), &[index]).await;
            // Of some alone, either those are walked or the period is.
            let few = ["stage_history_contact", "stage_history_deal", index];
            for some in [
                ConversionFilter { assigned_to: Some(n(3)), ..all.clone() },
                ConversionFilter { team_id: Some(n(3)), ..all.clone() },
                ConversionFilter { source: Some("rare".into()), ..all },
            ] {
                assert_no_scan(&stores, "conversion of some", &analytics::conversion(n(1), &some), &few).await;
            }
        }
    }
    for group_by in [None, Some(GroupBy::Owner), Some(GroupBy::Source), Some(GroupBy::Month)] {
        let all = ValueFilter { group_by, ..ValueFilter::default() };
        let value = |filter| analytics::sums(n(1), n(1), &filter);
        let day = "2026-11-22".parse().ok();
        for (what, filter, index) in [
            ("value", all.clone(), "deals_value"),
            ("value of a period", ValueFilter { from: day, to: day, ..all.clone() }, "deals_value"),
            ("value of source", ValueFilter { source: Some("rare".into()), ..all.clone() }, "deals_value"),
            ("value of team", ValueFilter { team_id: Some(n(3)), ..all.clone() }, "deals_team"),
            ("value of user", ValueFilter { assigned_to: Some(n(3)), ..all }, "deals_assigned"),
        ] {
            assert_no_scan(&stores, what, &value(filter), &[index]).await;
        }
    }
    let work = WorkFilter { period, user_id: None, team_id: None };
    for filter in
        [WorkFilter { user_id: Some(n(3)), ..work.clone() }, WorkFilter { team_id: Some(n(3)), ..work.clone() }, work]
    {
        let credits = ["SEARCH t USING PRIMARY KEY", "message_credits_pkey"];
        assert_no_scan(&stores, "messages", &analytics::messages(n(1), &filter), &credits).await;
        assert_no_scan(&stores, "waits", &analytics::waits(n(1), &filter), &credits).await;
        assert_no_scan(&stores, "won", &analytics::won(n(1), &filter), &["deals_closed"]).await;
    }
}
