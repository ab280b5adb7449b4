//! `cargo xtask demo`: the product with a company's history in it, on real servers of its own.

use std::net::SocketAddr;

use anyhow::{Result, bail};

/// What to show, and where.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Let the day go on: new messages, moving deals
    #[arg(long)]
    pub play: bool,
    /// Which database holds it
    #[arg(long, value_enum, default_value_t = Database::Sqlite)]
    pub database: Database,
    /// Where the server listens
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR")]
    pub listen: SocketAddr,
}

/// A database the engine works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Database {
    /// A file.
    Sqlite,
    /// A PostgreSQL of the demo's own.
    Postgres,
}

/// Shows the demo until it is interrupted.
pub fn run(options: &Options) -> Result<()> {
    let Options { play, database, listen } = options;
    bail!("the demo is not built yet (asked for {database:?} on {listen}, play: {play})")
}
