//! Durations as Go writes them: `1m30s`.

use std::time::Duration;

/// `None` for what is none, and for one that is negative.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = next;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_go_reads_it() {
        for (text, want) in [
            ("5m0s", Some(300_000)),
            ("1h1.5s", Some(3_601_500)),
            ("300ms", Some(300)),
            ("0", Some(0)),
            ("", None),
            ("5", None),
            ("-1s", None),
            ("s", None),
            ("5d", None),
            ("9999999999999999999h", None),
        ] {
            assert_eq!(parse(text).map(|found| found.as_millis()), want, "{text}");
        }
    }
}
