//! The closed list of facts a rule may name, each with its kind, and how to read one; beside it the custom fields that an
//! organisation defines, `contact.custom.KEY` and `deal.custom.KEY`. Every engine and template goes through here, so that a
//! fact has one name and one meaning. It never invents a value: what is not there is `None`.

use std::{borrow::Cow, fmt, sync::Arc};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    domain::{
        custom_field::{CustomField, CustomKind, Noun},
        rule::Facts,
    },
    id::{Id, StageId},
};

/// What a fact's value is: it decides which comparisons make sense and how the operand is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactKind {
    /// A stage, named by name or id.
    Stage,
    /// A pipeline, named by name or id.
    Pipeline,
    /// A member of the organisation, named by e-mail, name or id.
    User,
    /// The id of something that has no name here.
    Id,
    /// True or false.
    Flag,
    /// A number.
    Number,
    /// Hours since something: grows as time passes.
    Hours,
    /// A text.
    Text,
    /// One of a closed list of words.
    Word(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// An instant, RFC 3339.
    Time,
    /// A date: its midnight in UTC.
    Date,
    /// One of a custom field's options.
    Choice,
    /// Several of a custom field's options: a list of texts.
    Choices,
    /// A custom field, of which nobody has said yet what it holds.
    Custom,
}

/// A fact's value, borrowed from the facts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FactValue<'a> {
    /// A stage or pipeline.
    Named {
        /// Its id.
        id: Uuid,
        /// Its name.
        name: &'a str,
    },
    /// True or false.
    Flag(bool),
    /// A number, or hours.
    Number(f64),
    /// A text, a word, an id, or an instant as REST writes it.
    Text(&'a str),
    /// A list.
    List(&'a [Value]),
    /// An instant.
    Time(DateTime<Utc>),
}

impl<'a> FactValue<'a> {
    /// Whether there is nothing in it: an empty list or text.
    pub const fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::List(list) => list.is_empty(),
            _ => false,
        }
    }

    /// As people read it: a stage by its name, a list with commas.
    pub fn to_text(self) -> Cow<'a, str> {
        match self {
            Self::Named { name, .. } => Cow::Borrowed(name),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Flag(flag) => Cow::Borrowed(if flag { "true" } else { "false" }),
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Time(at) => Cow::Owned(at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            Self::List(list) => Cow::Owned(list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// Why a text names no fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactPathError {
    /// There is no such fact.
    Unknown,
}

/// The name of a fact, for example `contact.name`. Reading a fact by it allocates nothing. That a custom field exists, only
/// its organisation knows.
#[derive(Clone)]
pub struct FactPath(Named);

#[derive(Clone)]
enum Named {
    Known(&'static Entry),
    Custom(Arc<Custom>),
}

/// A custom field by the name that it has in rules.
struct Custom {
    path: String,
    noun: Noun,
    key: String,
    kind: FactKind,
}

/// What the names of custom fields begin with.
const CUSTOM: [(&str, Noun); 2] = [("contact.custom.", Noun::Contact), ("deal.custom.", Noun::Deal)];

struct Entry {
    path: &'static str,
    kind: FactKind,
    place: Place,
}

#[derive(Clone, Copy)]
enum Object {
    Message,
    Contact,
    Deal,
    Account,
    Event,
}

enum Place {
    Stage,
    Pipeline,
    ElapsedHours,
    HasResponse,
    IsFirstResponse,
    SinceMessage,
    SinceResponse,
    NowAt,
    NowHour,
    NowWeekday,
    Sender,
    Automatic,
    Handle(&'static str),
    DealAmount,
    DealCurrency,
    Member(Object, &'static str),
}

const ACCOUNT_STATUSES: &[&str] =
    &["pending", "connecting", "awaiting_code", "awaiting_password", "active", "limited", "disconnected", "banned"];
const DEAL_STATUSES: &[&str] = &["open", "won", "lost"];
const DIRECTIONS: &[&str] = &["incoming", "outgoing"];
const WEEKDAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const fn entry(path: &'static str, kind: FactKind, place: Place) -> Entry {
    Entry { path, kind, place }
}

const fn message(path: &'static str, kind: FactKind, member: &'static str) -> Entry {
    entry(path, kind, Place::Member(Object::Message, member))
}

const fn contact(path: &'static str, kind: FactKind, member: &'static str) -> Entry {
    entry(path, kind, Place::Member(Object::Contact, member))
}

const fn deal(path: &'static str, kind: FactKind, member: &'static str) -> Entry {
    entry(path, kind, Place::Member(Object::Deal, member))
}

const fn account(path: &'static str, kind: FactKind, member: &'static str) -> Entry {
    entry(path, kind, Place::Member(Object::Account, member))
}

const fn event(path: &'static str, kind: FactKind, member: &'static str) -> Entry {
    entry(path, kind, Place::Member(Object::Event, member))
}

static FACTS: &[Entry] = &[
    entry("stage", FactKind::Stage, Place::Stage),
    entry("pipeline", FactKind::Pipeline, Place::Pipeline),
    entry("elapsed_hours", FactKind::Hours, Place::ElapsedHours),
    entry("has_response", FactKind::Flag, Place::HasResponse),
    entry("is_first_response", FactKind::Flag, Place::IsFirstResponse),
    entry("hours_since_last_message", FactKind::Hours, Place::SinceMessage),
    entry("hours_since_last_response", FactKind::Hours, Place::SinceResponse),
    message("message.id", FactKind::Id, "id"),
    message("message.text", FactKind::Text, "text"),
    message("message.subject", FactKind::Text, "subject"),
    message("message.platform", FactKind::Text, "platform"),
    message("message.direction", FactKind::Word(DIRECTIONS), "direction"),
    entry("message.sender", FactKind::Text, Place::Sender),
    entry("message.sender.name", FactKind::Text, Place::Sender),
    entry("message.automatic", FactKind::Flag, Place::Automatic),
    message("message.timestamp", FactKind::Time, "timestamp"),
    contact("contact.id", FactKind::Id, "id"),
    contact("contact.name", FactKind::Text, "name"),
    contact("contact.emails", FactKind::Texts, "emails"),
    contact("contact.phones", FactKind::Texts, "phones"),
    entry("contact.handles.telegram", FactKind::Text, Place::Handle("telegram")),
    entry("contact.handles.linkedin", FactKind::Text, Place::Handle("linkedin")),
    entry("contact.handles.twitter", FactKind::Text, Place::Handle("twitter")),
    contact("contact.company_id", FactKind::Id, "company_id"),
    contact("contact.assigned_to", FactKind::User, "assigned_to"),
    contact("contact.team_id", FactKind::Id, "team_id"),
    contact("contact.source", FactKind::Text, "source"),
    contact("contact.tags", FactKind::Texts, "tags"),
    contact("contact.score", FactKind::Number, "score"),
    contact("contact.stage_id", FactKind::Stage, "stage_id"),
    contact("contact.pipeline_id", FactKind::Pipeline, "pipeline_id"),
    contact("contact.stage_entered_at", FactKind::Time, "stage_entered_at"),
    contact("contact.first_response_at", FactKind::Time, "first_response_at"),
    contact("contact.last_response_at", FactKind::Time, "last_response_at"),
    contact("contact.last_message_at", FactKind::Time, "last_message_at"),
    contact("contact.created_at", FactKind::Time, "created_at"),
    contact("contact.updated_at", FactKind::Time, "updated_at"),
    contact("contact.version", FactKind::Number, "version"),
    deal("deal.id", FactKind::Id, "id"),
    deal("deal.name", FactKind::Text, "name"),
    deal("deal.status", FactKind::Word(DEAL_STATUSES), "status"),
    deal("deal.contact_id", FactKind::Id, "contact_id"),
    deal("deal.company_id", FactKind::Id, "company_id"),
    // The same as the subject's own, by the names that they have in REST.
    deal("deal.stage", FactKind::Stage, "stage_id"),
    deal("deal.pipeline", FactKind::Pipeline, "pipeline_id"),
    deal("deal.stage_entered_at", FactKind::Time, "stage_entered_at"),
    entry("deal.value.amount", FactKind::Number, Place::DealAmount),
    entry("deal.value.currency", FactKind::Text, Place::DealCurrency),
    deal("deal.probability", FactKind::Number, "probability"),
    deal("deal.expected_close_on", FactKind::Date, "expected_close_on"),
    deal("deal.assigned_to", FactKind::User, "assigned_to"),
    deal("deal.team_id", FactKind::Id, "team_id"),
    deal("deal.lost_reason", FactKind::Text, "lost_reason"),
    deal("deal.closed_at", FactKind::Time, "closed_at"),
    deal("deal.created_at", FactKind::Time, "created_at"),
    deal("deal.updated_at", FactKind::Time, "updated_at"),
    deal("deal.version", FactKind::Number, "version"),
    account("account.id", FactKind::Id, "id"),
    account("account.platform", FactKind::Text, "platform"),
    account("account.handle", FactKind::Text, "handle"),
    account("account.display_name", FactKind::Text, "display_name"),
    account("account.status", FactKind::Word(ACCOUNT_STATUSES), "status"),
    event("event.id", FactKind::Id, "id"),
    event("event.kind", FactKind::Text, "kind"),
    event("event.at", FactKind::Time, "at"),
    event("event.cause", FactKind::Text, "cause"),
    event("event.from_stage", FactKind::Stage, "from_stage"),
    event("event.to_stage", FactKind::Stage, "to_stage"),
    event("event.status", FactKind::Text, "status"),
    event("event.changed", FactKind::Texts, "changed"),
    event("event.title", FactKind::Text, "title"),
    entry("now.at", FactKind::Time, Place::NowAt),
    entry("now.hour", FactKind::Number, Place::NowHour),
    entry("now.weekday", FactKind::Word(WEEKDAYS), Place::NowWeekday),
];

impl FactPath {
    /// Every fact, in the order of the contract.
    pub fn all() -> impl Iterator<Item = Self> {
        FACTS.iter().map(|entry| Self(Named::Known(entry)))
    }

    /// The names of all of them.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FACTS.iter().map(|entry| entry.path)
    }

    /// The fact of that name. Of a custom field it is not said whether it exists, nor what it holds.
    ///
    /// # Errors
    /// There is no such fact.
    pub fn parse(path: &str) -> Result<Self, FactPathError> {
        if let Some(entry) = FACTS.iter().find(|entry| entry.path == path) {
            return Ok(Self(Named::Known(entry)));
        }
        let custom = |(begin, noun): (&str, Noun)| Some((noun, path.strip_prefix(begin)?));
        let (noun, key) = CUSTOM.into_iter().find_map(custom).ok_or(FactPathError::Unknown)?;
        Ok(Self::custom(noun, key, FactKind::Custom))
    }

    /// The fact that a custom field is; `None` for a field of something that rules know nothing of.
    pub fn of_field(field: &CustomField) -> Option<Self> {
        let kind = match field.kind {
            CustomKind::Text => FactKind::Text,
            CustomKind::Number => FactKind::Number,
            CustomKind::Date => FactKind::Date,
            CustomKind::Boolean => FactKind::Flag,
            CustomKind::Choice => FactKind::Choice,
            CustomKind::MultiChoice => FactKind::Choices,
            CustomKind::User => FactKind::User,
        };
        let known = CUSTOM.iter().any(|(_, noun)| *noun == field.object);
        known.then(|| Self::custom(field.object, &field.key, kind))
    }

    fn custom(noun: Noun, key: &str, kind: FactKind) -> Self {
        Self(Named::Custom(Arc::new(Custom { path: format!("{noun}.custom.{key}"), noun, key: key.to_owned(), kind })))
    }

    /// Whose custom field it is, and its key; `None` if it is none.
    pub fn field(&self) -> Option<(Noun, &str)> {
        match &self.0 {
            Named::Known(_) => None,
            Named::Custom(custom) => Some((custom.noun, &custom.key)),
        }
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Named::Known(entry) => entry.path,
            Named::Custom(custom) => &custom.path,
        }
    }

    /// What its value is.
    pub fn kind(&self) -> FactKind {
        match &self.0 {
            Named::Known(entry) => entry.kind,
            Named::Custom(custom) => custom.kind,
        }
    }

    /// Whether it is known of a deal alone.
    pub fn is_of_deal(&self) -> bool {
        match &self.0 {
            Named::Known(entry) => {
                matches!(entry.place, Place::DealAmount | Place::DealCurrency | Place::Member(Object::Deal, _))
            }
            Named::Custom(custom) => custom.noun == Noun::Deal,
        }
    }

    /// Whether it can be known without a contact, as in a rule about the organisation.
    pub fn stands_without_contact(&self) -> bool {
        let Named::Known(entry) = &self.0 else { return false };
        matches!(
            entry.place,
            Place::NowAt | Place::NowHour | Place::NowWeekday | Place::Member(Object::Account | Object::Event, _)
        )
    }
}

impl Facts {
    /// The value of a fact; `None` if there is none.
    pub fn get(&self, path: &FactPath) -> Option<FactValue<'_>> {
        let entry = match &path.0 {
            Named::Known(entry) => entry,
            Named::Custom(custom) => {
                let owner = if custom.noun == Noun::Deal { &self.deal } else { &self.contact };
                return value(owner.get("custom")?.get(&custom.key)?);
            }
        };
        match entry.place {
            Place::Stage => {
                let stage = self.stage.as_ref()?;
                Some(FactValue::Named { id: stage.id.uuid(), name: &stage.name })
            }
            Place::Pipeline => {
                let stage = self.stage.as_ref()?;
                Some(FactValue::Named { id: stage.pipeline_id.uuid(), name: &stage.pipeline })
            }
            Place::ElapsedHours => self.elapsed_hours.map(FactValue::Number),
            Place::SinceMessage => self.hours_since_last_message.map(FactValue::Number),
            Place::SinceResponse => self.hours_since_last_response.map(FactValue::Number),
            Place::HasResponse => Some(FactValue::Flag(self.has_response)),
            Place::IsFirstResponse => Some(FactValue::Flag(self.is_first_response)),
            Place::NowAt => Some(FactValue::Time(self.now.at)),
            Place::NowHour => Some(FactValue::Number(f64::from(self.now.hour))),
            Place::NowWeekday => Some(FactValue::Text(&self.now.weekday)),
            Place::Sender => match self.message.get("sender")? {
                Value::Object(sender) => value(sender.get("name")?),
                name => value(name),
            },
            Place::Automatic => automatic(&self.message),
            Place::Handle(platform) => value(self.contact.get("handles")?.get(platform)?),
            Place::DealAmount => {
                let amount = self.deal.get("value")?.get("amount")?.as_str()?;
                amount.parse().ok().map(FactValue::Number)
            }
            Place::DealCurrency => value(self.deal.get("value")?.get("currency")?),
            Place::Member(object, member) => value(self.object(object).get(member)?),
        }
    }

    /// The stage that the subject is in.
    pub fn stage_id(&self) -> Option<StageId> {
        self.stage.as_ref().map(|stage| stage.id)
    }

    const fn object(&self, object: Object) -> &Map<String, Value> {
        match object {
            Object::Message => &self.message,
            Object::Contact => &self.contact,
            Object::Deal => &self.deal,
            Object::Account => &self.account,
            Object::Event => &self.event,
        }
    }
}

fn value(value: &Value) -> Option<FactValue<'_>> {
    match value {
        Value::Bool(flag) => Some(FactValue::Flag(*flag)),
        Value::Number(number) => number.as_f64().map(FactValue::Number),
        Value::String(text) => Some(FactValue::Text(text)),
        Value::Array(list) => Some(FactValue::List(list)),
        Value::Null | Value::Object(_) => None,
    }
}

/// A connector says why it thinks that a message is automatic, and nothing where it does not: both are answers, as long as
/// there is a message at all.
fn automatic(message: &Map<String, Value>) -> Option<FactValue<'_>> {
    match message.get("automatic") {
        _ if message.is_empty() => None,
        Some(Value::Bool(flag)) => Some(FactValue::Flag(*flag)),
        Some(Value::Null) | None => Some(FactValue::Flag(false)),
        Some(_) => Some(FactValue::Flag(true)),
    }
}

impl PartialEq for FactPath {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for FactPath {}

impl fmt::Debug for FactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FactPath({})", self.as_str())
    }
}

impl fmt::Display for FactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for FactPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for FactPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&path).map_err(|_| de::Error::custom(format_args!("{path:?} is not a fact")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::AccountStatus;

    #[test]
    fn every_fact_is_found_by_its_own_name() {
        for fact in FactPath::all() {
            assert_eq!(FactPath::parse(fact.as_str()), Ok(fact.clone()));
        }
    }

    #[test]
    fn the_words_of_an_account_are_the_account_s_own() {
        let words: Vec<_> = AccountStatus::ALL.iter().map(|word| word.as_str()).collect();
        assert_eq!(words, ACCOUNT_STATUSES);
    }

    #[test]
    fn custom_fields_are_facts_whatever_they_are_called() {
        for (path, field) in
            [("deal.custom.size", (Noun::Deal, "size")), ("contact.custom.shoe_size", (Noun::Contact, "shoe_size"))]
        {
            let fact = FactPath::parse(path).unwrap();
            assert_eq!((fact.as_str(), fact.field(), fact.kind()), (path, Some(field), FactKind::Custom));
            assert_eq!(fact.is_of_deal(), field.0 == Noun::Deal);
            assert!(!fact.stands_without_contact());
        }
        for path in [
            "company.custom.size",
            "contact.custom",
            "deal.custom",
            "deals",
            "deal",
            "deal.value",
            "contact.customer",
            "contact",
            "",
            "stage.name",
        ] {
            assert_eq!(FactPath::parse(path), Err(FactPathError::Unknown), "{path}");
        }
    }

    #[test]
    fn a_fact_path_reads_and_writes_as_its_name() {
        let path: FactPath = serde_json::from_str(r#""contact.tags""#).unwrap();
        assert_eq!(path.kind(), FactKind::Texts);
        assert_eq!(serde_json::to_string(&path).unwrap(), r#""contact.tags""#);
        assert!(serde_json::from_str::<FactPath>(r#""contact.tag""#).is_err());
    }
}
