//! How far clocks may be apart.

use chrono::Duration;

/// Access tokens say until when they count, leases how long they last, and a one-time code lives for half a minute: a second
/// is what a time daemon keeps without effort.
pub(super) const MOST: Duration = Duration::seconds(1);
pub(super) const REMEDY: &str = "let a time daemon such as chrony set the clocks of both";
