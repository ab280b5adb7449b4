//! Pages of 50 with many contacts beside few: for every sort, filter and depth that is documented the one should take hardly
//! longer than the other.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dealwright::{
    scope::{Scope, Sight},
    services::contacts::ListContacts,
};
use serde_json::{Value, json};

use crate::{
    figure::{Aim, Report},
    seed::Seeded,
};

/// Pages that are read for one figure; the tenth quickest counts.
const PAGES: usize = 100;
/// How far down a filtered list it is looked.
const FILTERED: usize = 20_000;
const SORTS: [&str; 5] = ["created_at", "updated_at", "name", "last_message_at", "score"];

pub async fn measure(report: &mut Report, few: &Seeded, many: &Seeded) -> Result<()> {
    let database = Some(many.place.database);
    let mut slowest: f64 = 0.0;
    for (name, few_input, many_input) in questions(few).into_iter().zip(questions(many)).map(|(a, b)| (a.0, a.1, b.1)) {
        let mut ratios = Vec::new();
        for deep in [false, true] {
            let (few_input, _) = at_depth(few, few_input.clone(), deep).await?;
            let (many_input, depth) = at_depth(many, many_input.clone(), deep).await?;
            if deep && depth == 0 {
                continue;
            }
            let (mut a, mut b, mut full) = (Vec::new(), Vec::new(), true);
            for _ in 0..PAGES {
                // In turns, so that whatever else the machine does falls on both.
                let (few_took, few_rows) = time(few, &few_input).await?;
                let (many_took, many_rows) = time(many, &many_input).await?;
                a.push(few_took);
                b.push(many_took);
                full &= few_rows == many_rows;
            }
            let (a, b) = (tenth(a)?, tenth(b)?);
            // A page of fewer rows costs less for that alone.
            ratios.extend(full.then(|| b.as_secs_f64() / a.as_secs_f64()));
            let name = format!("list 50, {name}{}", if deep { format!(", {depth} rows deep") } else { String::new() });
            report.add(name, database, b.as_secs_f64() * 1e6, "µs", None);
        }
        let Some(ratio) = ratios.into_iter().reduce(f64::max) else { continue };
        let name = format!("list 50, {name}: {} contacts beside {}", many.contacts, few.contacts);
        report.add(name, database, ratio, "×", Some(Aim::AtMost(1.5)));
        slowest = slowest.max(ratio);
    }
    report.add("list 50: the worst of these", database, slowest, "×", Some(Aim::AtMost(1.5)));
    in_sight(report, many).await
}

/// What members wait for who see some records alone: half of all, and next to none. Beside it what it takes without a limit.
async fn in_sight(report: &mut Report, many: &Seeded) -> Result<()> {
    let database = Some(many.place.database);
    let own = |user| Sight::Limited { user, teams: [].into() };
    let (half, few) = (own(many.world.owner), own(many.world.env.id()?));
    let pipeline = many.stages.first().map(|stage| stage.pipeline_id);
    for (seen, sight) in [("all", Sight::Organization), ("half", half), ("next to none", few)] {
        let asks = many.world.crm.with_scope(Scope { sight, ..many.world.me.scope().clone() });
        for (operation, input) in [
            ("contacts.list", json!({})),
            ("contacts.list", json!({ "sort": "name" })),
            ("contacts.list", json!({ "tag": "vip" })),
            ("pipelines.board", json!({ "pipeline_id": pipeline })),
        ] {
            let mut times = Vec::new();
            for _ in 0..20 {
                let start = Instant::now();
                asks.call(operation, input.clone()).await?;
                times.push(start.elapsed());
            }
            let name = format!("{operation} {input}, {seen} in sight");
            report.add(name, database, tenth(times)?.as_secs_f64() * 1e6, "µs", None);
        }
    }
    Ok(())
}

/// Every sort in both directions, every filter, and filters with sorts.
fn questions(seeded: &Seeded) -> Vec<(String, Value)> {
    let mut questions = Vec::new();
    for sort in SORTS.into_iter().chain(["custom.size"]) {
        for sign in ["", "-"] {
            questions.push((format!("sort={sign}{sort}"), json!({ "sort": format!("{sign}{sort}") })));
        }
    }
    let stage = seeded.stages.first();
    let filters = [
        ("stage_id", json!(stage.map(|stage| stage.id))),
        ("pipeline_id", json!(stage.map(|stage| stage.pipeline_id))),
        ("team_id", json!(seeded.team)),
        ("company_id", json!(seeded.company)),
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
    questions.push(("phone=…".to_owned(), json!({ "phone": "+14150000077" })));
    questions.push(("custom.size=5".to_owned(), json!({ "custom": { "size": 5 } })));
    questions.push(("custom.size[gte]=15".to_owned(), json!({ "custom": { "size": { "gte": 15 } } })));
    let began = seeded.world.env.now();
    let range = json!({ "gte": began - chrono::Duration::seconds(900), "lt": began - chrono::Duration::seconds(100) });
    for member in ["created_at", "updated_at", "last_message_at"] {
        questions.push((format!("{member} in a range"), json!({ member: range })));
    }
    questions
}

/// The question for the first page, or for one down the list, and how many rows stand before it: half of them, but where a
/// filter makes the way there long.
async fn at_depth(seeded: &Seeded, mut question: Value, deep: bool) -> Result<(ListContacts, usize)> {
    let mut depth = 0;
    if deep {
        let sorted_only = question.as_object().is_some_and(|it| it.keys().all(|name| name == "sort"));
        let most = if sorted_only { seeded.contacts / 2 } else { (seeded.contacts / 2).min(FILTERED) };
        question["limit"] = json!(200);
        while depth + 200 <= most {
            let page = seeded.world.me.contacts().list(serde_json::from_value(question.clone())?).await?;
            let Some(cursor) = page.next_cursor else { break };
            question["cursor"] = json!(cursor);
            depth += 200;
        }
    }
    question["limit"] = json!(50);
    Ok((serde_json::from_value(question)?, depth))
}

/// How long a page takes, and how many rows it has.
async fn time(seeded: &Seeded, input: &ListContacts) -> Result<(Duration, usize)> {
    let input = input.clone();
    let start = Instant::now();
    let page = seeded.world.me.contacts().list(input).await?;
    Ok((start.elapsed(), page.data.len()))
}

fn tenth(mut times: Vec<Duration>) -> Result<Duration> {
    times.sort();
    times.get(times.len() / 10).copied().context("nothing was timed")
}
