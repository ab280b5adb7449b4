//! Who reaches the server, and which mail servers it goes to for the people who use it. Whoever may connect an account finds
//! out, by what the server says of a host and port, what answers in the network that the server stands in, unless
//! `public_hosts_only` is set. It is off if left out, since mail servers of one's own are mostly private; `doctor` says so
//! where others reach the server.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, bail};
use ipnet::IpNet;

use super::{Config, read::Texts};

/// Where mail servers of accounts take mails in and give them out: IMAP and submission, with TLS and without, and what some
/// providers have beside them.
const MAIL_PORTS: &[u16] = &[25, 143, 465, 587, 993, 2525];

/// Which mail servers people may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailHosts {
    /// Whether those with private addresses are refused.
    pub public_only: bool,
    /// In which networks they may have them all the same.
    pub private_networks: Vec<IpNet>,
    /// Which ports they may have; `None`: any.
    pub ports: Option<Vec<u16>>,
}

impl MailHosts {
    pub(super) fn read(texts: &Texts) -> Result<Self> {
        let public_only = texts.on("public_hosts_only")?;
        let ports = match texts.all("mail_ports") {
            [] => public_only.then(|| MAIL_PORTS.to_vec()),
            [any] if any == "any" => None,
            texts => Some(texts.iter().map(port).collect::<Result<_>>().context("mail_ports")?),
        };
        let private_networks = texts.all("private_mail_networks").iter().map(network).collect::<Result<_>>();
        Ok(Self { public_only, private_networks: private_networks.context("private_mail_networks")?, ports })
    }
}

fn port(text: &String) -> Result<u16> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.with_context(|| format!("{text:?} is no port: a number from 1 to 65535, or any alone, is expected"))
}

/// An address or a network.
pub(crate) fn network(text: &String) -> Result<IpNet> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    let network = text.parse::<IpNet>().or_else(|_| address());
    network.with_context(|| format!("{text:?} is no network: 10.0.0.7 or 10.0.0.0/8 is expected"))
}

/// Whether more than this machine reaches an address.
pub(crate) fn is_open(address: SocketAddr) -> bool {
    !address.ip().is_loopback()
}

/// Whether nobody reaches the server but who is at this machine: not by the network, nor through a proxy on it.
pub(super) fn for_this_machine_alone(listen: SocketAddr, has_proxies: bool, public_url: Option<&str>) -> bool {
    !is_open(listen) && !has_proxies && public_url.is_none_or(is_local)
}

/// Whether a URL leads to this machine.
pub(crate) fn is_local(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let name = match host.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    // An empty one is a socket of this machine.
    name.is_empty() || name == "localhost" || name.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

impl Config {
    /// Whether passwords and tokens would travel in the clear: the network reaches the server, and neither it nor a proxy
    /// that is named speaks TLS.
    pub fn listens_in_the_clear(&self) -> bool {
        is_open(self.listen) && self.tls.is_none() && self.trusted_proxies.is_empty()
    }

    /// Refuses to serve in the clear, unless the operator says that it is meant.
    ///
    /// # Errors
    /// Naming what may be done.
    pub fn check_listen(&self) -> Result<()> {
        if !self.listens_in_the_clear() || self.allow_plaintext_http {
            return Ok(());
        }
        let (listen, port) = (self.listen, self.listen.port());
        bail!(
            "listen is {listen}, which the network reaches, without TLS: passwords and tokens would travel in the clear. \
             Set tls_cert and tls_key; or put a proxy that speaks TLS before the server and name its address in \
             trusted_proxies; or listen at 127.0.0.1:{port}; or set allow_plaintext_http, if nobody else is in that network"
        )
    }

    /// Whether nobody reaches the server but who is at this machine.
    pub fn is_for_this_machine_alone(&self) -> bool {
        for_this_machine_alone(self.listen, !self.trusted_proxies.is_empty(), self.public_url.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read;

    fn hosts(arguments: &[&str]) -> Result<MailHosts> {
        let arguments = ["dealwright-server"].iter().chain(arguments).map(Into::into).collect();
        Config::new(&read(arguments, |_| None)?.1).map(|config| config.mail_hosts)
    }

    /// ASVS 1.3.6, 13.2.4 and 13.2.5.
    #[test]
    fn members_name_mail_servers_of_the_internet_alone_where_the_operator_says_so() {
        let found = hosts(&[]).unwrap();
        assert_eq!((found.public_only, found.ports), (false, None));
        let found = hosts(&["--public-hosts-only"]).unwrap();
        assert_eq!((found.public_only, found.ports.as_deref()), (true, Some(MAIL_PORTS)));
    }

    /// ASVS 12.2.1.
    #[test]
    fn a_network_is_not_answered_in_the_clear_unless_it_is_meant() {
        let check = |arguments: &[&str]| {
            let arguments = ["dealwright-server"].iter().chain(arguments).map(Into::into).collect();
            Config::new(&read(arguments, |_| None).unwrap().1).unwrap().check_listen()
        };
        for open in ["0.0.0.0:8080", "[::]:8080", "192.0.2.7:8080"] {
            let error = check(&["--listen", open]).err().unwrap().to_string();
            for remedy in [open, "tls_cert", "trusted_proxies", "127.0.0.1:8080", "allow_plaintext_http"] {
                assert!(error.contains(remedy), "{error}");
            }
            check(&["--listen", open, "--allow-plaintext-http"]).unwrap();
            check(&["--listen", open, "--trusted-proxies", "10.0.0.7"]).unwrap();
            check(&["--listen", open, "--tls-cert", "cert.pem", "--tls-key", "key.pem"]).unwrap();
        }
        for alone in [&[][..], &["--listen", "127.0.0.1:0"], &["--listen", "[::1]:8080"]] {
            check(alone).unwrap();
        }
    }

    #[test]
    fn what_the_operator_says_of_mail_servers_counts() {
        let found = hosts(&[
            "--public-hosts-only",
            "--private-mail-networks",
            "10.1.0.0/16",
            "--private-mail-networks",
            "fd00::7",
            "--mail-ports",
            "1143",
        ]);
        let found = found.unwrap();
        assert_eq!((found.public_only, found.ports), (true, Some(vec![1143])));
        assert_eq!(found.private_networks, ["10.1.0.0/16".parse().unwrap(), "fd00::7/128".parse().unwrap()]);
        assert_eq!(hosts(&["--public-hosts-only", "--mail-ports", "any"]).unwrap().ports, None);
        for wrong in [["--mail-ports", "0"], ["--mail-ports", "imap"], ["--private-mail-networks", "mail.local"]] {
            let error = format!("{:#}", hosts(&wrong).err().unwrap());
            assert!(error.contains(&wrong[0][2..].replace('-', "_")) && error.contains("expected"), "{error}");
        }
    }
}
