//! E-mail addresses: what we accept from people and what we read in mails. Nothing with a control character, a space or
//! a bracket gets past here, so an address can stand in a header or an SMTP command as it is.

/// Longest address that SMTP can carry: 256 octets of path less its brackets (RFC 5321, 4.5.3.1.3).
const MAX_ADDRESS: usize = 254;

/// The address trimmed and lower-cased, if it is one.
pub(super) fn normalize(text: &str) -> Option<String> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@')?;
    let well_formed = text.len() <= MAX_ADDRESS && is_local(local) && is_domain(domain);
    well_formed.then(|| text.to_lowercase())
}

/// The domain of an address, the part after its last `@`.
pub(super) fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// A dot-string (RFC 5321, 4.1.2) with the letters that SMTPUTF8 adds (RFC 6531, 3.3); quoted local parts are refused.
fn is_local(local: &str) -> bool {
    let is_atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_letter_beyond_ascii(c);
    !local.is_empty() && local.len() <= 64 && local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom))
}

fn is_letter_beyond_ascii(c: char) -> bool {
    !c.is_ascii() && c.is_alphanumeric()
}

/// A host name in ASCII (an international one in its `xn--` form).
pub(super) fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    !domain.is_empty() && domain.len() <= 253 && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_trimmed_and_lower_cased() {
        assert_eq!(normalize(" Ada.Lovelace+crm@Example.TEST ").unwrap(), "ada.lovelace+crm@example.test");
        assert_eq!(normalize("jürgen@example.test").unwrap(), "jürgen@example.test");
    }

    /// ASVS 1.3.11.
    #[test]
    fn what_could_break_out_of_a_header_or_command_is_no_address() {
        for text in [
            "",
            "ada",
            "@example.test",
            "ada@",
            "ada@exa mple.test",
            "ada\r\nBcc: x@y.z@example.test",
            "ada@example.test\r\nDATA",
            "<ada@example.test>",
            "a b@example.test",
            "ada@[127.0.0.1]",
            "ada..l@example.test",
            "\"ada\"@example.test",
            "ada@example.test, bob@example.test",
            "ada\u{0}@example.test",
            "ada\u{202e}@example.test",
        ] {
            assert_eq!(normalize(text), None, "{text:?}");
        }
        assert_eq!(normalize(&format!("{}@example.test", "a".repeat(65))), None);
        assert_eq!(normalize(&format!("a@{}", "b.".repeat(200) + "test")), None);
    }
}
