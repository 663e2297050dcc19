//! HEALTHCHECK

use super::flags::Flags;
use super::{Instruction, command};
use crate::document::Healthcheck;

/// Docker refuses shorter intervals; in nanoseconds.
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
    match durations::parse(&text).map_err(|error| error.to_string())? {
        nanoseconds @ (0 | SHORTEST..) => Ok(nanoseconds),
        _ => Err(format!("Interval {name:?} cannot be less than 1ms")),
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
