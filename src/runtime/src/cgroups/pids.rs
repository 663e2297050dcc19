//! Processes, of which the machine has so many for everybody.

use super::{Hierarchies, named};
use std::io;
use std::path::Path;

const KERNEL: &str = "/proc/sys/kernel";
/// Of a hundred. Pods have so many, and Docker's containers as many again: the rest is the machine's, and the daemon's and the shims'.
const SHARE: u64 = 45;

impl Hierarchies {
    /// Lets all that is in the cgroup have no more processes and threads than leave some to the machine. A container has no limit of its
    /// own where nobody asked for one, as with Kubernetes and Docker elsewhere: one that forks without end would have all numbers that
    /// there are, so that nobody could log in, or end it.
    ///
    /// # Errors
    /// The limit can not be written; where the kernel does not count processes there is none.
    pub fn spare_processes(&self, path: &str) -> io::Result<()> {
        let Some(file) = self.of("pids").map(|mount| mount.join(path).join("pids.max")) else {
            return Ok(());
        };
        if !file.exists() {
            return Ok(());
        }
        let read = |name| std::fs::read_to_string(Path::new(KERNEL).join(name)).unwrap_or_default();
        let Some(most) = share(&[read("pid_max"), read("threads-max")]) else { return Ok(()) };
        std::fs::write(&file, most.to_string()).map_err(|e| named(&file, e))
    }
}

/// Of what the machine has: the least that it says.
fn share(said: &[String]) -> Option<u64> {
    let least = said.iter().filter_map(|number| number.trim().parse::<u64>().ok()).min()?;
    Some((least.saturating_mul(SHARE) / 100).max(1))
}

#[cfg(test)]
mod tests {
    use super::super::Controller;
    use super::*;

    #[test]
    fn the_machine_keeps_some_of_its_processes() {
        for (name, said, want) in [
            ("numbers are few", &["32768\n", "192731\n"][..], Some(14745)),
            ("threads are few", &["4194304\n", "10000\n"], Some(4500)),
            ("one is not told", &["", "1000\n"], Some(450)),
            ("none is told", &["", "x"], None),
            ("hardly any", &["1"], Some(1)),
        ] {
            let said: Vec<String> = said.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(share(&said), want, "{name}");
        }
    }

    #[test]
    fn only_a_cgroup_that_counts_is_limited() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("p/kubepods")).unwrap();
        let file = dir.path().join("p/kubepods/pids.max");
        let of = |name: &str| {
            Hierarchies::V1(vec![Controller { names: vec![name.to_owned()], mount: dir.path().to_owned() }])
        };
        of("pids").spare_processes("p/kubepods").unwrap();
        assert!(!file.exists(), "the kernel makes it, or it is none");
        std::fs::write(&file, "max\n").unwrap();
        of("memory").spare_processes("p/kubepods").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "max\n");
        of("pids").spare_processes("p/kubepods").unwrap();
        let most: u64 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
        let all: u64 = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap().trim().parse().unwrap();
        assert!(most <= all / 2, "{most} of {all}");
    }
}
