//! Sealing: what was committed gets its place in the organisation's chain, a little later, so that no commit waits for
//! another. Whoever seals holds the head of the chain: of two who seal at once one comes second, and reads anew.

use crate::{
    domain::audit::{AuditChain, GENESIS},
    error::Result,
    ports::store::{Update, Write},
    services::unit::Unit,
};

/// Entries sealed by one commit.
const AT_ONCE: u32 = 500;

/// Seals the next entries; answers whether there may be more.
pub(crate) async fn seal_next(unit: &mut Unit) -> Result<bool> {
    let organization = unit.organization_id();
    let entries = unit.store().unsealed_entries(organization, AT_ONCE).await?;
    if entries.is_empty() {
        return Ok(false);
    }
    let head = unit.store().audit_chain(organization).await?;
    let (mut seq, mut seal) = head.as_ref().map_or((0, GENESIS.to_vec()), |head| (head.seq, head.seal.clone()));
    for entry in &entries {
        seq += 1;
        seal = entry.seal_behind(&seal, seq);
        let sealed = Update::of(entry).set("seq", &Some(seq)).set("seal", &Some(seal.clone()));
        unit.note(Write::Update(sealed.expect("seq", &entry.seq)))?;
    }
    let next = AuditChain { organization_id: organization, seq, seal, sealed_at: unit.now() };
    unit.note(match &head {
        None => Write::insert(&next),
        Some(head) => Write::Update(Update::between(head, &next).expect("seq", &head.seq).expect("seal", &head.seal)),
    })?;
    Ok(entries.len() >= AT_ONCE as usize)
}
