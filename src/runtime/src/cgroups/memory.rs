//! The memory controller by itself: for what is limited or counted by it alone.

use super::Hierarchies;
use std::io;
use std::path::PathBuf;

/// v1 says of a cgroup without a limit that it has about this much: the highest number of pages.
const NO_LIMIT_V1: u64 = i64::MAX as u64 / 2;

impl Hierarchies {
    /// Makes the cgroup in the hierarchy of that controller only.
    ///
    /// # Errors
    /// There is no such controller, or what the kernel says.
    pub fn make_for(&self, controller: &str, path: &str) -> io::Result<()> {
        self.make_in(self.of_or_say(controller)?, path)
    }

    /// Moves this process, with all its threads, there.
    ///
    /// # Errors
    /// As [`Hierarchies::make_for`].
    pub fn enter(&self, controller: &str, path: &str) -> io::Result<()> {
        let file = self.of_or_say(controller)?.join(path).join("cgroup.procs");
        std::fs::write(&file, std::process::id().to_string()).map_err(|e| super::named(&file, e))
    }

    /// Bytes of memory and swap together; below zero: no limit.
    ///
    /// # Errors
    /// What the kernel says: v1 lowers no limit below what it can not take away.
    pub fn limit_memory(&self, path: &str, limit: i64) -> io::Result<()> {
        let dir = self.of_or_say("memory")?.join(path);
        let words = |none: &str| if limit < 0 { none.to_owned() } else { limit.to_string() };
        // the limit of both is never below that of memory alone: which of them goes first depends on which way it moves
        let files: &[(&str, String)] = if self.unified() {
            let swap = if limit < 0 { "max" } else { "0" };
            &[("memory.max", words("max")), ("memory.swap.max", swap.to_owned())]
        } else {
            let [alone, both] = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"];
            &[(both, words("-1")), (alone, words("-1")), (both, words("-1"))]
        };
        let mut last = Ok(());
        for (file, value) in files {
            let path = dir.join(file);
            // a kernel without swap accounting does not have the other one
            if path.exists() {
                last = std::fs::write(&path, value).map_err(|e| super::named(&path, e));
            }
        }
        last
    }

    /// `None` without a limit, or without the cgroup.
    pub fn memory_limit(&self, path: &str) -> Option<u64> {
        let file = if self.unified() { "memory.max" } else { "memory.limit_in_bytes" };
        let text = std::fs::read_to_string(self.memory_dir(path)?.join(file)).ok()?;
        text.trim().parse().ok().filter(|bytes| *bytes < NO_LIMIT_V1)
    }

    /// How often the kernel has killed there for memory. Kernel documentation, admin-guide/cgroup-v2.rst (`memory.events`) and
    /// cgroup-v1/memory.rst, section 10 (`oom_control`).
    pub fn oom_kills(&self, path: &str) -> u64 {
        let file = if self.unified() { "memory.events" } else { "memory.oom_control" };
        let text = self.memory_dir(path).and_then(|dir| std::fs::read_to_string(dir.join(file)).ok());
        text.and_then(|text| count_of("oom_kill", &text)).unwrap_or(0)
    }

    fn memory_dir(&self, path: &str) -> Option<PathBuf> {
        self.of("memory").map(|mount| mount.join(path))
    }

    fn of_or_say(&self, controller: &str) -> io::Result<&std::path::Path> {
        self.of(controller)
            .ok_or_else(|| io::Error::other(format!("the machine has no cgroup controller {controller}")))
    }
}

fn count_of(word: &str, text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_counts() {
        assert_eq!(count_of("oom_kill", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), Some(3));
        assert_eq!(
            count_of("oom_kill", "low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n"),
            Some(1)
        );
        assert_eq!(count_of("oom_kill", "oom_kill_disable 0\n"), None, "a kernel before 4.13");
    }

    #[test]
    fn limits_are_written_to_the_files_of_either_version() {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().join("a/daemon");
        std::fs::create_dir_all(&directory).unwrap();
        let v2 = Hierarchies::V2(dir.path().to_owned());
        let of_v1 = super::super::Controller { names: vec!["memory".into()], mount: dir.path().to_owned() };
        let v1 = Hierarchies::V1(vec![of_v1]);
        let cases = [
            (&v2, "memory.max", "memory.swap.max", ["1048576", "0"], ["max", "max"]),
            (
                &v1,
                "memory.limit_in_bytes",
                "memory.memsw.limit_in_bytes",
                ["1048576", "1048576"],
                ["-1", "-1"],
            ),
        ];
        for (cgroups, alone, swap, limited, free) in cases {
            for file in [alone, swap] {
                std::fs::write(directory.join(file), "").unwrap();
            }
            for (limit, want) in [(1 << 20, limited), (-1, free)] {
                cgroups.limit_memory("a/daemon", limit).unwrap();
                let got = [alone, swap].map(|file| std::fs::read_to_string(directory.join(file)).unwrap());
                assert_eq!(got, want, "{alone} {limit}");
            }
            cgroups.limit_memory("a/daemon", 1 << 20).unwrap();
            assert_eq!(cgroups.memory_limit("a/daemon"), Some(1 << 20));
        }
        std::fs::write(directory.join("memory.limit_in_bytes"), "9223372036854771712\n").unwrap();
        assert_eq!(v1.memory_limit("a/daemon"), None);
    }
}
