//! The time that the kubelet goes by.

use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// Wall time that moves with tokio's clock, so that a paused test moves back-off and probes alike.
/// Corrected to the machine's own clock at each reading where nobody paused it.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    Machine,
    #[cfg_attr(not(test), allow(dead_code, reason = "only tests stop the time"))]
    Tokio {
        wall: Timestamp,
        at: Instant,
    },
}

impl Clock {
    #[cfg(test)]
    pub fn paused() -> Self {
        Clock::Tokio { wall: Timestamp::now(), at: Instant::now() }
    }

    pub fn now(self) -> Timestamp {
        match self {
            Clock::Machine => Timestamp::now(),
            Clock::Tokio { wall, at } => wall + at.elapsed(),
        }
    }

    /// The time from now until `then`; a little more, so that whoever slept for it finds that it has come.
    pub fn until(self, then: Timestamp) -> Duration {
        since(then, self.now()) + Duration::from_millis(1)
    }
}

/// So much later than `at`, or the last time that there is: clients may ask for more seconds than time has.
pub fn after(at: Timestamp, wait: Duration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// From `earlier` to `later`; zero where they are the other way round.
pub fn since(later: Timestamp, earlier: Timestamp) -> Duration {
    later.duration_since(earlier).try_into().unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wait_is_too_long() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(after(now, Duration::from_secs(5)).as_second(), 5);
        assert_eq!(after(now, Duration::from_secs(i64::MAX.unsigned_abs())), Timestamp::MAX);
        assert_eq!(after(now, Duration::MAX), Timestamp::MAX);
        assert_eq!(after(Timestamp::MAX, Duration::from_secs(1)), Timestamp::MAX);
    }
}
