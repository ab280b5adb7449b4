//! Where the two databases speak differently. Everything else writes SQL that both read alike.

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Db {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Db {
    /// The function that answers the larger of several values. A null among them is the answer on SQLite and is left out
    /// on PostgreSQL, so there must be none.
    pub(crate) fn greatest(self) -> &'static str {
        match self {
            Self::Sqlite => "MAX",
            Self::Postgres => "GREATEST",
        }
    }

    /// The function that answers the smaller of several values; no nulls, as in [`Db::greatest`].
    pub(crate) fn least(self) -> &'static str {
        match self {
            Self::Sqlite => "MIN",
            Self::Postgres => "LEAST",
        }
    }

    /// Locks the rows of a SELECT until the commit. On SQLite the writer is alone anyway.
    pub(crate) fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// The same, passing over rows that somebody else has locked.
    pub(crate) fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// What stands around the condition by which a table's rows are looked up for each row before it, in this order and no
    /// other; further conditions may follow.
    pub(crate) fn looked_up(self, table: &str) -> (String, String) {
        match self {
            Self::Sqlite => (format!("CROSS JOIN {table} WHERE "), " AND ".to_owned()),
            Self::Postgres => {
                let alias = table.rsplit(' ').next().unwrap_or(table);
                (format!("CROSS JOIN LATERAL (SELECT * FROM {table} WHERE "), format!(" OFFSET 0) {alias} WHERE "))
            }
        }
    }

    /// The member of a JSON object as a text, null if it is not there. `key` is one of ours, never text from outside.
    pub(crate) fn json_text(self, column: &str, key: &str) -> String {
        match self {
            Self::Sqlite => format!("({column} ->> '{key}')"),
            Self::Postgres => format!("({column}::json ->> '{key}')"),
        }
    }

    /// The member of a JSON object as JSON.
    pub(crate) fn json_member(self, column: &str, key: &str) -> String {
        match self {
            Self::Sqlite => format!("({column} -> '{key}')"),
            Self::Postgres => format!("({column}::json -> '{key}')"),
        }
    }

    /// The member of a JSON object as its JSON text.
    pub(crate) fn json_raw(self, column: &str, key: &str) -> String {
        match self {
            Self::Sqlite => format!("({column} -> '{key}')"),
            Self::Postgres => format!("({column}::json -> '{key}')::text"),
        }
    }

    /// A source of the items of a JSON list of texts, each as `j.value`.
    pub(crate) fn json_items(self, list: &str) -> String {
        match self {
            Self::Sqlite => format!("json_each({list}) j"),
            Self::Postgres => format!("json_array_elements_text({list}::json) AS j(value)"),
        }
    }

    /// The member of a JSON object as a number, null unless it is one: a cast of anything else would fail on PostgreSQL.
    pub(crate) fn json_number(self, column: &str, key: &str) -> String {
        let is_number = match self {
            Self::Sqlite => format!("json_type({column}, '$.{key}') IN ('integer', 'real')"),
            Self::Postgres => format!("json_typeof({column}::json -> '{key}') = 'number'"),
        };
        format!("(CASE WHEN {is_number} THEN CAST({} AS double precision) END)", self.json_text(column, key))
    }
}
