//! Which way the databases go: along an index, without looking at whole tables and without sorting.

use std::{sync::OnceLock, thread};

use chrono::{DateTime, Utc};
use dealwright_peers::{Postgres, psql};
use uuid::Uuid;

use super::{
    activities, analytics, automation, contacts, fields, identity, in_stages, jobs,
    list::Order,
    listing::{Listed, Listing},
    messages, people, pipelines,
};
use crate::{
    domain::{
        chat::ChatState,
        company::Company,
        contact::{Contact, IdentityKind},
        custom_field::{CustomKind, Noun},
        deal::Deal,
        event::Subject,
        job::JobState,
        note::Note,
        organization::InvitationStatus,
        pipeline::{MoverKind, StageKind},
        run::RunOutcome,
        task::Task,
    },
    id::*,
    page::{ListKey, PageRequest, Position, SortValue},
    ports::store::{
        Bounds, ChatFilter, Column, ConversionFilter, FieldKind, Filter, GroupBy, Is, Period, Place, RunFilter, SortBy,
        TaskFilter, TaskSort, Value, ValueFilter, WorkFilter, field_named,
    },
    store::sql::{Db, SqlStore, StoreOptions, migrate, statement::Statement},
};

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
    CASE WHEN i % 2 = 0 THEN 'incoming' ELSE 'outgoing' END, '{}', NULL, NULL, i, i % 30 <> 0, 'sent', NULL, NULL, '{}',
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
INSERT INTO jobs SELECT pg_temp.n(i), pg_temp.n(o), 'send_message', '{}', CASE WHEN i % 50 = 0 THEN 'queued' ELSE 'done' END,
    0, 0, i, NULL, NULL, NULL, i, i FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO notifications SELECT pg_temp.n(i), pg_temp.n(o), pg_temp.n(1 + i % 5), 'k', 't', NULL, NULL, NULL, '{}', i % 10 <> 0, i
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO events SELECT pg_temp.n(i), pg_temp.n(o), 'contact.updated', 'contact', pg_temp.n(i % 200), i / 200, i, '{}', '{}', '{}', '{}'
    FROM generate_series(1, 2) o, generate_series(1, 20000) i;
INSERT INTO subjects SELECT pg_temp.n(o), pg_temp.n(i), 'contact', 100, 90 FROM generate_series(1, 2) o, generate_series(0, 199) i;
INSERT INTO sessions SELECT pg_temp.n(i), pg_temp.n(1 + i % 20), pg_temp.n(1), uuid_send(pg_temp.n(i)), uuid_send(pg_temp.n(i + 1)), i, i, NULL, NULL, NULL, i
    FROM generate_series(1, 20000) i;
INSERT INTO users SELECT pg_temp.n(i), i || '@example.org', 'U', NULL, NULL, NULL, '{}', false, i FROM generate_series(1, 5000) i;
INSERT INTO memberships SELECT pg_temp.n(o), pg_temp.n(i), 'member', i FROM generate_series(1, 2) o, generate_series(1, 5000) i;
INSERT INTO invitations SELECT pg_temp.n(o * 100000 + i), pg_temp.n(o), i || '@example.org', 'member', NULL, NULL,
    uuid_send(pg_temp.n(o * 100000 + i)), CASE WHEN i % 20 = 0 THEN 'pending' ELSE 'accepted' END, i, i
    FROM generate_series(1, 2) o, generate_series(1, 5000) i;
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
        // `p` is what was picked, `u…` the parts of a compound, `r` of a derived table: bounded before.
        Db::Sqlite => {
            let scanned = line.strip_prefix("SCAN ").is_some_and(|rest| {
                let name = rest.split(' ').next().unwrap_or_default();
                !["p", "r", "CONSTANT"].contains(&name) && !name.starts_with("u") && !name.contains("subquery")
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

async fn assert_plan(stores: &[SqlStore], what: &str, statement: &Statement, index: &str) {
    for store in stores {
        let plan = explain(store, statement).await;
        let faults = faults(store.db(), &plan);
        let via = plan.contains(&format!(" {index} ")) || plan.lines().any(|it| it.ends_with(&format!(" {index}")));
        let sought = key_of(statement).is_none_or(|key| seeks(store.db(), &plan, key));
        assert!(
            faults.is_empty() && via && sought,
            "{what} on {:?}, wanted by {index}:\n{}\n{plan}",
            store.db(),
            statement.text
        );
    }
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

fn activities_of<T: crate::ports::store::Record>() -> (Statement, Order) {
    let on = Subject::from(n::<ContactId>(3));
    (activities::on_subject::<T>(n(1), on), Order::newest("t.created_at"))
}

fn tasks(user: Option<u128>, done: Option<bool>, sort: TaskSort) -> (Statement, Order) {
    let filter = TaskFilter { assigned_to: user.map(n), done, ..TaskFilter::default() };
    activities::tasks(n(1), &filter, sort, true)
}

#[tokio::test]
async fn lists_walk_an_index() {
    let stores = stores().await;
    let chats = ChatFilter::default;
    let runs = RunFilter::default;
    let lists = [
        ("inbox", messages::inbox(n(1), &chats()), "chats_inbox"),
        ("inbox of account", messages::inbox(n(1), &ChatFilter { account_id: Some(n(3)), ..chats() }), "chats_account"),
        ("inbox of contact", messages::inbox(n(1), &ChatFilter { contact_id: Some(n(3)), ..chats() }), "chats_contact"),
        ("inbox of user", messages::inbox(n(1), &ChatFilter { assigned_to: Some(n(3)), ..chats() }), "chats_assigned"),
        ("open inbox", messages::inbox(n(1), &ChatFilter { state: Some(ChatState::Open), ..chats() }), "chats_state"),
        ("unread inbox", messages::inbox(n(1), &ChatFilter { unread: Some(true), ..chats() }), "chats_unread"),
        ("messages", messages::of_chat(n(1), n(3)), "messages_chat"),
        ("history", pipelines::history(n(1), Subject::from(n::<ContactId>(3))), "stage_history_contact"),
        ("history of deal", pipelines::history(n(1), Subject::from(n::<DealId>(3))), "stage_history_deal"),
        ("notes", activities_of::<Note>(), "notes_contact"),
        ("tasks of contact", activities_of::<Task>(), "tasks_contact"),
        ("tasks", tasks(None, None, TaskSort::CreatedAt), "tasks_created"),
        ("tasks of user", tasks(Some(3), None, TaskSort::CreatedAt), "tasks_assigned_created"),
        ("tasks by date", tasks(None, Some(false), TaskSort::DueAt), "tasks_due"),
        ("done ones of user by date", tasks(Some(3), Some(true), TaskSort::DueAt), "tasks_assigned_due"),
        ("runs of deal", automation::runs(n(1), &RunFilter { deal_id: Some(n(3)), ..runs() }), "runs_deal"),
        ("runs", automation::runs(n(1), &runs()), "runs_created"),
        ("runs of rule", automation::runs(n(1), &RunFilter { rule_id: Some(n(3)), ..runs() }), "runs_rule"),
        ("runs of contact", automation::runs(n(1), &RunFilter { contact_id: Some(n(3)), ..runs() }), "runs_contact"),
        ("failed", automation::runs(n(1), &RunFilter { outcome: Some(RunOutcome::Failed), ..runs() }), "runs_outcome"),
        ("events", automation::events_of(n(1), Subject::from(n::<ContactId>(3))), "events_subject"),
        ("jobs", jobs::jobs(n(1), None), "jobs_created"),
        ("queued jobs", jobs::jobs(n(1), Some(JobState::Queued)), "jobs_state"),
        ("notifications", jobs::notifications(n(1), n(3)), "notifications_user"),
        ("members", people::members(n(1)), "memberships_created"),
        ("sessions", identity::sessions(n(3), at(2_500)), "sessions_user"),
        ("members of team", people::team_members(n(1), n(3)), "team_members_created"),
        ("invitations", people::invitations(n(1), None, at(2_500)), "invitations_created"),
        ("open ones", people::invitations(n(1), Some(InvitationStatus::Pending), at(2_500)), "invitations_status"),
        ("late ones", people::invitations(n(1), Some(InvitationStatus::Expired), at(2_500)), "invitations_status"),
    ];
    for (what, list, index) in lists {
        for statement in pages(list) {
            assert_plan(&stores, what, &statement, index).await;
        }
    }
    let after: Option<ContactId> = Some(n(500));
    let lookups = [
        ("in a stage", in_stages::in_stages::<Contact, _>(n(1), &[n(3)], after, 100), "contacts_stage"),
        ("in a stage", in_stages::in_stages::<Deal, DealId>(n(1), &[n(3)], Some(n(500)), 100), "deals_stage"),
        ("deleted", in_stages::deleted_in_stages::<Contact>(n(1), &[n(3), n(4)], 100), "contacts_stage_updated"),
        ("deleted", in_stages::deleted_in_stages::<Deal>(n(1), &[n(3), n(4)], 100), "deals_stage_updated"),
        ("timers of rule", automation::timers_of_rule(n(1), n(3), None, 100), "timers_rule"),
        ("timers of rule", automation::timers_of_rule(n(1), n(3), Some(n(500)), 100), "timers_rule"),
        ("failing rules", automation::rules_state(n(1)), "rules_failing"),
        ("pending events", automation::pending(n(1), &[Uuid::from_u128(3), Uuid::from_u128(4)], 10), "events_subject"),
        ("unread messages", messages::unread(n(1), n(3), at(20_000)), "messages_unread"),
        ("references", messages::references(n(1), n(3), 20), "messages_chat"),
        ("contacts of user", people::contacts_by(n(1), "assigned_to", n::<UserId>(6), 200), "contacts_assigned"),
        ("chats of user", people::chats_assigned_to(n(1), n(3), 200), "chats_assigned"),
        ("open invitation", people::open_invitation(n(1), "20@example.org"), "invitations_pending"),
        ("session", identity::by_refresh_hash(&[1]), "sessions_previous_hash"),
        ("session", identity::by_refresh_hash(&[1]), "sessions_refresh_hash"),
    ];
    for (what, statement, index) in lookups {
        assert_plan(&stores, what, &statement, index).await;
    }
}

#[tokio::test]
async fn of_several_conditions_the_most_telling_one_leads() {
    let stores = stores().await;
    let mut lists = vec![(
        "latest chat",
        [messages::latest(n(1), n(3), None), messages::latest(n(1), n(3), Some(n(3)))],
        "chats_contact",
    )];
    for bits in 0_u32..32 {
        let has = |bit: u32| (bits >> bit) % 2 == 1;
        let filter = ChatFilter {
            contact_id: has(4).then(|| n(3)),
            unread: has(3).then_some(true),
            assigned_to: has(2).then(|| n(3)),
            account_id: has(1).then(|| n(3)),
            state: has(0).then_some(ChatState::Open),
        };
        let index = match 31 - bits.leading_zeros().min(31) {
            4 => "chats_contact",
            3 => "chats_unread",
            2 => "chats_assigned",
            1 => "chats_account",
            _ if bits == 1 => "chats_state",
            _ => "chats_inbox",
        };
        lists.push(("inbox", pages(messages::inbox(n(1), &filter)), index));
    }
    for (contact, rule, outcome, index) in [
        (true, true, Some(RunOutcome::Failed), "runs_contact"),
        (false, true, Some(RunOutcome::Failed), "runs_outcome"),
        (false, true, Some(RunOutcome::Applied), "runs_rule"),
        (true, false, Some(RunOutcome::Applied), "runs_contact"),
    ] {
        let (contact_id, rule_id) = (contact.then(|| n(3)), rule.then(|| n(3)));
        let filter = RunFilter { contact_id, deal_id: None, rule_id, outcome };
        lists.push(("runs", pages(automation::runs(n(1), &filter)), index));
    }
    for (what, statements, index) in lists {
        for statement in statements {
            assert_plan(&stores, what, &statement, index).await;
        }
    }
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

#[tokio::test]
async fn contacts_walk_the_index_of_their_sort() {
    let stores = stores().await;
    let contact = Noun::Contact;
    let stage = || equal(contact, "stage_id", &n::<StageId>(3));
    let assignee = || equal(contact, "assigned_to", &n::<UserId>(3));
    let tag = || text("tags", "common");
    for (sort, name) in SORTS {
        for (filter, index) in [
            (vec![], format!("contacts_{name}")),
            (vec![stage()], format!("contacts_stage_{name}")),
            (vec![tag()], format!("contacts_{name}")),
            (vec![tag(), stage()], format!("contacts_stage_{name}")),
            (vec![tag(), assignee()], {
                if sort == "created_at" { "contacts_assigned".into() } else { format!("contacts_{name}") }
            }),
        ] {
            let filter = Filter::All(filter);
            for statement in listed::<Contact>(&filter, &place(contact, sort), None) {
                assert_plan(&stores, &format!("{filter:?} by {name}"), &statement, &index).await;
            }
        }
    }
    for (filter, index) in [(assignee(), "contacts_assigned"), (text("source", "source1"), "contacts_source")] {
        for statement in listed::<Contact>(&filter, &place(contact, "created_at"), None) {
            assert_plan(&stores, &format!("{filter:?}"), &statement, index).await;
        }
    }
}

#[tokio::test]
async fn companies_walk_the_index_of_their_sort() {
    let stores = stores().await;
    let company = Noun::Company;
    for (sort, index) in
        [("created_at", "companies_created"), ("updated_at", "companies_updated"), ("name", "companies_name")]
    {
        for statement in listed::<Company>(&Filter::default(), &place(company, sort), None) {
            assert_plan(&stores, sort, &statement, index).await;
        }
    }
    let industry = equal(company, "industry", &"industry3".to_owned());
    for statement in listed::<Company>(&industry, &place(company, "created_at"), None) {
        assert_plan(&stores, "industry", &statement, "companies_industry").await;
    }
}

#[tokio::test]
async fn deals_walk_the_index_of_their_sort() {
    let stores = stores().await;
    let deal = Noun::Deal;
    for (sort, index) in [
        ("created_at", "deals_created"),
        ("updated_at", "deals_updated"),
        ("name", "deals_name"),
        ("value", "deals_worth"),
        ("expected_close_on", "deals_close"),
    ] {
        for statement in listed::<Deal>(&Filter::default(), &place(deal, sort), None) {
            assert_plan(&stores, sort, &statement, index).await;
        }
    }
    for (filter, index) in [
        (equal(deal, "contact_id", &n::<ContactId>(3)), "deals_contact"),
        (equal(deal, "company_id", &n::<CompanyId>(4)), "deals_company"),
        (equal(deal, "stage_id", &n::<StageId>(3)), "deals_stage_created"),
        (equal(deal, "pipeline_id", &n::<PipelineId>(1)), "deals_pipeline"),
        (equal(deal, "assigned_to", &n::<UserId>(3)), "deals_assigned"),
        (equal(deal, "status", &StageKind::Lost), "deals_status"),
    ] {
        for statement in listed::<Deal>(&filter, &place(deal, "created_at"), None) {
            assert_plan(&stores, index, &statement, index).await;
        }
    }
}

#[tokio::test]
async fn a_custom_field_s_values_are_walked_in_their_order() {
    for store in &stores().await {
        let (index, key) = match store.db() {
            Db::Sqlite => ("SEARCH v USING PRIMARY KEY", "(value,record_id)"),
            Db::Postgres => ("custom_values_pkey", "ROW(value, record_id)"),
        };
        for filter in [Filter::default(), text("tags", "common")] {
            for (place, statement) in listed::<Contact>(&filter, &custom(1), None).into_iter().enumerate() {
                let plan = explain(store, &statement).await;
                let faults = faults(store.db(), &plan);
                let sought = place % 2 == 0 || plan.replace("v.", "").contains(key);
                assert!(faults.is_empty() && plan.contains(index) && sought, "{}\n{plan}", statement.text);
            }
        }
    }
}

#[tokio::test]
async fn rare_conditions_are_counted_and_collected_by_their_own_index() {
    let stores = stores().await;
    let contact = Noun::Contact;
    let range = Bounds { gte: Some(at(100).to_value()), lt: Some(at(300).to_value()), ..Bounds::default() };
    let during = |name| Filter::Test(place(contact, name), Is::Within(range.clone()));
    let keys = |db| if db == Db::Sqlite { "sqlite_autoindex_contacts_1" } else { "contacts_pkey" };
    let is = |text: &str| Is::AnyOf(vec![text.to_owned().to_value()]);
    let cases = [
        (text("tags", "tag7"), "SEARCH x USING PRIMARY KEY", "contact_tags_pkey"),
        (text("emails", "7@example.org"), "SEARCH x USING PRIMARY KEY", "contact_identities"),
        (text("source", "rare"), "contacts_source", "contacts_source"),
        (equal(contact, "assigned_to", &n::<UserId>(6)), "contacts_assigned", "contacts_assigned"),
        (during("updated_at"), "contacts_updated", "contacts_updated"),
        (during("last_message_at"), "contacts_last_message", "contacts_last_message"),
        (equal(contact, "pipeline_id", &n::<PipelineId>(3)), "contacts_stage", "contacts_stage"),
        (Filter::Test(custom(1), is("c4ca")), "SEARCH x USING PRIMARY KEY", "custom_values_pkey"),
        (Filter::Test(Place::ExternalId("erp".into()), is("7")), "SEARCH x USING PRIMARY KEY", "external_ids_pkey"),
    ];
    let all = Filter::All(cases.iter().map(|(filter, ..)| filter.clone()).collect());
    let sort = SortBy { place: place(contact, "score"), descending: true };
    for (filter, sqlite, postgres) in &cases {
        for store in &stores {
            let listing = Listing::new(n(1), store.db(), &all, &sort);
            let counted = listing.probe::<Contact>(&[filter]);
            let collected = listing.statement::<Contact>(Some(filter), ListKey::of(&"plans"), &PageRequest::default());
            let index = if store.db() == Db::Sqlite { sqlite } else { postgres };
            let plan = explain(store, &counted).await;
            assert!(plan.contains(index) && !plan.contains("Seq Scan on contacts"), "counting {filter:?}:\n{plan}");
            let plan = explain(store, &collected.unwrap().0).await;
            assert!(plan.contains(index) && plan.contains(keys(store.db())), "{filter:?}:\n{plan}");
            assert!(!plan.contains("Seq Scan on contacts"), "{filter:?}:\n{plan}");
        }
    }
}

#[tokio::test]
async fn boards_conversion_and_lookups_by_many_keys_use_their_indexes() {
    let stores = stores().await;
    let texts = |prefix: &str| (1..=100).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
    let identities: Vec<_> =
        texts("").into_iter().map(|it| (IdentityKind::Email, format!("{it}@example.org"))).collect();
    for (what, statement, indexes) in [
        ("counts", pipelines::counts(n(1), n(1)), &["contacts_stage"][..]),
        ("cards", pipelines::first_cards::<Contact>(n(1), &[n(3), n(4)], 20), &["contacts_stage_entered"]),
        ("deal cards", pipelines::first_cards::<Deal>(n(1), &[n(3), n(4)], 20), &["deals_stage_entered"]),
        (
            "external ids",
            fields::external_ids(n(1), Noun::Contact, &[("erp".into(), "7".into()), ("erp".into(), "8".into())]),
            &["external_ids_pkey", "SEARCH t USING PRIMARY KEY"],
        ),
        ("holders", contacts::holders(n(1), &identities), &["contact_identities", "SEARCH i USING PRIMARY KEY"]),
        ("references", messages::by_references(n(1), n(3), &texts("r")), &["messages_reference"]),
        ("load", people::load(n(1), &[n(6), n(7)]), &["contacts_assigned_stage", "contacts_assigned"]),
        ("teams of", people::teams_of(n(1), &[n(3), n(4)]), &["team_members_user"]),
        ("belongings", people::belongings(n(3)), &["memberships_user"]),
        ("preceding", messages::preceding(n(1), n(3), n(4), at(1)), &["messages_going"]),
        ("sent since", messages::sent_since(n(1), &[n(3), n(4)], at(39_000)), &["messages_sent"]),
    ] {
        assert_no_scan(&stores, what, &statement, indexes).await;
    }
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
            "contact_identities",
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
        assert!(via && !scans, "{what} on {:?}:\n{}\n{plan}", store.db(), statement.text);
    }
}

#[tokio::test]
async fn analytics_walk_ranges_of_indexes() {
    let stores = stores().await;
    let spans = || GroupBy::Spans((0..10).map(|it| Period { from: at(it * 20), to: at(it * 20 + 20) }).collect());
    let period = Period { from: at(100), to: at(300) };
    for (subject, index) in [(MoverKind::Contact, "stage_history_stage"), (MoverKind::Deal, "stage_history_deal_stage")]
    {
        for group_by in [None, Some(GroupBy::Owner), Some(GroupBy::Source), Some(spans())] {
            let all = ConversionFilter {
                pipeline: n(1),
                subject,
                period,
                assigned_to: None,
                team_id: None,
                source: None,
                group_by,
            };
            assert_no_scan(&stores, "conversion", &analytics::conversion(n(1), &all), &[index]).await;
            // Of some alone, either those are walked or the period is.
            let few = ["stage_history_contact", "stage_history_deal", index];
            for some in [
                ConversionFilter { assigned_to: Some(n(3)), ..all.clone() },
                ConversionFilter { team_id: Some(n(3)), ..all.clone() },
                ConversionFilter { source: Some("rare".into()), ..all },
            ] {
                assert_no_scan(&stores, "conversion of some", &analytics::conversion(n(1), &some), &few).await;
            }
        }
    }
    for group_by in [None, Some(GroupBy::Owner), Some(GroupBy::Source), Some(GroupBy::Month)] {
        let all = ValueFilter { group_by, ..ValueFilter::default() };
        let value = |filter| analytics::sums(n(1), n(1), &filter);
        let day = "2026-11-22".parse().ok();
        for (what, filter, index) in [
            ("value", all.clone(), "deals_value"),
            ("value of a period", ValueFilter { from: day, to: day, ..all.clone() }, "deals_value"),
            ("value of source", ValueFilter { source: Some("rare".into()), ..all.clone() }, "deals_value"),
            ("value of team", ValueFilter { team_id: Some(n(3)), ..all.clone() }, "deals_team"),
            ("value of user", ValueFilter { assigned_to: Some(n(3)), ..all }, "deals_assigned"),
        ] {
            assert_no_scan(&stores, what, &value(filter), &[index]).await;
        }
    }
    let work = WorkFilter { period, user_id: None, team_id: None };
    for filter in
        [WorkFilter { user_id: Some(n(3)), ..work.clone() }, WorkFilter { team_id: Some(n(3)), ..work.clone() }, work]
    {
        let credits = ["SEARCH t USING PRIMARY KEY", "message_credits_pkey"];
        assert_no_scan(&stores, "messages", &analytics::messages(n(1), &filter), &credits).await;
        assert_no_scan(&stores, "waits", &analytics::waits(n(1), &filter), &credits).await;
        assert_no_scan(&stores, "won", &analytics::won(n(1), &filter), &["deals_closed"]).await;
    }
}
