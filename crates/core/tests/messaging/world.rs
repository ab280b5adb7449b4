//! The world of contacts and pipelines with one connected account of its owner, and a scripted provider behind it.

use std::{ops::Deref, sync::Arc, time::Duration as Patience};

use chrono::{DateTime, Duration, Utc};
use dealwright::{
    Crm, CrmBuilder, Registry, Result,
    cipher::Cipher,
    domain::{
        account::AccountStatus,
        contact::Contact,
        event::{Event, EventKind},
        message::{Message, MessageStatus},
    },
    env::Env,
    id::{AccountId, ChatId, ContactId, MessageId},
    ports::connector::{Delivery, Incoming},
    services::{
        accounts::{AccountStatusView, AccountView},
        messaging::{InboxChat, ListChats, ListMessages, SendMessage},
    },
    store::sql::{SqlStore, StoreOptions},
    testkit::provider::{Provider, message},
};
use object_store::memory::InMemory;
use serde_json::json;

pub use crate::harness::world::{noon, pointers, refused};
use crate::harness::{Database, world};

/// The account that every world begins with.
pub const UNA: &str = "una@acme.example";
/// Somebody who writes to it.
pub const ADA: &str = "ada@globex.example";

pub struct World {
    base: world::World,
    pub provider: Provider,
    /// The owner's account, [`UNA`].
    pub account: AccountId,
    parts: Parts,
}

impl Deref for World {
    type Target = world::World;

    fn deref(&self) -> &world::World {
        &self.base
    }
}

/// What the engines of one world have in common.
#[derive(Clone)]
pub struct Parts {
    url: String,
    store: Arc<SqlStore>,
    env: Env,
    cipher: Cipher,
    objects: Arc<InMemory>,
    provider: Provider,
}

impl Parts {
    /// An engine that shares the store.
    async fn engine(self) -> Crm {
        let mut registry = Registry::new();
        registry.connector(self.provider);
        let builder = Crm::builder().store(self.store).env(self.env).registry(registry);
        builder.cipher(self.cipher).objects(self.objects).build().await.unwrap()
    }

    /// An engine as another replica has it: on PostgreSQL with connections of its own.
    pub async fn replica(mut self) -> Crm {
        if self.url.starts_with("postgres") {
            self.store = Arc::new(SqlStore::open(&self.url, StoreOptions::default()).await.unwrap());
        }
        self.engine().await
    }
}

/// An instant `seconds` after noon.
pub fn at(seconds: i64) -> DateTime<Utc> {
    noon() + Duration::seconds(seconds)
}

impl World {
    pub async fn new(database: Database) -> Self {
        Self::at(world::fresh(database).await).await
    }

    /// A world in this empty database.
    pub async fn at(url: String) -> Self {
        let cipher = Cipher::from_key_file(&Cipher::new_key_file(&Env::system()).unwrap()).unwrap();
        let (provider, objects) = (Provider::new("email"), Arc::new(InMemory::new()));
        let mut registry = Registry::new();
        registry.connector(provider.clone());
        let give = |builder: CrmBuilder| builder.registry(registry).cipher(cipher.clone()).objects(objects.clone());
        let base = world::World::over(&url, give).await;
        let account = base.me.accounts().connect(provider.account(UNA)).await.unwrap().account.account.id;
        let (store, env) = (base.store.clone(), base.env.clone());
        let parts = Parts { url, store, env, cipher, objects, provider: provider.clone() };
        Self { base, provider, account, parts }
    }

    /// What another engine over the same database is made of.
    pub fn parts(&self) -> Parts {
        self.parts.clone()
    }

    /// Another engine over the same database.
    pub async fn replica(&self) -> Crm {
        self.parts().replica().await
    }

    /// An engine over the same store with another provider behind it.
    pub async fn engine_with(&self, provider: &Provider) -> Crm {
        Parts { provider: provider.clone(), ..self.parts() }.engine().await
    }

    /// Where the database is.
    pub fn url(&self) -> &str {
        &self.parts.url
    }

    /// Where files lie.
    pub fn objects(&self) -> &InMemory {
        &self.parts.objects
    }

    /// Brings messages to [`UNA`] without a live connection, in one step.
    pub async fn receive(&self, messages: impl IntoIterator<Item = impl Into<Delivery>>) -> Result<()> {
        let inbox = self.crm.inbox(self.organization, self.account).await?;
        inbox.deliver(messages.into_iter().map(Into::into).collect(), json!(null)).await
    }

    /// Brings one message from [`ADA`], a second later than everything before; answers the chat.
    pub async fn ada_writes(&self, text: &str) -> InboxChat {
        self.later(1);
        self.receive([message(text, ADA, text, self.crm.env().now())]).await.unwrap();
        self.chats().await.into_iter().find(|chat| chat.contact.as_ref().is_some_and(|it| it.name == ADA)).unwrap()
    }

    pub async fn contacts(&self) -> Vec<Contact> {
        self.me.contacts().list(Default::default()).await.unwrap().data
    }

    /// The chats, newest first.
    pub async fn chats(&self) -> Vec<InboxChat> {
        self.me.chats().list(ListChats::default()).await.unwrap().data
    }

    pub async fn chat(&self, id: ChatId) -> InboxChat {
        self.me.chats().get(id).await.unwrap()
    }

    /// A chat's messages, oldest first.
    pub async fn messages(&self, chat: ChatId) -> Vec<Message> {
        let input = ListMessages { chat_id: chat, limit: Some(200), cursor: None };
        let mut messages = self.me.messages().list(input).await.unwrap().data;
        messages.reverse();
        messages
    }

    /// The texts of a chat, oldest first.
    pub async fn texts(&self, chat: ChatId) -> Vec<String> {
        self.messages(chat).await.into_iter().map(|message| message.content.unwrap().text).collect()
    }

    /// Asks a text to go out into a chat.
    pub async fn send(&self, chat: ChatId, text: &str) -> Message {
        let new = SendMessage { chat_id: Some(chat), text: text.to_owned(), ..Default::default() };
        self.me.messages().send(new).await.unwrap()
    }

    /// Does everything that is due.
    pub async fn drain(&self) {
        self.crm.runtime().drain().await.unwrap();
    }

    pub async fn message(&self, id: MessageId) -> Message {
        self.me.messages().get(id).await.unwrap()
    }

    pub async fn message_status(&self, id: MessageId) -> MessageStatus {
        self.message(id).await.status
    }

    pub async fn account(&self) -> AccountView {
        self.me.accounts().get(self.account).await.unwrap()
    }

    pub async fn account_status(&self) -> AccountStatusView {
        self.me.accounts().status(self.account).await.unwrap()
    }

    /// Waits until [`UNA`] has this status.
    pub async fn until_account_is(&self, status: AccountStatus) -> AccountStatusView {
        until(&format!("{UNA} being {status}"), async || {
            Some(self.account_status().await).filter(|it| it.status == status)
        })
        .await
    }

    /// The events of a kind about a contact, oldest first.
    pub async fn events_about(&self, contact: ContactId, kind: EventKind) -> Vec<Event> {
        self.events(contact).await.into_iter().filter(|event| event.kind == kind).collect()
    }
}

/// Waits for what the engine does by itself. A minute is long past every time that it could take.
pub async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let search = async {
        loop {
            if let Some(found) = found().await {
                return found;
            }
            tokio::time::sleep(Patience::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Patience::from_secs(60), search).await.unwrap_or_else(|_| panic!("{what} never came"))
}

/// A message from [`ADA`] that only its id tells from others.
pub fn note(id: &str, at: DateTime<Utc>) -> Incoming {
    message(id, ADA, id, at)
}
