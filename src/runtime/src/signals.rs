//! Signals by name, as images and pods write them.

use cri::CriError;

const RTMIN: i32 = 34; // glibc keeps 32 and 33 for itself, and images count from its SIGRTMIN
const RTMAX: i32 = 64;

/// `SIGTERM`, `term`, `15`, `RTMIN+3` → its Linux number.
pub fn number(text: &str) -> Result<i32, CriError> {
    parse(text)
        .filter(|n| (1..=RTMAX).contains(n))
        .ok_or_else(|| CriError::Invalid(format!("invalid signal: {text}")))
}

fn parse(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(more) = name.strip_prefix("RTMIN") {
        return realtime(RTMIN, more);
    }
    if let Some(less) = name.strip_prefix("RTMAX") {
        return realtime(RTMAX, less);
    }
    let full = match name {
        "POLL" => "SIGIO".to_owned(),
        "CLD" => "SIGCHLD".to_owned(),
        "IOT" => "SIGABRT".to_owned(),
        _ => format!("SIG{name}"),
    };
    full.parse::<nix::sys::signal::Signal>().ok().map(|s| s as i32)
}

fn realtime(base: i32, offset: &str) -> Option<i32> {
    let offset = if offset.is_empty() { 0 } else { offset.parse::<i32>().ok()? };
    base.checked_add(offset).filter(|n| (RTMIN..=RTMAX).contains(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let good = [
            ("SIGTERM", 15),
            ("term", 15),
            ("9", 9),
            ("QUIT", 3),
            ("SIGWINCH", 28),
            ("RTMIN+3", 37),
            ("SIGRTMIN", 34),
            ("RTMAX-1", 63),
            ("IOT", 6),
        ];
        for (text, want) in good {
            assert_eq!(number(text).ok(), Some(want), "{text}");
        }
        for text in ["", "0", "65", "-1", "SIGFOO", "RTMIN+99", "SIG", "RTMIN-1"] {
            assert!(number(text).is_err(), "{text}");
        }
    }
}
