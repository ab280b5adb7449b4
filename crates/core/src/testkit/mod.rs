//! What a store must keep to, as cases that every store is held to, records to fill one with, and a messenger that does
//! what a test says. For tests: of this engine, of whoever brings a store of their own, and of whoever embeds it. Nothing
//! in the engine may use it.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # async fn hold(empty_store: impl Fn() -> Arc<dyn dealwright::ports::store::Store>) {
//! for case in dealwright::testkit::store_cases() {
//!     (case.run)(empty_store()).await.unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
//! }
//! # }
//! ```

mod limiter;
pub mod provider;
pub mod samples;
mod store;
mod tenants;
pub mod voucher;

use std::fmt;

pub use limiter::limiter_cases;
pub use store::{StoreCase, store_cases};
pub use tenants::{copy_rows, rows_of};

/// The code that an authenticator application shows at an instant which was given this secret.
///
/// # Errors
/// `malformed` if it is no base32.
pub fn totp_code(secret: &str, at: chrono::DateTime<chrono::Utc>) -> crate::Result<String> {
    crate::services::identity::code_shown(secret, at)
}

/// Why a case failed.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(String);

/// How a case ended.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<crate::Error> for Failure {
    #[track_caller]
    fn from(error: crate::Error) -> Self {
        Self(format!("{}: {error}", std::panic::Location::caller()))
    }
}

/// Fails unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err($crate::testkit::Failure::new(format!("line {}: {}", line!(), format_args!($($words)+))));
        }
    };
}

/// Fails unless two values are equal.
macro_rules! ensure_eq {
    ($left:expr, $right:expr) => {
        let (left, right) = (&$left, &$right);
        if left != right {
            let text = format!("line {}: {} is {left:?}, not {right:?}", line!(), stringify!($left));
            return Err($crate::testkit::Failure::new(text));
        }
    };
}

/// Fails unless a result is an error of this code.
macro_rules! ensure_code {
    ($result:expr, $code:expr) => {
        match $result {
            Err(error) => ensure!(error.code() == $code, "{} is wanted, not {error}", $code),
            Ok(_) => {
                return Err($crate::testkit::Failure::new(format!(
                    "line {}: it succeeded, {} is wanted",
                    line!(),
                    $code
                )));
            }
        }
    };
}

pub(crate) use {ensure, ensure_code, ensure_eq};
