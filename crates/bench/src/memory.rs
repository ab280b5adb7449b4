//! The server's memory while a thousand Socket.IO clients listen and two hundred requests a second come in.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use dealwright_peers::SocketIoClient;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    cpu,
    figure::{Aim, Report},
    http::Caller,
    place::Place,
    seed,
};

const CLIENTS: u32 = 1000;
const REQUESTS: u32 = 200;
/// Of so many requests one writes, and all clients hear of it.
const ONE_WRITE_IN: usize = 20;

pub async fn measure(report: &mut Report, place: Place, program: &Path, minutes: f64) -> Result<()> {
    let seed::Seeded { place, world, .. } = seed::seeded(place, 10_000).await?;
    drop(world);
    let server = place.serve(program, &[])?;
    let caller = Caller::sign_in(&server.url).await?;
    let made: serde_json::Value = serde_json::from_slice(&caller.create(0).await?)?;
    let contact = made["id"].as_str().context("a contact has an id")?.to_owned();
    // Beside the packages that the client needs.
    let beside = SocketIoClient::node()?.script;
    let script = beside.with_file_name("crowd.mjs");
    std::fs::write(&script, include_str!("../clients/crowd.mjs"))?;
    let mut crowd = Command::new("node");
    crowd.arg(script).args([&server.url, caller.token(), &CLIENTS.to_string()]);
    let mut crowd = crowd.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start node")?;
    let mut said = BufReader::new(crowd.stdout.take().context("node has no output")?).lines();
    ensure!(said.next().transpose()?.as_deref() == Some("ready"), "not all clients connected");

    let mut ticks = interval(Duration::from_secs(1) / REQUESTS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (start, lasting) = (Instant::now(), Duration::from_secs_f64(minutes * 60.0));
    let (mut samples, mut next, mut number) = (Vec::new(), start, 0_usize);
    let mut requests = tokio::task::JoinSet::new();
    while start.elapsed() < lasting {
        ticks.tick().await;
        number += 1;
        let (caller, contact) = (caller.clone(), contact.clone());
        requests.spawn(async move {
            match number.is_multiple_of(ONE_WRITE_IN) {
                true => caller.edit(&contact, number).await,
                false => caller.list().await,
            }
        });
        while let Some(done) = requests.try_join_next() {
            done??;
        }
        if Instant::now() >= next {
            samples.push(cpu::resident(server.pid())?);
            next += Duration::from_secs(5);
        }
    }
    while let Some(done) = requests.join_next().await {
        done??;
    }
    drop(crowd.stdin.take());
    let counts = said.next().transpose()?.context("the clients said nothing")?;
    crowd.wait()?;
    eprintln!("{number} requests; the clients: {counts}");
    let counts: serde_json::Value = serde_json::from_str(&counts)?;
    ensure!(counts["lost"] == 0 && counts["heard"].as_u64() > Some(0), "clients were cut off or heard nothing");
    let database = Some(place.database);
    let most = samples.iter().copied().fold(0.0, f64::max);
    // Flat: the last quarter holds no more than the second did.
    let quarter = samples.len() / 4;
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    let early = mean(samples.get(quarter..quarter * 2).unwrap_or_default());
    let late = mean(samples.get(samples.len() - quarter..).unwrap_or_default());
    let what = format!("{CLIENTS} Socket.IO clients, {REQUESTS} requests/s for {minutes} min");
    report.add(format!("most memory, {what}"), database, most, "MB", Some(Aim::AtMost(120.0)));
    report.add("memory, last quarter beside second quarter", database, late / early, "×", Some(Aim::AtMost(1.1)));
    Ok(())
}
