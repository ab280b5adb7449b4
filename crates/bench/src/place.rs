//! Where it is measured: an empty database and an engine over it.

use std::sync::Arc;

use anyhow::{Context, Result};
use chrono::Duration;
use dealwright::{
    Crm, Handle, Registry,
    cipher::Cipher,
    env::{Env, ManualClock},
    id::{OrganizationId, UserId},
    services::identity::{NewOrganization, NewUser},
    store::sql::{SqlStore, StoreOptions, migrate},
    testkit::provider::Provider,
};
use dealwright_peers::{Postgres, free_port, product::Server};
use dealwright_rules::declarative::Declarative;
use tempfile::TempDir;

/// How the owner signs in.
pub const EMAIL: &str = "una@acme.example";
pub const PASSWORD: &str = "correct horse battery";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

impl Database {
    pub const BOTH: [Self; 2] = [Self::Sqlite, Self::Postgres];
}

/// An empty database: a file, or a PostgreSQL server of its own, so that its CPU time is nobody else's.
pub struct Place {
    pub database: &'static str,
    pub url: String,
    pub folder: TempDir,
    pub postgres: Option<Postgres>,
}

impl Place {
    pub async fn new(database: Database) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        match database {
            Database::Sqlite => {
                let url = format!("sqlite://{}", folder.path().join("crm.db").display());
                Ok(Self { database: "SQLite", url, folder, postgres: None })
            }
            Database::Postgres => {
                let postgres = Postgres::start()?;
                let urls = postgres.fresh_database("bench")?;
                migrate(&urls.owner, "crm_app", &StoreOptions::default()).await?;
                Ok(Self { database: "PostgreSQL", url: urls.app, folder, postgres: Some(postgres) })
            }
        }
    }

    /// The process of the database server, if it is one.
    pub fn postmaster(&self) -> Result<Option<u32>> {
        let Some(folder) = self.postgres.as_ref().and_then(Postgres::folder) else { return Ok(None) };
        let lines = std::fs::read_to_string(folder.join("data/postmaster.pid"))?;
        Ok(Some(lines.lines().next().context("postmaster.pid is empty")?.trim().parse()?))
    }

    /// Has PostgreSQL look at what is in the tables, as it does by itself after a while.
    pub fn analyze(&self) -> Result<()> {
        if let Some(postgres) = &self.postgres {
            let (_, database) = self.url.rsplit_once('/').context("the URL names no database")?;
            let (server, _) = postgres.superuser().rsplit_once('/').context("the URL names no database")?;
            dealwright_peers::psql(&format!("{server}/{database}"), "vacuum analyze")?;
        }
        Ok(())
    }

    /// The server's release binary over this database, with some settings more.
    pub fn serve(&self, program: &std::path::Path, more: &[&str]) -> Result<Server> {
        let port = free_port()?;
        let program = std::process::Command::new(program);
        let listen = ([127, 0, 0, 1], port.number).into();
        let data = self.folder.path().join("data");
        // One user asks as often as the machine can answer.
        let limits = ["--rate-limit-user", "off", "--rate-limit-organization", "off"];
        Server::start(program, listen, &self.url, &data, &[&["--log-level", "error"], limits.as_slice(), more].concat())
    }
}

/// An engine with one organisation in it.
pub struct World {
    pub crm: Crm,
    pub store: Arc<SqlStore>,
    pub provider: Provider,
    pub clock: ManualClock,
    pub env: Env,
    pub organization: OrganizationId,
    pub owner: UserId,
    pub me: Handle,
}

/// Which clock the engine goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    System,
    /// One that goes on only when told to.
    Manual,
}

impl World {
    pub async fn over(place: &Place, clock: Clock) -> Result<Self> {
        let store = Arc::new(SqlStore::open(&place.url, StoreOptions::default()).await?);
        let manual = ManualClock::at(Env::system().now());
        let env = match clock {
            Clock::System => Env::system(),
            Clock::Manual => Env::system().with_clock(manual.clone()),
        };
        let provider = Provider::new("email");
        let mut registry = Registry::new();
        registry.connector(provider.clone()).rule_engine(Declarative);
        let cipher = Cipher::from_key_file(&Cipher::new_key_file(&env)?)?;
        let crm =
            Crm::builder().store(store.clone()).env(env.clone()).registry(registry).cipher(cipher).build().await?;
        let owner = NewUser { email: EMAIL.to_owned(), name: "Una".to_owned(), password: Some(PASSWORD.to_owned()) };
        let made = crm.organizations().create(NewOrganization { name: "Acme".to_owned(), owner }).await?;
        let (organization, owner) = (made.organization.id, made.owner.id);
        let me = crm.as_user(organization, owner).await?;
        Ok(Self { crm, store, provider, clock: manual, env, organization, owner, me })
    }

    /// Lets time pass (only with a manual clock).
    pub fn later(&self, time: Duration) {
        self.clock.advance(time);
    }
}
