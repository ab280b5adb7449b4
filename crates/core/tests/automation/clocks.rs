//! The clock jumps: nothing runs twice, nothing is lost, what happened keeps its order.

use chrono::Duration;
use dealwright::{
    domain::job::Lane,
    id::{Id, JobId},
    ports::store::WorkQueue,
};
use serde_json::{Value, json};

use crate::{
    cases,
    world::{World, noon},
};

cases! {
    a_timer_fires_once_however_the_clock_jumps,
    a_clock_that_is_set_back_delays_a_timer_and_loses_none,
    a_schedules_slot_comes_once_however_the_clock_jumps,
    what_happened_before_the_clock_was_set_back_is_told_at_once,
    what_was_in_hand_when_the_clock_was_set_back_comes_up_again,
}

fn waiting() -> Value {
    json!({ "name": "cold", "trigger": "time_elapsed", "condition": { "stage": "lead", "elapsed_hours": 24 },
            "actions": [{ "add_tag": "cold" }] })
}

impl World {
    /// Sets the clock forward or back, and does what is due then.
    async fn jump(&self, by: Duration) {
        self.clock.advance(by);
        self.settle().await;
    }
}

async fn a_timer_fires_once_however_the_clock_jumps(world: World) {
    let rule = world.rule(waiting()).await;
    let ada = world.settled("Ada").await;
    for (day, runs) in [(1, 0), (1, 1), (-1, 1), (-1, 1), (3, 1), (-2, 1), (1, 1)] {
        // A second short of a day at first, then past it.
        world.jump(Duration::days(day) - Duration::seconds(i64::from(runs == 0))).await;
        assert_eq!(world.outcomes(rule).await.len(), runs);
        world
            .me
            .call("contacts.update", json!({ "id": ada.id, "patch": { "source": format!("{day}") } }))
            .await
            .unwrap();
    }
    assert_eq!(world.contact_now(ada.id).await.tags, ["cold"]);
    let numbers: Vec<_> = world.events(ada.id).await.iter().map(|event| event.subject_seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>());
}

async fn a_clock_that_is_set_back_delays_a_timer_and_loses_none(world: World) {
    let rule = world.rule(waiting()).await;
    let ada = world.settled("Ada").await;
    world.jump(Duration::hours(23)).await;
    world.jump(-Duration::days(2)).await;
    // One who comes by the wrong clock is counted by it.
    let bob = world.settled("Bob").await;
    world.until(bob.stage_entered_at + Duration::hours(24)).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
    world.until(ada.stage_entered_at + Duration::hours(24) - Duration::seconds(1)).await;
    assert_eq!(world.outcomes(rule).await.len(), 1);
    world.until(ada.stage_entered_at + Duration::hours(24)).await;
    assert_eq!(world.outcomes(rule).await, ["applied", "applied"]);
}

async fn a_schedules_slot_comes_once_however_the_clock_jumps(world: World) {
    let rule = world
        .rule(json!({ "name": "daily", "trigger": { "on": "schedule", "cron": "0 9 * * *" },
                      "condition": { "stage": "lead" }, "actions": [{ "add_tag": "seen" }] }))
        .await;
    world.settled("Ada").await;
    let nine = noon() + Duration::hours(21);
    world.until(nine).await;
    assert_eq!(world.runs_of(rule).await.len(), 1);
    for back in [1, 10, 24 * 3] {
        world.jump(-Duration::hours(back)).await;
        world.jump(Duration::hours(back)).await;
        assert_eq!(world.runs_of(rule).await.len(), 1, "the slot that was, {back} hours back and again");
    }
    // Three slots that nobody was there for are one.
    world.jump(Duration::days(3)).await;
    assert_eq!(world.runs_of(rule).await.len(), 2);
    world.jump(-Duration::hours(1)).await;
    world.until(nine + Duration::days(4)).await;
    assert_eq!(world.runs_of(rule).await.len(), 3);
}

async fn what_happened_before_the_clock_was_set_back_is_told_at_once(world: World) {
    let rule = world
        .rule(json!({ "name": "new", "trigger": "contact.created", "condition": { "stage": "lead" },
                      "actions": [{ "add_tag": "new" }] }))
        .await;
    let ada = world.contact("Ada").await;
    world.jump(-Duration::days(1)).await;
    assert_eq!(
        (world.outcomes(rule).await, world.contact_now(ada.id).await.tags),
        (vec!["applied"], vec!["new".into()])
    );
    world.jump(Duration::days(1)).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn what_was_in_hand_when_the_clock_was_set_back_comes_up_again(world: World) {
    world.contact("Ada").await;
    let rule = world.rule(waiting()).await;
    // Planting the timers of those who are there is a job; its claim is taken and its owner dies.
    let (now, lease) = (world.env.now(), Duration::seconds(15));
    let somebody = world.env.id::<JobId>().unwrap().uuid();
    let held = world.store.claim(&[Lane::Job, Lane::Dispatch], somebody, now, lease, 99).await.unwrap();
    assert!(held.len() >= 2, "{held:?}");
    world.jump(-Duration::days(1)).await;
    world.later(16);
    world.settle().await;
    world.clock.set(now + Duration::hours(25));
    world.settle().await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}
