//! The log of events and its order. A subject's row in `subjects` counts its events; whoever raises the count holds the
//! row until the commit, so numbers have no holes and commits of one subject come one after the other.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::{
    domain::event::{Event, SubjectKind},
    error::Result,
    id::OrganizationId,
    ports::store::{Batch, Record},
    store::sql::{
        db::Db,
        render::{insert_into, outside, piece},
        script::{Check, Otherwise, Script},
        statement::Statement,
    },
};

/// What a batch does to one subject.
#[derive(Default)]
struct Raise {
    kind: Option<SubjectKind>,
    events: i64,
    consumed: Option<i64>,
}

/// Takes the locks of all subjects of a batch, in order of their ids; counts their new events, marks those that the rules
/// have seen.
pub(crate) fn lock_subjects(db: Db, organization: OrganizationId, batch: &Batch, script: &mut Script) -> Result<()> {
    let mut subjects: BTreeMap<Uuid, Raise> = BTreeMap::new();
    for event in &batch.events {
        if event.organization_id != organization {
            return Err(outside(Event::TABLE));
        }
        let raise = subjects.entry(event.subject.id).or_default();
        raise.kind = Some(event.subject.kind);
        raise.events += 1;
    }
    for (subject, seq) in &batch.consumed {
        let raise = subjects.entry(*subject).or_default();
        raise.consumed = raise.consumed.max(Some(*seq));
    }
    lock_all(db, organization, &subjects, script);
    let mut counted = Vec::new();
    let mut consumed: BTreeMap<i64, Vec<Uuid>> = BTreeMap::new();
    for (subject, raise) in subjects {
        if let Some(kind) = raise.kind {
            counted.push((subject, kind, raise.events));
        }
        if let Some(seq) = raise.consumed {
            consumed.entry(seq).or_default().push(subject);
        }
    }
    count(organization, &mut counted, script);
    for (seq, subjects) in consumed {
        for subjects in subjects.chunks(CONSUMED) {
            let check = Check::Exactly(subjects.len() as u64, Otherwise::Defect(NO_SUCH_EVENT));
            script.push(consume(db, organization, subjects, seq), check);
        }
    }
    Ok(())
}

/// Subjects whose events one statement marks at most.
const CONSUMED: usize = 100;

const NO_SUCH_EVENT: &str = "events are marked as seen that the subject has not had";

fn count(organization: OrganizationId, counted: &mut Vec<(Uuid, SubjectKind, i64)>, script: &mut Script) {
    let mut rows = counted.drain(..);
    while rows.len() > 0 {
        let mut statement = Statement::new(
            "INSERT INTO subjects (organization_id, subject_id, subject_kind, seq, consumed_seq) VALUES ",
        );
        let size = piece(rows.len());
        for (place, (subject, kind, events)) in rows.by_ref().take(size).enumerate() {
            statement.push(if place == 0 { "(" } else { ", (" }).bind(&organization);
            statement.push(", ").bind(&subject).push(", ").bind(&kind).push(", ").bind(&events).push(", 0)");
        }
        statement.push(" ON CONFLICT (organization_id, subject_id) DO UPDATE SET seq = subjects.seq + excluded.seq");
        script.push(statement, Check::Any);
    }
}

/// Locks the subjects in the order of their ids, where the statements that follow would lock them in another order: new
/// events are counted before old ones are marked as seen, and marks are set on many at once.
fn lock_all(db: Db, organization: OrganizationId, subjects: &BTreeMap<Uuid, Raise>, script: &mut Script) {
    if db == Db::Sqlite || subjects.len() < 2 || subjects.values().all(|raise| raise.consumed.is_none()) {
        return;
    }
    let subjects: Vec<Uuid> = subjects.keys().copied().collect();
    for subjects in subjects.chunks(CONSUMED) {
        let mut lock = Statement::new("SELECT 1 FROM subjects WHERE organization_id = ");
        lock.bind(&organization).push(" AND subject_id IN (").bind_all(subjects).push(") ORDER BY subject_id");
        lock.push(db.for_update());
        script.push(lock, Check::Any);
    }
}

fn consume(db: Db, organization: OrganizationId, subjects: &[Uuid], seq: i64) -> Statement {
    let mut statement = Statement::new("UPDATE subjects SET consumed_seq = ");
    statement.push(db.greatest()).push("(consumed_seq, ").bind(&seq);
    statement.push(") WHERE organization_id = ").bind(&organization);
    statement.push(" AND subject_id IN (").bind_all(subjects).push(") AND seq >= ").bind(&seq);
    statement
}

/// Writes the events with the numbers that [`lock_subjects`] has counted.
pub(crate) fn insert(organization: OrganizationId, events: &[Event], script: &mut Script) -> Result<()> {
    // How many events of the same subject follow in this batch: the number is that far below the count.
    let mut behind: BTreeMap<Uuid, i64> = BTreeMap::new();
    let mut offsets: Vec<i64> = Vec::with_capacity(events.len());
    for event in events.iter().rev() {
        let following = behind.entry(event.subject.id).or_default();
        offsets.push(*following);
        *following += 1;
    }
    let seq = Event::TABLE.position("subject_seq")?;
    let mut rows = events.iter().zip(offsets.into_iter().rev());
    while rows.len() > 0 {
        let mut statement = insert_into(Event::TABLE);
        let size = piece(rows.len());
        for (place, (event, offset)) in rows.by_ref().take(size).enumerate() {
            statement.push(if place == 0 { "(" } else { ", (" });
            for (place, value) in event.to_row().into_iter().enumerate() {
                if place > 0 {
                    statement.push(", ");
                }
                if place == seq {
                    statement.push("(SELECT seq FROM subjects WHERE organization_id = ").bind(&organization);
                    statement.push(" AND subject_id = ").bind(&event.subject.id).push(") - ").bind(&offset);
                } else {
                    statement.bind_value(value);
                }
            }
            statement.push(")");
        }
        script.push(statement, Check::Any);
    }
    Ok(())
}
