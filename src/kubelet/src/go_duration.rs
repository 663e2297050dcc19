//! Durations in messages that people know from upstream.

use std::time::Duration;

/// As Go prints a duration that was cut to milliseconds: `45ms`, `1.2s`, `2m3.5s`.
pub(crate) fn in_go(took: Duration) -> String {
    let millis = took.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    let mut seconds = format!("{}.{:03}", millis / 1000 % 60, millis % 1000);
    seconds.truncate(seconds.trim_end_matches('0').trim_end_matches('.').len());
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_prints_them() {
        let cases = [
            (0, "0s"),
            (45, "45ms"),
            (1200, "1.2s"),
            (10_000, "10s"),
            (61_050, "1m1.05s"),
            (3_600_000, "1h0m0s"),
        ];
        for (millis, want) in cases {
            assert_eq!(in_go(Duration::from_millis(millis)), want);
        }
    }
}
