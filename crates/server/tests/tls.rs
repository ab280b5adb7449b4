//! TLS that ends in the server, by a real client with an authority of its own (OWASP ASVS 5.0, 12.1 and 12.2).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use dealwright_peers::free_port;
use reqwest::blocking::Client;

/// A certificate for `localhost` by an authority of its own, in a folder of that name.
fn certificate(folder: &Path, name: &str) {
    let own = folder.join(name);
    fs::create_dir(&own).unwrap();
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").current_dir(&own).args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    fs::write(own.join("leaf.ext"), "basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:localhost\n").unwrap();
    openssl(&format!(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name} -keyout ca.key -out ca.pem"
    ));
    openssl(
        "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -keyout key.pem -out leaf.csr",
    );
    openssl("x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile leaf.ext -out cert.pem");
    fs::set_permissions(own.join("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
}

/// Puts a pair where the server looks for it, each file at once.
fn install(folder: &Path, name: &str) {
    for file in ["key.pem", "cert.pem"] {
        let new = folder.join(format!("{file}.new"));
        fs::copy(folder.join(name).join(file), &new).unwrap();
        fs::rename(new, folder.join(file)).unwrap();
    }
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dealwright-server"));
    command.current_dir(folder).env_clear().args(["--metrics-listen", "off", "--log-level", "error"]);
    command.args(["--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    command
}

/// A client that trusts one authority, and keeps its connection.
fn client(folder: &Path, name: &str) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(&fs::read(folder.join(name).join("ca.pem")).unwrap()).unwrap();
    Client::builder().tls_certs_only([ca]).build().unwrap()
}

fn eventually(what: &str, mut ask: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !ask() {
        assert!(Instant::now() < deadline, "not seen within 30 seconds: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// ASVS 4.1.2.
#[test]
fn it_serves_https_and_takes_a_new_certificate_without_dropping_a_connection() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for name in ["first", "second", "third"] {
        certificate(folder, name);
    }
    install(folder, "first");
    let port = free_port().unwrap();
    let listen = format!("127.0.0.1:{}", port.number);
    let server = Server(program(folder).args(["--listen", &listen]).stdin(Stdio::null()).spawn().unwrap());
    let url = format!("https://localhost:{}/healthz", port.number);
    let asks = |client: &Client| client.get(&url).send().ok().filter(|it| it.status() == 200);

    let first = client(folder, "first");
    eventually("the server answers", || asks(&first).is_some());
    let answer = asks(&first).unwrap();
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    answer.bytes().unwrap();
    assert!(asks(&client(folder, "second")).is_none(), "by another authority it is not trusted");
    let plain = reqwest::blocking::get(format!("http://localhost:{}/healthz", port.number));
    assert!(plain.is_err(), "plain HTTP is not answered");

    // Files that change are seen.
    install(folder, "second");
    eventually("the second certificate", || asks(&client(folder, "second")).is_some());
    assert!(asks(&client(folder, "first")).is_none(), "the first one is gone");
    assert!(asks(&first).is_some(), "who was connected stays so");

    // What cannot be used changes nothing; SIGHUP has it looked at at once.
    fs::write(folder.join("cert.pem"), "nonsense").unwrap();
    let hangup = || Command::new("kill").args(["-s", "HUP", &server.0.id().to_string()]).status().unwrap();
    assert!(hangup().success());
    assert!(asks(&client(folder, "second")).is_some());
    install(folder, "third");
    assert!(hangup().success());
    eventually("the third certificate", || asks(&client(folder, "third")).is_some());
}

/// OWASP ASVS 5.0, 13.3.1 and 13.4: a key is nobody else's to read.
#[test]
fn a_key_that_everybody_may_read_is_refused_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    certificate(folder, "first");
    certificate(folder, "second");
    install(folder, "first");
    fs::create_dir(folder.join("dealwright-data")).unwrap();
    assert!(program(folder).arg("doctor").output().unwrap().status.success());
    fs::set_permissions(folder.join("key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    for arguments in [["serve", "--listen", "127.0.0.1:0"].as_slice(), &["doctor"]] {
        let output = program(folder).args(arguments).output().unwrap();
        assert!(!output.status.success());
        assert!(text(&output).contains("chmod o= key.pem"), "{}", text(&output));
    }
    fs::set_permissions(folder.join("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::copy(folder.join("second/cert.pem"), folder.join("cert.pem")).unwrap();
    let output = program(folder).args(["--listen", "127.0.0.1:0"]).output().unwrap();
    assert!(!output.status.success() && text(&output).contains("are no pair"), "{}", text(&output));
}
