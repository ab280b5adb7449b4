//! A store with one organisation in it, one connected account of its owner, a scripted provider, and a clock that stands
//! still.

use std::{sync::Arc, time::Duration as Patience};

use chrono::{DateTime, Duration, TimeZone, Utc};
use dealwright::{
    Crm, Error, ErrorKind, Handle, Registry, Result,
    cipher::Cipher,
    domain::{
        account::AccountStatus,
        contact::Contact,
        event::{Event, EventKind, Subject},
        message::{Message, MessageStatus},
    },
    env::{Env, ManualClock},
    id::{AccountId, ChatId, ContactId, MessageId, OrganizationId, UserId},
    page::PageRequest,
    ports::{
        connector::{Delivery, Incoming},
        store::AutomationReads,
    },
    scope::Role,
    services::{
        accounts::{AccountStatusView, AccountView},
        contacts::NewContact,
        identity::{NewOrganization, NewUser},
        messaging::{InboxChat, ListChats, ListMessages, SendMessage},
    },
    store::sql::{SqlStore, StoreOptions, migrate},
    testkit::provider::{Provider, message},
};
use object_store::memory::InMemory;
use serde_json::json;

#[derive(Debug, Clone, Copy)]
pub enum Database {
    Sqlite,
    Postgres,
}

pub const DATABASES: &[Database] = &[Database::Sqlite, Database::Postgres];

impl Database {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// The account that every world begins with.
pub const UNA: &str = "una@acme.example";
/// Somebody who writes to it.
pub const ADA: &str = "ada@globex.example";

pub struct World {
    pub crm: Crm,
    pub store: Arc<SqlStore>,
    pub clock: ManualClock,
    pub provider: Provider,
    pub organization: OrganizationId,
    pub una: UserId,
    /// The owner's handle.
    pub me: Handle,
    /// The owner's account, [`UNA`].
    pub account: AccountId,
    parts: Parts,
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

pub fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).unwrap()
}

/// An instant `seconds` after noon.
pub fn at(seconds: i64) -> DateTime<Utc> {
    noon() + Duration::seconds(seconds)
}

impl World {
    pub async fn new(database: Database) -> Self {
        let url = match database {
            Database::Sqlite => "sqlite::memory:".to_owned(),
            Database::Postgres => {
                let urls = dealwright_peers::shared_postgres().unwrap().fresh_database("messaging").unwrap();
                migrate(&urls.owner, "crm_app", &StoreOptions::default()).await.unwrap();
                urls.app
            }
        };
        let store = Arc::new(SqlStore::open(&url, StoreOptions::default()).await.unwrap());
        let clock = ManualClock::at(noon());
        let env = Env::system().with_clock(clock.clone());
        let cipher = Cipher::from_key_file(&Cipher::new_key_file(&env).unwrap()).unwrap();
        let provider = Provider::new("email");
        let parts =
            Parts { url, store: store.clone(), env, cipher, objects: Arc::default(), provider: provider.clone() };
        let crm = parts.clone().engine().await;
        let (organization, una) = organization(&crm, "Acme").await;
        let me = crm.as_user(organization, una).await.unwrap();
        let account = me.accounts().connect(provider.account(UNA)).await.unwrap().account.account.id;
        Self { crm, store, clock, provider, organization, una, me, account, parts }
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

    /// A further member.
    pub async fn member(&self, name: &str, role: Role) -> (UserId, Handle) {
        let member = self.crm.organizations().add_member(self.organization, person(name), role).await.unwrap();
        (member.user_id, self.crm.as_user(self.organization, member.user_id).await.unwrap())
    }

    /// Another organisation in the same database.
    pub async fn other_organization(&self) -> (OrganizationId, Handle) {
        let (organization, owner) = organization(&self.crm, "Globex").await;
        (organization, self.crm.as_user(organization, owner).await.unwrap())
    }

    /// Where files lie.
    pub fn objects(&self) -> &InMemory {
        &self.parts.objects
    }

    pub fn later(&self, seconds: i64) {
        self.clock.advance(Duration::seconds(seconds));
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

    pub async fn contact_with_email(&self, name: &str, email: &str) -> Contact {
        let new = NewContact { name: name.to_owned(), emails: vec![email.to_owned()], ..Default::default() };
        self.me.contacts().create(new).await.unwrap()
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

    /// The events of a subject, oldest first.
    pub async fn events(&self, subject: impl Into<Subject>) -> Vec<Event> {
        let page = PageRequest { limit: Some(200), cursor: None };
        let mut events = self.store.events_of(self.organization, subject.into(), &page).await.unwrap().data;
        events.reverse();
        events
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

fn person(name: &str) -> NewUser {
    NewUser { email: format!("{name}@people.example"), name: name.to_owned(), password: None }
}

async fn organization(crm: &Crm, name: &str) -> (OrganizationId, UserId) {
    let new = NewOrganization { name: name.to_owned(), owner: person(&format!("owner-of-{name}")) };
    let made = crm.organizations().create(new).await.unwrap();
    (made.organization.id, made.owner.id)
}

/// The code and status of an error.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(result: Result<T>, status: u16, code: &str) -> Error {
    let error = result.unwrap_err();
    assert_eq!((error.kind().status(), error.code()), (status, code), "{error}");
    error
}

/// The pointers of a failed validation.
#[track_caller]
pub fn pointers<T: std::fmt::Debug>(result: Result<T>) -> Vec<(String, String)> {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    error.fields().iter().map(|field| (field.pointer.clone(), field.code.to_string())).collect()
}
