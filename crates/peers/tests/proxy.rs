//! The line that breaks: each fault where it was asked for, nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use dealwright_peers::{Counts, Direction, Fault, Place, Proxy};

/// A server that says again what it hears; its port.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
        }
    });
    port
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Says four bytes; answers what comes back before the connection ends.
fn say(stream: &mut TcpStream, word: &[u8; 4]) -> Vec<u8> {
    if stream.write_all(word).is_err() {
        return Vec::new();
    }
    let mut heard = Vec::new();
    while heard.len() < 4 {
        let mut buffer = [0; 4];
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(size) => heard.extend_from_slice(&buffer[..size]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nothing for ten seconds"),
            Err(_) => break,
        }
    }
    heard
}

#[test]
fn a_sound_line_counts() {
    let proxy = Proxy::to(echo()).unwrap();
    let mut stream = connect(&proxy);
    assert_eq!((say(&mut stream, b"ping"), say(&mut stream, b"pong")), (b"ping".to_vec(), b"pong".to_vec()));
    let all = Counts { connections: 1, steps: 4, to_server: 8, to_client: 8, matches: 0, struck: false };
    assert_eq!(proxy.counts(), all);
    proxy.count();
    assert_eq!(proxy.counts(), Counts::default());
}

#[test]
fn a_connection_is_cut_at_each_step_and_the_next_one_is_sound() {
    let proxy = Proxy::to(echo()).unwrap();
    for (step, whole) in [(1, 0), (2, 0), (3, 1), (4, 1)] {
        proxy.arm(Place::Step(step), Fault::Cut);
        let mut stream = connect(&proxy);
        let heard = [say(&mut stream, b"ping"), say(&mut stream, b"pong")];
        assert_eq!(heard.iter().filter(|it| it.len() == 4).count(), whole, "step {step}: {heard:?}");
        assert_eq!(say(&mut connect(&proxy), b"ping"), b"ping");
        assert!(proxy.lift().struck);
    }
}

#[test]
fn a_step_is_truncated() {
    let proxy = Proxy::to(echo()).unwrap();
    proxy.arm(Place::Step(2), Fault::Truncate);
    assert_eq!(say(&mut connect(&proxy), b"ping"), b"pi");
    proxy.arm(Place::Bytes(Direction::ToServer, 4), Fault::Truncate);
    let mut stream = connect(&proxy);
    assert_eq!(say(&mut stream, b"ping"), b"ping");
    assert!(say(&mut stream, b"pong").len() <= 2);
    assert!(proxy.lift().struck);
}

#[test]
fn an_answer_is_lost() {
    let proxy = Proxy::to(echo()).unwrap();
    proxy.arm(Place::Answer(b"on", 2), Fault::Cut);
    let mut stream = connect(&proxy);
    let heard = [b"pong", b"ping", b"song"].map(|word| say(&mut stream, word));
    assert_eq!(heard, [b"pong".to_vec(), b"ping".to_vec(), Vec::new()]);
    let counts = proxy.lift();
    assert_eq!((counts.to_server, counts.matches, counts.struck), (12, 2, true));
}

#[test]
fn nobody_is_let_in_until_it_is_lifted() {
    let proxy = Proxy::to(echo()).unwrap();
    let mut before = connect(&proxy);
    assert_eq!(say(&mut before, b"ping"), b"ping");
    proxy.arm(Place::Now, Fault::Refuse);
    assert_eq!(say(&mut before, b"ping"), b"");
    assert_eq!(say(&mut connect(&proxy), b"ping"), b"");
    proxy.lift();
    assert_eq!(say(&mut connect(&proxy), b"ping"), b"ping");
}

#[test]
fn what_was_taken_in_silence_comes_late() {
    let proxy = Proxy::to(echo()).unwrap();
    let mut stream = connect(&proxy);
    proxy.arm(Place::Step(2), Fault::Silence);
    stream.write_all(b"ping").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert_eq!(stream.read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(proxy.lift().struck);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut heard = [0; 4];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"ping");
}

#[test]
fn each_step_is_delayed() {
    let proxy = Proxy::to(echo()).unwrap();
    let mut stream = connect(&proxy);
    proxy.arm(Place::Step(1), Fault::Delay(Duration::from_millis(50)));
    let began = Instant::now();
    assert_eq!(say(&mut stream, b"ping"), b"ping");
    assert!(began.elapsed() >= Duration::from_millis(100), "{:?}", began.elapsed());
}
