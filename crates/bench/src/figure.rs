//! What was found, and how it is told.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What it is about, in words.
    pub name: String,
    /// On which database, if on one.
    pub database: Option<&'static str>,
    pub value: f64,
    pub unit: &'static str,
    pub aim: Option<Aim>,
    /// Whether the aim is met.
    pub met: Option<bool>,
}

impl Figure {
    fn line(&self) -> String {
        let aim = match self.aim {
            Some(Aim::AtMost(aim)) => format!("≤ {}", number(aim)),
            Some(Aim::AtLeast(aim)) => format!("≥ {}", number(aim)),
            None => String::new(),
        };
        let met = match self.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let database = self.database.unwrap_or_default();
        format!("{:<64} {database:<10} {:>10} {:<12} {aim:>9} {met}", self.name, number(self.value), self.unit)
            .trim_end()
            .to_owned()
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        it if it >= 100.0 => format!("{value:.0}"),
        it if it >= 10.0 => format!("{value:.1}"),
        it if it >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// All figures.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    figures: Vec<Figure>,
    /// What other programs printed, by the name of their script.
    peers: serde_json::Map<String, Value>,
}

impl Report {
    /// Notes a figure and prints it.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        database: Option<&'static str>,
        value: f64,
        unit: &'static str,
        aim: Option<Aim>,
    ) {
        let met = aim.map(|aim| match aim {
            Aim::AtMost(aim) => value <= aim,
            Aim::AtLeast(aim) => value >= aim,
        });
        let figure = Figure { name: name.into(), database, value, unit, aim, met };
        println!("{}", figure.line());
        self.figures.push(figure);
    }

    /// Keeps what a peer printed.
    pub fn peer(&mut self, name: &str, printed: Value) {
        self.peers.insert(name.to_owned(), printed);
    }

    /// Prints everything once more and writes it.
    pub fn finish(&self, file: &Path) -> Result<()> {
        println!();
        for figure in &self.figures {
            println!("{}", figure.line());
        }
        println!("PostgreSQL runs with fsync off: no figure of it is that of a commit that survives a loss of power");
        let missed = self.figures.iter().filter(|figure| figure.met == Some(false)).count();
        println!("{} figures, {missed} of them miss their aim; as JSON in {}", self.figures.len(), file.display());
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(file, serde_json::to_vec_pretty(self)?).with_context(|| format!("write {}", file.display()))
    }
}
