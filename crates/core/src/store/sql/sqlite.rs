//! SQLite: one thread that writes, some that read. The writer takes all commits that wait, up to a limit, into one
//! transaction: the cost of a small commit is its own, not that of the statements in it.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{Builder, JoinHandle},
    time::Duration,
};

use rusqlite::{
    Connection, OpenFlags, ToSql,
    types::{ToSqlOutput, ValueRef},
};
use tokio::sync::oneshot;

use crate::{
    error::{Error, Result},
    ports::store::{Row, Value},
    store::sql::{
        error::from_sqlite,
        script::{Outcome, Script},
        statement::Statement,
    },
};

/// How many waiting commits share a transaction.
const GROUP: usize = 64;
/// Pages in the write-ahead log before it is copied into the database: fewer cost syncs, more cost disk.
const CHECKPOINT_PAGES: u32 = 4000;
const CACHE_KIB: u32 = 64 * 1024;
const BUSY: Duration = Duration::from_secs(5);
const PREPARED: usize = 512;

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In memory, as long as the store lives.
    Memory,
    /// In a file.
    File(PathBuf),
}

/// How it is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) readers: usize,
    pub(crate) durable: bool,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;
type Reply = oneshot::Sender<Result<Vec<Row>>>;

enum Task {
    Write(Script, Reply),
    Run(Job),
}

/// An open database.
pub(crate) struct Sqlite {
    writer: Option<mpsc::Sender<Task>>,
    /// Nothing for a database in memory: there the writer reads too.
    readers: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Place {
    /// Reads `sqlite::memory:` or `sqlite://PATH`; nothing if it is a URL of something else.
    pub(crate) fn of(url: &str) -> Option<Result<Self>> {
        let rest = url.strip_prefix("sqlite:")?;
        let malformed = || {
            let wanted = "sqlite://PATH (relative without a leading slash, absolute with one) or sqlite::memory:";
            Error::invalid("/database", "invalid", format!("{url:?} names no SQLite database: write {wanted}"))
        };
        Some(match rest {
            ":memory:" | "//:memory:" => Ok(Self::Memory),
            _ => match rest.strip_prefix("//") {
                Some(path) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
                _ => Err(malformed()),
            },
        })
    }
}

impl Sqlite {
    /// Opens the database and runs `prepare` on it before anybody else.
    pub(crate) async fn open(
        place: Place,
        settings: Settings,
        prepare: impl FnOnce(&mut Connection) -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        blocking(move || {
            let lock = match &place {
                Place::Memory => None,
                Place::File(path) => Some(lock(path)?),
            };
            let mut connection = connect_writer(&place, settings)?;
            prepare(&mut connection)?;
            Self::start(&place, settings, connection, lock)
        })
        .await
    }

    /// Opens a database for reading alone, whoever else has it open.
    pub(crate) async fn look(place: Place) -> Result<Self> {
        let Place::File(path) = place else {
            let settings = Settings { readers: 1, durable: false };
            return Self::open(place, settings, |_| Ok(())).await;
        };
        blocking(move || {
            let (sender, queue) = mpsc::channel::<Job>();
            let connection = connect_reader(&path)?;
            let thread = spawn("dealwright-read", move || read_loop(connection, &Mutex::new(queue)))?;
            Ok(Self { writer: None, readers: Some(sender), threads: vec![thread] })
        })
        .await
    }

    fn start(place: &Place, settings: Settings, writer: Connection, lock: Option<File>) -> Result<Self> {
        let mut threads = Vec::new();
        let readers = match place {
            Place::Memory => None,
            Place::File(path) => {
                let (sender, queue) = mpsc::channel::<Job>();
                let queue = Arc::new(Mutex::new(queue));
                for _ in 0..settings.readers.max(1) {
                    let (connection, queue) = (connect_reader(path)?, queue.clone());
                    threads.push(spawn("dealwright-read", move || read_loop(connection, &queue))?);
                }
                Some(sender)
            }
        };
        let (sender, queue) = mpsc::channel();
        threads.push(spawn("dealwright-write", move || {
            write_loop(writer, &queue);
            drop(lock);
        })?);
        Ok(Self { writer: Some(sender), readers, threads })
    }

    /// Reads with one statement.
    pub(crate) async fn read(&self, statement: Statement) -> Result<Vec<Row>> {
        self.run(move |connection| Ok(run(connection, &statement)?.rows)).await
    }

    /// Runs something that only reads.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody waits any more: nothing to do.
            if !reply.is_closed() {
                let _ = reply.send(work(connection));
            }
        });
        let sent = match &self.readers {
            Some(readers) => readers.send(job).is_ok(),
            None => self.writer.as_ref().is_some_and(|writer| writer.send(Task::Run(job)).is_ok()),
        };
        if sent { answer.await.map_err(|_| ended())? } else { Err(ended()) }
    }

    /// Hands a script to the writer, which carries it out whether or not somebody waits for the answer.
    pub(crate) fn submit(&self, script: Script) -> oneshot::Receiver<Result<Vec<Row>>> {
        let (reply, answer) = oneshot::channel();
        if let Some(writer) = &self.writer {
            // A failed send drops `reply`, which the receiver notices.
            let _ = writer.send(Task::Write(script, reply));
        }
        answer
    }

    /// Carries out a script; the answer is that of its last statement.
    pub(crate) async fn write(&self, script: Script) -> Result<Vec<Row>> {
        answered(self.submit(script).await)
    }
}

/// What the writer answered; a reply that was dropped means that its thread has ended.
pub(crate) fn answered(answer: Result<Result<Vec<Row>>, oneshot::error::RecvError>) -> Result<Vec<Row>> {
    answer.map_err(|_| ended())?
}

impl Drop for Sqlite {
    /// Ends the threads after what was handed over, so that the file is closed once the store is gone.
    fn drop(&mut self) {
        self.writer = None;
        self.readers = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::internal("the thread that opens the database died").with_source(e))?
}

fn ended() -> Error {
    Error::unavailable("the database's thread has ended")
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let spawned = Builder::new().name(name.to_owned()).spawn(body);
    spawned.map_err(|e| Error::unavailable("the machine gives no thread for the database").with_source(e))
}

/// One process writes: a second writer's commits would be unknown to what the first one holds in memory.
fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&name).map_err(|e| {
        let place = path.display();
        Error::unavailable(format!("{place} cannot be opened ({e}): its folder must exist and be writable"))
            .with_source(e)
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::conflict(
            "database_in_use",
            format!("{} is already open by another process: end that first, or use PostgreSQL", path.display()),
        )),
        Err(TryLockError::Error(e)) => {
            Err(Error::unavailable(format!("{} cannot be locked: {e}", path.display())).with_source(e))
        }
    }
}

fn connect_writer(place: &Place, settings: Settings) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match place {
        Place::Memory => Connection::open_in_memory_with_flags(flags),
        Place::File(path) => Connection::open_with_flags(path, flags),
    }
    .map_err(from_sqlite)?;
    let synchronous = if settings.durable { "FULL" } else { "NORMAL" };
    configure(&connection)?;
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = ON; \
             PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA journal_size_limit = 67108864;"
        ))
        .map_err(from_sqlite)?;
    Ok(connection)
}

fn connect_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(from_sqlite)?;
    configure(&connection)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> Result<()> {
    connection.busy_timeout(BUSY).map_err(from_sqlite)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    connection
        .execute_batch(&format!("PRAGMA cache_size = -{CACHE_KIB}; PRAGMA temp_store = MEMORY;"))
        .map_err(from_sqlite)
}

fn read_loop(mut connection: Connection, queue: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        job(&mut connection);
    }
}

fn write_loop(mut connection: Connection, queue: &mpsc::Receiver<Task>) {
    let mut group = Vec::with_capacity(GROUP);
    while let Ok(first) = queue.recv() {
        let mut next = Some(first);
        while let Some(task) = next {
            match task {
                Task::Write(script, reply) => group.push((script, reply)),
                Task::Run(job) => {
                    write_group(&connection, &mut group);
                    job(&mut connection);
                }
            }
            next = if group.len() < GROUP { queue.try_recv().ok() } else { None };
        }
        write_group(&connection, &mut group);
    }
}

/// All scripts in one transaction. If one of them fails, all are rolled back and run again with a savepoint each, so that
/// it spoils none of the others; they are rarely wrong, and savepoints cost as much again as the scripts.
fn write_group(connection: &Connection, group: &mut Vec<(Script, Reply)>) {
    if group.is_empty() {
        return;
    }
    let results = match write_together(connection, group) {
        Err((_, error)) if group.len() == 1 => vec![Err(error)],
        Err((Fault::Script, _)) => write_apart(connection, group),
        Err((Fault::Transaction, error)) => group.iter().map(|_| Err(error.retold())).collect(),
        Ok(rows) => rows.into_iter().map(Ok).collect(),
    };
    for ((_, reply), result) in group.drain(..).zip(results) {
        let _ = reply.send(result);
    }
}

/// Whose fault it was.
enum Fault {
    Script,
    Transaction,
}

fn write_together(connection: &Connection, group: &[(Script, Reply)]) -> Result<Vec<Vec<Row>>, (Fault, Error)> {
    let transaction = |sql| execute(connection, sql).map_err(|e| (Fault::Transaction, e));
    transaction("BEGIN IMMEDIATE")?;
    let mut rows = Vec::with_capacity(group.len());
    for (script, _) in group {
        match run_script(connection, script) {
            Ok(answer) => rows.push(answer),
            Err(error) => {
                roll_back(connection);
                return Err((Fault::Script, error));
            }
        }
    }
    transaction("COMMIT").inspect_err(|_| roll_back(connection))?;
    Ok(rows)
}

fn write_apart(connection: &Connection, group: &[(Script, Reply)]) -> Vec<Result<Vec<Row>>> {
    let attempt = || {
        execute(connection, "BEGIN IMMEDIATE")?;
        let mut results = Vec::with_capacity(group.len());
        for (script, _) in group {
            execute(connection, "SAVEPOINT script")?;
            let result = run_script(connection, script);
            if result.is_err() {
                execute(connection, "ROLLBACK TO script")?;
            }
            execute(connection, "RELEASE script")?;
            results.push(result);
        }
        execute(connection, "COMMIT")?;
        Ok(results)
    };
    attempt().unwrap_or_else(|error: Error| {
        roll_back(connection);
        group.iter().map(|_| Err(error.retold())).collect()
    })
}

fn roll_back(connection: &Connection) {
    // Some errors (a full disk) have ended the transaction already.
    if !connection.is_autocommit()
        && let Err(error) = execute(connection, "ROLLBACK")
    {
        tracing::error!(%error, "a transaction could not be rolled back");
    }
}

fn execute(connection: &Connection, sql: &str) -> Result<()> {
    let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
    statement.raw_execute().map(drop).map_err(from_sqlite)
}

fn run_script(connection: &Connection, script: &Script) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for step in &script.steps {
        let outcome = run(connection, &step.statement)?;
        step.check.verify(outcome.count)?;
        rows = outcome.rows;
    }
    Ok(rows)
}

/// Runs one statement.
pub(crate) fn run(connection: &Connection, statement: &Statement) -> Result<Outcome> {
    let mut prepared = connection.prepare_cached(&statement.text).map_err(from_sqlite)?;
    if prepared.parameter_count() != statement.values.len() {
        return Err(Error::internal(format!(
            "a statement has {} placeholders and {} values: {}",
            prepared.parameter_count(),
            statement.values.len(),
            statement.text
        )));
    }
    for (place, value) in (1..).zip(&statement.values) {
        prepared.raw_bind_parameter(place, value).map_err(from_sqlite)?;
    }
    let columns = prepared.column_count();
    if columns == 0 {
        let count = prepared.raw_execute().map_err(from_sqlite)?;
        return Ok(Outcome { count: count as u64, rows: Vec::new() });
    }
    let mut answer = prepared.raw_query();
    let mut rows = Vec::new();
    while let Some(row) = answer.next().map_err(from_sqlite)? {
        let values = (0..columns).map(|place| row.get_ref(place).map_err(from_sqlite).and_then(value));
        rows.push(values.collect::<Result<Row>>()?);
    }
    Ok(Outcome { count: rows.len() as u64, rows })
}

fn value(value: ValueRef<'_>) -> Result<Value> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(
            String::from_utf8(text.to_vec())
                .map_err(|e| Error::internal("a text in the database is not UTF-8").with_source(e))?,
        ),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Bool(value) => ValueRef::Integer(i64::from(*value)),
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Uuid(value) => ValueRef::Blob(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}
