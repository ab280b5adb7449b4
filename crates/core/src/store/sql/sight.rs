//! What a member sees who does not see everything. Each statement of theirs begins with tables of the same names that hold
//! the rows in sight alone, so that no read can forget it. A table is looked through row by row, along whichever index the
//! statement walks anyway; only lists know what it is that is looked for (`reads/listing`).

use crate::{
    ports::store::{Column, Value},
    scope::Sight,
    store::sql::{
        Db,
        reads::list::{OPAQUE, OPAQUE_END},
        statement::Statement,
    },
};

/// Tables of which some rows may be out of sight, and which are in it. A table may ask others that stand before it.
/// `{seen}`: whom it belongs to; `{contact}`, `{deal}`: those that it belongs to, if it does; `{me}`: the member.
const SHADOWS: &[(&str, &str)] = &[
    ("contacts", "{seen}"),
    ("deals", "{seen}"),
    ("notes", "{contact} AND {deal}"),
    // A task is its assignee's, whosever the contact is.
    ("tasks", "v.assigned_to = {me} OR {contact} AND {deal}"),
    ("stage_history", "{contact} AND {deal}"),
    // A deal's run names the deal's contact too.
    ("runs", "{deal} AND (v.deal_id IS NOT NULL OR {contact})"),
    // A conversation is also theirs who look after it, and theirs by whose account it goes.
    (
        "chats",
        "v.assigned_to = {me} OR {contact} OR (SELECT a.owner_id FROM accounts a \
               WHERE a.organization_id = v.organization_id AND a.id = v.account_id) = {me}",
    ),
    ("messages", "(SELECT 1 FROM chats c WHERE c.organization_id = v.organization_id AND c.id = v.chat_id) = 1"),
    ("message_credits", "{mates}"),
    ("media", "{contact}"),
    (
        "events",
        "CASE v.subject_kind WHEN 'contact' THEN {subject contacts} WHEN 'deal' THEN {subject deals} \
                WHEN 'chat' THEN {subject chats} ELSE TRUE END",
    ),
];

/// Whether a statement reads a table.
fn reads(text: &str, table: &str) -> bool {
    let within = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "_.'".contains(c));
    text.match_indices(table).any(|(at, _)| {
        let (before, after) = text.split_at(at);
        !within(before.chars().next_back()) && !within(after.chars().nth(table.len()))
    })
}

/// The statement as this member may ask it.
pub(super) fn limit(db: Db, sight: &Sight, statement: Statement) -> Statement {
    let Sight::Limited { user, teams } = sight else { return statement };
    // Named behind those that are there. What stands before them in the text is bound before them on SQLite, which knows
    // names by where they first appear.
    let mut own = Vec::new();
    let mut bind = |value: Value| {
        own.push(value);
        format!("${}", statement.values.len() + own.len())
    };
    let me = bind(user.to_value());
    let teams: Vec<_> = teams.iter().map(|team| bind(team.to_value())).collect();
    let conditions = Conditions { me, teams: teams.join(", ") };
    let schema = if db == Db::Sqlite { "main." } else { "" };
    let mut shadows: Vec<String> = Vec::new();
    for (table, condition) in SHADOWS.iter().rev() {
        if reads(&statement.text, table) || shadows.iter().any(|later| reads(later, table)) {
            let condition = conditions.fill(condition);
            shadows.push(format!(
                "{table} AS NOT MATERIALIZED (SELECT * FROM {schema}{table} v WHERE TRUE{OPAQUE}{condition}{OPAQUE_END})"
            ));
        }
    }
    if shadows.is_empty() {
        return statement;
    }
    shadows.reverse();
    let mut text = format!("WITH {}", shadows.join(", "));
    match statement.text.strip_prefix("WITH ") {
        Some(rest) => text.push_str(&format!(", {rest}")),
        None => text.push_str(&format!(" {}", statement.text)),
    }
    let values = match db {
        Db::Sqlite => own.into_iter().chain(statement.values).collect(),
        Db::Postgres => statement.values.into_iter().chain(own).collect(),
    };
    Statement { text, values }
}

/// The words of [`SHADOWS`].
struct Conditions {
    me: String,
    teams: String,
}

impl Conditions {
    fn fill(&self, condition: &str) -> String {
        // Asked row by row, each along its own key: nothing that a planner could join or hash.
        let there = |table: &str, id: &str| {
            format!("(SELECT 1 FROM {table} c WHERE c.organization_id = v.organization_id AND c.id = v.{id}) = 1")
        };
        let of = |table: &str, id: &str| format!("(v.{id} IS NULL OR {})", there(table, id));
        let (me, teams) = (&self.me, &self.teams);
        let mut seen = format!("(v.assigned_to IS NULL AND v.team_id IS NULL OR v.assigned_to = {me}");
        let mut mates = format!("v.user_id = {me}");
        if !teams.is_empty() {
            seen.push_str(&format!(" OR v.team_id IN ({teams})"));
            mates.push_str(&format!(
                " OR (SELECT COUNT(*) FROM team_members m WHERE m.organization_id = v.organization_id \
                 AND m.user_id = v.user_id AND m.team_id IN ({teams})) > 0"
            ));
        }
        seen.push(')');
        condition
            .replace("{seen}", &seen)
            .replace("{mates}", &mates)
            .replace("{me}", me)
            .replace("{contact}", &of("contacts", "contact_id"))
            .replace("{deal}", &of("deals", "deal_id"))
            .replace("{subject contacts}", &there("contacts", "subject_id"))
            .replace("{subject deals}", &there("deals", "subject_id"))
            .replace("{subject chats}", &there("chats", "subject_id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{Id, UserId},
        ports::store::TABLES,
    };

    /// Tables of which everything is in everybody's sight, or that only those read who see everything.
    const WHOLE: &[&str] = &[
        // What the organisation has, and its people.
        "organizations",
        "users",
        "memberships",
        "roles",
        "teams",
        "team_members",
        "invitations",
        "api_keys",
        "credentials",
        "mail_tokens",
        "second_factors",
        "sessions",
        "identities",
        "login_states",
        "master_keys",
        "common_keys",
        "data_keys",
        "contact_keys",
        "pipelines",
        "stages",
        "custom_fields",
        "companies",
        "company_tags",
        "rules",
        "rule_versions",
        "accounts",
        "account_secrets",
        "account_cursors",
        "skipped_messages",
        "assignment_turns",
        // They name records and tell nothing of them: what they find is looked for in the records' own table.
        "contact_identities",
        "contact_tags",
        "custom_values",
        "external_ids",
        "timers",
        "subjects",
        "jobs",
        // Somebody's own.
        "notifications",
        "idempotency_keys",
        // Permissions that go with seeing everything.
        "audit_entries",
        "audit_chains",
        "erasures",
        "retention",
        "retention_marks",
    ];

    #[test]
    fn each_table_is_looked_through_or_everybodys() {
        for table in TABLES {
            let shadowed = SHADOWS.iter().any(|(name, _)| *name == table.name);
            assert!(shadowed != WHOLE.contains(&table.name), "{}: who sees what of it?", table.name);
        }
    }

    #[test]
    fn a_statement_is_given_the_tables_that_it_reads() {
        let user = UserId::from_uuid(uuid::Uuid::from_u128(7));
        let sight = Sight::Limited { user, teams: [].into() };
        let mut statement = Statement::new("SELECT 1 FROM contact_tags x JOIN stages s WHERE x.tag = ");
        statement.bind(&"notes".to_owned());
        assert_eq!(limit(Db::Sqlite, &sight, statement.clone()), statement);
        let mut statement = Statement::new("SELECT 1 FROM notes t WHERE t.id = ");
        statement.bind(&"it".to_owned());
        assert_eq!(limit(Db::Postgres, &Sight::Organization, statement.clone()), statement);
        for (db, values) in [
            (Db::Sqlite, [user.to_value(), "it".to_owned().to_value()]),
            (Db::Postgres, ["it".to_owned().to_value(), user.to_value()]),
        ] {
            let limited = limit(db, &sight, statement.clone());
            let tables: Vec<_> =
                limited.text.split(" AS NOT MATERIALIZED").map(|it| it.rsplit(' ').next().unwrap()).collect();
            assert_eq!(tables[..3], ["contacts", "deals", "notes"], "{}", limited.text);
            assert!(
                limited.text.contains("v.assigned_to = $2") && limited.text.ends_with("FROM notes t WHERE t.id = $1")
            );
            assert_eq!(limited.values, values);
        }
    }
}
