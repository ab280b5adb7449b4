//! One step: a command whose output streams through, with its time.

use std::{
    io::{BufRead, BufReader, IsTerminal, Write},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};

/// A command of the test run.
#[derive(Debug)]
pub struct Step {
    name: String,
    command: Command,
    shows: fn(&str) -> bool,
}

impl Step {
    /// `cargo` with `args`.
    pub fn cargo(args: &[&str]) -> Self {
        let mut command = Command::new("cargo");
        command.args(args);
        Self { name: format!("cargo {}", args.join(" ")), command, shows: |_| true }
    }

    /// A program with `args`.
    pub fn program(program: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args);
        Self { name: format!("{} {}", program.display(), args.join(" ")), command, shows: |_| true }
    }

    /// The same, showing only these of its lines.
    pub fn showing(mut self, shows: fn(&str) -> bool) -> Self {
        self.shows = shows;
        self
    }

    /// Sets an environment variable of the command.
    pub fn variable(&mut self, name: &str, value: &str) {
        self.command.env(name, value);
    }

    /// The same with a variable set.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variable(name, value);
        self
    }

    /// Runs the command, showing each line and handing it to `each`.
    pub fn run(mut self, mut each: impl FnMut(&str)) -> Result<()> {
        println!("-- {}", self.name);
        let start = Instant::now();
        // Errors and output go through one pipe, so that a suite's name stays before its results.
        let (reader, writer) = std::io::pipe()?;
        if std::io::stdout().is_terminal() {
            self.command.env("CARGO_TERM_COLOR", "always");
        }
        self.command.stdin(Stdio::null()).stderr(writer.try_clone()?).stdout(writer);
        let mut child = self.command.spawn().with_context(|| format!("start `{}`", self.name))?;
        // The command holds the writing end too: the pipe would never close.
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        let mut out = std::io::stdout();
        while reader.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            if (self.shows)(&text) {
                out.write_all(&line)?;
                out.flush()?;
            }
            each(text.trim_end());
            line.clear();
        }
        let status = child.wait()?;
        let seconds = start.elapsed().as_secs_f32();
        ensure!(status.success(), "`{}` failed after {seconds:.1} s ({status})", self.name);
        println!("-- {}: ok ({seconds:.1} s)", self.name);
        Ok(())
    }
}

/// A minimal toolchain comes without rustfmt and clippy.
pub fn ensure_components() -> Result<()> {
    for component in ["fmt", "clippy"] {
        let mut ask = Command::new("cargo");
        ask.args([component, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
        if !ask.status()?.success() {
            println!("installing the toolchain's components rustfmt and clippy");
            let added = Command::new("rustup").args(["component", "add", "rustfmt", "clippy"]).status();
            ensure!(
                added.is_ok_and(|s| s.success()),
                "cargo {component} is missing: rustup component add rustfmt clippy"
            );
        }
    }
    Ok(())
}
