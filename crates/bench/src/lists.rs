//! Pages of 50 with many contacts beside few: for every sort, filter and depth that is documented the one should take hardly
//! longer than the other.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dealwright::services::contacts::ListContacts;
use serde_json::{Value, json};

use crate::{
    figure::{Aim, Report},
    seed::Seeded,
};

/// Pages that are read for one figure; the tenth quickest counts.
const PAGES: usize = 100;
const SORTS: [&str; 5] = ["created_at", "updated_at", "name", "last_message_at", "score"];

pub async fn measure(report: &mut Report, few: &Seeded, many: &Seeded) -> Result<()> {
    let database = Some(many.place.database);
    let mut slowest: f64 = 0.0;
    for (name, few_input, many_input) in questions(few).into_iter().zip(questions(many)).map(|(a, b)| (a.0, a.1, b.1)) {
        let mut ratios = Vec::new();
        for deep in [false, true] {
            // In turns, so that whatever else the machine does falls on both.
            let few_input = at_depth(few, few_input.clone(), deep).await?;
            let many_input = at_depth(many, many_input.clone(), deep).await?;
            let (Some(few_input), Some(many_input)) = (few_input, many_input) else { continue };
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for _ in 0..PAGES {
                a.push(time(few, &few_input).await?);
                b.push(time(many, &many_input).await?);
            }
            let (a, b) = (tenth(a)?, tenth(b)?);
            ratios.push(b.as_secs_f64() / a.as_secs_f64());
            let name = format!("list 50, {name}{}", if deep { ", half-way" } else { "" });
            report.add(name, database, b.as_secs_f64() * 1e6, "µs", None);
        }
        let ratio = ratios.into_iter().fold(0.0, f64::max);
        let name = format!("list 50, {name}: {} contacts beside {}", many.contacts, few.contacts);
        report.add(name, database, ratio, "×", Some(Aim::AtMost(1.5)));
        slowest = slowest.max(ratio);
    }
    report.add("list 50: the worst of these", database, slowest, "×", Some(Aim::AtMost(1.5)));
    Ok(())
}

/// Every sort in both directions, every filter, and filters with sorts.
fn questions(seeded: &Seeded) -> Vec<(String, Value)> {
    let mut questions = Vec::new();
    for sort in SORTS {
        for sign in ["", "-"] {
            questions.push((format!("sort={sign}{sort}"), json!({ "sort": format!("{sign}{sort}") })));
        }
    }
    let stage = seeded.stages.first().map(|stage| stage.id);
    let filters = [
        ("stage_id", json!(stage)),
        ("assigned_to", json!(seeded.world.owner)),
        ("source", json!("web")),
        ("source", json!("nowhere")),
        ("tag", json!("vip")),
        ("tag", json!("partner")),
        ("tag", json!("rare")),
        ("tag", json!("nobody")),
    ];
    for (member, value) in filters {
        let told =
            if member.ends_with("id") || member == "assigned_to" { "…" } else { value.as_str().unwrap_or("…") };
        questions.push((format!("{member}={told}"), json!({ member: value })));
        for sort in ["-updated_at", "name", "-last_message_at", "-score"] {
            questions.push((format!("{member}={told}, sort={sort}"), json!({ member: value, "sort": sort })));
        }
    }
    questions.push(("email=…".to_owned(), json!({ "email": "person77@acme.example" })));
    let began = seeded.world.env.now();
    let range = json!({ "gte": began - chrono::Duration::seconds(900), "lt": began - chrono::Duration::seconds(100) });
    for member in ["created_at", "updated_at", "last_message_at"] {
        questions.push((format!("{member} in a range"), json!({ member: range })));
    }
    questions
}

/// The question for the first page, or for one half-way down the list; nothing where the list is too short for that.
async fn at_depth(seeded: &Seeded, mut question: Value, deep: bool) -> Result<Option<ListContacts>> {
    if deep {
        question["limit"] = json!(200);
        for _ in 0..(seeded.contacts / 400).clamp(1, 500) {
            let page = seeded.world.me.contacts().list(serde_json::from_value(question.clone())?).await?;
            let Some(cursor) = page.next_cursor else { break };
            question["cursor"] = json!(cursor);
        }
        if question.get("cursor").is_none() {
            return Ok(None);
        }
    }
    question["limit"] = json!(50);
    Ok(Some(serde_json::from_value(question)?))
}

async fn time(seeded: &Seeded, input: &ListContacts) -> Result<Duration> {
    let input = input.clone();
    let start = Instant::now();
    seeded.world.me.contacts().list(input).await?;
    Ok(start.elapsed())
}

fn tenth(mut times: Vec<Duration>) -> Result<Duration> {
    times.sort();
    times.get(times.len() / 10).copied().context("nothing was timed")
}
