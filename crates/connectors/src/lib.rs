//! The outside world of the Dealwright engine: one module and one cargo feature for each messenger. A connector speaks
//! its provider's protocol and nothing else; what a message means is decided in the engine, which it never sees.

#[cfg(feature = "email")]
pub mod email;
pub mod log_mailer;
#[cfg(feature = "oauth")]
pub mod oauth;
#[cfg(feature = "redis")]
pub mod redis;
