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

/// Shorter texts are searched without an automaton, whose start costs more than the search.
const SHORT: usize = 128;

/// Any of several texts, in any letter case.
pub(super) struct Texts {
    place: Search,
    automaton: Regex,
    /// The same texts, if none of them knows any but ASCII letters.
    ascii: Option<Box<[String]>>,
}

impl Texts {
    pub(super) fn new(texts: &[String], place: Search) -> Result<Self, Fault> {
        let any = texts.iter().map(|text| regex::escape(text)).collect::<Vec<_>>().join("|");
        let pattern = match place {
            Search::Within => format!("(?i:{any})"),
            Search::AtStart => format!(r"\A(?i:{any})"),
            Search::Whole => format!(r"\A(?i:{any})\z"),
        };
        let automaton = build(&pattern, limits::COMPILED_TEXTS)?;
        let ascii = texts.iter().all(|text| text.is_ascii()).then(|| texts.into());
        Ok(Self { place, automaton, ascii })
    }

    pub(super) fn found_in(&self, text: &str) -> bool {
        match &self.ascii {
            // Some letters beyond ASCII fold to one of it: the Kelvin sign is a k.
            Some(texts) if text.len() <= SHORT && text.is_ascii() => {
                texts.iter().any(|one| found(one.as_bytes(), text.as_bytes(), self.place))
            }
            _ => self.automaton.is_match(text),
        }
    }
}

fn found(one: &[u8], text: &[u8], place: Search) -> bool {
    match place {
        Search::Within => {
            let first = one.first();
            // The first letter alone rules most places out.
            let begins = |part: &[u8]| part.first().zip(first).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
            text.windows(one.len()).any(|part| begins(part) && part.eq_ignore_ascii_case(one))
        }
        Search::AtStart => text.get(..one.len()).is_some_and(|start| start.eq_ignore_ascii_case(one)),
        Search::Whole => text.eq_ignore_ascii_case(one),
    }
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
    use proptest::prelude::*;

    fn texts(texts: &[&str], place: Search) -> Texts {
        Texts::new(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), place).unwrap()
    }

    #[test]
    fn letter_case_is_ignored_in_every_alphabet() {
        let search = texts(&["PREIS", "цена", "a.b"], Search::Within);
        assert!(search.found_in("Was ist der Preis?"));
        assert!(search.found_in("Какая ЦЕНА?"));
        assert!(search.found_in("A.B"));
        assert!(!search.found_in("acb"));
        assert!(texts(&["k"], Search::Whole).found_in("\u{212a}"), "the Kelvin sign is a k");
        assert!(texts(&["Hello"], Search::AtStart).found_in("hello there"));
        assert!(!texts(&["there"], Search::AtStart).found_in("hello\nthere"));
        assert!(!texts(&["vip"], Search::Whole).found_in("vip-2"));
        assert!(!texts(&["vip", "a"], Search::Whole).found_in("vip\n"));
    }

    #[test]
    fn the_longest_text_that_is_allowed_compiles() {
        for letter in ["k", "ß", "Ω", "漢", "🦀"] {
            let text = letter.repeat(limits::PATTERN);
            assert!(texts(&[&text], Search::Within).found_in(&text));
        }
    }

    #[test]
    fn a_large_or_faulty_expression_is_told_apart() {
        assert!(matches!(expression(r"\w{200}"), Err(Fault::TooLarge)));
        let Err(Fault::Syntax(reason)) = expression("price(") else { panic!("an unclosed group was accepted") };
        assert_eq!(reason, "unclosed group");
    }

    proptest! {
        #[test]
        fn short_texts_are_searched_as_the_automaton_would(
            list in prop::collection::vec("[abkAK.*]{1,3}", 1..4),
            text in "[abkAK.*\u{212a}\n]{0,6}",
            place in prop::sample::select(vec![Search::Within, Search::AtStart, Search::Whole]),
        ) {
            let search = Texts::new(&list, place).unwrap();
            prop_assert_eq!(search.found_in(&text), search.automaton.is_match(&text));
        }
    }
}
