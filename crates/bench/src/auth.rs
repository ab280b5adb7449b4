//! What it costs to know who asks: the part of it in a small call, sign-ins beside what argon2id alone takes, and what
//! others notice of somebody who guesses.

use std::{
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use futures::future::{join_all, try_join_all};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::{
    figure::{Aim, Report},
    http::{Caller, cost},
    place::{EMAIL, PASSWORD, Place},
    seed::{self, Seeded},
};

const CONTACTS: usize = 1_000;
const LASTING: Duration = Duration::from_secs(5);
/// As in `services/identity/passwords.rs`: KiB, passes, lanes, and how many at once.
const ARGON2: (u32, u32, u32) = (19_456, 2, 1);
const ARGON2_AT_ONCE: usize = 2;
/// Attempts of whoever guesses, and how many are under way at a time.
const ATTEMPTS: u32 = 10_000;
const GUESSING: usize = 16;

pub async fn measure(report: &mut Report, place: Place, program: &Path) -> Result<()> {
    let Seeded { place, world, .. } = seed::seeded(place, CONTACTS).await?;
    let database = Some(place.database);
    let known = authentication(&place, &world).await?;
    let contact = world.me.call("contacts.list", json!({ "limit": 1 })).await?["data"][0]["id"].clone();
    let path = format!("/api/crm/clients/{}", contact.as_str().context("there is no contact")?);
    // SQLite's file is one process's.
    drop(world);
    {
        let server = place.serve(program, &["--rate-limit-address", "off"])?;
        let caller = Caller::sign_in(&server.url).await?;
        let processes: Vec<u32> = place.postmaster()?.into_iter().chain([server.pid()]).collect();
        let get = cost(&processes, || caller.get(&path)).await?;
        report.add("answer a contact by id over HTTP, CPU", database, get, "ms", None);
        report.add("of it to know who asks and what they may", database, known / get, "×", Some(Aim::AtMost(0.1)));
        let (bare, ours) = (bare_argon2()?, sign_ins(&server.url).await?);
        report.add("sign-ins over HTTP", database, ours, "/s", None);
        report.add("sign-ins beside argon2id alone", database, ours / bare, "×", Some(Aim::AtLeast(0.9)));
    }
    let server = place.serve(program, &[])?;
    let caller = Caller::sign_in(&server.url).await?;
    let still = AtomicBool::new(true);
    let (quiet, ()) = futures::join!(latencies(&caller, &path, &still), async {
        tokio::time::sleep(LASTING).await;
        still.store(false, Ordering::Relaxed);
    });
    still.store(true, Ordering::Relaxed);
    let (besieged, guessed) = futures::join!(latencies(&caller, &path, &still), async {
        let guessed = guess_elsewhere(&server.url).await;
        still.store(false, Ordering::Relaxed);
        guessed
    });
    guessed?;
    let (quiet, besieged) = (quiet?, besieged?);
    for (what, of_a_hundred) in [("half", 50), ("99 of 100", 99)] {
        let part = quantile(&besieged, of_a_hundred) / quantile(&quiet, of_a_hundred);
        let name = format!("latency of a read ({what}) beside {ATTEMPTS} guesses of one address");
        report.add(name, database, part, "×", Some(Aim::AtMost(2.0)));
    }
    Ok(())
}

/// Milliseconds of CPU that it takes to make a scope of an access token, by this process and the database.
async fn authentication(place: &Place, world: &crate::place::World) -> Result<f64> {
    let given =
        dealwright::services::identity::SignIn { email: EMAIL.into(), password: PASSWORD.into(), totp_code: None };
    let token = world.crm.identity().sign_in(given).await?.access_token;
    let processes: Vec<u32> = place.postmaster()?.into_iter().chain([std::process::id()]).collect();
    cost(&processes, async || {
        world.crm.identity().authenticate(&token).await?;
        Ok(Vec::new())
    })
    .await
}

/// Passwords hashed a second on as many threads as the engine gives to it.
fn bare_argon2() -> Result<f64> {
    let (memory, passes, lanes) = ARGON2;
    let params = Params::new(memory, passes, lanes, None).map_err(|error| anyhow::anyhow!("{error}"))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (start, hashed) = (Instant::now(), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..ARGON2_AT_ONCE {
            scope.spawn(|| {
                while start.elapsed() < LASTING {
                    if argon2.hash_password_with_salt(PASSWORD.as_bytes(), b"sixteen bytes ok").is_ok() {
                        hashed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    Ok(f64::from(hashed.into_inner()) / start.elapsed().as_secs_f64())
}

/// Sign-ins a second of somebody who does nothing else, four at a time.
async fn sign_ins(url: &str) -> Result<f64> {
    let start = Instant::now();
    let http = Client::new();
    let counts = try_join_all((0..4).map(|_| async {
        let mut count = 0_u32;
        while start.elapsed() < LASTING {
            Caller::sign_in_by(http.clone(), url).await?;
            count += 1;
        }
        Ok::<_, anyhow::Error>(count)
    }))
    .await?;
    Ok(f64::from(counts.iter().sum::<u32>()) / start.elapsed().as_secs_f64())
}

/// How long each read takes, in milliseconds, one after the other while `still` says so.
async fn latencies(caller: &Caller, path: &str, still: &AtomicBool) -> Result<Vec<f64>> {
    let mut all = Vec::new();
    while still.load(Ordering::Relaxed) {
        let start = Instant::now();
        caller.get(path).await?;
        all.push(start.elapsed().as_secs_f64() * 1e3);
        // A person, not a load.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    all.sort_by(f64::total_cmp);
    ensure!(all.len() >= 20, "only {} reads were measured", all.len());
    Ok(all)
}

fn quantile(sorted: &[f64], of_a_hundred: usize) -> f64 {
    sorted.get(sorted.len() * of_a_hundred / 100).copied().unwrap_or(f64::NAN)
}

/// Guesses from a process of its own that gives way to everybody else: whoever guesses does so on a machine of theirs, and
/// only what it does to the server is to be noticed.
async fn guess_elsewhere(url: &str) -> Result<()> {
    let mut command = Command::new("nice");
    command
        .args(["-n", "19"])
        .arg(std::env::current_exe()?)
        .args(["--guess", url, "--server", "none", "--bare", "none"]);
    let status = tokio::task::spawn_blocking(move || command.status()).await??;
    ensure!(status.success(), "the guesser ended with {status}");
    Ok(())
}

/// Tries to sign in with passwords that are none, to accounts that are there and that are not.
pub async fn guess(url: &str) -> Result<()> {
    let (http, next, refused) = (Client::new(), AtomicU32::new(0), AtomicU32::new(0));
    let answers: Vec<Result<()>> = join_all((0..GUESSING).map(|_| async {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= ATTEMPTS {
                return Ok(());
            }
            let email = if number % 2 == 0 { EMAIL.to_owned() } else { format!("guess{number}@acme.example") };
            let body: Value = json!({ "email": email, "password": format!("guess number {number}") });
            let status = http.post(format!("{url}/api/auth/signin")).json(&body).send().await?.status();
            ensure!(status.is_client_error(), "a guess was answered by {status}");
            refused.fetch_add(u32::from(status == StatusCode::TOO_MANY_REQUESTS), Ordering::Relaxed);
        }
    }))
    .await;
    answers.into_iter().collect::<Result<()>>()?;
    ensure!(refused.into_inner() > ATTEMPTS / 2, "most guesses were tried");
    Ok(())
}
