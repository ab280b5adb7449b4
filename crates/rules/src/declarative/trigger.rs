//! What makes a rule look, and whom it acts on: the members `trigger`, `subject`, `apply_to` and `causes`.

use std::{str::FromStr, sync::LazyLock};

use chrono::{DateTime, Utc};
use croner::parser::{CronParser, Seconds, Year};
use dealwright::{
    Error, Result,
    domain::rule::{RuleSubject, Schedule, Trigger},
};
use serde_json::{Map, Value};

use super::{
    complaint::{expected, invalid, item, not_available, only, quoted, required, too_long, unknown},
    limits,
};

/// Triggers of the contract that this build does not have.
const ABSENT: &[&str] = &["draft.approved"];
/// Causes that mute rules unless they ask for them.
const CAUSES: &[&str] = &["import", "restore", "backfill"];

/// The trigger, read.
pub(super) struct When<'a> {
    pub trigger: Trigger,
    pub subject: RuleSubject,
    pub schedule: Option<Schedule>,
    pub causes: Vec<String>,
    /// A time rule's stage and hours, where the trigger carries them: conditions like any other.
    pub stage: Option<&'a Value>,
    pub elapsed_hours: Option<&'a Value>,
}

impl When<'_> {
    pub(super) fn is_time_rule(&self) -> bool {
        self.trigger == Trigger::TimeElapsed
    }
}

pub(super) fn read(definition: &Map<String, Value>) -> Result<When<'_>> {
    let at = "/trigger";
    let nothing = Map::new();
    let (word, members, word_at) = match definition.get("trigger") {
        None | Some(Value::Null) => {
            return Err(required(at, "a rule needs a trigger, for example \"message.received\""));
        }
        Some(Value::String(word)) => (word.as_str(), None, at),
        Some(Value::Object(members)) => match members.get("on") {
            Some(Value::String(word)) => (word.as_str(), Some(members), "/trigger/on"),
            Some(other) => return Err(expected("/trigger/on", "the name of a trigger", other)),
            None => return Err(required("/trigger/on", "say which trigger, for example \"schedule\"")),
        },
        Some(other) => return Err(expected(at, "the name of a trigger or an object with \"on\"", other)),
    };
    let trigger = word_of(word, word_at)?;
    let members_or_none = members.unwrap_or(&nothing);
    let schedule = match trigger {
        Trigger::Schedule => {
            only(members_or_none, at, &["on", "cron", "time_zone"])?;
            Some(schedule(members_or_none)?)
        }
        Trigger::TimeElapsed => {
            only(members_or_none, at, &["on", "stage", "elapsed_hours"])?;
            None
        }
        _ => {
            only(members_or_none, at, &["on"])?;
            None
        }
    };
    apply_to(definition, trigger)?;
    Ok(When {
        trigger,
        subject: subject(definition, trigger)?,
        schedule,
        causes: causes(definition)?,
        stage: members.and_then(|members| members.get("stage")),
        elapsed_hours: members.and_then(|members| members.get("elapsed_hours")),
    })
}

fn word_of(word: &str, at: &str) -> Result<Trigger> {
    if ABSENT.contains(&word) {
        return Err(not_available(at, &format!("the trigger {word}")));
    }
    Trigger::from_str(word).map_err(|_| unknown(at, "trigger", word, Trigger::ALL.iter().map(|word| word.as_str())))
}

/// The contact, or the deal for its own triggers, unless the rule says otherwise. An account's event has neither.
fn subject(definition: &Map<String, Value>, trigger: Trigger) -> Result<RuleSubject> {
    let at = "/subject";
    let natural = match trigger {
        Trigger::AccountStatusChanged => RuleSubject::Organization,
        Trigger::DealCreated | Trigger::DealUpdated | Trigger::DealWon | Trigger::DealLost => RuleSubject::Deal,
        _ => RuleSubject::Contact,
    };
    let word = match definition.get("subject") {
        None => return Ok(natural),
        Some(Value::String(word)) => word.as_str(),
        Some(other) => return Err(expected(at, "\"contact\", \"deal\" or \"organization\"", other)),
    };
    let subject = RuleSubject::from_str(word)
        .map_err(|_| unknown(at, "subject", word, RuleSubject::ALL.iter().map(|word| word.as_str())))?;
    match (subject, trigger) {
        _ if subject == natural => Ok(subject),
        (RuleSubject::Organization, Trigger::Schedule) => Ok(subject),
        (RuleSubject::Deal, Trigger::StageChanged | Trigger::TaskDue | Trigger::TimeElapsed | Trigger::Schedule) => {
            Ok(subject)
        }
        (RuleSubject::Organization, _) => Err(invalid(
            at,
            format!("{trigger} is about a {natural}; only a schedule may have the subject organization"),
        )),
        (RuleSubject::Deal, _) => Err(invalid(
            at,
            format!(
                "{trigger} is about a {natural}; stage.changed, task.due, time_elapsed and schedule may have the subject deal"
            ),
        )),
        (RuleSubject::Contact, _) => {
            Err(invalid(at, format!("{trigger} is not about a contact; leave the subject out")))
        }
    }
}

fn apply_to(definition: &Map<String, Value>, trigger: Trigger) -> Result<()> {
    let at = "/apply_to";
    match definition.get("apply_to") {
        None => Ok(()),
        Some(_) if trigger != Trigger::TimeElapsed => Err(invalid(
            at,
            "only a time_elapsed rule applies to those who are in the stage already; leave apply_to out",
        )),
        Some(Value::String(word)) if word == "all" || word == "new" => Ok(()),
        Some(Value::String(word)) => Err(unknown(at, "choice", word, ["all", "new"])),
        Some(other) => Err(expected(at, "\"all\" or \"new\"", other)),
    }
}

fn causes(definition: &Map<String, Value>) -> Result<Vec<String>> {
    let at = "/causes";
    let list = match definition.get("causes") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(expected(at, "a list of causes such as [\"import\"]", other)),
    };
    let mut causes = Vec::new();
    for (index, cause) in list.iter().enumerate() {
        let at = item(at, index);
        match cause {
            Value::String(word) if CAUSES.contains(&word.as_str()) => {
                if !causes.contains(word) {
                    causes.push(word.clone());
                }
            }
            Value::String(word) => return Err(unknown(&at, "cause", word, CAUSES.iter().copied())),
            other => return Err(expected(&at, "the name of a cause", other)),
        }
    }
    Ok(causes)
}

fn schedule(members: &Map<String, Value>) -> Result<Schedule> {
    let cron = match members.get("cron") {
        None => {
            return Err(required(
                "/trigger/cron",
                "a schedule needs a cron expression, for example \"0 9 * * MON-FRI\"",
            ));
        }
        Some(Value::String(cron)) => cron.trim(),
        Some(other) => return Err(expected("/trigger/cron", "a cron expression", other)),
    };
    check_cron(cron)?;
    let time_zone = match members.get("time_zone") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(time_zone(name)?),
        Some(other) => return Err(expected("/trigger/time_zone", "the name of a time zone", other)),
    };
    Ok(Schedule { cron: cron.to_owned(), time_zone })
}

fn check_cron(cron: &str) -> Result<()> {
    let at = "/trigger/cron";
    if cron.chars().count() > limits::CRON {
        return Err(too_long(at, "the cron expression", limits::CRON));
    }
    let fields = cron.split_whitespace().count();
    if fields != 5 {
        return Err(invalid(
            at,
            format!("five fields are expected (minute, hour, day, month, weekday), not {fields}: \"0 9 * * MON-FRI\""),
        ));
    }
    let faulty =
        |error: croner::errors::CronError| invalid(at, format!("{} is no cron expression: {error}", quoted(cron)));
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let parsed = parser.parse(cron).map_err(faulty)?;
    // Any instant will do: a date that exists comes round within 28 years, and one such as 30 February never does.
    let never = |_| -> Error { invalid(at, format!("{} never comes due: there is no such date", quoted(cron))) };
    parsed.find_next_occurrence(&DateTime::<Utc>::UNIX_EPOCH, false).map(drop).map_err(never)
}

fn time_zone(name: &str) -> Result<String> {
    static NAMES: LazyLock<Vec<&str>> =
        LazyLock::new(|| chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).collect());
    match chrono_tz::Tz::from_str(name) {
        Ok(zone) => Ok(zone.name().to_owned()),
        Err(_) => Err(unknown("/trigger/time_zone", "time zone", name, NAMES.iter().copied())),
    }
}
