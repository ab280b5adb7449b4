//! `cargo xtask demo`: the product with a company's history in it; `--play`: the main job, seen from outside.

mod history;
mod play;

use std::{net::SocketAddr, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use dealwright::{cipher::Cipher, env::Env};
use dealwright_peers::product::Server;

/// What to show, and where.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Play the main job on a private real mail server, print each step as observed from outside, and exit
    #[arg(long)]
    pub play: bool,
    /// With --play: which database it is played on
    #[arg(long, value_enum, default_value_t = Database::Sqlite, requires = "play")]
    pub database: Database,
    /// Where the demo's server listens
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR", conflicts_with = "play")]
    pub listen: SocketAddr,
}

/// A database the engine works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Database {
    /// A file.
    Sqlite,
    /// A private PostgreSQL, under row-level security.
    Postgres,
}

/// Plays the main job, or shows the demo until it is interrupted.
pub fn run(options: &Options) -> Result<()> {
    if options.play { play::play(options.database) } else { show(options.listen) }
}

/// Builds the server and answers the command that runs it.
fn server() -> Result<Command> {
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--package", "dealwright-server"])
        .status()
        .context("run cargo")?;
    ensure!(built.success(), "the server does not build");
    // On Unix `cargo run` becomes the server itself: ending the one ends the other.
    let mut command = Command::new("cargo");
    command.args(["run", "--quiet", "--package", "dealwright-server", "--"]);
    Ok(command)
}

fn show(listen: SocketAddr) -> Result<()> {
    // Made anew each time: the story ends now.
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let database = folder.path().join("demo.db");
    println!("making six weeks of history …");
    make(&data, &database)?;
    let server =
        Server::start(server()?, listen, &format!("sqlite://{}", database.display()), &data, &["--log-level", "warn"])?;
    println!("the demo is at {}  ({}/docs describes the interface)", server.url, server.url);
    println!("sign in as {} with the password {}", history::EMAIL, history::PASSWORD);
    println!("end it with Ctrl-C; its data are in {} until then", folder.path().display());
    server.wait()
}

/// Makes the demo's data folder and database: the server finds the key file that sealed what is in it.
fn make(data: &Path, database: &Path) -> Result<()> {
    std::fs::create_dir_all(data)?;
    let keys = Cipher::new_key_file(&Env::system())?;
    let file = data.join("secrets.key");
    std::fs::write(&file, &keys)?;
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(history::make(database, Cipher::from_key_file(&keys)?))
}
