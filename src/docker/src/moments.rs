//! Points in time as filters name them: `24h` ago, seconds since 1970, or a date.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// `None` for what is none of these.
pub(crate) fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(nanoseconds) = duration(text) {
        return Timestamp::from_nanosecond(now.as_nanosecond().checked_sub(nanoseconds)?).ok();
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    {
        return crate::logs::time(text);
    }
    let utc = |at: DateTime| at.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
    text.parse::<Timestamp>().ok().or_else(|| text.parse::<DateTime>().ok().and_then(utc)).or_else(|| {
        text.parse::<Date>().ok().and_then(|date| utc(date.to_datetime(jiff::civil::Time::midnight())))
    })
}

/// As Go writes them, `1h30m` or `1.5h`; in nanoseconds.
pub(crate) fn duration(text: &str) -> Option<i128> {
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = after;
    }
    // as far as a day's worth of nanoseconds needs it, a float is exact enough
    #[expect(clippy::cast_possible_truncation, reason = "a duration beyond i128 is no filter")]
    (!text.is_empty()).then_some((total * 1e9) as i128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_filters_say() {
        let now: Timestamp = "2024-01-02T00:00:00Z".parse().unwrap();
        for (text, want) in [
            ("24h", Some("2024-01-01T00:00:00Z")),
            ("1h30m", Some("2024-01-01T22:30:00Z")),
            ("1.5h", Some("2024-01-01T22:30:00Z")),
            ("1700000000", Some("2023-11-14T22:13:20Z")),
            ("2020-05-06T07:08:09Z", Some("2020-05-06T07:08:09Z")),
            ("2020-05-06T07:08:09", Some("2020-05-06T07:08:09Z")),
            ("2020-05-06", Some("2020-05-06T00:00:00Z")),
            ("yesterday", None),
            ("12", Some("1970-01-01T00:00:12Z")),
            ("12x", None),
            ("", None),
        ] {
            assert_eq!(moment(text, now).map(|at| at.to_string()).as_deref(), want, "{text}");
        }
    }
}
