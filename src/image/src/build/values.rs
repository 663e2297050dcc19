//! Ports, signals and checks: how they are read, and how Docker's history shows them.

use super::BuildError;
use crate::document::Healthcheck;

/// As Go writes a list of strings.
pub(super) fn quoted(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", words.join(" "))
}

/// As Docker's history has it: what its Go code makes of the whole structure.
pub(super) fn shown_check(check: &Healthcheck) -> String {
    let times = [check.interval, check.timeout, check.start_period, check.start_interval];
    let times: Vec<String> =
        times.iter().map(|time| format!("{:?}", durations::print_nanoseconds(*time))).collect();
    let retries = match u8::try_from(check.retries) {
        Ok(number @ 32..127) => format!("'{}'", char::from(number)),
        Ok(number) => format!("'\\x{number:02x}'"),
        Err(_) => format!("'{}'", check.retries),
    };
    format!("HEALTHCHECK &{{{} {} {retries}}}", quoted(&check.test), times.join(" "))
}

/// A name, with or without SIG, or a number.
pub(super) fn check_signal(signal: &str) -> Result<(), BuildError> {
    let bad = || BuildError::Failed(format!("invalid signal: {signal}"));
    if let Ok(number) = signal.parse::<i64>() {
        return if (1..=64).contains(&number) { Ok(()) } else { Err(bad()) };
    }
    let upper = signal.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = name.strip_prefix("RTMIN+").or(name.strip_prefix("RTMAX-"));
    let is_known = SIGNALS.contains(&name)
        || matches!(name, "RTMIN" | "RTMAX")
        || real_time.and_then(|number| number.parse::<u8>().ok()).is_some_and(|number| number <= 15);
    if is_known { Ok(()) } else { Err(bad()) }
}

const SIGNALS: [&str; 34] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE",
    "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// `80` → `80/tcp`, `8000-8002/udp` → three ports. Of `ip:host:container` only the container's port counts.
pub(super) fn exposed(port: &str) -> Result<Vec<String>, BuildError> {
    let refuse = |why: String| Err(BuildError::Failed(why));
    let (numbers, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let numbers = numbers.rsplit(':').next().unwrap_or(numbers);
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return refuse(format!("Invalid proto: {protocol}"));
    }
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) if first <= last => {
            Ok((first..=last).map(|number| format!("{number}/{protocol}")).collect())
        }
        _ => refuse(format!("Invalid containerPort: {numbers}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_ranges() {
        for (text, want) in [
            ("80", Ok(vec!["80/tcp"])),
            ("53/UDP", Ok(vec!["53/udp"])),
            ("90-92", Ok(vec!["90/tcp", "91/tcp", "92/tcp"])),
            ("127.0.0.1:80:8080", Ok(vec!["8080/tcp"])),
            ("99999", Err("Invalid containerPort: 99999")),
            ("x", Err("Invalid containerPort: x")),
            ("80/x", Err("Invalid proto: x")),
            ("9-8", Err("Invalid containerPort: 9-8")),
        ] {
            let got = exposed(text).map_err(|e| e.to_string());
            let want =
                want.map(|ports: Vec<&str>| ports.iter().map(|port| (*port).to_owned()).collect::<Vec<_>>());
            assert_eq!(got, want.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn signals() {
        for signal in ["9", "SIGTERM", "term", "SIGRTMIN+3", "SIGRTMAX"] {
            assert!(check_signal(signal).is_ok(), "{signal}");
        }
        for signal in ["", "0", "65", "SIGNOTHING", "RTMIN+99"] {
            let why = check_signal(signal).unwrap_err().to_string();
            assert_eq!(why, format!("invalid signal: {signal}"));
        }
    }

    #[test]
    fn a_check_is_shown_as_dockers_history_has_it() {
        let check = Healthcheck {
            test: vec!["CMD-SHELL".into(), "curl -f x".into()],
            interval: 90_000_000_000,
            timeout: 500_000_000,
            retries: 3,
            ..Healthcheck::default()
        };
        let want = r#"HEALTHCHECK &{["CMD-SHELL" "curl -f x"] "1m30s" "500ms" "0s" "0s" '\x03'}"#;
        assert_eq!(shown_check(&check), want);
    }
}
