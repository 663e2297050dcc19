//! `minikube tunnel`: addresses of LoadBalancer services answer without one; who waits for it is told so.

use super::output::{self, Mark};
use super::{Outcome, Session, reason};
use std::process::ExitCode;
use std::time::Duration;

#[derive(clap::Args)]
pub(super) struct Tunnel {
    /// call with cleanup=true to remove old tunnels
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    cleanup: Option<String>,
    /// set tunnel bind address, empty or '*' indicates the tunnel should be available for all interfaces
    #[arg(long)]
    bind_address: Option<String>,
}

impl Tunnel {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        session.running()?;
        output::step(Mark::Ready, "Tunnel successfully started");
        output::step(
            Mark::Note,
            "addresses of LoadBalancer services answer on this machine without a tunnel: nothing is changed by this one",
        );
        output::step(
            Mark::Note,
            "NOTE: Please do not close this terminal as this process must stay alive for the tunnel to be accessible ...",
        );
        until_interrupted()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Until Ctrl-C, a hang-up or a request to end.
pub(super) fn until_interrupted() -> Result<(), reason::Exit> {
    use nix::sys::signal::{SigSet, Signal};
    let mut wanted = SigSet::empty();
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().for_each(|signal| wanted.add(signal));
    wanted.thread_block().map_err(|e| reason::INTERNAL.because(e))?;
    wanted.wait().map(|_| ()).map_err(|e| reason::INTERNAL.because(e))
}

/// Go's durations, of one unit or several: `5m`, `1h30m`, `10s`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let (unit, seconds) = [("ms", 0.001), ("h", 3600.0), ("m", 60.0), ("s", 1.0)]
            .into_iter()
            .find(|(unit, _)| after.starts_with(unit))?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &after[unit.len()..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_writes_them() {
        let cases = [
            ("5m", Some(300.0)),
            ("1h30m", Some(5400.0)),
            ("500ms", Some(0.5)),
            ("10", None),
            ("", None),
            ("x", None),
            ("99999999999999999999h", None),
        ];
        for (text, want) in cases {
            assert_eq!(duration(text).map(|d| d.as_secs_f64()), want, "{text}");
        }
    }
}
