#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use dealwright_peers::{Mail, Postgres, S3, psql, shared_mail, shared_postgres, shared_s3};

#[test]
fn a_killed_parent_leaves_no_server_and_no_folder_behind() {
    let mut parent = Parent::start(&["postgres", "mail", "s3"]);
    let running = parent.traces();
    assert!(running.len() > 6, "servers of three kinds run: {running:?}");
    parent.process.kill().unwrap();
    parent.process.wait().unwrap();
    parent.await_nothing_left();
}

#[test]
fn a_parent_that_ends_by_itself_has_cleaned_up() {
    let mut parent = Parent::start(&["postgres", "mail", "s3"]);
    drop(parent.process.stdin.take());
    assert!(parent.process.wait().unwrap().success());
    assert_eq!(parent.traces(), Vec::<String>::new());
    for folder in &parent.folders {
        assert!(!Path::new(folder).exists(), "{folder}");
    }
}

#[test]
fn an_attached_peer_outlives_the_handle() {
    let (postgres, mail, s3) = (Postgres::start().unwrap(), Mail::start().unwrap(), S3::start().unwrap());
    drop(Postgres::attach(postgres.superuser()).unwrap());
    drop(Mail::attach(mail.folder()).unwrap());
    drop(S3::attach(s3.endpoint()).unwrap());
    assert_eq!(postgres.sql("select 1").unwrap(), "1");
    mail.add_user("una@acme.example").unwrap();
    s3.create_bucket("second").unwrap();
    assert!(Postgres::attach("postgres://postgres:super@127.0.0.1:1/postgres").is_err());
    assert!(Mail::attach(Path::new("/nowhere")).is_err());
    assert!(S3::attach("http://127.0.0.1:1").is_err());
}

#[test]
fn the_shared_peers_are_the_same_for_every_caller() {
    assert!(std::ptr::eq(shared_postgres().unwrap(), shared_postgres().unwrap()));
    assert!(std::ptr::eq(shared_mail().unwrap(), shared_mail().unwrap()));
    assert!(std::ptr::eq(shared_s3().unwrap(), shared_s3().unwrap()));
    let one = shared_postgres().unwrap().fresh_database("same_hint").unwrap();
    let two = shared_postgres().unwrap().fresh_database("same_hint").unwrap();
    assert_ne!(one, two, "two tests never meet in one database");
    psql(&one.owner, "create table t ()").unwrap();
    psql(&two.owner, "create table t ()").unwrap();
}

#[test]
fn an_object_put_is_an_object_got() {
    let s3 = S3::start().unwrap();
    let address = s3.endpoint().strip_prefix("http://").unwrap().to_owned();
    let ask = |request: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(request.replace('\n', "\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let signed = "authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, \
                  SignedHeaders=host, Signature=00\nconnection: close";
    let put = ask(&format!("PUT /media/a.txt HTTP/1.1\nhost: x\n{signed}\ncontent-length: 2\n\nhi"));
    assert!(put.starts_with("HTTP/1.1 200"), "{put}");
    let got = ask(&format!("GET /media/a.txt HTTP/1.1\nhost: x\n{signed}\n\n"));
    assert!(got.starts_with("HTTP/1.1 200") && got.ends_with("hi"), "{got}");
}

/// The crate's own program as the owner of servers.
struct Parent {
    process: Child,
    folders: Vec<String>,
    _output: BufReader<ChildStdout>,
}

impl Parent {
    fn start(peers: &[&str]) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_dealwright-peers"));
        let mut process = program.args(peers).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let folders = peers.iter().map(|peer| {
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            assert!(line.starts_with(peer), "{line:?}");
            line.split_whitespace().last().unwrap().to_owned()
        });
        let folders = folders.collect();
        Self { process, folders, _output: output }
    }

    /// Every process that runs in, or was started for, one of the folders.
    fn traces(&self) -> Vec<String> {
        let mut found = Vec::new();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            let dir = fs::read_link(process.path().join("cwd")).unwrap_or_default().display().to_string();
            if self.folders.iter().any(|folder| command.contains(folder) || dir.starts_with(folder)) {
                found.push(command);
            }
        }
        found
    }

    fn await_nothing_left(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.traces().is_empty() || self.folders.iter().any(|folder| Path::new(folder).exists()) {
            assert!(Instant::now() < deadline, "still there: {:?}", self.traces());
            std::thread::yield_now();
        }
    }
}
