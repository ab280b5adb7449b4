#![doc = "The server's binary: reads the settings and does what they say."]

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};
use dealwright::{
    Crm,
    env::Env,
    id::OrganizationId,
    services::vault::Rotated,
    store::sql::{Finding, Level, SqlStore, migrate},
};
use dealwright_server::{
    config::{self, Config, Task},
    doctor, metrics, serve, setup,
};
use tracing::Metadata;
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// A page of contacts is some thousand small allocations, made on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<()> {
    let (task, texts) = config::read(std::env::args_os().collect(), variable)?;
    let config = Config::new(&texts)?;
    log(&config)?;
    // A second provider would be a defect of the build; the first one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match task {
        Task::Serve => {
            config.check_listen()?;
            let recorded = config.metrics_listen.is_some().then(metrics::install).transpose()?;
            serve::serve(setup::engine(&config).await?, &config, recorded).await
        }
        Task::Migrate { app_role } => {
            let new = migrate(&config.database, &app_role, &setup::store_options(&config)).await?;
            match new.as_slice() {
                [] => println!("the database is up to date"),
                new => println!("applied {}", new.join(", ")),
            }
            Ok(())
        }
        Task::Doctor => doctor(&config).await,
        Task::RotateKeys { data } => rotate_keys(&config, data).await,
        Task::AuditVerify { organization } => audit_verify(&config, organization.as_deref()).await,
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads variables")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn log(config: &Config) -> Result<()> {
    let filter = EnvFilter::try_new(&config.log_level)
        .with_context(|| format!("log_level is {:?}: a level such as info is expected", config.log_level))?;
    let subscriber = tracing_subscriber::registry().with(filter).with(filter_fn(keeps_secrets));
    // To standard error, so that standard output is the commands' own.
    match config.log_json {
        true => subscriber.with(fmt::layer().json().with_writer(std::io::stderr)).init(),
        false => subscriber.with(fmt::layer().with_writer(std::io::stderr)).init(),
    }
    Ok(())
}

/// Tracing of the IMAP client shows what it sends: whole commands, passwords among them. That of PostgreSQL's shows what is
/// written: every value, what people write to each other and the hashes of their secrets among them.
fn keeps_secrets(line: &Metadata<'_>) -> bool {
    match line.target() {
        target if target.starts_with("async_imap") => *line.level() < tracing::Level::TRACE,
        target if target.starts_with("tokio_postgres") => *line.level() < tracing::Level::DEBUG,
        _ => true,
    }
}

/// Tells everything that it looked at, and fails if something must be put right.
async fn doctor(config: &Config) -> Result<()> {
    let mut findings = doctor::examine(config);
    let file = config.database.strip_prefix("sqlite://");
    if let Some(file) = file.filter(|file| !Path::new(file).exists()) {
        findings.push(Finding::fine("database", format!("there is no {file} yet: the server makes it when it starts")));
    } else {
        match SqlStore::examine(&config.database, setup::store_options(config), &Env::system()).await {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(Finding::broken("database", error.message())),
        }
        // Of a database that is none of ours nothing more can be said.
        if findings.iter().all(|it| it.level != Level::Broken || !["schema", "database"].contains(&it.subject)) {
            findings.extend(keys_of_secrets(config).await?);
        }
    }
    for finding in &findings {
        let level = match finding.level {
            Level::Fine => "fine",
            Level::Warning => "warning",
            Level::Broken => "BROKEN",
        };
        println!("{level:8} {}: {}", finding.subject, finding.sentence);
    }
    if findings.iter().any(|finding| finding.level == Level::Broken) {
        bail!("something is broken: see above");
    }
    Ok(())
}

async fn keys_of_secrets(config: &Config) -> Result<Vec<Finding>> {
    let masters = match config.secrets_key_file.exists() {
        true => match setup::master_keys(&config.secrets_key_file) {
            Ok(masters) => Some(masters),
            Err(error) => return Ok(vec![Finding::broken("key file", error.message())]),
        },
        false => None,
    };
    Ok(SqlStore::examine_keys(&config.database, setup::store_options(config), masters.as_ref()).await?)
}

/// Replaces keys of secrets, tells how far it is and which lines of the key file are needed no more, and fails if something
/// is left to be done.
async fn rotate_keys(config: &Config, data: bool) -> Result<()> {
    let opened = SqlStore::open(&config.database, setup::store_options(config)).await;
    let store = opened.context(
        "if a running server has the file open, tell that instead: SIGHUP for the master key, SIGUSR1 for data keys too",
    )?;
    let file = config.secrets_key_file.clone();
    let crm = Crm::builder().store(Arc::new(store)).read_keys(move || setup::master_keys(&file)).build().await?;
    let said = Mutex::new(crm.env().now());
    let tell = |done: &Rotated| {
        let (now, mut said) = (crm.env().now(), said.lock().unwrap_or_else(PoisonError::into_inner));
        if (now - *said).num_seconds() != 0 {
            *said = now;
            println!("{done}");
        }
    };
    let done = crm.secrets().rotate(data, tell).await?;
    println!("{done}");
    for id in &done.free {
        println!("nothing lies under the master key {id} any more: its line may be taken off the key file");
    }
    for what in &done.left {
        println!("LEFT     {what}");
    }
    if !done.left.is_empty() {
        bail!("something is left as it was: see above");
    }
    Ok(())
}

/// Walks the audit logs, tells how far each is sealed and sound, and fails if one was tampered with.
async fn audit_verify(config: &Config, organization: Option<&str>) -> Result<()> {
    let store = SqlStore::open(&config.database, setup::store_options(config)).await?;
    let crm = Crm::builder().store(Arc::new(store)).build().await?;
    let organizations = match organization {
        Some(id) => vec![crm.organizations().get(id.parse::<OrganizationId>()?).await?.id],
        None => crm.organizations().ids().await?,
    };
    let mut broken = false;
    for id in organizations {
        let found = crm.as_system(id).audit().verify(()).await?;
        let counts = format!("{} sealed, {} of them erased, {} waiting", found.sealed, found.cleared, found.waiting);
        match found.fault {
            None => println!("sound    {id}: {counts}, head {}", found.head.as_deref().unwrap_or("none yet")),
            Some(fault) => {
                broken = true;
                println!("BROKEN   {id}: {}; sound to {}; {counts}", fault.detail, found.sound_to);
            }
        }
    }
    if broken {
        bail!("an audit log was tampered with: see above");
    }
    Ok(())
}
