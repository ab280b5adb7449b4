//! What a request costs over HTTP: the CPU time of the server and of the database together, with 16 connections that are
//! kept open. What sends the requests is not counted.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    cpu,
    figure::{Aim, Report},
    place::{EMAIL, PASSWORD, Place},
    seed,
};

const CONNECTIONS: usize = 16;
const LASTING: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;
/// Processes that use less than a twentieth of a core for so long have nothing left to do.
const IDLE: Duration = Duration::from_millis(500);

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Caller {
    http: Client,
    url: String,
    token: String,
}

impl Caller {
    pub async fn sign_in(url: &str) -> Result<Self> {
        Self::sign_in_by(Client::new(), url).await
    }

    /// By a client that is there already: making one costs milliseconds.
    pub async fn sign_in_by(http: Client, url: &str) -> Result<Self> {
        let body = json!({ "email": EMAIL, "password": PASSWORD });
        let answer = http.post(format!("{url}/api/auth/signin")).json(&body).send().await?.error_for_status()?;
        let signed: Value = answer.json().await?;
        let token = signed["access_token"].as_str().context("no access token")?.to_owned();
        Ok(Self { http, url: url.to_owned(), token })
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>, expected: StatusCode) -> Result<Vec<u8>> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.bytes().await?;
        ensure!(status == expected, "{path} answered {status}: {}", String::from_utf8_lossy(&text));
        Ok(text.into())
    }

    /// Makes a contact; answers it as text.
    pub async fn create(&self, number: usize) -> Result<Vec<u8>> {
        let body = json!({ "name": format!("Ann Lee {number}"), "emails": [format!("http{number}@lee.example")],
            "phones": [format!("+1416{:07}", number % 10_000_000)], "source": "load", "tags": ["new"] });
        self.ask(Method::POST, "/api/crm/clients", Some(&body), StatusCode::CREATED).await
    }

    /// Edits a contact, which everybody in the organisation hears of.
    pub async fn edit(&self, id: &str, number: usize) -> Result<Vec<u8>> {
        let body = json!({ "source": format!("load {number}") });
        self.ask(Method::PATCH, &format!("/api/crm/clients/{id}"), Some(&body), StatusCode::OK).await
    }

    /// Answers what is at a path.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>> {
        self.ask(Method::GET, path, None, StatusCode::OK).await
    }

    pub async fn list(&self) -> Result<Vec<u8>> {
        self.get("/api/crm/clients?limit=50").await
    }
}

pub async fn measure(report: &mut Report, place: Place, program: &Path, contacts: usize) -> Result<()> {
    let seeded = seed::seeded(place, contacts).await?;
    let seed::Seeded { place, world, .. } = seeded;
    // SQLite's file is one process's.
    drop(world);
    let server = place.serve(program, &[])?;
    let caller = Caller::sign_in(&server.url).await?;
    let processes: Vec<u32> = place.postmaster()?.into_iter().chain([server.pid()]).collect();
    let (mut create, mut list) = (f64::MAX, f64::MAX);
    let number = AtomicUsize::new(0);
    for _ in 0..ROUNDS {
        list = list.min(cost(&processes, || caller.list()).await?);
        create = create.min(cost(&processes, || caller.create(number.fetch_add(1, Ordering::Relaxed))).await?);
    }
    let (at_most_create, at_most_list) = if place.postgres.is_some() { (0.35, 0.45) } else { (0.20, 0.30) };
    let database = Some(place.database);
    report.add("create a contact over HTTP, CPU", database, create, "ms", Some(Aim::AtMost(at_most_create)));
    let name = format!("list 50 of {contacts} contacts over HTTP, CPU");
    report.add(name, database, list, "ms", Some(Aim::AtMost(at_most_list)));
    report.add("memory of the server after it", database, cpu::resident(server.pid())?, "MB", None);
    Ok(())
}

/// Milliseconds of CPU that a request costs these processes.
pub async fn cost<F: Future<Output = Result<Vec<u8>>>>(processes: &[u32], request: impl Fn() -> F) -> Result<f64> {
    let (start, before) = (Instant::now(), cpu::seconds(processes)?);
    let counts = try_join_all((0..CONNECTIONS).map(|_| async {
        let mut count = 0_u32;
        while start.elapsed() < LASTING {
            request().await?;
            count += 1;
        }
        Ok::<_, anyhow::Error>(count)
    }))
    .await?;
    // What requests leave to be done belongs to them: until nobody does anything any more.
    let mut used = cpu::seconds(processes)? - before;
    loop {
        tokio::time::sleep(IDLE).await;
        let now = cpu::seconds(processes)? - before;
        if now - used < IDLE.as_secs_f64() * 0.05 {
            break;
        }
        used = now;
    }
    Ok(used * 1000.0 / f64::from(counts.iter().sum::<u32>()))
}
