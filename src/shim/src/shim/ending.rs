//! How a shim ends: containers are asked and given time where there is some, and what is left is killed and removed.

use super::Shim;
use crate::container::Run;
use crate::helper::Work;
use crate::{cgroup, mounts};
use nix::poll::PollTimeout;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// How long killed processes may take to be gone before the shim ends without them.
const SHUTDOWN_GRACE_MS: u16 = 5_000;
/// How long containers may take to end by themselves where the shim is told to end by a signal: as long as `docker stop` gives.
const END_GRACE: Duration = Duration::from_secs(10);

impl Shim {
    /// At the end of the machine its first process sends SIGTERM to every other one: those of containers have it already, and a
    /// second one means more to some.
    pub(super) fn ask_to_end(&self, asker: u32) {
        for run in self.containers.values().filter_map(|container| container.run.as_ref()) {
            if let Some(pid) = run.record.pid.filter(|_| run.is_alive())
                && (asker != 1 || run.stop_signal != Signal::SIGTERM as i32)
            {
                let _ = cgroup::send(Pid::from_raw(pid), run.stop_signal);
            }
        }
    }

    pub(super) fn wait_for_ends(&mut self) {
        let end = Instant::now() + END_GRACE;
        while self.any_alive() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.turn(PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        }
    }

    fn any_alive(&self) -> bool {
        self.containers.values().any(|container| container.run.as_ref().is_some_and(Run::is_alive))
    }

    pub(super) fn kill_everything(&mut self) {
        if let Some(pause) = self.sandbox.pause {
            let _ = cgroup::send(pause, Signal::SIGKILL as i32);
        }
        for helper in self.helpers.values() {
            let _ = cgroup::send(helper.pid, Signal::SIGKILL as i32);
            if let Work::Create { run, .. } = &helper.work {
                cgroup::signal_all(&run.cgroup, Signal::SIGKILL as i32);
            }
        }
        for run in self.containers.values().filter_map(|container| container.run.as_ref()) {
            if let Some(pid) = run.record.pid.filter(|_| run.is_alive()) {
                let _ = cgroup::send(Pid::from_raw(pid), Signal::SIGKILL as i32);
            }
            cgroup::signal_all(&run.cgroup, Signal::SIGKILL as i32);
        }
        while self.any_alive() && self.turn(SHUTDOWN_GRACE_MS.into()) {}
        for container in self.containers.values() {
            if let Some(run) = &container.run {
                let _ = cgroup::remove(&run.cgroup);
            }
            mounts::unmount(&container.mounts);
        }
    }
}
