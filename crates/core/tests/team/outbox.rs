//! A mail server that keeps what it is given, and refuses when it is told to.

use std::sync::Mutex;

use dealwright::{
    Error, Result,
    ports::mailer::{Mail, Mailer},
};

#[derive(Default)]
pub struct Outbox {
    pub mails: Mutex<Vec<Mail>>,
    /// What the next tries come to, last one first.
    pub refusals: Mutex<Vec<Error>>,
}

#[async_trait::async_trait]
impl Mailer for Outbox {
    async fn send(&self, mail: &Mail) -> Result<()> {
        if let Some(error) = self.refusals.lock().unwrap().pop() {
            return Err(error);
        }
        self.mails.lock().unwrap().push(mail.clone());
        Ok(())
    }
}

impl Outbox {
    /// The mails to an address, oldest first.
    pub fn to(&self, address: &str) -> Vec<Mail> {
        self.mails.lock().unwrap().iter().filter(|mail| mail.to == address).cloned().collect()
    }
}
