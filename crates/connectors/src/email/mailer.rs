//! The engine's own mails, handed to one submission server that the operator names.

use std::fmt;

use async_trait::async_trait;
use dealwright::{
    error::{Error, ErrorKind, Result},
    id::{Id, MessageId},
    ports::{
        connector::{Address, Outgoing, SendError},
        mailer::{Mail, Mailer},
    },
};

use super::{
    EmailOptions, address, compose,
    net::Dialer,
    settings::{Security, Server},
    smtp::{self, Patience},
};

/// A mail server for the engine's own mails.
pub struct SmtpMailer {
    server: Server,
    from: String,
    name: Option<String>,
    patience: Patience,
    dialer: Dialer,
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpMailer").field("server", &self.server).field("from", &self.from).finish_non_exhaustive()
    }
}

impl SmtpMailer {
    /// A mailer that hands mails from `from` (`crm@acme.example` or `Acme CRM <crm@acme.example>`) to the server at `url`:
    /// `smtps://USER:PASSWORD@HOST` (TLS, port 465), `smtp://USER:PASSWORD@HOST` (STARTTLS, port 587), or
    /// `smtp://HOST:25?tls=none` for one that is reached without TLS. Without a user nobody signs in. Of `options` count
    /// the authorities and the time limits.
    ///
    /// # Errors
    /// `validation_failed` at `/smtp_url` or `/mail_from`, which never repeats the password.
    pub fn new(url: &str, from: &str, options: &EmailOptions) -> Result<Self> {
        let server = server(url).map_err(|why| {
            let detail = format!("this is no address of a mail server: {why}; smtps://USER:PASSWORD@HOST is expected");
            Error::invalid("/smtp_url", "invalid", detail)
        })?;
        let (name, address) = match from.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, address)) => (Some(name.trim().trim_matches('"').to_owned()), address),
            None => (None, from.trim()),
        };
        let from = address::normalize(address).ok_or_else(|| {
            Error::invalid(
                "/mail_from",
                "invalid",
                format!("{address:?} is no e-mail address that mails can come from"),
            )
        })?;
        Ok(Self {
            server,
            from,
            name: name.filter(|name| !name.is_empty()),
            patience: Patience { command: options.command_timeout, delivery: options.delivery_timeout },
            // The operator's own server may well be a private one, at any port.
            dialer: Dialer::new(&EmailOptions { public_hosts_only: false, ports: None, ..options.clone() })?,
        })
    }
}

/// Reads the address of a server (RFC 3986). What is wrong is told without the text itself, which holds a password.
fn server(url: &str) -> std::result::Result<Server, &'static str> {
    let (scheme, rest) = url.trim().split_once("://").ok_or("it has no scheme")?;
    let (security, usual) = match scheme {
        "smtps" => (Security::Tls, 465),
        "smtp" => (Security::StartTls, 587),
        _ => return Err("its scheme is neither smtps nor smtp"),
    };
    let (rest, security) = match (rest.split_once('?'), security) {
        (None, security) => (rest, security),
        (Some((rest, "tls=none")), Security::StartTls) => (rest, Security::None),
        (Some(_), _) => return Err("nothing but ?tls=none, of an smtp address, may stand behind the host"),
    };
    let (user, place) = match rest.trim_end_matches('/').rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest.trim_end_matches('/')),
    };
    let (username, password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
        Some((user, password)) => (decoded(user)?, decoded(password)?),
        None => (String::new(), String::new()),
    };
    let (host, port) = match place.rsplit_once(':') {
        // An IPv6 address stands in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| "its port is no number")?),
        _ => (place, usual),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "/#".contains(c)) {
        return Err("it names no host");
    }
    Ok(Server { host, port, security, username, password })
}

fn decoded(text: &str) -> std::result::Result<String, &'static str> {
    const WRONG: &str = "a character of its user or password is wrongly percent-encoded";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).ok_or(WRONG);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| WRONG)?);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains(char::is_control)).ok_or(WRONG)
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<()> {
        let person = |email: &str, name: Option<&String>| Address {
            id: email.to_owned(),
            name: name.cloned(),
            email: Some(email.to_owned()),
            ..Address::default()
        };
        let outgoing = Outgoing {
            // Ours is no message of a chat.
            message_id: MessageId::from_uuid(Default::default()),
            reference: format!("{}@{}", mail.reference, address::domain(&self.from)),
            from: person(&self.from, self.name.as_ref()),
            to: person(&mail.to, mail.to_name.as_ref()),
            chat: None,
            title: Some(mail.subject.clone()),
            text: mail.text.clone(),
            references: Vec::new(),
            media: Vec::new(),
            written_at: mail.written_at,
        };
        let mut composed = compose::compose(&outgoing, &self.from, self.name.as_deref())?;
        // Nobody's holiday notice shall answer it (RFC 3834, 5).
        composed.bytes.splice(0..0, *b"Auto-Submitted: auto-generated\r\n");
        match smtp::submit(&self.dialer, &self.server, self.patience, &composed).await {
            Ok(()) => Ok(()),
            // Sent twice is better than not at all: it has the same Message-ID each time.
            Err(SendError::Temporary { error, .. } | SendError::Doubtful(error)) => Err(again(&error)),
            // The operator's mistake, and not this mail's.
            Err(SendError::Permanent(error)) if error.kind() == ErrorKind::Unauthenticated => Err(again(&error)),
            Err(SendError::Permanent(error)) => Err(error),
        }
    }
}

/// The same, as something that may pass.
fn again(error: &Error) -> Error {
    Error::unavailable(error.message().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers_are_read() {
        let read = |url: &str| {
            let it = server(url).unwrap();
            (it.host, it.port, it.security, it.username, it.password)
        };
        let expected = ("mx.example".into(), 465, Security::Tls, "una@acme.example".into(), "p:w/d é".into());
        assert_eq!(read("smtps://una%40acme.example:p%3Aw%2Fd%20%C3%A9@mx.example"), expected);
        assert_eq!(read("smtp://u:p@mx.example:2525/").1, 2525);
        assert_eq!(read("smtp://mx.example").2, Security::StartTls);
        assert_eq!(read("smtp://[::1]:25?tls=none").0, "::1");
        assert_eq!(read("smtp://127.0.0.1:25?tls=none").2, Security::None);
    }

    #[test]
    fn what_is_wrong_is_told_without_the_password() {
        for url in [
            "",
            "mx.example",
            "http://u:hunter2@mx",
            "smtp://u:hunter2@",
            "smtp://u:hunter2@mx:port",
            "smtps://u:hunter2@mx?tls=none",
            "smtp://u:hunter2%zz@mx",
            "smtp://u:hunter2@mx/path",
        ] {
            let error = SmtpMailer::new(url, "crm@acme.example", &EmailOptions::default()).unwrap_err();
            assert_eq!(error.fields()[0].pointer, "/smtp_url", "{url}");
            assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
        }
        let error = SmtpMailer::new("smtp://mx.example", "nobody", &EmailOptions::default()).unwrap_err();
        assert_eq!(error.fields()[0].pointer, "/mail_from");
        let mailer =
            SmtpMailer::new("smtps://u:hunter2@mx", "Acme <crm@acme.example>", &EmailOptions::default()).unwrap();
        assert!(!format!("{mailer:?}").contains("hunter2"));
    }
}
