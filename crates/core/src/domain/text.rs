//! Texts that people type, brought to the one form in which they are kept: names, addresses, numbers, handles, tags. Says
//! what is wrong with a value and what to do; knows nothing of where the value stood.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_security::{MixedScript, skeleton};

use crate::{
    error::{Error, FieldError, Result},
    patch::Patch,
};

/// The most characters of a name.
pub const MAX_NAME: usize = 200;
/// The most characters of a tag, a handle, a source.
pub const MAX_WORD: usize = 100;
/// The most characters of a reason or another short remark.
pub const MAX_REMARK: usize = 500;

/// What is wrong with a value, without its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Stable code: `required`, `too_long`, `invalid`, ….
    pub code: &'static str,
    /// What is wrong and what to do.
    pub detail: String,
}

impl Flaw {
    /// A flaw.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

/// The JSON pointer of a member below `under` (RFC 6901).
pub fn pointer(under: &str, member: &str) -> String {
    format!("{under}/{}", member.replace('~', "~0").replace('/', "~1"))
}

/// A value in the form in which it is kept, or what is wrong with it.
pub type Checked<T> = std::result::Result<T, Flaw>;

/// Collects what is wrong with an input, so that all of it is told at once.
#[derive(Debug, Default)]
pub struct Flaws(Vec<FieldError>);

impl Flaws {
    /// The checked value; a flaw is noted under `pointer`.
    pub fn take<T>(&mut self, pointer: impl Into<String>, checked: Checked<T>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(flaw) => {
                self.add(pointer, flaw.code, flaw.detail);
                None
            }
        }
    }

    /// The value of a patch's member that cannot be cleared, if one is given; `null` is noted as a flaw.
    pub fn given<T>(&mut self, pointer: &str, patch: Patch<T>) -> Option<T> {
        if let Patch::Null = patch {
            self.add(pointer, "required", "it cannot be cleared: leave it out, or send a value");
        }
        patch.value()
    }

    /// Notes a flaw.
    pub fn add(
        &mut self,
        pointer: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> &mut Self {
        self.0.push(FieldError { pointer: pointer.into(), code: code.into(), detail: detail.into() });
        self
    }

    /// Checks each item of a list in place; `pointer` names the list. Repeats fall away, the first of each stays.
    pub fn each(
        &mut self,
        pointer: &str,
        most: usize,
        list: &mut Vec<String>,
        check: impl Fn(&str) -> Checked<String>,
    ) {
        if list.len() > most {
            self.add(pointer, "too_many", format!("{} items are given: at most {most} are kept", list.len()));
            return;
        }
        let mut kept: Vec<String> = Vec::with_capacity(list.len());
        for (place, text) in list.iter().enumerate() {
            if let Some(text) = self.take(format!("{pointer}/{place}"), check(text))
                && !kept.contains(&text)
            {
                kept.push(text);
            }
        }
        *list = kept;
    }

    /// Ends the check.
    ///
    /// # Errors
    /// `validation_failed` with every flaw that was noted.
    pub fn end(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::invalid_fields(self.0)) }
    }
}

/// A trimmed text of one line, 1…`most` characters.
///
/// # Errors
/// `required`, `too_long`, `control_character`.
pub fn line(text: &str, most: usize) -> Checked<String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Flaw::new("required", "it is empty: 1 or more characters are expected"));
    }
    bounded(text, most)?;
    if let Some(found) = text.chars().find(|c| c.is_control()) {
        return Err(Flaw::new("control_character", format!("it holds the control character {found:?}: leave it out")));
    }
    Ok(text.to_owned())
}

/// A trimmed remark of 1…500 characters; may have several lines.
///
/// # Errors
/// As [`line()`].
pub fn remark(text: &str) -> Checked<String> {
    line(&text.replace(['\n', '\r', '\t'], " "), MAX_REMARK)?;
    Ok(text.trim().to_owned())
}

fn bounded(text: &str, most: usize) -> Checked<()> {
    match text.chars().count() {
        count if count > most => {
            Err(Flaw::new("too_long", format!("it has {count} characters: at most {most} are kept")))
        }
        _ => Ok(()),
    }
}

/// A name: trimmed, 1…200 characters, one line.
///
/// # Errors
/// As [`line()`].
pub fn name(text: &str) -> Checked<String> {
    line(text, MAX_NAME)
}

/// What is left of a name that a stranger gave: control characters become spaces, what is too long is cut. `None` if
/// nothing is left.
pub fn salvage_name(text: &str) -> Option<String> {
    salvage_line(text, MAX_NAME)
}

/// The same for any text of one line, of at most `most` characters.
pub fn salvage_line(text: &str, most: usize) -> Option<String> {
    // Marks that turn the direction of writing round make a name look like another one; they are not control characters.
    let turns = |c: char| ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c);
    let text: String = text.chars().filter(|c| !turns(*c)).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text: String = text.trim().chars().take(most).collect();
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

/// What lists sort names by, and what makes two names the same: case-folded NFKC (Unicode Standard Annex 15).
pub fn name_key(name: &str) -> String {
    name.nfkc().collect::<String>().to_lowercase().nfkc().collect()
}

/// A text as searches compare it: without letter case, in every alphabet. Both databases have a function of this name
/// that does the same.
pub fn folded(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase().replace('ς', "σ") }
}

/// An e-mail address, trimmed and lower-cased: a dot-atom before the `@` (RFC 5322, 3.2.3, with the letters of RFC 6531),
/// a domain of two labels or more behind it, within the lengths of RFC 5321, 4.5.3.1.
///
/// # Errors
/// `required`, `too_long`, `invalid`.
pub fn email(text: &str) -> Checked<String> {
    let text = line(text, 254)?.to_lowercase();
    let invalid = |why: &str| Flaw::new("invalid", format!("{text:?} is no e-mail address: {why}"));
    let (local, domain) = text.rsplit_once('@').ok_or_else(|| invalid("name@domain is expected"))?;
    if local.len() > 64 {
        return Err(invalid("at most 64 bytes may stand before the @"));
    }
    let atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    if local.split('.').any(|part| part.is_empty() || !part.chars().all(atom)) {
        return Err(invalid("letters, digits and !#$%&'*+-/=?^_`{|}~ with single dots between may stand before the @"));
    }
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    if domain.len() > 253 || !domain.contains('.') || !domain.split('.').all(label) {
        return Err(invalid("a domain such as acme.example is expected behind the @"));
    }
    Ok(text)
}

/// The compatible form of a text (NFKC): letters that are the same but for their looks, such as full-width ones, are one.
pub fn plain(text: &str) -> String {
    text.nfkc().collect()
}

/// An e-mail address that somebody signs in with: one that looks like another is nobody's. Invisible characters are none
/// that an address has; a part between dots, dashes and the `@` is of one script (Unicode Technical Standard 39, 5.1); and
/// letters of another script that all look like Latin ones spell no address.
///
/// # Errors
/// As [`email()`], and `look_alike`.
pub fn account_email(text: &str) -> Checked<String> {
    let text = email(&plain(text))?;
    let alike = |why: &str| Flaw::new("look_alike", format!("{text:?} looks like another address: {why}"));
    if text.split(|c: char| !c.is_alphanumeric()).any(|part| !part.is_single_script()) {
        return Err(alike("it mixes letters of several scripts"));
    }
    let words = text.split(|c: char| !c.is_alphanumeric());
    if words.filter(|word| !word.is_ascii()).any(|word| skeleton(word).all(|c| c.is_ascii())) {
        return Err(alike("its letters cannot be told from Latin ones"));
    }
    Ok(text)
}

/// A phone number as E.164: `+`, country code, number, 7 to 15 digits in all. Spaces, dashes, dots, slashes, parentheses
/// and a leading `00` are understood; so is the `(0)` that some countries write between code and number.
///
/// # Errors
/// `required`, `too_long`, `invalid`.
pub fn phone(text: &str) -> Checked<String> {
    let text = line(text, MAX_WORD)?;
    let invalid = |why: &str| Flaw::new("invalid", format!("{text:?} is no phone number: {why}"));
    // People paste no-break spaces and typographic dashes (U+2010 to U+2015) as well.
    let is_filler = |c: char| c.is_whitespace() || "-./()".contains(c) || ('\u{2010}'..='\u{2015}').contains(&c);
    let plain: String = text.replace("(0)", "").chars().filter(|c| !is_filler(*c)).collect();
    let digits = plain
        .strip_prefix('+')
        .or_else(|| plain.strip_prefix("00"))
        .ok_or_else(|| invalid("begin with + and the country code, for example +49 30 123456"))?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid("only digits, spaces, dashes, dots and parentheses may follow the +"));
    }
    if digits.starts_with('0') || !(7..=15).contains(&digits.len()) {
        return Err(invalid("7 to 15 digits that begin with the country code are expected behind the +"));
    }
    Ok(format!("+{digits}"))
}

/// A handle at a messenger, without its leading `@`.
///
/// # Errors
/// `required`, `too_long`, `invalid`.
pub fn handle(text: &str) -> Checked<String> {
    let text = line(text, MAX_WORD + 1)?;
    let handle = text.strip_prefix('@').unwrap_or(&text);
    bounded(handle, MAX_WORD)?;
    if handle.is_empty() || handle.contains(|c: char| c.is_whitespace() || matches!(c, '@' | '/' | ':' | '?' | '#')) {
        return Err(Flaw::new(
            "invalid",
            format!("{text:?} is no handle: give the name alone, without address, @ or spaces"),
        ));
    }
    Ok(handle.to_owned())
}

/// A tag: trimmed, 1…100 characters, one line.
///
/// # Errors
/// As [`line()`].
pub fn tag(text: &str) -> Checked<String> {
    line(text, MAX_WORD)
}

/// The name of a time zone of the IANA database.
///
/// # Errors
/// `unknown`.
pub fn time_zone(text: &str) -> Checked<String> {
    let text = text.trim();
    match text.parse::<chrono_tz::Tz>() {
        Ok(zone) => Ok(zone.name().to_owned()),
        Err(_) => Err(Flaw::new(
            "unknown",
            format!("{text:?} is no time zone: an IANA name such as Europe/Berlin is expected"),
        )),
    }
}

/// A tag for a language: well-formed by RFC 5646, 2.1 (language, script, region, variants, extensions), with the case
/// that 2.1.1 recommends.
///
/// # Errors
/// `invalid`.
pub fn locale(text: &str) -> Checked<String> {
    let text = text.trim();
    let invalid = || Flaw::new("invalid", format!("{text:?} is no language tag: en or de-AT for example is expected"));
    if text.len() > 35 {
        return Err(invalid());
    }
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    let letters = |part: &str| part.bytes().all(|b| b.is_ascii_alphabetic());
    if !(2..=8).contains(&language.len()) || !letters(language) {
        return Err(invalid());
    }
    let mut tag = language.to_ascii_lowercase();
    let mut extended = false;
    for part in parts {
        if !(1..=8).contains(&part.len()) || !part.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(invalid());
        }
        tag.push('-');
        match part.len() {
            4 if !extended && letters(part) => {
                let (first, rest) = part.split_at(1);
                tag.push_str(&first.to_ascii_uppercase());
                tag.push_str(&rest.to_ascii_lowercase());
            }
            2 if !extended && letters(part) => tag.push_str(&part.to_ascii_uppercase()),
            length => {
                extended |= length == 1;
                tag.push_str(&part.to_ascii_lowercase());
            }
        }
    }
    // What begins an extension is followed by it.
    if tag.rsplit('-').next().is_some_and(|last| last.len() == 1) { Err(invalid()) } else { Ok(tag) }
}

/// An address that begins with `https://`, of at most 2,000 characters.
///
/// # Errors
/// As [`line()`], and `invalid`.
pub fn https_url(text: &str) -> Checked<String> {
    let text = line(text, 2_000)?;
    let host = text.strip_prefix("https://").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let usual = |host: &str| {
        !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || "-._:[]".contains(c)) && !host.starts_with(':')
    };
    if host.is_some_and(usual) && !text.contains(|c: char| c.is_whitespace() || "<>\"\\^`{|}".contains(c)) {
        Ok(text)
    } else {
        Err(Flaw::new("invalid", format!("{text:?} is no address: one that begins with https:// is expected")))
    }
}

/// A colour as `#rrggbb`, lower-cased.
///
/// # Errors
/// `invalid`.
pub fn color(text: &str) -> Checked<String> {
    let text = text.trim().to_ascii_lowercase();
    match text.strip_prefix('#') {
        Some(hex) if hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(text),
        _ => Err(Flaw::new("invalid", format!("{text:?} is no colour: #rrggbb is expected, for example #3b82f6"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T: std::fmt::Debug>(checked: Checked<T>) -> &'static str {
        checked.unwrap_err().code
    }

    #[test]
    fn zones_tags_and_addresses_are_checked() {
        assert_eq!(time_zone(" Europe/Berlin ").unwrap(), "Europe/Berlin");
        for text in ["", "Mars/Olympus", "europe/berlin ", "+01:00"] {
            assert!(time_zone(text).is_err(), "{text:?}");
        }
        for (text, tag) in
            [("EN", "en"), ("de-at", "de-AT"), ("zh-HANS-cn", "zh-Hans-CN"), ("sl-rozaj-1994", "sl-rozaj-1994")]
        {
            assert_eq!(locale(text).unwrap(), tag);
        }
        assert_eq!(locale("en-US-u-CA-gregory").unwrap(), "en-US-u-ca-gregory");
        for text in ["", "e", "english-", "de_AT", "de-", "en-u", "12", "en-toolongone"] {
            assert_eq!(code(locale(text)), "invalid", "{text:?}");
        }
        assert!(https_url("https://acme.example/una.png?s=1").is_ok());
        for text in ["http://acme.example/a", "https://", "javascript:alert(1)", "https://a b", "https:///x"] {
            assert_eq!(code(https_url(text)), "invalid", "{text:?}");
        }
    }

    #[test]
    fn names_are_trimmed_and_bounded_in_characters() {
        assert_eq!(name("  Ada Lovelace \n").unwrap(), "Ada Lovelace");
        assert_eq!(name(&"ä".repeat(200)).unwrap().chars().count(), 200);
        assert_eq!(code(name(&"ä".repeat(201))), "too_long");
        assert_eq!(code(name(" \t ")), "required");
        assert_eq!(code(name("a\u{0}b")), "control_character");
        assert_eq!(code(name("a\nb")), "control_character");
    }

    #[test]
    fn a_strangers_name_is_salvaged_not_refused() {
        assert_eq!(salvage_name(" Ada\r\nLovelace ").unwrap(), "Ada  Lovelace");
        assert_eq!(salvage_name(&"x".repeat(500)).unwrap().len(), 200);
        assert_eq!(salvage_name("\u{7}\n"), None);
        assert_eq!(salvage_name("invoice\u{202e}fdp.exe").unwrap(), "invoicefdp.exe");
    }

    #[test]
    fn names_that_look_alike_have_one_key() {
        assert_eq!(name_key("ＡＤＡ"), "ada");
        assert_eq!(name_key("Ångström"), name_key("A\u{30a}NGSTRÖM"));
        assert_ne!(name_key("ada"), name_key("ida"));
    }

    #[test]
    fn plausible_addresses_are_taken_lower_cased() {
        for (given, kept) in [
            (" Ada@Acme.Example ", "ada@acme.example"),
            ("o'hara+crm@mail.acme.example", "o'hara+crm@mail.acme.example"),
            ("jürgen@müller.example", "jürgen@müller.example"),
            ("a@xn--mller-kva.example", "a@xn--mller-kva.example"),
        ] {
            assert_eq!(email(given).unwrap(), kept);
        }
    }

    /// Cyrillic, Greek, full-width and invisible characters in the place of Latin ones.
    #[test]
    fn an_address_that_looks_like_another_is_nobodys_account() {
        for given in ["una@acme.example", "jürgen@müller.example", "анна@почта.рф", "用户@例え.jp", "x_1@a-b.example"]
        {
            assert_eq!(account_email(given).unwrap(), given);
        }
        assert_eq!(account_email("ｕｎａ＠ａｃｍｅ．example").unwrap(), "una@acme.example");
        assert_eq!(account_email("u\u{308}na@acme.example").unwrap(), "üna@acme.example");
        for given in
            ["un\u{430}@acme.example", "una@\u{430}cme.example", "\u{3bf}na@acme.example", "una@acm\u{435}.example"]
        {
            assert_eq!(code(account_email(given)), "look_alike", "{given}");
        }
        // As a whole of another script: "сора" and "аре" in Cyrillic.
        for given in ["\u{441}\u{43e}\u{440}\u{430}@acme.example", "una@\u{430}\u{440}\u{435}.example"] {
            assert_eq!(code(account_email(given)), "look_alike", "{given}");
        }
        for given in [
            "u\u{200b}na@acme.example",
            "una\u{ad}@acme.example",
            "una@ac\u{2060}me.example",
            "un\u{202e}a@acme.example",
        ] {
            assert_eq!(code(account_email(given)), "invalid", "{given:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long_local = format!("{}@acme.example", "a".repeat(65));
        let long_label = format!("a@{}.example", "b".repeat(64));
        for given in [
            "ada",
            "@acme.example",
            "ada@",
            "ada@acme",
            "ada@.example",
            "ada@acme..example",
            "ada@-acme.example",
            ".ada@acme.example",
            "a..b@acme.example",
            "a b@acme.example",
            "a@b@acme.example",
            "<ada@acme.example>",
            "Ada <ada@acme.example>",
            "ada@acme_x.example",
            "ada@acme.example.",
            &long_local,
            &long_label,
        ] {
            assert_eq!(code(email(given)), "invalid", "{given}");
        }
        assert_eq!(code(email("")), "required");
        assert_eq!(code(email(&format!("a@{}", "b.".repeat(130)))), "too_long");
        assert_eq!(code(email("a\u{0}@acme.example")), "control_character");
    }

    #[test]
    fn phone_numbers_become_e164() {
        for given in
            ["+49 30 123456", "0049-30-123456", "+49 (30) 12.34.56", "+49 (0)30/123456", "+49\u{a0}30\u{2011}123456"]
        {
            assert_eq!(phone(given).unwrap(), "+4930123456", "{given}");
        }
        for given in
            ["030 123456", "555-1234", "+0 30 123456", "+49", "+4930123456789012", "+49 30 CALL-ME", "49+30123456", "+"]
        {
            assert_eq!(code(phone(given)), "invalid", "{given}");
        }
    }

    #[test]
    fn handles_lose_their_at_sign() {
        assert_eq!(handle("@Ada_L").unwrap(), "Ada_L");
        assert_eq!(handle(&format!("@{}", "a".repeat(100))).unwrap().len(), 100);
        assert_eq!(code(handle(&"a".repeat(101))), "too_long");
        for given in ["@", "@@ada", "a da", "https://linkedin.example/in/ada", "in/ada"] {
            assert_eq!(code(handle(given)), "invalid", "{given}");
        }
    }

    #[test]
    fn colours_are_six_hexadecimal_digits() {
        assert_eq!(color("#3B82F6").unwrap(), "#3b82f6");
        for given in ["red", "#fff", "3b82f6", "#3b82fg", ""] {
            assert_eq!(code(color(given)), "invalid", "{given}");
        }
    }

    #[test]
    fn a_lists_flaws_name_their_places_and_repeats_fall_away() {
        let mut flaws = Flaws::default();
        let mut list = vec!["A@acme.example".to_owned(), "nope".to_owned(), "a@acme.example".to_owned()];
        flaws.each("/emails", 50, &mut list, email);
        assert_eq!(list, ["a@acme.example"]);
        let error = flaws.end().unwrap_err();
        assert_eq!(error.fields().iter().map(|f| f.pointer.as_str()).collect::<Vec<_>>(), ["/emails/1"]);
    }
}
