//! The thread that writes: takes all scripts that wait, up to a limit, into one transaction.

use std::sync::{
    atomic::{AtomicU64, Ordering},
    mpsc,
};

use rusqlite::Connection;

use super::{
    Reply, Task,
    statements::{execute, run},
};
use crate::{
    error::{Error, Result},
    ports::store::Row,
    store::sql::script::Script,
};

/// How many waiting commits share a transaction.
const GROUP: usize = 64;

pub(super) fn write_loop(mut connection: Connection, queue: &mpsc::Receiver<Task>, seats: &AtomicU64) {
    let mut group = Vec::with_capacity(GROUP);
    while let Ok(first) = queue.recv() {
        let mut next = Some(first);
        while let Some(task) = next {
            match task {
                Task::Write(script, reply) => group.push((script, reply)),
                Task::Run(job) => {
                    write_group(&connection, &mut group, seats);
                    job(&mut connection);
                }
            }
            next = if group.len() < GROUP { queue.try_recv().ok() } else { None };
        }
        write_group(&connection, &mut group, seats);
    }
}

/// All scripts in one transaction. If one of them fails, all are rolled back and run again with a savepoint each, so that
/// it spoils none of the others; they are rarely wrong, and savepoints cost as much again as the scripts.
fn write_group(connection: &Connection, group: &mut Vec<(Script, Reply)>, seats: &AtomicU64) {
    if group.is_empty() {
        return;
    }
    let results = match write_together(connection, group) {
        Err((_, error)) if group.len() == 1 => vec![Err(error)],
        Err((Fault::Script, _)) => write_apart(connection, group),
        Err((Fault::Transaction, error)) => group.iter().map(|_| Err(error.retold())).collect(),
        Ok(rows) => rows.into_iter().map(Ok).collect(),
    };
    // Before anybody is told that it is done, whether or not all of it is.
    if group.iter().any(|(script, _)| script.seats) {
        seats.fetch_add(1, Ordering::SeqCst);
    }
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

fn run_script(connection: &Connection, script: &Script) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for step in &script.steps {
        let outcome = run(connection, &step.statement)?;
        step.check.verify(outcome.count)?;
        rows = outcome.rows;
    }
    Ok(rows)
}
