//! What this machine can limit and what it has: what `docker info` tells, and what limits are checked against.

use std::collections::BTreeSet;
use std::path::Path;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    /// cgroup v2 alone.
    pub(crate) unified: bool,
    pub(crate) cpus: usize,
    /// `0-3`, as the kernel writes it; empty where it does not tell.
    pub(crate) cpuset_cpus: String,
    pub(crate) cpuset_mems: String,
    pub(crate) blkio_weight: bool,
    /// Rates of single block devices can be limited.
    pub(crate) blkio_throttle: bool,
    /// Swap is accounted.
    pub(crate) swap: bool,
}

impl Machine {
    pub(crate) fn inspect() -> Machine {
        let root = Path::new("/sys/fs/cgroup");
        let unified = root.join("cgroup.controllers").exists();
        let read = |path: &str| {
            std::fs::read_to_string(root.join(path)).map(|text| text.trim().to_owned()).unwrap_or_default()
        };
        let cpuset = |what: &str| match unified {
            true => read(&format!("cpuset.{what}.effective")),
            false => read(&format!("cpuset/cpuset.{what}")),
        };
        let any = |paths: &[&str]| paths.iter().any(|path| root.join(path).exists());
        Machine {
            unified,
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            cpuset_cpus: cpuset("cpus"),
            cpuset_mems: cpuset("mems"),
            blkio_weight: unified || any(&["blkio/blkio.weight", "blkio/blkio.bfq.weight"]),
            blkio_throttle: unified || any(&["blkio/blkio.throttle.read_bps_device"]),
            swap: unified || any(&["memory/memory.memsw.limit_in_bytes"]),
        }
    }
}

/// `0-2,5` → its numbers; `None` for what is no such list.
pub(crate) fn numbers(list: &str) -> Option<BTreeSet<u32>> {
    /// More processors than any machine has; a range can not be used to fill the memory.
    const MOST: u32 = 8192;
    let mut all = BTreeSet::new();
    for part in list.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= MOST {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors() {
        for (text, want) in [
            ("", Some(vec![])),
            ("0", Some(vec![0])),
            ("0-2,5", Some(vec![0, 1, 2, 5])),
            ("x", None),
            ("2-1", None),
            ("0-99999999", None),
        ] {
            assert_eq!(numbers(text).map(|set| set.into_iter().collect::<Vec<_>>()), want, "{text}");
        }
    }
}
