//! Pipelines, stages, history and the board. Conversion is in `analytics`.

use async_trait::async_trait;

use super::{
    list::{Order, by_time},
    select::{cell, columns, portions_of_parts, select, select_by, split, union},
};
use crate::{
    domain::{
        contact::Contact,
        event::{Subject, SubjectKind},
        pipeline::{Pipeline, Stage, StageMove},
    },
    error::Result,
    id::*,
    page::{ListKey, Page, PageRequest},
    ports::store::{BoardColumn, PipelineReads, Record, Value},
    store::sql::{SqlStore, statement::Statement},
};

#[async_trait]
impl PipelineReads for SqlStore {
    async fn pipelines(&self, organization: OrganizationId) -> Result<Vec<Pipeline>> {
        let mut statement = select::<Pipeline>(organization);
        statement.push(" ORDER BY t.created_at, t.id");
        self.records(Some(organization), statement).await
    }

    async fn stages(&self, organization: OrganizationId) -> Result<Vec<Stage>> {
        let mut statement = select::<Stage>(organization);
        statement.push(" ORDER BY t.pipeline_id, t.order_index, t.id");
        self.records(Some(organization), statement).await
    }

    async fn pipelines_with_stages(&self, organization: OrganizationId) -> Result<(Vec<Pipeline>, Vec<Stage>)> {
        let (mut pipelines, mut stages): (Vec<Pipeline>, Vec<Stage>) = Default::default();
        for mut row in self.rows(Some(organization), with_stages(organization)).await? {
            let pipeline: Pipeline = split(&mut row)?;
            // A pipeline without stages comes with nulls beside it.
            if row.first() != Some(&Value::Null) {
                stages.push(Stage::from_row(row)?);
            }
            if pipelines.last().is_none_or(|last| last.id != pipeline.id) {
                pipelines.push(pipeline);
            }
        }
        stages.sort_by_key(|stage| (stage.pipeline_id, stage.order_index, stage.id));
        Ok((pipelines, stages))
    }

    async fn stage_history(
        &self,
        organization: OrganizationId,
        subject: Subject,
        page: &PageRequest,
    ) -> Result<Page<StageMove>> {
        let (statement, order) = history(organization, subject);
        let list = ListKey::of(&("stage_history", subject));
        self.page_of(organization, statement, order, list, page, |it: &StageMove| by_time(it.moved_at, it.id)).await
    }

    async fn stage_move(&self, organization: OrganizationId, id: EventId) -> Result<Option<StageMove>> {
        self.record(Some(organization), select_by::<StageMove>(organization, "id", &id)).await
    }

    async fn board(&self, organization: OrganizationId, pipeline: PipelineId, cards: u32) -> Result<Vec<BoardColumn>> {
        let mut board = Vec::new();
        for row in self.rows(Some(organization), counts(organization, pipeline)).await? {
            let row = &mut row.into_iter();
            board.push(BoardColumn { stage_id: cell(row)?, count: cell(row)?, cards: Vec::new() });
        }
        let filled: Vec<StageId> = board.iter().filter(|it| it.count > 0).map(|it| it.stage_id).collect();
        if cards == 0 || filled.is_empty() {
            return Ok(board);
        }
        for stages in &portions_of_parts(&filled) {
            let found: Vec<Contact> =
                self.records(Some(organization), first_cards::<Contact>(organization, stages, cards)).await?;
            for contact in found {
                if let Some(column) = board.iter_mut().find(|it| it.stage_id == contact.stage_id) {
                    column.cards.push(contact);
                }
            }
        }
        // The parts of a compound SELECT come in no promised order.
        for column in &mut board {
            column.cards.sort_by_key(|it| std::cmp::Reverse((it.stage_entered_at, it.id)));
        }
        Ok(board)
    }
}

/// Each pipeline with each of its stages.
fn with_stages(organization: OrganizationId) -> Statement {
    let (pipeline, stage) = (columns::<Pipeline>("t"), columns::<Stage>("s"));
    let mut statement = Statement::new(format!(
        "SELECT {pipeline}, {stage} FROM pipelines t LEFT JOIN stages s ON s.organization_id = t.organization_id AND \
         s.pipeline_id = t.id WHERE t.organization_id = "
    ));
    statement.bind(&organization).push(" ORDER BY t.created_at, t.id");
    statement
}

/// The column of the history that says who moved.
pub(super) const fn mover(subject: SubjectKind) -> &'static str {
    if matches!(subject, SubjectKind::Deal) { "deal_id" } else { "contact_id" }
}

/// The moves of a contact or of a deal, newest first.
pub(super) fn history(organization: OrganizationId, subject: Subject) -> (Statement, Order) {
    (select_by::<StageMove>(organization, mover(subject.kind), &subject.id), Order::newest("t.moved_at"))
}

/// The stages of a pipeline in order, each with its number of contacts: a range of an index, counted.
pub(super) fn counts(organization: OrganizationId, pipeline: PipelineId) -> Statement {
    let mut statement = Statement::new("SELECT s.id, (SELECT COUNT(*) FROM contacts t WHERE t.organization_id = ");
    statement.bind(&organization).push(" AND t.stage_id = s.id AND t.deleted_at IS NULL) FROM stages s");
    statement.push(" WHERE s.organization_id = ").bind(&organization).push(" AND s.pipeline_id = ").bind(&pipeline);
    statement.push(" ORDER BY s.order_index, s.id");
    statement
}

/// The contacts or deals that entered each of these stages last: one limited walk a stage, however many there are.
pub(super) fn first_cards<T: Record>(organization: OrganizationId, stages: &[StageId], cards: u32) -> Statement {
    union::<T, _>(organization, stages, |stage, part| {
        part.push(" AND t.stage_id = ").bind(stage);
        part.push(" AND t.deleted_at IS NULL ORDER BY t.stage_entered_at DESC, t.id DESC");
        part.limit(cards);
    })
}
