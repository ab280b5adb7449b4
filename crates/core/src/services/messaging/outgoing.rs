//! An outgoing message with all that its connector needs, read afresh at each try.

use std::sync::Arc;

use super::send::{address, own_address};
use crate::{
    domain::{account::AccountStatus, media::Attachment, message::Message},
    engine::Engine,
    error::{Error, ErrorKind, Result},
    id::MessageId,
    ports::connector::{Connector, Credentials, Outgoing, SendError},
    services::{accounts, media},
};

/// How many earlier messages an answer refers to.
const REFERENCES: u32 = 50;

/// A message that can be handed over.
pub(crate) struct Prepared {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) credentials: Credentials,
    pub(crate) outgoing: Outgoing,
}

/// Gets a message ready to be handed to its connector.
///
/// # Errors
/// Temporary: the account is cut off, or its connector is not here. Permanent: account, contact or files are gone.
pub(crate) async fn prepare(engine: &Engine, message: &Message) -> Result<Prepared, SendError> {
    gather(engine, message).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::Invalid => SendError::Permanent(error),
        _ => SendError::Temporary { error, retry_after: None },
    })
}

async fn gather(engine: &Engine, message: &Message) -> Result<Prepared> {
    let organization = message.organization_id;
    let gone = |what: &str| Error::new(ErrorKind::NotFound, format!("{what} is gone"));
    let account = engine.store.account(organization, message.account_id).await?;
    let account = account.filter(|it| it.deleted_at.is_none()).ok_or_else(|| gone("the account"))?;
    if matches!(account.status, AccountStatus::Disconnected | AccountStatus::Banned) {
        let reason = account.status_reason.as_deref().unwrap_or("no reason is known");
        let text = format!("the account {} is {}: {reason}", account.handle, account.status);
        return Err(Error::conflict("account_unavailable", text));
    }
    let connector = engine
        .connector(&account.platform)
        .map_err(|_| Error::unavailable(format!("platform {:?} is not available here", account.platform)))?;
    let credentials = accounts::open(engine, &account).await?;
    let chat = engine.store.chat(organization, message.chat_id).await?.ok_or_else(|| gone("the chat"))?;
    let contact = match message.contact_id {
        Some(id) => engine.store.contact(organization, id).await?.filter(|it| it.deleted_at.is_none()),
        None => None,
    };
    let contact = contact.ok_or_else(|| gone("the contact"))?;
    let reference = message.reference.clone().ok_or_else(|| Error::internal("an outgoing message has no reference"))?;
    let mut references = engine.store.references(organization, message.chat_id, REFERENCES).await?;
    references.retain(|it| *it != reference);
    if let Some(answered) = answered(engine, message).await? {
        references.retain(|it| *it != answered);
        references.push(answered);
    }
    let (text, files) = match &message.content {
        Some(content) => (content.text.clone(), content.media.as_slice()),
        None => (String::new(), [].as_slice()),
    };
    let mut attachments = Vec::with_capacity(files.len());
    for file in files {
        let row = engine.store.media(organization, file.id).await?.ok_or_else(|| gone("a file"))?;
        let bytes = media::bytes(engine, &row).await?;
        attachments.push(Attachment { name: row.name, media_type: row.media_type, bytes });
    }
    let to = message.metadata.get("to").and_then(|it| it.as_str()).ok_or_else(|| gone("the recipient"))?;
    let outgoing = Outgoing {
        message_id: message.id,
        reference,
        from: own_address(&account),
        to: address(&account.platform, to, &contact),
        chat: Some(chat.chat_key),
        title: chat.title,
        text,
        references,
        media: attachments,
        written_at: message.timestamp,
    };
    Ok(Prepared { connector, credentials, outgoing })
}

/// The reference of the message that this one answers, if it was named.
async fn answered(engine: &Engine, message: &Message) -> Result<Option<String>> {
    let Some(id) = message.metadata.get("reply_to").and_then(|it| it.as_str()) else { return Ok(None) };
    let Ok(id) = id.parse::<MessageId>() else { return Ok(None) };
    Ok(engine.store.message(message.organization_id, id).await?.and_then(|it| it.reference))
}
