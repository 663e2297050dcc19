//! How long it is until something happens, for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Until a time in seconds since 1970: `1h0m5s`.
pub fn until(at: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    durations::print(Duration::from_secs(at.saturating_sub(now.as_secs())))
}
