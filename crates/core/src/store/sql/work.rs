//! The table `work`: what is due, and who has it in hand. A claim's token is the time of the claim, or one more than the
//! token before. An item that was removed and planted again knows no token before, and clocks of two machines may tell
//! the same time: a claim is known by its token and its owner.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use crate::{
    domain::{
        event::Event,
        job::{Claim, Lane},
    },
    error::{Error, Result},
    id::OrganizationId,
    ports::store::{Column, Row, Value, WorkEnd, WorkItem},
    store::sql::{
        db::Db,
        render::piece,
        script::{Check, Otherwise, Script},
        statement::Statement,
    },
};

/// Expired leases that are freed at once at most.
const FREED: u32 = 1000;
/// Claims that one statement ends at most.
const ENDED: usize = 100;
/// A lease that ends later than so many leases from now was taken before the clock was set back.
const IMPOSSIBLE: i32 = 4;

/// The longest that items of a lane wait, with room for clocks that differ: what is due later was planted before the clock
/// was set back. Other lanes' items wait for the time that somebody named, however far it is.
fn longest_wait(lane: Lane) -> Option<Duration> {
    match lane {
        Lane::Dispatch | Lane::Audit => Some(Duration::minutes(1)),
        Lane::Account => Some(Duration::minutes(10)),
        Lane::Retention => Some(Duration::hours(25)),
        Lane::Timer | Lane::Task | Lane::Schedule | Lane::Job => None,
    }
}

/// What a batch does to one item. What ends comes before what is removed, what is removed before what is planted.
#[derive(Default)]
struct Change {
    ends: Vec<WorkEnd>,
    removed: bool,
    planted: Option<DateTime<Utc>>,
}

/// What a batch does to work, in order of lane and id; the subjects of its events come up for dispatch.
pub(crate) fn render(
    db: Db,
    organization: OrganizationId,
    events: &[Event],
    planted: Vec<WorkItem>,
    removed: Vec<(Lane, Uuid)>,
    ends: Vec<WorkEnd>,
    script: &mut Script,
) -> Result<()> {
    let mut changes: BTreeMap<(&str, Uuid), Change> = BTreeMap::new();
    for event in events {
        let change = changes.entry((Lane::Dispatch.as_str(), event.subject.id)).or_default();
        change.planted = Some(change.planted.map_or(event.occurred_at, |due| due.min(event.occurred_at)));
    }
    for item in planted {
        own(organization, item.organization_id)?;
        changes.entry((item.lane.as_str(), item.id)).or_default().planted = Some(item.due_at);
    }
    for (lane, id) in removed {
        changes.entry((lane.as_str(), id)).or_default().removed = true;
    }
    let mut done: BTreeMap<(&str, Uuid, i64, i64), Vec<Claim>> = BTreeMap::new();
    for end in ends {
        let (WorkEnd::Held(claim) | WorkEnd::Done(claim) | WorkEnd::Later(claim, _)) = &end;
        own(organization, claim.organization_id)?;
        let item = (claim.lane.as_str(), claim.id);
        match end {
            // What was claimed together is ended together.
            WorkEnd::Done(claim) if !changes.contains_key(&item) => {
                done.entry((item.0, claim.owner, claim.token, claim.generation)).or_default().push(claim);
            }
            end => changes.entry(item).or_default().ends.push(end),
        }
    }
    for claims in done.into_values() {
        render_done(db, organization, claims, script);
    }
    let mut plants = Vec::new();
    for ((lane, id), change) in changes {
        if change.removed || !change.ends.is_empty() {
            plant(db, organization, &mut plants, script);
        }
        for end in change.ends {
            render_end(db, end, script);
        }
        if change.removed {
            let mut statement = Statement::new("DELETE FROM work");
            item(&mut statement, lane, id).push(" AND organization_id = ").bind(&organization);
            script.push(statement, Check::Any);
        }
        plants.extend(change.planted.map(|due| (lane.to_owned(), id, due)));
    }
    plant(db, organization, &mut plants, script);
    Ok(())
}

fn own(organization: OrganizationId, of: OrganizationId) -> Result<()> {
    if organization == of { Ok(()) } else { Err(Error::internal("a batch touches work of another organisation")) }
}

fn plant(db: Db, organization: OrganizationId, plants: &mut Vec<(String, Uuid, DateTime<Utc>)>, script: &mut Script) {
    let mut rows = plants.drain(..);
    while rows.len() > 0 {
        let mut statement =
            Statement::new("INSERT INTO work (lane, id, organization_id, due_at, token, generation) VALUES ");
        let size = piece(rows.len());
        for (place, (lane, id, due)) in rows.by_ref().take(size).enumerate() {
            statement.push(if place == 0 { "(" } else { ", (" }).bind(&lane).push(", ").bind(&id).push(", ");
            statement.bind(&organization).push(", ").bind(&due).push(", 0, 1)");
        }
        // A subject keeps its place in the queue, however many events come after the first.
        statement.push(" ON CONFLICT (lane, id) DO UPDATE SET due_at = CASE WHEN excluded.lane = 'dispatch' THEN ");
        statement.push(db.least()).push("(work.due_at, excluded.due_at) ELSE excluded.due_at END, ");
        statement.push("generation = work.generation + 1 WHERE work.organization_id = excluded.organization_id");
        script.push(
            statement,
            Check::Exactly(size as u64, Otherwise::Defect("a work item belongs to another organisation")),
        );
    }
}

fn render_end(db: Db, end: WorkEnd, script: &mut Script) {
    let (WorkEnd::Held(claim) | WorkEnd::Done(claim) | WorkEnd::Later(claim, _)) = &end;
    if let WorkEnd::Done(claim) = end {
        return render_done(db, claim.organization_id, vec![claim], script);
    }
    let mut held = Statement::new("SELECT 1 FROM work");
    claimed(&mut held, claim).push(db.for_update());
    script.push(held, Check::Some(Otherwise::LeaseLost));
    if let WorkEnd::Later(claim, due) = &end {
        script.push(later(claim, *due), Check::Any);
    }
}

/// Ends claims of one lane, owner, token and generation.
fn render_done(db: Db, organization: OrganizationId, mut claims: Vec<Claim>, script: &mut Script) {
    claims.sort_by_key(|claim| claim.id);
    let mut claims = claims.into_iter().peekable();
    while let Some(first) = claims.peek().cloned() {
        let ids: Vec<Uuid> = claims.by_ref().take(ENDED).map(|claim| claim.id).collect();
        let these = |statement: &mut Statement| {
            statement.push(" WHERE lane = ").bind(&first.lane).push(" AND id IN (").bind_all(&ids).push(")");
            statement.push(" AND organization_id = ").bind(&organization);
            statement.push(" AND token = ").bind(&first.token).push(" AND lease_owner = ").bind(&first.owner);
        };
        let mut held = Statement::new("SELECT 1 FROM work");
        these(&mut held);
        held.push(" ORDER BY id").push(db.for_update());
        script.push(held, Check::Exactly(ids.len() as u64, Otherwise::LeaseLost));
        let mut delete = Statement::new("DELETE FROM work");
        these(&mut delete);
        delete.push(" AND generation = ").bind(&first.generation);
        script.push(delete, Check::Any);
        // Planted again since it was claimed: due when it was planted for.
        let mut free = Statement::new("UPDATE work SET lease_owner = NULL, lease_until = NULL");
        these(&mut free);
        free.push(" AND generation <> ").bind(&first.generation);
        script.push(free, Check::Any);
    }
}

/// Gives a claim back. What was planted since it was claimed is due when it was planted for.
pub(crate) fn later(claim: &Claim, due: DateTime<Utc>) -> Statement {
    let mut statement = Statement::new("UPDATE work SET due_at = CASE WHEN generation = ");
    statement.bind(&claim.generation).push(" THEN ").bind(&due);
    statement.push(" ELSE due_at END, lease_owner = NULL, lease_until = NULL");
    claimed(&mut statement, claim);
    statement
}

/// Prolongs a claim.
pub(crate) fn renew(claim: &Claim, until: DateTime<Utc>) -> Statement {
    let mut statement = Statement::new("UPDATE work SET lease_until = ");
    statement.bind(&until);
    claimed(&mut statement, claim);
    statement
}

fn item<'s>(statement: &'s mut Statement, lane: &str, id: Uuid) -> &'s mut Statement {
    statement.push(" WHERE lane = ").bind(&lane.to_owned()).push(" AND id = ").bind(&id)
}

fn claimed<'s>(statement: &'s mut Statement, claim: &Claim) -> &'s mut Statement {
    item(statement, claim.lane.as_str(), claim.id);
    statement.push(" AND organization_id = ").bind(&claim.organization_id);
    statement.push(" AND token = ").bind(&claim.token).push(" AND lease_owner = ").bind(&claim.owner)
}

/// Undoes what a clock that was set back would otherwise hold up until it has caught up: leases of the dead end as if they
/// had been taken now (the living renew theirs in time), a job that was in hand is still due then, and what is never put
/// off for long is due now. Timers and schedules wait for their time as people's clocks show it.
fn catch_up(db: Db, lanes: &[Lane], now: DateTime<Utc>, lease: Duration, script: &mut Script) {
    let mut shorten = Statement::new("UPDATE work SET lease_until = ");
    shorten.bind(&(now + lease)).push(", due_at = CASE WHEN lane = ").bind(&Lane::Job).push(" THEN ");
    shorten
        .push(db.least())
        .push("(due_at, ")
        .bind(&now)
        .push(") ELSE due_at END WHERE (lane, id) IN (SELECT lane, id FROM work WHERE lease_until > ");
    shorten.bind(&(now + lease * IMPOSSIBLE));
    shorten.push(&format!(" ORDER BY lease_until LIMIT {FREED}{})", db.skip_locked()));
    script.push(shorten, Check::Any);
    for lane in lanes {
        let Some(longest) = longest_wait(*lane) else { continue };
        let mut hasten = Statement::new("UPDATE work SET due_at = ");
        hasten.bind(&now).push(" WHERE (lane, id) IN (SELECT lane, id FROM work WHERE lane = ").bind(lane);
        hasten.push(" AND lease_until IS NULL AND due_at > ").bind(&(now + longest));
        hasten.push(&format!(" ORDER BY due_at, id LIMIT {FREED}{})", db.skip_locked()));
        script.push(hasten, Check::Any);
    }
}

/// Frees what dead processes had, whatever their clocks said: statements that need no common transaction.
pub(crate) fn free(db: Db, lanes: &[Lane], now: DateTime<Utc>, lease: Duration) -> Script {
    let mut script = Script::default();
    catch_up(db, lanes, now, lease, &mut script);
    let mut free = Statement::new("UPDATE work SET lease_owner = NULL, lease_until = NULL WHERE (lane, id) IN (");
    free.push("SELECT lane, id FROM work WHERE lease_until <= ").bind(&now);
    free.push(&format!(" ORDER BY lease_until LIMIT {FREED}{})", db.skip_locked()));
    script.push(free, Check::Any);
    script
}

/// Claims what is due. Each lane is walked along its own stretch of the index, oldest first, so the cost does not depend
/// on what else is pending.
pub(crate) fn claim(db: Db, lanes: &[Lane], owner: Uuid, now: DateTime<Utc>, lease: Duration, limit: u32) -> Statement {
    // The limit is written out: a planner that does not know it expects a tenth of the table.
    let mut claim = Statement::default();
    for (place, lane) in lanes.iter().enumerate() {
        claim.push(if place == 0 { "WITH " } else { ", " });
        claim.push(&format!("due_{place} AS (SELECT lane, id, due_at FROM work WHERE lane = ")).bind(lane);
        claim.push(" AND lease_until IS NULL AND due_at <= ").bind(&now);
        claim.push(&format!(" ORDER BY due_at, id LIMIT {limit}{})", db.skip_locked()));
    }
    let union = (0..lanes.len()).map(|place| format!("SELECT lane, id, due_at FROM due_{place}"));
    let union = union.collect::<Vec<_>>().join(" UNION ALL ");
    claim.push(&format!(", picked AS (SELECT lane, id FROM ({union}) AS due ORDER BY due_at, id LIMIT {limit}) "));
    claim.push("UPDATE work SET lease_owner = ").bind(&owner);
    claim.push(", lease_until = ").bind(&(now + lease));
    claim.push(", token = ").push(db.greatest()).push("(token + 1, ").bind(&now).push(")");
    claim.push(" FROM picked WHERE work.lane = picked.lane AND work.id = picked.id");
    claim.push(" RETURNING work.lane, work.id, work.organization_id, work.due_at, work.token, work.generation");
    claim.push(", work.lease_owner");
    claim
}

/// Frees whatever is claimed, by whomever.
pub(crate) fn free_all() -> Statement {
    Statement::new("UPDATE work SET lease_owner = NULL, lease_until = NULL WHERE lease_until IS NOT NULL")
}

/// Reads what [`claim`] answers, oldest first.
pub(crate) fn claims(rows: Vec<Row>) -> Result<Vec<Claim>> {
    let mut claims = rows
        .into_iter()
        .map(|row| {
            let mut row = row.into_iter();
            let mut next = || row.next().unwrap_or(Value::Null);
            Ok(Claim {
                lane: Lane::from_value(next())?,
                id: Uuid::from_value(next())?,
                organization_id: OrganizationId::from_value(next())?,
                due_at: DateTime::from_value(next())?,
                token: i64::from_value(next())?,
                generation: i64::from_value(next())?,
                owner: Uuid::from_value(next())?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    claims.sort_by_key(|claim| (claim.due_at, claim.id));
    Ok(claims)
}

/// When the next free item of these lanes is due.
pub(crate) fn next_due(lanes: &[Lane]) -> Statement {
    let mut statement = Statement::default();
    for (place, lane) in lanes.iter().enumerate() {
        statement.push(if place == 0 { "SELECT MIN(due_at) FROM (" } else { " UNION ALL " });
        statement.push("SELECT MIN(due_at) AS due_at FROM work WHERE lease_until IS NULL AND lane = ").bind(lane);
    }
    statement.push(") AS due");
    statement
}
