//! Events through rules to actions on SQLite: end to end, and with many rules beside those few that match.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    figure::{Aim, Report},
    place::{Clock, Database, Place, World},
};

const CONTACTS: usize = 10_000;
const BATCH: usize = 500;
const ROUNDS: usize = 3;

pub async fn measure(report: &mut Report) -> Result<()> {
    let database = Some("SQLite");
    let (mut rate, mut few, mut many) = (0.0_f64, f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        rate = rate.max(end_to_end().await?);
        few = few.min(with_rules(3).await?);
        many = many.min(with_rules(1000).await?);
    }
    report.add("event → rule → action, end to end", database, rate, "a second", Some(Aim::AtLeast(1500.0)));
    report.add("an event that 3 of 3 rules match", database, few * 1e6, "µs", None);
    report.add("an event that 3 of 1000 rules match", database, many * 1e6, "µs", None);
    report.add("1000 rules beside the 3 that match", database, many / few, "×", Some(Aim::AtMost(3.0)));
    Ok(())
}

fn rule(name: &str, source: &str) -> Value {
    json!({ "name": name, "trigger": "contact.created", "condition": { "contact.source": source },
        "action": { "add_tag": name } })
}

async fn make(world: &World, contacts: usize) -> Result<()> {
    for batch in 0..contacts / BATCH {
        let item = |number| json!({ "name": format!("Ada {batch} {number}"), "source": "web" });
        let items: Vec<_> = (0..BATCH).map(item).collect();
        let made = world.me.call("contacts.batch", json!({ "items": items })).await?;
        let items = made["items"].as_array().context("a batch answers its items")?;
        ensure!(items.iter().all(|item| item["status"] == "created"), "a batch failed: {made}");
    }
    Ok(())
}

/// Contacts are made while the loops run: events a second until the last one has been acted upon.
async fn end_to_end() -> Result<f64> {
    let place = Place::new(Database::Sqlite).await?;
    let world = World::over(&place, Clock::System).await?;
    world.me.call("rules.create", rule("seen", "web")).await?;
    let running = world.crm.runtime().start().await?;
    let start = Instant::now();
    make(&world, CONTACTS).await?;
    // Work is done in the order in which it came, but by several workers: all must be done, not the last one alone.
    while left(&world, "seen").await? > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = start.elapsed();
    running.stop().await;
    Ok(CONTACTS as f64 / took.as_secs_f64())
}

/// How many contacts, one at most, the rule has not acted upon.
async fn left(world: &World, tag: &str) -> Result<usize> {
    let untouched = json!({ "filter": { "not": { "tags": tag } }, "limit": 1 });
    let page = world.me.call("contacts.search", untouched).await?;
    Ok(page["data"].as_array().context("a list has data")?.len())
}

/// Seconds that an event takes when three rules match it and others do not.
async fn with_rules(rules: usize) -> Result<f64> {
    let place = Place::new(Database::Sqlite).await?;
    let world = World::over(&place, Clock::System).await?;
    for number in 0..rules {
        let source = if number < 3 { "web" } else { "elsewhere" };
        world.me.call("rules.create", rule(&format!("rule {number}"), source)).await?;
    }
    world.crm.runtime().drain().await?;
    make(&world, CONTACTS / 5).await?;
    let start = Instant::now();
    world.crm.runtime().drain().await?;
    let took = start.elapsed();
    ensure!(left(&world, "rule 2").await? == 0, "some were not acted upon");
    Ok(took.as_secs_f64() / (CONTACTS / 5) as f64)
}
