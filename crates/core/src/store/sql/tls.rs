//! Connections to PostgreSQL: its URL, and TLS with the public authorities' certificates and one's own.

use std::{path::Path, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    error::{Error, Result},
    store::sql::{error::chain, options::StoreOptions},
};

/// Reads a URL. A certificate that is asked for at all is always checked against authorities and host name, so the
/// stricter words of `sslmode` mean `require`.
pub(crate) fn config(url: &str, options: &StoreOptions) -> Result<Config> {
    let url = url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
    let mut config: Config = url.parse().map_err(|e: tokio_postgres::Error| {
        let wanted = "postgres://USER:PASSWORD@HOST:PORT/DATABASE, with ?sslmode=disable|prefer|require if need be";
        // The URL itself stays out of the message: it holds a password.
        Error::invalid("/database", "invalid", format!("the database's URL: {}; write {wanted}", chain(&e)))
    })?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(options.connect_timeout);
    }
    if config.get_application_name().is_none() {
        config.application_name("dealwright");
    }
    // What the URL says comes last, and wins.
    let timeout = options.statement_timeout.as_millis();
    let own = format!(
        "-c statement_timeout={timeout} -c lock_timeout={} -c default_transaction_isolation=read\\ committed -c idle_in_transaction_session_timeout=60000",
        timeout / 3
    );
    let given = config.get_options().unwrap_or_default().to_owned();
    config.options(format!("{own} {given}").trim());
    Ok(config)
}

/// How long to wait for an answer before the connection counts as gone: as long as the server may take for it, and for
/// the way. Nothing where the URL sets the server's limit itself, which may then be any.
pub(crate) fn patience(url: &str, options: &StoreOptions) -> Option<Duration> {
    (!url.contains("statement_timeout")).then(|| options.statement_timeout + options.connect_timeout)
}

/// TLS as rustls does it, with ring.
pub(crate) fn connector(options: &StoreOptions) -> Result<MakeRustlsConnect> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for file in &options.certificates {
        for certificate in certificates(file)? {
            roots.add(certificate).map_err(|e| unusable(file, &e))?;
        }
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::internal("TLS has no protocol version to offer").with_source(e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(file)
        .and_then(|all| all.collect::<Result<Vec<_>, _>>())
        .map_err(|e| unusable(file, &e))?;
    if found.is_empty() { Err(unusable(file, &"there is none in it")) } else { Ok(found) }
}

fn unusable(file: &Path, why: &dyn std::fmt::Display) -> Error {
    let detail = format!("{} holds no certificates in PEM form: {why}", file.display());
    Error::invalid("/certificates", "invalid", detail)
}
