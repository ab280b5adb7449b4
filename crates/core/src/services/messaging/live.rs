//! A message for those who listen to its account: read once, however many there are.

use serde::Serialize;

use super::{chat, message};
use crate::{
    domain::message::Message,
    error::{ErrorKind, Result},
    id::MessageId,
    scope::{Permission, Resource, Scope, Sight},
    services::{accounts, contacts, unit::Unit},
};

/// What somebody may see of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sees {
    /// Nothing at all.
    Nothing,
    /// That there is one, without its body.
    Header,
    /// All of it.
    Body,
}

/// A message, and what each of those who listen may see of it.
#[derive(Debug, Clone)]
pub struct LiveMessage {
    message: Message,
    /// What its chat has unread.
    pub unread_count: i64,
    /// Of each listener, in the order in which they were given.
    pub sees: Vec<Sees>,
}

impl LiveMessage {
    /// The message as those see it who see so much of it; `None` for those who see nothing.
    pub fn shown(&self, sees: Sees) -> Option<impl Serialize + use<>> {
        let message = self.message.clone();
        match sees {
            Sees::Nothing => None,
            Sees::Header => Some(Message { content: None, ..message }),
            Sees::Body => Some(message),
        }
    }
}

/// A message for these listeners; `None` if it is gone.
pub(crate) async fn live(unit: &mut Unit, id: MessageId, listeners: &[Scope]) -> Result<Option<LiveMessage>> {
    let found = match message(unit, id).await {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let chat = chat(unit, found.chat_id).await?;
    let account = accounts::find(unit, found.account_id).await?;
    // As the store has it for those who see some records alone.
    let contact = match chat.contact_id {
        Some(id) => contacts::find(unit, id).await?,
        None => None,
    };
    let in_sight = |listener: &Scope| {
        let Sight::Limited { user, .. } = &listener.sight else { return true };
        let of_contact = || contact.as_ref().is_some_and(|it| listener.sight.sees(it.assigned_to, it.team_id));
        chat.contact_id.is_none() || [chat.assigned_to, account.owner_id].contains(&Some(*user)) || of_contact()
    };
    let shown = accounts::shown_to(unit, &account, listeners).await?;
    let sees = listeners.iter().zip(shown).map(|(listener, shown)| {
        let here = listener.organization_id == unit.organization_id();
        match listener.require(Permission::read(Resource::Messages)) {
            Ok(()) if !in_sight(listener) => Sees::Nothing,
            Ok(()) if here && shown => Sees::Body,
            Ok(()) if here => Sees::Header,
            _ => Sees::Nothing,
        }
    });
    let unread_count = chat.unread_count.max(0);
    Ok(Some(LiveMessage { sees: sees.collect(), message: found, unread_count }))
}
