//! The folder of sent mails: finding it, keeping a copy there, looking a mail up.

use std::time::Duration;

use async_imap::imap_proto::{MailboxDatum, NameAttribute, Response};
use chrono::{DateTime, Utc};

use super::{Denied, Failure, Imap, folder::Item, quoted};
use crate::email::{net::Dialer, settings::Server};

/// What folders of sent mails are called where none is marked as such, the likeliest first.
const NAMES: [&str; 4] = ["sent", "sent items", "sent messages", "sent mail"];

/// A sent mail to keep.
#[derive(Debug, Clone, Copy)]
pub(in crate::email) struct Copy<'a> {
    /// Its bare Message-ID.
    pub(in crate::email) message_id: &'a str,
    /// When it was written.
    pub(in crate::email) at: DateTime<Utc>,
    /// The mail.
    pub(in crate::email) bytes: &'a [u8],
}

/// Puts a copy into the folder of sent mails, unless it is there already: some providers keep one themselves, and an
/// earlier try may have come further than its answer.
pub(in crate::email) async fn keep_copy(
    dialer: &Dialer,
    server: &Server,
    patience: Duration,
    copy: Copy<'_>,
) -> Result<(), Failure> {
    let mut imap = Imap::open(dialer, server, patience).await?;
    let folder = imap.sent_folder().await?;
    if imap.find(&folder, copy.message_id).await?.is_none() {
        imap.append(&folder, copy).await?;
    }
    imap.close().await;
    Ok(())
}

/// The bytes of a sent mail, if the folder of sent mails has it.
pub(in crate::email) async fn look_up(
    dialer: &Dialer,
    server: &Server,
    patience: Duration,
    message_id: &str,
) -> Result<Option<Vec<u8>>, Failure> {
    let mut imap = Imap::open(dialer, server, patience).await?;
    let folder = imap.sent_folder().await?;
    let found = match imap.find(&folder, message_id).await? {
        Some(item) => imap.fetch(&[item]).await?.pop().map(|(_, bytes)| bytes),
        None => None,
    };
    imap.close().await;
    Ok(found)
}

impl Imap {
    async fn sent_folder(&mut self) -> Result<String, Failure> {
        let mut names: Vec<(String, Option<String>, bool)> = Vec::new();
        self.command("LIST \"\" \"*\"", 0, |response| {
            let Response::MailboxData(MailboxDatum::List(list)) = response else { return };
            if !list.name_attributes.contains(&NameAttribute::NoSelect) {
                let is_sent = list.name_attributes.contains(&NameAttribute::Sent);
                names.push((unescaped(&list.name), list.delimiter.as_deref().map(str::to_owned), is_sent));
            }
        })
        .await?;
        let marked = names.iter().find(|(_, _, is_sent)| *is_sent);
        let named = || {
            NAMES.iter().find_map(|wanted| {
                names.iter().find(|(name, delimiter, _)| leaf(name, delimiter.as_deref()).eq_ignore_ascii_case(wanted))
            })
        };
        Ok(marked.or_else(named).map_or_else(|| "Sent".to_owned(), |(name, ..)| name.clone()))
    }

    /// Where a mail is in a folder; `None` too if there is no such folder yet.
    async fn find(&mut self, folder: &str, message_id: &str) -> Result<Option<Item>, Failure> {
        match self.open_folder(folder).await {
            Ok(_) => {}
            Err(Denied::Said { temporary: false, .. }) => return Ok(None),
            Err(denied) => return Err(denied.into()),
        }
        let uids = self.search(&format!("HEADER Message-ID {}", quoted(&format!("<{message_id}>")))).await?;
        Ok(self.sizes(&uids).await?.pop())
    }

    async fn append(&mut self, folder: &str, copy: Copy<'_>) -> Result<(), Failure> {
        match self.try_append(folder, copy).await {
            Err(refused @ Denied::Said { temporary: false, .. }) => {
                // Likeliest, the folder is missing; not all servers say so with TRYCREATE (RFC 3501, 6.3.11).
                match self.command(&format!("CREATE {}", quoted(folder)), 0, |_| {}).await {
                    Ok(()) => self.try_append(folder, copy).await.map_err(Failure::from),
                    Err(_) => Err(refused.into()),
                }
            }
            other => other.map_err(Failure::from),
        }
    }

    async fn try_append(&mut self, folder: &str, copy: Copy<'_>) -> Result<(), Denied> {
        let date = copy.at.format("%d-%b-%Y %H:%M:%S +0000");
        let tag =
            self.start(&format!("APPEND {} (\\Seen) \"{date}\" {{{}}}", quoted(folder), copy.bytes.len())).await?;
        self.continued(&tag).await?;
        self.write(copy.bytes).await?;
        self.write(b"\r\n").await?;
        self.finish(&tag, copy.bytes.len() as u64, |_| {}).await
    }
}

/// A folder's name as it is: the parser leaves the backslashes of a quoted string (RFC 3501, 4.3) in it.
fn unescaped(name: &str) -> String {
    let mut chars = name.chars().peekable();
    let mut plain = String::with_capacity(name.len());
    while let Some(c) = chars.next() {
        let escaped = chars.next_if(|next| c == '\\' && matches!(next, '"' | '\\'));
        plain.push(escaped.unwrap_or(c));
    }
    plain
}

/// The last level of a folder's name: `INBOX.Sent` is called `Sent`.
fn leaf<'a>(name: &'a str, delimiter: Option<&str>) -> &'a str {
    delimiter
        .filter(|delimiter| !delimiter.is_empty())
        .and_then(|delimiter| name.rsplit(delimiter).next())
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_name_loses_its_escapes() {
        assert_eq!(unescaped(r#"a \"b\" c\\d \e"#), r#"a "b" c\d \e"#);
        assert_eq!(unescaped("Sent"), "Sent");
    }

    #[test]
    fn the_last_level_names_a_folder() {
        assert_eq!(leaf("INBOX.Sent", Some(".")), "Sent");
        assert_eq!(leaf("INBOX.Sent", None), "INBOX.Sent");
        assert_eq!(leaf("Sent", Some("")), "Sent");
    }
}
