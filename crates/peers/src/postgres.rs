//! A PostgreSQL cluster of one's own: empty, quick (nothing is synced to disk), with an owner and an application role
//! that are ordinary users, so row-level security binds both.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash, Hasher},
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    install, machine,
    ports::{self, Port},
    process::{Folder, Launch, Server},
};

const SUPERUSER_PASSWORD: &str = "super";
const ROLES: &str = "\
create role crm_owner login password 'owner' nosuperuser nobypassrls createdb;
create role crm_app login password 'app' nosuperuser nobypassrls nocreatedb;
";
/// Nothing is synced to disk: only a crash of the machine could lose a commit, not one of the server, so tests may end the
/// server in the middle of their work. `synchronous_commit` therefore stays on.
const SETTINGS: [&str; 7] = [
    "fsync=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_connections=300",
    "shared_buffers=64MB",
    "listen_addresses=127.0.0.1",
];

/// The addresses of one database, by role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    /// For migrations: the role that owns the database and what is in it.
    pub owner: String,
    /// For the engine's work: an ordinary role, bound by row-level security.
    pub app: String,
}

/// A PostgreSQL server, ended when dropped and when the process dies.
#[derive(Debug)]
pub struct Postgres {
    superuser: String,
    /// Nothing when another process runs the server.
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    server: Mutex<Option<Server>>,
    user: Option<(u32, u32)>,
    bin: PathBuf,
    port: Port,
    folder: Folder,
}

impl Postgres {
    /// Starts a cluster on a free port.
    ///
    /// # Errors
    /// When PostgreSQL is missing and cannot be installed, or does not start.
    pub fn start() -> Result<Self> {
        install::postgres()?;
        let bin = bin_dir()?;
        let user = if machine::is_root()? { Some(machine::account("postgres")?) } else { None };
        let template = template(&bin, user)?;
        let folder = Folder::new("postgres")?;
        copy(&template, &folder.path().join("data"))?;
        let port = ports::free()?;
        let superuser = format!("postgres://postgres:{SUPERUSER_PASSWORD}@127.0.0.1:{}/postgres", port.number);
        let own = Own { server: Mutex::new(None), user, bin, port, folder };
        own.start()?;
        Ok(Self { superuser, own: Some(own) })
    }

    /// A server that another process runs, by its superuser's URL.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn attach(superuser: &str) -> Result<Self> {
        let attached = Self { superuser: superuser.to_owned(), own: None };
        attached.sql("select 1").with_context(|| format!("reach the PostgreSQL at {superuser}"))?;
        Ok(attached)
    }

    /// The superuser's URL, of the database `postgres`.
    pub fn superuser(&self) -> &str {
        &self.superuser
    }

    /// The folder of the server, unless another process runs it.
    pub fn folder(&self) -> Option<&Path> {
        self.own.as_ref().map(|own| own.folder.path())
    }

    /// Makes an empty database, owned by `crm_owner`. The name may hold lower-case letters, digits and `_`.
    ///
    /// # Errors
    /// When the name is taken or has other characters in it.
    pub fn create_database(&self, name: &str) -> Result<Urls> {
        check_name(name)?;
        self.sql(&format!("create database {name} owner crm_owner"))?;
        self.urls(name)
    }

    /// Makes an empty database whose name begins with `hint` and is used by nobody else: one for each test.
    ///
    /// # Errors
    /// As [`Postgres::create_database`].
    pub fn fresh_database(&self, hint: &str) -> Result<Urls> {
        let short: String = hint.chars().take(40).collect();
        self.create_database(&format!("{short}_{}", machine::random_hex::<6>()?))
    }

    /// Removes a database, ending the sessions in it.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn drop_database(&self, name: &str) -> Result<()> {
        check_name(name)?;
        self.sql(&format!("drop database {name} with (force)")).map(drop)
    }

    /// Runs SQL as superuser in the database `postgres`; the rows come back as `psql -At` prints them.
    ///
    /// # Errors
    /// With PostgreSQL's own words when a statement fails.
    pub fn sql(&self, sql: &str) -> Result<String> {
        psql(&self.superuser, sql)
    }

    /// Ends the server at once, as a crash would; the data stay.
    ///
    /// # Errors
    /// When another process runs the server.
    pub fn stop(&self) -> Result<()> {
        let ended = self.own()?.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(ended);
        Ok(())
    }

    /// Starts the server again after [`Postgres::stop`], on the same port with the same data.
    ///
    /// # Errors
    /// When another process runs the server, or it does not start.
    pub fn start_again(&self) -> Result<()> {
        self.own()?.start()
    }

    fn own(&self) -> Result<&Own> {
        self.own.as_ref().context("this PostgreSQL is shared: only one from Postgres::start() can be stopped")
    }

    fn urls(&self, database: &str) -> Result<Urls> {
        let address = self.superuser.rsplit_once('@').and_then(|(_, rest)| rest.split('/').next());
        let address = address.with_context(|| format!("no host in the URL {}", self.superuser))?;
        Ok(Urls {
            owner: format!("postgres://crm_owner:owner@{address}/{database}"),
            app: format!("postgres://crm_app:app@{address}/{database}"),
        })
    }
}

impl Own {
    fn start(&self) -> Result<()> {
        let mut running = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_some() {
            return Ok(());
        }
        let mut command = vec![self.bin.join("postgres").display().to_string(), "-D".into(), self.folder.at("data")];
        command.extend(["-p".into(), self.port.number.to_string(), "-k".into(), String::new()]);
        command.extend(SETTINGS.iter().flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]));
        // SIGQUIT: no checkpoint, no waiting for sessions.
        let launch = Launch { name: "postgres", command, user: self.user, signal: "QUIT", folder: &self.folder };
        let mut server = Server::start(launch)?;
        let port = self.port.number.to_string();
        let is_ready = self.bin.join("pg_isready");
        server.wait_until(|| {
            let mut ask = Command::new(&is_ready);
            ask.args(["-q", "-h", "127.0.0.1", "-d", "postgres", "-p", &port]);
            ask.status().is_ok_and(|status| status.success())
        })?;
        *running = Some(server);
        Ok(())
    }
}

/// Runs SQL at `url`; the rows come back as `psql -At` prints them.
///
/// # Errors
/// With PostgreSQL's own words when a statement fails.
pub fn psql(url: &str, sql: &str) -> Result<String> {
    let mut psql = Command::new(bin_dir()?.join("psql"));
    psql.args(["-qXAt", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]).stdin(Stdio::null());
    Ok(machine::output(&mut psql)?.trim_end().to_owned())
}

/// Everything that a database holds, as `pg_dump` prints it for `url`, who must be allowed to see it all.
///
/// # Errors
/// With PostgreSQL's own words when it does not.
pub fn pg_dump(url: &str) -> Result<String> {
    machine::output(Command::new(bin_dir()?.join("pg_dump")).args(["--inserts", "-d", url]).stdin(Stdio::null()))
}

fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    ensure!(
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fits) && name.len() < 64,
        "database name {name:?}: use 1 to 63 lower-case letters, digits and _, a letter first"
    );
    Ok(())
}

/// The newest PostgreSQL in Debian's layout, 15 or later.
pub(crate) fn bin_dir() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter(|entry| entry.path().join("bin/initdb").exists())
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max();
    match newest {
        Some(version @ 15..) => Ok(format!("/usr/lib/postgresql/{version}/bin").into()),
        Some(version) => bail!("PostgreSQL {version} is too old: install postgresql-15 or later"),
        None => bail!("no PostgreSQL server in /usr/lib/postgresql"),
    }
}

/// A cluster that was never started, kept between runs: copying it takes a tenth of the time of `initdb`.
fn template(bin: &Path, user: Option<(u32, u32)>) -> Result<PathBuf> {
    let version = machine::output(Command::new(bin.join("postgres")).arg("--version"))?;
    let mut recipe = DefaultHasher::new();
    (version, ROLES, SUPERUSER_PASSWORD, user, machine::current_user()?).hash(&mut recipe);
    let cache = machine::cache_dir()?;
    let template = cache.join(format!("postgres-{:016x}", recipe.finish()));
    let _one_at_a_time = machine::lock(&cache.join("postgres.lock"))?;
    if template.exists() {
        return Ok(template);
    }
    let folder = Folder::new("initdb")?;
    let (data, password) = (folder.at("data"), folder.at("password"));
    fs::write(&password, SUPERUSER_PASSWORD)?;
    if let Some((uid, gid)) = user {
        chown(folder.path(), Some(uid), Some(gid))?;
    }
    let initdb = [bin.join("initdb").display().to_string(), "-D".into(), data.clone(), "-U".into(), "postgres".into()];
    let options = ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--pwfile", &password];
    let initdb: Vec<&str> = initdb.iter().map(String::as_str).chain(options).collect();
    run_as(user, folder.path(), &initdb, "")?;
    let postgres = bin.join("postgres").display().to_string();
    run_as(user, folder.path(), &[&postgres, "--single", "-D", &data, "-c", "fsync=off", "postgres"], ROLES)?;
    // A crash in the middle of the copy must not leave half a template under the final name.
    let half = template.with_extension("half");
    if half.exists() {
        fs::remove_dir_all(&half)?;
    }
    copy(Path::new(&data), &half)?;
    fs::rename(&half, &template).context("keep the PostgreSQL template")?;
    Ok(template)
}

fn run_as(user: Option<(u32, u32)>, dir: &Path, command: &[&str], input: &str) -> Result<()> {
    use std::{io::Write, os::unix::process::CommandExt};
    let (program, args) = command.split_first().context("no program")?;
    let mut run = Command::new(program);
    run.args(args).current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some((uid, gid)) = user {
        run.uid(uid).gid(gid);
    }
    let mut child = run.spawn().with_context(|| format!("run {program}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let done = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    // `postgres --single` reports a failed statement and still ends well.
    ensure!(done.status.success() && !said.contains("ERROR"), "{program} failed ({}): {said}", done.status);
    Ok(())
}

/// Copies a cluster with its owners and modes.
fn copy(from: &Path, to: &Path) -> Result<()> {
    machine::output(Command::new("cp").args(["-a", "--reflink=auto", "--"]).arg(from).arg(to)).map(drop)
}
