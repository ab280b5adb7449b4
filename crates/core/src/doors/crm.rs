//! The embedder's door: [`Crm`], its builder, and [`Handle`], which carries a scope. Opens a unit, lets a service verb
//! decide, commits once; on a write conflict it does so again with fresh reads.

use std::sync::Arc;

use futures::future::BoxFuture;
use object_store::ObjectStore;
use serde_json::Value;

use crate::{
    cipher::Cipher,
    domain::event::Event,
    doors::operation::{Effect, Operation, operation},
    engine::{Engine, Registry},
    env::Env,
    error::{Error, Result},
    id::{AccountId, OrganizationId, UserId},
    limiter::InProcess,
    ports::{connector::Inbox, limiter::Limiter, mailer::Mailer, store::Store},
    runtime::{AccountInbox, Runtime},
    scope::{Permission, Scope},
    services::{
        idempotency, identity,
        unit::Unit,
        vault::{self, Vault},
    },
    store::sql::{SqlStore, StoreOptions},
};

pub(crate) use crate::runtime::commit;

/// The engine: cheap to clone, safe to share.
#[derive(Debug, Clone)]
pub struct Crm {
    pub(crate) engine: Arc<Engine>,
}

impl std::fmt::Debug for CrmBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CrmBuilder").field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// What a [`Crm`] is made of. Only the database is needed.
pub struct CrmBuilder {
    database: Option<String>,
    store: Option<Arc<dyn Store>>,
    registry: Registry,
    env: Env,
    cipher: Option<Cipher>,
    read_keys: Option<Arc<vault::ReadKeys>>,
    token_keys: Option<identity::TokenKeys>,
    objects: Option<Arc<dyn ObjectStore>>,
    mailer: Option<Arc<dyn Mailer>>,
    public_url: Option<String>,
    limiter: Option<Arc<dyn Limiter>>,
}

impl Crm {
    /// Begins to build an engine.
    pub fn builder() -> CrmBuilder {
        CrmBuilder {
            database: None,
            store: None,
            registry: Registry::new(),
            env: Env::system(),
            cipher: None,
            read_keys: None,
            token_keys: None,
            objects: None,
            mailer: None,
            public_url: None,
            limiter: None,
        }
    }
}

impl CrmBuilder {
    /// The database: `sqlite://PATH` (relative without a leading slash, absolute with one), `sqlite::memory:`, or
    /// `postgres://…`.
    #[must_use]
    pub fn database(mut self, url: impl Into<String>) -> Self {
        self.database = Some(url.into());
        self
    }

    /// A store of one's own, or one that was opened with options; instead of [`CrmBuilder::database`].
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Which connectors and rule engines there are.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Clock and randomness; the machine's by default.
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// The cipher for secrets at rest. Without one a fresh key is made that lives as long as this engine: fit for
    /// engines that connect no account, or whose database is in memory.
    #[must_use]
    pub fn cipher(mut self, cipher: Cipher) -> Self {
        self.cipher = Some(cipher);
        self
    }

    /// Where the master keys are read anew: before a data key is wrapped, and where one is met that they do not open. With
    /// it keys are rotated under a running engine; without, its cipher is the one it was built with.
    #[must_use]
    pub fn read_keys(mut self, read: impl Fn() -> Result<Cipher> + Send + Sync + 'static) -> Self {
        self.read_keys = Some(Arc::new(read));
        self
    }

    /// The keys that sign tokens. Without them a fresh one is made that lives as long as this engine: whoever signed in
    /// before it was built anew signs in again.
    #[must_use]
    pub fn token_keys(mut self, keys: identity::TokenKeys) -> Self {
        self.token_keys = Some(keys);
        self
    }

    /// Where files lie. In memory by default.
    #[must_use]
    pub fn objects(mut self, objects: Arc<dyn ObjectStore>) -> Self {
        self.objects = Some(objects);
        self
    }

    /// Where our own mails go out: invitations, and notifications for those who want them by e-mail. Without one no such
    /// mail is written.
    #[must_use]
    pub fn mailer(mut self, mailer: Arc<dyn Mailer>) -> Self {
        self.mailer = Some(mailer);
        self
    }

    /// Where people reach us, for the links in mails: `https://crm.acme.example`.
    #[must_use]
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into().trim_end_matches('/').to_owned());
        self
    }

    /// What counts how often somebody asks. In this process by default; several processes over one database share one.
    #[must_use]
    pub fn limiter(mut self, limiter: Arc<dyn Limiter>) -> Self {
        self.limiter = Some(limiter);
        self
    }

    /// Opens the database (SQLite is migrated; PostgreSQL must be) and makes the engine.
    ///
    /// # Errors
    /// `validation_failed` for a URL that is none; `unavailable` if the database does not answer; `conflict` for a
    /// schema that does not fit.
    pub async fn build(self) -> Result<Crm> {
        let store = match (self.store, self.database) {
            (Some(store), _) => store,
            (None, Some(url)) => Arc::new(SqlStore::open(&url, StoreOptions::default()).await?),
            (None, None) => {
                return Err(Error::invalid(
                    "/database",
                    "required",
                    "name a database: sqlite://PATH, sqlite::memory: or postgres://…",
                ));
            }
        };
        let cipher = match (self.cipher, &self.read_keys) {
            (Some(cipher), _) => cipher,
            (None, Some(read)) => read()?,
            (None, None) => Cipher::from_key_file(&Cipher::new_key_file(&self.env)?)?,
        };
        let vault = Vault::new(cipher, self.read_keys);
        let token_keys = match self.token_keys {
            Some(keys) => keys,
            None => identity::TokenKeys::from_key_file(&identity::TokenKeys::new_key_file(&self.env)?)?,
        };
        let objects = self.objects.unwrap_or_else(|| Arc::new(object_store::memory::InMemory::new()));
        let limiter = self.limiter.unwrap_or_else(|| Arc::new(InProcess::new(self.env.clone())));
        let (registry, mailer, public_url) = (self.registry, self.mailer, self.public_url);
        let engine = Engine::new(self.env, store, registry, vault, objects, token_keys, mailer, public_url, limiter)?;
        Ok(Crm { engine: Arc::new(engine) })
    }
}

impl Crm {
    /// A handle with a member's scope: no HTTP, no token.
    ///
    /// # Errors
    /// `not_found` if the user is no member of the organisation.
    pub async fn as_user(&self, organization: OrganizationId, user: UserId) -> Result<Handle> {
        let seat = self.engine.store.seat(organization, user).await?.ok_or_else(|| Error::not_found("member", user))?;
        Ok(self.with_scope(identity::seated(&self.engine, seat).await?))
    }

    /// A handle with the engine's own scope in one organisation.
    pub fn as_system(&self, organization: OrganizationId) -> Handle {
        self.with_scope(Scope::system(organization))
    }

    /// A handle with any scope: for doors that have checked a credential themselves.
    pub fn with_scope(&self, scope: Scope) -> Handle {
        Handle { engine: self.engine.clone(), scope }
    }

    /// Organisations and their members: the system's scope.
    pub fn organizations(&self) -> identity::Organizations<'_> {
        identity::Organizations(&self.engine)
    }

    /// Signing up and in, sessions and tokens.
    pub fn identity(&self) -> identity::Identity<'_> {
        identity::Identity::new(&self.engine)
    }

    /// The keys of secrets at rest: their rotation, their end.
    pub fn secrets(&self) -> vault::Secrets<'_> {
        vault::Secrets(&self.engine)
    }

    /// What counts how often somebody asks.
    pub fn limiter(&self) -> &Arc<dyn Limiter> {
        &self.engine.limiter
    }

    /// Where people reach us, if that was told; without a slash at its end.
    pub fn public_url(&self) -> Option<&str> {
        self.engine.public_url.as_deref()
    }

    /// Where messages of an account are taken in that the embedding process receives by its own means (a webhook, a
    /// queue): the same one path as for live connections, idempotent by the provider's id.
    ///
    /// # Errors
    /// `not_found` if the organisation has no such account.
    pub async fn inbox(&self, organization: OrganizationId, account: AccountId) -> Result<Arc<dyn Inbox>> {
        let found = self.engine.store.account(organization, account).await?;
        let account = found.filter(|it| it.deleted_at.is_none()).ok_or_else(|| Error::not_found("account", account))?;
        Ok(Arc::new(AccountInbox::new(self.engine.clone(), None, account)))
    }

    /// The loops that wait: rules, timers, jobs, live connections.
    pub fn runtime(&self) -> Runtime {
        Runtime::new(self.engine.clone())
    }

    /// Every event, in the order of its subject, once the dispatcher of this process is done with it: for live views. An
    /// event may be told twice, where several processes share a database and one took the other for dead: `subject_seq`
    /// tells. It is not told where a process ends before it, or the answer to a commit is lost; and a listener that falls
    /// behind is told how many it missed. What must not be missed belongs into rules and jobs.
    pub fn events(&self) -> tokio::sync::broadcast::Receiver<Arc<Event>> {
        self.engine.bus.subscribe()
    }

    /// Clock and randomness.
    pub fn env(&self) -> &Env {
        &self.engine.env
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// `unavailable` if it does not.
    pub async fn ping(&self) -> Result<()> {
        self.engine.store.ping().await
    }
}

/// The engine with a scope: every call is checked against it and bound to its organisation.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) engine: Arc<Engine>,
    pub(crate) scope: Scope,
}

/// An answer of [`Handle::call`].
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The answer; `null` where there is none.
    pub value: Value,
    /// Whether it was given before, to the same idempotency key.
    pub replayed: bool,
}

impl Handle {
    /// Whose handle this is.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The same handle; its next call is remembered under `key` for 24 hours.
    #[must_use]
    pub fn with_idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.scope.idempotency_key = Some(key.into());
        self
    }

    /// Calls an operation by its name, with JSON in and out.
    ///
    /// # Errors
    /// `not_found` for a name that is none; `validation_failed` with pointers for a wrong input; else what the operation
    /// says.
    pub async fn call(&self, name: &str, input: Value) -> Result<Value> {
        let operation = operation(name).ok_or_else(|| Error::not_found("operation", name))?;
        Ok(self.answer(operation, input).await?.value)
    }

    /// The same, and whether the answer was given before to the same idempotency key.
    ///
    /// # Errors
    /// As [`Handle::call`].
    pub async fn answer(&self, operation: &'static Operation, input: Value) -> Result<Answer> {
        (operation.call)(self, input).await
    }

    /// A query's answer as JSON text, written without a [`Value`] in between: for long lists.
    ///
    /// # Errors
    /// As [`Handle::call`]; `internal` for a command, whose answer may have to be kept for its idempotency key.
    pub async fn text(&self, operation: &'static Operation, input: Value) -> Result<String> {
        if operation.effect == Effect::Command {
            return Err(Error::internal(format!("{} is a command: it has no answer as text", operation.name)));
        }
        (operation.text)(self, input).await.map_err(|error| error.in_operation(operation.name))
    }

    /// Does once, before any unit, what a command needs of the outside; only for those who may give the command.
    pub(crate) async fn prepare<I, P>(
        &self,
        operation: &'static str,
        permission: Permission,
        input: I,
        prepare: impl AsyncFnOnce(&Arc<Engine>, &Scope, I) -> Result<P>,
    ) -> Result<P> {
        let work = async {
            self.scope.require(permission)?;
            prepare(&self.engine, &self.scope, input).await
        };
        work.await.map_err(|error| error.in_operation(operation))
    }

    /// The answer that this handle's idempotency key was given before, if there is one.
    pub(crate) async fn replayed(
        &self,
        operation: &'static str,
        permission: Permission,
        digest: &[u8],
    ) -> Result<Option<Answer>> {
        let work = async {
            self.scope.require(permission)?;
            let unit = Unit::new(self.engine.clone(), self.scope.clone());
            let value = idempotency::replay(&unit, operation, digest).await?;
            Ok(value.map(|value| Answer { value, replayed: true }))
        };
        work.await.map_err(|error: Error| error.in_operation(operation))
    }

    /// Runs a service verb in a unit and commits it, again with fresh reads while others are faster.
    pub(crate) async fn run<T: Send>(
        &self,
        operation: &'static str,
        permission: Permission,
        verb: impl for<'u> Fn(&'u mut Unit) -> BoxFuture<'u, Result<T>> + Send + Sync,
    ) -> Result<T> {
        let work = async {
            self.scope.require(permission)?;
            commit(&self.engine, &self.scope.doing(operation), verb).await
        };
        work.await.map_err(|error| error.in_operation(operation))
    }

    /// The same for JSON, with the client's idempotency key.
    pub(crate) async fn run_json(
        &self,
        operation: &'static str,
        permission: Permission,
        digest: Vec<u8>,
        secrets: &'static [&'static str],
        verb: impl for<'u> Fn(&'u mut Unit) -> BoxFuture<'u, Result<Value>> + Send + Sync + 'static,
    ) -> Result<Answer> {
        if self.scope.idempotency_key.is_none() {
            return Ok(Answer { value: self.run(operation, permission, verb).await?, replayed: false });
        }
        let (verb, digest) = (Arc::new(verb), Arc::new(digest));
        self.run(operation, permission, move |unit| {
            let (verb, digest) = (verb.clone(), digest.clone());
            Box::pin(async move {
                if let Some(value) = idempotency::replay(unit, operation, &digest).await? {
                    return Ok(Answer { value, replayed: true });
                }
                let value = verb(unit).await?;
                idempotency::remember(unit, operation, digest.to_vec(), idempotency::masked(&value, secrets))?;
                Ok(Answer { value, replayed: false })
            })
        })
        .await
    }
}
