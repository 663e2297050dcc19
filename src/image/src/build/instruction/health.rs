//! HEALTHCHECK

use super::flags::Flags;
use super::{Instruction, command};
use crate::document::Healthcheck;

/// Docker refuses shorter intervals.
const SHORTEST: i64 = 1_000_000;

pub(super) fn healthcheck(flags: &Flags, rest: &str) -> Result<Instruction, String> {
    let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match kind.to_ascii_uppercase().as_str() {
        "NONE" if rest.trim().is_empty() => {
            let check = Healthcheck { test: vec!["NONE".into()], ..Healthcheck::default() };
            Ok(Instruction::Healthcheck { check, command: None })
        }
        "NONE" => Err("HEALTHCHECK NONE takes no arguments".into()),
        "CMD" if rest.trim().is_empty() => Err("Missing command after HEALTHCHECK CMD".into()),
        "CMD" => {
            let check = Healthcheck {
                interval: interval(flags, "interval")?,
                timeout: interval(flags, "timeout")?,
                start_period: interval(flags, "start-period")?,
                start_interval: interval(flags, "start-interval")?,
                retries: retries(flags)?,
                ..Healthcheck::default()
            };
            Ok(Instruction::Healthcheck { check, command: Some(command(rest.trim())?) })
        }
        other => Err(format!("Unknown type {other:?} in HEALTHCHECK (try CMD)")),
    }
}

fn interval(flags: &Flags, name: &str) -> Result<i64, String> {
    let Some(text) = flags.text(name).filter(|text| !text.is_empty()) else { return Ok(0) };
    match duration(&text) {
        None => Err(format!("time: invalid duration {text:?}")),
        Some(1..SHORTEST) => Err(format!("Interval {name:?} cannot be less than 1ms")),
        Some(negative) if negative < 0 => Err(format!("Interval {name:?} cannot be less than 1ms")),
        Some(nanoseconds) => Ok(nanoseconds),
    }
}

fn retries(flags: &Flags) -> Result<i64, String> {
    let Some(text) = flags.text("retries").filter(|text| !text.is_empty()) else { return Ok(0) };
    match text.parse::<i32>() {
        Ok(number) if number < 0 => Err(format!("--retries cannot be negative ({number})")),
        Ok(number) => Ok(i64::from(number)),
        Err(_) => Err(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")),
    }
}

/// `1m30s`, `500ms`, `0` → nanoseconds.
fn duration(text: &str) -> Option<i64> {
    let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    if text == "0" {
        return Some(0);
    }
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end =
            rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        let unit = match &rest[digits..unit_end] {
            "h" => 3600e9,
            "m" => 60e9,
            "s" => 1e9,
            "ms" => 1e6,
            "us" | "µs" => 1e3,
            "ns" => 1.0,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then_some((sign * total) as i64)
}
