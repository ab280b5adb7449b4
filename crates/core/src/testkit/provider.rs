//! A messenger whose every move a test decides: who may sign in, what comes in, what becomes of what goes out, when a
//! connection breaks. It stands in for the network alone: everything from [`Connector`] inwards is the real engine.
//!
//! ```
//! # use dealwright::{Crm, Registry, domain::message::MessageStatus, services::messaging::{ListMessages, SendMessage}};
//! # use dealwright::services::identity::{NewOrganization, NewUser};
//! # use dealwright::testkit::provider::{Provider, message};
//! # async fn story() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = Provider::new("email");
//! let mut registry = Registry::new();
//! registry.connector(provider.clone());
//! let crm = Crm::builder().database("sqlite::memory:").registry(registry).build().await?;
//! # let owner = NewUser { email: "una@acme.example".into(), name: "Una".into(), password: None };
//! # let made = crm.organizations().create(NewOrganization { name: "Acme".into(), owner }).await?;
//! # let me = crm.as_user(made.organization.id, made.owner.id).await?;
//! let account = me.accounts().connect(provider.account("una@acme.example")).await?.account;
//!
//! // What comes in: over the live connection, or without one by `Crm::inbox`.
//! let running = crm.runtime().start().await?;
//! let connection = provider.connection("una@acme.example", 1).await?;
//! connection.deliver([message("1", "ada@globex.example", "Hello", crm.env().now())]).await?;
//! connection.fail(dealwright::Error::unavailable("the line is cut"));
//! running.stop().await;
//!
//! // What goes out: it is accepted unless the test has answered otherwise before.
//! let chat = me.chats().list(Default::default()).await?.data.remove(0);
//! let new = SendMessage { chat_id: Some(chat.chat_id), text: "Hi".into(), ..Default::default() };
//! let sent = me.messages().send(new).await?;
//! crm.runtime().drain().await?;
//! assert_eq!(provider.outgoing()[0].text, "Hi");
//! assert_eq!(me.messages().get(sent.id).await?.status, MessageStatus::Sent);
//! # Ok(()) }
//! # tokio::runtime::Runtime::new().unwrap().block_on(story()).unwrap();
//! ```

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    domain::account::AccountStatus,
    error::{Error, Result},
    id::MessageId,
    ports::connector::{
        Address, Capabilities, Connected, Connector, Credentials, Delivery, Incoming, Outgoing, SendError, Sent,
        Session, Settled,
    },
    services::accounts::ConnectAccount,
    testkit::{Failure, Outcome},
};

/// How long something is waited for that the engine does by itself. A test that comes here has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A scripted messenger. Clones are the same one; it may serve several engines.
#[derive(Debug, Clone)]
pub struct Provider {
    platform: &'static str,
    capabilities: Capabilities,
    state: Arc<Mutex<State>>,
    /// Rung whenever something happened that a test may wait for.
    bell: Arc<watch::Sender<()>>,
    gate: Arc<watch::Sender<bool>>,
}

#[derive(Debug)]
struct State {
    password: String,
    lines: HashMap<String, Line>,
    run_answers: VecDeque<Error>,
    send_answers: VecDeque<Result<Sent, SendError>>,
    settle_answers: VecDeque<Result<Settled>>,
    outgoing: Vec<Outgoing>,
    settled: usize,
    lingers: bool,
}

/// The connections of one account.
#[derive(Debug, Default)]
struct Line {
    made: Vec<Connection>,
    live: usize,
    most: usize,
}

/// A live connection, in the test's hand.
#[derive(Debug, Clone)]
pub struct Connection {
    session: Session,
    orders: mpsc::UnboundedSender<Order>,
}

#[derive(Debug)]
enum Order {
    Deliver(Vec<Delivery>, oneshot::Sender<Result<()>>),
    Status(AccountStatus, Option<String>, oneshot::Sender<Result<()>>),
    Fail(Error),
}

/// A message from `from` (an e-mail address, or a handle) in the chat that the two have with each other. `id` is the
/// provider's id of it.
pub fn message(id: &str, from: &str, text: &str, at: DateTime<Utc>) -> Incoming {
    let is_email = from.contains('@');
    Incoming {
        provider_id: id.to_owned(),
        reference: None,
        replies_to: Vec::new(),
        chat: Some(from.to_owned()),
        title: None,
        sender: Address {
            id: from.to_owned(),
            email: is_email.then(|| from.to_owned()),
            handle: (!is_email).then(|| from.to_owned()),
            ..Address::default()
        },
        text: text.to_owned(),
        media: Vec::new(),
        sent_at: at,
        automatic: None,
        metadata: Map::new(),
    }
}

impl From<Incoming> for Delivery {
    fn from(incoming: Incoming) -> Self {
        Self::Message(Box::new(incoming))
    }
}

impl Provider {
    /// A provider of this platform that can do everything.
    pub fn new(platform: &'static str) -> Self {
        let state = State {
            password: "secret".to_owned(),
            lines: HashMap::new(),
            run_answers: VecDeque::new(),
            send_answers: VecDeque::new(),
            settle_answers: VecDeque::new(),
            outgoing: Vec::new(),
            settled: 0,
            lingers: false,
        };
        Self {
            platform,
            capabilities: Capabilities { receive: true, send: true, media: true, begin_chat: true, settle: true },
            state: Arc::new(Mutex::new(state)),
            bell: Arc::new(watch::Sender::new(())),
            gate: Arc::new(watch::Sender::new(true)),
        }
    }

    /// The same, but able to do only this.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// What a person enters to connect the account `handle`, with the password that counts now.
    pub fn account(&self, handle: &str) -> ConnectAccount {
        let mut settings = Map::new();
        settings.insert("handle".to_owned(), json!(handle));
        settings.insert("password".to_owned(), json!(self.state().password));
        ConnectAccount { platform: self.platform.to_owned(), visibility: None, settings }
    }

    /// From now on only this password counts: for connecting, for new connections, and for what goes out.
    pub fn change_password(&self, password: &str) {
        self.state().password = password.to_owned();
    }

    /// The next connection that the engine makes, of whatever account, ends at once with this error.
    pub fn fail_connection(&self, error: Error) {
        self.state().run_answers.push_back(error);
    }

    /// From now on connections do not end when they are told to: the engine has to cut them.
    pub fn linger(&self) {
        self.state().lingers = true;
    }

    /// The `nth` connection, from 1, that this account has had: waits until it is made.
    ///
    /// # Errors
    /// If it is not made within a minute.
    pub async fn connection(&self, handle: &str, nth: usize) -> Outcome<Connection> {
        let found = || self.state().lines.get(handle).and_then(|line| line.made.get(nth.checked_sub(1)?).cloned());
        self.until(&format!("connection {nth} of {handle}"), found).await
    }

    /// How many connections the account has at this moment.
    pub fn live(&self, handle: &str) -> usize {
        self.state().lines.get(handle).map_or(0, |line| line.live)
    }

    /// The most connections that the account has had at the same time.
    pub fn most_live(&self, handle: &str) -> usize {
        self.state().lines.get(handle).map_or(0, |line| line.most)
    }

    /// How many connections the account has had.
    pub fn made(&self, handle: &str) -> usize {
        self.state().lines.get(handle).map_or(0, |line| line.made.len())
    }

    /// Waits until the account has no connection.
    ///
    /// # Errors
    /// If it still has one after a minute.
    pub async fn gone(&self, handle: &str) -> Outcome {
        self.until(&format!("the end of the connections of {handle}"), || (self.live(handle) == 0).then_some(())).await
    }

    /// What becomes of the next message that goes out and has no answer yet. Without an answer it is accepted.
    pub fn answer_send(&self, answer: Result<Sent, SendError>) {
        self.state().send_answers.push_back(answer);
    }

    /// What the next question after a doubtful message is answered. Without an answer nothing is found.
    pub fn answer_settle(&self, answer: Result<Settled>) {
        self.state().settle_answers.push_back(answer);
    }

    /// Lets what is handed over wait for its answer until [`Provider::resume_sends`].
    pub fn hold_sends(&self) {
        self.gate.send_replace(false);
    }

    /// Answers what waits, and whatever comes.
    pub fn resume_sends(&self) {
        self.gate.send_replace(true);
    }

    /// Everything that was handed over so far, whatever the answer, oldest first.
    pub fn outgoing(&self) -> Vec<Outgoing> {
        self.state().outgoing.clone()
    }

    /// Waits until `count` messages were handed over.
    ///
    /// # Errors
    /// If they were not within a minute.
    pub async fn handed_over(&self, count: usize) -> Outcome<Vec<Outgoing>> {
        self.until(&format!("{count} messages going out"), || Some(self.outgoing()).filter(|it| it.len() >= count))
            .await
    }

    /// How often it was asked what became of a doubtful message.
    pub fn settled(&self) -> usize {
        self.state().settled
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        self.bell.send_replace(());
    }

    async fn until<T>(&self, what: &str, found: impl Fn() -> Option<T>) -> Outcome<T> {
        let mut bell = self.bell.subscribe();
        let search = async {
            loop {
                bell.mark_unchanged();
                if let Some(found) = found() {
                    return Some(found);
                }
                bell.changed().await.ok()?;
            }
        };
        let found = tokio::time::timeout(PATIENCE, search).await.ok().flatten();
        found.ok_or_else(|| Failure::new(format!("{what} was waited for in vain")))
    }

    fn check_password(&self, credentials: &Credentials) -> Result<()> {
        match credentials.0.get("password").and_then(Value::as_str) {
            Some(password) if password == self.state().password => Ok(()),
            _ => Err(Error::unauthenticated("bad_credentials", "the password is wrong")),
        }
    }

    fn open(&self, session: &Session) -> Result<Live> {
        self.check_password(&session.credentials)?;
        let mut state = self.state();
        if let Some(error) = state.run_answers.pop_front() {
            return Err(error);
        }
        let line = state.lines.entry(session.handle.clone()).or_default();
        line.live += 1;
        line.most = line.most.max(line.live);
        Ok(Live { provider: self.clone(), handle: session.handle.clone() })
    }

    async fn told_to_end(&self, session: &Session) {
        session.shutdown.cancelled().await;
        if self.state().lingers {
            std::future::pending().await
        }
    }

    /// Gives a connection into the test's hand.
    fn present(&self, session: Session) -> mpsc::UnboundedReceiver<Order> {
        let (orders, given) = mpsc::unbounded_channel();
        self.state().lines.entry(session.handle.clone()).or_default().made.push(Connection { session, orders });
        self.ring();
        given
    }
}

/// Counts a connection as long as it is there.
struct Live {
    provider: Provider,
    handle: String,
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(line) = self.provider.state().lines.get_mut(&self.handle) {
            line.live = line.live.saturating_sub(1);
        }
        self.provider.ring();
    }
}

impl Connection {
    /// Brings messages in one step of synchronisation; the cursor counts the steps that went well. As with every
    /// connector, an error ends the connection.
    ///
    /// # Errors
    /// What the engine answers; `unavailable` if the connection has ended.
    pub async fn deliver<D: Into<Delivery>>(&self, deliveries: impl IntoIterator<Item = D>) -> Result<()> {
        let deliveries = deliveries.into_iter().map(Into::into).collect();
        self.order(|reply| Order::Deliver(deliveries, reply)).await
    }

    /// Tells the engine how the connection is doing: that the provider wants a code, or slows the account down.
    ///
    /// # Errors
    /// As [`Connection::deliver`].
    pub async fn status(&self, status: AccountStatus, reason: Option<&str>) -> Result<()> {
        let reason = reason.map(str::to_owned);
        self.order(|reply| Order::Status(status, reason, reply)).await
    }

    /// Breaks the connection.
    pub fn fail(&self, error: Error) {
        // One that has ended cannot be broken.
        let _ = self.orders.send(Order::Fail(error));
    }

    /// What the engine handed over when it made the connection.
    pub fn session(&self) -> &Session {
        &self.session
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<Result<()>>) -> Order) -> Result<()> {
        let ended = || Error::unavailable("the connection has ended");
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

#[async_trait]
impl Connector for Provider {
    fn platform(&self) -> &'static str {
        self.platform
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn connect(&self, settings: &Map<String, Value>) -> Result<Connected> {
        let handle = settings.get("handle").and_then(Value::as_str);
        let handle = handle.ok_or_else(|| Error::invalid("/handle", "required", "which account?"))?;
        let credentials = Credentials(json!({ "password": settings.get("password") }));
        self.check_password(&credentials).map_err(|error| {
            Error::invalid("/password", "refused", format!("{handle} cannot sign in: {}", error.message()))
        })?;
        Ok(Connected { handle: handle.to_owned(), display_name: handle.to_owned(), credentials })
    }

    async fn run(&self, session: Session) -> Result<()> {
        let _live = self.open(&session)?;
        session.inbox.status(AccountStatus::Active, None).await?;
        let mut orders = self.present(session.clone());
        let mut steps = session.cursor.as_ref().and_then(Value::as_u64).unwrap_or_default();
        loop {
            let order = tokio::select! {
                () = self.told_to_end(&session) => return Ok(()),
                Some(order) = orders.recv() => order,
            };
            let (outcome, reply) = match order {
                Order::Deliver(deliveries, reply) => {
                    (session.inbox.deliver(deliveries, json!(steps + 1)).await.inspect(|()| steps += 1), reply)
                }
                Order::Status(status, reason, reply) => (session.inbox.status(status, reason).await, reply),
                Order::Fail(error) => return Err(error),
            };
            // A test that no longer waits for the answer does not want it.
            let _ = reply.send(outcome.as_ref().map_err(copy).copied());
            outcome?;
        }
    }

    async fn send(&self, credentials: &Credentials, outgoing: &Outgoing) -> Result<Sent, SendError> {
        self.check_password(credentials).map_err(|error| SendError::Temporary { error, retry_after: None })?;
        let answer = {
            let mut state = self.state();
            state.outgoing.push(outgoing.clone());
            state.send_answers.pop_front()
        };
        self.ring();
        // The sender of the gate lives as long as this provider.
        let _ = self.gate.subscribe().wait_for(|open| *open).await;
        answer.unwrap_or_else(|| Ok(Sent { provider_id: format!("sent/{}", outgoing.reference) }))
    }

    async fn settle(&self, _: &Credentials, _: &Outgoing) -> Result<Settled> {
        let answer = {
            let mut state = self.state();
            state.settled += 1;
            state.settle_answers.pop_front()
        };
        self.ring();
        answer.unwrap_or(Ok(Settled::Unknown))
    }

    fn reference(&self, from: &Address, message_id: MessageId) -> String {
        format!("{message_id}/{}", from.id)
    }
}

/// Errors are told twice here: to the test, and to the engine.
fn copy(error: &Error) -> Error {
    Error::new(error.kind(), error.message()).code_of(error.code().to_owned())
}
