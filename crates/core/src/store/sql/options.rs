//! How a store is opened.

use std::{path::PathBuf, time::Duration};

/// How a store is opened. The defaults fit one process of ordinary size.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreOptions {
    /// SQLite: threads that read. One per processor by default, at least 2, at most 8.
    pub readers: usize,
    /// SQLite: whether each commit waits until the disk has it (`synchronous = FULL`). By default a crash of the machine,
    /// not of the process, may lose the commits since the last checkpoint; the database stays whole either way.
    pub durable: bool,
    /// PostgreSQL: connections at most. 16 by default.
    pub connections: usize,
    /// PostgreSQL: files of certificates (PEM) to trust beside the public authorities.
    pub certificates: Vec<PathBuf>,
    /// PostgreSQL: the longest that one statement may take; `options` in the URL may say otherwise. 30 s by default.
    pub statement_timeout: Duration,
    /// PostgreSQL: the longest that a call waits for a connection, and a connection for its server. 10 s by default. An
    /// answer that has not come so long after its statement's time was up is given up, and its connection with it.
    pub connect_timeout: Duration,
    /// PostgreSQL: whether statements leave the organisation out, so that row-level security alone keeps organisations
    /// apart. For the test that it does.
    #[cfg(feature = "testkit")]
    pub without_predicates: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            readers: std::thread::available_parallelism().map_or(2, |it| it.get().clamp(2, 8)),
            durable: false,
            connections: 16,
            certificates: Vec::new(),
            statement_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            #[cfg(feature = "testkit")]
            without_predicates: false,
        }
    }
}

impl StoreOptions {
    /// The same, with each commit on disk before it is answered (SQLite).
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// The same, with so many reading threads (SQLite).
    #[must_use]
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers;
        self
    }

    /// The same, with so many connections at most (PostgreSQL).
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// The same, with these limits to waiting (PostgreSQL).
    #[must_use]
    pub fn timeouts(mut self, statement: Duration, connect: Duration) -> Self {
        (self.statement_timeout, self.connect_timeout) = (statement, connect);
        self
    }

    /// The same, with one more file of certificates to trust (PostgreSQL).
    #[must_use]
    pub fn certificate(mut self, file: impl Into<PathBuf>) -> Self {
        self.certificates.push(file.into());
        self
    }

    /// The same, with statements that leave the organisation out (PostgreSQL).
    #[cfg(feature = "testkit")]
    #[must_use]
    pub fn without_predicates(mut self) -> Self {
        self.without_predicates = true;
        self
    }
}
