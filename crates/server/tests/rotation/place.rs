//! A database, a key file, and servers over both that take turns, each with a memory of its own.

use std::sync::{Arc, Mutex};

use axum::serve;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use dealwright::{
    Crm, Registry,
    cipher::Cipher,
    env::Env,
    ports::{
        connector::Capabilities,
        mailer::{Mail, Mailer},
    },
    runtime::Running,
    services::identity::TokenKeys,
    store::sql::{SqlStore, StoreOptions, migrate},
    testkit::{provider::Provider, voucher::Voucher},
};
use dealwright_peers::shared_postgres;
use dealwright_server::{Options, app, limits::Limits};
use tokio::net::TcpListener;

/// A mail server that counts.
#[derive(Clone, Default)]
pub struct Outbox(Arc<Mutex<Vec<String>>>);

#[async_trait::async_trait]
impl Mailer for Outbox {
    async fn send(&self, mail: &Mail) -> dealwright::Result<()> {
        self.0.lock().unwrap().push(mail.to.clone());
        Ok(())
    }
}

impl Outbox {
    pub fn has(&self, address: &str) -> bool {
        self.0.lock().unwrap().iter().any(|to| to == address)
    }
}

pub struct Place {
    /// The text of the key file, as it is now.
    file: Arc<Mutex<String>>,
    tokens: String,
    /// One store on SQLite, whose file one process has open; as many as are wanted on PostgreSQL.
    stores: Stores,
    pub provider: Provider,
    pub outbox: Outbox,
    /// Where its servers answer.
    pub urls: Vec<String>,
    pub crm: Crm,
    running: Vec<Running>,
}

enum Stores {
    Sqlite(Arc<SqlStore>),
    Postgres(String),
}

impl Place {
    pub async fn sqlite() -> Self {
        let store = SqlStore::open("sqlite::memory:", StoreOptions::default()).await.unwrap();
        Self::over(Stores::Sqlite(Arc::new(store))).await
    }

    pub async fn postgres() -> Self {
        let urls = shared_postgres().unwrap().fresh_database("rotation").unwrap();
        migrate(&urls.owner, "crm_app", &StoreOptions::default()).await.unwrap();
        Self::over(Stores::Postgres(urls.app)).await
    }

    async fn over(stores: Stores) -> Self {
        let env = Env::system();
        let file = Arc::new(Mutex::new(Cipher::new_key_file(&env).unwrap()));
        let tokens = TokenKeys::new_key_file(&env).unwrap();
        let can = Capabilities { receive: false, send: true, media: false, begin_chat: false, settle: false };
        let provider = Provider::new("email").with_capabilities(can);
        let (outbox, urls, running) = (Outbox::default(), Vec::new(), Vec::new());
        let crm = engine(&stores, &file, &tokens, &provider, &outbox).await;
        let mut place = Self { file, tokens, stores, provider, outbox, urls, crm, running };
        for _ in 0..2 {
            let crm = place.engine().await;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            place.urls.push(format!("http://{}", listener.local_addr().unwrap()));
            place.running.push(crm.runtime().start().await.unwrap());
            let router = app(crm, Options::default().limits(Limits::off()));
            tokio::spawn(async move { serve(listener, router).await });
        }
        place
    }

    /// A process of its own, which knows nothing of what others hold in memory.
    pub async fn engine(&self) -> Crm {
        engine(&self.stores, &self.file, &self.tokens, &self.provider, &self.outbox).await
    }

    /// Puts a new line on top of the key file; answers the id of the one that was there.
    pub fn add_line(&self) -> String {
        let mut file = self.file.lock().unwrap();
        let old = Cipher::from_key_file(&file).unwrap().current().to_owned();
        file.insert_str(0, &Cipher::new_key_file(&Env::system()).unwrap());
        old
    }

    /// Takes every line off the key file but the newest.
    pub fn keep_newest_line(&self) {
        let mut file = self.file.lock().unwrap();
        let newest = file.lines().next().unwrap().to_owned();
        assert_eq!(STANDARD.decode(&newest).unwrap().len(), 32);
        *file = newest;
    }
}

async fn engine(stores: &Stores, file: &Arc<Mutex<String>>, tokens: &str, provider: &Provider, outbox: &Outbox) -> Crm {
    let store = match stores {
        Stores::Sqlite(store) => store.clone(),
        Stores::Postgres(url) => Arc::new(SqlStore::open(url, StoreOptions::default()).await.unwrap()),
    };
    let mut registry = Registry::new();
    registry.connector(provider.clone()).sign_in_provider(Voucher::new("google"));
    let file = file.clone();
    let builder = Crm::builder().store(store).registry(registry).public_url("http://localhost");
    let builder = builder.token_keys(TokenKeys::from_key_file(tokens).unwrap()).mailer(Arc::new(outbox.clone()));
    builder.read_keys(move || Cipher::from_key_file(&file.lock().unwrap())).build().await.unwrap()
}
