//! What it takes to forget: somebody who wrote a hundred thousand messages is erased, and as many grow too old.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use chrono::Duration;
use dealwright::testkit::provider::message;
use serde_json::{Value, json};

use crate::{
    figure::Report,
    place::{Clock, Place, World},
};

const MESSAGES: usize = 100_000;
/// What a provider hands over at once.
const TOGETHER: usize = 50;
const DAYS: i64 = 30;

pub async fn measure(report: &mut Report, place: Place) -> Result<()> {
    let world = World::over(&place, Clock::Manual).await?;
    let account = world.me.accounts().connect(world.provider.account("una@acme.example")).await?.account.account.id;
    let inbox = world.crm.inbox(world.organization, account).await?;
    let taken_in = async |from: &str| {
        for round in 0..MESSAGES / TOGETHER {
            let one =
                |number| message(&format!("{from} {round} {number}"), from, "What is it?", world.env.now()).into();
            inbox.deliver((0..TOGETHER).map(one).collect(), json!(null)).await?;
        }
        world.crm.runtime().drain().await
    };
    let mut report = |what: &str, seconds: f64| {
        report.add(format!("{what} {MESSAGES} messages"), Some(place.database), seconds, "s", None);
    };

    taken_in("ada@globex.example").await?;
    let found = world.me.call("contacts.list", json!({})).await?;
    let start = Instant::now();
    let job = world.me.call("contacts.erase", found["data"][0]["id"].clone()).await?;
    let done = settled(&world, || async { world.me.call("jobs.get", job["id"].clone()).await }).await?;
    report("erasing somebody with", start.elapsed().as_secs_f64());
    ensure!(done["state"] == "done", "the erasure did not end: {done}");

    taken_in("bea@globex.example").await?;
    world.me.call("retention.replace", json!({ "messages": DAYS, "runs": DAYS })).await?;
    world.crm.runtime().drain().await?;
    world.later(Duration::days(DAYS + 1));
    let start = Instant::now();
    let kept = settled(&world, || async { world.me.call("retention.get", Value::Null).await }).await?;
    report("clearing", start.elapsed().as_secs_f64());
    let cleared = kept["progress"][0]["cleared"].as_i64().context("the policy tells how much was cleared")?;
    ensure!(cleared >= MESSAGES as i64, "{cleared} rows were cleared");
    Ok(())
}

/// Does what is due, and what is due a little later; then what somebody answers.
async fn settled<F: Future<Output = dealwright::Result<Value>>>(world: &World, ask: impl Fn() -> F) -> Result<Value> {
    for _ in 0..3 {
        world.crm.runtime().drain().await?;
        world.later(Duration::seconds(61));
    }
    Ok(ask().await?)
}
