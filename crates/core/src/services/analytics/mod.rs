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
