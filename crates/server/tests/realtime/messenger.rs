//! A messenger that delivers what the test hands it.

use std::sync::Arc;

use async_trait::async_trait;
use dealwright::{
    Result,
    domain::account::AccountStatus,
    id::MessageId,
    ports::connector::{
        Address, Capabilities, Connected, Connector, Credentials, Delivery, Incoming, Outgoing, SendError, Sent,
        Session, Settled,
    },
};
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, mpsc};

#[derive(Clone)]
pub struct Messenger {
    post: mpsc::Sender<Incoming>,
    box_: Arc<Mutex<mpsc::Receiver<Incoming>>>,
}

impl Default for Messenger {
    fn default() -> Self {
        let (post, received) = mpsc::channel(16);
        Self { post, box_: Arc::new(Mutex::new(received)) }
    }
}

impl Messenger {
    pub async fn deliver(&self, incoming: Incoming) {
        self.post.send(incoming).await.unwrap();
    }
}

/// A message by somebody.
pub fn note(from: &str, text: &str) -> Incoming {
    Incoming {
        provider_id: format!("{from}/{text}"),
        reference: None,
        replies_to: Vec::new(),
        chat: Some(from.to_owned()),
        title: None,
        sender: Address { id: from.to_owned(), email: Some(from.to_owned()), ..Address::default() },
        text: text.to_owned(),
        media: Vec::new(),
        sent_at: dealwright::env::Env::system().now(),
        automatic: None,
        metadata: Map::new(),
    }
}

#[async_trait]
impl Connector for Messenger {
    fn platform(&self) -> &'static str {
        "email"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { receive: true, ..Capabilities::default() }
    }

    async fn connect(&self, _: &Map<String, Value>) -> Result<Connected> {
        Ok(Connected {
            handle: "una@acme.example".to_owned(),
            display_name: "Una".to_owned(),
            credentials: Credentials(json!({})),
        })
    }

    async fn run(&self, session: Session) -> Result<()> {
        session.inbox.status(AccountStatus::Active, None).await?;
        let mut received = self.box_.lock().await;
        loop {
            tokio::select! {
                _ = session.shutdown.cancelled() => return Ok(()),
                Some(incoming) = received.recv() => {
                    session.inbox.deliver(vec![Delivery::Message(Box::new(incoming))], json!({})).await?;
                }
            }
        }
    }

    async fn send(&self, _: &Credentials, _: &Outgoing) -> Result<Sent, SendError> {
        Err(SendError::Permanent(dealwright::Error::unsupported("this messenger only receives")))
    }

    async fn settle(&self, _: &Credentials, _: &Outgoing) -> Result<Settled> {
        Ok(Settled::Unknown)
    }

    fn reference(&self, _: &Address, id: MessageId) -> String {
        id.to_string()
    }
}
