//! What a field is compared with, read by the field's kind. A name may stand for several things: a stage of that name is
//! meant in any pipeline.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{expected, id};
use crate::{
    domain::{
        contact::IdentityKind,
        custom_field::{self, CustomField, CustomKind, Noun},
        external_id,
        organization::Member,
        pipeline::{Pipeline, Stage},
        text,
    },
    error::{Error, Result},
    id::{PipelineId, StageId, UserId},
    ports::store::{self, Column, FieldKind, Place},
    services::unit::Unit,
};

/// The names that a condition may use, as they stand now.
pub(crate) struct Names {
    pub(super) noun: Noun,
    pub(super) custom: Vec<CustomField>,
    pub(super) me: Option<UserId>,
    pipelines: Vec<Pipeline>,
    stages: Vec<Stage>,
    members: Vec<Member>,
}

impl Names {
    /// No names at all: enough where only the noun's own fields are meant, by their values.
    pub(super) fn none(noun: Noun) -> Self {
        Self { noun, custom: Vec::new(), me: None, pipelines: Vec::new(), stages: Vec::new(), members: Vec::new() }
    }

    /// The custom fields and, if asked for, the names of stages, pipelines and members.
    pub(super) async fn read(unit: &Unit, noun: Noun, all: bool) -> Result<Self> {
        let (store, organization) = (unit.store(), unit.organization_id());
        let mut names = Self { me: unit.scope().user_id(), ..Self::none(noun) };
        names.custom = store.custom_fields(organization).await?;
        names.custom.retain(|field| field.object == noun);
        if all {
            (names.pipelines, names.stages, names.members) = futures::try_join!(
                store.pipelines(organization),
                store.stages(organization),
                store.members(organization)
            )?;
        }
        Ok(names)
    }

    /// The values that one operand stands for.
    pub(super) fn operands(&self, place: &Place, value: &Value, at: &str, lenient: bool) -> Result<Vec<store::Value>> {
        match place {
            Place::Field(field) => self.of_field(field.kind, value, at),
            Place::Custom { id, kind, .. } => self.of_custom(*id, *kind, value, at, lenient).map(|it| vec![it]),
            Place::ExternalId(_) => {
                let given = text_of(value, at)?;
                let kept =
                    external_id::external_id(given).map_err(|flaw| Error::invalid(at, flaw.code, flaw.detail))?;
                Ok(vec![kept.to_value()])
            }
        }
    }

    fn of_field(&self, kind: FieldKind, value: &Value, at: &str) -> Result<Vec<store::Value>> {
        let flawed = |flaw: text::Flaw| Error::invalid(at, flaw.code, flaw.detail);
        Ok(match kind {
            FieldKind::Stage => self.stages(text_of(value, at)?, at)?.iter().map(Column::to_value).collect(),
            FieldKind::Pipeline => self.pipelines(text_of(value, at)?, at)?.iter().map(Column::to_value).collect(),
            FieldKind::User => vec![self.user(text_of(value, at)?, at)?.to_value()],
            FieldKind::Id => {
                let id = uuid::Uuid::try_parse(text_of(value, at)?).ok();
                vec![id.ok_or_else(|| expected(at, "an id (a UUID)", value))?.to_value()]
            }
            FieldKind::Word(words) => match value.as_str().and_then(|given| words.iter().find(|it| **it == given)) {
                Some(word) => vec![(*word).to_owned().to_value()],
                None => return Err(expected(at, &format!("one of {}", words.join(", ")), value)),
            },
            FieldKind::Integer => {
                vec![value.as_i64().ok_or_else(|| expected(at, "a whole number", value))?.to_value()]
            }
            FieldKind::Real => {
                let number = value.as_f64().filter(|it| it.is_finite());
                vec![number.ok_or_else(|| expected(at, "a number", value))?.to_value()]
            }
            FieldKind::Amount => vec![amount(value, at)?.to_value()],
            FieldKind::Time => vec![time(value, at)?.to_value()],
            FieldKind::Date => vec![custom_field::date(text_of(value, at)?).map_err(flawed)?.to_value()],
            FieldKind::Name | FieldKind::Text | FieldKind::Tags => {
                vec![text_of(value, at)?.trim().to_owned().to_value()]
            }
            FieldKind::Addresses(IdentityKind::Phone) => {
                vec![text::phone(text_of(value, at)?).map_err(flawed)?.to_value()]
            }
            FieldKind::Addresses(_) => vec![text_of(value, at)?.trim().to_lowercase().to_value()],
            FieldKind::Handle(_) => {
                let given = text_of(value, at)?.trim();
                vec![given.strip_prefix('@').unwrap_or(given).to_lowercase().to_value()]
            }
        })
    }

    fn of_custom(
        &self,
        id: crate::id::FieldId,
        kind: CustomKind,
        value: &Value,
        at: &str,
        lenient: bool,
    ) -> Result<store::Value> {
        let read = |text: &str| match kind {
            CustomKind::Number => text.parse().ok().and_then(serde_json::Number::from_f64).map(Value::Number),
            CustomKind::Boolean => text.parse::<bool>().ok().map(Value::Bool),
            _ => None,
        };
        let value = match value {
            Value::String(text) if kind == CustomKind::User => Value::from(self.user(text, at)?.to_string()),
            Value::String(text) if lenient => read(text).unwrap_or_else(|| value.clone()),
            value => value.clone(),
        };
        // One of several options is compared with by itself.
        let checked = match (self.custom_field(id), kind) {
            (Some(field), CustomKind::MultiChoice) => {
                let one = CustomField { kind: CustomKind::Choice, ..field.clone() };
                one.check(&value)
            }
            (Some(field), _) => field.check(&value),
            (None, _) => Ok(value),
        };
        match checked.map_err(|flaw| Error::invalid(at, flaw.code, flaw.detail))? {
            Value::Bool(flag) => Ok(store::Value::Bool(flag)),
            Value::Number(number) => Ok(store::Value::Real(number.as_f64().unwrap_or_default())),
            Value::String(text) => Ok(store::Value::Text(text)),
            other => Err(expected(at, "a value of the field's type", &other)),
        }
    }

    fn stages(&self, given: &str, at: &str) -> Result<Vec<StageId>> {
        let known = self.stages.iter().map(|stage| (stage.id, stage.name.as_str()));
        let found = named(given, known.clone(), id::<StageId>(given));
        if found.is_empty() { Err(unknown("stage", given, at, known.map(|(_, name)| name))) } else { Ok(found) }
    }

    fn pipelines(&self, given: &str, at: &str) -> Result<Vec<PipelineId>> {
        let known = self.pipelines.iter().map(|pipeline| (pipeline.id, pipeline.name.as_str()));
        let found = named(given, known.clone(), id::<PipelineId>(given));
        if found.is_empty() { Err(unknown("pipeline", given, at, known.map(|(_, name)| name))) } else { Ok(found) }
    }

    /// A member by id, e-mail address or name; `me` is the caller. Somebody who was a member may still be found by id.
    fn user(&self, given: &str, at: &str) -> Result<UserId> {
        if let (true, Some(me)) = (given == "me", self.me()) {
            return Ok(me);
        }
        if let Some(user) = id::<UserId>(given) {
            return Ok(user);
        }
        let email = given.trim().to_lowercase();
        if let Some(member) = self.members.iter().find(|member| member.email == email) {
            return Ok(member.user_id);
        }
        let known = self.members.iter().map(|member| (member.user_id, member.name.as_str()));
        match named(given, known, None).as_slice() {
            [only] => Ok(*only),
            [] => Err(unknown("member", given, at, self.members.iter().map(|member| member.email.as_str()))),
            several => {
                let detail = format!("{} members are called {given:?}: give the e-mail address", several.len());
                Err(Error::invalid(at, "invalid", detail))
            }
        }
    }
}

fn text_of<'v>(value: &'v Value, at: &str) -> Result<&'v str> {
    value.as_str().filter(|text| !text.contains('\0')).ok_or_else(|| expected(at, "a text", value))
}

fn time(value: &Value, at: &str) -> Result<DateTime<Utc>> {
    let parsed = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    parsed
        .map(|time| time.with_timezone(&Utc))
        .ok_or_else(|| expected(at, "a time such as \"2026-11-22T10:00:00Z\" (RFC 3339)", value))
}

/// An amount as it is kept: ten-thousandths.
fn amount(value: &Value, at: &str) -> Result<i64> {
    let wrong = || expected(at, "an amount such as \"1250.00\"", value);
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(wrong()),
    };
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let digits = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
    let plain = !whole.is_empty() && whole.len() <= 14 && part.len() <= 4 && digits(whole) && digits(part);
    if !plain {
        return Err(wrong());
    }
    format!("{whole}{part:0<4}").parse().map_err(|_| wrong())
}

/// Everything of that name, whatever its letter case; or the one with that id.
fn named<'n, T: Copy + PartialEq>(given: &str, all: impl Iterator<Item = (T, &'n str)>, by_id: Option<T>) -> Vec<T> {
    let key = text::name_key(given.trim());
    all.filter(|(thing, name)| by_id == Some(*thing) || text::name_key(name) == key).map(|(thing, _)| thing).collect()
}

fn unknown<'n>(noun: &str, given: &str, at: &str, known: impl Iterator<Item = &'n str>) -> Error {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    known.dedup();
    Error::invalid(at, "unknown", format!("there is no {noun} {given:?}; known: {}", known.join(", ")))
}
