//! One IMAP connection (RFC 3501): signing in and running commands. `async-imap` frames, parses and signs in; commands run
//! here, because its own readers take a refused FETCH and a broken connection for an empty answer, and that would lose
//! mail.

mod folder;
mod idle;
mod sent;
mod sync;

pub(super) use sent::{Copy, keep_copy, look_up};
pub(super) use sync::run;

use std::{fmt::Write as _, time::Duration};

use async_imap::{
    Authenticator, Client, Session,
    error::Error as ImapError,
    imap_proto::{Capability, MailboxDatum, Outcome, RequestId, Response, Status},
};
use tokio::{io::AsyncWriteExt as _, time::timeout};

use super::{
    failure::Failure,
    net::{Dialer, Stream},
    settings::{Security, Server},
};

/// The slowest line that is waited for: a large mail may take longer than a command, by a second for each of these.
const SLOWEST_BYTES_PER_SECOND: u64 = 16 << 10;

/// A signed-in connection.
pub(super) struct Imap {
    session: Session<Stream>,
    patience: Duration,
    can_idle: bool,
    /// The server spoke of new mail since this was last cleared.
    news: bool,
}

/// How a server ended a command other than with OK.
#[derive(Debug)]
pub(super) enum Denied {
    /// `NO` or `BAD`, the connection goes on.
    Said {
        /// The server's words, with the code in brackets.
        said: String,
        /// The code says that it may be otherwise later (RFC 5530).
        temporary: bool,
    },
    /// The connection is of no more use.
    Failed(Failure),
}

impl From<Failure> for Denied {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Said { said, temporary, .. } => Self::refused(said, temporary),
            Denied::Failed(failure) => failure,
        }
    }
}

impl Imap {
    /// Connects and signs in.
    pub(super) async fn open(dialer: &Dialer, server: &Server, patience: Duration) -> Result<Self, Failure> {
        let stream = dialer.connect(&server.host, server.port).await?;
        let client = match server.security {
            Security::Tls => greeted(dialer.protect(stream, &server.host).await?, patience).await?,
            Security::None => greeted(Stream::Plain(stream), patience).await?,
            Security::StartTls => {
                let mut client = greeted(Stream::Plain(stream), patience).await?;
                within(patience, "STARTTLS", client.run_command_and_check_ok("STARTTLS", None)).await?.map_err(
                    |error| match error {
                        ImapError::No(_) | ImapError::Bad(_) => Failure::NoStartTls,
                        other => failure(other),
                    },
                )?;
                // What was read ahead is dropped with the client: it came before TLS, so anybody could have written it.
                match client.into_inner() {
                    Stream::Plain(stream) => Client::new(dialer.protect(stream, &server.host).await?),
                    Stream::Tls(_) => return Err(Failure::Tls("STARTTLS inside of TLS".to_owned())),
                }
            }
        };
        let session = within(patience, "sign-in", sign_in(client, server)).await??;
        let mut imap = Self { session, patience, can_idle: false, news: false };
        imap.can_idle = imap.capable_of("IDLE").await?;
        Ok(imap)
    }

    async fn capable_of(&mut self, wanted: &str) -> Result<bool, Failure> {
        let mut found = false;
        self.command("CAPABILITY", 0, |response| {
            if let Response::Capabilities(all) = response {
                found |= all.iter().any(
                    |capability| matches!(capability, Capability::Atom(name) if name.eq_ignore_ascii_case(wanted)),
                );
            }
        })
        .await?;
        Ok(found)
    }

    /// Runs a command to its end and hands every untagged answer to `each`. `bytes` is how much the answer may bring.
    async fn command(&mut self, command: &str, bytes: u64, each: impl FnMut(&Response<'_>)) -> Result<(), Denied> {
        let tag = self.start(command).await?;
        self.finish(&tag, bytes, each).await
    }

    async fn start(&mut self, command: &str) -> Result<RequestId, Failure> {
        within(self.patience, "command", self.session.run_command(command)).await?.map_err(failure)
    }

    async fn finish(&mut self, tag: &RequestId, bytes: u64, mut each: impl FnMut(&Response<'_>)) -> Result<(), Denied> {
        let patience = self.patience + Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND);
        loop {
            let read = self.next(|response| match response {
                Response::Done { tag: done, status, outcome } if done == tag => Some(ended(status, outcome)),
                other => {
                    each(other);
                    None
                }
            });
            if let Some(end) = within(patience, "answer to a command", read).await?? {
                return end;
            }
        }
    }

    /// Waits until the server lets a command go on (`+`).
    async fn continued(&mut self, tag: &RequestId) -> Result<(), Denied> {
        let patience = self.patience;
        loop {
            let read = self.next(|response| match response {
                Response::Continue(_) => Some(Ok(())),
                Response::Done { tag: done, status, outcome } if done == tag => Some(
                    ended(status, outcome)
                        .and_then(|()| Err(Failure::garbled("the command ended before its content").into())),
                ),
                _ => None,
            });
            if let Some(end) = within(patience, "continuation", read).await?? {
                return end;
            }
        }
    }

    /// Hands the next thing that the server says to `look`. Dropping the future loses nothing.
    async fn next<R>(&mut self, look: impl FnOnce(&Response<'_>) -> R) -> Result<R, Failure> {
        let data = self.session.read_response().await.map_err(|error| failure(error.into()))?;
        let data = data.ok_or_else(|| Failure::Lost("the server closed it".to_owned()))?;
        match data.parsed() {
            Response::MailboxData(MailboxDatum::Exists(_) | MailboxDatum::Recent(_)) => self.news = true,
            Response::Data { status: Status::Bye, outcome } => {
                return Err(Failure::refused(format!("BYE {}", words(outcome)), true));
            }
            _ => {}
        }
        Ok(look(data.parsed()))
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let patience = self.patience + Duration::from_secs(bytes.len() as u64 / SLOWEST_BYTES_PER_SECOND);
        let stream: &mut Stream = self.session.as_mut();
        within(patience, "upload", async {
            stream.write_all(bytes).await?;
            stream.flush().await
        })
        .await?
        .map_err(Failure::from)
    }

    /// Says good-bye; whether the server hears it does not matter.
    pub(super) async fn close(mut self) {
        if let Err(denied) = self.command("LOGOUT", 0, |_| {}).await {
            tracing::trace!(?denied, "the mail server did not confirm the sign-out");
        }
    }
}

/// Reads the greeting (RFC 3501, 7.1).
async fn greeted(stream: Stream, patience: Duration) -> Result<Client<Stream>, Failure> {
    let mut client = Client::new(stream);
    let greeting =
        within(patience, "greeting", client.read_response()).await?.map_err(|error| failure(error.into()))?;
    let greeting = greeting.ok_or_else(|| Failure::Lost("the server closed it before it greeted".to_owned()))?;
    match greeting.parsed() {
        Response::Data { status: Status::Ok, .. } => {}
        Response::Data { status: Status::Bye, outcome } => return Err(Failure::refused(words(outcome), true)),
        _ => return Err(Failure::garbled("no IMAP greeting")),
    }
    Ok(client)
}

/// Signs in: LOGIN, or PLAIN where the words are not ASCII, which LOGIN cannot carry (RFC 3501, 4.3).
async fn sign_in(client: Client<Stream>, server: &Server) -> Result<Session<Stream>, Failure> {
    let signed_in = if server.username.is_ascii() && server.password.is_ascii() {
        client.login(&server.username, &server.password).await
    } else {
        client.authenticate("PLAIN", Plain(server)).await
    };
    signed_in.map_err(|(error, _)| match error {
        ImapError::No(said) if is_temporary(&said) => Failure::refused(said_by(&said), true),
        ImapError::No(said) => Failure::Credentials(said_by(&said)),
        other => failure(other),
    })
}

/// SASL PLAIN (RFC 4616).
struct Plain<'a>(&'a Server);

impl Authenticator for Plain<'_> {
    type Response = String;

    fn process(&mut self, _challenge: &[u8]) -> String {
        format!("\0{}\0{}", self.0.username, self.0.password)
    }
}

/// The server's words in an error of `async-imap`, which has them as `…information: Some("…")`.
fn said_by(error: &str) -> String {
    let words = error.split_once("info: Some(\"").map_or(error, |(_, words)| words.trim_end_matches("\")"));
    super::mime::line(words, 300)
}

fn ended(status: &Status, outcome: &Outcome<'_>) -> Result<(), Denied> {
    if *status == Status::Ok {
        return Ok(());
    }
    let said = words(outcome);
    let temporary = is_temporary(&said);
    Err(Denied::Said { said, temporary })
}

fn words(outcome: &Outcome<'_>) -> String {
    outcome.information.as_deref().unwrap_or_default().to_owned()
}

/// Codes that say that the same may work later (RFC 5530, 3).
fn is_temporary(said: &str) -> bool {
    let said = said.to_ascii_uppercase();
    ["[UNAVAILABLE]", "[INUSE]", "[LIMIT]", "[SERVERBUG]"].iter().any(|code| said.contains(code))
}

/// What the library's errors mean. A parse error quotes all that was read, perhaps a whole mail: only its beginning stays.
fn failure(error: ImapError) -> Failure {
    match error {
        ImapError::Io(error) if error.to_string().contains("during parsing of") => {
            let said = error.to_string();
            Failure::garbled(
                said.rsplit("during parsing of").next().unwrap_or_default().chars().take(100).collect::<String>(),
            )
        }
        ImapError::Io(error) => Failure::from(error),
        ImapError::ConnectionLost => Failure::Lost("the server closed it".to_owned()),
        ImapError::No(said) | ImapError::Bad(said) => Failure::refused(said_by(&said), is_temporary(&said)),
        other => Failure::garbled(other.to_string()),
    }
}

async fn within<T>(patience: Duration, what: &'static str, work: impl Future<Output = T>) -> Result<T, Failure> {
    timeout(patience, work).await.map_err(|_| Failure::TimedOut(what))
}

/// A quoted string (RFC 3501, 4.3); line breaks cannot be quoted and are left out.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')) {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// A set of UIDs, its runs joined: `3:5,9`.
fn uid_set(uids: impl IntoIterator<Item = u32>) -> String {
    let mut uids: Vec<u32> = uids.into_iter().collect();
    uids.sort_unstable();
    uids.dedup();
    let mut set = String::new();
    for run in uids.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
        let separator = if set.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = match run {
            [one] => write!(set, "{separator}{one}"),
            [first, .., last] => write!(set, "{separator}{first}:{last}"),
            [] => Ok(()),
        };
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ASVS 1.3.11.
    #[test]
    fn sets_and_strings_are_written_as_the_protocol_wants_them() {
        assert_eq!(uid_set([9, 3, 4, 5, 4, u32::MAX]), "3:5,9,4294967295");
        assert_eq!(quoted("a\"b\\c\r\nd"), r#""a\"b\\cd""#);
    }

    #[test]
    fn the_servers_words_are_found_in_the_librarys_errors() {
        assert_eq!(
            said_by(r#"code: None, info: Some("[AUTHENTICATIONFAILED] Authentication failed.")"#),
            "[AUTHENTICATIONFAILED] Authentication failed."
        );
    }
}
