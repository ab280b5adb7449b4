//! SQLite: one thread that writes, some that read. The writer takes all commits that wait, up to a limit, into one
//! transaction: the cost of a small commit is its own, not that of the statements in it.

mod statements;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

use rusqlite::{
    Connection, OpenFlags,
    config::DbConfig,
    functions::{Context, FunctionFlags},
    types::{Value as Raw, ValueRef},
};
use tokio::sync::oneshot;

pub(crate) use self::statements::run;
use self::writer::write_loop;
use crate::{
    domain::text,
    error::{Error, Result},
    ports::store::Row,
    store::sql::{error::from_sqlite, script::Script, statement::Statement},
};

/// Pages in the write-ahead log before it is copied into the database: fewer cost syncs, more cost disk.
const CHECKPOINT_PAGES: u32 = 4000;
/// Cache of the writer, which goes through every index, and of each reader.
const CACHE_KIB: u32 = 64 * 1024;
const READER_CACHE_KIB: u32 = 16 * 1024;
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
    readers: Option<crossbeam_channel::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    /// Counts commits that change seats; nothing where somebody else writes.
    seats: Option<Arc<AtomicU64>>,
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
            let (sender, queue) = crossbeam_channel::unbounded::<Job>();
            let connection = connect_reader(&path)?;
            let thread = spawn("dealwright-read", move || read_loop(connection, &queue))?;
            Ok(Self { writer: None, readers: Some(sender), threads: vec![thread], seats: None })
        })
        .await
    }

    fn start(place: &Place, settings: Settings, writer: Connection, lock: Option<File>) -> Result<Self> {
        let mut threads = Vec::new();
        let readers = match place {
            Place::Memory => None,
            Place::File(path) => {
                // A channel of many receivers: a job wakes one reader and nobody else.
                let (sender, queue) = crossbeam_channel::unbounded::<Job>();
                for _ in 0..settings.readers.max(1) {
                    let (connection, queue) = (connect_reader(path)?, queue.clone());
                    threads.push(spawn("dealwright-read", move || read_loop(connection, &queue))?);
                }
                Some(sender)
            }
        };
        let (sender, queue) = mpsc::channel();
        let seats = Arc::new(AtomicU64::new(0));
        let counted = seats.clone();
        threads.push(spawn("dealwright-write", move || {
            write_loop(writer, &queue, &counted);
            drop(lock);
        })?);
        Ok(Self { writer: Some(sender), readers, threads, seats: Some(seats) })
    }

    /// How often seats were changed.
    pub(crate) fn seats_epoch(&self) -> Option<u64> {
        self.seats.as_ref().map(|seats| seats.load(Ordering::SeqCst))
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

    /// Copies the write-ahead log into the database and empties it: earlier states of rows are no longer on the disk.
    ///
    /// # Errors
    /// `unavailable` if readers have been in the way for too long.
    pub(crate) async fn truncate_log(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
            let _ = reply.send(busy.map_err(from_sqlite));
        });
        let sent = self.writer.as_ref().is_some_and(|writer| writer.send(Task::Run(job)).is_ok());
        if !sent {
            return Err(ended());
        }
        match answer.await.map_err(|_| ended())?? {
            0 => Ok(()),
            _ => Err(Error::unavailable("the write-ahead log is being read and cannot be emptied yet")),
        }
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
    configure(&connection, CACHE_KIB)?;
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = ON; \
             PRAGMA secure_delete = ON; \
             PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA journal_size_limit = 67108864;"
        ))
        .map_err(from_sqlite)?;
    Ok(connection)
}

fn connect_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(from_sqlite)?;
    configure(&connection, READER_CACHE_KIB)?;
    Ok(connection)
}

fn configure(connection: &Connection, cache_kib: u32) -> Result<()> {
    connection.busy_timeout(BUSY).map_err(from_sqlite)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    // Plans do not look at the values that are bound: otherwise most statements were prepared anew at each run.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(from_sqlite)?;
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("folded", 1, pure, |call| folded(call)).map_err(from_sqlite)?;
    connection
        .execute_batch(&format!("PRAGMA cache_size = -{cache_kib}; PRAGMA temp_store = MEMORY;"))
        .map_err(from_sqlite)
}

/// What the migration makes on PostgreSQL: SQLite's own `lower` knows A to Z alone.
fn folded(call: &Context<'_>) -> rusqlite::Result<Raw> {
    match call.get_raw(0) {
        given @ ValueRef::Text(_) => Ok(Raw::Text(text::folded(given.as_str()?))),
        other => other.try_into().map_err(rusqlite::Error::from),
    }
}

fn read_loop(mut connection: Connection, queue: &crossbeam_channel::Receiver<Job>) {
    while let Ok(job) = queue.recv() {
        job(&mut connection);
    }
}
