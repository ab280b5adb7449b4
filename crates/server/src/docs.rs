//! Documents made from the tables. `docs/api.md` and `docs/configuration.md` hold their text; a test compares.

use dealwright::operation;

use crate::{config, routes::routes, shell::SHELL_ROUTES};

/// What `docs/api.md` says.
pub fn api() -> String {
    let mut rows: Vec<(&str, &str, String)> = Vec::new();
    for route in routes() {
        let Some(operation) = operation(route.operation) else { continue };
        let about = operation.doc.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        let about = format!("`{}` — {} Needs `{}`.", operation.name, about.trim(), operation.permission);
        rows.push((route.path, route.method.as_str(), about));
    }
    for route in SHELL_ROUTES {
        rows.push((route.path, route.method.as_str(), format!("`{}` — {}", route.name, route.doc)));
    }
    rows.sort();
    let mut text = "# What the server answers\n\n\
        Made from the tables in `crates/server/src/routes.rs` and `crates/server/src/shell/`; every detail (parameters, \
        bodies, answers) is at `/docs` and `/api/openapi.json` of a running server. After a change of the tables, \
        `UPDATE=1 cargo test -p dealwright-server --test http tables` writes this page anew.\n\n\
        | call | what it does |\n|---|---|\n"
        .to_owned();
    for (path, method, about) in rows {
        text.push_str(&format!("| `{method} {path}` | {} |\n", about.replace('|', "\\|")));
    }
    text
}

/// What `docs/configuration.md` says.
pub fn configuration() -> String {
    format!(
        "# Settings of the server\n\n\
         Nothing needs to be set. A flag goes before a variable, a variable before the file that `--config` names, the \
         file before the default. Switches are `true` or `false` in variables and in the file; what is repeatable is a \
         list in the file, and stands with commas between in a variable.\n\n\
         `dealwright-server` serves; `dealwright-server migrate --database OWNER_URL --app-role ROLE` brings a \
         PostgreSQL database up to date as its owner and grants the server's role what it needs; \
         `dealwright-server doctor` looks at the database and says what is wrong.\n\n{}",
        config::markdown()
    )
}
