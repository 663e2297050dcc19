//! Points in time as filters name them: `24h` ago, seconds since 1970, or a date.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// `None` for what is none of these.
pub(crate) fn timestamp(text: &str, now: Timestamp) -> Option<Timestamp> {
    // the one duration without a unit, which Docker takes for a second since 1970
    let ago = durations::parse(text).ok().filter(|_| text != "0");
    if let Some(nanoseconds) = ago {
        return Timestamp::from_nanosecond(now.as_nanosecond() - i128::from(nanoseconds)).ok();
    }
    if text == "0" {
        return Some(Timestamp::UNIX_EPOCH);
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
            ("-1h", Some("2024-01-02T01:00:00Z")),
            ("12", Some("1970-01-01T00:00:12Z")),
            ("0", Some("1970-01-01T00:00:00Z")),
            ("12x", None),
            ("", None),
        ] {
            assert_eq!(timestamp(text, now).map(|at| at.to_string()).as_deref(), want, "{text}");
        }
    }
}
