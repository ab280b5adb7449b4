//! Conversion rates.

use chrono::Duration;
use dealwright::services::analytics::{ConversionQuery, StageRate};

use crate::{
    cases,
    world::{World, noon, refused},
};

cases![
    each_stage_tells_how_contacts_went_through_it,
    only_entries_of_the_period_count,
    a_stage_that_nobody_entered_has_no_rate,
    a_period_that_ends_before_it_begins_is_refused,
];

async fn rates(world: &World, query: ConversionQuery) -> Vec<StageRate> {
    world.me.analytics().conversion_rates(query).await.unwrap().data
}

async fn each_stage_tells_how_contacts_went_through_it(world: World) {
    // Four leads; one is qualified after 10 s and won after 20 more, one is lost after 30, one skips to proposal after 40.
    let mut people = Vec::new();
    for name in ["Ada", "Ben", "Cleo", "Dan"] {
        people.push(world.me.contacts().create(named(name)).await.unwrap().id);
    }
    let at = |seconds: i64| world.clock.set(noon() + Duration::seconds(seconds - 1));
    at(10);
    world.go(people[0], world.stage("qualified").id).await;
    at(30);
    world.go(people[0], world.stage("won").id).await;
    world.clock.set(noon() + Duration::seconds(29));
    world.go(people[1], world.stage("lost").id).await;
    at(40);
    world.go(people[2], world.stage("proposal").id).await;
    let rates = rates(&world, ConversionQuery::default()).await;
    let line =
        |rate: &StageRate| (rate.name.clone(), rate.entered, rate.moved_on, rate.lost, rate.rate, rate.median_seconds);
    assert_eq!(
        rates.iter().map(line).collect::<Vec<_>>(),
        [
            ("lead".to_owned(), 4, 2, 1, Some(0.5), Some(30.0)),
            ("qualified".to_owned(), 1, 1, 0, Some(1.0), Some(20.0)),
            ("proposal".to_owned(), 1, 0, 0, Some(0.0), None),
            ("negotiation".to_owned(), 0, 0, 0, None, None),
            ("won".to_owned(), 1, 0, 0, Some(0.0), None),
            ("lost".to_owned(), 1, 0, 0, Some(0.0), None),
        ]
    );
}

fn named(name: &str) -> dealwright::services::contacts::NewContact {
    dealwright::services::contacts::NewContact { name: name.into(), ..Default::default() }
}

async fn only_entries_of_the_period_count(world: World) {
    let entered = async |query| rates(&world, query).await[0].entered;
    world.me.contacts().create(named("Ada")).await.unwrap();
    world.clock.set(noon() + Duration::days(80));
    world.me.contacts().create(named("Ben")).await.unwrap();
    assert_eq!(entered(ConversionQuery::default()).await, 2);
    world.clock.set(noon() + Duration::days(100));
    assert_eq!(entered(ConversionQuery::default()).await, 1);
    let day = |n| Some(noon() + Duration::days(n));
    assert_eq!(entered(ConversionQuery { from: day(0), to: day(80), ..Default::default() }).await, 1);
    assert_eq!(entered(ConversionQuery { from: day(1), to: day(80), ..Default::default() }).await, 0);
    assert_eq!(entered(ConversionQuery { to: day(81), ..Default::default() }).await, 2);
}

async fn a_stage_that_nobody_entered_has_no_rate(world: World) {
    let answer = world.me.analytics().conversion_rates(ConversionQuery::default()).await.unwrap();
    assert_eq!((answer.pipeline_id, answer.data.len()), (world.sales.pipeline.id, 6));
    assert_eq!(answer.to - answer.from, Duration::days(90));
    assert!(answer.data.iter().all(|rate| (rate.entered, rate.rate, rate.median_seconds) == (0, None, None)));
}

async fn a_period_that_ends_before_it_begins_is_refused(world: World) {
    let query = ConversionQuery { from: Some(noon()), to: Some(noon()), ..Default::default() };
    refused(world.me.analytics().conversion_rates(query).await, 400, "invalid_parameter");
    let query = ConversionQuery { pipeline_id: Some(world.env.id().unwrap()), ..Default::default() };
    refused(world.me.analytics().conversion_rates(query).await, 404, "not_found");
}
