//! The port to whatever counts how often somebody asks: in this process, or in one place for all replicas.
//!
//! What is counted follows one rule everywhere, the generic cell rate algorithm (GCRA, ITU-T I.371): a key may spend its
//! `burst` at once, and gets `limit` per window back, evenly. Of a key only one instant is kept: when it will have
//! everything back.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What a key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Calls of an address that show no credential that counts.
    Address,
    /// Calls of an address that come by themselves: probes of health, polls of an open live connection.
    Background,
    /// Calls of a user.
    User,
    /// Calls by an API key.
    ApiKey,
    /// Calls of an organisation, whoever makes them.
    Organization,
    /// Failed proofs of who somebody is, by the account that they were for.
    FailedAccount,
    /// The same for an account from an address that it has been signed in from before.
    FailedKnown,
    /// The same by the address that they came from, whatever the account.
    FailedAddress,
}

impl Subject {
    /// Its word, stable: it stands in the keys of shared counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Background => "background",
            Self::User => "user",
            Self::ApiKey => "key",
            Self::Organization => "organization",
            Self::FailedAccount => "failed-account",
            Self::FailedKnown => "failed-known",
            Self::FailedAddress => "failed-address",
        }
    }
}

/// What an address counts as. One of IPv6 counts as its network of /64: whoever has one address has all of them.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(Ipv6Addr::to_bits(address) & (u128::MAX << 64))),
        address => address,
    }
}

/// Who is counted, and for what. Carries no address and no e-mail address as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// What is counted.
    pub subject: Subject,
    /// Who.
    pub id: u128,
}

impl Key {
    /// Something that has an id.
    pub fn id(subject: Subject, id: Uuid) -> Self {
        Self { subject, id: id.as_u128() }
    }

    /// An address, as what it counts as: its [`network`].
    pub fn address(subject: Subject, address: IpAddr) -> Self {
        let id = match network(address) {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        Self { subject, id }
    }

    /// Something that is known by a text.
    pub fn text(subject: Subject, text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let (bytes, _) = digest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        Self { subject, id: u128::from_be_bytes(*bytes) }
    }
}

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How much comes back in a window.
    pub limit: u32,
    /// The window.
    pub window: Duration,
    /// How much may be spent at once.
    pub burst: u32,
}

impl Quota {
    /// So many in a window, all of them at once if need be.
    pub const fn new(limit: u32, window: Duration) -> Self {
        Self { limit, window, burst: limit }
    }

    /// So many a minute.
    pub const fn per_minute(limit: u32) -> Self {
        Self::new(limit, Duration::from_secs(60))
    }

    /// The same with at most so many at once.
    #[must_use]
    pub const fn burst(mut self, burst: u32) -> Self {
        self.burst = burst;
        self
    }

    /// How long one unit takes to come back, in microseconds.
    pub fn unit(&self) -> i64 {
        let window = i64::try_from(self.window.as_micros()).unwrap_or(i64::MAX);
        (window / i64::from(self.limit.max(1))).max(1)
    }

    /// How long everything takes to come back, in microseconds.
    pub fn whole(&self) -> i64 {
        self.unit().saturating_mul(i64::from(self.burst.max(1)))
    }
}

/// Something to be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// Whose.
    pub key: Key,
    /// How much they have.
    pub quota: Quota,
    /// How much it costs; what costs more than there ever is costs everything.
    pub cost: u32,
}

impl Charge {
    /// The price of one call.
    pub const fn one(key: Key, quota: Quota) -> Self {
        Self { key, quota, cost: 1 }
    }

    /// What it takes, in microseconds.
    pub fn price(&self) -> i64 {
        self.quota.unit().saturating_mul(i64::from(self.cost.min(self.quota.burst.max(1))))
    }
}

/// At most so many charges stand in one question.
pub const MOST_CHARGES: usize = 4;

/// What came of some charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The charge that was too much, and how long until it would not be. Nothing was taken then.
    pub refused: Option<(usize, Duration)>,
    /// What is left of each, in the order of the charges.
    pub left: [u32; MOST_CHARGES],
}

/// Whatever counts. It always answers: an implementer that asks somebody else knows what to do when they do not answer.
#[async_trait]
pub trait Limiter: Send + Sync {
    /// Takes all charges, at most [`MOST_CHARGES`], or none.
    async fn take(&self, charges: &[Charge]) -> Verdict;

    /// Gives back what was taken: it was not what is counted.
    async fn give_back(&self, charge: Charge);

    /// Lets a key begin anew.
    async fn forget(&self, key: Key);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_sixty_four_bits_is_one_client() {
        let key = |text: &str| Key::address(Subject::Address, text.parse().unwrap());
        assert_eq!(key("2001:db8:0:1::1"), key("2001:db8:0:1:ffff::2"));
        assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_ne!(key("192.0.2.1"), Key::address(Subject::Background, "192.0.2.1".parse().unwrap()));
    }
}
