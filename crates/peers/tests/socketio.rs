#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use dealwright_peers::{SocketIoClient, Transport};

#[test]
fn both_clients_connect_subscribe_and_hear_over_both_transports() {
    let server = Server::start();
    for client in [SocketIoClient::node().unwrap(), SocketIoClient::python().unwrap()] {
        for transport in [None, Some(Transport::Polling), Some(Transport::Websocket)] {
            let heard = client.listen(&server.url, "right", &["chat:1", "chat:2"], transport).unwrap();
            assert_eq!(compact(&heard.await_line(|_| true).unwrap()), r#"{"event":"connect"}"#);
            for room in ["chat:1", "chat:2"] {
                let mut left = vec![
                    format!(r#"{{"event":"subscribed","room":"{room}","ack":{{"ok":true}}}}"#),
                    format!(r#"{{"event":"news","data":{{"of":"{room}"}}}}"#),
                ];
                while !left.is_empty() {
                    let line = compact(&heard.await_line(|_| true).unwrap());
                    let place = left.iter().position(|wanted| *wanted == line);
                    left.remove(place.unwrap_or_else(|| panic!("{line} is none of {left:?}")));
                }
            }
        }
    }
}

#[test]
fn both_clients_report_a_refused_handshake() {
    let server = Server::start();
    for client in [SocketIoClient::node().unwrap(), SocketIoClient::python().unwrap()] {
        let heard = client.listen(&server.url, "wrong", &[], None).unwrap();
        let line = heard.await_line(|line| line.contains("connect_error")).unwrap();
        assert!(line.contains("wrong token"), "{line}");
    }
}

fn compact(line: &str) -> String {
    line.replace(": ", ":").replace(", ", ",")
}

struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/socketio_server.py");
        let mut server = Command::new(SocketIoClient::python().unwrap().interpreter);
        server.args([script, &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let process = server.spawn().unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Self { process, url: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
