//! Looking at a mailbox without changing it: everything here is read with EXAMINE and BODY.PEEK, so no flag is touched.

use async_imap::imap_proto::{AttributeValue, MailboxDatum, Response, ResponseCode};
use chrono::{DateTime, Utc};

use super::{Denied, Failure, Imap, quoted, uid_set};

/// What a server says of a mailbox when it is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Folder {
    /// How many mails are in it.
    pub(super) exists: u32,
    /// Under which UIDs count (RFC 3501, 2.3.1.1).
    pub(super) uid_validity: u32,
    /// The next mail's UID, if the server says so.
    pub(super) uid_next: Option<u32>,
}

/// A mail's place and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) uid: u32,
    pub(super) size: u32,
    /// When it arrived.
    pub(super) at: Option<DateTime<Utc>>,
}

impl Imap {
    /// Opens a mailbox for reading only.
    pub(in crate::email) async fn examine(&mut self, name: &str) -> Result<(), Failure> {
        self.open_folder(name).await.map(|_| ()).map_err(Failure::from)
    }

    pub(super) async fn open_folder(&mut self, name: &str) -> Result<Folder, Denied> {
        let mut folder = Folder::default();
        let mut uid_validity = None;
        self.command(&format!("EXAMINE {}", quoted(name)), 0, |response| match response {
            Response::MailboxData(MailboxDatum::Exists(exists)) => folder.exists = *exists,
            Response::Data { outcome, .. } => match outcome.code {
                Some(ResponseCode::UidValidity(validity)) => uid_validity = Some(validity),
                Some(ResponseCode::UidNext(next)) => folder.uid_next = Some(next),
                _ => {}
            },
            _ => {}
        })
        .await?;
        self.news = false;
        folder.uid_validity =
            uid_validity.ok_or_else(|| Failure::garbled("the server gives the mailbox no UIDVALIDITY"))?;
        Ok(folder)
    }

    /// The UIDs that match, ascending.
    pub(super) async fn search(&mut self, criteria: &str) -> Result<Vec<u32>, Denied> {
        let mut uids = Vec::new();
        self.command(&format!("UID SEARCH {criteria}"), 0, |response| {
            if let Response::MailboxData(MailboxDatum::Search(found)) = response {
                uids.extend_from_slice(found);
            }
        })
        .await?;
        uids.sort_unstable();
        uids.dedup();
        Ok(uids)
    }

    /// Places and sizes of the last `count` mails, ascending.
    pub(super) async fn last(&mut self, folder: Folder, count: u32) -> Result<Vec<Item>, Denied> {
        if folder.exists == 0 || count == 0 {
            return Ok(Vec::new());
        }
        let first = folder.exists.saturating_sub(count - 1).max(1);
        self.items(&format!("FETCH {first}:*")).await
    }

    /// Places and sizes of these mails, ascending.
    pub(super) async fn sizes(&mut self, uids: &[u32]) -> Result<Vec<Item>, Denied> {
        let mut items = Vec::with_capacity(uids.len());
        for some in uids.chunks(500) {
            items.extend(self.items(&format!("UID FETCH {}", uid_set(some.iter().copied()))).await?);
        }
        Ok(items)
    }

    async fn items(&mut self, fetch: &str) -> Result<Vec<Item>, Denied> {
        let mut items = Vec::new();
        self.command(&format!("{fetch} (UID RFC822.SIZE INTERNALDATE)"), 0, |response| {
            let Response::Fetch(_, attributes) = response else { return };
            let size = attributes
                .iter()
                .find_map(|a| if let AttributeValue::Rfc822Size(size) = a { Some(*size) } else { None });
            if let (Some(uid), Some(size)) = (uid(attributes), size) {
                items.push(Item { uid, size, at: arrival(attributes) });
            }
        })
        .await?;
        items.sort_unstable_by_key(|item| item.uid);
        items.dedup_by_key(|item| item.uid);
        Ok(items)
    }

    /// The bytes of mails, by UID. A mail that is gone meanwhile is missing.
    pub(super) async fn fetch(&mut self, items: &[Item]) -> Result<Vec<(u32, Vec<u8>)>, Denied> {
        let mut mails = Vec::with_capacity(items.len());
        let set = uid_set(items.iter().map(|item| item.uid));
        let bytes = items.iter().map(|item| u64::from(item.size)).sum();
        self.command(&format!("UID FETCH {set} (UID BODY.PEEK[])"), bytes, |response| {
            let Response::Fetch(_, attributes) = response else { return };
            let body = attributes.iter().find_map(|attribute| match attribute {
                AttributeValue::BodySection { section: None, data, .. } | AttributeValue::Rfc822(data) => {
                    Some(data.as_deref().unwrap_or_default().to_vec())
                }
                _ => None,
            });
            if let (Some(uid), Some(body)) = (uid(attributes), body) {
                mails.push((uid, body));
            }
        })
        .await?;
        Ok(mails)
    }
}

fn uid(attributes: &[AttributeValue<'_>]) -> Option<u32> {
    attributes.iter().find_map(|attribute| if let AttributeValue::Uid(uid) = attribute { Some(*uid) } else { None })
}

fn arrival(attributes: &[AttributeValue<'_>]) -> Option<DateTime<Utc>> {
    let text = attributes
        .iter()
        .find_map(|attribute| if let AttributeValue::InternalDate(date) = attribute { Some(date) } else { None })?;
    DateTime::parse_from_str(text.trim(), "%d-%b-%Y %H:%M:%S %z").ok().map(|date| date.to_utc())
}
