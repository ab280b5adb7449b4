//! Handing one mail to its submission server (RFC 6409, RFC 5321). The dialogue is our own because its phases decide
//! everything: a mail whose last line was not yet sent is surely not taken, one whose answer is lost may be, and the
//! libraries tell these two apart no more.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use dealwright::{
    error::{Error, ErrorKind, FieldError},
    ports::connector::SendError,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    time::timeout,
};

use super::{
    address,
    compose::Composed,
    failure::{CREDENTIALS_REJECTED, Failure},
    mime,
    net::{Dialer, Stream},
    settings::{Security, Server},
};

/// Longest answer that is read (RFC 5321, 4.5.3.1.5: 512 octets a line).
const MAX_REPLY: u64 = 64 << 10;
const CHUNK: usize = 64 << 10;

/// How long servers are waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For each command and each piece of the mail.
    pub(super) command: Duration,
    /// For the answer to the mail as a whole (RFC 5321, 4.5.3.2.6: 10 minutes).
    pub(super) delivery: Duration,
}

/// Sends a mail, once.
pub(super) async fn submit(
    dialer: &Dialer,
    server: &Server,
    patience: Patience,
    mail: &Composed,
) -> Result<(), SendError> {
    let mut smtp = Smtp::open(dialer, server, patience.command, address::domain(&mail.from))
        .await
        .map_err(|failure| before(&failure))?;
    smtp.envelope(mail).await?;
    let accepted = smtp.transfer(&mail.bytes, patience.delivery).await;
    smtp.quit().await;
    accepted
}

/// Whether the server lets `email` sign in and send: `Err` names the wrong member.
pub(super) async fn check(dialer: &Dialer, server: &Server, patience: Duration, email: &str) -> Result<(), FieldError> {
    let mut smtp =
        Smtp::open(dialer, server, patience, address::domain(email)).await.map_err(|failure| failure.field("smtp"))?;
    let reply = smtp.command(&format!("MAIL FROM:<{email}>")).await.map_err(|failure| failure.field("smtp"))?;
    smtp.quit().await;
    if reply.is_permanent() {
        let detail = format!("the SMTP server does not let this account send from {email}: {:?}", reply.text());
        return Err(FieldError { pointer: "/email".to_owned(), code: "sender_refused".into(), detail });
    }
    Ok(())
}

/// An error before the mail's last line was sent.
fn before(failure: &Failure) -> SendError {
    let error = failure.error("smtp");
    if failure.is_temporary() { SendError::Temporary { error, retry_after: None } } else { SendError::Permanent(error) }
}

/// What a refusing reply means; `what` was refused.
fn refusal(reply: &Reply, what: &str) -> SendError {
    let message = format!("the SMTP server refused {what}: {:?}", reply.text());
    if reply.is_permanent() {
        let (kind, code) = match reply.code {
            530 | 534 | 535 | 538 => (ErrorKind::Unauthenticated, CREDENTIALS_REJECTED),
            _ => (ErrorKind::Invalid, "refused"),
        };
        SendError::Permanent(Error::new(kind, message).code_of(code))
    } else {
        SendError::Temporary { error: Error::unavailable(message), retry_after: None }
    }
}

/// One answer of the server (RFC 5321, 4.2).
#[derive(Debug, Default, PartialEq, Eq)]
struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Reply {
    fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    fn is_permanent(&self) -> bool {
        (500..600).contains(&self.code)
    }

    fn text(&self) -> String {
        mime::line(&format!("{} {}", self.code, self.lines.join(" ")), 300)
    }

    /// The values of a keyword of the EHLO answer.
    fn extension(&self, keyword: &str) -> Option<&str> {
        self.lines.iter().skip(1).find_map(|line| {
            let (word, values) = line.split_once([' ', '=']).unwrap_or((line, ""));
            word.eq_ignore_ascii_case(keyword).then_some(values)
        })
    }
}

struct Smtp {
    stream: BufReader<Stream>,
    patience: Duration,
    /// The answer to EHLO: what the server can do.
    hello: Reply,
}

impl Smtp {
    /// Connects, protects, greets and signs in.
    async fn open(dialer: &Dialer, server: &Server, patience: Duration, name: &str) -> Result<Self, Failure> {
        let stream = dialer.connect(&server.host, server.port).await?;
        let stream = match server.security {
            Security::Tls => dialer.protect(stream, &server.host).await?,
            Security::StartTls | Security::None => Stream::Plain(stream),
        };
        let mut smtp = Self { stream: BufReader::new(stream), patience, hello: Reply::default() };
        smtp.greeting().await?;
        smtp.ehlo(name).await?;
        if server.security == Security::StartTls {
            smtp = smtp.start_tls(dialer, &server.host).await?;
            smtp.ehlo(name).await?;
        }
        // Only the operator's own server, for the engine's own mails, may do without.
        if !server.username.is_empty() {
            smtp.sign_in(server).await?;
        }
        Ok(smtp)
    }

    async fn greeting(&mut self) -> Result<(), Failure> {
        let greeting = self.reply(self.patience, "greeting").await?;
        match greeting.code {
            220 => Ok(()),
            400..600 => Err(Failure::refused(greeting.text(), !greeting.is_permanent())),
            _ => Err(Failure::garbled(greeting.text())),
        }
    }

    async fn ehlo(&mut self, name: &str) -> Result<(), Failure> {
        let hello = self.command(&format!("EHLO {name}")).await?;
        if !hello.is_positive() {
            return Err(Failure::refused(hello.text(), !hello.is_permanent()));
        }
        self.hello = hello;
        Ok(())
    }

    async fn start_tls(mut self, dialer: &Dialer, host: &str) -> Result<Self, Failure> {
        if self.hello.extension("STARTTLS").is_none() || self.command("STARTTLS").await?.code != 220 {
            return Err(Failure::NoStartTls);
        }
        // Whatever was read ahead came before TLS: anybody could have slipped it in.
        if !self.stream.buffer().is_empty() {
            return Err(Failure::Tls("the server spoke before the handshake".to_owned()));
        }
        match self.stream.into_inner() {
            Stream::Plain(stream) => Ok(Self {
                stream: BufReader::new(dialer.protect(stream, host).await?),
                patience: self.patience,
                hello: Reply::default(),
            }),
            Stream::Tls(_) => Err(Failure::Tls("STARTTLS inside of TLS".to_owned())),
        }
    }

    /// AUTH PLAIN, or LOGIN where that is all there is (RFC 4954).
    async fn sign_in(&mut self, server: &Server) -> Result<(), Failure> {
        let offered = self.hello.extension("AUTH").ok_or(Failure::NoSignIn)?.to_ascii_uppercase();
        let offers = |mechanism: &str| offered.split_whitespace().any(|word| word == mechanism);
        let reply = if offers("PLAIN") {
            let response = BASE64.encode(format!("\0{}\0{}", server.username, server.password));
            self.command(&format!("AUTH PLAIN {response}")).await?
        } else if offers("LOGIN") {
            let mut reply = self.command("AUTH LOGIN").await?;
            for word in [&server.username, &server.password] {
                if reply.code == 334 {
                    reply = self.command(&BASE64.encode(word)).await?;
                }
            }
            reply
        } else {
            return Err(Failure::NoSignIn);
        };
        match reply.code {
            235 => Ok(()),
            code if (400..500).contains(&code) => Err(Failure::refused(reply.text(), true)),
            _ => Err(Failure::Credentials(reply.text())),
        }
    }

    async fn envelope(&mut self, mail: &Composed) -> Result<(), SendError> {
        let mut parameters = String::new();
        if let Some(limit) = self.hello.extension("SIZE") {
            let limit: u64 = limit.trim().parse().unwrap_or(0);
            if limit != 0 && mail.bytes.len() as u64 > limit {
                let message = format!("the mail has {} bytes; the SMTP server takes at most {limit}", mail.bytes.len());
                return Err(SendError::Permanent(Error::new(ErrorKind::TooLarge, message)));
            }
            parameters = format!(" SIZE={}", mail.bytes.len());
        }
        if !(mail.from.is_ascii() && mail.to.is_ascii()) {
            if self.hello.extension("SMTPUTF8").is_none() {
                let message = format!(
                    "the SMTP server takes no international addresses, and {} or {} is one",
                    mail.from, mail.to
                );
                return Err(SendError::Permanent(Error::new(ErrorKind::Invalid, message).code_of("refused")));
            }
            parameters.push_str(" SMTPUTF8");
        }
        self.agree(&format!("MAIL FROM:<{}>{parameters}", mail.from), "the sender").await?;
        self.agree(&format!("RCPT TO:<{}>", mail.to), "the recipient").await?;
        let reply = self.command("DATA").await.map_err(|failure| before(&failure))?;
        if reply.code == 354 { Ok(()) } else { Err(refusal(&reply, "the mail")) }
    }

    async fn agree(&mut self, command: &str, what: &str) -> Result<(), SendError> {
        let reply = self.command(command).await.map_err(|failure| before(&failure))?;
        if reply.is_positive() { Ok(()) } else { Err(refusal(&reply, what)) }
    }

    /// Sends the mail. From the last line on until the answer, nobody can know whether it was taken.
    async fn transfer(&mut self, mail: &[u8], patience: Duration) -> Result<(), SendError> {
        for chunk in stuffed(mail).chunks(CHUNK) {
            self.write(chunk).await.map_err(|failure| before(&failure))?;
        }
        let doubtful = |failure: Failure| SendError::Doubtful(failure.error("smtp"));
        self.write(b".\r\n").await.map_err(doubtful)?;
        let reply = self.reply(patience, "answer to the mail").await.map_err(doubtful)?;
        match reply.code {
            200..300 => Ok(()),
            400..600 => Err(refusal(&reply, "the mail")),
            _ => Err(doubtful(Failure::garbled(reply.text()))),
        }
    }

    /// Takes leave without waiting for the answer: the mail is settled already.
    async fn quit(mut self) {
        if let Err(failure) = self.write(b"QUIT\r\n").await {
            tracing::trace!(%failure, "the SMTP server left first");
        }
    }

    async fn command(&mut self, command: &str) -> Result<Reply, Failure> {
        self.write(format!("{command}\r\n").as_bytes()).await?;
        self.reply(self.patience, "answer to a command").await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let stream = self.stream.get_mut();
        let write = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        timeout(self.patience, write).await.map_err(|_| Failure::TimedOut("upload"))?.map_err(Failure::from)
    }

    async fn reply(&mut self, patience: Duration, what: &'static str) -> Result<Reply, Failure> {
        timeout(patience, self.read_reply()).await.map_err(|_| Failure::TimedOut(what))?
    }

    async fn read_reply(&mut self) -> Result<Reply, Failure> {
        let mut reply = Reply::default();
        let mut room = MAX_REPLY;
        loop {
            let mut line = Vec::new();
            let read = (&mut self.stream).take(room).read_until(b'\n', &mut line).await?;
            if line.last() != Some(&b'\n') {
                return Err(if read as u64 == room {
                    Failure::garbled("an endless answer")
                } else {
                    Failure::Lost("the server closed it".to_owned())
                });
            }
            room -= read as u64;
            let line = String::from_utf8_lossy(&line);
            let (code, rest) = line.trim_end().split_at_checked(3).unwrap_or_default();
            reply.code =
                code.parse().ok().filter(|code| (200..600).contains(code)).ok_or_else(|| Failure::garbled(&line))?;
            let more = rest.starts_with('-');
            reply.lines.push(rest.trim_start_matches(['-', ' ']).to_owned());
            if !more {
                return Ok(reply);
            }
        }
    }
}

/// The mail with a dot before every line that begins with one (RFC 5321, 4.5.2), ending in a line break.
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(mail.len() + mail.len() / 64 + 2);
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        if line.first() == Some(&b'.') {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    if !stuffed.ends_with(b"\r\n") {
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ASVS 1.3.11.
    #[test]
    fn dots_at_line_starts_are_doubled_and_the_end_is_a_line() {
        assert_eq!(stuffed(b".a\r\n..\r\nb.\r\n"), b"..a\r\n...\r\nb.\r\n");
        assert_eq!(stuffed(b"a"), b"a\r\n");
        assert_eq!(stuffed(b""), b"\r\n");
    }

    #[test]
    fn extensions_are_found_whatever_their_case() {
        let lines =
            ["mx.example.test", "size 1000", "AUTH PLAIN LOGIN", "STARTTLS", "AUTH=PLAIN"].map(str::to_owned).to_vec();
        let hello = Reply { code: 250, lines };
        assert_eq!(hello.extension("SIZE"), Some("1000"));
        assert_eq!(hello.extension("AUTH"), Some("PLAIN LOGIN"));
        assert_eq!(hello.extension("STARTTLS"), Some(""));
        assert_eq!(hello.extension("SMTPUTF8"), None);
    }
}
