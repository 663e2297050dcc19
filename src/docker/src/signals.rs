//! Signals by their names.

use crate::error::{ApiError, Result};
use nix::sys::signal::Signal;
use std::str::FromStr;

/// `SIGTERM`, `term`, `15`, `RTMIN+3`.
pub(crate) fn number(text: &str) -> Result<i32> {
    const FIRST_REAL_TIME: i32 = 34; // of glibc and Go alike
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = || {
        let (base, rest) = match (bare.strip_prefix("RTMIN"), bare.strip_prefix("RTMAX")) {
            (Some(rest), _) => (FIRST_REAL_TIME, rest),
            (_, Some(rest)) => (64, rest),
            _ => return None,
        };
        let offset: i32 = if rest.is_empty() { 0 } else { rest.parse().ok()? };
        Some(base + offset).filter(|n| (FIRST_REAL_TIME..=64).contains(n))
    };
    let by_number = text.parse().ok().filter(|n| (1..=64).contains(n));
    let by_name = || Signal::from_str(&format!("SIG{bare}")).ok().map(|signal| signal as i32);
    let number = by_number.or_else(by_name).or_else(real_time);
    number.ok_or_else(|| ApiError::bad(format_args!("Invalid signal: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals() {
        for (text, want) in [
            ("SIGTERM", Some(15)),
            ("term", Some(15)),
            ("9", Some(9)),
            ("WINCH", Some(28)),
            ("SIGRTMIN+3", Some(37)),
            ("rtmax-1", Some(63)),
            ("RTMIN+40", None),
            ("0", None),
            ("65", None),
            ("x", None),
        ] {
            assert_eq!(number(text).ok(), want, "{text}");
        }
    }
}
