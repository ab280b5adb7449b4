//! Statements as they would be had nobody written the organisation into them: for the test that row-level security holds
//! by itself (ARCHITECTURE, decision 5). Never part of the product.

use super::doctor::is_global;

/// What a predicate on the organisation begins with.
const COLUMN: &str = "organization_id = ";

/// A table of a statement, and what it is called in it.
#[derive(Debug, PartialEq, Eq)]
struct Named<'t> {
    at: usize,
    alias: &'t str,
    table: &'t str,
}

/// The same statement, in which every predicate on the organisation of a table under row-level security always holds:
/// those that compare with a value, and those of joins. Global tables keep theirs, as nothing else guards them. The
/// placeholder stays, since its value is bound all the same.
pub(super) fn alone(text: &str) -> String {
    let names = names(text);
    let mut rest = 0;
    let mut answer = String::with_capacity(text.len());
    for (at, _) in text.match_indices(COLUMN) {
        let begin = at - text.get(..at).unwrap_or_default().chars().rev().take_while(|c| in_name(*c)).count();
        let to = at + COLUMN.len();
        let end = to + text.get(to..).unwrap_or_default().chars().take_while(|c| *c == '$' || in_name(*c)).count();
        let (Some(left), Some(right)) = (text.get(begin..at), text.get(to..end)) else { continue };
        let joined = right.strip_suffix(".organization_id");
        let guarded = |alias: &str| !table(&names, alias, at).is_some_and(is_global);
        if !guarded(left.trim_end_matches('.')) || !joined.is_none_or(guarded) {
            continue;
        }
        answer.push_str(text.get(rest..begin).unwrap_or_default());
        match joined {
            Some(_) => answer.push_str("TRUE"),
            None => answer.extend(["(", right, "::uuid IS NOT NULL)"]),
        }
        rest = end;
    }
    answer.push_str(text.get(rest..).unwrap_or_default());
    answer
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.'
}

/// The table of an alias, or of the statement at hand for none, as it was said last before `at`.
fn table<'t>(names: &[Named<'t>], alias: &str, at: usize) -> Option<&'t str> {
    let mut before = names.iter().rev().filter(|name| name.at < at);
    before.find(|name| alias.is_empty() || name.alias == alias).map(|name| name.table)
}

/// Every table that a statement names after `FROM`, `JOIN`, `UPDATE` or `INTO`; of a subquery its first one.
fn names(text: &str) -> Vec<Named<'_>> {
    let words = words(text);
    let word = |place: usize| words.get(place).map_or("", |(_, word)| *word);
    let mut names = Vec::new();
    for (place, (at, it)) in words.iter().enumerate() {
        if !matches!(*it, "FROM" | "JOIN" | "UPDATE" | "INTO") {
            continue;
        }
        let (mut next, mut table) = (place + 2, word(place + 1));
        if table == "(" {
            let mut depth = 1;
            while depth > 0 && next < words.len() {
                match word(next) {
                    "(" => depth += 1,
                    ")" => depth -= 1,
                    "FROM" if table == "(" => table = word(next + 1),
                    _ => {}
                }
                next += 1;
            }
        }
        if word(next) == "AS" {
            next += 1;
        }
        let alias = word(next);
        let given = alias.starts_with(|c: char| c.is_ascii_lowercase());
        names.push(Named { at: *at, alias: if given { alias } else { table }, table });
    }
    names
}

/// The words of a statement, parentheses and commas among them, and where each begins.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut begin = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let ends = c.is_whitespace() || matches!(c, '(' | ')' | ',');
        if !ends {
            begin.get_or_insert(at);
            continue;
        }
        words.extend(begin.take().and_then(|begin| Some((begin, text.get(begin..at)?))));
        if !c.is_whitespace() {
            words.extend(text.get(at..=at).map(|c| (at, c)));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::alone;

    #[test]
    fn what_row_level_security_guards_says_nothing_of_the_organisation() {
        for (text, bare) in [
            (
                "SELECT t.id FROM contacts t WHERE t.organization_id = $1 AND t.id = $2",
                "SELECT t.id FROM contacts t WHERE ($1::uuid IS NOT NULL) AND t.id = $2",
            ),
            (
                "UPDATE deals SET name = $1 WHERE organization_id = $2 AND id = $3",
                "UPDATE deals SET name = $1 WHERE ($2::uuid IS NOT NULL) AND id = $3",
            ),
            (
                "SELECT s.id FROM pipelines t LEFT JOIN stages s ON s.organization_id = t.organization_id AND s.x = t.id \
                 WHERE t.organization_id = $12)",
                "SELECT s.id FROM pipelines t LEFT JOIN stages s ON TRUE AND s.x = t.id \
                 WHERE ($12::uuid IS NOT NULL))",
            ),
        ] {
            assert_eq!(alone(text), bare);
        }
    }

    #[test]
    fn global_tables_keep_their_only_wall() {
        for text in [
            "SELECT t.role FROM memberships t WHERE t.organization_id = $1 AND t.user_id = $2",
            "DELETE FROM work WHERE lane = $1 AND id = $2 AND organization_id = $3",
            "SELECT t.id FROM (SELECT organization_id, user_id AS id FROM memberships) t WHERE t.organization_id = $1",
        ] {
            assert_eq!(alone(text), text);
        }
        let mixed = "SELECT m.role FROM (SELECT organization_id, user_id FROM team_members) t \
                     JOIN memberships m ON m.organization_id = t.organization_id WHERE t.organization_id = $1";
        assert_eq!(
            alone(mixed),
            "SELECT m.role FROM (SELECT organization_id, user_id FROM team_members) t \
             JOIN memberships m ON m.organization_id = t.organization_id WHERE ($1::uuid IS NOT NULL)"
        );
    }
}
