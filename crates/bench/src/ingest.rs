//! Messages that come in over a hundred chats: each finds its contact and its chat, states its event and counts as unread.

use std::time::Instant;

use anyhow::{Result, ensure};
use dealwright::testkit::provider::message;
use serde_json::json;

use crate::{
    figure::{Aim, Report},
    place::{Clock, Place, World},
};

const CHATS: usize = 100;
/// What a provider hands over at once.
const TOGETHER: usize = 50;
const MESSAGES: usize = 20_000;
const ROUNDS: usize = 3;

pub async fn measure(report: &mut Report, place: Place) -> Result<()> {
    let world = World::over(&place, Clock::System).await?;
    let account = world.me.accounts().connect(world.provider.account("una@acme.example")).await?.account.account.id;
    let inbox = world.crm.inbox(world.organization, account).await?;
    let mut best: f64 = 0.0;
    let mut number = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..MESSAGES / TOGETHER {
            let messages = (0..TOGETHER).map(|_| {
                number += 1;
                let from = format!("person{}@globex.example", number % CHATS);
                message(&format!("m{number}"), &from, "What does it cost?", world.env.now()).into()
            });
            inbox.deliver(messages.collect(), json!(null)).await?;
        }
        best = best.max(MESSAGES as f64 / start.elapsed().as_secs_f64());
    }
    let chats = world.me.call("chats.list", json!({ "limit": 200 })).await?;
    let unread: i64 =
        chats["data"].as_array().into_iter().flatten().filter_map(|chat| chat["unread_count"].as_i64()).sum();
    ensure!(unread == (ROUNDS * MESSAGES) as i64, "{unread} messages are unread");
    let aim = if place.postgres.is_some() { 1500.0 } else { 3000.0 };
    let name = format!("messages taken in over {CHATS} chats, {TOGETHER} at once");
    report.add(name, Some(place.database), best, "a second", Some(Aim::AtLeast(aim)));
    Ok(())
}
