//! Why a mail server could not be used, kept apart as far as people and the engine act on it differently: the person
//! who connects an account is told which member is wrong, a running account whether trying again helps.

use std::{fmt, io};

use dealwright::error::{Error, ErrorKind, FieldError};

use super::mime;

/// Code of the error for credentials that the server refused: trying again does not help.
pub const CREDENTIALS_REJECTED: &str = "credentials_rejected";

/// Servers' own words are quoted up to this length.
const MAX_QUOTE: usize = 300;

#[derive(Debug)]
pub(super) enum Failure {
    /// The name has no address.
    Dns(String),
    /// All its addresses are private ones and the operator allows public ones only.
    Private,
    /// The operator allows these ports alone.
    Port(Vec<u16>),
    /// No connection came about.
    Unreachable(String),
    /// The server did not answer in time; says to what.
    TimedOut(&'static str),
    /// TLS was spoken and the certificate is not trusted.
    Certificate(String),
    /// TLS does not work there.
    Tls(String),
    /// The server does not offer STARTTLS.
    NoStartTls,
    /// The server offers no way to sign in that we know.
    NoSignIn,
    /// Username or password are wrong.
    Credentials(String),
    /// The server said no; trying again helps only if `temporary`.
    Refused {
        /// The server's words.
        said: String,
        /// Whether it said so itself.
        temporary: bool,
    },
    /// The answer is not the protocol's.
    Garbled(String),
    /// The connection broke.
    Lost(String),
}

impl Failure {
    pub(super) fn refused(said: impl AsRef<str>, temporary: bool) -> Self {
        Self::Refused { said: quote(said), temporary }
    }

    pub(super) fn garbled(said: impl AsRef<str>) -> Self {
        Self::Garbled(quote(said))
    }

    /// The member of a server's settings that a person should look at.
    fn member(&self) -> &'static str {
        match self {
            Self::Dns(_)
            | Self::Private
            | Self::Unreachable(_)
            | Self::TimedOut(_)
            | Self::Certificate(_)
            | Self::Refused { .. }
            | Self::Lost(_) => "host",
            Self::Tls(_) | Self::NoStartTls | Self::NoSignIn => "security",
            Self::Credentials(_) => "password",
            Self::Garbled(_) | Self::Port(_) => "port",
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Dns(_) => "not_found",
            Self::Private => "private_address",
            Self::Port(_) => "port_not_allowed",
            Self::Unreachable(_) | Self::Lost(_) => "unreachable",
            Self::TimedOut(_) => "timed_out",
            Self::Certificate(_) => "untrusted_certificate",
            Self::Tls(_) | Self::NoStartTls => "tls_failed",
            Self::NoSignIn => "no_sign_in",
            Self::Credentials(_) => CREDENTIALS_REJECTED,
            Self::Refused { .. } => "refused",
            Self::Garbled(_) => "wrong_protocol",
        }
    }

    /// The wrong member, for the person who connects an account; `server` is `imap` or `smtp`.
    pub(super) fn field(&self, server: &str) -> FieldError {
        FieldError {
            pointer: format!("/{server}/{}", self.member()),
            code: self.code().into(),
            detail: self.to_string(),
        }
    }

    /// The error of a running account.
    pub(super) fn error(&self, server: &str) -> Error {
        let kind = match self {
            Self::Credentials(_) => ErrorKind::Unauthenticated,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("{server}: {self}")).code_of(self.code())
    }

    /// Whether trying again may help without anybody changing anything.
    pub(super) fn is_temporary(&self) -> bool {
        match self {
            Self::Credentials(_) | Self::Private | Self::Port(_) => false,
            Self::Refused { temporary, .. } => *temporary,
            _ => true,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(error) => write!(f, "the host name could not be resolved ({error}); check its spelling"),
            Self::Private => {
                f.write_str("the host has only private addresses, and this server connects to public ones only")
            }
            Self::Port(allowed) => {
                let allowed = allowed.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
                write!(f, "the operator allows no mail servers at this port; allowed: {allowed}")
            }
            Self::Unreachable(error) => write!(f, "no connection to the server ({error}); check host and port"),
            Self::TimedOut(what) => {
                write!(f, "the server did not answer in time ({what}); check host, port and security")
            }
            Self::Certificate(error) => {
                write!(
                    f,
                    "the server's TLS certificate is not trusted ({error}); check the host name, or have the operator trust its authority"
                )
            }
            Self::Tls(error) => {
                write!(f, "TLS with the server failed ({error}); check port and security (tls or starttls)")
            }
            Self::NoStartTls => f.write_str("the server does not offer STARTTLS on this port; try security tls"),
            Self::NoSignIn => {
                f.write_str("the server offers no sign-in (AUTH PLAIN or LOGIN) on this port; try tls or starttls")
            }
            Self::Credentials(said) => write!(f, "the server refused username or password: {said:?}"),
            Self::Refused { said, .. } => write!(f, "the server refused: {said:?}"),
            Self::Garbled(said) => {
                write!(f, "the server does not speak the expected protocol here ({said:?}); check the port")
            }
            Self::Lost(error) => write!(f, "the connection to the server broke ({error})"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Lost(quote(error.to_string()))
    }
}

/// A server's words on one line, bounded.
fn quote(said: impl AsRef<str>) -> String {
    mime::line(said.as_ref(), MAX_QUOTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_names_the_member_to_look_at() {
        let pointer = |failure: Failure| failure.field("imap").pointer;
        assert_eq!(pointer(Failure::Credentials("no".into())), "/imap/password");
        assert_eq!(pointer(Failure::Certificate("unknown".into())), "/imap/host");
        assert_eq!(pointer(Failure::NoStartTls), "/imap/security");
        assert_eq!(pointer(Failure::garbled("HTTP/1.1 400")), "/imap/port");
    }

    #[test]
    fn refused_credentials_have_a_code_of_their_own() {
        let error = Failure::Credentials("no".into()).error("imap");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unauthenticated, CREDENTIALS_REJECTED));
        assert_eq!(Failure::TimedOut("greeting").error("imap").kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn a_servers_words_stay_on_one_line() {
        let error = Failure::refused("no\r\n\u{1b}[2Jway".to_owned() + &"x".repeat(5000), true).to_string();
        assert!(error.len() < 400 && !error.contains('\n') && !error.contains('\u{1b}'));
    }
}
