//! Starts the peers named and keeps them until its input ends: `cargo run -p dealwright-peers -- postgres mail`.

use std::io::Read;

use anyhow::{Result, bail};
use dealwright_peers::{Mail, Postgres};

fn main() -> Result<()> {
    let mut running: Vec<Box<dyn Send>> = Vec::new();
    for peer in std::env::args().skip(1) {
        match peer.as_str() {
            "postgres" => {
                let postgres = Postgres::start()?;
                println!("postgres {}", postgres.superuser());
                running.push(Box::new(postgres));
            }
            "mail" => {
                let mail = Mail::start()?;
                println!("mail {} {:?}", mail.folder().display(), mail.ports);
                running.push(Box::new(mail));
            }
            other => bail!("no peer {other:?}: there are postgres and mail"),
        }
    }
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(running);
    Ok(())
}
