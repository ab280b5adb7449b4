//! Typed ids: one type a noun, so that a stage cannot be passed for a pipeline. All are UUIDv7 (RFC 9562), made by
//! [`Env::id`](crate::env::Env::id), and read and write as plain strings.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::error::{Error, Result};

/// What every id type can do; implemented by the types of this module only.
pub trait Id: Copy + Eq + Ord + std::hash::Hash + fmt::Display + fmt::Debug + Send + Sync + 'static {
    /// The noun, for error texts.
    const NOUN: &'static str;
    /// Wraps a raw UUID.
    fn from_uuid(uuid: Uuid) -> Self;
    /// The raw UUID.
    fn uuid(self) -> Uuid;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $noun:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(Uuid);

        impl Id for $name {
            const NOUN: &'static str = $noun;
            fn from_uuid(uuid: Uuid) -> Self { Self(uuid) }
            fn uuid(self) -> Uuid { self.0 }
        }
        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self { Self(uuid) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}({})", stringify!($name), self.0) }
        }
        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Uuid::try_parse(text).map(Self).map_err(|_| Error::malformed(format!("{text:?} is not the id of a {}: a UUID is expected", $noun)))
            }
        }
    )*};
}

ids! {
    /// An organisation: the tenant.
    OrganizationId "organization";
    /// A person who signs in.
    UserId "user";
    /// A team inside an organisation.
    TeamId "team";
    /// A role that an organisation has made itself.
    RoleId "role";
    /// An invitation to become a member.
    InvitationId "invitation";
    /// A sign-in session: one family of refresh tokens.
    SessionId "session";
    /// A user as a provider of sign-ins knows them.
    IdentityId "identity";
    /// A step of signing in by a provider.
    LoginStateId "login";
    /// A key that seals secrets.
    DataKeyId "data key";
    /// A key by which a machine is let in.
    ApiKeyId "API key";
    /// A contact.
    ContactId "contact";
    /// A company.
    CompanyId "company";
    /// A deal.
    DealId "deal";
    /// The definition of a custom field.
    FieldId "custom field";
    /// A note.
    NoteId "note";
    /// A task.
    TaskId "task";
    /// A pipeline.
    PipelineId "pipeline";
    /// A stage of a pipeline.
    StageId "stage";
    /// One entry of a subject into a stage: a row of the stage history.
    StageEntryId "stage entry";
    /// A messenger account.
    AccountId "account";
    /// A chat of an account.
    ChatId "chat";
    /// A message of a chat.
    MessageId "message";
    /// A stored file.
    MediaId "media";
    /// An automation rule.
    RuleId "rule";
    /// One run of a rule.
    RunId "run";
    /// A planted timer of a time rule.
    TimerId "timer";
    /// A stated fact.
    EventId "event";
    /// A background job.
    JobId "job";
    /// A notification to one user.
    NotificationId "notification";
    /// An entry of the audit log.
    AuditEntryId "audit entry";
}
