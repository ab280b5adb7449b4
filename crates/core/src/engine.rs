//! What every service and every loop of the runtime works with: the store, the environment, what was registered, and the
//! bell that wakes the runtime. Decides nothing.

use std::{collections::BTreeMap, fmt, sync::Arc};

use object_store::ObjectStore;
use tokio::sync::broadcast;

use crate::{
    bell::Bell,
    domain::event::Event,
    env::Env,
    error::{Error, ErrorKind, Result},
    ports::{
        connector::Connector, limiter::Limiter, mailer::Mailer, rule_engine::RuleEngine,
        sign_in_provider::SignInProvider, store::Store,
    },
    services::{
        automation::RuleCache,
        identity::{IdentityState, TokenKeys},
        payloads::Keyring,
        vault::Vault,
    },
};

/// Which connectors and rule engines there are, by name. Lists of strings, never an enum: a product brings its own.
#[derive(Default, Clone)]
pub struct Registry {
    pub(crate) connectors: BTreeMap<&'static str, Arc<dyn Connector>>,
    pub(crate) rule_engines: BTreeMap<&'static str, Arc<dyn RuleEngine>>,
    pub(crate) sign_in_providers: BTreeMap<&'static str, Arc<dyn SignInProvider>>,
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a connector under its platform's name; a later one of the same name replaces it.
    pub fn connector(&mut self, connector: impl Connector + 'static) -> &mut Self {
        self.connectors.insert(connector.platform(), Arc::new(connector));
        self
    }

    /// Adds a rule engine under its name; a later one of the same name replaces it.
    pub fn rule_engine(&mut self, engine: impl RuleEngine + 'static) -> &mut Self {
        self.rule_engines.insert(engine.name(), Arc::new(engine));
        self
    }

    /// Adds somebody who vouches for people that sign in, under their name; a later one of the same name replaces them.
    pub fn sign_in_provider(&mut self, provider: impl SignInProvider + 'static) -> &mut Self {
        self.sign_in_providers.insert(provider.name(), Arc::new(provider));
        self
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("connectors", &self.connectors.keys())
            .field("rule_engines", &self.rule_engines.keys())
            .field("sign_in_providers", &self.sign_in_providers.keys())
            .finish()
    }
}

/// Events that the dispatcher has reached hold this many for slow listeners; a slower one is told how many it missed.
const BUS_CAPACITY: usize = 4096;

/// What services and runtime share.
pub(crate) struct Engine {
    pub(crate) env: Env,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) registry: Registry,
    /// What secrets at rest lie under.
    pub(crate) vault: Vault,
    /// What seals what is personal in rows that are never rewritten.
    pub(crate) payload_keys: Keyring,
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// Where our own mails go out; without one none are written.
    pub(crate) mailer: Option<Arc<dyn Mailer>>,
    /// Where people find us, for links in mails; without a slash at its end.
    pub(crate) public_url: Option<String>,
    /// What counts how often somebody asks.
    pub(crate) limiter: Arc<dyn Limiter>,
    pub(crate) rules: RuleCache,
    pub(crate) identity: IdentityState,
    /// Events in the order of their subjects, once the dispatcher is done with them.
    pub(crate) bus: broadcast::Sender<Arc<Event>>,
    /// Rung after each commit that leaves work to do.
    pub(crate) bell: Bell,
}

impl Engine {
    #[expect(clippy::too_many_arguments, reason = "called once, by the builder, which names them")]
    pub(crate) fn new(
        env: Env,
        store: Arc<dyn Store>,
        registry: Registry,
        vault: Vault,
        objects: Arc<dyn ObjectStore>,
        token_keys: TokenKeys,
        mailer: Option<Arc<dyn Mailer>>,
        public_url: Option<String>,
        limiter: Arc<dyn Limiter>,
    ) -> Result<Self> {
        let (bus, _) = broadcast::channel(BUS_CAPACITY);
        let identity = IdentityState::new(token_keys)?;
        let rules = RuleCache::default();
        let (payload_keys, bell) = (Keyring::default(), Bell::default());
        Ok(Self {
            env,
            store,
            registry,
            vault,
            payload_keys,
            objects,
            mailer,
            public_url,
            limiter,
            rules,
            identity,
            bus,
            bell,
        })
    }

    /// The connector of a platform.
    pub(crate) fn connector(&self, platform: &str) -> Result<Arc<dyn Connector>> {
        self.registry.connectors.get(platform).cloned().ok_or_else(|| {
            let known = self.registry.connectors.keys().copied().collect::<Vec<_>>().join(", ");
            Error::invalid(
                "/platform",
                "unknown",
                format!("platform {platform:?} is not available here; available: {known}"),
            )
        })
    }

    /// Who vouches for people under a name.
    pub(crate) fn sign_in_provider(&self, name: &str) -> Result<Arc<dyn SignInProvider>> {
        self.registry.sign_in_providers.get(name).cloned().ok_or_else(|| {
            let known = self.registry.sign_in_providers.keys().copied().collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "no provider is set up" } else { &known };
            Error::new(ErrorKind::NotFound, format!("nobody signs in by {name:?} here; available: {known}"))
                .code_of("unknown_provider")
        })
    }

    /// The rule engine of a name.
    pub(crate) fn rule_engine(&self, name: &str) -> Result<Arc<dyn RuleEngine>> {
        self.registry.rule_engines.get(name).cloned().ok_or_else(|| {
            let known = self.registry.rule_engines.keys().copied().collect::<Vec<_>>().join(", ");
            Error::invalid(
                "/engine",
                "not_available",
                format!("engine {name:?} is not available here; available: {known}"),
            )
            .code_of("not_available")
        })
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("registry", &self.registry).finish_non_exhaustive()
    }
}
