//! Secrets that are planted by every way that there is are found nowhere where they do not belong: not in the log at its most
//! talkative, not among the metrics, not in a dump of the database (OWASP ASVS 5.0, 11.4.2, 13.3.1, 14.2.4, 16.2.5).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use dealwright::{
    cipher::Cipher,
    domain::data_key::Wrapped,
    env::Env,
    ports::store::SecretReads,
    store::sql::{SqlStore, StoreOptions},
    testkit::totp_code,
};
use dealwright_peers::{
    Mail, free_port, pg_dump,
    product::{Api, Method, Server, StatusCode, eventually},
    shared_postgres,
};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";
const CLIENT_SECRET: &str = "client-secret-of-github";
const OAUTH_CODE: &str = "code-of-a-browser-that-comes-back";

/// Where a server keeps everything, and who reads all of it.
struct Place {
    url: String,
    /// PostgreSQL's superuser.
    superuser: Option<String>,
}

impl Place {
    fn sqlite(folder: &Path) -> Self {
        Self { url: format!("sqlite://{}", folder.join("crm.db").display()), superuser: None }
    }

    fn postgres() -> Self {
        let server = shared_postgres().unwrap();
        let urls = server.fresh_database("secrets").unwrap();
        let mut migrate = Command::new(env!("CARGO_BIN_EXE_dealwright-server"));
        migrate.args(["migrate", "--database", &urls.owner, "--app-role", "crm_app"]);
        assert!(migrate.status().unwrap().success());
        let (address, _) = server.superuser().rsplit_once('/').unwrap();
        let (_, database) = urls.app.rsplit_once('/').unwrap();
        Self { superuser: Some(format!("{address}/{database}")), url: urls.app }
    }

    /// Everything that it keeps, as whoever steals it has it.
    fn dump(&self, folder: &Path) -> Vec<u8> {
        if let Some(superuser) = &self.superuser {
            return pg_dump(superuser).unwrap().into_bytes();
        }
        let files = ["crm.db", "crm.db-wal"].map(|name| fs::read(folder.join(name)).unwrap_or_default());
        files.concat()
    }
}

/// A secret, and what it is for people who read that it was found.
struct Planted(Vec<(&'static str, Vec<u8>)>);

impl Planted {
    fn add(&mut self, what: &'static str, secret: impl AsRef<[u8]>) {
        assert!(secret.as_ref().len() >= 6, "{what} is too short to be looked for");
        self.0.push((what, secret.as_ref().to_vec()));
    }

    /// What of it is found in a text: as it is, in base64, or in the hexadecimal form in which PostgreSQL dumps bytes.
    fn found_in(&self, text: &[u8]) -> Vec<&'static str> {
        let holds = |form: &[u8]| text.windows(form.len()).any(|it| it == form);
        let is_found = |secret: &[u8]| {
            let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            holds(secret) || holds(hex.as_bytes()) || holds(STANDARD.encode(secret).trim_end_matches('=').as_bytes())
        };
        self.0.iter().filter(|(_, secret)| is_found(secret)).map(|(what, _)| *what).collect()
    }
}

/// ASVS 13.4.2 and 16.2.5.
#[test]
fn no_secret_is_in_the_log_the_metrics_or_a_dump_of_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    nowhere(&Place::sqlite(folder.path()), folder.path());
}

#[test]
fn no_secret_is_in_the_log_the_metrics_or_a_dump_of_postgresql() {
    let folder = tempfile::tempdir().unwrap();
    nowhere(&Place::postgres(), folder.path());
}

fn nowhere(place: &Place, folder: &Path) {
    let log = folder.join("log");
    let (mail, port) = (Mail::start().unwrap(), free_port().unwrap());
    let mut program = Command::new(env!("CARGO_BIN_EXE_dealwright-server"));
    program.stderr(Stdio::from(File::create(&log).unwrap()));
    let ca = mail.ca_file.to_str().unwrap();
    let sender = "crm@secrets.test";
    let sender_password = mail.add_user(sender).unwrap();
    let smtp = format!("smtps://crm%40secrets.test:{sender_password}@localhost:{}", mail.ports.smtps);
    #[rustfmt::skip]
    let arguments = [
        "--extra-ca", ca, "--log-level", "trace", "--smtp-url", &smtp, "--mail-from", sender,
        "--public-url", "https://crm.test", "--github-client-id", "crm", "--github-client-secret", CLIENT_SECRET,
        // Nobody is there.
        "--github-url", "http://127.0.0.1:9", "--github-api-url", "http://127.0.0.1:9",
    ];
    let listen = ([127, 0, 0, 1], port.number).into();
    let server = Server::start(program, listen, &place.url, &folder.join("data"), &arguments).unwrap();

    let mut planted = Planted(Vec::new());
    planted.add("the password of the mail server", sender_password);
    mail.add_user(OURS).unwrap();
    let api = sign_up(&server, &mail, &mut planted);
    connect_mailbox(&api, &mail, &mut planted);
    arm(&api, &mut planted);
    invite(&api, &mail, &mut planted);
    come_back_from_provider(&server, &mut planted);
    let metrics = metrics(&log);
    drop(server);
    add_keys(place, folder, &mut planted);

    let text = fs::read(&log).unwrap();
    let shows_all = String::from_utf8_lossy(&text).contains("\"level\":\"TRACE\"");
    assert!(shows_all, "the log is at its most talkative");
    assert!(!String::from_utf8_lossy(&text).contains("$argon2"), "the hash of a password is in the log");
    assert_eq!(planted.found_in(&text), Vec::<&str>::new(), "in the log");
    assert!(metrics.contains("http_requests_total"), "{metrics}");
    assert_eq!(planted.found_in(metrics.as_bytes()), Vec::<&str>::new(), "among the metrics");
    let dump = place.dump(folder);
    assert!(dump.windows(16).any(|it| it == b"una@secrets.test"), "a dump holds what is no secret");
    assert_eq!(planted.found_in(&dump), Vec::<&str>::new(), "in the dump");
}

const OURS: &str = "una@secrets.test";
/// Whose mails are taken in, and lie in the database as people wrote them: what is mailed to ours is none of them.
const WATCHED: &str = "desk@secrets.test";

fn text<'a>(answer: &'a Value, pointer: &str) -> &'a str {
    answer.pointer(pointer).unwrap().as_str().unwrap()
}

fn sign_up(server: &Server, mail: &Mail, planted: &mut Planted) -> Api {
    let mut api = Api::new(&server.url);
    let input = json!({ "email": OURS, "password": PASSWORD, "name": "Una", "organization_name": "Acme" });
    let signed_up = api.post("/api/auth/signup", input, StatusCode::CREATED).unwrap();
    api.sign_in(text(&signed_up, "/access_token"));
    planted.add("a password", PASSWORD);
    planted.add("an access token", text(&signed_up, "/access_token"));
    planted.add("a refresh token", text(&signed_up, "/refresh_token"));
    let forgot = json!({ "email": OURS });
    api.post("/api/auth/password/forgot", forgot, StatusCode::ACCEPTED).unwrap();
    for (what, page) in [("a token for another password", "reset-password"), ("a token for an address", "verify-email")]
    {
        planted.add(what, mailed_token(mail, OURS, page));
    }
    api
}

/// The token of a link to a page, in whichever mail it is.
fn mailed_token(mail: &Mail, to: &str, page: &str) -> String {
    let begin = format!("/#/{page}/");
    eventually("the mail is there", || {
        let mails = mail.mailbox(to, "INBOX")?;
        let texts = mails.iter().map(|it| String::from_utf8_lossy(it).replace("=\r\n", "").replace("=\n", ""));
        let token = |text: String| {
            let (_, rest) = text.split_once(&begin)?;
            rest.split_whitespace().next().map(str::to_owned)
        };
        Ok(texts.filter_map(token).next())
    })
    .unwrap()
}

fn connect_mailbox(api: &Api, mail: &Mail, planted: &mut Planted) {
    let password = mail.add_user(WATCHED).unwrap();
    planted.add("the password of a mailbox", &password);
    let host = |port: u16| {
        json!({
            "host": "localhost", "port": port, "security": "tls", "username": WATCHED, "password": password,
        })
    };
    let (imap, smtp) = (host(mail.ports.imaps), host(mail.ports.smtps));
    let account = json!({ "platform": "email", "email": WATCHED, "imap": imap, "smtp": smtp });
    let (status, account) = api.try_once(Method::POST, "/api/bd-accounts/connect", &account, "once").unwrap();
    assert_eq!(status, StatusCode::CREATED, "{account}");
    let status = format!("/api/bd-accounts/{}/status", text(&account, "/account/id"));
    eventually("the mailbox is watched", || Ok((api.get(&status)?["status"] == "active").then_some(()))).unwrap();
    planted.add("a password as SASL PLAIN sends it", STANDARD.encode(format!("\0{WATCHED}\0{password}")));
}

/// A second factor with recovery codes, and a key for a machine.
fn arm(api: &Api, planted: &mut Planted) {
    let setup = api.post("/api/auth/2fa/setup", json!({}), StatusCode::OK).unwrap();
    let seed = text(&setup, "/secret");
    planted.add("a seed", seed);
    planted.add("the bytes of a seed", base32(seed));
    let code = totp_code(seed, Env::system().now()).unwrap();
    let enabled = api.post("/api/auth/2fa/enable", json!({ "code": code }), StatusCode::OK).unwrap();
    for code in enabled["recovery_codes"].as_array().unwrap() {
        let code = code.as_str().unwrap();
        planted.add("a recovery code", code);
        planted.add("a recovery code without dashes", code.replace('-', ""));
    }
    let key = json!({ "name": "Machine", "scopes": ["contacts:read"] });
    let key = api.post("/api/auth/api-keys", key, StatusCode::CREATED).unwrap();
    planted.add("an API key", text(&key, "/secret"));
}

fn base32(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0_u64);
    for c in text.bytes() {
        let digit = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|it| *it == c).unwrap();
        (held, bits) = (held << 5 | digit as u64, bits + 5);
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    bytes
}

fn invite(api: &Api, mail: &Mail, planted: &mut Planted) {
    let invited = "max@secrets.test";
    mail.add_user(invited).unwrap();
    let invitation = json!({ "email": invited, "role": "member" });
    let invitation = api.post("/api/team/members/invite", invitation, StatusCode::CREATED).unwrap();
    let token = text(&invitation, "/token");
    let received = mail.await_mailbox(invited, "INBOX", 1).unwrap();
    let received = String::from_utf8_lossy(&received[0]).replace("=\r\n", "").replace("=\n", "");
    assert!(received.contains(token), "{received}");
    planted.add("a token of an invitation", token);
}

/// A browser that goes to a provider and comes back, though nobody is there to vouch for it.
fn come_back_from_provider(server: &Server, planted: &mut Planted) {
    let address = server.url.trim_start_matches("http://");
    let start = ask(address, "/api/auth/oauth/github/start", "");
    let state = start.split_once("state=").unwrap().1.split(['&', '\r']).next().unwrap();
    let cookie = start.split_once("dealwright_login=").unwrap().1.split(';').next().unwrap();
    let path = format!("/api/auth/oauth/github/callback?state={state}&code={OAUTH_CODE}");
    let back = ask(address, &path, &format!("Cookie: __Host-dealwright_login={cookie}\r\n"));
    assert!(back.contains("oauth_error="), "{back}");
    planted.add("the state of a sign-in by a provider", state);
    planted.add("what a browser keeps of it", cookie);
    planted.add("the code that it comes back with", OAUTH_CODE);
    planted.add("our secret at a provider", CLIENT_SECRET);
}

fn ask(address: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

/// The metrics, whose address the log tells.
fn metrics(log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap();
    let line = log.lines().find(|line| line.contains("metrics are listening")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    ask(text(&line, "/fields/address"), "/metrics", "")
}

/// The keys themselves: the master key, those that sign tokens, and every data key.
fn add_keys(place: &Place, folder: &Path, planted: &mut Planted) {
    let file = |name: &str| fs::read_to_string(folder.join("data").join(name)).unwrap().trim().to_owned();
    let (master, tokens) = (file("secrets.key"), file("tokens.key"));
    planted.add("the master key", &master);
    planted.add("the bytes of the master key", STANDARD.decode(&master).unwrap());
    planted.add("the key of tokens", &tokens);
    planted.add("the bytes of the key of tokens", STANDARD.decode(&tokens).unwrap());
    let masters = Cipher::from_key_file(&master).unwrap();
    let mut open = |key: &dyn Wrapped| {
        let (name, wrapped) = key.wrapped().unwrap();
        planted.add("a data key", masters.open(&key.place(), name, wrapped).unwrap().as_slice());
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = SqlStore::open(&place.url, StoreOptions::default()).await.unwrap();
        let organizations = dealwright::ports::store::IdentityReads::organization_ids(&store).await.unwrap();
        for organization in organizations {
            store.data_keys(organization).await.unwrap().iter().for_each(|key| open(key));
        }
        let common = store.common_keys().await.unwrap();
        assert!(!common.is_empty());
        common.iter().for_each(|key| open(key));
    });
    assert!(planted.0.iter().filter(|(what, _)| *what == "a data key").count() >= 2);
}
