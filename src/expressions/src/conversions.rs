//! Conversions between types where the library has none, or makes another text of a value than cel-go does (`common/types`).

use crate::outcome::Fault;
use kube_cel::cel::Value;
use std::sync::Arc;

const NANOSECONDS: i64 = 1_000_000_000; // of a second

/// Whether the library has it not.
pub(crate) fn is_own(prefix: Option<&str>, name: &str, is_method: bool) -> bool {
    prefix.is_none() && !is_method && name == "bool"
}

/// `None` where it is no conversion of these, or of another type.
pub(crate) fn call(function: &str, arguments: &[Value]) -> Option<Result<Value, Fault>> {
    let [value] = arguments else { return None };
    Some(match (function, value) {
        ("bool", Value::Bool(_)) => Ok(value.clone()),
        ("bool", Value::String(text)) => truth(text).map(Value::Bool).ok_or_else(|| none_of(function)),
        ("string", Value::Bool(of)) => Ok(text(of.to_string())),
        ("string", Value::Timestamp(at)) => Ok(text(moment(&at.to_rfc3339()))),
        ("string", Value::Duration(of)) => of.num_nanoseconds().map(|of| Ok(text(seconds(of))))?,
        ("int", Value::String(text)) => text.parse().map(Value::Int).map_err(|_| none_of(function)),
        ("uint", Value::String(text)) => match text.starts_with('+') {
            true => Err(none_of(function)),
            false => text.parse().map(Value::UInt).map_err(|_| none_of(function)),
        },
        ("double", Value::String(text)) => text.parse().map(Value::Float).map_err(|_| none_of(function)),
        _ => return None,
    })
}

/// As Go's `strconv.ParseBool`.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// As Go's `time.RFC3339Nano`: `Z` for UTC, and no noughts at the end of a fraction.
fn moment(written: &str) -> String {
    let (time, zone) = match written.strip_suffix("+00:00") {
        Some(time) => (time, "Z"),
        // the offset: `-05:00`
        None => written.split_at(written.len().saturating_sub(6)),
    };
    let time = match time.contains('.') {
        true => time.trim_end_matches('0').trim_end_matches('.'),
        false => time,
    };
    format!("{time}{zone}")
}

/// In seconds, as cel-go writes a duration: `90.5s`.
fn seconds(nanoseconds: i64) -> String {
    let whole = (nanoseconds / NANOSECONDS) as f64;
    let rest = (nanoseconds % NANOSECONDS) as f64;
    format!("{}s", whole + rest / NANOSECONDS as f64)
}

fn text(of: String) -> Value {
    Value::String(Arc::new(of))
}

fn none_of(wanted: &str) -> Fault {
    Fault::Error(format!("type conversion error from 'string' to '{wanted}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_durations_are_written_as_go_writes_them() {
        for (written, want) in [
            ("2020-01-01T00:00:00+00:00", "2020-01-01T00:00:00Z"),
            ("2020-01-01T00:00:00.120+00:00", "2020-01-01T00:00:00.12Z"),
            ("2020-01-01T00:00:00.500-05:00", "2020-01-01T00:00:00.5-05:00"),
            ("2020-01-01T00:00:10-05:00", "2020-01-01T00:00:10-05:00"),
        ] {
            assert_eq!(moment(written), want, "{written}");
        }
        for (nanoseconds, want) in [(0, "0s"), (60_000_000_000, "60s"), (-1_500_000_000, "-1.5s")] {
            assert_eq!(seconds(nanoseconds), want, "{nanoseconds}");
        }
    }
}
