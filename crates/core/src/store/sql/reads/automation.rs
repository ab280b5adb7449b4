//! Rules, their versions, runs and timers; events.

use async_trait::async_trait;

use super::{
    list::{Conditions, Order, by_number, by_time},
    select::{cell, columns, portions, select, select_by},
};
use crate::{
    domain::{
        event::{Event, Subject},
        rule::Rule,
        run::{Run, RunOutcome, Timer},
    },
    error::Result,
    id::*,
    page::{ListKey, Page, PageRequest},
    ports::store::{AutomationReads, Record, RuleVersion, RulesState, RunFilter},
    store::sql::{SqlStore, statement::Statement},
};

#[async_trait]
impl AutomationReads for SqlStore {
    async fn rules(&self, organization: OrganizationId) -> Result<Vec<Rule>> {
        let mut statement = select::<Rule>(organization);
        statement.push(" ORDER BY t.position, t.id");
        self.records(Some(organization), statement).await
    }

    async fn rules_state(&self, organization: OrganizationId) -> Result<RulesState> {
        let mut state = RulesState::default();
        for row in self.rows(Some(organization), rules_state(organization)).await? {
            let mut row = row.into_iter();
            if let Some(epoch) = cell::<Option<i64>>(&mut row)? {
                state.epoch = epoch;
            }
            state.failing.extend(cell::<Option<RuleId>>(&mut row)?);
            if let Some(pipelines) = cell::<Option<String>>(&mut row)? {
                state.pipelines = pipelines;
            }
        }
        state.failing.sort();
        Ok(state)
    }

    async fn rule(&self, organization: OrganizationId, id: RuleId) -> Result<Option<Rule>> {
        self.record(Some(organization), select_by::<Rule>(organization, "id", &id)).await
    }

    async fn rule_versions(&self, organization: OrganizationId, id: RuleId, page: &PageRequest) -> Result<Page<Rule>> {
        let (statement, order) = versions(organization, id);
        let list = ListKey::of(&("rule_versions", id));
        self.page_of(organization, statement, order, list, page, |it: &Rule| by_number(it.version, it.id)).await
    }

    async fn runs(&self, organization: OrganizationId, filter: &RunFilter, page: &PageRequest) -> Result<Page<Run>> {
        let (statement, order) = runs(organization, filter);
        let list = ListKey::of(&("runs", filter));
        self.page_of(organization, statement, order, list, page, |it: &Run| by_time(it.created_at, it.id)).await
    }

    async fn run(&self, organization: OrganizationId, id: RunId) -> Result<Option<Run>> {
        self.record(Some(organization), select_by::<Run>(organization, "id", &id)).await
    }

    async fn runs_of_events(&self, organization: OrganizationId, events: &[EventId]) -> Result<Vec<Run>> {
        let mut runs: Vec<Run> = Vec::new();
        for events in portions(events) {
            runs.extend(self.records::<Run>(Some(organization), runs_of_events(organization, &events)).await?);
        }
        runs.sort_by_key(|run| (run.created_at, run.id));
        Ok(runs)
    }

    async fn timer(&self, organization: OrganizationId, id: TimerId) -> Result<Option<Timer>> {
        self.record(Some(organization), select_by::<Timer>(organization, "id", &id)).await
    }

    async fn timers_of(&self, organization: OrganizationId, subject: Subject) -> Result<Vec<Timer>> {
        let mut timers: Vec<Timer> = self.records(Some(organization), timers_of(organization, subject)).await?;
        timers.sort_by_key(|timer| timer.id);
        Ok(timers)
    }

    async fn timers_of_rule(
        &self,
        organization: OrganizationId,
        rule: RuleId,
        after: Option<TimerId>,
        limit: u32,
    ) -> Result<Vec<Timer>> {
        let statement = timers_of_rule(organization, rule, after, limit);
        let mut timers: Vec<Timer> = self.records(Some(organization), statement).await?;
        timers.sort_by_key(|it| it.id);
        Ok(timers)
    }

    async fn event(&self, organization: OrganizationId, id: EventId) -> Result<Option<Event>> {
        self.record(Some(organization), select_by::<Event>(organization, "id", &id)).await
    }

    async fn pending_events(
        &self,
        organization: OrganizationId,
        subjects: &[uuid::Uuid],
        of_each: u32,
    ) -> Result<Vec<Event>> {
        let mut events: Vec<Event> = self.records(Some(organization), pending(organization, subjects, of_each)).await?;
        events.sort_by_key(|event| (event.subject.id, event.subject_seq));
        Ok(events)
    }

    async fn events_of(
        &self,
        organization: OrganizationId,
        subject: Subject,
        page: &PageRequest,
    ) -> Result<Page<Event>> {
        let (statement, order) = events_of(organization, subject);
        let list = ListKey::of(&("events_of", subject));
        self.page_of(organization, statement, order, list, page, |it: &Event| by_number(it.subject_seq, it.id)).await
    }
}

/// The number of the organisation's own events, what its pipelines have come to, and a row for each rule whose last run
/// failed.
pub(super) fn rules_state(organization: OrganizationId) -> Statement {
    let mut statement = Statement::new("SELECT t.seq, NULL, NULL FROM subjects t WHERE t.organization_id = ");
    statement.bind(&organization).push(" AND t.subject_id = ").bind(&organization);
    statement.push(" UNION ALL SELECT NULL, r.id, NULL FROM rules r WHERE r.organization_id = ").bind(&organization);
    statement.push(" AND r.failures > 0 UNION ALL SELECT NULL, NULL, COUNT(*) || ' ' || COALESCE(SUM(p.version), 0)");
    statement.push(" || ' ' || COALESCE(MAX(p.created_at), 0) FROM pipelines p WHERE p.organization_id = ");
    statement.bind(&organization);
    statement
}

/// The kept states of a rule and, unless it is among them, its present one.
pub(super) fn versions(organization: OrganizationId, id: RuleId) -> (Statement, Order) {
    let mut statement = Statement::new("SELECT * FROM (");
    statement.push(&format!("SELECT {} FROM {} v", columns::<RuleVersion>("v"), RuleVersion::TABLE.name));
    statement.push(" WHERE v.organization_id = ").bind(&organization).push(" AND v.id = ").bind(&id);
    statement.push(&format!(" UNION ALL SELECT {} FROM {} r", columns::<Rule>("r"), Rule::TABLE.name));
    statement.push(" WHERE r.organization_id = ").bind(&organization).push(" AND r.id = ").bind(&id);
    statement.push(" AND NOT EXISTS (SELECT 1 FROM rule_versions k WHERE k.organization_id = r.organization_id");
    statement.push(" AND k.id = r.id AND k.version = r.version)) AS t WHERE t.organization_id = ").bind(&organization);
    (statement, Order::last("t.version"))
}

/// Runs, newest first.
pub(super) fn runs(organization: OrganizationId, filter: &RunFilter) -> (Statement, Order) {
    let mut statement = select::<Run>(organization);
    let mut conditions = Conditions::new();
    conditions.equal("deal_id", filter.deal_id.as_ref());
    conditions.equal("contact_id", filter.contact_id.as_ref());
    // Most runs are applied; other ends are few.
    let (few, most) = match &filter.outcome {
        Some(RunOutcome::Applied) => (None, filter.outcome.as_ref()),
        other => (other.as_ref(), None),
    };
    conditions.equal("outcome", few);
    conditions.equal("rule_id", filter.rule_id.as_ref());
    conditions.equal("outcome", most);
    conditions.push(&mut statement);
    (statement, Order::newest("t.created_at"))
}

/// What rules did about events, in no order.
pub(super) fn runs_of_events(organization: OrganizationId, events: &[EventId]) -> Statement {
    let mut statement = select::<Run>(organization);
    statement.push(" AND t.event_id IN (").bind_all(events).push(")");
    statement
}

/// A subject's timers, in no order: asked for the order of ids, SQLite would walk those of all subjects.
pub(super) fn timers_of(organization: OrganizationId, subject: Subject) -> Statement {
    select_by::<Timer>(organization, "subject_id", &subject.id)
}

/// A rule's next timers by id, in no order. The ids are picked first, from the index that has nothing else: asked for
/// whole rows, SQLite would rather walk the timers of all rules.
pub(super) fn timers_of_rule(
    organization: OrganizationId,
    rule: RuleId,
    after: Option<TimerId>,
    limit: u32,
) -> Statement {
    let mut statement =
        Statement::new("WITH picked AS MATERIALIZED (SELECT x.id FROM timers x WHERE x.organization_id = ");
    statement.bind(&organization).push(" AND x.rule_id = ").bind(&rule);
    if let Some(after) = after {
        statement.push(" AND x.id > ").bind(&after);
    }
    statement.push(" ORDER BY x.id").limit(limit);
    statement.push(&format!(") SELECT {} FROM picked p CROSS JOIN timers t", columns::<Timer>("t")));
    statement.push(" WHERE t.id = p.id AND t.organization_id = ").bind(&organization);
    statement
}

/// The first events of subjects that no rule has seen: those after each subject's mark. Numbers have no holes, so that the
/// number limits how many there are of each; no order is asked for, which would sort the events of all.
pub(super) fn pending(organization: OrganizationId, subjects: &[uuid::Uuid], of_each: u32) -> Statement {
    let mut statement = Statement::new(format!("SELECT {} FROM subjects s CROSS JOIN events t", columns::<Event>("t")));
    statement.push(" WHERE s.organization_id = ").bind(&organization);
    statement.push(" AND s.subject_id IN (").bind_all(subjects).push(") AND t.organization_id = ").bind(&organization);
    statement.push(" AND t.subject_id = s.subject_id AND t.subject_seq > s.consumed_seq");
    statement.push(" AND t.subject_seq <= s.consumed_seq + ").bind(&i64::from(of_each));
    statement
}

/// A subject's events, newest first.
pub(super) fn events_of(organization: OrganizationId, subject: Subject) -> (Statement, Order) {
    let mut statement = select_by::<Event>(organization, "subject_id", &subject.id);
    statement.push(" AND t.subject_kind = ").bind(&subject.kind);
    (statement, Order::last("t.subject_seq"))
}
