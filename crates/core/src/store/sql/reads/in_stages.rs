//! What stands in some stages: contacts and deals alike.

use super::{
    list::and_equal,
    select::{portions_of_parts, select, union},
};
use crate::{
    error::Result,
    id::{Id, OrganizationId, StageId},
    ports::store::{Column, Record},
    store::sql::{SqlStore, statement::Statement},
};

impl SqlStore {
    /// The first of those in these stages (any stage, if empty) after an id, in order of their ids.
    pub(super) async fn first_in_stages<T: Record, I: Id + Column>(
        &self,
        organization: OrganizationId,
        stages: &[StageId],
        after: Option<I>,
        limit: u32,
        id: impl Fn(&T) -> I,
    ) -> Result<Vec<T>> {
        let mut found = Vec::new();
        let stages = portions_of_parts(stages);
        for stages in &stages {
            let statement = in_stages::<T, I>(organization, stages, after, limit);
            found.extend(self.records(Some(organization), statement).await?);
        }
        if stages.len() > 1 {
            found.sort_by_key(id);
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        Ok(found)
    }
}

/// The deleted ones in these stages, in no order: the index has those that are not deleted too, and tests each.
pub(super) fn deleted_in_stages<T: Record>(organization: OrganizationId, stages: &[StageId], limit: u32) -> Statement {
    let mut statement = select::<T>(organization);
    // Told so that neither database goes through the whole trash instead, which has an index of its own.
    statement.push(" AND t.stage_id IN (").bind_all(stages).push(") AND COALESCE(t.deleted_at, 0) <> 0");
    statement.limit(limit);
    statement
}

/// Those in these stages along their ids: one limited walk a stage, of which the first ids are taken.
pub(super) fn in_stages<T: Record, I: Id + Column>(
    organization: OrganizationId,
    stages: &[StageId],
    after: Option<I>,
    limit: u32,
) -> Statement {
    let walk = |stage: Option<&StageId>, part: &mut Statement| {
        part.push(" AND t.deleted_at IS NULL");
        and_equal(part, "stage_id", stage);
        if let Some(after) = after {
            part.push(" AND t.id > ").bind(&after);
        }
        part.push(" ORDER BY t.id").limit(limit);
    };
    if stages.len() < 2 {
        let mut statement = select::<T>(organization);
        walk(stages.first(), &mut statement);
        return statement;
    }
    let mut statement = union::<T, _>(organization, stages, |stage, part| walk(Some(stage), part));
    statement.push(" ORDER BY id").limit(limit);
    statement
}
