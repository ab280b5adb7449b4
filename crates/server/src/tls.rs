//! TLS that ends here: certificate and key from files, read again when they change or SIGHUP comes. Connections that stand
//! go on with what they began with.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, ensure};
use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, mpsc, watch},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, error, info};

use crate::client::Peer;

/// How long a client may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Clients that may be about it at the same time.
const AT_ONCE: usize = 512;
/// How often it is looked whether the files have changed.
const LOOKED_AT: Duration = Duration::from_secs(2);

/// Where certificate and key lie, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate, and those that lead from it to an authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What tells one state of a file from another.
type State = Option<(SystemTime, u64, u64)>;

impl Files {
    /// Reads them.
    ///
    /// # Errors
    /// For files that cannot be read, that do not belong together, and for a key that everybody may read.
    pub fn load(&self) -> Result<Arc<ServerConfig>> {
        self.check_key()?;
        let certificate = || self.certificate.display().to_string();
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_file_iter(&self.certificate).and_then(Iterator::collect).with_context(certificate)?;
        ensure!(!chain.is_empty(), "{} holds no certificate: PEM is expected", certificate());
        let key = PrivateKeyDer::from_pem_file(&self.key).with_context(|| self.key.display().to_string())?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .with_context(|| format!("{} and {} are no pair", certificate(), self.key.display()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Whether the key is kept from strangers.
    ///
    /// # Errors
    /// If everybody on the machine may read it.
    pub fn check_key(&self) -> Result<()> {
        let mode = fs::metadata(&self.key).with_context(|| self.key.display().to_string())?.mode();
        let path = self.key.display();
        ensure!(mode & 0o007 == 0, "everybody may read or write the key {path}: run `chmod o= {path}`, and replace it");
        Ok(())
    }

    fn state(&self) -> [State; 2] {
        let of = |path: &Path| {
            let found = fs::metadata(path).ok()?;
            Some((found.modified().ok()?, found.len(), found.ino()))
        };
        [of(&self.certificate), of(&self.key)]
    }
}

/// Takes connections and agrees on keys, with many clients at once: a slow one keeps nobody waiting.
pub struct TlsListener {
    address: SocketAddr,
    agreed: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    _guard: DropGuard,
}

impl TlsListener {
    /// Takes over a listener.
    ///
    /// # Errors
    /// If the files cannot be used, or the listener has no address.
    pub fn new(listener: TcpListener, files: Files) -> Result<Self> {
        let address = listener.local_addr()?;
        let state = files.state();
        let (renewed, config) = watch::channel(files.load()?);
        let hangup = signal(SignalKind::hangup())?;
        let (to, agreed) = mpsc::channel(1);
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(renew(files, state, hangup, renewed)));
        tokio::spawn(stop.clone().run_until_cancelled_owned(take(listener, config, to)));
        Ok(Self { address, agreed, _guard: stop.drop_guard() })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.agreed.recv().await {
            Some(connection) => connection,
            // The task that takes them ends with us only.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self { address: *stream.remote_addr(), tls: true }
    }
}

async fn take(
    mut listener: TcpListener,
    config: watch::Receiver<Arc<ServerConfig>>,
    to: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (stream, address) = Listener::accept(&mut listener).await;
        let acceptor = TlsAcceptor::from(config.borrow().clone());
        let to = to.clone();
        tokio::spawn(async move {
            let agreed = timeout(HANDSHAKE, acceptor.accept(stream)).await;
            drop(place);
            match agreed {
                // Nobody takes it: the server is ending.
                Ok(Ok(stream)) => drop(to.send((stream, address)).await),
                Ok(Err(error)) => debug!(client = %address.ip(), %error, "no TLS"),
                Err(_) => debug!(client = %address.ip(), "no TLS in time"),
            }
        });
    }
}

/// Reads the files again when they change, or when somebody says so. What cannot be used changes nothing.
async fn renew(
    files: Files,
    mut seen: [State; 2],
    mut hangup: tokio::signal::unix::Signal,
    renewed: watch::Sender<Arc<ServerConfig>>,
) {
    let mut round = tokio::time::interval(LOOKED_AT);
    loop {
        let told = tokio::select! {
            _ = round.tick() => false,
            _ = hangup.recv() => true,
        };
        let state = files.state();
        if state == seen && !told {
            continue;
        }
        seen = state;
        match files.load() {
            Ok(config) => {
                renewed.send_replace(config);
                info!(certificate = %files.certificate.display(), "the certificate was read again");
            }
            Err(error) => error!(error = format!("{error:#}"), "the certificate cannot be used: the last one goes on"),
        }
    }
}
