//! When a CronJob is due: five fields in a time zone, a nickname, or a fixed interval. What robfig/cron's standard parser,
//! which upstream uses, does not know is refused here too, so that a schedule means the same everywhere.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

const FIELDS: usize = 5;
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];
const EVERY: &str = "@every ";

#[derive(Debug, Clone)]
pub enum Schedule {
    Cron(Box<Cron>),
    /// From the last time on.
    Every(SignedDuration),
}

impl Schedule {
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("empty spec string".to_owned());
        }
        if let Some(interval) = text.strip_prefix(EVERY) {
            return every(interval).map(Schedule::Every);
        }
        let nickname = NICKNAMES.into_iter().find(|(name, _)| *name == text).map(|(_, fields)| fields);
        if text.starts_with('@') && nickname.is_none() {
            return Err(format!("unrecognized descriptor: {text}"));
        }
        let text = nickname.unwrap_or(text);
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() != FIELDS {
            let shown = fields.join(" ");
            return Err(format!("expected exactly {FIELDS} fields, found {}: [{shown}]", fields.len()));
        }
        plain(&fields)?;
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        parser.parse(text).map(|cron| Schedule::Cron(Box::new(cron))).map_err(|error| error.to_string())
    }

    /// The first time after `at`; `None` for a schedule that is never due, as the 31st of February.
    pub fn next_after(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Schedule::Cron(cron) => {
                let next = cron.find_next_occurrence(&at.to_zoned(zone.clone()), false).ok()?;
                Some(next.timestamp())
            }
            Schedule::Every(interval) => whole(at)?.checked_add(*interval).ok(),
        }
    }

    /// The last time after `from`, up to `now` and including it.
    pub fn last_between(&self, from: Timestamp, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let last = match self {
            Schedule::Cron(cron) => {
                cron.find_previous_occurrence(&now.to_zoned(zone.clone()), true).ok()?.timestamp()
            }
            Schedule::Every(interval) => {
                let (from, step) = (whole(from)?, interval.as_secs());
                let steps = (now.as_second() - from.as_second()) / step;
                from.checked_add(SignedDuration::from_secs(steps * step)).ok()?
            }
        };
        (last > from && last <= now).then_some(last)
    }
}

fn whole(at: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(at.as_second()).ok()
}

/// What the library knows beyond the standard fields.
fn plain(fields: &[&str]) -> Result<(), String> {
    const LETTERS: [&str; 5] = ["", "", "", "JANFEBMRPYULGSOCTNVD", "SUNMOTEWDHFRIA"];
    for (field, letters) in fields.iter().zip(LETTERS) {
        let known =
            |c: char| c.is_ascii_digit() || "*/,-?".contains(c) || letters.contains(c.to_ascii_uppercase());
        if let Some(wrong) = field.chars().find(|c| !known(*c)) {
            return Err(format!("failed to parse int from {field}: {wrong:?} is no part of it"));
        }
    }
    // Sunday is 0
    let days = fields[FIELDS - 1].split([',', '/', '-']);
    match days.into_iter().any(|day| day == "7") {
        true => Err(format!("end of range (7) above maximum (6): {}", fields[FIELDS - 1])),
        false => Ok(()),
    }
}

/// In whole seconds, and in one at least, as robfig has it.
fn every(text: &str) -> Result<SignedDuration, String> {
    let nanoseconds = durations::parse(text);
    let nanoseconds =
        nanoseconds.map_err(|error| format!("failed to parse duration {EVERY}{text}: {error}"))?;
    Ok(SignedDuration::from_secs(SignedDuration::from_nanos(nanoseconds).as_secs().max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_schedule_is_due_in_its_zone() {
        let cases = [
            ("every minute", "* * * * *", "UTC", "2024-01-01T00:00:30Z", Some("2024-01-01T00:01:00Z")),
            ("not now", "* * * * *", "UTC", "2024-01-01T00:00:00Z", Some("2024-01-01T00:01:00Z")),
            ("steps", "*/15 * * * *", "UTC", "2024-01-01T00:16:00Z", Some("2024-01-01T00:30:00Z")),
            ("hourly", "@hourly", "UTC", "2024-01-01T00:16:00Z", Some("2024-01-01T01:00:00Z")),
            ("at midnight", "@midnight", "UTC", "2024-01-01T00:16:00Z", Some("2024-01-02T00:00:00Z")),
            ("weekdays", "0 9 * * MON-FRI", "UTC", "2024-01-06T00:00:00Z", Some("2024-01-08T09:00:00Z")),
            ("a month", "0 0 1 feb *", "UTC", "2024-01-06T00:00:00Z", Some("2024-02-01T00:00:00Z")),
            ("either day", "0 0 13 * 5", "UTC", "2024-01-01T00:00:00Z", Some("2024-01-05T00:00:00Z")),
            (
                "in New York",
                "0 9 * * *",
                "America/New_York",
                "2024-01-01T00:00:00Z",
                Some("2024-01-01T14:00:00Z"),
            ),
            (
                "in summer",
                "0 9 * * *",
                "America/New_York",
                "2024-07-01T00:00:00Z",
                Some("2024-07-01T13:00:00Z"),
            ),
            ("a leap day", "0 0 29 2 *", "UTC", "2024-03-01T00:00:00Z", Some("2028-02-29T00:00:00Z")),
            ("never", "0 0 31 2 *", "UTC", "2024-01-01T00:00:00Z", None),
            ("every so often", "@every 1h30m", "UTC", "2024-01-01T00:00:00Z", Some("2024-01-01T01:30:00Z")),
            (
                "a part of a second",
                "@every 1.9s",
                "UTC",
                "2024-01-01T00:00:00Z",
                Some("2024-01-01T00:00:01Z"),
            ),
            ("less than one", "@every 5ms", "UTC", "2024-01-01T00:00:00Z", Some("2024-01-01T00:00:01Z")),
        ];
        for (name, schedule, zone, from, want) in cases {
            let zone = TimeZone::get(zone).unwrap();
            let next = Schedule::parse(schedule).unwrap().next_after(at(from), &zone);
            assert_eq!(next, want.map(at), "{name}");
        }
    }

    #[test]
    fn the_last_time_that_was_missed() {
        let cases = [
            ("none", "0 * * * *", "2024-01-01T00:10:00Z", "2024-01-01T00:50:00Z", None),
            (
                "one",
                "0 * * * *",
                "2024-01-01T00:10:00Z",
                "2024-01-01T01:00:00Z",
                Some("2024-01-01T01:00:00Z"),
            ),
            (
                "many",
                "0 * * * *",
                "2023-01-01T00:10:00Z",
                "2024-01-01T01:50:00Z",
                Some("2024-01-01T01:00:00Z"),
            ),
            (
                "so often",
                "@every 10m",
                "2024-01-01T00:00:00Z",
                "2024-01-01T00:25:00Z",
                Some("2024-01-01T00:20:00Z"),
            ),
        ];
        for (name, schedule, from, now, want) in cases {
            let last = Schedule::parse(schedule).unwrap().last_between(at(from), at(now), &TimeZone::UTC);
            assert_eq!(last, want.map(at), "{name}");
        }
    }

    #[test]
    fn what_upstream_does_not_know_is_refused() {
        let cases = [
            ("", "empty spec string"),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("0 * * * * *", "expected exactly 5 fields, found 6: [0 * * * * *]"),
            ("@reboot", "unrecognized descriptor: @reboot"),
            ("@every 5", "failed to parse duration @every 5: time: missing unit in duration \"5\""),
            ("@every x", "failed to parse duration @every x: time: invalid duration \"x\""),
            ("0 0 L * *", "failed to parse int from L: 'L' is no part of it"),
            ("0 0 * * 5#2", "failed to parse int from 5#2: '#' is no part of it"),
            ("0 0 * * 7", "end of range (7) above maximum (6): 7"),
        ];
        for (schedule, why) in cases {
            assert_eq!(Schedule::parse(schedule).unwrap_err(), why, "{schedule}");
        }
        for wrong in
            ["60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "5-1 * * * *", "a * * * *", "*/0 * * * *"]
        {
            assert!(Schedule::parse(wrong).is_err(), "{wrong}");
        }
    }
}
