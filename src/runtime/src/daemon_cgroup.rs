//! The cgroup that the daemon itself is in: its memory is limited, so that no fault of ours can take the machine's, and the
//! shims and containers, which are elsewhere, live on where the kernel ends it.

use crate::cgroups::Hierarchies;
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
