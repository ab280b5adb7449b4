//! Keeping up with INBOX: what is new since the cursor is fetched in batches and delivered together with the new cursor,
//! then the server is waited for. A mail that cannot be had does not stop those behind it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use dealwright::{
    domain::account::AccountStatus,
    env::Env,
    error::{Error, Result},
    ports::connector::{Delivery, Session},
};
use serde::{Deserialize, Serialize};

use super::{
    Denied, Failure, Imap,
    folder::{Folder, Item},
};
use crate::email::{EmailOptions, MAX_IDLE, mime, net::Dialer, settings::Settings};

/// Mails fetched and delivered at once, and how large they may be together.
const BATCH: usize = 50;
const BATCH_BYTES: u64 = 32 << 20;

/// How often a single mail may break the connection or be refused for now before it is left out.
const MAX_TRIES: u32 = 5;

/// How far behind the newest known mail a renumbered mailbox is searched. IMAP searches by day, in no certain time zone.
const OVERLAP: chrono::Duration = chrono::Duration::days(2);

/// How far the synchronisation came; committed with what it brought.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    uid_validity: u32,
    /// All mails up to this one are dealt with.
    last_uid: u32,
    /// The newest arrival so far: where to look again when the server renumbers the mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen_until: Option<DateTime<Utc>>,
    /// Mails that the last connection did not survive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stuck: Option<Stuck>,
}

/// Up to `until`, mails are fetched one by one, because one of them broke a batch; `tries` counts for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stuck {
    until: u32,
    tries: u32,
}

/// Synchronises until something fails.
pub(in crate::email) async fn run(
    dialer: &Dialer,
    options: &EmailOptions,
    env: &Env,
    settings: &Settings,
    session: &Session,
) -> Result<()> {
    let imap = match Imap::open(dialer, &settings.imap, options.command_timeout).await {
        Ok(imap) => imap,
        Err(failure) => {
            if !failure.is_temporary() {
                session.inbox.status(AccountStatus::Disconnected, Some(failure.to_string())).await?;
            }
            return Err(failure.error("imap"));
        }
    };
    let cursor = session.cursor.as_ref().and_then(|cursor| {
        Cursor::deserialize(cursor)
            .inspect_err(
                |error| tracing::warn!(account = %session.account_id, %error, "unreadable cursor; starting over"),
            )
            .ok()
    });
    let mut mailbox = Mailbox { imap, options, env, settings, session, cursor };
    mailbox.catch_up(true).await?;
    session.inbox.status(AccountStatus::Active, None).await?;
    loop {
        mailbox
            .imap
            .wait(options.idle_renewal.min(MAX_IDLE), options.poll_interval)
            .await
            .map_err(|failure| failure.error("imap"))?;
        // Without news the mailbox is opened anew from time to time: that shows a renumbering, and that the server lives.
        let reopen = !mailbox.imap.news;
        mailbox.catch_up(reopen).await?;
    }
}

struct Mailbox<'a> {
    imap: Imap,
    options: &'a EmailOptions,
    env: &'a Env,
    settings: &'a Settings,
    session: &'a Session,
    cursor: Option<Cursor>,
}

/// Why a step ended early.
enum Stop {
    Mail(Denied),
    Engine(Error),
}

impl From<Denied> for Stop {
    fn from(denied: Denied) -> Self {
        Self::Mail(denied)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Mail(failure.into())
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl Mailbox<'_> {
    async fn catch_up(&mut self, reopen: bool) -> Result<()> {
        self.step(reopen).await.map_err(|stop| match stop {
            Stop::Engine(error) => error,
            Stop::Mail(denied) => Failure::from(denied).error("imap"),
        })
    }

    async fn step(&mut self, reopen: bool) -> Result<(), Stop> {
        let folder = if reopen { Some(self.imap.open_folder("INBOX").await?) } else { None };
        self.imap.news = false;
        let (mut cursor, items, end) = self.pending(folder).await?;
        let mut left = items.as_slice();
        while !left.is_empty() {
            let (batch, behind) = left.split_at(batch_length(left, cursor.stuck, self.options.max_message_bytes));
            self.take_in(batch, &mut cursor).await?;
            left = behind;
        }
        if cursor.last_uid < end || self.cursor.as_ref() != Some(&cursor) {
            cursor.last_uid = cursor.last_uid.max(end);
            cursor.stuck = None;
            self.commit(Vec::new(), &cursor).await?;
        }
        Ok(())
    }

    /// Where to start, what is there to fetch, and up to which UID that is everything.
    async fn pending(&mut self, folder: Option<Folder>) -> Result<(Cursor, Vec<Item>, u32), Stop> {
        let mut known_end = folder.and_then(|folder| folder.uid_next).map_or(0, |next| next.saturating_sub(1));
        let (cursor, items) = match (self.cursor.clone(), folder) {
            (Some(cursor), None) => {
                let items = self.since(&cursor).await?;
                (cursor, items)
            }
            (Some(cursor), Some(folder)) if cursor.uid_validity == folder.uid_validity => {
                let nothing_new = folder.uid_next.is_some() && known_end <= cursor.last_uid;
                let items = if nothing_new { Vec::new() } else { self.since(&cursor).await? };
                (cursor, items)
            }
            (Some(old), Some(folder)) => {
                tracing::info!(account = %self.session.account_id, old = old.uid_validity, new = folder.uid_validity, "the server renumbered the mailbox");
                let items = self.again(folder, old.seen_until).await?;
                (Cursor { uid_validity: folder.uid_validity, seen_until: old.seen_until, ..Cursor::default() }, items)
            }
            (None, folder) => {
                let folder = match folder {
                    Some(folder) => folder,
                    None => self.imap.open_folder("INBOX").await?,
                };
                let items = self.imap.last(folder, self.options.history).await?;
                if items.is_empty() && folder.uid_next.is_none() {
                    known_end = self.imap.last(folder, 1).await?.last().map_or(0, |item| item.uid);
                }
                (Cursor { uid_validity: folder.uid_validity, ..Cursor::default() }, items)
            }
        };
        let end = items.last().map_or(0, |item| item.uid).max(known_end).max(cursor.last_uid);
        Ok((cursor, items, end))
    }

    async fn since(&mut self, cursor: &Cursor) -> Result<Vec<Item>, Denied> {
        let Some(next) = cursor.last_uid.checked_add(1) else { return Ok(Vec::new()) };
        // `n:*` names the last mail even where its UID is less than n (RFC 3501, 6.4.8).
        let uids: Vec<u32> =
            self.imap.search(&format!("UID {next}:*")).await?.into_iter().filter(|uid| *uid >= next).collect();
        self.imap.sizes(&uids).await
    }

    /// What may be new in a renumbered mailbox: the last mails, and all since shortly before the newest one known. The
    /// engine knows those it has by their ids.
    async fn again(&mut self, folder: Folder, seen_until: Option<DateTime<Utc>>) -> Result<Vec<Item>, Denied> {
        let mut items = self.imap.last(folder, self.options.history).await?;
        if let Some(seen_until) = seen_until {
            let uids = self.imap.search(&format!("SINCE {}", (seen_until - OVERLAP).format("%-d-%b-%Y"))).await?;
            items.extend(self.imap.sizes(&uids).await?);
        }
        items.sort_unstable_by_key(|item| item.uid);
        items.dedup_by_key(|item| item.uid);
        Ok(items)
    }

    /// Fetches and delivers one batch and moves the cursor behind it.
    async fn take_in(&mut self, batch: &[Item], cursor: &mut Cursor) -> Result<(), Stop> {
        let wanted: Vec<Item> = batch.iter().copied().filter(|item| !self.is_too_large(item)).collect();
        let fetched = if wanted.is_empty() { Ok(Vec::new()) } else { self.imap.fetch(&wanted).await };
        let mut skipped = HashMap::new();
        let mails = match (fetched, wanted.as_slice()) {
            (Ok(mails), _) => mails,
            (Err(denied), [only]) => match self.give_up(&denied, cursor) {
                Some(reason) => {
                    skipped.insert(only.uid, reason);
                    if let Denied::Failed(_) = denied {
                        self.deliver(batch, Vec::new(), skipped, cursor).await?;
                        return Err(denied.into());
                    }
                    Vec::new()
                }
                None => {
                    let tries = cursor.stuck.map_or(0, |stuck| stuck.tries) + 1;
                    cursor.stuck =
                        Some(Stuck { until: only.uid.max(cursor.stuck.map_or(0, |stuck| stuck.until)), tries });
                    self.commit(Vec::new(), cursor).await?;
                    return Err(denied.into());
                }
            },
            (Err(denied), _) => {
                cursor.stuck = Some(Stuck { until: batch.last().map_or(0, |item| item.uid), tries: 0 });
                if let Denied::Said { temporary: false, .. } = denied {
                    return Box::pin(self.one_by_one(batch, cursor)).await;
                }
                self.commit(Vec::new(), cursor).await?;
                return Err(denied.into());
            }
        };
        for item in wanted
            .iter()
            .filter(|item| !mails.iter().any(|(uid, _)| *uid == item.uid) && !skipped.contains_key(&item.uid))
            .copied()
            .collect::<Vec<_>>()
        {
            // Gone since the search, or withheld?
            if !self.imap.sizes(&[item.uid]).await?.is_empty() {
                skipped.insert(item.uid, "the mail server did not hand it out".to_owned());
            }
        }
        self.deliver(batch, mails, skipped, cursor).await
    }

    async fn one_by_one(&mut self, batch: &[Item], cursor: &mut Cursor) -> Result<(), Stop> {
        for item in batch {
            self.take_in(std::slice::from_ref(item), cursor).await?;
        }
        Ok(())
    }

    /// Why a mail that could not be fetched is left out for good; `None` if it is worth another try.
    fn give_up(&self, denied: &Denied, cursor: &Cursor) -> Option<String> {
        match denied {
            Denied::Said { said, temporary: false } => {
                Some(format!("the mail server refuses to hand it out: {}", mime::line(said, 300)))
            }
            _ if cursor.stuck.is_some_and(|stuck| stuck.tries + 1 >= MAX_TRIES) => {
                let failure = match denied {
                    Denied::Said { said, .. } => mime::line(said, 300),
                    Denied::Failed(failure) => failure.to_string(),
                };
                Some(format!("it could not be fetched in {MAX_TRIES} tries: {failure}"))
            }
            _ => None,
        }
    }

    async fn deliver(
        &mut self,
        batch: &[Item],
        mut mails: Vec<(u32, Vec<u8>)>,
        mut skipped: HashMap<u32, String>,
        cursor: &mut Cursor,
    ) -> Result<(), Stop> {
        let mut deliveries = Vec::with_capacity(batch.len());
        for item in batch {
            let place = || format!("uid:{}:{}", cursor.uid_validity, item.uid);
            let mail = mails.iter().position(|(uid, _)| *uid == item.uid).map(|at| mails.swap_remove(at).1);
            if self.is_too_large(item)
                || mail.as_ref().is_some_and(|mail| mail.len() as u64 > u64::from(self.options.max_message_bytes))
            {
                deliveries.push(Delivery::Skipped { provider_id: place(), reason: self.too_large(item) });
            } else if let Some(mail) = mail {
                deliveries.push(self.read(mail, item.at.unwrap_or_else(|| self.env.now()), place).await);
            } else if let Some(reason) = skipped.remove(&item.uid) {
                deliveries.push(Delivery::Skipped { provider_id: place(), reason });
            }
            cursor.last_uid = cursor.last_uid.max(item.uid);
            cursor.seen_until = cursor.seen_until.max(item.at);
        }
        cursor.stuck =
            cursor.stuck.filter(|stuck| stuck.until > cursor.last_uid).map(|stuck| Stuck { tries: 0, ..stuck });
        Ok(self.commit(deliveries, cursor).await?)
    }

    /// Reading a mail takes time in proportion to its size, so it happens beside the runtime's threads; should the parser
    /// panic after all, that costs this mail alone.
    async fn read(&self, mail: Vec<u8>, at: DateTime<Utc>, place: impl Fn() -> String) -> Delivery {
        let account = self.settings.email.clone();
        let read = tokio::task::spawn_blocking(move || mime::parse(&mail, mime::Received { account: &account, at }));
        read.await.unwrap_or_else(|error| {
            tracing::error!(account = %self.session.account_id, %error, "a mail could not be parsed");
            Delivery::Skipped { provider_id: place(), reason: "it could not be parsed".to_owned() }
        })
    }

    async fn commit(&mut self, deliveries: Vec<Delivery>, cursor: &Cursor) -> Result<()> {
        let value =
            serde_json::to_value(cursor).map_err(|e| Error::internal(format!("the cursor cannot be written: {e}")))?;
        self.session.inbox.deliver(deliveries, value).await?;
        self.cursor = Some(cursor.clone());
        Ok(())
    }

    fn is_too_large(&self, item: &Item) -> bool {
        item.size > self.options.max_message_bytes
    }

    fn too_large(&self, item: &Item) -> String {
        format!("it has {} bytes; at most {} are taken in", item.size, self.options.max_message_bytes)
    }
}

/// How many of the next items are fetched together.
fn batch_length(items: &[Item], stuck: Option<Stuck>, max_message_bytes: u32) -> usize {
    if items.first().is_some_and(|first| stuck.is_some_and(|stuck| first.uid <= stuck.until)) {
        return 1;
    }
    let mut bytes = 0;
    let fits = |item: &&Item| {
        bytes += if item.size > max_message_bytes { 0 } else { u64::from(item.size) };
        bytes <= BATCH_BYTES
    };
    items.iter().take(BATCH).take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(sizes: &[u32]) -> Vec<Item> {
        (1..).zip(sizes).map(|(uid, size)| Item { uid, size: *size, at: None }).collect()
    }

    #[test]
    fn batches_are_bounded_in_number_and_bytes() {
        let max = 25 << 20;
        assert_eq!(batch_length(&items(&[10; 200]), None, max), BATCH);
        assert_eq!(batch_length(&items(&[20 << 20, 20 << 20]), None, max), 1);
        assert_eq!(batch_length(&items(&[u32::MAX, 5, u32::MAX]), None, max), 3, "what is not fetched has no weight");
        assert_eq!(batch_length(&items(&[5, 5]), Some(Stuck { until: 1, tries: 0 }), max), 1);
        assert_eq!(batch_length(&items(&[5, 5]), Some(Stuck { until: 0, tries: 0 }), max), 2);
    }

    #[test]
    fn a_cursor_without_trouble_is_short() {
        let cursor = Cursor { uid_validity: 7, last_uid: 9, ..Cursor::default() };
        assert_eq!(serde_json::to_string(&cursor).unwrap(), r#"{"uid_validity":7,"last_uid":9}"#);
    }
}
