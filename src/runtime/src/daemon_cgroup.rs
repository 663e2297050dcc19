//! The cgroup that the daemon itself is in: its memory is limited, so that no fault of ours can take the machine's, and the
//! shims and containers, which are elsewhere, live on where the kernel ends it.

use crate::cgroups::{Hierarchies, TICK_NS};
use cri::{ContainerId, ContainerStats};
use std::io;

/// Below the profile's cgroup.
const NAME: &str = "daemon";

pub struct DaemonCgroup {
    cgroups: Hierarchies,
    path: String,
}

impl DaemonCgroup {
    /// Of the profile whose cgroup that is; it need not be there.
    ///
    /// # Errors
    /// The machine has no cgroups.
    pub fn of(profile: &str) -> io::Result<Self> {
        Ok(DaemonCgroup { cgroups: Hierarchies::find()?, path: format!("{profile}/{NAME}") })
    }

    /// Moves this process there, and from now on it may have so many bytes of memory, swapped or not; `None`: as many as it
    /// likes. What it has already stays counted where it was.
    ///
    /// # Errors
    /// There is no memory controller, or what the kernel says.
    pub fn join(&self, limit: Option<u64>) -> io::Result<()> {
        self.cgroups.make_for("memory", &self.path)?;
        // -1 takes away the limit of an earlier start
        let limit = limit.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        self.cgroups.limit_memory(&self.path, limit)?;
        self.cgroups.enter("memory", &self.path)
    }

    /// How often the kernel has ended a process in it for its memory, since the machine or the profile was made.
    pub fn oom_kills(&self) -> u64 {
        self.cgroups.oom_kills(&self.path)
    }

    /// What this process uses. Only its memory is told apart where each controller has cgroups of its own.
    pub fn stats(&self) -> Option<ContainerStats> {
        if !self.cgroups.exists("memory", &self.path) {
            return None;
        }
        let id = ContainerId(NAME.to_owned());
        let cpu = self.cgroups.cpu_ns(&self.path).or_else(|| {
            let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
            cpu_ns_of_process(&stat)
        })?;
        Some(self.cgroups.stats_with_cpu(&id, &self.path, cpu))
    }

    /// Bytes, where there is a limit.
    pub fn limit(&self) -> Option<u64> {
        self.cgroups.memory_limit(&self.path)
    }
}

/// Whether there is v2 alone, and the controllers that the machine has by their names.
pub fn cgroup_controllers() -> Option<(bool, Vec<String>)> {
    let cgroups = Hierarchies::find().ok()?;
    Some((cgroups.unified(), cgroups.controllers()))
}

/// The time of all its threads, for itself and in the kernel: fields 14 and 15 of proc_pid_stat(5).
fn cpu_ns_of_process(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) * TICK_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_time_is_read_whatever_it_is_called() {
        let stat = "42 (mono) pod) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1000 8192 30";
        assert_eq!(cpu_ns_of_process(stat), Some(3_000_000_000));
        assert_eq!(cpu_ns_of_process("42 (monopod) S 1"), None);
    }
}
