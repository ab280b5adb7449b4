//! Message-IDs: reading them out of headers, telling our own, making new ones.

use dealwright::id::{Id, MessageId};
use sha2::{Digest, Sha256};

use super::address;

/// How many mails back an answer is followed; long threads quote hundreds.
pub(super) const MAX_REFERENCES: usize = 50;

/// Longest Message-ID that is kept: a header line may have 998 octets (RFC 5322, 2.1.1).
const MAX_ID: usize = 900;

/// The bare Message-IDs in a header's value, in order. Anything outside of angle brackets is comment, unless there are
/// no brackets at all.
pub(super) fn message_ids(value: &str) -> Vec<String> {
    if !value.contains('<') {
        return value.split_ascii_whitespace().filter(|word| word.contains('@')).filter_map(bare).collect();
    }
    value.split('<').skip(1).filter_map(|behind| bare(behind.split('>').next()?)).collect()
}

/// A Message-ID without its brackets, folding and control characters.
pub(super) fn bare(id: &str) -> Option<String> {
    let id = id.trim().trim_start_matches('<').trim_end_matches('>');
    let id: String = id.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    (!id.is_empty() && id.len() <= MAX_ID).then_some(id)
}

/// What a mail answers, nearest first: In-Reply-To, then References from the last to the first.
pub(super) fn replies_to(in_reply_to: &[String], references: &[String]) -> Vec<String> {
    let mut nearest = Vec::new();
    for id in in_reply_to.iter().chain(references.iter().rev()) {
        if nearest.len() == MAX_REFERENCES {
            break;
        }
        if !nearest.contains(id) {
            nearest.push(id.clone());
        }
    }
    nearest
}

/// The Message-ID of a mail that `account` sends: the message, a mark of the account, the account's domain.
pub(super) fn reference(account: &str, message_id: MessageId) -> String {
    let account = account.trim().to_lowercase();
    let domain = address::domain(&account);
    let domain = if address::is_domain(domain) { domain } else { "localhost" };
    format!("{}.{}@{domain}", message_id.uuid().simple(), mark(&account))
}

/// Whether `account` made this Message-ID by [`reference`]. Two accounts of one domain are told apart by their marks.
pub(super) fn is_own(account: &str, message_id: &str) -> bool {
    let Some((local, domain)) = message_id.rsplit_once('@') else { return false };
    let Some((message, of)) = local.split_once('.') else { return false };
    message.len() == 32
        && message.bytes().all(|byte| byte.is_ascii_hexdigit())
        && of == mark(account)
        && domain.eq_ignore_ascii_case(address::domain(account))
}

fn mark(account: &str) -> String {
    Sha256::digest(account.as_bytes()).iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(value: &str) -> Vec<String> {
        message_ids(value)
    }

    #[test]
    fn ids_are_read_with_and_without_brackets_comments_and_folds() {
        assert_eq!(ids("<a@b> <c@d>"), ["a@b", "c@d"]);
        assert_eq!(ids(" Your mail of Monday <a@b>\r\n\t(was: <c@\r\n d>)"), ["a@b", "c@d"]);
        assert_eq!(ids("a@b c@d"), ["a@b", "c@d"]);
        assert_eq!(ids("<a@b"), ["a@b"]);
        assert!(ids("<> < > yesterday").is_empty());
        assert!(ids(&format!("<{}>", "x".repeat(2000))).is_empty());
    }

    #[test]
    fn the_nearest_answered_mail_comes_first_and_each_once() {
        let references = ids("<1@x> <2@x> <3@x> <2@x>");
        assert_eq!(replies_to(&ids("<3@x>"), &references), ["3@x", "2@x", "1@x"]);
        let many: Vec<String> = (0..500).map(|n| format!("{n}@x")).collect();
        let nearest = replies_to(&[], &many);
        assert_eq!((nearest.len(), nearest[0].as_str()), (MAX_REFERENCES, "499@x"));
    }

    #[test]
    fn an_account_knows_its_own_references_and_no_others() {
        let message: MessageId = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
        let own = reference("Ada@Example.test", message);
        assert!(own.starts_with("0198c0de000070008000000000000001.") && own.ends_with("@example.test"), "{own}");
        assert!(is_own("ada@example.test", &own));
        assert!(!is_own("bob@example.test", &own), "a colleague's mail is no loop");
        assert!(!is_own("ada@example.test", "0198c0de000070008000000000000001@example.test"));
        assert!(!is_own("ada@example.test", ""));
    }
}
