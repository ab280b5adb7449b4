//! One database, two organisations, and the engine that is asked.

use std::sync::Arc;

use dealwright::{
    Crm, Handle, Registry,
    cipher::Cipher,
    env::Env,
    services::identity::{NewOrganization, NewUser, SignUp, SignedIn},
    store::sql::{SqlStore, StoreOptions, migrate},
    testkit::{provider::Provider, voucher::Voucher},
};
use dealwright_peers::{psql, shared_postgres};
use dealwright_rules::declarative::Declarative;
use object_store::memory::InMemory;

use super::things::Side;

/// By what owners sign in.
pub const PASSWORD: &str = "correct horse";

/// What every text of the other organisation holds, and none of ours.
pub const MARKER: &str = "globex-only";

pub struct World {
    /// Where the database is, and its superuser if it has one.
    url: String,
    superuser: Option<String>,
    parts: Parts,
    /// The engine that is asked.
    pub crm: Crm,
    pub ours: Side,
    pub theirs: Side,
    /// Our owner at that engine.
    pub asks: Handle,
}

/// What several engines over one database have in common.
#[derive(Clone)]
struct Parts {
    cipher: Cipher,
    objects: Arc<InMemory>,
    provider: Provider,
}

impl Parts {
    async fn engine(&self, store: Arc<SqlStore>) -> Crm {
        let mut registry = Registry::new();
        registry.connector(self.provider.clone()).rule_engine(Declarative);
        registry.sign_in_provider(Voucher::new("google"));
        let builder = Crm::builder().store(store).registry(registry).public_url("https://crm.acme.example");
        builder.cipher(self.cipher.clone()).objects(self.objects.clone()).build().await.unwrap()
    }
}

impl World {
    pub async fn sqlite() -> Self {
        Self::over("sqlite::memory:".to_owned(), None).await
    }

    pub async fn postgres() -> Self {
        let server = shared_postgres().unwrap();
        let urls = server.fresh_database("sweep").unwrap();
        migrate(&urls.owner, "crm_app", &StoreOptions::default()).await.unwrap();
        let (address, _) = server.superuser().rsplit_once('/').unwrap();
        let (_, database) = urls.app.rsplit_once('/').unwrap();
        let superuser = format!("{address}/{database}");
        Self::over(urls.app, Some(superuser)).await
    }

    async fn over(url: String, superuser: Option<String>) -> Self {
        let store = Arc::new(SqlStore::open(&url, StoreOptions::default()).await.unwrap());
        let cipher = Cipher::from_key_file(&Cipher::new_key_file(&Env::system()).unwrap()).unwrap();
        let parts = Parts { cipher, objects: Arc::new(InMemory::new()), provider: Provider::new("email") };
        let crm = parts.engine(store.clone()).await;
        let theirs = side(&crm, &store, &parts, MARKER).await;
        let ours = side(&crm, &store, &parts, "acme").await;
        let asks = ours.me.clone();
        Self { url, superuser, parts, crm, ours, theirs, asks }
    }

    /// An organisation that somebody signs up for, and how they are signed in.
    pub async fn sign_up(&self, name: &str, word: &'static str) -> (Side, SignedIn) {
        let new = SignUp {
            email: format!("{name}@{word}.example"),
            password: PASSWORD.to_owned(),
            name: name.to_owned(),
            organization_name: Some(format!("The {word}")),
            invite_token: None,
        };
        let signed_in = self.crm.identity().sign_up(new).await.unwrap();
        let (organization, user) = (signed_in.organization.id, signed_in.user.id);
        let me = self.crm.as_user(organization, user).await.unwrap();
        let (store, provider) = (self.ours.store.clone(), self.parts.provider.clone());
        let side = Side::new(self.crm.clone(), store, provider, me, organization, user, word);
        side.define().await;
        (side, signed_in)
    }

    /// Somebody else in our own organisation, and what is theirs.
    pub fn colleague(&self) -> Side {
        let (crm, store, provider) = (self.crm.clone(), self.ours.store.clone(), self.parts.provider.clone());
        let me = self.ours.me.clone();
        Side::new(crm, store, provider, me, self.ours.organization, self.ours.owner, MARKER).counting_from(1_000)
    }

    /// The same, of which ours goes through an engine whose statements leave the organisation out, loops included.
    pub async fn without_predicates(mut self) -> Self {
        self.asks_without_predicates().await;
        (self.ours.crm, self.ours.me) = (self.crm.clone(), self.asks.clone());
        self
    }

    /// The same over a database whose row-level security is switched off besides. What is asked about is made with the
    /// first wall: nothing could be, without any.
    pub async fn without_walls(mut self) -> Self {
        let off = "DO $$ DECLARE it text; BEGIN FOR it IN SELECT relname FROM pg_class WHERE relrowsecurity LOOP \
                   EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', it); END LOOP; END $$";
        psql(self.superuser.as_deref().unwrap(), off).unwrap();
        self.asks_without_predicates().await;
        self
    }

    async fn asks_without_predicates(&mut self) {
        let options = StoreOptions::default().without_predicates();
        let store = Arc::new(SqlStore::open(&self.url, options).await.unwrap());
        self.crm = self.parts.engine(store).await;
        self.asks = self.crm.as_user(self.ours.organization, self.ours.owner).await.unwrap();
    }
}

async fn side(crm: &Crm, store: &Arc<SqlStore>, parts: &Parts, word: &'static str) -> Side {
    let owner = NewUser {
        email: format!("owner@{word}.example"),
        name: format!("Owner {word}"),
        password: Some(PASSWORD.into()),
    };
    let made = crm.organizations().create(NewOrganization { name: format!("The {word}"), owner }).await.unwrap();
    let me = crm.as_user(made.organization.id, made.owner.id).await.unwrap();
    let (organization, owner) = (made.organization.id, made.owner.id);
    let side = Side::new(crm.clone(), store.clone(), parts.provider.clone(), me, organization, owner, word);
    side.define().await;
    side
}
