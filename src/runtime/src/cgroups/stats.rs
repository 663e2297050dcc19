//! What a cgroup uses now.

use super::Hierarchies;
use cri::{ContainerId, ContainerStats};
use std::path::PathBuf;

impl Hierarchies {
    /// `None` for a cgroup that is gone.
    pub fn stats(&self, id: &ContainerId, path: &str) -> Option<ContainerStats> {
        let read = |controller: &str, file: &str| {
            let dir: PathBuf = self.of(controller)?.join(path);
            std::fs::read_to_string(dir.join(file)).ok()
        };
        let number = |controller, file| read(controller, file)?.trim().parse::<u64>().ok();
        let (cpu_usage_ns, memory_usage, inactive) = if self.unified() {
            let cpu = read("cpu", "cpu.stat")?;
            let stat = read("memory", "memory.stat").unwrap_or_default();
            let usage = number("memory", "memory.current").unwrap_or(0);
            (field(&cpu, "usage_usec")? * 1000, usage, field(&stat, "inactive_file"))
        } else {
            let stat = read("memory", "memory.stat").unwrap_or_default();
            let usage = number("memory", "memory.usage_in_bytes").unwrap_or(0);
            (number("cpuacct", "cpuacct.usage")?, usage, field(&stat, "total_inactive_file"))
        };
        Some(ContainerStats {
            id: id.clone(),
            cpu_usage_ns,
            // as the kubelet's own statistics have it: what the kernel could not drop at once
            memory_working_set: memory_usage.saturating_sub(inactive.unwrap_or(0)),
            memory_usage,
            pids: number("pids", "pids.current").unwrap_or(0),
        })
    }
}

/// The number behind `name` in a file of `name number` lines.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|l| l.split_once(' ').filter(|(n, _)| *n == name)?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_files() {
        let text = "cache 5\ninactive_file 7\ntotal_inactive_file 8192\nbroken\n";
        assert_eq!(field(text, "total_inactive_file"), Some(8192));
        assert_eq!(field(text, "inactive_file"), Some(7));
        assert_eq!(field(text, "broken"), None);
    }
}
