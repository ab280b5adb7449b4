//! Starts the peers named and keeps them until its input ends, telling their address and folder: `cargo run -p dealwright-peers -- postgres mail s3`.

use std::{io::Read, path::Path};

use anyhow::{Result, bail};
use dealwright_peers::{Mail, Postgres, S3};

fn main() -> Result<()> {
    let mut running: Vec<Box<dyn Send>> = Vec::new();
    for peer in std::env::args().skip(1) {
        match peer.as_str() {
            "postgres" => {
                let postgres = Postgres::start()?;
                println!("postgres {} {}", postgres.superuser(), folder(postgres.folder()));
                running.push(Box::new(postgres));
            }
            "mail" => {
                let mail = Mail::start()?;
                println!("mail {:?} {}", mail.ports, mail.folder().display());
                running.push(Box::new(mail));
            }
            "s3" => {
                let s3 = S3::start()?;
                println!("s3 {} {}", s3.endpoint(), folder(s3.folder()));
                running.push(Box::new(s3));
            }
            other => bail!("no peer {other:?}: there are postgres, mail and s3"),
        }
    }
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(running);
    Ok(())
}

fn folder(path: Option<&Path>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}
