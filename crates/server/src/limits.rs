//! How often anybody may ask: who is counted for a call, what it costs, and how the answer tells it (IETF
//! `draft-ietf-httpapi-ratelimit-headers`: `RateLimit` and `RateLimit-Policy`). What counts is the engine's limiter.
//!
//! A call that shows a credential which counts is its user's and its organisation's, at the cost of its operation. Every
//! other call is its address's and costs one, whatever it asks: without a credential, with one that does not count, at an
//! address that does not exist. What a client does not decide on itself (probes of health, the polls of a live connection,
//! a browser's preflight) is the address's too, but counted apart.

use std::{fmt::Write, time::Duration};

use anyhow::{Context, Result, bail};
use axum::{
    extract::MatchedPath,
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::Response,
};
use dealwright::{
    id::Id,
    ports::limiter::{Charge, Key, MOST_CHARGES, Quota, Subject},
    scope::{Actor, Scope},
};

use crate::{client::Client, problem::Problem, route::Verb, routes::routes, shell::SHELL_ROUTES, state::Shared};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Where only probes ask.
const PROBED: &[&str] = &["/healthz", "/readyz"];
/// Where live connections poll.
const LIVE: &str = "/socket.io";

/// One kind of counted callers.
#[derive(Debug, Clone)]
struct Policy {
    name: &'static str,
    quota: Option<Quota>,
}

/// How often who may ask. [`Limits::default`] is what a server of one's own starts with.
#[derive(Debug, Clone)]
pub struct Limits {
    address: Policy,
    background: Policy,
    user: Policy,
    key: Policy,
    organization: Policy,
}

impl Default for Limits {
    fn default() -> Self {
        Self::off()
            .address(Some(Quota::per_minute(60)))
            .user(Some(Quota::per_minute(1_200).burst(600)))
            .key(Some(Quota::per_minute(1_200).burst(600)))
            .organization(Some(Quota::per_minute(12_000).burst(6_000)))
    }
}

impl Limits {
    /// Nobody is counted.
    pub const fn off() -> Self {
        const fn none(name: &'static str) -> Policy {
            Policy { name, quota: None }
        }
        Self {
            address: none("address"),
            background: none("background"),
            user: none("user"),
            key: none("key"),
            organization: none("organization"),
        }
    }

    /// Calls of an address that show no credential that counts. What comes by itself may come twenty times as often.
    #[must_use]
    pub fn address(mut self, quota: Option<Quota>) -> Self {
        let often = |quota: Quota| Quota {
            limit: quota.limit.saturating_mul(20),
            burst: quota.burst.saturating_mul(10),
            ..quota
        };
        (self.address.quota, self.background.quota) = (quota, quota.map(often));
        self
    }

    /// Calls of a user.
    #[must_use]
    pub fn user(mut self, quota: Option<Quota>) -> Self {
        self.user.quota = quota;
        self
    }

    /// Calls by an API key. One that acts for a user is counted as that user too.
    #[must_use]
    pub fn key(mut self, quota: Option<Quota>) -> Self {
        self.key.quota = quota;
        self
    }

    /// Calls of an organisation, whoever makes them.
    #[must_use]
    pub fn organization(mut self, quota: Option<Quota>) -> Self {
        self.organization.quota = quota;
        self
    }
}

impl Limits {
    /// The settings of those whom nothing limits.
    pub fn unlimited(&self) -> Vec<String> {
        let all = [&self.address, &self.user, &self.key, &self.organization];
        all.iter().filter(|it| it.quota.is_none()).map(|it| format!("rate_limit_{}", it.name)).collect()
    }
}

/// Reads a setting: `1200` a minute, `1200:600` with at most 600 at once, or `off`.
///
/// # Errors
/// For anything else.
pub fn quota(text: &str) -> Result<Option<Quota>> {
    if text == "off" {
        return Ok(None);
    }
    let (limit, burst) = text.split_once(':').unwrap_or((text, text));
    let number = |text: &str| text.parse::<u32>().ok().filter(|it| (1..=1_000_000).contains(it));
    match (number(limit), number(burst)) {
        (Some(limit), Some(burst)) => Ok(Some(Quota::per_minute(limit).burst(burst))),
        _ => bail!("{text:?} is no rate: 1200, 1200:600 (so many a minute, so many at once) or off is expected"),
    }
}

/// The same for a named setting.
pub(crate) fn setting(name: &str, text: &str) -> Result<Option<Quota>> {
    quota(text).with_context(|| name.to_owned())
}

/// What each call costs, where that is not one.
#[derive(Debug)]
pub struct Costs(Vec<(Verb, &'static str, u32)>);

impl Costs {
    pub(crate) fn of_the_tables() -> Self {
        let operations = routes().map(|it| (it.method, it.path, it.cost));
        let shell = SHELL_ROUTES.iter().map(|it| (it.method, it.path, it.cost));
        Self(operations.chain(shell).filter(|it| it.2 != 1).collect())
    }

    fn of(&self, method: &Method, path: &str) -> u32 {
        // Some twenty lines: quicker looked through than hashed.
        let found = self.0.iter().find(|(verb, known, _)| *known == path && verb.method() == *method);
        found.map_or(1, |it| it.2)
    }
}

/// What is told in the headers of an answer.
#[derive(Debug)]
pub struct Told {
    policies: [Option<(&'static str, Quota)>; MOST_CHARGES],
    left: [u32; MOST_CHARGES],
}

/// Who is counted.
enum Counted<'s> {
    Address(Client),
    Background(Client),
    Caller(&'s Scope),
}

/// Counts a call by whoever shows a credential that counts.
pub(crate) async fn caller(shared: &Shared, parts: &Parts, scope: &Scope) -> Result<Option<Told>, Problem> {
    let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let cost = shared.costs().of(&parts.method, path);
    charge(shared, Counted::Caller(scope), cost).await
}

/// Counts a call by anybody else.
pub(crate) async fn stranger(shared: &Shared, client: Client) -> Result<Option<Told>, Problem> {
    charge(shared, Counted::Address(client), 1).await
}

/// Counts what comes by itself.
pub(crate) async fn background(shared: &Shared, client: Client) -> Result<Option<Told>, Problem> {
    charge(shared, Counted::Background(client), 1).await
}

/// Whether a call comes by itself: nobody looks at its credential.
pub(crate) fn comes_by_itself(parts: &Parts) -> bool {
    let path = parts.uri.path();
    let preflight = || parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let polls = || parts.uri.query().is_some_and(|it| it.split('&').any(|pair| pair.starts_with("sid=")));
    PROBED.contains(&path) || path.starts_with(LIVE) && polls() || parts.method == Method::OPTIONS && preflight()
}

async fn charge(shared: &Shared, counted: Counted<'_>, cost: u32) -> Result<Option<Told>, Problem> {
    let limits = &shared.options().limits;
    let by_address = |policy: &'_ Policy, subject, client: Client| {
        let key = Key::address(subject, client.address?);
        Some((policy.name, Charge { key, quota: policy.quota?, cost }))
    };
    let of_scope = |policy: &'_ Policy, key| Some((policy.name, Charge { key, quota: policy.quota?, cost }));
    let wanted = match counted {
        Counted::Address(client) => [by_address(&limits.address, Subject::Address, client), None, None],
        Counted::Background(client) => [by_address(&limits.background, Subject::Background, client), None, None],
        Counted::Caller(scope) => {
            let key = match scope.actor {
                Actor::ApiKey { id, .. } => of_scope(&limits.key, Key::id(Subject::ApiKey, id.uuid())),
                _ => None,
            };
            let user = scope.user_id().and_then(|id| of_scope(&limits.user, Key::id(Subject::User, id.uuid())));
            let organization = Key::id(Subject::Organization, scope.organization_id.uuid());
            [key, user, of_scope(&limits.organization, organization)]
        }
    };
    let mut told = Told { policies: [None; MOST_CHARGES], left: [0; MOST_CHARGES] };
    let mut charges = [None; 3];
    for ((name, charge), (policy, place)) in
        wanted.into_iter().flatten().zip(told.policies.iter_mut().zip(&mut charges))
    {
        (*policy, *place) = (Some((name, charge.quota)), Some(charge));
    }
    let verdict = match charges {
        [Some(one), Some(other), Some(third)] => shared.crm().limiter().take(&[one, other, third]).await,
        [Some(one), Some(other), None] => shared.crm().limiter().take(&[one, other]).await,
        [Some(one), None, None] => shared.crm().limiter().take(&[one]).await,
        _ => return Ok(None),
    };
    let Some((place, after)) = verdict.refused else {
        told.left = verdict.left;
        return Ok(Some(told));
    };
    let refused = told.policies.get(place).copied().flatten();
    told.policies = [refused, None, None, None];
    Err(too_many(refused.map_or("caller", |it| it.0), after, told))
}

fn too_many(who: &'static str, after: Duration, told: Told) -> Problem {
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    let detail = match who {
        "address" => {
            format!("too many calls without a sign-in from this address: try again in {seconds} s, or sign in")
        }
        "user" => format!("too many calls by this user: try again in {seconds} s"),
        "key" => format!("too many calls by this API key: try again in {seconds} s"),
        "organization" => format!("too many calls by this organization: try again in {seconds} s"),
        _ => format!("too many calls: try again in {seconds} s"),
    };
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
        .retry_after(seconds)
        .with_headers(told.headers())
}

impl Told {
    /// `"user";r=599;t=30` and `"user";q=1200;w=60`: what is left, and how long at most until all of it is back; how much
    /// comes back in which window.
    fn headers(&self) -> [(HeaderName, Option<HeaderValue>); 2] {
        let (mut limit, mut policy) = (String::with_capacity(64), String::with_capacity(64));
        for ((name, quota), left) in self.policies.iter().flatten().zip(self.left) {
            let separator = if limit.is_empty() { "" } else { ", " };
            let whole = Duration::from_micros(quota.whole().unsigned_abs()).as_millis().div_ceil(1_000);
            // Writing to a text does not fail.
            let _ = write!(limit, "{separator}\"{name}\";r={left};t={whole}");
            let _ = write!(policy, "{separator}\"{name}\";q={};w={}", quota.limit, quota.window.as_secs());
        }
        [(RATE_LIMIT, HeaderValue::try_from(limit).ok()), (RATE_LIMIT_POLICY, HeaderValue::try_from(policy).ok())]
    }

    /// Tells it in an answer.
    pub(crate) fn write(&self, response: &mut Response) {
        for (name, value) in self.headers() {
            if let Some(value) = value {
                response.headers_mut().insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read() {
        assert_eq!(quota("60").unwrap(), Some(Quota::per_minute(60)));
        assert_eq!(quota("1200:600").unwrap(), Some(Quota::per_minute(1200).burst(600)));
        assert_eq!(quota("off").unwrap(), None);
        for wrong in ["", "0", "-1", "60:", ":60", "60:0", "1e9", "60/min", "4294967296"] {
            assert!(quota(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_are_those_of_the_draft() {
        let user = ("user", Quota::per_minute(1200).burst(600));
        let told = Told { policies: [Some(user), None, None, None], left: [599, 0, 0, 0] };
        let [(_, limit), (_, policy)] = told.headers();
        assert_eq!(
            (limit.unwrap().to_str().unwrap(), policy.unwrap().to_str().unwrap()),
            ("\"user\";r=599;t=30", "\"user\";q=1200;w=60")
        );
    }

    #[test]
    fn searches_and_batches_cost_more() {
        let costs = Costs::of_the_tables();
        assert_eq!(costs.of(&Method::GET, "/api/crm/clients"), 1);
        for path in ["/api/crm/clients/batch", "/api/crm/clients/search", "/api/analytics/conversion-rates"] {
            let method = if path.contains("analytics") { Method::GET } else { Method::POST };
            assert!(costs.of(&method, path) > 1, "{path}");
        }
    }
}
