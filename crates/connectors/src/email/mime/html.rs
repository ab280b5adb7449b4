//! HTML bodies as plain text. The parser's own converter takes off tags, styles, scripts and entities; what it lacks is
//! the layout, so block elements are marked before it runs and become line breaks afterwards.

use mail_parser::decoders::html::html_to_text;

/// Marks from the private use area; what a mail brings of them itself is dropped.
const LINE: char = '\u{E000}';
const PARAGRAPH: char = '\u{E001}';
const CELL: char = '\u{E002}';
const ITEM: char = '\u{E003}';
const BULLET: &str = "- ";

/// Links longer than this lead through somebody's counting service and are left out.
const MAX_LINK: usize = 300;

/// Longest HTML that is converted; the text of a longer one is cut anyway.
const MAX_HTML: usize = 8 << 20;

/// The text of an HTML body, its lines and paragraphs kept.
pub(super) fn to_text(html: &str) -> String {
    let end = html.floor_char_boundary(MAX_HTML);
    let html = html.get(..end).unwrap_or(html);
    lay_out(&html_to_text(&mark(html)))
}

fn mark(html: &str) -> String {
    let mut marked = String::with_capacity(html.len() + html.len() / 8);
    let mut rest = html;
    let mut link: Option<(&str, usize)> = None;
    while let Some(open) = rest.find('<') {
        let (text, tag) = rest.split_at(open);
        push_plain(&mut marked, text);
        let end = tag.find('>').map_or(tag.len(), |end| end + 1);
        let (tag, behind) = tag.split_at(end);
        let (name, closing) = name(tag);
        if name == "a"
            && let Some((target, from)) = link.take()
            && !marked.get(from..).is_some_and(|shown| shown.contains(target))
        {
            push_plain(&mut marked, &format!(" ({target})"));
        }
        let sign = sign(&name, closing);
        marked.extend(sign.filter(|_| closing));
        push_plain(&mut marked, tag);
        marked.extend(sign.filter(|_| !closing));
        if name == "a" && !closing {
            link = target(tag).map(|target| (target, marked.len()));
        }
        rest = behind;
    }
    push_plain(&mut marked, rest);
    marked
}

/// A tag's name, lower-cased, and whether it closes its element.
fn name(tag: &str) -> (String, bool) {
    let name =
        tag.trim_start_matches(['<', '/']).split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    (name.to_ascii_lowercase(), tag.starts_with("</"))
}

/// Where a link leads, if that is worth showing; still with its entities.
fn target(tag: &str) -> Option<&str> {
    let at = tag.to_ascii_lowercase().find("href=")? + "href=".len();
    let value = tag.get(at..)?;
    let target = match value.chars().next()? {
        quote @ ('"' | '\'') => value.get(1..)?.split(quote).next()?,
        _ => value.split([' ', '\t', '\r', '\n', '>']).next()?,
    };
    let target = target.trim();
    let shown = target.len() <= MAX_LINK
        && ["https://", "http://"].iter().any(|scheme| target.starts_with(scheme))
        && !target.contains('<');
    shown.then_some(target)
}

fn push_plain(to: &mut String, text: &str) {
    to.extend(text.chars().filter(|c| !(LINE..=ITEM).contains(c)));
}

fn sign(name: &str, closing: bool) -> Option<char> {
    match name {
        "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "ul" | "ol" | "dl" | "blockquote" | "pre" => Some(PARAGRAPH),
        "li" if !closing => Some(ITEM),
        "li" | "div" | "tr" | "table" | "section" | "article" | "header" | "footer" | "main" | "center" | "address"
        | "dt" | "dd" | "hr" | "fieldset" | "form" => Some(LINE),
        "td" | "th" if closing => Some(CELL),
        _ => None,
    }
}

/// Turns marks into line breaks: a block begins and ends a line, a paragraph stands between blank lines, and more than
/// one blank line never follows.
fn lay_out(text: &str) -> String {
    let mut lines: Vec<String> = vec![String::new()];
    let mut blank_wanted = false;
    for c in text.chars() {
        let empty = lines.last().is_none_or(|line| line.trim().is_empty() || line == BULLET);
        match c {
            '\n' => lines.push(String::new()),
            LINE | ITEM | PARAGRAPH => {
                if !empty {
                    lines.push(String::new());
                }
                blank_wanted |= c == PARAGRAPH;
                if c == ITEM
                    && let Some(line) = lines.last_mut()
                {
                    line.clear();
                    line.push_str(BULLET);
                }
            }
            _ => {
                let c = if c == CELL || c == '\u{a0}' { ' ' } else { c };
                if blank_wanted && !c.is_whitespace() {
                    blank_wanted = false;
                    let current = lines.pop().unwrap_or_default();
                    lines.push(String::new());
                    lines.push(current);
                }
                if let Some(line) = lines.last_mut() {
                    line.push(c);
                }
            }
        }
    }
    let mut laid = String::with_capacity(text.len());
    let mut blanks = 0;
    for line in lines.iter().map(|line| line.trim()) {
        if line.is_empty() {
            blanks += 1;
            continue;
        }
        if !laid.is_empty() {
            laid.push_str(if blanks > 0 { "\n\n" } else { "\n" });
        }
        blanks = 0;
        laid.push_str(line);
    }
    laid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisions_are_lines_and_an_empty_one_is_a_blank_line() {
        assert_eq!(
            to_text("<div>Hello Ada,</div><div><br></div><div>see <b>you</b> soon.</div>"),
            "Hello Ada,\n\nsee you soon."
        );
    }

    #[test]
    fn paragraphs_lists_and_cells_keep_their_shape() {
        let html = "<html><head><title>x</title><style>p{}</style></head><body><p>One &amp; two</p><p>Three&nbsp;four</p>\
                    <ul><li>a</li><li>b</li></ul><table><tr><td>1</td><td>2</td></tr><tr><td>3</td><td>4</td></tr></table></body></html>";
        assert_eq!(to_text(html), "One & two\n\nThree four\n\n- a\n- b\n\n1 2\n3 4");
    }

    #[test]
    fn a_link_shows_where_it_leads_unless_its_text_does() {
        let html = "see <a class=x HREF='https://a.example/?x=1&amp;y=2'>our <b>offer</b></a>, <a href=http://b.example/>http://b.example/</a> \
                    and <a href=\"mailto:a@b.c\">me</a><a href=\"javascript:x\">!</a>";
        assert_eq!(to_text(html), "see our offer (https://a.example/?x=1&y=2), http://b.example/ and me!");
    }

    #[test]
    fn line_breaks_inside_a_paragraph_stay() {
        assert_eq!(to_text("<p>a<br>b<br/>c</p>"), "a\nb\nc");
    }

    /// ASVS 1.3.1.
    #[test]
    fn scripts_comments_and_unfinished_tags_leave_nothing() {
        assert_eq!(to_text("a<script>alert('<div>')</script><!-- <p>no</p> -->b <a href='x"), "ab");
        assert_eq!(to_text("\u{E000}x\u{E003}"), "x");
        assert_eq!(to_text(""), "");
    }
}
