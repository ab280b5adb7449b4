//! The one error of the engine. Kinds are public words: each maps to one HTTP status, one Python class and one
//! `err.code` family. Which constructor to use: the caller sent something unreadable → [`Error::malformed`]; readable
//! but wrong → [`Error::invalid`] with a pointer; somebody was faster → [`Error::conflict`]; ours or a provider's
//! fault → [`Error::internal`], [`Error::unavailable`].

use std::{borrow::Cow, fmt, time::Duration};

use serde::Serialize;

/// The result of every fallible call of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, as a public word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input could not be read at all (HTTP 400).
    Malformed,
    /// No credential, or one that does not count (HTTP 401).
    Unauthenticated,
    /// The caller is known and may not do this (HTTP 403).
    Forbidden,
    /// No such object in this organisation (HTTP 404).
    NotFound,
    /// The state of the world forbids it (HTTP 409).
    Conflict,
    /// An `If-Match` did not match (HTTP 412).
    PreconditionFailed,
    /// The input is larger than its limit (HTTP 413).
    TooLarge,
    /// The input's media type is not taken here (HTTP 415).
    UnsupportedMediaType,
    /// The input was read and is wrong (HTTP 422).
    Invalid,
    /// Too many calls (HTTP 429).
    RateLimited,
    /// A defect or an unexpected answer of the store (HTTP 500).
    Internal,
    /// This connector or store cannot do that (HTTP 501).
    Unsupported,
    /// A service that is needed does not answer now (HTTP 503).
    Unavailable,
}

impl ErrorKind {
    /// The HTTP status of this kind.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::PreconditionFailed => 412,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Unsupported => 501,
            Self::Unavailable => 503,
        }
    }

    /// The default stable code of this kind, for example `not_found`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::PreconditionFailed => "precondition_failed",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Invalid => "validation_failed",
            Self::RateLimited => "rate_limited",
            Self::Internal => "internal",
            Self::Unsupported => "unsupported",
            Self::Unavailable => "unavailable",
        }
    }
}

/// One member of the input that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the member, for example `/emails/0`.
    pub pointer: String,
    /// Stable code, for example `invalid`, `required`, `too_long`, `unknown`.
    pub code: Cow<'static, str>,
    /// What is wrong with the value and what to do.
    pub detail: String,
}

/// Code of the conflict that a door answers by running its closure again with fresh reads.
const WRITE_CONFLICT: &str = "write_conflict";

/// Everything that can go wrong, in one concrete type; one word wide, so that results stay small.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    code: Cow<'static, str>,
    message: String,
    operation: Option<&'static str>,
    fields: Vec<FieldError>,
    details: Option<serde_json::Value>,
    retry_after: Option<Duration>,
    source: Option<Source>,
}

impl Error {
    /// An error of `kind` with the kind's own code.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            code: Cow::Borrowed(kind.code()),
            message: message.into(),
            operation: None,
            fields: Vec::new(),
            details: None,
            retry_after: None,
            source: None,
        }))
    }

    /// The input could not be read.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, message)
    }

    /// One member of the input is wrong: `pointer` names it, `detail` says what and what to do.
    pub fn invalid(pointer: impl Into<String>, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::new(ErrorKind::Invalid, detail.clone()).field(pointer, code, detail)
    }

    /// Several members are wrong. `fields` must not be empty.
    pub fn invalid_fields(fields: Vec<FieldError>) -> Self {
        let message = fields.iter().map(|f| format!("{}: {}", f.pointer, f.detail)).collect::<Vec<_>>().join("; ");
        let mut error = Self::new(ErrorKind::Invalid, message);
        error.0.fields = fields;
        error
    }

    /// No such object in this organisation. `noun` is the field's word, for example `contact`.
    pub fn not_found(noun: &str, id: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("{noun} {id} does not exist"))
    }

    /// The caller lacks a permission.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, message)
    }

    /// No credential that counts; `code` is stable, for example `invalid_credentials`.
    pub fn unauthenticated(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unauthenticated, message).code_of(code)
    }

    /// The state forbids it; `code` is stable, for example `email_taken`.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message).code_of(code)
    }

    /// Somebody else changed a row that this unit read. A door answers it by trying again.
    pub fn write_conflict(message: impl Into<String>) -> Self {
        Self::conflict(WRITE_CONFLICT, message)
    }

    /// A defect, or an answer that nobody expected.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// A needed service does not answer; trying later helps.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// This connector or store cannot do that.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// Replaces the stable code.
    #[must_use]
    pub fn code_of(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = code.into();
        self
    }

    /// Adds one wrong member.
    #[must_use]
    pub fn field(
        mut self,
        pointer: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        self.0.fields.push(FieldError { pointer: pointer.into(), code: code.into(), detail: detail.into() });
        self
    }

    /// Puts `prefix` before the pointer of every wrong member: `/host` becomes `/imap/host`.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        for field in &mut self.0.fields {
            field.pointer.insert_str(0, prefix);
        }
        self
    }

    /// Attaches machine-readable details; their members appear in the problem document (for example `candidates`).
    #[must_use]
    pub fn with_details(mut self, details: serde_json::Value) -> Self {
        self.0.details = Some(details);
        self
    }

    /// Says when a new try makes sense.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Keeps what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says which operation failed, unless an inner one has said it already.
    #[must_use]
    pub fn in_operation(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// The public word.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable machine-readable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The sentence for the reader who must act.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The operation that failed, for example `contacts.create`.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// The wrong members of the input.
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// Machine-readable details.
    pub fn details(&self) -> Option<&serde_json::Value> {
        self.0.details.as_ref()
    }

    /// When a new try makes sense.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether a door should run the closure again with fresh reads.
    pub fn is_write_conflict(&self) -> bool {
        self.0.kind == ErrorKind::Conflict && self.0.code == WRITE_CONFLICT
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = self.0.operation {
            write!(f, "{operation}: ")?;
        }
        write!(f, "{} ({})", self.0.message, self.0.code)?;
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("operation", &self.0.operation)
            .field("fields", &self.0.fields)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
