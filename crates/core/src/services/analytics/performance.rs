//! What the members of an organisation did: what they wrote, how long contacts waited for them, and what they won.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_people, period::period};
use crate::{
    domain::{currency::Currency, money::decimal, organization::Member},
    error::{Error, Result},
    id::{TeamId, UserId},
    ports::store::{MessageCount, Waits, WonSum, WorkFilter},
    services::{pipeline::Sum, unit::Unit},
};

/// Whose work, and of when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PerformanceQuery {
    /// At or after this instant; 90 days before `to` if left out.
    pub from: Option<DateTime<Utc>>,
    /// Before this instant; now if left out.
    pub to: Option<DateTime<Utc>>,
    /// Of this member alone.
    pub user_id: Option<UserId>,
    /// Of the present members of this team.
    pub team_id: Option<TeamId>,
}

/// What the members of an organisation did in a period.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TeamPerformance {
    /// From this instant on.
    pub from: DateTime<Utc>,
    /// Up to this instant, which is outside.
    pub to: DateTime<Utc>,
    /// One line a member, those first who have been one longest.
    pub data: Vec<MemberPerformance>,
    /// All of it together, by the same filters: also what those did who have left since, and the deals that were won and
    /// that nobody looks after.
    pub total: Performance,
    /// Always `null`: all members stand on one page.
    pub next_cursor: Option<String>,
}

/// What one member did.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MemberPerformance {
    /// Who.
    pub user_id: UserId,
    /// Their name.
    pub name: String,
    /// What they did.
    #[serde(flatten)]
    pub performance: Performance,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Performance {
    /// Messages that people sent; those of rules are not among them.
    pub messages_sent: i64,
    /// Replies to them: the first message of a contact after one of theirs, if nobody else wrote in between. What machines
    /// write is no reply.
    pub replies: i64,
    /// How many of the messages answered a contact who waited for a person's answer.
    pub answers: i64,
    /// How long contacts had waited for these answers, from the oldest message that had none; `null` without any. Rules
    /// answer nobody, and history from before an account was connected waits for nothing.
    pub response_seconds: Option<ResponseTimes>,
    /// Deals that are won, and were so in the period, of whoever looks after them now.
    pub deals_won: i64,
    /// What they are worth, one a currency, by currency; those without a value are not among them.
    pub won_value: Vec<Sum>,
}

/// How long contacts waited, in seconds, by nearest rank: a time that was one of the waits, and that at least this share
/// of them did not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct ResponseTimes {
    /// Half of the answers took no longer.
    pub p50: f64,
    /// Nine tenths took no longer.
    pub p90: f64,
    /// Nineteen twentieths took no longer.
    pub p95: f64,
}

impl From<&Waits> for ResponseTimes {
    fn from(waits: &Waits) -> Self {
        let seconds = |micros: i64| micros as f64 / 1e6;
        Self { p50: seconds(waits.p50), p90: seconds(waits.p90), p95: seconds(waits.p95) }
    }
}

/// What the store has counted.
struct Counted {
    messages: Vec<MessageCount>,
    waits: HashMap<Option<UserId>, Waits>,
    won: Vec<WonSum>,
}

impl Counted {
    /// What one member did, or all together.
    fn of(&self, user: Option<UserId>) -> Performance {
        let mut told = Performance::default();
        for it in self.messages.iter().filter(|it| user.is_none_or(|user| it.user_id == user)) {
            told.messages_sent += it.sent;
            told.replies += it.replies;
            told.answers += it.answers;
        }
        told.response_seconds = self.waits.get(&user).map(ResponseTimes::from);
        let mut worth: BTreeMap<Currency, (i128, i64)> = BTreeMap::new();
        for it in self.won.iter().filter(|it| user.is_none_or(|user| it.user_id == Some(user))) {
            told.deals_won += it.count;
            if let Some(currency) = it.currency {
                let (amount, count) = worth.entry(currency).or_default();
                *amount += it.amount;
                *count += it.count;
            }
        }
        let sum = |(currency, (amount, count))| Sum { amount: decimal(amount, currency), currency, count };
        told.won_value = worth.into_iter().map(sum).collect();
        told
    }
}

pub(crate) async fn team_performance(unit: &mut Unit, input: PerformanceQuery) -> Result<TeamPerformance> {
    let period = period(unit, input.from, input.to)?;
    check_people(unit, input.user_id, input.team_id).await?;
    let members = members(unit, &input).await?;
    let filter = WorkFilter { period, user_id: input.user_id, team_id: input.team_id };
    let (organization, store) = (unit.organization_id(), unit.store());
    let waits = store.waits(organization, &filter).await?;
    let counted = Counted {
        messages: store.message_counts(organization, &filter).await?,
        waits: waits.into_iter().map(|it| (it.user_id, it)).collect(),
        won: store.won(organization, &filter).await?,
    };
    let line = |member: Member| MemberPerformance {
        performance: counted.of(Some(member.user_id)),
        user_id: member.user_id,
        name: member.name,
    };
    Ok(TeamPerformance {
        from: period.from,
        to: period.to,
        data: members.into_iter().map(line).collect(),
        total: counted.of(None),
        next_cursor: None,
    })
}

/// The members that are asked about, those first who have been one longest.
async fn members(unit: &Unit, input: &PerformanceQuery) -> Result<Vec<Member>> {
    let organization = unit.organization_id();
    let mut members = match input.user_id {
        Some(user) => {
            let found = unit.store().member(organization, user).await?;
            vec![found.ok_or_else(|| Error::not_found("member", user))?]
        }
        None => unit.store().members(organization).await?,
    };
    if let Some(team) = input.team_id {
        let of_team = unit.store().all_team_members(organization, team).await?;
        let of_team: HashSet<_> = of_team.into_iter().map(|member| member.user_id).collect();
        members.retain(|member| of_team.contains(&member.user_id));
    }
    Ok(members)
}
