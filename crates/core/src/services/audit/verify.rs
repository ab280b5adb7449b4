//! The verifier: walks an organisation's chain from its first seal to its head and names the first entry that is not as it
//! was sealed. What it finds sound may still be forged as a whole by whoever can write the database and seals everything
//! anew: the head that it tells, kept elsewhere, shows that too.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::entries::Clearing;
use crate::{
    domain::{
        audit::{AuditChain, AuditEntry, AuditObject, GENESIS},
        word::words,
    },
    error::Result,
    id::AuditEntryId,
    page::{MAX_LIMIT, PageRequest},
    ports::store::AuditFilter,
    services::unit::Unit,
};

/// Entries read at once.
const AT_ONCE: u32 = 500;

words! {
    /// What is wrong with a chain.
    AuditFaultKind {
        /// An entry is not what it was.
        Edited = "edited",
        /// An entry is missing.
        Removed = "removed",
        /// An entry was put in afterwards.
        Inserted = "inserted",
        /// What was personal of an entry was taken away, and neither an erasure nor the end of its time tells of it.
        Cleared = "cleared",
    }
}

/// The first entry that is not as it was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AuditFault {
    /// What is wrong.
    pub kind: AuditFaultKind,
    /// The number of the entry.
    pub seq: i64,
    /// The entry; `null` for one that is missing.
    pub entry_id: Option<AuditEntryId>,
    /// The same as a sentence.
    pub detail: String,
}

/// How far an audit log is sealed and sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AuditVerification {
    /// Whether every sealed entry is as it was sealed, and none is missing.
    pub sound: bool,
    /// How many entries are sealed, by the head of the chain.
    pub sealed: i64,
    /// Up to which number everything is as it was sealed.
    pub sound_to: i64,
    /// Of those, how many have had what was personal of them erased.
    pub cleared: i64,
    /// How many entries wait for their seal.
    pub waiting: i64,
    /// The seal of the newest sealed entry in hexadecimal: kept elsewhere, it shows later that nothing before it was
    /// sealed anew.
    pub head: Option<String>,
    /// What is wrong first.
    pub fault: Option<AuditFault>,
}

/// How far the walk has come.
struct Walk {
    seq: i64,
    seal: Vec<u8>,
    cleared: i64,
    /// The newest sound entry, and the seal before it.
    newest: Option<(Vec<u8>, AuditEntryId)>,
    /// Before when entries were cleared since they were kept no longer, as was known when the walk began.
    cleared_before: Option<DateTime<Utc>>,
    /// Of each thing whose entries were cleared otherwise these.
    cleared_of: BTreeMap<(AuditObject, Uuid), Vec<Cleared>>,
    /// Contacts that were erased, as the log tells.
    erased: BTreeSet<Uuid>,
}

/// An entry that was cleared.
struct Cleared {
    at: DateTime<Utc>,
    seq: i64,
    id: AuditEntryId,
}

fn fault(kind: AuditFaultKind, seq: i64, entry: Option<AuditEntryId>) -> AuditFault {
    let detail = match (kind, entry) {
        (AuditFaultKind::Edited, Some(id)) => format!("entry {seq} ({id}) was edited after it was sealed"),
        (AuditFaultKind::Inserted, Some(id)) => format!("entry {seq} ({id}) was put in after the chain was sealed"),
        (AuditFaultKind::Cleared, Some(id)) => {
            format!("entry {seq} ({id}) was cleared, and neither an erasure nor the end of its time tells of it")
        }
        (AuditFaultKind::Removed, _) | (_, None) => format!("entry {seq} was removed after it was sealed"),
    };
    AuditFault { kind, seq, entry_id: entry, detail }
}

impl Walk {
    /// Takes the next entry; `next` is the one behind it, `head` what the whole chain ends in.
    fn step(&mut self, entry: &AuditEntry, next: Option<&AuditEntry>, head: &AuditChain) -> Option<AuditFault> {
        let seq = self.seq + 1;
        let found = entry.seq.unwrap_or_default();
        if found > seq {
            return Some(fault(AuditFaultKind::Removed, seq, None));
        }
        if !entry.is_sealed_behind(&self.seal, seq) {
            return Some(self.unsealed(entry, next, head, seq));
        }
        if !entry.has_its_payload() {
            return Some(fault(AuditFaultKind::Edited, seq, Some(entry.id)));
        }
        let before = std::mem::replace(&mut self.seal, entry.seal.clone().unwrap_or_default());
        self.newest = Some((before, entry.id));
        self.seq = seq;
        if entry.object_kind == AuditObject::Erasure {
            self.erased.insert(entry.object_id);
        }
        if entry.payload.is_none() {
            self.cleared += 1;
            if self.cleared_before.is_none_or(|before| entry.at >= before) {
                let of = self.cleared_of.entry((entry.object_kind, entry.object_id)).or_default();
                of.push(Cleared { at: entry.at, seq, id: entry.id });
            }
        }
        None
    }

    /// The first entry that was cleared although nobody who is erased was spoken of in it, and its time had not come.
    async fn cleared_by_nobody(&self, unit: &Unit, walked_all: bool) -> Result<Option<AuditFault>> {
        let is_erased = |(kind, id): &(AuditObject, Uuid)| *kind == AuditObject::Contact && self.erased.contains(id);
        let mut first: Option<(i64, AuditEntryId)> = None;
        if self.cleared_of.is_empty() {
            return Ok(None);
        }
        // Asked again: some may have been cleared while the walk came along.
        let before = cleared_before(unit).await?;
        for (object, cleared) in self.cleared_of.iter().filter(|(object, _)| !is_erased(object)) {
            let early = cleared.iter().find(|it| before.is_none_or(|before| it.at >= before));
            let Some(place) = early.map(|it| (it.seq, it.id)) else { continue };
            if first.is_some_and(|first| first < place) || is_erased_later(unit, *object, walked_all).await? {
                continue;
            }
            first = Some(place);
        }
        Ok(first.map(|(seq, id)| fault(AuditFaultKind::Cleared, seq, Some(id))))
    }

    /// What is wrong with an entry whose seal does not follow from the one before.
    fn unsealed(&self, entry: &AuditEntry, next: Option<&AuditEntry>, head: &AuditChain, seq: i64) -> AuditFault {
        // Sealed as the number before: that one was put in, and with a seal of its own that anybody can make.
        if let Some((before, id)) = &self.newest
            && entry.is_sealed_behind(before, seq - 1)
        {
            return fault(AuditFaultKind::Inserted, seq - 1, Some(*id));
        }
        // What follows was sealed behind it, or it is the head: it belongs there, but is not what it was.
        let own = entry.seal.as_deref().unwrap_or_default();
        let belongs = match next {
            Some(next) => next.is_sealed_behind(own, seq + 1),
            None => head.seq == seq && head.seal == own,
        };
        // What follows was sealed in its place.
        let pushed_in = next.is_some_and(|next| next.is_sealed_behind(&self.seal, seq)) || next.is_none() && !belongs;
        let kind = if pushed_in && !belongs { AuditFaultKind::Inserted } else { AuditFaultKind::Edited };
        fault(kind, seq, Some(entry.id))
    }
}

/// Whether an entry tells of an erasure that the walk has not come to: one that waits for its seal or, if the walk ended
/// early, any.
async fn is_erased_later(unit: &Unit, (kind, id): (AuditObject, Uuid), walked_all: bool) -> Result<bool> {
    if kind != AuditObject::Contact {
        return Ok(false);
    }
    let filter = AuditFilter { object_kind: Some(AuditObject::Erasure), object_id: Some(id), ..AuditFilter::default() };
    let page = PageRequest { limit: Some(1), cursor: None };
    let found = unit.store().audit_entries(unit.organization_id(), &filter, &page).await?;
    Ok(found.data.iter().any(|entry| entry.seq.is_none() || !walked_all))
}

/// Before when payloads were cleared since they were kept no longer: the newest entry that tells of it.
async fn cleared_before(unit: &Unit) -> Result<Option<DateTime<Utc>>> {
    let filter = AuditFilter { object_kind: Some(AuditObject::Retention), ..AuditFilter::default() };
    let mut cursor = None;
    loop {
        let page = PageRequest { limit: Some(MAX_LIMIT), cursor };
        let found = unit.store().audit_entries(unit.organization_id(), &filter, &page).await?;
        let told = found.data.iter().find_map(Clearing::of_payloads);
        cursor = found.next_cursor;
        if told.is_some() || cursor.is_none() {
            return Ok(told);
        }
    }
}

/// Walks the chain.
pub(crate) async fn verify(unit: &mut Unit, (): ()) -> Result<AuditVerification> {
    let organization = unit.organization_id();
    // The head first: what is sealed meanwhile lies behind it.
    let head = unit.store().audit_chain(organization).await?;
    let waiting = unit.store().count_unsealed(organization).await?;
    let mut walk = Walk {
        seq: 0,
        seal: GENESIS.to_vec(),
        cleared: 0,
        newest: None,
        cleared_before: cleared_before(unit).await?,
        cleared_of: BTreeMap::new(),
        erased: BTreeSet::new(),
    };
    let end = AuditChain { organization_id: organization, seq: 0, seal: GENESIS.to_vec(), sealed_at: unit.now() };
    let end = head.clone().unwrap_or(end);
    let found = walk_to(unit, &mut walk, &end).await?;
    let found = match found {
        None => beyond(unit, &walk, &end).await?,
        found => found,
    };
    let unlawful = walk.cleared_by_nobody(unit, found.is_none()).await?;
    // The first of both: the walk ends at a fault of its own, and has met the other one before.
    let found = unlawful.or(found);
    let sound_to = match &found {
        Some(fault) if fault.kind == AuditFaultKind::Cleared => fault.seq - 1,
        _ => walk.seq,
    };
    Ok(AuditVerification {
        sound: found.is_none(),
        sealed: end.seq,
        sound_to,
        cleared: walk.cleared,
        waiting,
        head: head.map(|head| hexadecimal(&head.seal)),
        fault: found,
    })
}

/// Walks up to the head.
async fn walk_to(unit: &Unit, walk: &mut Walk, head: &AuditChain) -> Result<Option<AuditFault>> {
    let organization = unit.organization_id();
    let mut entries = unit.store().sealed_entries(organization, 0, AT_ONCE).await?;
    while let Some(last) = entries.last().and_then(|it| it.seq) {
        // The first one of the next page, to look ahead.
        let further = unit.store().sealed_entries(organization, last, AT_ONCE).await?;
        let ahead = entries.iter().skip(1).chain(further.first()).map(Some).chain([None]);
        for (entry, next) in entries.iter().zip(ahead) {
            if walk.seq >= head.seq {
                return Ok(None);
            }
            let next = next.filter(|next| next.seq.is_some_and(|seq| seq <= head.seq));
            if let Some(found) = walk.step(entry, next, head) {
                return Ok(Some(found));
            }
        }
        entries = further;
    }
    Ok(None)
}

/// What is wrong at the end of the chain: entries missing there, or some that its head knows nothing of.
async fn beyond(unit: &Unit, walk: &Walk, head: &AuditChain) -> Result<Option<AuditFault>> {
    let organization = unit.organization_id();
    if walk.seq < head.seq {
        return Ok(Some(fault(AuditFaultKind::Removed, walk.seq + 1, None)));
    }
    let further = unit.store().sealed_entries(organization, head.seq, 1).await?.pop();
    if walk.seal != head.seal
        && let Some((before, id)) = &walk.newest
    {
        let pushed_in = further.is_some_and(|it| it.is_sealed_behind(before, head.seq));
        let kind = if pushed_in { AuditFaultKind::Inserted } else { AuditFaultKind::Edited };
        return Ok(Some(fault(kind, walk.seq, Some(*id))));
    }
    let Some(further) = further else { return Ok(None) };
    // Sealed since, unless the head has stayed where it was.
    let now = unit.store().audit_chain(organization).await?.map_or(0, |head| head.seq);
    let seq = further.seq.unwrap_or_default();
    Ok((seq > now).then(|| fault(AuditFaultKind::Inserted, seq, Some(further.id))))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
