//! Which way the databases go: along an index, without looking at whole tables and without sorting.

mod analytics_of;
mod contacts_of;
mod deals_of;
mod lists;
mod work;
mod young;

use std::{sync::OnceLock, thread};

use chrono::{DateTime, Utc};
use dealwright_peers::{Postgres, psql};
use uuid::Uuid;

use super::{
    activities, analytics, audit, automation, contacts, fields, identity, in_stages, jobs,
    list::Order,
    listing::{Listed, Listing, Path, in_sight},
    messages, people, pipelines, privacy, secrets,
};
use crate::{
    domain::{
        audit::{AuditEntry, AuditObject},
        chat::ChatState,
        company::Company,
        contact::{Contact, IdentityKind},
        custom_field::{CustomKind, Noun},
        deal::Deal,
        event::{Event, Subject},
        job::{Job, JobState},
        media::Media,
        message::Message,
        note::Note,
        notification::Notification,
        organization::InvitationStatus,
        pipeline::StageMove,
        pipeline::{MoverKind, StageKind},
        retention::Walk,
        run::{Run, RunOutcome},
        task::Task,
    },
    id::*,
    page::{ListKey, PageRequest, Position, SortValue},
    ports::store::{
        AuditFilter, Bounds, ChatFilter, Column, ConversionFilter, FieldKind, Filter, GroupBy, Is, Old, Period, Place,
        Record, RunFilter, SortBy, TaskFilter, TaskSort, Value, ValueFilter, WorkFilter, field_named,
    },
    scope::Sight,
    store::sql::{Db, SqlStore, StoreOptions, migrate, sight, statement::Statement},
};

/// What is out of sight of some, by the names of the tables.
const SHADOWED: [&str; 5] = ["contacts", "deals", "chats", "tasks", "messages"];

const SORTS: [(&str, &str); 5] = [
    ("created_at", "created"),
    ("updated_at", "updated"),
    ("name", "name"),
    ("last_message_at", "last_message"),
    ("score", "score"),
];

/// Rows enough that a wrong way would be dearer: one organisation of 20,000 contacts among others, with stages,
/// assignees, sources and tags that are common and some that are rare.
const ROWS: &str = "
SET session_replication_role = replica;
CREATE FUNCTION pg_temp.n(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT lpad(to_hex(n), 32, '0')::uuid $$;
INSERT INTO pipelines SELECT pg_temp.n(i), pg_temp.n(o), 'P', false, i, i, 1 FROM generate_series(1, 2) o, generate_series(1, 3) i;
INSERT INTO stages SELECT pg_temp.n(i), pg_temp.n(o), CASE WHEN i = 11 THEN pg_temp.n(3) ELSE pg_temp.n(1 + i % 2) END, 'S', i,
    NULL, 'open', NULL, '[]', i, i, 1 FROM generate_series(1, 2) o, generate_series(1, 11) i;
INSERT INTO contacts SELECT pg_temp.n(i), pg_temp.n(o), 'C', md5(i::text), '[]', '[]', '{}', NULL,
    pg_temp.n(CASE WHEN i % 100 = 7 THEN 6 ELSE 1 + i % 5 END), NULL, CASE WHEN i % 100 = 9 THEN 'rare' ELSE 'source' || i % 5 END,
    '[]', '{}', '{}', pg_temp.n(CASE WHEN i % 100 = 8 THEN 11 ELSE 1 + i % 10 END),
    pg_temp.n(CASE WHEN i % 100 = 8 THEN 3 ELSE 1 + i % 2 END), pg_temp.n(i), i, i % 100, NULL, NULL,
    CASE WHEN i % 2 = 0 THEN i END, i, i, CASE WHEN i % 20 = 0 THEN i END, 1
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO contact_keys SELECT pg_temp.n(o), pg_temp.n(i), NULL FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO contact_identities SELECT pg_temp.n(o), 'email', i || '@example.org', pg_temp.n(i), true
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO contact_tags SELECT pg_temp.n(o), CASE WHEN i % 5 = 0 THEN 'common' ELSE 'tag' || i % 1000 END, pg_temp.n(i)
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO companies SELECT pg_temp.n(i), pg_temp.n(o), 'C', md5(i::text), CASE WHEN i % 2 = 0 THEN i || '.example' END,
    'industry' || i % 5, i, NULL, '[]', '{}', '{}', i, i, CASE WHEN i % 20 = 0 THEN i END, 1
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO company_tags SELECT pg_temp.n(o), CASE WHEN i % 5 = 0 THEN 'common' ELSE 'tag' || i % 1000 END, pg_temp.n(i)
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO custom_fields SELECT pg_temp.n(i), pg_temp.n(o), 'contact', 'k' || i, 'L', 'text', '[]', i, i, 1
    FROM generate_series(1, 2) o, generate_series(1, 5) i;
INSERT INTO custom_values SELECT pg_temp.n(o), pg_temp.n(f), CASE WHEN f = 1 THEN md5(i::text) ELSE 'v' || i % 3 END, pg_temp.n(i)
    FROM generate_series(1, 2) o, generate_series(1, 3) f, generate_series(1, 20000) i;
INSERT INTO external_ids SELECT pg_temp.n(o), 'contact', 'erp', i::text, pg_temp.n(i)
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO stage_history SELECT pg_temp.n(i), pg_temp.n(o), pg_temp.n(1 + i % 1000), NULL, pg_temp.n(1 + i % 2), NULL,
    pg_temp.n(1 + i % 10), NULL, i, i + 5, pg_temp.n(1 + (i + 1) % 10), false, NULL, NULL, NULL
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO deals SELECT pg_temp.n(i), pg_temp.n(o), 'D', md5(i::text), pg_temp.n(1 + i % 5000), CASE WHEN i % 3 = 0 THEN pg_temp.n(1 + i % 50) END,
    pg_temp.n(1 + i % 2), pg_temp.n(1 + i % 10), pg_temp.n(i), i, i * 10000, CASE WHEN i % 3 = 0 THEN 'USD' ELSE 'EUR' END,
    CASE WHEN i % 7 = 0 THEN 0.5 END, NULL, pg_temp.n(1 + i % 50), NULL, NULL, CASE WHEN i % 20 = 0 THEN 'lost' WHEN i % 20 = 1 THEN 'won' ELSE 'open' END,
    CASE WHEN i % 20 < 2 THEN i END, '{}', '{}', i, i, CASE WHEN i % 20 = 3 THEN i END, 1 FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO notes SELECT pg_temp.n(i), pg_temp.n(o), pg_temp.n(1 + i % 1000), NULL, 'N', NULL, i, i, 1
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO tasks SELECT pg_temp.n(i), pg_temp.n(o), pg_temp.n(1 + i % 1000), NULL, 'T', i, NULL, pg_temp.n(1 + i % 50), i % 10 <> 0,
    NULL, false, false, NULL, i, i, 1 FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO stage_history SELECT pg_temp.n(100000 + i), pg_temp.n(o), NULL, pg_temp.n(1 + i % 1000), pg_temp.n(1 + i % 2), NULL,
    pg_temp.n(1 + i % 10), NULL, i, i + 5, pg_temp.n(1 + (i + 1) % 10), false, NULL, NULL, NULL
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO accounts SELECT pg_temp.n(i), pg_temp.n(o), 'email', 'A', 'h' || i, pg_temp.n(i), 'team', 'active', 1, NULL, NULL,
    NULL, 'own', NULL, i, i, NULL, 1 FROM generate_series(1, 2) o, generate_series(1, 2000) i;
INSERT INTO chats SELECT pg_temp.n(i), pg_temp.n(o), pg_temp.n(1 + i % 20), 'email', 'k' || i, NULL, pg_temp.n(1 + i % 5000), NULL,
    i, CASE WHEN i % 50 = 0 THEN 1 ELSE 0 END, pg_temp.n(1 + i % 5), CASE WHEN i % 10 = 0 THEN 'open' ELSE 'closed' END, NULL,
    NULL, NULL, NULL, '[]', i, 1 FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO messages SELECT pg_temp.n(i), pg_temp.n(o), pg_temp.n(1 + i % 20), pg_temp.n(1 + i % 200), 'email',
    CASE WHEN i % 2 = 0 THEN 'incoming' ELSE 'outgoing' END, '{}', NULL, pg_temp.n(1 + i % 1000), i, i % 30 <> 0, 'sent', NULL, NULL, '{}',
    'p' || i, 'r' || i, NULL, i FROM generate_series(1, 2) o, generate_series(1, 40000) i;
INSERT INTO message_credits SELECT pg_temp.n(o), i, pg_temp.n(i), pg_temp.n(1 + i % 50), CASE WHEN i % 2 = 0 THEN 'sent' ELSE 'reply' END,
    CASE WHEN i % 4 = 0 THEN i END FROM generate_series(1, 2) o, generate_series(1, 40000) i;
INSERT INTO rules SELECT pg_temp.n(i), pg_temp.n(o), 's' || i, 'R', true, 'declarative', i, '{}', '{}', '{}',
    CASE WHEN i % 500 = 0 THEN 1 ELSE 0 END, NULL, NULL, i, i, 1 FROM generate_series(1, 2) o, generate_series(1, 2000) i;
INSERT INTO runs SELECT pg_temp.n(i), pg_temp.n(o), pg_temp.n(1 + i % 20), 1, pg_temp.n(i), 'stage.changed',
    pg_temp.n(1 + i % 1000), CASE WHEN i % 2 = 0 THEN pg_temp.n(1 + i % 1000) END, CASE WHEN i % 50 = 0 THEN 'failed' ELSE 'applied' END, '{}', '[]', 1, NULL, false, i
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO timers SELECT pg_temp.n(i), pg_temp.n(o), pg_temp.n(1 + i % 20), 'contact', pg_temp.n(i), pg_temp.n(i), i, false
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO jobs SELECT pg_temp.n(i), pg_temp.n(o), 'send_message', '{}',
    CASE WHEN i % 10 = 0 THEN pg_temp.n(1 + i % 20) END, CASE WHEN i % 50 = 0 THEN 'queued' ELSE 'done' END,
    0, 0, i, NULL, NULL, NULL, i, i FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO notifications SELECT pg_temp.n(i), pg_temp.n(o), pg_temp.n(1 + i % 5), 'k', 't', NULL, pg_temp.n(1 + i % 1000), CASE WHEN i % 2 = 0 THEN pg_temp.n(1 + i % 1000) END, NULL, NULL, '{}', i % 10 <> 0, i
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO media SELECT pg_temp.n(i), pg_temp.n(o), 'F', 't', 1, NULL, pg_temp.n(1 + i % 1000), i, i FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO retention_marks SELECT pg_temp.n(o), CASE WHEN i % 2 = 0 THEN 'jobs' ELSE 'events' END, pg_temp.n(i)
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO events SELECT pg_temp.n(i), pg_temp.n(o), 'contact.updated', 'contact', pg_temp.n(i % 200), i / 200, i, '{}', '{}', '{}', '{}'
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO audit_entries SELECT pg_temp.n(i), pg_temp.n(o), i, '{}', CASE WHEN i % 10 <> 0 THEN pg_temp.n(1 + i % 50) END,
    CASE WHEN i % 100 = 9 THEN 'members.set_role' ELSE 'auth.sign_in' END, CASE WHEN i % 100 = 9 THEN 'member' ELSE 'session' END,
    pg_temp.n(1 + i % 1000), '{}', uuid_send(pg_temp.n(i)), CASE WHEN i <= 19900 THEN i END, CASE WHEN i <= 19900 THEN uuid_send(pg_temp.n(i)) END
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO subjects SELECT pg_temp.n(o), pg_temp.n(i), 'contact', 100, 90 FROM generate_series(1, 2) o, generate_series(0, 199) i;
INSERT INTO work (lane, id, organization_id, due_at, token, generation) SELECT 'dispatch', pg_temp.n(i), pg_temp.n(1), i, 0, 1
    FROM generate_series(1, 20000) i;
INSERT INTO sessions SELECT pg_temp.n(i), pg_temp.n(1 + i % 20), pg_temp.n(1), uuid_send(pg_temp.n(i)), uuid_send(pg_temp.n(i + 1)), i, i, NULL, NULL, i::text, NULL, '[]', i, i
    FROM generate_series(1, 20000) i;
INSERT INTO users SELECT pg_temp.n(i), i || '@example.org', 'U', NULL, NULL, NULL, '{}', false, i, 1 FROM generate_series(1, 5000) i;
INSERT INTO identities SELECT pg_temp.n(i), pg_temp.n(1 + i % 2000), 'google', i::text, NULL, NULL, i FROM generate_series(1, 5000) i;
INSERT INTO login_states SELECT pg_temp.n(i), uuid_send(pg_temp.n(i)), NULL, pg_temp.n(1 + i % 5), '', NULL, i, i FROM generate_series(1, 5000) i;
INSERT INTO second_factors SELECT pg_temp.n(i), pg_temp.n(1 + i % 5), '', true, 0, '[]', i FROM generate_series(1, 5000) i;
INSERT INTO account_secrets SELECT pg_temp.n(i), pg_temp.n(o), pg_temp.n(1 + i % 5), '' FROM generate_series(1, 2) o, generate_series(1, 2000) i;
INSERT INTO data_keys SELECT pg_temp.n(i), pg_temp.n(o), 'm', '', i, CASE WHEN i < 50 THEN i END FROM generate_series(1, 50) o, generate_series(1, 50) i;
INSERT INTO common_keys SELECT pg_temp.n(i), 'm', '', i, i FROM generate_series(1, 2000) i;
INSERT INTO roles SELECT pg_temp.n(i)::text, pg_temp.n(o), 'R' || i, 'r' || i, '[]', 'organization', '{}', 0, i, i, 1 FROM generate_series(1, 20) o, generate_series(1, 100) i;
INSERT INTO memberships SELECT pg_temp.n(o), pg_temp.n(i), CASE WHEN i % 100 = 9 THEN pg_temp.n(9)::text ELSE 'member' END, i FROM generate_series(1, 2) o, generate_series(1, 5000) i;
INSERT INTO invitations SELECT pg_temp.n(o * 100000 + i), pg_temp.n(o), i || '@example.org', 'member', NULL, NULL,
    uuid_send(pg_temp.n(o * 100000 + i)), CASE WHEN i % 20 = 0 THEN 'pending' ELSE 'accepted' END, i, i
    FROM generate_series(1, 2) o, generate_series(1, 5000) i;
INSERT INTO api_keys SELECT pg_temp.n(o * 100000 + i), pg_temp.n(o), 'K', 'dw_', uuid_send(pg_temp.n(o * 100000 + i)), '[]',
    pg_temp.n(1 + i % 50), NULL, NULL, NULL, i FROM generate_series(1, 2) o, generate_series(1, 5000) i;
INSERT INTO teams SELECT pg_temp.n(i), pg_temp.n(o), 'T' || i, 't' || i, i, i, 1 FROM generate_series(1, 2) o, generate_series(1, 1000) i;
INSERT INTO team_members SELECT pg_temp.n(o), pg_temp.n(1 + i % 50), pg_temp.n(i), i FROM generate_series(1, 2) o, generate_series(1, 5000) i;
ANALYZE;
";

/// A database with [`ROWS`], made once; each test has connections of its own.
fn filled() -> &'static str {
    static FILLED: OnceLock<(Postgres, String)> = OnceLock::new();
    let make = || {
        let server = Postgres::start().unwrap();
        let urls = server.fresh_database("plans").unwrap();
        let owner = urls.owner.clone();
        // On a thread of its own: a runtime cannot wait for another one.
        let migrated = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(migrate(&owner, "crm_app", &StoreOptions::default()))
        });
        migrated.join().unwrap().unwrap();
        let (_, database) = urls.app.rsplit_once('/').unwrap();
        let superuser = format!("{}/{database}", server.superuser().rsplit_once('/').unwrap().0);
        psql(&superuser, ROWS).unwrap();
        // An index answers by itself only where the table's pages are known to be visible to all, as autovacuum sees to.
        psql(&superuser, "VACUUM ANALYZE deals").unwrap();
        // Pages of an index and of its table are as near as on any disk without moving parts.
        psql(&superuser, &format!("ALTER DATABASE {database} SET random_page_cost = 1.1")).unwrap();
        (server, urls.app)
    };
    &FILLED.get_or_init(make).1
}

async fn stores() -> [SqlStore; 2] {
    let options = StoreOptions::default();
    let postgres = SqlStore::open(filled(), options.clone()).await.unwrap();
    [SqlStore::open("sqlite::memory:", options).await.unwrap(), postgres]
}

fn n<T: Id>(n: u128) -> T {
    T::from_uuid(Uuid::from_u128(n))
}

fn at(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap()
}

async fn explain(store: &SqlStore, statement: &Statement) -> String {
    let explain = match store.db() {
        Db::Sqlite => "EXPLAIN QUERY PLAN ",
        Db::Postgres => "EXPLAIN (COSTS OFF) ",
    };
    let statement = Statement { text: format!("{explain}{}", statement.text), values: statement.values.clone() };
    let rows = store.rows(Some(n(1)), statement).await.unwrap();
    let line = |row: Vec<Value>| match row.into_iter().next_back() {
        Some(Value::Text(line)) => line,
        other => panic!("{other:?} is no line of a plan"),
    };
    rows.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What a plan does that grows with the table. SQLite calls a walk along an index `SEARCH`, PostgreSQL `Index Scan`.
fn faults(db: Db, plan: &str) -> Vec<String> {
    let bad = |line: &&str| match db {
        // `p` is what was picked, `p…` what was counted up to a bound, `u…` the parts of a compound, `r` of a derived table:
        // bounded before.
        Db::Sqlite => {
            let scanned = line.strip_prefix("SCAN ").is_some_and(|rest| {
                let name = rest.split(' ').next().unwrap_or_default();
                let counted = name.strip_prefix('p').is_some_and(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
                !counted && !["r", "CONSTANT"].contains(&name) && !name.starts_with("u") && !name.contains("subquery")
            });
            scanned || line.contains("TEMP B-TREE")
        }
        // An organisation has a handful of pipelines and stages.
        Db::Postgres => {
            let few = ["on pipelines ", "on stages "].iter().any(|it| line.contains(it));
            line.contains("Seq Scan") && !few || line.contains("Sort")
        }
    };
    plan.lines().filter(bad).map(str::to_owned).collect()
}

/// The sort key of a statement that goes on after a cursor.
fn key_of(statement: &Statement) -> Option<&str> {
    let key = statement.text.split(" AND (t.").nth(1)?.split([',', ')']).next()?;
    key.chars().all(|c| c.is_ascii_lowercase() || c == '_').then_some(key)
}

/// Whether the place after a cursor is found by the index: key and id are conditions on it, not tests of each row.
fn seeks(db: Db, plan: &str, key: &str) -> bool {
    let plan = plan.replace("t.", "").replace('"', "");
    // Members have no id of their own.
    let plan = plan.replace(",user_id)", ",id)").replace(", user_id)", ", id)");
    ["<", ">"].iter().any(|than| match db {
        Db::Sqlite => {
            plan.contains(&format!(" AND ({key},id){than}(?,?)")) || plan.contains(&format!(" AND {key}{than}?"))
        }
        Db::Postgres => plan.lines().filter(|it| it.contains("Index Cond")).any(|conditions| {
            conditions.contains(&format!("(ROW({key}, id) {than} ROW("))
                || conditions.contains(&format!("({key} {than} "))
        }),
    })
}

/// What is wrong with a plan that should walk this index.
fn flaw(db: Db, what: &str, statement: &Statement, index: &str, plan: &str) -> Option<String> {
    let via = plan.contains(&format!(" {index} ")) || plan.lines().any(|it| it.ends_with(&format!(" {index}")));
    let sought = key_of(statement).is_none_or(|key| seeks(db, plan, key));
    println!("plan: {db:?}: {what}: {index}");
    let good = faults(db, plan).is_empty() && via && sought;
    (!good).then(|| format!("{what} on {db:?}, wanted by {index}:\n{}\n{plan}\n", statement.text))
}

async fn assert_plan(stores: &[SqlStore], what: &str, statement: &Statement, index: &str) {
    for store in stores {
        let plan = explain(store, statement).await;
        let flaw = flaw(store.db(), what, statement, index, &plan);
        assert_eq!(flaw, None, "{}", flaw.as_deref().unwrap_or_default());
        assert_plan_of_some(store, what, statement, index).await;
    }
}

/// Who sees some records alone goes the same way, and looks at each row.
async fn assert_plan_of_some(store: &SqlStore, what: &str, statement: &Statement, index: &str) {
    let sight = Sight::Limited { user: n(3), teams: [n(3), n(4)].into() };
    let limited = sight::limit(store.db(), &sight, statement.clone());
    if limited == *statement {
        return;
    }
    // The table goes by the name that it has where it is looked through.
    let plan = explain(store, &limited).await.replace("v.", "t.").replace(" v ", " t ");
    let flaw = flaw(store.db(), &format!("{what}, of some"), &limited, index, &plan);
    assert_eq!(flaw, None, "{}", flaw.as_deref().unwrap_or_default());
    let apart = ["MATERIALIZE", "CO-ROUTINE", "CTE Scan", "Subquery Scan"].iter().any(|word| {
        plan.lines().any(|line| line.contains(word) && SHADOWED.iter().any(|table| line.contains(&format!(" {table}"))))
    });
    assert!(!apart, "{what}: a table is looked through as a whole:\n{}\n{plan}", limited.text);
}

/// How PostgreSQL goes about a statement whose values it does not look at, as it may once a connection has asked it a few
/// times.
fn generic(url: &str, statement: &Statement) -> String {
    let nothing = vec!["NULL"; statement.values.len()].join(", ");
    let sql = format!(
        "SET app.organization_id = '{}'; SET plan_cache_mode = force_generic_plan; PREPARE it AS {}; \
         EXPLAIN (COSTS OFF) EXECUTE it({nothing})",
        Uuid::from_u128(1),
        statement.text
    );
    psql(url, &sql).unwrap_or_else(|error| panic!("{}: {error}", statement.text))
}

/// The list's first page, and one after a cursor.
fn pages((statement, order): (Statement, Order)) -> [Statement; 2] {
    let list = ListKey::of(&"plans");
    let value = if order.text { SortValue::Text("7".to_owned()) } else { SortValue::Int(15_000) };
    let cursor = Position { value, id: Uuid::from_u128(15_000) }.encode(list);
    [None, Some(cursor)].map(|cursor| {
        let mut statement = statement.clone();
        let after = cursor.is_some();
        order.finish(&mut statement, list, &PageRequest { limit: None, cursor }).unwrap();
        assert_eq!(key_of(&statement).is_some(), after);
        statement
    })
}

fn activities_of<T: Record>() -> (Statement, Order) {
    let on = Subject::from(n::<ContactId>(3));
    (activities::on_subject::<T>(n(1), on), Order::newest("t.created_at"))
}

fn tasks(user: Option<u128>, done: Option<bool>, sort: TaskSort) -> (Statement, Order) {
    let filter = TaskFilter { assigned_to: user.map(n), done, ..TaskFilter::default() };
    (activities::tasks(n(1), &filter, sort), activities::task_order(sort, true))
}

/// Tasks on a contact or a deal that are done or not, of whoever or of one user.
fn tasks_on(deal: bool, user: Option<u128>, sort: TaskSort) -> (Statement, Order) {
    let (contact_id, deal_id) = if deal { (None, Some(n(3))) } else { (Some(n(3)), None) };
    let filter = TaskFilter { contact_id, deal_id, assigned_to: user.map(n), ..TaskFilter::default() };
    (activities::tasks(n(1), &filter, sort), activities::task_order(sort, true))
}

fn tasks_by_date(user: Option<u128>) -> Statement {
    let filter = TaskFilter { assigned_to: user.map(n), ..TaskFilter::default() };
    let (list, order) = (ListKey::of(&"plans"), activities::task_order(TaskSort::DueAt, true));
    let cursor = Position { value: SortValue::Int(15_000), id: Uuid::from_u128(15_000) }.encode(list);
    let page = PageRequest { limit: None, cursor: Some(cursor) };
    activities::tasks_by_date(n(1), &filter, order, list, &page).unwrap().0
}

fn place(noun: Noun, name: &str) -> Place {
    Place::Field(field_named(noun, name).unwrap())
}

fn equal(noun: Noun, name: &str, value: &impl Column) -> Filter {
    Filter::Test(place(noun, name), Is::AnyOf(vec![value.to_value()]))
}

fn text(name: &str, value: &str) -> Filter {
    equal(Noun::Contact, name, &value.to_owned())
}

fn custom(number: u128) -> Place {
    Place::Custom { id: n(number), key: format!("k{number}"), kind: CustomKind::Text }
}

/// The first page and one after a cursor, in both directions.
fn listed<T: Listed>(filter: &Filter, place: &Place, collect: Option<&Filter>) -> Vec<Statement> {
    let list = ListKey::of(&"plans");
    let is_text = match place {
        Place::Field(field) => matches!(field.kind, FieldKind::Name | FieldKind::Date),
        Place::Custom { .. } | Place::ExternalId(_) => true,
    };
    let value = if is_text { SortValue::Text("7".to_owned()) } else { SortValue::Int(50) };
    let cursor = Position { value, id: Uuid::from_u128(50) }.encode(list);
    let mut pages = Vec::new();
    for descending in [true, false] {
        for cursor in [None, Some(cursor.clone())] {
            let page = PageRequest { limit: None, cursor };
            let sort = SortBy { place: place.clone(), descending };
            // The database matters to tests of single rows alone; these read the same on both.
            let listing = Listing::new(n(1), Db::Postgres, filter, &sort);
            pages.push(listing.statement::<T>(collect, list, &page).unwrap().0);
        }
    }
    pages
}

/// Goes by one of the indexes, and looks at no table as a whole.
async fn assert_no_scan(stores: &[SqlStore], what: &str, statement: &Statement, indexes: &[&str]) {
    for store in stores {
        let plan = explain(store, statement).await;
        let via = indexes.iter().any(|index| plan.contains(index));
        let whole = [
            "contacts",
            "deals",
            "stage_history",
            "messages",
            "message_credits",
            "memberships",
            "roles",
            "contact_identities",
            "tasks",
            "t",
            "h",
            "m",
            "i",
            "c",
            "d",
            "o",
        ];
        let scans = plan.lines().any(|line| {
            let scanned = line
                .trim()
                .strip_prefix("SCAN ")
                .or(line.trim_start_matches(['-', '>', ' ']).strip_prefix("Seq Scan on "));
            scanned.is_some_and(|rest| whole.contains(&rest.split(' ').next().unwrap_or_default()))
        });
        println!("plan: {:?}: {what}: one of {indexes:?}", store.db());
        assert!(via && !scans, "{what} on {:?}:\n{}\n{plan}", store.db(), statement.text);
    }
}
