//! Contacts made through the library on SQLite, each with all its rows and its event, beside a bare insert.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use dealwright::services::contacts::NewContact;
use futures::future::try_join_all;

use crate::{
    figure::{Aim, Report},
    place::{Clock, Database, Place, World},
};

const LASTING: Duration = Duration::from_secs(4);
const ROUNDS: usize = 3;

pub async fn measure(report: &mut Report, bare: &Path) -> Result<()> {
    let (mut by_hand, mut one, mut many) = (0.0_f64, 0.0_f64, 0.0_f64);
    for _ in 0..ROUNDS {
        by_hand = by_hand.max(inserts(bare)?);
        one = one.max(creates(1).await?);
        many = many.max(creates(64).await?);
    }
    let database = Some("SQLite");
    report.add("bare insert of one row, autocommit, sqlx", database, by_hand, "a second", None);
    report.add("create a contact, 1 caller", database, one, "a second", None);
    report.add("create a contact, 1 caller", database, one / by_hand, "× bare", Some(Aim::AtLeast(0.3)));
    report.add("create a contact, 64 callers", database, many, "a second", None);
    report.add("create a contact, 64 callers", database, many / by_hand, "× bare", Some(Aim::AtLeast(2.0)));
    Ok(())
}

fn inserts(bare: &Path) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(bare);
    let printed = command.arg(folder.path().join("bare.db")).arg(LASTING.as_secs().to_string()).output()?;
    ensure!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    String::from_utf8(printed.stdout)?.trim().parse().context("the bare insert printed no number")
}

async fn creates(callers: usize) -> Result<f64> {
    let place = Place::new(Database::Sqlite).await?;
    let world = World::over(&place, Clock::System).await?;
    let start = Instant::now();
    let counts = try_join_all((0..callers).map(|caller| {
        let me = world.me.clone();
        tokio::spawn(async move {
            let mut made = 0_u32;
            while start.elapsed() < LASTING {
                let new = NewContact {
                    name: "Ada".to_owned(),
                    emails: vec![format!("ada{caller}.{made}@acme.example")],
                    tags: vec!["vip".to_owned()],
                    ..NewContact::default()
                };
                me.contacts().create(new).await?;
                made += 1;
            }
            Ok::<_, dealwright::Error>(made)
        })
    }))
    .await?;
    let mut made = 0;
    for count in counts {
        made += count?;
    }
    Ok(f64::from(made) / start.elapsed().as_secs_f64())
}
