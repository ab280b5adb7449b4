//! Documents made from the tables. `docs/api.md`, `docs/access.md` and `docs/configuration.md` hold their text; a test compares.

use dealwright::{
    domain::{custom_field::Noun, restricted},
    operation, operations,
    scope::{Permission, Resource, Role},
};

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

/// What `docs/access.md` says.
pub fn access() -> String {
    let roles = || Role::ALL.iter();
    let mut text = ABOUT_ACCESS.to_owned();
    let head = |first: &str| {
        let names = roles().map(|role| role.as_str()).collect::<Vec<_>>().join(" | ");
        format!("| {first} | {names} |\n|{}\n", "---|".repeat(first.split('|').count() + Role::ALL.len()))
    };
    text.push_str(&head("permissions of"));
    for resource in Resource::ALL {
        let held = |role: &Role| {
            let may = |permission| role.permissions().contains(permission);
            match (may(Permission::read(*resource)), may(Permission::write(*resource))) {
                (true, true) => "read, write",
                (true, false) => "read",
                (false, true) => "write",
                (false, false) => "–",
            }
        };
        let row = roles().map(held).collect::<Vec<_>>().join(" | ");
        text.push_str(&format!("| `{}` | {row} |\n", resource.as_str()));
    }
    text.push_str("\n## Operations\n\n");
    text.push_str(&head("operation | needs"));
    for operation in operations() {
        let cell = |role: &Role| if operation.is_open_to(*role) { "yes" } else { "no" };
        let row = roles().map(cell).collect::<Vec<_>>().join(" | ");
        text.push_str(&format!("| `{}` | `{}` | {row} |\n", operation.name, operation.permission));
    }
    text.push_str("\n## Calls that are no operation\n\n| call | for |\n|---|---|\n");
    for route in SHELL_ROUTES.iter().filter(|route| route.stands_for.is_empty()) {
        let whom = if route.signed_in { "whoever is signed in" } else { "everybody" };
        text.push_str(&format!("| `{} {}` | {whom} |\n", route.method.as_str(), route.path));
    }
    text.push_str(BEYOND_ACCESS);
    for noun in Noun::ALL {
        let (hideable, kept) = restricted::fields(*noun);
        let names = |fields: &[&str]| fields.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
        text.push_str(&format!("| {noun} | {}, `custom.<key>` | {} |\n", names(hideable), names(kept)));
    }
    text.push_str(BEYOND_FIELDS);
    text
}

const ABOUT_ACCESS: &str = "# Who may do what\n\n\
    Made from the table of operations (`crates/core/src/doors/operations.rs`) and the permissions of the roles \
    (`crates/core/src/scope/`); `UPDATE=1 cargo test -p dealwright-server --test http tables` writes this page anew, and \
    `crates/server/tests/access/` asks every cell over HTTP, on both databases. Where it says no the answer is 403 \
    `forbidden`, whatever is asked; another organisation's objects are 404 for everybody.\n\n";

const BEYOND_ACCESS: &str = "\n## What is asked about may forbid more\n\n\
    - Nobody gives or takes what they do not have themselves: a role, an invitation or a key may do no more than whom it \
    comes from. Owners are made and unmade by signed-in owners alone, and the last one stays (409 `last_owner`); \
    `POST /api/organization/transfer` hands the organisation on, with proof given afresh.\n\
    - **Roles of one's own** (`/api/team/roles`) are any set of these permissions; what their members may do follows at \
    their next call. They may also show some records alone, and close fields: see below.\n\
    - An **API key** may do what its scopes say, and what the member that it acts for may do at that moment. Without \
    `team:write` one makes, sees and ends keys that act for oneself alone. A key makes no keys, opens no session and ends \
    with the membership. Profile, notifications and bodies of private conversations are open to a key only if whom it acts \
    for has made it.\n\
    - A messenger **account** is edited, connected anew and removed by its owner and by whoever may write the organisation; \
    `visibility` says who reads the bodies of its messages, and nobody else writes from a private one.\n\
    - **Profile and notifications** are one's own.\n\
    - Over **Socket.IO** everybody hears of contacts, deals, accounts and notifications what they may read.\n\n\
    ## Which records a role shows\n\n\
    `record_visibility` of a role of one's own is `organization` (all, as of the built-in ones), `team` (contacts and deals \
    that are assigned to the member or to one of their teams) or `own` (to the member). **What neither a member nor a team \
    looks after is seen by all**, else nobody could take it on; so is the shared base: companies, pipelines, fields, people.\n\n\
    Whatever is out of sight is 404 by its id, `unknown` where an input names it, in no list, count, board or sum, and not \
    heard over Socket.IO. With a contact or deal go its notes, moves, timeline, runs, files and conversations with their \
    messages; but a task is also its assignee's, and a conversation also theirs who look after it or whose account it goes \
    by. Who makes a contact with an address that one out of sight has is told 409 `duplicate` without its name. A notification \
    is told to whom it is addressed. A member may assign what they see to somebody else, and sees it no more.\n\n\
    ## Which fields a role closes\n\n\
    `fields` of a role of one's own: `{\"contact\": {\"phones\": \"hidden\", \"custom.budget\": \"read_only\"}}`. What is \
    `hidden` is empty in every answer (`null`, `[]`, `{}`; of custom fields the key is left out), lists are neither filtered \
    nor sorted by it (403), and it is not changed; what is `read_only` is not changed. A change of either is 403 `forbidden` \
    with each field named; one that states what is there already is none.\n\n\
    | of a | may be hidden | may be read-only besides |\n|---|---|---|\n";

const BEYOND_FIELDS: &str = "\nA new one has a name and a stage in any case. What stands in messages, notes and titles is no \
    field. Over Socket.IO members with closed fields hear that something changed, and of none of the fields that may be hidden \
    how.\n\n\
    A role that shows some records alone or closes fields has none of the permissions by which its members would come round \
    that (422 `too_narrow`): all of `audit` and `privacy`, and writing `pipeline`, `fields`, `team`, `automation`, \
    `organization` and `jobs`; with closed fields also `automation:read`, as runs tell their facts, and `analytics:read` where a \
    deal's value, probability or date or a contact's source is hidden.\n";

/// What `docs/configuration.md` says.
pub fn configuration() -> String {
    format!(
        "# Settings of the server\n\n\
         Nothing needs to be set. A flag goes before a variable, a variable before the file that `--config` names, the \
         file before the default. Switches are `true` or `false` in variables and in the file; what is repeatable is a \
         list in the file, and stands with commas between in a variable.\n\n\
         `dealwright-server` serves; `dealwright-server migrate --database OWNER_URL --app-role ROLE` brings a \
         PostgreSQL database up to date as its owner and grants the server's role what it needs; \
         `dealwright-server doctor` looks at the database and says what is wrong; `dealwright-server audit-verify` says how far \
         each organisation's audit log is sealed and sound, and fails if one was tampered with.\n\n{}",
        config::markdown()
    )
}
