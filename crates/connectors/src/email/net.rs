//! Reaching a mail server: resolving, the rule about private addresses, connecting, TLS. The address that was checked is
//! the one that is connected to.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use dealwright::error::{Error, Result};
use ipnet::IpNet;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{EmailOptions, failure::Failure};

/// A connection to a server, protected or not.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How servers are reached.
#[derive(Clone)]
pub(super) struct Dialer {
    tls: TlsConnector,
    /// The networks of one's own in which servers may be, where only public ones are allowed otherwise.
    public_and: Option<Vec<IpNet>>,
    ports: Option<Vec<u16>>,
    patience: Duration,
}

impl Dialer {
    /// Goes where the operator's options let it go, and trusts the public authorities beside theirs.
    pub(super) fn new(options: &EmailOptions) -> Result<Self> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for certificate in &options.extra_ca {
            roots
                .add(certificate.clone())
                .map_err(|e| Error::invalid("/extra_ca", "invalid", format!("not a usable CA certificate: {e}")))?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::internal(format!("TLS cannot be set up: {e}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            public_and: options.public_hosts_only.then(|| options.private_networks.clone()),
            ports: options.ports.clone(),
            patience: options.connect_timeout,
        })
    }

    fn may_reach(&self, address: IpAddr) -> bool {
        let own = |networks: &Vec<IpNet>| networks.iter().any(|it| it.contains(&address.to_canonical()));
        is_public(address) || self.public_and.as_ref().is_none_or(own)
    }

    /// Connects, without TLS.
    pub(super) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Failure> {
        if let Some(ports) = self.ports.as_ref().filter(|ports| !ports.contains(&port)) {
            return Err(Failure::Port(ports.clone()));
        }
        let resolved = timeout(self.patience, lookup_host((host, port)))
            .await
            .map_err(|_| Failure::TimedOut("name resolution"))?;
        let addresses: Vec<SocketAddr> = resolved.map_err(|e| Failure::Dns(e.to_string()))?.collect();
        if addresses.is_empty() {
            return Err(Failure::Dns("it has no address".to_owned()));
        }
        let mut failure = Failure::Private;
        for address in addresses {
            if !self.may_reach(address.ip()) {
                continue;
            }
            match timeout(self.patience, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => failure = Failure::Unreachable(error.to_string()),
                Err(_) => failure = Failure::TimedOut("connection"),
            }
        }
        Err(failure)
    }

    /// Puts TLS on a connection to `host`.
    pub(super) async fn protect(&self, stream: TcpStream, host: &str) -> Result<Stream, Failure> {
        let name = ServerName::try_from(host.to_owned()).map_err(|e| Failure::Tls(e.to_string()))?;
        match timeout(self.patience, self.tls.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream))),
            Ok(Err(error)) => Err(tls_failure(&error)),
            Err(_) => Err(Failure::TimedOut("TLS handshake")),
        }
    }
}

fn tls_failure(error: &io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(reason)) => Failure::Certificate(reason.to_string()),
        Some(rustls::Error::InvalidMessage(_)) => Failure::Tls("the server does not speak TLS on this port".to_owned()),
        Some(other) => Failure::Tls(other.to_string()),
        None => Failure::Tls(error.to_string()),
    }
}

/// Whether an address is one of the public internet (the IANA special-purpose registries, RFC 6890).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 240..=255, ..)          // this network, private, loopback, reserved and broadcast
            | (100, 64..=127, _)                // carrier-grade NAT, RFC 6598
            | (169, 254, _)                     // link-local
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)                   // protocol assignments, documentation
            | (192, 88, 99)                     // 6to4 relays
            | (198, 18 | 19, _)                 // benchmarks
            | (198, 51, 100)
            | (203, 0, 113)
            | (224..=239, ..) // multicast
    );
    !special
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    if let Some(v4) = v6.to_ipv4() {
        return is_public_v4(v4); // mapped and compatible, with :: and ::1 among them
    }
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b) {
        (0x64, 0xff9b) => (c, d, e, f) == (0, 0, 0, 0) && embedded(g, h), // NAT64, RFC 6052; 64:ff9b:1::/48 is local
        (0x2002, _) => embedded(b, c),                                    // 6to4
        (0x2001, 0..=0x1ff) => false,                                     // protocol assignments, Teredo among them
        (0x2001, 0xdb8) | (0x3fff, 0..=0xfff) => false,                   // documentation
        _ => (0x2000..=0x3fff).contains(&a), // global unicast; all else is local or reserved
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ASVS 1.3.6.
    #[test]
    fn private_addresses_are_told_in_every_disguise() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.0.1",
            "192.168.1.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::808:808",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "100::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "::ffff:8.8.8.8",
            "2a00:1450::1",
            "64:ff9b::808:808",
            "2002:808:808::1",
            "2001:4860::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    /// ASVS 1.3.6.
    #[tokio::test]
    async fn a_private_host_is_refused_where_only_public_ones_are_allowed() {
        let options = EmailOptions { public_hosts_only: true, ..EmailOptions::default() };
        let dialer = Dialer::new(&options).unwrap();
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert!(matches!(dialer.connect(host, 9).await, Err(Failure::Private)), "{host}");
        }
        // But where the operator says that mail servers lie, in whatever form it is written.
        let options = EmailOptions { private_networks: vec!["127.0.0.0/8".parse().unwrap()], ..options };
        let dialer = Dialer::new(&options).unwrap();
        for host in ["127.0.0.1", "::ffff:127.0.0.1"] {
            assert!(matches!(dialer.connect(host, 9).await, Err(Failure::Unreachable(_))), "{host}");
        }
        assert!(matches!(dialer.connect("::1", 9).await, Err(Failure::Private)));
    }

    /// ASVS 1.3.6: a port is refused before anything is resolved or asked, whatever answers there.
    #[tokio::test]
    async fn a_port_that_is_no_mail_servers_is_refused() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap().port();
        let options = EmailOptions { ports: Some(vec![993, 587]), ..EmailOptions::default() };
        let dialer = Dialer::new(&options).unwrap();
        for (host, port) in [("127.0.0.1", open), ("no-such-host.invalid", 6379)] {
            let failure = dialer.connect(host, port).await.err().unwrap();
            let field = failure.field("imap");
            assert_eq!((field.pointer.as_str(), field.code.as_ref()), ("/imap/port", "port_not_allowed"));
            assert!(field.detail.contains("587, 993") || field.detail.contains("993, 587"), "{}", field.detail);
            assert!(!failure.is_temporary());
        }
        let options = EmailOptions { ports: Some(vec![open]), ..options };
        assert!(Dialer::new(&options).unwrap().connect("127.0.0.1", open).await.is_ok());
    }

    #[tokio::test]
    async fn unknown_names_and_closed_ports_are_told_apart() {
        let dialer = Dialer::new(&EmailOptions::default()).unwrap();
        assert!(matches!(
            dialer.connect("no-such-host.invalid", 143).await,
            Err(Failure::Dns(_) | Failure::TimedOut(_))
        ));
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        assert!(matches!(dialer.connect("127.0.0.1", closed).await, Err(Failure::Unreachable(_))));
    }
}
