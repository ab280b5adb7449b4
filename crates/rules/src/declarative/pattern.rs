//! Searching texts: one compiled automaton for each search, linear in the text and bounded in size. Searching for a text
//! ignores letter case; a regular expression does so if it says `(?i)`.

use regex::{Regex, RegexBuilder};

use super::limits;

/// Where a text is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    /// Anywhere in a text.
    Within,
    /// At its beginning.
    AtStart,
    /// The whole of it: an item of a list.
    Whole,
}

/// Why there is no automaton.
#[derive(Debug)]
pub(super) enum Fault {
    /// It would be larger than its limit.
    TooLarge,
    /// It is no regular expression; the sentence says why.
    Syntax(String),
}

/// Any of `texts`.
pub(super) fn texts(texts: &[String], search: Search) -> Result<Regex, Fault> {
    let any = texts.iter().map(|text| regex::escape(text)).collect::<Vec<_>>().join("|");
    let pattern = match search {
        Search::Within => format!("(?i:{any})"),
        Search::AtStart => format!(r"\A(?i:{any})"),
        Search::Whole => format!(r"\A(?i:{any})\z"),
    };
    build(&pattern, limits::COMPILED_TEXTS)
}

/// A regular expression as its author wrote it.
pub(super) fn expression(expression: &str) -> Result<Regex, Fault> {
    build(expression, limits::COMPILED_EXPRESSION)
}

fn build(pattern: &str, bytes: usize) -> Result<Regex, Fault> {
    RegexBuilder::new(pattern).size_limit(bytes).dfa_size_limit(bytes).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => Fault::TooLarge,
        // The last line says what is wrong; the ones before draw the pattern with a mark under it.
        other => {
            let text = other.to_string();
            let reason = text.lines().last().unwrap_or_default();
            Fault::Syntax(reason.strip_prefix("error: ").unwrap_or(reason).to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letter_case_is_ignored_in_every_alphabet() {
        let search = texts(&["PREIS".into(), "цена".into(), "a.b".into()], Search::Within).unwrap();
        assert!(search.is_match("Was ist der Preis?"));
        assert!(search.is_match("Какая ЦЕНА?"));
        assert!(search.is_match("A.B"));
        assert!(!search.is_match("acb"));
        assert!(texts(&["Hello".into()], Search::AtStart).unwrap().is_match("hello there"));
        assert!(!texts(&["there".into()], Search::AtStart).unwrap().is_match("hello\nthere"));
        assert!(!texts(&["vip".into()], Search::Whole).unwrap().is_match("vip-2"));
        assert!(!texts(&["vip".into(), "a".into()], Search::Whole).unwrap().is_match("vip\n"));
    }

    #[test]
    fn the_longest_text_that_is_allowed_compiles() {
        for letter in ["k", "ß", "Ω", "漢", "🦀"] {
            texts(&[letter.repeat(limits::PATTERN)], Search::Within).unwrap();
        }
    }

    #[test]
    fn a_large_or_faulty_expression_is_told_apart() {
        assert!(matches!(expression(r"\w{200}"), Err(Fault::TooLarge)));
        let Err(Fault::Syntax(reason)) = expression("price(") else { panic!("an unclosed group was accepted") };
        assert_eq!(reason, "unclosed group");
    }
}
