//! The binary as its operators meet it: without settings, told to end, asked what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, ChildStderr, Command, Output, Stdio},
};

use dealwright::{cipher::Cipher, env::Env};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dealwright-server"));
    command.current_dir(folder).env_clear();
    command
}

/// A running server that listens where it pleases.
struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
    address: String,
    printed: String,
}

impl Running {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_at(folder, "127.0.0.1:0", arguments)
    }

    fn start_at(folder: &Path, listen: &str, arguments: &[&str]) -> Self {
        let mut command = program(folder);
        command.args(["--listen", listen, "--metrics-listen", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut running = Self { child, log, address: String::new(), printed: String::new() };
        running.address = running.await_line("listening")["fields"]["address"].as_str().unwrap().to_owned();
        running
    }

    /// The next line of the log that says `message`.
    fn await_line(&mut self, message: &str) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "the server ended:\n{}", self.printed);
            self.printed.push_str(&line);
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            if line["fields"]["message"].as_str().is_some_and(|it| it.starts_with(message)) {
                return line;
            }
        }
    }

    fn ask(&self, request: &str) -> String {
        ask(&self.address, request)
    }

    fn sign_up(&self) -> Value {
        let body = format!(
            r#"{{"email":"una@acme.example","password":"{PASSWORD}","name":"Una","organization_name":"Acme"}}"#
        );
        let reply = self.ask(&format!(
            "POST /api/auth/signup HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert!(reply.starts_with("HTTP/1.1 201"), "{reply}");
        serde_json::from_str(reply.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    }

    /// Tells it to end, and waits until it has; answers everything it logged.
    fn end(mut self) -> String {
        let told = Command::new("kill").args(["-s", "TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
        assert!(self.child.wait().unwrap().success());
        self.log.read_to_string(&mut self.printed).unwrap();
        self.printed
    }
}

fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// ASVS 13.4.5.
#[test]
fn without_any_setting_it_serves_and_remembers() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Running::start(folder.path(), &[]);
    assert!(server.ask(&get("/readyz")).starts_with("HTTP/1.1 200"));
    let signed_up = server.sign_up();
    let metrics = server.await_line("metrics are listening")["fields"]["address"].as_str().unwrap().to_owned();
    assert!(ask(&metrics, &get("/metrics")).contains("http_requests_total{method=\"POST\",route=\"/api/auth/signup\""));
    assert!(server.ask(&get("/metrics")).starts_with("HTTP/1.1 404"), "counters have an address of their own");

    let data = folder.path().join("dealwright-data");
    for name in ["secrets.key", "tokens.key"] {
        assert_eq!(data.join(name).metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(data.metadata().unwrap().permissions().mode() & 0o777, 0o700);

    let log = server.end();
    assert!(log.contains("ending"), "{log}");
    for secret in [PASSWORD, signed_up["access_token"].as_str().unwrap(), signed_up["refresh_token"].as_str().unwrap()]
    {
        assert!(!log.contains(secret), "{log}");
    }

    // A token lives through a restart.
    let server = Running::start(folder.path(), &[]);
    let token = signed_up["access_token"].as_str().unwrap();
    let profile = server.ask(&format!(
        "GET /api/users/profile HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    ));
    assert!(profile.starts_with("HTTP/1.1 200"), "{profile}");
    server.end();
}

#[test]
fn a_live_view_does_not_keep_it_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path(), &[]);
    // A long poll that nobody will answer: the handshake first, then the wait.
    let opened = server.ask(&get("/socket.io/?EIO=4&transport=polling"));
    let sid = opened.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut waiting = TcpStream::connect(&server.address).unwrap();
    waiting.write_all(get(&format!("/socket.io/?EIO=4&transport=polling&sid={sid}")).as_bytes()).unwrap();
    let began = std::time::Instant::now();
    let log = server.end();
    assert!(!log.contains("did not end in time"), "{log}");
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{log}");
}

#[test]
fn the_doctor_says_what_it_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    Running::start(folder.path(), &[]).end();
    let output = program(folder.path()).arg("doctor").output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("schema"), "{}", text(&output));
}

/// Says what the doctor finds of the keys of secrets.
fn examined(folder: &Path) -> (bool, String) {
    let output = program(folder).arg("doctor").output().unwrap();
    let said = text(&output);
    let keys = said.lines().filter(|line| line.contains("keys of secrets")).collect::<Vec<_>>().join("\n");
    (output.status.success(), keys)
}

/// OWASP ASVS 5.0, 11.2.2 and 13.3.1.
#[test]
fn master_keys_are_replaced_by_a_command_or_a_signal_and_the_doctor_misses_none() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path(), &[]);
    // A mail is written, hence sealed.
    server.sign_up();
    let refused = program(folder.path()).arg("rotate-keys").output().unwrap();
    assert!(!refused.status.success() && text(&refused).contains("SIGHUP"), "{}", text(&refused));
    server.end();
    let file = folder.path().join("dealwright-data/secrets.key");
    let old = std::fs::read_to_string(&file).unwrap();
    assert_eq!(
        examined(folder.path()),
        (true, "fine     keys of secrets: every secret lies under the newest line of the key file".to_owned())
    );

    let new_line = || Cipher::new_key_file(&Env::system()).unwrap();
    let newer = new_line();
    std::fs::write(&file, &newer).unwrap();
    let (sound, said) = examined(folder.path());
    let name = Cipher::from_key_file(&old).unwrap().current().to_owned();
    assert!(!sound && said.contains("BROKEN") && said.contains(&name) && said.contains("put its line back"), "{said}");
    std::fs::write(&file, format!("{newer}{old}")).unwrap();
    let (sound, said) = examined(folder.path());
    assert!(sound && said.contains("warning") && said.contains(&name) && said.contains("rotate-keys"), "{said}");

    let output = program(folder.path()).arg("rotate-keys").output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("2 of 2 owners: 1 data keys wrapped anew"), "{}", text(&output));
    let free = format!("nothing lies under the master key {name} any more: its line may be taken off the key file");
    assert!(text(&output).contains(&free), "{}", text(&output));
    std::fs::write(&file, &newer).unwrap();
    assert!(examined(folder.path()).1.starts_with("fine"));
    let output = program(folder.path()).args(["rotate-keys", "--data"]).output().unwrap();
    assert!(output.status.success() && text(&output).contains("2 data keys removed"), "{}", text(&output));

    // Where a server has the only hand on the database, it is told.
    let mut server = Running::start(folder.path(), &[]);
    std::fs::write(&file, format!("{}{newer}", new_line())).unwrap();
    for (signal, said) in [("HUP", "2 of 2 owners: 2 data keys wrapped anew"), ("USR1", "2 data keys removed")] {
        assert!(Command::new("kill").args(["-s", signal, &server.child.id().to_string()]).status().unwrap().success());
        let line = server.await_line("keys of secrets were rotated")["fields"]["done"].as_str().unwrap().to_owned();
        assert!(line.contains(said), "{line}");
    }
    server.end();
    assert!(examined(folder.path()).1.starts_with("fine"));
}

/// ASVS 16.4.2.
#[test]
fn the_audit_logs_are_verified_by_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path(), &[]);
    let signed_up = server.sign_up();
    let id = signed_up["organization"]["id"].as_str().unwrap().to_owned();
    let token = signed_up["access_token"].as_str().unwrap();
    // What was committed is sealed a moment later.
    let question = format!(
        "GET /api/audit/verification HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    while !server.ask(&question).contains("\"waiting\":0") {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    server.end();
    for arguments in [&["audit-verify"][..], &["audit-verify", "--organization", &id]] {
        let output = program(folder.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        assert!(text(&output).contains(&format!("sound    {id}: ")), "{}", text(&output));
    }
    let database = rusqlite::Connection::open(folder.path().join("dealwright-data/crm.db")).unwrap();
    let edited = database.execute("UPDATE audit_entries SET action = 'nothing' WHERE seq = 2", []).unwrap();
    assert_eq!(edited, 1);
    drop(database);
    let output = program(folder.path()).arg("audit-verify").output().unwrap();
    assert!(!output.status.success(), "{}", text(&output));
    assert!(text(&output).contains(&format!("BROKEN   {id}: entry 2 (")), "{}", text(&output));
    assert!(text(&output).contains("was edited after it was sealed"), "{}", text(&output));
    let output = program(folder.path()).args(["audit-verify", "--organization", "acme"]).output().unwrap();
    assert!(!output.status.success() && text(&output).contains("acme"), "{}", text(&output));
}

#[test]
fn a_wrong_setting_is_named_and_nothing_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let output = program(folder.path()).env("DEALWRIGHT_LISTEN", "here").output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output).contains("listen is \"here\""), "{}", text(&output));
    assert!(!folder.path().join("dealwright-data").exists());
}

/// ASVS 12.2.1.
#[test]
fn in_the_clear_the_network_is_answered_only_if_it_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    let refused = program(folder.path()).args(["--listen", "0.0.0.0:0"]).output().unwrap();
    assert!(!refused.status.success());
    for remedy in ["tls_cert", "trusted_proxies", "allow_plaintext_http"] {
        assert!(text(&refused).contains(remedy), "{}", text(&refused));
    }
    assert!(!folder.path().join("dealwright-data").exists());
    let running = Running::start_at(folder.path(), "0.0.0.0:0", &["--allow-plaintext-http"]);
    assert!(running.address.starts_with("0.0.0.0:"));
    running.end();
}

#[test]
fn on_postgresql_it_serves_after_its_owner_has_migrated() {
    let server = dealwright_peers::shared_postgres().unwrap();
    let urls = server.fresh_database("binary").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let unready = program(folder.path()).args(["--listen", "127.0.0.1:0", "--database", &urls.app]).output().unwrap();
    assert!(!unready.status.success(), "{}", text(&unready));
    let migrate = ["migrate", "--database", &urls.owner, "--app-role", "crm_app"];
    let migrated = program(folder.path()).args(migrate).output().unwrap();
    assert!(migrated.status.success(), "{}", text(&migrated));
    let running = Running::start(folder.path(), &["--database", &urls.app]);
    assert_eq!(running.sign_up()["organization"]["name"], "Acme");
    running.end();
}

#[test]
fn files_go_to_an_object_store_and_come_back_in_part() {
    let s3 = dealwright_peers::shared_s3().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = format!(
        "s3_bucket = \"media\"\ns3_endpoint = \"{}\"\ns3_access_key = \"{}\"\ns3_secret_key = \"{}\"\n",
        s3.endpoint(),
        dealwright_peers::S3::ACCESS_KEY,
        dealwright_peers::S3::SECRET_KEY,
    );
    std::fs::write(folder.path().join("crm.toml"), settings).unwrap();
    let running = Running::start(folder.path(), &["--config", "crm.toml"]);
    let token = running.sign_up()["access_token"].as_str().unwrap().to_owned();
    let made = running.ask(&format!(
        "POST /api/media?name=note.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: text/plain\r\nContent-Length: 10\r\n\r\n0123456789"
    ));
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    let made: Value = serde_json::from_str(made.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let part = running.ask(&format!(
        "GET /api/media/{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Range: bytes=3-5\r\n\r\n",
        made["id"].as_str().unwrap()
    ));
    assert!(part.starts_with("HTTP/1.1 206") && part.ends_with("\r\n\r\n345"), "{part}");
    assert!(!folder.path().join("dealwright-data/media").exists(), "the data folder holds files too");
    running.end();
}

/// ASVS 16.3.2 and 16.3.3.
#[test]
fn a_refused_call_says_who_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path(), &["--rate-limit-key", "1:1"]);
    let una = server.sign_up();
    let token = una["access_token"].as_str().unwrap().to_owned();
    let call = |line: &str, token: &str, body: &str| {
        let head = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n");
        server.ask(&format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    };
    let made = call("POST /api/auth/api-keys", &token, r#"{"name": "K", "scopes": ["contacts:read"]}"#);
    let made: Value = serde_json::from_str(made.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let secret = made["secret"].as_str().unwrap();
    for (line, token, body, status) in [
        ("POST /api/crm/clients", token.as_str(), "{}", 422),
        ("POST /api/crm/clients", secret, r#"{"name": "Ada"}"#, 403),
        ("GET /api/crm/clients", secret, "", 429),
        ("GET /api/crm/clients", "nonsense", "", 401),
        ("GET /api/crm/clients", token.as_str(), "", 200),
    ] {
        assert!(call(line, token, body).starts_with(&format!("HTTP/1.1 {status}")), "{line} {status}");
    }
    let log = server.end();
    let answered: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let line = |status: u64| {
        let fields = answered.iter().map(|it| &it["fields"]);
        fields.clone().find(|it| it["message"] == "answered" && it["status"] == status).unwrap()
    };
    let (user, organization) = (&una["user"]["id"], &una["organization"]["id"]);
    let who = |status: u64| ["code", "user", "key", "organization"].map(|name| line(status)[name].clone());
    let null = Value::Null;
    assert_eq!(who(422), [json!("validation_failed"), user.clone(), null.clone(), organization.clone()]);
    assert_eq!(who(403), [json!("forbidden"), null.clone(), made["id"].clone(), organization.clone()]);
    assert_eq!(who(429), [json!("rate_limited"), null.clone(), made["id"].clone(), organization.clone()]);
    assert_eq!(who(401), [json!("invalid_token"), null.clone(), null.clone(), null.clone()]);
    assert_eq!(who(200), [const { Value::Null }; 4]);
    assert!(!log.contains(&token) && !log.contains(secret) && !log.contains("nonsense"), "a credential is in the log");
}

/// OWASP ASVS 5.0, 16.4.1: a line of the log is ours, whatever is sent.
/// ASVS 16.2.4.
#[test]
fn nobody_writes_into_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path(), &["--log-level", "debug"]);
    let marker = "injected-by-a-client";
    let forged = format!("{{\"level\":\"ERROR\",\"fields\":{{\"message\":\"{marker}\"}}}}");
    for header in ["X-Request-Id", "User-Agent", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Referer"] {
        for value in [format!("a\t{forged}"), format!("\u{1b}[31m{marker}"), marker.repeat(10)] {
            server.ask(&format!("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}: {value}\r\n\r\n"));
        }
        // A folded line, a bare line feed.
        for fold in ["\r\n ", "\n"] {
            let request =
                format!("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}: a{fold}{forged}\r\n\r\n");
            server.ask(&request);
        }
    }
    server.ask(&get(&format!("/{marker}?{marker}=%0a{marker}%0d%0a")));
    server.ask(&format!("{} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", marker.to_uppercase()));
    assert!(server.ask(&get("/healthz")).starts_with("HTTP/1.1 200"));
    let log = server.end();
    for line in log.lines().filter(|line| !line.is_empty()) {
        let parsed: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no line of ours: {line}"));
        assert!(parsed["fields"]["message"].is_string() && !line.to_lowercase().contains(marker), "{line}");
    }
}
