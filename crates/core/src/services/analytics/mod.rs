//! What the history tells, what the pipeline is worth, and what people did. Reads only.

mod conversion;
mod performance;
mod period;
mod value;

pub(crate) use self::{conversion::conversion_rates, performance::team_performance, value::pipeline_value};
pub use self::{
    conversion::{ConversionGroup, ConversionQuery, ConversionRates, StageRate},
    performance::{MemberPerformance, Performance, PerformanceQuery, ResponseTimes, TeamPerformance},
    value::{PipelineValue, StageValue, TotalValue, ValueGroup, ValueQuery},
};
use crate::{
    error::{Error, Result},
    id::{TeamId, UserId},
    services::unit::Unit,
};

/// Fails unless the user and the team that are asked for are of this organisation. Who has left looks after nothing any
/// more: what was theirs is counted with whoever took it over, or with nobody.
async fn check_people(unit: &mut Unit, user: Option<UserId>, team: Option<TeamId>) -> Result<()> {
    if let Some(user) = user
        && !unit.is_member(user).await?
    {
        return Err(Error::not_found("member", user));
    }
    if let Some(team) = team {
        unit.store().team(unit.organization_id(), team).await?.ok_or_else(|| Error::not_found("team", team))?;
    }
    Ok(())
}
