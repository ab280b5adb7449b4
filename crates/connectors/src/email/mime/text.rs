//! Text that came from outside, made fit for the store: no control characters, bounded, cut between characters.

/// Cuts `text` to at most `max` bytes; says whether it had to.
pub(super) fn truncate(text: &mut String, max: usize) -> bool {
    let too_long = text.len() > max;
    if too_long {
        text.truncate(text.floor_char_boundary(max));
    }
    too_long
}

/// A body: line ends are `\n`, control characters but tabs are gone, no white space around it.
pub(super) fn body(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' | '\n' => clean.push('\n'),
            '\t' => clean.push('\t'),
            c if c.is_control() || c == '\u{feff}' => {}
            c => clean.push(c),
        }
    }
    let kept = clean.trim_end().trim_start_matches('\n');
    kept.to_owned()
}

/// One line: white space runs are one space, control characters are gone; at most `max` bytes.
pub(in crate::email) fn line(text: &str, max: usize) -> String {
    let mut clean = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !clean.is_empty() {
            clean.push(' ');
        }
        clean.push_str(word);
        if clean.len() > max {
            break;
        }
    }
    clean.retain(|c| !is_invisible(c));
    truncate(&mut clean, max);
    clean
}

/// Characters that change how the others are shown: `gpj.exe` must not read as `exe.jpg`.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_keeps_its_lines_and_loses_its_control_characters() {
        assert_eq!(body("\r\n\u{feff}Hello\u{0}\r\n\tAda\r\u{1b}[1m\nbye \r\n\r\n"), "Hello\n\tAda\n[1m\nbye");
        assert_eq!(body("  indented"), "  indented");
    }

    #[test]
    fn a_line_is_one_line_and_bounded() {
        assert_eq!(line(" a\r\n b\tc\u{0}d \u{202e}e", 100), "a b c d e");
        assert_eq!(line("ääää", 5), "ää");
    }
}
