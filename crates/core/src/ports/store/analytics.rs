//! What can be read of how things go: folded by the database along indexes, by period, group and currency.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use crate::{
    domain::{currency::Currency, pipeline::MoverKind},
    error::Result,
    id::*,
};

/// An instant at or after `from` and before `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// From here on.
    pub from: DateTime<Utc>,
    /// Up to here, which is outside.
    pub to: DateTime<Utc>,
}

/// What a line is about, where what is counted is split up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Everything.
    All,
    /// What somebody looks after; `None`: nobody.
    Owner(Option<UserId>),
    /// What came from a source; `None`: nobody said from where.
    Source(Option<String>),
    /// What happened in one of the spans that were asked for: its place among them.
    Span(i64),
    /// What is hoped to be closed in a month, `2026-11`; `None`: nobody said when.
    Month(Option<String>),
}

/// How what is counted is split up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    /// By who looks after it.
    Owner,
    /// By where the contact came from.
    Source,
    /// By when it happened: these spans, in their order, none reaching into another.
    Spans(Vec<Period>),
    /// By the month in which it is hoped to be closed: of deals alone.
    Month,
}

/// Which entries into the stages of a pipeline are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversionFilter {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// Who enters.
    pub subject: MoverKind,
    /// When.
    pub period: Period,
    /// Looked after by this user.
    pub assigned_to: Option<UserId>,
    /// Of this team.
    pub team_id: Option<TeamId>,
    /// Whose contact came from this source.
    pub source: Option<String>,
    /// How they are split up.
    pub group_by: Option<GroupBy>,
}

/// How contacts went through one stage.
#[derive(Debug, Clone, PartialEq)]
pub struct StageConversion {
    /// Of what.
    pub group: Group,
    /// The stage.
    pub stage_id: StageId,
    /// Entries into it in the period.
    pub entered: i64,
    /// Of these, those that went on to a later stage that is not lost, or were won.
    pub moved_on: i64,
    /// Of these, those that went to a lost stage.
    pub lost: i64,
    /// Median time in the stage of those that left it, in seconds.
    pub median_seconds: Option<f64>,
}

/// Which deals of a pipeline are summed up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueFilter {
    /// Looked after by this user.
    pub assigned_to: Option<UserId>,
    /// Of this team.
    pub team_id: Option<TeamId>,
    /// Whose contact came from this source.
    pub source: Option<String>,
    /// Hoped to be closed on this day or later.
    pub from: Option<NaiveDate>,
    /// Hoped to be closed before this day.
    pub to: Option<NaiveDate>,
    /// How they are split up; spans split up nothing here.
    pub group_by: Option<GroupBy>,
}

/// The deals of one stage that have the same currency and the same probability, summed up.
#[derive(Debug, Clone, PartialEq)]
pub struct DealSum {
    /// Of what.
    pub group: Group,
    /// The stage.
    pub stage_id: StageId,
    /// Of what they are worth something; `None` for deals without a value.
    pub currency: Option<Currency>,
    /// Their own probability.
    pub probability: Option<f64>,
    /// How many there are.
    pub count: i64,
    /// What they are worth together, in ten-thousandths; exact, whatever their number.
    pub amount: i128,
}

/// Whose work is counted, and of when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkFilter {
    /// When.
    pub period: Period,
    /// This user's.
    pub user_id: Option<UserId>,
    /// That of this team's present members.
    pub team_id: Option<TeamId>,
}

/// What somebody wrote, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageCount {
    /// Who.
    pub user_id: UserId,
    /// Their messages that were sent.
    pub sent: i64,
    /// Replies to them.
    pub replies: i64,
    /// How many of the messages answered somebody who waited.
    pub answers: i64,
}

/// How long contacts waited for answers, by nearest rank: at least that share of the answers took no longer. In
/// microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// Whose answers; `None`: all of them together.
    pub user_id: Option<UserId>,
    /// Of half of the answers.
    pub p50: i64,
    /// Of nine tenths.
    pub p90: i64,
    /// Of nineteen twentieths.
    pub p95: i64,
}

/// What somebody has won in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WonSum {
    /// Who looks after the deals; `None`: nobody.
    pub user_id: Option<UserId>,
    /// Of what they are worth something; `None` for deals without a value.
    pub currency: Option<Currency>,
    /// How many there are.
    pub count: i64,
    /// What they are worth together, in ten-thousandths.
    pub amount: i128,
}

/// Analytics.
#[async_trait]
pub trait AnalyticsReads {
    /// How contacts, or deals, went through the stages of a pipeline. Ungrouped, every stage has its line; grouped, those
    /// that somebody entered.
    async fn conversion(&self, organization: OrganizationId, filter: &ConversionFilter)
    -> Result<Vec<StageConversion>>;
    /// What the deals of a pipeline that are not deleted are worth, by stage, currency and probability.
    async fn deal_sums(
        &self,
        organization: OrganizationId,
        pipeline: PipelineId,
        filter: &ValueFilter,
    ) -> Result<Vec<DealSum>>;
    /// What people wrote. Who wrote nothing and was not replied to is left out.
    async fn message_counts(&self, organization: OrganizationId, filter: &WorkFilter) -> Result<Vec<MessageCount>>;
    /// How long contacts waited for these people's answers, for each of them and for all together. Who answered nobody is
    /// left out.
    async fn waits(&self, organization: OrganizationId, filter: &WorkFilter) -> Result<Vec<Waits>>;
    /// The deals that are won, and were so in the period, by who looks after them and by currency.
    async fn won(&self, organization: OrganizationId, filter: &WorkFilter) -> Result<Vec<WonSum>>;
}
