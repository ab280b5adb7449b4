//! Periods, and the days, weeks and months of a time zone that they are made of.

use chrono::{DateTime, Datelike, Days, Duration, Months, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use crate::{
    error::{Error, Result},
    ports::store::Period,
    services::unit::Unit,
};

/// The period that is looked at if none is named.
const PERIOD: Duration = Duration::days(90);
/// The most groups of an answer.
pub(super) const MAX_GROUPS: usize = 400;

/// The period between two instants: the last 90 days, if neither is named.
pub(super) fn period(unit: &Unit, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Result<Period> {
    // What happened in this very microsecond counts too.
    let to = to.unwrap_or_else(|| unit.now() + Duration::microseconds(1));
    let from = from.or_else(|| to.checked_sub_signed(PERIOD)).unwrap_or(DateTime::<Utc>::MIN_UTC);
    if from >= to {
        let detail = format!("from ({from}) is not before to ({to}): nothing lies between them");
        return Err(refused("/from", "out_of_range", detail));
    }
    Ok(Period { from, to })
}

/// A parameter that is refused.
pub(super) fn refused(pointer: &str, code: &'static str, detail: String) -> Error {
    Error::malformed(detail.clone()).code_of("invalid_parameter").field(pointer, code, detail)
}

/// The refusal of an answer with more groups than anybody reads.
pub(super) fn too_many() -> Error {
    let detail =
        format!("there would be more than {MAX_GROUPS} groups: name a shorter period, larger groups or a filter");
    refused("/group_by", "too_many", detail)
}

/// What a period is split up into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Day,
    Week,
    Month,
}

impl Step {
    /// The first day of the step that `day` is in. Weeks begin on Monday.
    fn first(self, day: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => Some(day),
            Self::Week => day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into())),
            Self::Month => day.with_day(1),
        }
    }

    fn next(self, day: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => day.checked_add_days(Days::new(1)),
            Self::Week => day.checked_add_days(Days::new(7)),
            Self::Month => day.checked_add_months(Months::new(1)),
        }
    }
}

/// The steps of a period in a time zone: what each is called, which is when it begins, and what of it lies in the period.
pub(super) fn steps(period: Period, step: Step, zone: Tz) -> Result<Vec<(String, Period)>> {
    // Far from our time there is no calendar to speak of.
    if !(1..=9999).contains(&period.from.year()) || !(1..=9999).contains(&period.to.year()) {
        return Err(too_many());
    }
    let mut day = step.first(period.from.with_timezone(&zone).date_naive()).ok_or_else(too_many)?;
    let mut steps = Vec::new();
    let mut start = midnight(day, zone)?;
    while start < period.to {
        if steps.len() == MAX_GROUPS {
            return Err(too_many());
        }
        day = step.next(day).ok_or_else(too_many)?;
        let end = midnight(day, zone)?;
        let inside = Period { from: period.from.max(start.to_utc()), to: period.to.min(end.to_utc()) };
        steps.push((start.to_rfc3339(), inside));
        start = end;
    }
    Ok(steps)
}

/// The first instant of a day: midnight or, where the clock is put forward over it, the first time that there is.
fn midnight(day: NaiveDate, zone: Tz) -> Result<DateTime<Tz>> {
    let quarters = (0..=96).map(|quarter| Duration::minutes(15 * quarter));
    let times = quarters.filter_map(|after| day.and_time(NaiveTime::MIN).checked_add_signed(after));
    let mut instants = times.filter_map(|time| zone.from_local_datetime(&time).earliest());
    instants.next().ok_or_else(|| Error::internal(format!("{day} has no time in {zone}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn told(from: &str, to: &str, step: Step, zone: Tz) -> Vec<(String, DateTime<Utc>, DateTime<Utc>)> {
        let period = Period { from: at(from), to: at(to) };
        steps(period, step, zone).unwrap().into_iter().map(|(name, it)| (name, it.from, it.to)).collect()
    }

    #[test]
    fn months_begin_at_the_midnight_of_their_zone() {
        // Berlin is an hour ahead in winter, two in summer.
        let months = told("2026-03-15T00:00:00Z", "2026-04-30T22:00:01Z", Step::Month, chrono_tz::Europe::Berlin);
        assert_eq!(
            months,
            [
                ("2026-03-01T00:00:00+01:00".into(), at("2026-03-15T00:00:00Z"), at("2026-03-31T22:00:00Z")),
                ("2026-04-01T00:00:00+02:00".into(), at("2026-03-31T22:00:00Z"), at("2026-04-30T22:00:00Z")),
                ("2026-05-01T00:00:00+02:00".into(), at("2026-04-30T22:00:00Z"), at("2026-04-30T22:00:01Z")),
            ]
        );
    }

    #[test]
    fn weeks_begin_on_monday() {
        let weeks = told("2026-11-22T23:59:59Z", "2026-11-23T00:00:01Z", Step::Week, Tz::UTC);
        let names: Vec<_> = weeks.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(names, ["2026-11-16T00:00:00+00:00", "2026-11-23T00:00:00+00:00"]);
    }

    #[test]
    fn a_day_without_a_midnight_begins_when_its_clock_does() {
        // Santiago put its clock forward at midnight of 6 September 2026.
        let days = told("2026-09-06T05:00:00Z", "2026-09-07T04:00:00Z", Step::Day, chrono_tz::America::Santiago);
        let names: Vec<_> = days.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(names, ["2026-09-06T01:00:00-03:00", "2026-09-07T00:00:00-03:00"]);
    }

    #[test]
    fn more_steps_than_anybody_reads_are_refused() {
        let period = Period { from: at("2020-01-01T00:00:00Z"), to: at("2026-01-01T00:00:00Z") };
        assert_eq!(steps(period, Step::Day, Tz::UTC).unwrap_err().code(), "invalid_parameter");
        assert_eq!(steps(period, Step::Month, Tz::UTC).unwrap().len(), 72);
        let ever = Period { from: DateTime::<Utc>::MIN_UTC, to: DateTime::<Utc>::MAX_UTC };
        assert_eq!(steps(ever, Step::Month, Tz::UTC).unwrap_err().code(), "invalid_parameter");
    }
}
