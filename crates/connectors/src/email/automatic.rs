//! Which mails a machine wrote. They are kept, but are never a response: an absence note must not move a deal.

/// Headers whose mere presence says that nobody wrote this by hand just now.
const AUTORESPONDERS: [&str; 5] =
    ["X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Auto-Reply", "X-Autoreply-From"];
const LISTS: [&str; 3] = ["List-Id", "List-Unsubscribe", "List-Post"];

/// Senders that no person uses (RFC 2142, 5; RFC 5321, 4.5.1).
const MACHINES: [&str; 2] = ["mailer-daemon", "postmaster"];

/// Why a mail counts as automatic, for people; `None` if nothing speaks for it. `header` gives a header's unfolded value,
/// `report` says whether the mail is a `multipart/report` (RFC 6522), `sender` is the author's address.
pub(super) fn reason<'a>(header: impl Fn(&str) -> Option<String> + 'a, report: bool, sender: &str) -> Option<String> {
    if report {
        return Some("a delivery report (multipart/report)".to_owned());
    }
    let local = sender.split('@').next().unwrap_or_default();
    if MACHINES.contains(&local) {
        return Some(format!("written by {local}"));
    }
    if header("Return-Path").is_some_and(|path| path.trim() == "<>") {
        return Some("no return path, as bounces have".to_owned());
    }
    // RFC 3834, 5: anything but `no`, which may be followed by a comment.
    if let Some(value) = header("Auto-Submitted").filter(|value| !keyword(value).is_empty() && keyword(value) != "no") {
        return Some(format!("Auto-Submitted: {}", keyword(&value)));
    }
    if let Some(name) = AUTORESPONDERS.iter().find(|name| header(name).is_some_and(|value| keyword(&value) != "no")) {
        return Some(format!("an automatic answer ({name})"));
    }
    if let Some(name) = LISTS.iter().find(|name| header(name).is_some_and(|value| !value.trim().is_empty())) {
        return Some(format!("a mailing list ({name})"));
    }
    let precedence = header("Precedence").map(|value| keyword(&value)).unwrap_or_default();
    ["bulk", "list", "junk", "auto_reply"].contains(&precedence.as_str()).then(|| format!("Precedence: {precedence}"))
}

/// The first word of a value, lower-cased, without parameters and comments.
fn keyword(value: &str) -> String {
    value
        .split([';', '('])
        .next()
        .unwrap_or_default()
        .trim()
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(40)
        .collect::<String>()
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &'static str, value: &'static str) -> Option<String> {
        reason(move |wanted| (wanted == name).then(|| value.to_owned()), false, "ada@example.test")
    }

    #[test]
    fn machines_say_so_in_many_ways() {
        assert_eq!(of("Auto-Submitted", " auto-replied; owner-email=\"x\"").unwrap(), "Auto-Submitted: auto-replied");
        assert_eq!(of("Auto-Submitted", "auto-generated").unwrap(), "Auto-Submitted: auto-generated");
        assert_eq!(of("Precedence", "Bulk").unwrap(), "Precedence: bulk");
        assert_eq!(of("List-Id", "News <news.example.test>").unwrap(), "a mailing list (List-Id)");
        assert_eq!(of("List-Unsubscribe", "<mailto:x@y.z>").unwrap(), "a mailing list (List-Unsubscribe)");
        assert_eq!(of("X-Autoreply", "yes").unwrap(), "an automatic answer (X-Autoreply)");
        assert_eq!(of("Return-Path", " <> ").unwrap(), "no return path, as bounces have");
        assert_eq!(reason(|_| None, true, "ada@example.test").unwrap(), "a delivery report (multipart/report)");
        assert_eq!(reason(|_| None, false, "mailer-daemon@mx.example.test").unwrap(), "written by mailer-daemon");
    }

    #[test]
    fn people_do_not() {
        assert_eq!(of("Auto-Submitted", "no"), None);
        assert_eq!(of("Auto-Submitted", "No (by hand)"), None);
        assert_eq!(of("Precedence", "first-class"), None);
        assert_eq!(of("Return-Path", "<ada@example.test>"), None);
        assert_eq!(of("X-Autoreply", "no"), None);
        assert_eq!(of("Subject", "Re: automatic reply"), None);
    }
}
