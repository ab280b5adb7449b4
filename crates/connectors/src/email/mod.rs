//! E-mail: one mailbox an account, read over IMAP, written over SMTP. Everything that arrives is untrusted: mails are
//! bounded and cleaned here, and what a server says is quoted, never obeyed. What a mail means is decided in the engine.

mod address;
mod automatic;
mod compose;
mod failure;
mod imap;
mod mailer;
mod mime;
mod net;
mod provider_id;
mod settings;
mod smtp;
mod threading;

pub use failure::CREDENTIALS_REJECTED;
pub use mailer::SmtpMailer;
#[cfg(feature = "testkit")]
pub use mime::holds_its_promises;

use std::{fmt, panic::AssertUnwindSafe, time::Duration};

use async_trait::async_trait;
use dealwright::{
    env::Env,
    error::{Error, FieldError, Result},
    id::MessageId,
    ports::connector::{
        Address, Capabilities, Connected, Connector, Credentials, Outgoing, SendError, Sent, Session, Settled,
    },
};
use futures::FutureExt as _;
use ipnet::IpNet;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Map, Value};

use self::{net::Dialer, settings::Settings};

/// The platform's name in SQL, JSON and URLs.
pub const PLATFORM: &str = "email";

/// Servers may end an IDLE after half an hour (RFC 2177, 3).
const MAX_IDLE: Duration = Duration::from_secs(29 * 60);

/// What the operator decides about mailboxes.
#[derive(Debug, Clone)]
pub struct EmailOptions {
    /// Authorities that are trusted beside the public ones.
    pub extra_ca: Vec<CertificateDer<'static>>,
    /// Whether people may choose connections without TLS.
    pub allow_plaintext: bool,
    /// Whether servers with private addresses are refused.
    pub public_hosts_only: bool,
    /// In which networks they may have them all the same.
    pub private_networks: Vec<IpNet>,
    /// Which ports servers may have; `None`: any.
    pub ports: Option<Vec<u16>>,
    /// Largest mail that is taken in, in bytes; larger ones are skipped without being fetched.
    pub max_message_bytes: u32,
    /// How many mails a new account takes over from before it was connected.
    pub history: u32,
    /// How long each step of connecting may take.
    pub connect_timeout: Duration,
    /// How long the answer to a command may take.
    pub command_timeout: Duration,
    /// How long an SMTP server may think about a mail before it answers (RFC 5321, 4.5.3.2.6).
    pub delivery_timeout: Duration,
    /// After how long an IDLE is begun anew; never more than 29 minutes. A connection that died unnoticed is found by
    /// then.
    pub idle_renewal: Duration,
    /// How often a server without IDLE is asked.
    pub poll_interval: Duration,
}

impl EmailOptions {
    /// Trusts the authorities of a PEM file too.
    ///
    /// # Errors
    /// `malformed` if it is no PEM or holds no certificate.
    pub fn trust_pem(mut self, pem: &[u8]) -> Result<Self> {
        let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let certificates =
            certificates.map_err(|e| Error::malformed(format!("the extra authorities are no PEM file: {e}")))?;
        if certificates.is_empty() {
            return Err(Error::malformed("the file of extra authorities holds no certificate (BEGIN CERTIFICATE)"));
        }
        self.extra_ca.extend(certificates);
        Ok(self)
    }
}

impl Default for EmailOptions {
    fn default() -> Self {
        Self {
            extra_ca: Vec::new(),
            allow_plaintext: false,
            public_hosts_only: false,
            private_networks: Vec::new(),
            ports: None,
            max_message_bytes: 25 << 20,
            history: 200,
            connect_timeout: Duration::from_secs(20),
            command_timeout: Duration::from_secs(60),
            delivery_timeout: Duration::from_secs(600),
            idle_renewal: Duration::from_secs(5 * 60),
            poll_interval: Duration::from_secs(30),
        }
    }
}

/// The connector for e-mail.
///
/// Its IMAP client logs whole commands, `LOGIN` with its password among them, as `async_imap` at the level trace: keep
/// that target above it wherever you collect logs, as the server does.
pub struct EmailConnector {
    options: EmailOptions,
    env: Env,
    dialer: Dialer,
}

impl fmt::Debug for EmailConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmailConnector").field("options", &self.options).finish_non_exhaustive()
    }
}

impl EmailConnector {
    /// A connector with the operator's options.
    ///
    /// # Errors
    /// `validation_failed` if an extra authority is no usable certificate.
    pub fn new(options: EmailOptions, env: Env) -> Result<Self> {
        let dialer = Dialer::new(&options)?;
        Ok(Self { options, env, dialer })
    }

    fn settings(&self, credentials: &Credentials) -> Result<Settings> {
        Settings::from_credentials(&credentials.0, self.options.allow_plaintext)
    }

    async fn check_imap(&self, settings: &Settings) -> Result<(), FieldError> {
        let field = |failure: failure::Failure| failure.field("imap");
        let mut imap =
            imap::Imap::open(&self.dialer, &settings.imap, self.options.command_timeout).await.map_err(field)?;
        imap.examine("INBOX").await.map_err(field)?;
        imap.close().await;
        Ok(())
    }

    /// Puts the copy into the folder of sent mails. The mail is sent already, so a failure is only worth a line in the log.
    async fn keep_copy(&self, settings: &Settings, copy: imap::Copy<'_>) {
        for last in [false, true] {
            match imap::keep_copy(&self.dialer, &settings.imap, self.options.command_timeout, copy).await {
                Ok(()) => return,
                Err(failure) if last => {
                    tracing::warn!(account = settings.email, message = copy.message_id, %failure, "no copy in the folder of sent mails")
                }
                Err(failure) => {
                    tracing::debug!(account = settings.email, message = copy.message_id, %failure, "no copy of the sent mail yet; once more")
                }
            }
        }
    }
}

#[async_trait]
impl Connector for EmailConnector {
    fn platform(&self) -> &'static str {
        PLATFORM
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { receive: true, send: true, media: true, begin_chat: true, settle: true }
    }

    async fn connect(&self, settings: &Map<String, Value>) -> Result<Connected> {
        let settings = Settings::parse(settings, self.options.allow_plaintext)?;
        let smtp = smtp::check(&self.dialer, &settings.smtp, self.options.command_timeout, &settings.email);
        let (imap, smtp) = guarded(async { Ok(futures::join!(self.check_imap(&settings), smtp)) }).await?;
        let wrong: Vec<FieldError> = [imap, smtp].into_iter().filter_map(Result::err).collect();
        if !wrong.is_empty() {
            return Err(Error::invalid_fields(wrong));
        }
        Ok(Connected {
            handle: settings.email.clone(),
            display_name: settings.display_name.clone().unwrap_or_else(|| settings.email.clone()),
            credentials: Credentials(settings.to_value()),
        })
    }

    async fn run(&self, session: Session) -> Result<()> {
        let settings = self.settings(&session.credentials)?;
        let synchronise = guarded(imap::run(&self.dialer, &self.options, &self.env, &settings, &session));
        tokio::select! {
            biased;
            () = session.shutdown.cancelled() => Ok(()),
            ended = synchronise => ended,
        }
    }

    /// Refused credentials are [`SendError::Permanent`] with the code [`CREDENTIALS_REJECTED`]: trying again with the
    /// same ones would only get the account locked.
    async fn send(&self, credentials: &Credentials, outgoing: &Outgoing) -> Result<Sent, SendError> {
        let settings = self.settings(credentials).map_err(SendError::Permanent)?;
        let mail = compose::compose(outgoing, &settings.email, settings.display_name.as_deref())
            .map_err(SendError::Permanent)?;
        let patience =
            smtp::Patience { command: self.options.command_timeout, delivery: self.options.delivery_timeout };
        smtp::submit(&self.dialer, &settings.smtp, patience, &mail).await?;
        let copy = imap::Copy { message_id: &outgoing.reference, at: outgoing.written_at, bytes: &mail.bytes };
        if let Err(error) = guarded(self.keep_copy(&settings, copy).map(Ok)).await {
            tracing::warn!(account = settings.email, message = outgoing.reference, %error, "no copy in the folder of sent mails");
        }
        Ok(Sent { provider_id: mime::provider_id_of(&mail.bytes) })
    }

    async fn settle(&self, credentials: &Credentials, outgoing: &Outgoing) -> Result<Settled> {
        let settings = self.settings(credentials)?;
        let look_up = imap::look_up(&self.dialer, &settings.imap, self.options.command_timeout, &outgoing.reference);
        let found = guarded(async { look_up.await.map_err(|failure| failure.error("imap")) }).await?;
        Ok(found.map_or(Settled::Unknown, |mail| Settled::Sent(Sent { provider_id: mime::provider_id_of(&mail) })))
    }

    fn reference(&self, from: &Address, message_id: MessageId) -> String {
        threading::reference(from.email.as_deref().unwrap_or(&from.id), message_id)
    }
}

/// The IMAP parser indexes into what a server says and can be made to panic; that must not end more than its connection.
async fn guarded<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        Err(Error::unavailable("the mail server's answer made no sense at all; the connection was closed"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_told() {
        for pem in [b"".as_slice(), b"hello", b"-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n"] {
            assert!(EmailOptions::default().trust_pem(pem).is_err());
        }
        let no_ca = EmailOptions { extra_ca: vec![CertificateDer::from(vec![1, 2, 3])], ..EmailOptions::default() };
        assert_eq!(EmailConnector::new(no_ca, Env::system()).unwrap_err().fields()[0].pointer, "/extra_ca");
    }
}
