//! Values as a store keeps them, and how the domain's types become values: ids as UUIDs, times as microseconds since
//! 1970 (text and floating forms sort wrongly), everything structured as JSON text, the same on every database.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    domain::{
        account::{AccountSource, AccountStatus, Visibility},
        audit::AuditObject,
        chat::{ChatState, LastMessage},
        contact::{Handles, IdentityKind},
        currency::Currency,
        custom_field::{CustomKind, Noun},
        event::{Change, EventKind, SubjectKind},
        job::{JobKind, JobState, Lane},
        mail_token::MailPurpose,
        message::{Content, CreditKind, Direction, MessageStatus, Sender},
        notification::Preferences,
        organization::{Factor, InvitationStatus},
        pipeline::StageKind,
        retention::{RetentionDays, Walk},
        role::RecordVisibility,
        rule::RulePlan,
        run::RunOutcome,
    },
    error::{Error, Result},
    id::*,
    scope::{Actor, Cause, FieldRules, Permissions, RoleKey},
};

/// One column of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number, or a time in microseconds since 1970.
    Int(i64),
    /// A fraction.
    Real(f64),
    /// A text, or JSON.
    Text(String),
    /// An id.
    Uuid(Uuid),
    /// Raw bytes.
    Bytes(Vec<u8>),
}

/// A type that fits into one column.
pub trait Column: Sized {
    /// The value to keep.
    fn to_value(&self) -> Value;
    /// Reads what [`Column::to_value`] made.
    ///
    /// # Errors
    /// `internal` if the column holds something else.
    fn from_value(value: Value) -> Result<Self>;
}

fn unexpected<T>(value: &Value) -> Error {
    Error::internal(format!("a column holds {value:?} where {} is expected", std::any::type_name::<T>()))
}

impl<T: Column> Column for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Column::to_value)
    }
    fn from_value(value: Value) -> Result<Self> {
        if value == Value::Null { Ok(None) } else { T::from_value(value).map(Some) }
    }
}

macro_rules! columns {
    ($($type:ty: $self:ident => $to:expr, $($pattern:pat => $from:expr),+;)*) => {$(
        impl Column for $type {
            fn to_value(&$self) -> Value { $to }
            fn from_value(value: Value) -> Result<Self> {
                match value { $($pattern => Ok($from),)+ other => Err(unexpected::<Self>(&other)) }
            }
        }
    )*};
}

columns! {
    bool: self => Value::Bool(*self), Value::Bool(value) => value, Value::Int(value) => value != 0;
    i64: self => Value::Int(*self), Value::Int(value) => value;
    f64: self => Value::Real(*self), Value::Real(value) => value, Value::Int(value) => value as f64;
    String: self => Value::Text(self.clone()), Value::Text(value) => value;
    Uuid: self => Value::Uuid(*self), Value::Uuid(value) => value, Value::Bytes(value) => Uuid::from_slice(&value).map_err(|_| unexpected::<Self>(&Value::Bytes(value)))?;
    Vec<u8>: self => Value::Bytes(self.clone()), Value::Bytes(value) => value;
    NaiveDate: self => Value::Text(self.to_string()), Value::Text(value) => value.parse().map_err(|_| unexpected::<Self>(&Value::Text(value)))?;
    DateTime<Utc>: self => Value::Int(self.timestamp_micros()), Value::Int(value) => DateTime::from_timestamp_micros(value).ok_or_else(|| unexpected::<Self>(&Value::Int(value)))?;
}

macro_rules! id_columns {
    ($($type:ty),*) => {$(
        impl Column for $type {
            fn to_value(&self) -> Value { Value::Uuid(self.uuid()) }
            fn from_value(value: Value) -> Result<Self> { Uuid::from_value(value).map(Self::from_uuid) }
        }
    )*};
}
id_columns!(
    OrganizationId,
    UserId,
    TeamId,
    InvitationId,
    SessionId,
    IdentityId,
    LoginStateId,
    DataKeyId,
    ApiKeyId,
    ContactId,
    CompanyId,
    DealId,
    FieldId,
    NoteId,
    TaskId,
    PipelineId,
    StageId,
    AccountId,
    ChatId,
    MessageId,
    MediaId,
    RuleId,
    RunId,
    TimerId,
    EventId,
    JobId,
    NotificationId,
    AuditEntryId
);

macro_rules! word_columns {
    ($($type:ty),*) => {$(
        impl Column for $type {
            fn to_value(&self) -> Value { Value::Text(self.as_str().to_owned()) }
            fn from_value(value: Value) -> Result<Self> {
                String::from_value(value)?.parse().map_err(|e: Error| Error::internal("a column holds a word that is not known").with_source(e))
            }
        }
    )*};
}
word_columns!(
    AccountSource,
    AccountStatus,
    RecordVisibility,
    Visibility,
    ChatState,
    IdentityKind,
    Noun,
    CustomKind,
    EventKind,
    SubjectKind,
    JobKind,
    JobState,
    Lane,
    CreditKind,
    Direction,
    MessageStatus,
    StageKind,
    Walk,
    RunOutcome,
    InvitationStatus,
    AuditObject,
    MailPurpose,
    Currency
);

/// What is kept as its text, as memberships name roles by a word or by an id.
macro_rules! text_columns {
    ($($type:ty),*) => {$(
        impl Column for $type {
            fn to_value(&self) -> Value { Value::Text(self.to_string()) }
            fn from_value(value: Value) -> Result<Self> {
                String::from_value(value)?.parse().map_err(|e: Error| Error::internal("a column holds no role").with_source(e))
            }
        }
    )*};
}
text_columns!(RoleKey, RoleId);

fn to_json<T: Serialize>(value: &T) -> Value {
    // Plain structures with text keys: their serialisation cannot fail. A null would be noticed by every reader.
    Value::Text(serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()))
}

fn from_json<T: DeserializeOwned>(value: Value) -> Result<T> {
    let text = String::from_value(value)?;
    serde_json::from_str(&text)
        .map_err(|e| Error::internal(format!("a column holds no {}", std::any::type_name::<T>())).with_source(e))
}

macro_rules! json_columns {
    ($($type:ty),* $(,)?) => {$(
        impl Column for $type {
            fn to_value(&self) -> Value { to_json(self) }
            fn from_value(value: Value) -> Result<Self> { from_json(value) }
        }
    )*};
}
json_columns!(
    serde_json::Value,
    serde_json::Map<String, serde_json::Value>,
    std::collections::BTreeMap<String, Change>,
    std::collections::BTreeMap<String, String>,
    Vec<String>,
    Vec<Factor>,
    Handles,
    LastMessage,
    Sender,
    Content,
    RulePlan,
    Preferences,
    Actor,
    Cause,
    Permissions,
    FieldRules,
    RetentionDays,
);
