//! When a CronJob is due: five fields in a time zone, a nickname, or a fixed interval. What robfig/cron's standard parser,
//! which upstream uses, does not know is refused here too, so that a schedule means the same everywhere.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::num::IntErrorKind;

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

/// What a field may say; the first name is that of the least number.
struct Bounds {
    min: i64,
    max: i64,
    names: &'static [&'static str],
}

/// Minute, hour, day of the month, month, day of the week: Sunday is 0, and 7 is none.
const BOUNDS: [Bounds; FIELDS] = [
    Bounds { min: 0, max: 59, names: &[] },
    Bounds { min: 0, max: 23, names: &[] },
    Bounds { min: 1, max: 31, names: &[] },
    Bounds {
        min: 1,
        max: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    Bounds { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

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
        let fields: Result<Vec<String>, String> =
            fields.into_iter().zip(&BOUNDS).map(|(field, bounds)| numbers(field, bounds)).collect();
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(&fields?.join(" ")).map_err(|error| error.to_string())?;
        Ok(Schedule::Cron(Box::new(cron)))
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

/// A field as the library reads it: its numbers, or the star. What robfig/cron has differently is settled here: `N/STEP` goes
/// on to the field's end, and a star counts as one (that the other kind of day alone decides) also as `?`, as `*/1` and in a list.
fn numbers(field: &str, bounds: &Bounds) -> Result<String, String> {
    let mut numbers = BTreeSet::new();
    let mut is_any = false;
    for part in field.split(',').filter(|part| !part.is_empty()) {
        let range = range_of(part, bounds)?;
        is_any |= range.is_any;
        numbers.extend((range.first..=range.last).step_by(range.step));
    }
    if is_any {
        return Ok("*".to_owned());
    }
    if numbers.is_empty() {
        // upstream takes it for a schedule that is never due
        return Err(format!("no number in {field}"));
    }
    let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
    Ok(numbers.join(","))
}

struct Range {
    first: i64,
    last: i64,
    step: usize,
    is_any: bool,
}

/// robfig/cron's `getRange`, with its words.
fn range_of(part: &str, bounds: &Bounds) -> Result<Range, String> {
    let (range, steps) = part.split_once('/').map_or((part, None), |(range, steps)| (range, Some(steps)));
    let (low, high) = range.split_once('-').map_or((range, None), |(low, high)| (low, Some(high)));
    let is_star = matches!(low, "*" | "?");
    let (first, mut last) = match high {
        _ if is_star => (bounds.min, bounds.max),
        None => {
            let only = number(low, bounds)?;
            (only, only)
        }
        Some(high) if high.contains('-') => {
            number(low, bounds)?;
            return Err(format!("too many hyphens: {part}"));
        }
        Some(high) => (number(low, bounds)?, number(high, bounds)?),
    };
    let step = match steps {
        None => 1,
        Some(steps) if steps.contains('/') => return Err(format!("too many slashes: {part}")),
        Some(steps) => integer(steps)?,
    };
    if steps.is_some() && high.is_none() {
        last = bounds.max;
    }
    if first < bounds.min {
        return Err(format!("beginning of range ({first}) below minimum ({}): {part}", bounds.min));
    }
    if last > bounds.max {
        return Err(format!("end of range ({last}) above maximum ({}): {part}", bounds.max));
    }
    if first > last {
        return Err(format!("beginning of range ({first}) beyond end of range ({last}): {part}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {part}"));
    }
    // beyond any field where it does not fit
    Ok(Range { first, last, step: usize::try_from(step).unwrap_or(usize::MAX), is_any: is_star && step == 1 })
}

fn number(text: &str, bounds: &Bounds) -> Result<i64, String> {
    let named = bounds.names.iter().position(|name| name.eq_ignore_ascii_case(text));
    match named.and_then(|index| i64::try_from(index).ok()) {
        Some(index) => Ok(bounds.min + index),
        None => integer(text),
    }
}

fn integer(text: &str) -> Result<i64, String> {
    let number = text.parse::<i64>().map_err(|error| {
        let why = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: {why}")
    })?;
    match number < 0 {
        true => Err(format!("negative number ({number}) not allowed: {text}")),
        false => Ok(number),
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
            (
                "steps from a number",
                "5/20 * * * *",
                "UTC",
                "2024-01-01T00:26:00Z",
                Some("2024-01-01T00:45:00Z"),
            ),
            ("no further step", "5/20 * * * *", "UTC", "2024-01-01T00:46:00Z", Some("2024-01-01T01:05:00Z")),
            (
                "a step too wide",
                "0-59/70 * * * *",
                "UTC",
                "2024-01-01T00:01:00Z",
                Some("2024-01-01T01:00:00Z"),
            ),
            ("hourly", "@hourly", "UTC", "2024-01-01T00:16:00Z", Some("2024-01-01T01:00:00Z")),
            ("at midnight", "@midnight", "UTC", "2024-01-01T00:16:00Z", Some("2024-01-02T00:00:00Z")),
            ("weekdays", "0 9 * * MON-FRI", "UTC", "2024-01-06T00:00:00Z", Some("2024-01-08T09:00:00Z")),
            ("a month", "0 0 1 feb *", "UTC", "2024-01-06T00:00:00Z", Some("2024-02-01T00:00:00Z")),
            ("the question mark", "0 0 ? * 5", "UTC", "2024-01-01T00:00:00Z", Some("2024-01-05T00:00:00Z")),
            (
                "each day is a star",
                "0 0 */1 * 5",
                "UTC",
                "2024-01-01T00:00:00Z",
                Some("2024-01-05T00:00:00Z"),
            ),
            ("a star in a list", "0 0 3,* * 5", "UTC", "2024-01-01T00:00:00Z", Some("2024-01-05T00:00:00Z")),
            (
                "every other day is none",
                "0 0 */2 * 5",
                "UTC",
                "2024-01-01T00:00:00Z",
                Some("2024-01-03T00:00:00Z"),
            ),
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
            ("0 0 L * *", "failed to parse int from L: strconv.Atoi: parsing \"L\": invalid syntax"),
            ("0 0 * * 5#2", "failed to parse int from 5#2: strconv.Atoi: parsing \"5#2\": invalid syntax"),
            ("-5 * * * *", "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax"),
            (
                "9223372036854775808 * * * *",
                "failed to parse int from 9223372036854775808: strconv.Atoi: parsing \"9223372036854775808\": value \
                 out of range",
            ),
            ("FEB * * * *", "failed to parse int from FEB: strconv.Atoi: parsing \"FEB\": invalid syntax"),
            ("*/-5 * * * *", "negative number (-5) not allowed: -5"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1-5-7 * * * *", "too many hyphens: 1-5-7"),
            ("0 0 1-31/2/3 * *", "too many slashes: 1-31/2/3"),
            ("61 * * * *", "end of range (61) above maximum (59): 61"),
            ("* 24 * * *", "end of range (24) above maximum (23): 24"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("* * * 1,13 *", "end of range (13) above maximum (12): 13"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("0 0 * * 7", "end of range (7) above maximum (6): 7"),
            (", * * * *", "no number in ,"),
        ];
        for (schedule, why) in cases {
            assert_eq!(Schedule::parse(schedule).unwrap_err(), why, "{schedule}");
        }
    }
}
