//! One server for all tests of a process, started when first asked for; or, when `cargo xtask test` runs one for all
//! processes, that one.

use std::{path::Path, sync::OnceLock};

use anyhow::{Result, anyhow};

use crate::{Mail, Postgres, S3, TEST_MAIL, TEST_POSTGRES, TEST_S3, machine};

/// The shared PostgreSQL: take a database of your own in it ([`Postgres::fresh_database`]).
///
/// # Errors
/// As [`Postgres::start`]; every caller gets the first one's error.
pub fn shared_postgres() -> Result<&'static Postgres> {
    static SHARED: OnceLock<Result<Postgres, String>> = OnceLock::new();
    get(&SHARED, TEST_POSTGRES, Postgres::attach, Postgres::start)
}

/// The shared mail system: use addresses of your own in it. To take a server down, start a [`Mail`] of your own.
///
/// # Errors
/// As [`Mail::start`]; every caller gets the first one's error.
pub fn shared_mail() -> Result<&'static Mail> {
    static SHARED: OnceLock<Result<Mail, String>> = OnceLock::new();
    get(&SHARED, TEST_MAIL, |folder| Mail::attach(Path::new(folder)), Mail::start)
}

/// The shared S3 server: use a bucket or keys of your own in it.
///
/// # Errors
/// As [`S3::start`]; every caller gets the first one's error.
pub fn shared_s3() -> Result<&'static S3> {
    static SHARED: OnceLock<Result<S3, String>> = OnceLock::new();
    get(&SHARED, TEST_S3, S3::attach, S3::start)
}

fn get<T>(
    shared: &'static OnceLock<Result<T, String>>,
    variable: &str,
    attach: impl FnOnce(&str) -> Result<T>,
    start: impl FnOnce() -> Result<T>,
) -> Result<&'static T> {
    let started = shared.get_or_init(|| {
        let peer = match machine::variable(variable) {
            Some(address) => attach(&address),
            None => start(),
        };
        peer.map_err(|error| format!("{error:#}"))
    });
    started.as_ref().map_err(|error| anyhow!("{error}"))
}
