//! `--log-driver` and `--log-opt`: what is kept of a container's output. Pure.

use crate::error::{ApiError, Result};
use crate::model::LogConfig;
use cri::Logging;
use regex::Regex;

pub(crate) const JSON_FILE: &str = "json-file";
pub(crate) const LOCAL: &str = "local";
pub(crate) const NONE: &str = "none";

/// The one driver that keeps less unless it is told to keep more: Docker's figures.
const LOCAL_SIZE: u64 = 20_000_000;
const LOCAL_FILES: u32 = 5;

pub(crate) fn driver(config: &LogConfig) -> &str {
    if config.kind.is_empty() { JSON_FILE } else { &config.kind }
}

/// # Errors
/// A driver that is not here, or an option that it does not have.
pub(crate) fn check(config: &LogConfig) -> Result<()> {
    const SHARED: [&str; 5] = ["max-size", "max-file", "compress", "mode", "max-buffer-size"];
    const OF_JSON: [&str; 5] = ["labels", "labels-regex", "env", "env-regex", "tag"];
    let driver = driver(config);
    let knows = |name: &str| match driver {
        JSON_FILE => SHARED.contains(&name) || OF_JSON.contains(&name),
        LOCAL => SHARED.contains(&name),
        _ => true,
    };
    if ![JSON_FILE, LOCAL, NONE].contains(&driver) {
        return Err(ApiError::bad(format_args!(
            "error looking up logging plugin {driver}: plugin \"{driver}\" not found"
        )));
    }
    if driver == NONE {
        return Ok(());
    }
    let mode = config.config.get("mode").map(String::as_str).unwrap_or_default();
    if !matches!(mode, "" | "blocking" | "non-blocking") {
        return Err(ApiError::bad(format_args!("logger: logging mode not supported: {mode}")));
    }
    if let Some(size) = config.config.get("max-buffer-size") {
        if mode != "non-blocking" {
            let why = "logger: max-buffer-size option is only supported with 'mode=non-blocking'";
            return Err(ApiError::bad(why));
        }
        if human(size).is_none() {
            return Err(ApiError::bad(format_args!(
                "error parsing option max-buffer-size: invalid size: '{size}'"
            )));
        }
    }
    match config.config.keys().find(|name| !knows(name)) {
        Some(name) if driver == LOCAL => {
            Err(ApiError::bad(format_args!("unknown log opt '{name}' for log driver {LOCAL}")))
        }
        Some(name) => Err(ApiError::bad(format_args!("unknown log opt '{name}' for {driver} log driver"))),
        None => Ok(()),
    }
}

/// What a start needs to know; Docker looks at sizes only then.
pub(crate) fn plan(config: &LogConfig) -> Result<Logging> {
    let driver = driver(config);
    if driver == NONE {
        return Ok(Logging::Dropped);
    }
    let said = |name: &str| config.config.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let failed = |why: String| {
        ApiError::internal(format_args!(
            "failed to create task for container: failed to initialize logging driver: {why}"
        ))
    };
    let size = match said("max-size") {
        Some("-1") => None,
        Some(text) => Some(human(text).ok_or_else(|| failed(format!("invalid size: '{text}'")))?),
        None => (driver == LOCAL).then_some(LOCAL_SIZE),
    };
    let files = match said("max-file").map(str::parse::<u32>) {
        Some(Ok(files)) if files > 0 => Some(files),
        Some(Ok(_)) => return Err(failed("max-file cannot be less than 1".into())),
        Some(Err(e)) => return Err(failed(format!("invalid max-file: {e}"))),
        None => (driver == LOCAL).then_some(LOCAL_FILES),
    };
    for option in ["labels-regex", "env-regex"] {
        if let Some(Err(why)) = said(option).map(Regex::new) {
            return Err(failed(format!("error parsing regexp: {why}")));
        }
    }
    // old files are few and read at once: they are not compressed, whatever is asked
    if driver == JSON_FILE
        && said("compress") == Some("true")
        && (size.is_none() || files.is_none_or(|f| f < 2))
    {
        return Err(failed(
            "compress cannot be true when max-file is less than 2 or max-size is not set".into(),
        ));
    }
    match size {
        Some(0) => Err(failed("max-size must be a positive number".into())),
        Some(max_bytes) => Ok(Logging::Rotated { max_bytes, max_files: files.unwrap_or(1) }),
        None => Ok(Logging::Kept),
    }
}

/// `10k`, `1.5MB`: units of a thousand, as Docker has them here.
fn human(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = text[digits.len()..].trim().to_ascii_lowercase();
    let power = match unit.strip_suffix('b').unwrap_or(&unit) {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    let number: f64 = digits.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    Some((number * 1000f64.powi(power)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(driver: &str, options: &[(&str, &str)]) -> LogConfig {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        LogConfig { kind: driver.to_owned(), config: options.collect() }
    }

    #[test]
    fn what_is_kept() {
        let rotated = |max_bytes, max_files| Some(Logging::Rotated { max_bytes, max_files });
        let cases: [(&str, &[(&str, &str)], Option<Logging>); 14] = [
            ("", &[], Some(Logging::Kept)),
            (JSON_FILE, &[("max-size", "10k")], rotated(10_000, 1)),
            (JSON_FILE, &[("max-size", "1.5m"), ("max-file", "3")], rotated(1_500_000, 3)),
            (JSON_FILE, &[("max-size", "-1")], Some(Logging::Kept)),
            (LOCAL, &[], rotated(20_000_000, 5)),
            (LOCAL, &[("max-size", "1m"), ("max-file", "2")], rotated(1_000_000, 2)),
            (NONE, &[], Some(Logging::Dropped)),
            (JSON_FILE, &[("max-size", "xx")], None),
            (JSON_FILE, &[("max-file", "0")], None),
            (JSON_FILE, &[("max-file", "2")], Some(Logging::Kept)),
            (JSON_FILE, &[("compress", "true")], None),
            (JSON_FILE, &[("max-size", "0")], None),
            (JSON_FILE, &[("labels-regex", "^a")], Some(Logging::Kept)),
            (JSON_FILE, &[("env-regex", "(")], None),
        ];
        for (driver, options, want) in cases {
            assert_eq!(plan(&config(driver, options)).ok(), want, "{driver} {options:?}");
        }
    }

    #[test]
    fn what_is_refused_at_once() {
        let said =
            |driver: &str, options: &[(&str, &str)]| check(&config(driver, options)).unwrap_err().message;
        assert_eq!(
            said("syslog", &[]),
            "error looking up logging plugin syslog: plugin \"syslog\" not found"
        );
        assert_eq!(said("", &[("what", "1")]), "unknown log opt 'what' for json-file log driver");
        assert_eq!(said(LOCAL, &[("labels", "x")]), "unknown log opt 'labels' for log driver local");
        assert_eq!(said("", &[("mode", "x")]), "logger: logging mode not supported: x");
        assert_eq!(
            said(LOCAL, &[("max-buffer-size", "4m")]),
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'"
        );
        assert_eq!(
            said("", &[("mode", "non-blocking"), ("max-buffer-size", "x")]),
            "error parsing option max-buffer-size: invalid size: 'x'"
        );
        for (driver, options) in [
            ("", &[("labels", "a"), ("mode", "non-blocking"), ("max-buffer-size", "4m")][..]),
            ("", &[("mode", "")]),
            (NONE, &[("mode", "x")]),
        ] {
            assert!(check(&config(driver, options)).is_ok(), "{driver} {options:?}");
        }
    }
}
