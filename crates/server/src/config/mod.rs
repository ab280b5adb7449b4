//! Configuration: read in one place, from flags, variables and a file, all told by one table.

mod reach;
mod read;
mod settings;
mod sign_in;

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, Result, bail};

use crate::{
    client::TrustedProxies,
    limits::{self, Limits},
    origins::Origins,
    tls,
};

pub(crate) use self::reach::{is_local, is_open, network};
pub use self::{
    reach::MailHosts,
    read::{Task, Texts, command, read},
    settings::{SETTINGS, Setting, markdown},
    sign_in::{ClientSecret, GitHub, Google, Telegram},
};

/// What the settings mean.
#[derive(Clone)]
pub struct Config {
    /// Where the server answers.
    pub listen: SocketAddr,
    /// Where certificate and key lie, if TLS ends here.
    pub tls: Option<tls::Files>,
    /// Whether the network may be answered without TLS.
    pub allow_plaintext_http: bool,
    /// Whether hosts below this one answer over HTTPS alone, too.
    pub hsts_subdomains: bool,
    /// Whose word about a client's address counts.
    pub trusted_proxies: TrustedProxies,
    /// How often who may ask.
    pub limits: Limits,
    /// Sites beside our own that may call with a browser's credentials.
    pub origins: Origins,
    /// What counts for all replicas.
    pub redis_url: Option<String>,
    /// Where `/metrics` is answered.
    pub metrics_listen: Option<SocketAddr>,
    /// Where everything lies that is not told to lie elsewhere.
    pub data_dir: PathBuf,
    /// The database.
    pub database: String,
    /// Connections to PostgreSQL at most.
    pub database_connections: usize,
    /// Whether SQLite waits for the disk.
    pub durable: bool,
    /// The keys that seal secrets.
    pub secrets_key_file: PathBuf,
    /// The keys that sign tokens.
    pub tokens_key_file: PathBuf,
    /// Authorities to trust beside the public ones.
    pub extra_ca: Vec<PathBuf>,
    /// Which mail servers people may connect.
    pub mail_hosts: MailHosts,
    /// Whether mail servers without TLS are accepted.
    pub allow_plaintext_mail: bool,
    /// Where our own mails go out.
    pub smtp: Option<Smtp>,
    /// Where people reach the server.
    pub public_url: Option<String>,
    /// Signing in by Google.
    pub google: Option<Google>,
    /// Signing in by GitHub.
    pub github: Option<GitHub>,
    /// Signing in by Telegram.
    pub telegram: Option<Telegram>,
    /// Where files lie, if not in the data folder.
    pub s3: Option<S3>,
    /// What is logged.
    pub log_level: String,
    /// Whether logs are JSON.
    pub log_json: bool,
}

/// A mail server for our own mails.
#[derive(Clone)]
pub struct Smtp {
    /// Its address, with the password in it.
    pub url: String,
    /// Whom mails come from.
    pub from: String,
}

/// An object store.
#[derive(Clone)]
pub struct S3 {
    /// The bucket.
    pub bucket: String,
    /// Its address, for those that are not AWS.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: String,
    /// The access key.
    pub access_key: String,
    /// The secret key.
    pub secret_key: String,
}

impl Config {
    /// Gives the settings their meaning.
    ///
    /// # Errors
    /// For a value that means nothing, with what is expected.
    pub fn new(texts: &Texts) -> Result<Self> {
        let data_dir = PathBuf::from(texts.one("data_dir").context("data_dir is not set")?);
        let path = |name: &str, file: &str| texts.one(name).map_or_else(|| data_dir.join(file), PathBuf::from);
        let metrics_listen = match texts.one("metrics_listen") {
            None | Some("off") => None,
            Some(_) => Some(texts.parse("metrics_listen", "ADDRESS:PORT or off")?),
        };
        let log_json = match texts.one("log_format") {
            Some("text") => false,
            None | Some("json") => true,
            Some(other) => bail!("log_format is {other:?}: json or text is expected"),
        };
        let database = texts
            .one("database")
            .map_or_else(|| format!("sqlite://{}", data_dir.join("crm.db").display()), str::to_owned);
        let listen = texts.parse("listen", "ADDRESS:PORT")?;
        let trusted_proxies = TrustedProxies::read(texts.all("trusted_proxies")).context("trusted_proxies")?;
        let public_url = public_url(texts)?;
        Ok(Self {
            listen,
            tls: tls(texts)?,
            hsts_subdomains: texts.on("hsts_subdomains")?,
            allow_plaintext_http: texts.on("allow_plaintext_http")?,
            trusted_proxies,
            limits: limits(texts)?,
            origins: Origins::read(texts.all("cors_origins")).context("cors_origins")?,
            redis_url: texts.one("redis_url").map(str::to_owned),
            metrics_listen,
            database,
            database_connections: texts.parse("database_connections", "a number")?,
            durable: texts.on("durable")?,
            secrets_key_file: path("secrets_key_file", "secrets.key"),
            tokens_key_file: path("tokens_key_file", "tokens.key"),
            extra_ca: texts.all("extra_ca").iter().map(PathBuf::from).collect(),
            mail_hosts: MailHosts::read(texts)?,
            allow_plaintext_mail: texts.on("allow_plaintext_mail")?,
            smtp: smtp(texts)?,
            public_url,
            google: sign_in::google(texts)?,
            github: sign_in::github(texts)?,
            telegram: sign_in::telegram(texts)?,
            s3: s3(texts)?,
            log_level: texts.one("log_level").unwrap_or("info").to_owned(),
            log_json,
            data_dir,
        })
    }
}

fn tls(texts: &Texts) -> Result<Option<tls::Files>> {
    match (texts.one("tls_cert"), texts.one("tls_key")) {
        (Some(certificate), Some(key)) => Ok(Some(tls::Files { certificate: certificate.into(), key: key.into() })),
        (None, None) => Ok(None),
        _ => bail!("tls_cert and tls_key belong together: set both or none"),
    }
}

fn limits(texts: &Texts) -> Result<Limits> {
    let quota = |name: &str| limits::setting(name, texts.one(name).unwrap_or("off"));
    Ok(Limits::off()
        .address(quota("rate_limit_address")?)
        .user(quota("rate_limit_user")?)
        .key(quota("rate_limit_key")?)
        .organization(quota("rate_limit_organization")?))
}

fn smtp(texts: &Texts) -> Result<Option<Smtp>> {
    let Some(url) = texts.one("smtp_url") else { return Ok(None) };
    let from = texts.one("mail_from").context("smtp_url is set, so mail_from must be set too")?;
    Ok(Some(Smtp { url: url.to_owned(), from: from.to_owned() }))
}

fn public_url(texts: &Texts) -> Result<Option<String>> {
    match texts.one("public_url") {
        Some(url) if !(url.starts_with("https://") || url.starts_with("http://")) => {
            bail!("public_url is {url:?}: https://HOST is expected")
        }
        url => Ok(url.map(str::to_owned)),
    }
}

fn s3(texts: &Texts) -> Result<Option<S3>> {
    let Some(bucket) = texts.one("s3_bucket") else { return Ok(None) };
    let needed = |name: &str| {
        texts.one(name).map(str::to_owned).with_context(|| format!("s3_bucket is set, so {name} must be set too"))
    };
    Ok(Some(S3 {
        bucket: bucket.to_owned(),
        endpoint: texts.one("s3_endpoint").map(str::to_owned),
        region: needed("s3_region")?,
        access_key: needed("s3_access_key")?,
        secret_key: needed("s3_secret_key")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Config> {
        let arguments = std::iter::once("dealwright-server").chain(arguments.iter().copied()).map(Into::into).collect();
        let variables = variables.to_vec();
        let variable = move |name: &str| variables.iter().find(|it| it.0 == name).map(|it| it.1.to_owned());
        Config::new(&read(arguments, variable)?.1)
    }

    #[test]
    fn nothing_needs_to_be_set() {
        let config = config(&[], &[]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.database, "sqlite://./dealwright-data/crm.db");
        assert!(config.s3.is_none());
    }

    #[test]
    fn flags_go_before_variables_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("crm.toml");
        std::fs::write(
            &file,
            "listen = \"127.0.0.1:3\"\nlog_level = \"warn\"\nextra_ca = [\"a\", \"b\"]\ndurable = true",
        )
        .unwrap();
        let file = file.to_str().unwrap();
        let variables = [("DEALWRIGHT_LISTEN", "127.0.0.1:2"), ("DEALWRIGHT_EXTRA_CA", "c, d")];
        let config = config(&["--config", file, "serve", "--listen", "127.0.0.1:1"], &variables).unwrap();
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.log_level, "warn");
        assert!(config.durable);
        assert_eq!(config.extra_ca, [PathBuf::from("c"), PathBuf::from("d")]);
    }

    #[test]
    fn a_wrong_value_is_named() {
        for (arguments, word) in [
            (&["--listen", "here"][..], "ADDRESS:PORT"),
            (&["--log-format", "xml"], "json or text"),
            (&["--s3-bucket", "b"], "s3_access_key"),
            (&["--smtp-url", "smtp://u:secret@mx.example"], "mail_from"),
            (&["--public-url", "crm.acme.example"], "https://HOST"),
            (&["--rate-limit-user", "fast"], "1200:600"),
            (&["--tls-cert", "cert.pem"], "tls_key"),
            (&["--cors-origins", "*"], "https://app.acme.example"),
            (&["--google-client-id", "g"], "public_url"),
            (&["--github-client-id", "g", "--public-url", "https://crm.acme.example"], "github_client_secret_file"),
            (&["--telegram-bot-token", "1:a"], "public_url"),
            (&["--telegram-bot-token", "1:a", "--telegram-bot-token-file", "f"], "not both"),
            (&["--trusted-proxies", "my-proxy"], "10.0.0.0/8"),
            (&["--config", "/nowhere.toml"], "/nowhere.toml"),
        ] {
            let error = config(arguments, &[]).err().unwrap();
            assert!(format!("{error:#}").contains(word), "{error:#}");
        }
    }

    #[test]
    fn an_unknown_name_in_the_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("crm.toml");
        std::fs::write(&file, "lissten = \"127.0.0.1:3\"").unwrap();
        let error = config(&["--config", file.to_str().unwrap()], &[]).err().unwrap();
        assert!(error.to_string().contains("lissten is no setting"), "{error:#}");
    }
}
