#![doc = "The main job through the library. Connects a mailbox, waits for a stranger's first mail, lets the rule move the"]
#![doc = "contact, and answers. Usage: `mailbox SETTINGS.json [CA.pem]`, the settings being those of `accounts.connect`:"]
#![doc = "`{\"platform\":\"email\",\"email\":…,\"imap\":{…},\"smtp\":{…}}`."]

use anyhow::{Context, Result};
use dealwright::{
    Crm, Handle, Registry,
    domain::event::{Event, EventKind},
    env::Env,
    services::identity::{NewOrganization, NewUser},
};
use dealwright_connectors::email::{EmailConnector, EmailOptions};
use dealwright_rules::declarative::Declarative;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let settings = arguments.next().context("usage: mailbox SETTINGS.json [CA.pem]")?;
    let settings: Value = serde_json::from_str(&std::fs::read_to_string(settings)?)?;
    let mut options = EmailOptions::default();
    if let Some(file) = arguments.next() {
        options = options.trust_pem(&std::fs::read(file)?)?;
    }
    let mut registry = Registry::new();
    registry.connector(EmailConnector::new(options, Env::system())?).rule_engine(Declarative);
    let crm = Crm::builder().database("sqlite://mailbox.db").registry(registry).build().await?;
    let una = NewUser { email: "una@acme.example".into(), name: "Una".into(), password: None };
    let acme = crm.organizations().create(NewOrganization { name: "Acme".into(), owner: una }).await?;
    let me = crm.as_user(acme.organization.id, acme.owner.id).await?;
    let rule = json!({"id":"client-responded","trigger":"message.received","condition":{"stage":"lead","is_first_response":true},"action":{"move_to_stage":"qualified","notify_team":true}});
    me.call("rules.create", rule).await?;

    let mut events = crm.events();
    let running = crm.runtime().start().await?;
    let account = me.call("accounts.connect", settings).await?;
    println!("connected {}", text(&account, "/account/handle")?);
    loop {
        let event = events.recv().await?;
        match event.kind {
            EventKind::AccountStatusChanged => {
                println!("the mailbox is {}", stamped(&event, "status").as_str().unwrap_or_default())
            }
            EventKind::MessageReceived => received(&me, &event).await?,
            EventKind::StageChanged => println!("moved by a rule: {}", stamped(&event, "auto_moved")),
            EventKind::MessageSent => break,
            _ => {}
        }
    }
    println!("the answer is sent");
    running.stop().await;
    Ok(())
}

/// Shows a message and answers it.
async fn received(me: &Handle, event: &Event) -> Result<()> {
    let message = me.call("messages.get", stamped(event, "message_id")).await?;
    println!("{} writes: {}", text(&message, "/sender/name")?, text(&message, "/content/text")?.trim());
    let answer =
        json!({ "chat_id": message.get("chat_id"), "text": "Thank you for writing. Shall we speak on Thursday?" });
    me.call("messages.send", answer).await?;
    Ok(())
}

/// What was stamped into an event.
fn stamped(event: &Event, name: &str) -> Value {
    event.data.get(name).cloned().unwrap_or_default()
}

fn text<'v>(value: &'v Value, pointer: &str) -> Result<&'v str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no text at {pointer}"))
}
