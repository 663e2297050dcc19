//! Whether a request to a busy registry is made again, and when.

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use std::time::Duration;

/// Tries of one request at a registry that has too much to do.
const TRIES: u32 = 4;
/// Before the second try; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// A registry that wants to be left alone for longer has a limit that lasts: then its words are the answer.
const LONGEST: Duration = Duration::from_secs(60);

/// Whether a request is made again, and when.
#[derive(Debug, Default)]
pub(super) struct RetryPolicy {
    tries: u32,
}

impl RetryPolicy {
    /// `None` where the answer is to be taken as it is.
    pub(super) fn pause(&mut self, status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
        self.tries += 1;
        if !is_busy(status) || self.tries >= TRIES {
            return None;
        }
        let asked = retry_after(headers);
        let pause = asked.unwrap_or(FIRST_PAUSE * 2u32.pow(self.tries - 1));
        (pause <= LONGEST).then_some(pause)
    }
}

/// 500 is what many registries say when their storage does not answer.
fn is_busy(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504)
}

/// In seconds; nobody's registry says it as a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_busy_is_asked_again_and_who_refuses_is_not() {
        let millis = Duration::from_millis;
        for (name, status, after, want) in [
            ("overloaded", 503, None, vec![millis(500), millis(1000), millis(2000)]),
            ("overloaded, says for how long", 429, Some("3"), vec![millis(3000); 3]),
            ("a limit that lasts", 429, Some("3600"), vec![]),
            (
                "a date",
                429,
                Some("Wed, 21 Oct 2015 07:28:00 GMT"),
                vec![millis(500), millis(1000), millis(2000)],
            ),
            ("not there", 404, Some("1"), vec![]),
            ("found", 200, None, vec![]),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(after.map(|after| (RETRY_AFTER, after.parse().unwrap())));
            let status = StatusCode::from_u16(status).unwrap();
            let mut patience = RetryPolicy::default();
            let pauses: Vec<Duration> =
                std::iter::from_fn(|| patience.pause(status, &headers)).take(10).collect();
            assert_eq!(pauses, want, "{name}");
        }
    }
}
