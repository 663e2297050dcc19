//! How much memory the daemon itself may have, and what is said where the kernel ended it for having more.
//!
//! The limit is for faults: a machine must never lose its other programs to one of ours. Containers and shims are not under it.

use crate::Paths;
use runtime::DaemonCgroup;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

/// Of the machine's memory, where nothing is said.
const DEFAULT_SHARE: u64 = 2;
/// The share of a small machine is more than that, so that an image can be unpacked there.
const USUALLY_ENOUGH: u64 = 512 << 20;
/// With less it does not come up.
const LEAST: u64 = 64 << 20;

/// What `start --daemon-memory` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DaemonMemory {
    /// Half of the machine's.
    #[default]
    Default,
    Unlimited,
    Bytes(u64),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DaemonMemoryError {
    #[error("give an amount as Kubernetes has it (512Mi, 2Gi), \"default\" or \"unlimited\"")]
    NoAmount,
    #[error("the daemon needs at least 64Mi")]
    TooLittle,
}

impl FromStr for DaemonMemory {
    type Err = DaemonMemoryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "default" => Ok(DaemonMemory::Default),
            "unlimited" => Ok(DaemonMemory::Unlimited),
            amount => {
                let amount: api::quantity::Quantity =
                    amount.parse().map_err(|_| DaemonMemoryError::NoAmount)?;
                let bytes = u64::try_from(amount.value()).map_err(|_| DaemonMemoryError::TooLittle)?;
                if bytes < LEAST { Err(DaemonMemoryError::TooLittle) } else { Ok(DaemonMemory::Bytes(bytes)) }
            }
        }
    }
}

impl std::fmt::Display for DaemonMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DaemonMemory::Default => f.write_str("default"),
            DaemonMemory::Unlimited => f.write_str("unlimited"),
            DaemonMemory::Bytes(bytes) => write!(f, "{bytes}"),
        }
    }
}

impl DaemonMemory {
    pub(crate) fn is_default(&self) -> bool {
        *self == DaemonMemory::Default
    }

    fn bytes(self, of_machine: Option<u64>) -> Option<u64> {
        match self {
            DaemonMemory::Default => {
                of_machine.map(|all| (all / DEFAULT_SHARE).max(USUALLY_ENOUGH.min(all / 4 * 3)))
            }
            DaemonMemory::Unlimited => None,
            DaemonMemory::Bytes(bytes) => Some(bytes),
        }
    }
}

/// What the kernel had counted when the daemon began, or ended in order: in the run directory, for the count does not survive
/// a reboot either.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    oom_kills: u64,
}

fn seen_path(paths: &Paths) -> PathBuf {
    paths.run.join("daemon.json")
}

fn limit(memory: DaemonMemory) -> Option<u64> {
    memory.bytes(total(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default()))
}

/// What all stored objects may take of it, in bytes. They are held once, a list of all of them is made of as much again and packed once
/// more, and watches, components and the log need something too. Without it whoever may make one kind of object could end the daemon,
/// each time that it starts.
pub(crate) fn for_objects(memory: DaemonMemory) -> Option<usize> {
    limit(memory).map(|bytes| usize::try_from(bytes / 3).unwrap_or(usize::MAX))
}

/// What the kinds of all CustomResourceDefinitions may take of it, in bytes, beside their being stored. A thousand of an everyday size
/// have room in what it is of one gibibyte.
pub(crate) fn for_definitions(memory: DaemonMemory) -> Option<usize> {
    limit(memory).map(|bytes| usize::try_from(bytes / 5).unwrap_or(usize::MAX))
}

/// Puts this process under its limit.
///
/// # Errors
/// In words for the log: there is none then.
pub(crate) fn confine(paths: &Paths, memory: DaemonMemory) -> Result<(), String> {
    let limit = limit(memory);
    let confined = DaemonCgroup::of(&paths.cgroup).and_then(|cgroup| {
        cgroup.join(limit)?;
        remember(paths, &cgroup)
    });
    confined.map_err(|e| format!("the daemon's own memory is not limited: {e}"))
}

/// The end is in order: whatever was counted until now did not end the daemon.
pub(crate) fn ends_in_order(paths: &Paths) {
    if let Ok(cgroup) = DaemonCgroup::of(&paths.cgroup) {
        let _ = remember(paths, &cgroup);
    }
}

fn remember(paths: &Paths, cgroup: &DaemonCgroup) -> io::Result<()> {
    let seen = Seen { oom_kills: cgroup.oom_kills() };
    std::fs::write(seen_path(paths), serde_json::to_vec(&seen)?)
}

/// Why a daemon that does not run ended, where it was for its memory.
pub fn ended_for_memory(paths: &Paths) -> Option<String> {
    let seen: Seen = serde_json::from_slice(&std::fs::read(seen_path(paths)).ok()?).ok()?;
    let cgroup = DaemonCgroup::of(&paths.cgroup).ok()?;
    (cgroup.oom_kills() > seen.oom_kills).then(|| words(cgroup.limit()))
}

/// With an amount that can be typed as it is: what needs too much can not be deleted by a daemon that ends before it answers.
fn words(limit: Option<u64>) -> String {
    let is = limit.map_or_else(String::new, |bytes| format!(" of {} MiB", bytes >> 20));
    let more = limit.map_or_else(|| "unlimited".to_owned(), |bytes| format!("{}Mi", bytes >> 19));
    format!(
        "the kernel ended the daemon: it had reached its memory limit{is}; its containers went on. If it ends so soon after each \
         start, something that is stored needs more, and can only be deleted with more: `monopod start --daemon-memory {more}` \
         (\"unlimited\" is an amount too; later starts keep it, and \"default\" takes it back). Look with \
         `kubectl get events -A --sort-by=.lastTimestamp` at what it did last, and delete those objects"
    )
}

/// Bytes, out of /proc/meminfo.
pub(crate) fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn amounts() {
        let cases = [
            ("2Gi", Ok(DaemonMemory::Bytes(2 * GIB))),
            ("500M", Ok(DaemonMemory::Bytes(500_000_000))),
            ("default", Ok(DaemonMemory::Default)),
            ("unlimited", Ok(DaemonMemory::Unlimited)),
            ("63Mi", Err(DaemonMemoryError::TooLittle)),
            ("-2Gi", Err(DaemonMemoryError::TooLittle)),
            ("much", Err(DaemonMemoryError::NoAmount)),
            ("", Err(DaemonMemoryError::NoAmount)),
        ];
        for (text, want) in cases {
            let got = text.parse::<DaemonMemory>();
            assert_eq!(got, want, "{text}");
            if let Ok(memory) = got {
                assert_eq!(memory.to_string().parse(), Ok(memory), "{text}, printed and read again");
            }
        }
    }

    #[test]
    fn a_daemon_that_ends_at_each_start_has_a_way_out() {
        let words = words(Some(GIB));
        let parts = [
            "memory limit of 1024 MiB",
            "start --daemon-memory 2048Mi`",
            "unlimited",
            "delete those objects",
        ];
        for part in parts {
            assert!(words.contains(part), "{words}");
        }
        let amount = words.split("--daemon-memory ").nth(1).and_then(|rest| rest.split('`').next()).unwrap();
        assert_eq!(amount.parse(), Ok(DaemonMemory::Bytes(2 * GIB)), "what it says can be typed");
        assert!(super::words(None).contains("--daemon-memory unlimited`"));
    }

    #[test]
    fn the_default_is_generous_and_never_all() {
        for (all, want) in [(16 * GIB, 8 * GIB), (2 * GIB, GIB), (GIB, GIB / 2), (GIB / 2, GIB / 8 * 3)] {
            assert_eq!(DaemonMemory::Default.bytes(Some(all)), Some(want), "{all}");
        }
        assert_eq!(DaemonMemory::Default.bytes(None), None);
        assert_eq!(total("MemTotal:       24683876 kB\nMemFree: 1 kB\n"), Some(24_683_876 << 10));
    }
}
