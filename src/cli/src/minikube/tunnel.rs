//! `minikube tunnel`: addresses of LoadBalancer services answer without one; who waits for it is told so.

use super::output::{self, Mark};
use super::{Outcome, Session, reason};
use std::process::ExitCode;

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
