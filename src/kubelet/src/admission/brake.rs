//! How often pods of one controller are refused. A controller makes a new pod for each that failed, at once: without a brake
//! one workload that this node refuses would fill the cluster with failed pods. Upstream has none here.

use crate::backoff::{FIRST, LAST};
use crate::clock::after;
use jiff::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

/// By the controller's uid: when its next pod may be refused, and how long the one after that waits.
#[derive(Debug, Default)]
pub struct Brake(HashMap<String, (Timestamp, Duration)>);

impl Brake {
    /// When a pod of this controller is refused: the first at once, each other ever later after the one before.
    pub fn refuse_at(&mut self, controller: &str, now: Timestamp) -> Timestamp {
        // whoever had no refusal for long begins anew
        self.0.retain(|_, (next, delay)| after(*next, *delay) > now);
        let (next, delay) = self.0.remove(controller).unwrap_or((now, FIRST));
        let at = next.max(now);
        self.0.insert(controller.to_owned(), (after(at, delay), (delay * 2).min(LAST)));
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ever_later_and_each_controller_by_itself() {
        let mut brake = Brake::default();
        let now = Timestamp::UNIX_EPOCH;
        let times: Vec<i64> = (0..5).map(|_| brake.refuse_at("a", now).as_second()).collect();
        assert_eq!(times, [0, 10, 30, 70, 150]);
        assert_eq!(brake.refuse_at("b", now), now);
        let later = after(now, Duration::from_secs(100_000));
        assert_eq!(brake.refuse_at("a", later), later, "it began anew");
    }
}
