//! As much of an SMTP client (RFC 5321, RFC 4954) as it takes to hand in one message.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The first line the server at `port` says.
pub(super) fn greeting(port: u16) -> Result<String> {
    let mut line = String::new();
    BufReader::new(connect(port)?).read_line(&mut line)?;
    Ok(line)
}

pub(super) fn submit(port: u16, user: (&str, &str), from: &str, to: &str, message: &[u8]) -> Result<()> {
    let mut session = Session { server: BufReader::new(connect(port)?) };
    session.expect("220", "the greeting")?;
    session.ask("250", "EHLO localhost")?;
    // RFC 4616: no authorization identity, user, password.
    let secret = STANDARD.encode(format!("\0{}\0{}", user.0, user.1));
    session.ask("235", &format!("AUTH PLAIN {secret}"))?;
    session.ask("250", &format!("MAIL FROM:<{from}>"))?;
    session.ask("250", &format!("RCPT TO:<{to}>"))?;
    session.ask("354", "DATA")?;
    session.send(&transparent(message))?;
    session.expect("250", "the message")?;
    session.ask("221", "QUIT")
}

/// Lines end in CRLF, a leading dot is doubled, a dot alone ends the message (RFC 5321, 4.5.2).
fn transparent(message: &[u8]) -> Vec<u8> {
    let body = message.strip_suffix(b"\n").unwrap_or(message);
    let mut data = Vec::with_capacity(message.len() + 64);
    for line in body.split(|&byte| byte == b'\n') {
        if line.first() == Some(&b'.') {
            data.push(b'.');
        }
        data.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        data.extend_from_slice(b"\r\n");
    }
    data.extend_from_slice(b".\r\n");
    data
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("connect to port {port}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

struct Session {
    server: BufReader<TcpStream>,
}

impl Session {
    fn ask(&mut self, code: &str, line: &str) -> Result<()> {
        self.send(format!("{line}\r\n").as_bytes())?;
        self.expect(code, line)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.server.get_mut().write_all(bytes)?)
    }

    fn expect(&mut self, code: &str, what: &str) -> Result<()> {
        let mut answer = String::new();
        loop {
            let mut line = String::new();
            ensure!(self.server.read_line(&mut line)? > 0, "the server hung up after {what:?}: {answer}");
            answer.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        }
        ensure!(answer.starts_with(code), "the server answers {what:?} with {}", answer.trim_end());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::transparent;

    #[test]
    fn a_line_that_begins_with_a_dot_keeps_it() {
        assert_eq!(transparent(b"a\n.b\r\n..\n"), b"a\r\n..b\r\n...\r\n.\r\n");
        assert_eq!(transparent(b"no end"), b"no end\r\n.\r\n");
    }
}
