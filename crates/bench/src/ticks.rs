//! A tick of the scheduler: a hundred timers fall due, with many contacts, each third of which has a timer too, beside few.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::{
    figure::{Aim, Report},
    place::World,
    seed::Seeded,
};

const DUE: usize = 100;
const ROUNDS: usize = 5;

pub async fn measure(report: &mut Report, few: &Seeded, many: &Seeded) -> Result<()> {
    let (a, b) = (tick(&few.world).await?, tick(&many.world).await?);
    let database = Some(many.place.database);
    let name = format!("{DUE} timers due, {} contacts", many.contacts);
    report.add(name, database, b.as_secs_f64() * 1e3, "ms", None);
    let name = format!("{DUE} timers due, {} contacts beside {}", many.contacts, few.contacts);
    report.add(name, database, b.as_secs_f64() / a.as_secs_f64(), "×", Some(Aim::AtMost(2.0)));
    Ok(())
}

/// The quickest time in which all that is due is done.
async fn tick(world: &World) -> Result<Duration> {
    // A timer of every contact in its first stage, none of which is due.
    let idle = json!({ "name": "A year as a lead", "trigger": "time_elapsed",
        "condition": { "stage": "lead", "elapsed_hours": 24 * 365 }, "action": { "add_tag": "forgotten" } });
    world.me.call("rules.create", idle).await?;
    world.crm.runtime().drain().await?;
    let stages = json!([{ "name": "Waiting" }, { "name": "Reminded" }]);
    let pipeline = world.me.call("pipelines.create", json!({ "name": "Timed", "stages": stages })).await?;
    let (from, to) = (&pipeline["stages"][0]["id"], &pipeline["stages"][1]["id"]);
    let rule = json!({ "name": "A day in waiting", "trigger": "time_elapsed", "apply_to": "new",
        "condition": { "stage": from, "elapsed_hours": 24 }, "action": { "move_to_stage": to } });
    world.me.call("rules.create", rule).await?;
    let mut quickest = Duration::MAX;
    for round in 0..ROUNDS {
        let items: Vec<_> = (0..DUE).map(|number| json!({ "name": format!("Timed {round} {number}") })).collect();
        let made = world.me.call("contacts.batch", json!({ "items": items })).await?;
        for item in made["items"].as_array().context("a batch answers its items")? {
            world.me.call("contacts.move", json!({ "contact_id": item["id"], "stage_id": from })).await?;
        }
        world.crm.runtime().drain().await?;
        world.later(chrono::Duration::hours(25));
        let start = Instant::now();
        world.crm.runtime().drain().await?;
        quickest = quickest.min(start.elapsed());
        let moved = world.me.call("contacts.list", json!({ "stage_id": to, "limit": 200 })).await?;
        let moved = moved["data"].as_array().map_or(0, Vec::len);
        ensure!(moved == 200.min(DUE * (round + 1)), "{moved} contacts were moved");
    }
    Ok(quickest)
}
