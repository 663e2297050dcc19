//! Durations as Go writes them, `1h30m` or `-1.5s`: people's files, flags and objects have them in this form, and so have
//! upstream's messages.
//!
//! This is Go's package `time` to the letter: what `time.ParseDuration` takes and refuses, to the nanosecond and in its words,
//! and what `Duration.String` prints. It knows nothing of who asks. Read [`parse`] first.

#![forbid(unsafe_code)]

use std::fmt::Write;
use std::time::Duration;

/// The units, and how many nanoseconds each has. `µ` has two code points, the micro sign and the Greek letter.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
const SECOND: u64 = 1_000_000_000;
/// The nanoseconds of the longest negative duration, some 292 years; a positive one has one less.
const MOST: u64 = 1 << 63;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("time: invalid duration {}", quoted(.0))]
    Invalid(String),
    #[error("time: missing unit in duration {}", quoted(.0))]
    MissingUnit(String),
    #[error("time: unknown unit {} in duration {}", quoted(.unit), quoted(.text))]
    UnknownUnit { unit: String, text: String },
}

/// Numbers with units, `1h30m`, which may have a sign before them and fractions; `0` needs no unit. In nanoseconds, what is
/// below one cut off.
///
/// # Errors
/// In Go's words.
pub fn parse(text: &str) -> Result<i64, ParseError> {
    let invalid = || ParseError::Invalid(text.to_owned());
    let is_negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), split_digits);
        let whole = match whole {
            "" if fraction.is_empty() => return Err(invalid()),
            "" => 0,
            digits => digits.parse::<u64>().ok().filter(|whole| *whole <= MOST).ok_or_else(invalid)?,
        };
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        if unit.is_empty() {
            return Err(ParseError::MissingUnit(text.to_owned()));
        }
        let known = UNITS.into_iter().find(|(name, _)| *name == unit);
        let Some((_, nanoseconds)) = known else {
            return Err(ParseError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() });
        };
        let part = whole
            .checked_mul(nanoseconds)
            .and_then(|part| part.checked_add(below_one(fraction, nanoseconds)));
        let sum = part.and_then(|part| total.checked_add(part));
        total = sum.filter(|sum| *sum <= MOST).ok_or_else(invalid)?;
        rest = next;
    }
    let nanoseconds = match is_negative {
        true => 0i64.checked_sub_unsigned(total),
        false => i64::try_from(total).ok(),
    };
    nanoseconds.ok_or_else(invalid)
}

/// [`parse`] where a negative duration makes no sense: it is none, as is what can not be read.
pub fn parse_unsigned(text: &str) -> Option<Duration> {
    u64::try_from(parse(text).ok()?).ok().map(Duration::from_nanos)
}

/// `1h30m0s`, `1.5s`, `45ms`; as long as Go can count, some 292 years.
pub fn print(duration: Duration) -> String {
    print_nanoseconds(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

/// [`print()`] of one that is cut to milliseconds, as upstream does with what it measured.
pub fn print_millis(duration: Duration) -> String {
    let below = duration.subsec_nanos() % 1_000_000;
    print(duration.saturating_sub(Duration::from_nanos(below.into())))
}

/// [`print()`] of one that may be negative.
pub fn print_nanoseconds(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let length = nanoseconds.unsigned_abs();
    match length {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{length}ns"),
        1_000..1_000_000 => format!("{sign}{}\u{b5}s", decimal(length, 1_000)),
        1_000_000..SECOND => format!("{sign}{}ms", decimal(length, 1_000_000)),
        _ => {
            let seconds = decimal(length % (60 * SECOND), SECOND);
            let minutes = length / SECOND / 60;
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// The digits behind a point, in nanoseconds of a unit. Go counts with as many digits as an `i64` has, and cuts off by way of a
/// float; so it is here, for the same nanosecond to come out.
fn below_one(digits: &str, unit: u64) -> u64 {
    let (mut value, mut scale) = (0u64, 1f64);
    for digit in digits.bytes() {
        if value > (MOST - 1) / 10 {
            break;
        }
        let next = value * 10 + u64::from(digit - b'0');
        if next > MOST {
            break;
        }
        (value, scale) = (next, scale * 10.0);
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

/// `1500` of `1000` → `1.5`.
fn decimal(value: u64, unit: u64) -> String {
    let (whole, fraction) = (value / unit, value % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    let shown = format!("{whole}.{fraction:0digits$}");
    shown.trim_end_matches('0').to_owned()
}

/// As package `time` quotes what it could not read: what is not printable ASCII byte by byte.
fn quoted(text: &str) -> String {
    let mut shown = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => shown.extend(['\\', c]),
            ' '..='\u{7f}' => shown.push(c),
            _ => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    // a String takes all that is written
                    let _ = write!(shown, "\\x{byte:02x}");
                }
            }
        }
    }
    shown.push('"');
    shown
}

#[cfg(test)]
mod tests;
