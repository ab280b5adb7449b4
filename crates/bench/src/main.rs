//! What the engine costs. Each measure is a file; a figure is printed when it is known, and all of them again as a table
//! and as JSON at the end. Rates swing on a machine that others use too, so each figure is the best of several rounds, and
//! what is compared with one another is measured in the same run.

#![expect(clippy::indexing_slicing, reason = "a JSON value answers null for what it does not have")]

mod auth;
mod cpu;
mod evaluate;
mod events;
mod figure;
mod forgetting;
mod http;
mod ingest;
mod library;
mod lists;
mod memory;
mod peers;
mod place;
mod seed;
mod ticks;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use crate::{figure::Report, place::Place};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// Contacts made through the library on SQLite, beside a bare insert
    Library,
    /// CPU a request over HTTP, on both databases
    Http,
    /// Knowing who asks, sign-ins beside argon2id alone, and what others notice of a flood of them, on both databases
    Auth,
    /// Lists of 50 with many contacts beside few, on both databases
    Lists,
    /// A tick of the scheduler with many contacts beside few, on both databases
    Ticks,
    /// Events through rules to actions, with many rules beside few
    Events,
    /// One evaluation of a declarative rule
    Evaluate,
    /// Messages that come in, on both databases
    Ingest,
    /// Somebody with many messages is erased, and as many messages grow too old, on both databases
    Forgetting,
    /// The server's memory under load
    Memory,
}

/// Measures what the engine costs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Options {
    /// Only these measures
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Measure>,
    /// Contacts in the large database of lists and ticks
    #[arg(long, default_value_t = 1_000_000)]
    contacts: usize,
    /// Contacts in the database that is asked over HTTP
    #[arg(long, default_value_t = 100_000)]
    http_contacts: usize,
    /// How long memory is watched
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Also run each bench_*.sh in this folder; each prints one JSON line last
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Where all figures are written as JSON
    #[arg(long, default_value = "target/bench.json", value_name = "FILE")]
    json: PathBuf,
    /// Only guesses passwords, at a server there
    #[arg(long, hide = true, value_name = "URL")]
    guess: Option<String>,
    /// The server's release binary
    #[arg(long, hide = true)]
    server: PathBuf,
    /// The bare insert's release binary
    #[arg(long, hide = true)]
    bare: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    // reqwest wants a TLS provider even where nobody speaks TLS; it is the first one here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let Some(url) = &options.guess {
        return auth::guess(url).await;
    }
    let wanted = |measure| options.only.is_empty() || options.only.contains(&measure);
    let mut report = Report::default();
    if wanted(Measure::Library) {
        library::measure(&mut report, &options.bare).await.context("library")?;
    }
    if wanted(Measure::Events) {
        events::measure(&mut report).await.context("events")?;
    }
    if wanted(Measure::Evaluate) {
        evaluate::measure(&mut report).context("evaluate")?;
    }
    for database in place::Database::BOTH {
        if wanted(Measure::Ingest) {
            ingest::measure(&mut report, Place::new(database).await?).await.context("ingest")?;
        }
        if wanted(Measure::Forgetting) {
            forgetting::measure(&mut report, Place::new(database).await?).await.context("forgetting")?;
        }
        if wanted(Measure::Http) {
            let place = Place::new(database).await?;
            http::measure(&mut report, place, &options.server, options.http_contacts).await.context("http")?;
        }
        if wanted(Measure::Auth) {
            auth::measure(&mut report, Place::new(database).await?, &options.server).await.context("auth")?;
        }
        if wanted(Measure::Lists) || wanted(Measure::Ticks) {
            // One large database serves both: most of the time goes into filling it.
            let (few, many) = (Place::new(database).await?, Place::new(database).await?);
            let few = seed::seeded(few, 1_000).await?;
            let many = seed::seeded(many, options.contacts).await?;
            if wanted(Measure::Lists) {
                lists::measure(&mut report, &few, &many).await.context("lists")?;
            }
            if wanted(Measure::Ticks) {
                ticks::measure(&mut report, &few, &many).await.context("ticks")?;
            }
        }
    }
    if wanted(Measure::Memory) {
        let place = Place::new(place::Database::Sqlite).await?;
        memory::measure(&mut report, place, &options.server, options.minutes).await.context("memory")?;
    }
    if let Some(folder) = &options.peers {
        peers::measure(&mut report, folder).context("peers")?;
    }
    report.finish(&options.json)
}
