//! How long what has failed waits for its next try.

use crate::clock::{after, since};
use jiff::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

/// Upstream's `backOffPeriod` and `MaxContainerBackOff`.
pub const FIRST: Duration = Duration::from_secs(10);
pub const LAST: Duration = Duration::from_secs(300);

/// Delays that double with each failure of the same thing, and are forgotten after twice the longest delay.
#[derive(Debug, Clone, Default)]
pub struct Backoffs(HashMap<String, Entry>);

#[derive(Debug, Clone, Copy)]
struct Entry {
    delay: Duration,
    at: Timestamp,
}

impl Backoffs {
    /// Until when `key`, which failed at `failed_at`, has to wait, and how long that is in all.
    pub fn waits(&self, key: &str, failed_at: Timestamp, now: Timestamp) -> Option<(Timestamp, Duration)> {
        let entry = self.0.get(key).filter(|e| since(failed_at, e.at) <= LAST * 2)?;
        let until = after(failed_at, entry.delay);
        // by a clock that was set back since, it would wait for that time to come again
        let is_ahead = failed_at > after(now, LAST);
        (until > now && !is_ahead).then_some((until, entry.delay))
    }

    /// It is tried again (or has failed): the next wait is twice as long.
    pub fn next(&mut self, key: &str, event: Timestamp, now: Timestamp) -> Duration {
        let delay = match self.0.get(key) {
            Some(entry) if since(event, entry.at) <= LAST * 2 => (entry.delay * 2).min(LAST),
            _ => FIRST,
        };
        self.0.insert(key.to_owned(), Entry { delay, at: now });
        delay
    }

    pub fn forget(&mut self, key: &str) {
        self.0.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_seconds_doubling_to_five_minutes_and_forgotten_after_ten() {
        let mut backoffs = Backoffs::default();
        let mut now = Timestamp::UNIX_EPOCH;
        assert_eq!(backoffs.waits("c", now, now), None, "the first restart is at once");
        let mut delays = Vec::new();
        for _ in 0..7 {
            backoffs.next("c", now, now);
            now += Duration::from_secs(1);
            let (until, delay) = backoffs.waits("c", now, now).unwrap();
            delays.push(delay.as_secs());
            now = until;
            assert_eq!(backoffs.waits("c", now - delay, now), None, "over when it is over");
        }
        assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300]);
        now += Duration::from_secs(601);
        assert_eq!(backoffs.waits("c", now, now), None, "it ran for ten minutes");
        backoffs.next("c", now, now);
        assert_eq!(backoffs.waits("c", now, now).unwrap().1, FIRST);
        let set_back = now - Duration::from_secs(365 * 24 * 3600);
        assert_eq!(backoffs.waits("c", now, set_back), None, "the clock was set back");
    }
}
