//! Servers that cannot outlive the process that started them, and their folders.
//!
//! Each server is the child of a small shell that holds the reading end of a pipe; the writing end is ours alone. When
//! it closes (the value is dropped, or this process dies in whatever way, `kill -9` included), the shell ends the server
//! by its pid. A folder has such a shell too, which removes it after the servers in it are gone.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// Ends its server when the pipe closes: first by the signal named, ten seconds later by force.
const WATCH: &str = r#"
exec 3<&0 </dev/null
signal=$1; shift
"$@" 3<&- &
server=$!
(
  trap 'exit' TERM
  while read -r _ <&3; do :; done
  kill -s "$signal" "$server" 2>/dev/null
  n=0
  while kill -0 "$server" 2>/dev/null && [ "$n" -lt 200 ]; do sleep 0.05; n=$((n + 1)); done
  kill -s KILL "$server" 2>/dev/null
) &
keeper=$!
exec 3<&-
wait "$server"
status=$?
kill "$keeper" 2>/dev/null
wait "$keeper"
exit "$status"
"#;

/// Reads the pids of the shells above, then removes the folder once they are gone.
const SWEEP: &str = r#"
pids=
while read -r pid; do pids="$pids $pid"; done
n=0
for pid in $pids; do
  while kill -0 "$pid" 2>/dev/null && [ "$n" -lt 300 ]; do sleep 0.05; n=$((n + 1)); done
done
n=0
while [ -e "$1" ] && [ "$n" -lt 100 ]; do rm -rf -- "$1" 2>/dev/null || sleep 0.05; n=$((n + 1)); done
"#;

/// How a server is started.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub name: &'static str,
    pub command: Vec<String>,
    /// The user and group to become; none to stay who we are.
    pub user: Option<(u32, u32)>,
    /// The signal that ends the server at once and orderly.
    pub signal: &'static str,
    pub folder: &'a Folder,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    shell: Child,
    pipe: Option<ChildStdin>,
    log: PathBuf,
}

impl Server {
    pub fn start(launch: Launch<'_>) -> Result<Self> {
        let Launch { name, command, user, signal, folder } = launch;
        let log = folder.path().join(format!("{name}.out"));
        let out = File::options().create(true).append(true).open(&log)?;
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCH, name, signal]).args(command).current_dir(folder.path());
        shell.stdin(Stdio::piped()).stderr(out.try_clone()?).stdout(out);
        // A terminal's interrupt goes to our group; the servers end after us, orderly.
        shell.process_group(0);
        if let Some((uid, gid)) = user {
            shell.uid(uid).gid(gid);
        }
        let mut shell = shell.spawn().with_context(|| format!("start {name}"))?;
        let pipe = shell.stdin.take();
        folder.await_end_of(shell.id())?;
        Ok(Self { name, shell, pipe, log })
    }

    /// The exit status, if the server has ended by itself.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.shell.try_wait()?)
    }

    /// Waits until `ready` says yes; an error when the server ends first or takes longer than 30 seconds.
    pub fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !ready() {
            if let Some(status) = self.ended()? {
                bail!("{} ended while starting ({status}):\n{}", self.name, last_lines(&self.log));
            }
            if Instant::now() > deadline {
                bail!("{} was not ready after 30 seconds:\n{}", self.name, last_lines(&self.log));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Tells the server to end without waiting for it, so that several can end at the same time.
    pub fn end(&mut self) {
        drop(self.pipe.take());
    }
}

/// The end of a log, for an error's message.
pub(crate) fn last_lines(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(30)..).unwrap_or_default().join("\n")
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
        // The shell ends after the server; nothing can be done about an error here.
        let _ = self.shell.wait();
    }
}

/// A folder of its own under the machine's temporary folder, removed with everything in it.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    sweeper: Child,
}

impl Folder {
    /// Makes a folder that other users may enter (the servers change their user), not write.
    pub fn new(kind: &str) -> Result<Self> {
        let path = tempfile::Builder::new().prefix(&format!("dealwright-{kind}-")).tempdir()?.keep();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        let mut sweep = Command::new("sh");
        sweep.args(["-c", SWEEP, "sweep"]).arg(&path).current_dir("/").process_group(0);
        sweep.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let sweeper = sweep.spawn().context("start the shell that removes the folder of a test server")?;
        Ok(Self { path, sweeper })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` in this folder, as text.
    pub fn at(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    fn await_end_of(&self, pid: u32) -> Result<()> {
        let mut pipe = self.sweeper.stdin.as_ref().context("the pipe of a folder's shell is closed")?;
        writeln!(pipe, "{pid}").context("tell a folder's shell of a server")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.sweeper.stdin.take());
        let _ = self.sweeper.wait();
    }
}
