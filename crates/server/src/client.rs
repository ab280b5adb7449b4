//! Who is at the other end of a call: the client's address, and whether it speaks TLS. Told by the socket alone, unless a
//! proxy that the operator trusts stands between: then by what that proxy says.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use anyhow::Result;
use axum::{
    extract::{ConnectInfo, Request, connect_info::Connected},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, header},
    serve::IncomingStream,
};
use dealwright::scope::Origin;
use ipnet::IpNet;
use tokio::net::TcpListener;

use crate::config::network;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether the connection is one of TLS that ends here.
    pub tls: bool,
}

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self { address: *stream.remote_addr(), tls: false }
    }
}

/// Who calls; stands in the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Client {
    /// The address, where the router was told of one.
    pub address: Option<IpAddr>,
    /// Whether the client speaks HTTPS, with us or with a trusted proxy.
    pub secure: bool,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{address}"),
            None => f.write_str("-"),
        }
    }
}

impl Client {
    /// Who sent a request.
    pub(crate) fn of(request: &Request, proxies: &TrustedProxies) -> Self {
        let Some(peer) = peer(request.extensions()) else { return Self::default() };
        let address = peer.address.ip().to_canonical();
        if !proxies.trusts(address) {
            return Self { address: Some(address), secure: peer.tls };
        }
        let address = proxies.hop(address, request.headers());
        let secure = peer.tls || says_https(request.headers());
        Self { address: Some(address), secure }
    }
}

/// Where a request comes from, as the engine keeps it.
pub(crate) fn origin(extensions: &Extensions, headers: &HeaderMap) -> Origin {
    let address = extensions.get::<Client>().and_then(|it| it.address);
    let user_agent = headers.get(header::USER_AGENT).map(HeaderValue::as_bytes);
    Origin { address, user_agent: user_agent.map(|it| String::from_utf8_lossy(it).into_owned()) }
}

fn peer(extensions: &Extensions) -> Option<Peer> {
    let ours = extensions.get::<ConnectInfo<Peer>>().map(|it| it.0);
    // What an application that embeds the router has.
    ours.or_else(|| extensions.get::<ConnectInfo<SocketAddr>>().map(|it| Peer { address: it.0, tls: false }))
}

/// What the nearest proxy has added last is its own word; what stands before it may be the client's.
fn says_https(headers: &HeaderMap) -> bool {
    let last = headers.get_all(FORWARDED_PROTO).iter().next_back().and_then(|it| it.to_str().ok());
    last.and_then(|text| text.rsplit(',').next()).is_some_and(|it| it.trim().eq_ignore_ascii_case("https"))
}

/// Proxies whose word about a client counts. `Forwarded` (RFC 7239) is never read: a proxy that writes one of two headers
/// passes the other on as the client made it up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads addresses and networks, such as `10.0.0.7` and `fd00::/8`.
    ///
    /// # Errors
    /// For what is neither.
    pub fn read(texts: &[String]) -> Result<Self> {
        Ok(Self(texts.iter().map(network).collect::<Result<_>>()?))
    }

    /// Whether nobody's word counts.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The right-most hop of `X-Forwarded-For` that is none of ours. Everything left of it is hearsay. A hop that is no
    /// address ends the chain: then it is the proxy itself that counts as the client.
    fn hop(&self, nearest: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = nearest;
        for line in headers.get_all(FORWARDED_FOR).iter().rev() {
            let Ok(text) = line.to_str() else { return client };
            for hop in text.rsplit(',') {
                let Some(address) = address(hop.trim()) else { return client };
                client = address;
                if !self.trusts(address) {
                    return client;
                }
            }
        }
        client
    }
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.parse::<IpAddr>().or_else(|_| hop.parse::<SocketAddr>().map(|it| it.ip()));
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    bare.ok().or_else(bracketed).map(|it: IpAddr| it.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn client(peer: &str, trusted: &[&str], headers: &[(&str, &str)]) -> Client {
        let proxies: Vec<String> = trusted.iter().map(|it| (*it).to_owned()).collect();
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        let peer = Peer { address: SocketAddr::new(peer.parse().unwrap(), 4711), tls: false };
        request.extensions_mut().insert(ConnectInfo(peer));
        Client::of(&request, &TrustedProxies::read(&proxies).unwrap())
    }

    /// ASVS 4.1.3 and 15.3.4.
    #[test]
    fn the_right_most_hop_that_is_none_of_ours_is_the_client() {
        let ours = &["10.0.0.0/8", "fd00::/8", "192.0.2.99"];
        for (peer, forwarded, expected) in [
            // Nobody else's word counts.
            ("203.0.113.5", "198.51.100.7", "203.0.113.5"),
            ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "198.51.100.7, 10.0.0.2", "198.51.100.7"),
            // What the client made up stands left of its address.
            ("10.0.0.1", "127.0.0.1, 198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "10.9.9.9, 198.51.100.7, 192.0.2.99", "198.51.100.7"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
            ("fd00::1", "[2001:db8::1]:4711", "2001:db8::1"),
            ("fd00::1", "[2001:db8::1]", "2001:db8::1"),
            ("::ffff:10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
            // Nonsense ends the chain.
            ("10.0.0.1", "198.51.100.7, unknown", "10.0.0.1"),
            ("10.0.0.1", "198.51.100.7, <script>, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "", "10.0.0.1"),
        ] {
            let client = client(peer, ours, &[("x-forwarded-for", forwarded)]);
            assert_eq!(client.address, Some(expected.parse().unwrap()), "{peer} says {forwarded}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let headers = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "198.51.100.7, 10.0.0.2")];
        assert_eq!(client("10.0.0.1", &["10.0.0.0/8"], &headers).to_string(), "198.51.100.7");
    }

    /// ASVS 4.1.3.
    #[test]
    fn forwarded_is_not_read() {
        let headers = [("forwarded", "for=198.51.100.7;proto=https")];
        let found = client("10.0.0.1", &["10.0.0.1"], &headers);
        assert_eq!((found.to_string(), found.secure), ("10.0.0.1".to_owned(), false));
    }

    /// ASVS 4.1.3.
    #[test]
    fn https_is_believed_of_a_trusted_proxy_alone() {
        let says = |peer: &str, text: &str| client(peer, &["10.0.0.1"], &[("x-forwarded-proto", text)]).secure;
        assert!(says("10.0.0.1", "https") && says("10.0.0.1", "http, https"));
        assert!(!says("10.0.0.1", "http") && !says("10.0.0.1", "https, http") && !says("10.0.0.2", "https"));
    }

    #[test]
    fn an_applications_own_word_counts() {
        let mut request = Request::new(Body::empty());
        assert_eq!(Client::of(&request, &TrustedProxies::default()), Client::default());
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 80))));
        assert_eq!(Client::of(&request, &TrustedProxies::default()).to_string(), "192.0.2.1");
    }
}
