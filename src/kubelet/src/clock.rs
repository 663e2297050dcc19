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

/// From `earlier` to `later`; zero where they are the other way round.
pub fn since(later: Timestamp, earlier: Timestamp) -> Duration {
    later.duration_since(earlier).try_into().unwrap_or(Duration::ZERO)
}
