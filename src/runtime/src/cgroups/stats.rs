//! What a cgroup uses now.

use super::Hierarchies;
use cri::{ContainerId, ContainerStats, IoStats, UsageDetails};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// USER_HZ is 100 on every architecture that we run on.
pub const TICK_NS: u64 = 10_000_000;

impl Hierarchies {
    /// `None` for a cgroup that is gone.
    pub fn stats(&self, id: &ContainerId, path: &str) -> Option<ContainerStats> {
        Some(self.stats_with_cpu(id, path, self.cpu_ns(path)?))
    }

    fn read(&self, controller: &str, path: &str, file: &str) -> Option<String> {
        let dir: PathBuf = self.of(controller)?.join(path);
        std::fs::read_to_string(dir.join(file)).ok()
    }

    /// Nanoseconds, where the cgroup is there and is counted.
    pub fn cpu_ns(&self, path: &str) -> Option<u64> {
        match self.unified() {
            true => Some(field(&self.read("cpu", path, "cpu.stat")?, "usage_usec")? * 1000),
            false => self.read("cpuacct", path, "cpuacct.usage")?.trim().parse().ok(),
        }
    }

    /// For who knows better what a cgroup's processes have had of the processors.
    pub fn stats_with_cpu(&self, id: &ContainerId, path: &str, cpu_usage_ns: u64) -> ContainerStats {
        let number = |controller, file| self.read(controller, path, file)?.trim().parse::<u64>().ok();
        let (usage, inactive) = match self.unified() {
            true => ("memory.current", "inactive_file"),
            false => ("memory.usage_in_bytes", "total_inactive_file"),
        };
        let memory_usage = number("memory", usage).unwrap_or(0);
        let inactive = field(&self.read("memory", path, "memory.stat").unwrap_or_default(), inactive);
        ContainerStats {
            id: id.clone(),
            cpu_usage_ns,
            // as the kubelet's own statistics have it: what the kernel could not drop at once
            memory_working_set: memory_usage.saturating_sub(inactive.unwrap_or(0)),
            memory_usage,
            pids: number("pids", "pids.current").unwrap_or(0),
            details: self.details(path),
        }
    }

    fn details(&self, path: &str) -> UsageDetails {
        let text = |controller: &str, file: &str| self.read(controller, path, file).unwrap_or_default();
        let memory_stat = all_fields(&text("memory", "memory.stat"));
        let memory_swap = match self.unified() {
            true => text("memory", "memory.swap.current").trim().parse().ok(),
            false => memory_stat.get("swap").copied(),
        };
        let common = UsageDetails {
            memory_stat,
            // it is not counted on every machine
            memory_swap: memory_swap.unwrap_or(0),
            oom_kills: self.oom_kills(path),
            pids_limit: text("pids", "pids.max").trim().parse().ok(),
            ..UsageDetails::default()
        };
        let cpu = text("cpu", "cpu.stat");
        let of_cpu = |name: &str| field(&cpu, name).unwrap_or(0);
        let throttled = UsageDetails {
            throttling_periods: of_cpu("nr_periods"),
            throttled_periods: of_cpu("nr_throttled"),
            ..common
        };
        if self.unified() {
            return UsageDetails {
                cpu_user_ns: of_cpu("user_usec") * 1000,
                cpu_system_ns: of_cpu("system_usec") * 1000,
                throttled_ns: of_cpu("throttled_usec") * 1000,
                io: io_unified(&text("io", "io.stat")),
                ..throttled
            };
        }
        let ticks = text("cpuacct", "cpuacct.stat");
        let of_ticks = |name: &str| field(&ticks, name).unwrap_or(0) * TICK_NS;
        let each = text("cpuacct", "cpuacct.usage_percpu");
        UsageDetails {
            cpu_user_ns: of_ticks("user"),
            cpu_system_ns: of_ticks("system"),
            cpu_each_ns: each.split_whitespace().filter_map(|n| n.parse().ok()).collect(),
            throttled_ns: of_cpu("throttled_time"),
            memory_max_usage: text("memory", "memory.max_usage_in_bytes").trim().parse().unwrap_or(0),
            io: io_legacy(
                &text("blkio", "blkio.throttle.io_service_bytes_recursive"),
                &text("blkio", "blkio.throttle.io_serviced_recursive"),
            ),
            ..throttled
        }
    }
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`; Kernel documentation, admin-guide/cgroup-v2.rst.
fn io_unified(text: &str) -> Vec<IoStats> {
    let line = |line: &str| {
        let (device, rest) = line.split_once(' ')?;
        let (major, minor) = numbers(device)?;
        let of = |name: &str| {
            let word = rest.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            word.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        let (read, written) = (of("rbytes"), of("wbytes"));
        Some(IoStats { major, minor, read, written, reads: of("rios"), writes: of("wios") })
    };
    text.lines().filter_map(line).collect()
}

/// `8:0 Read 1`, one line for each kind, of bytes and of how often; admin-guide/cgroup-v1/blkio-controller.rst.
fn io_legacy(bytes: &str, operations: &str) -> Vec<IoStats> {
    let mut all: Vec<IoStats> = Vec::new();
    let lines = bytes.lines().map(|line| (line, true));
    for (line, is_bytes) in lines.chain(operations.lines().map(|line| (line, false))) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [device, kind @ ("Read" | "Write"), count] = words[..] else { continue };
        let (Some((major, minor)), Ok(count)) = (numbers(device), count.parse::<u64>()) else { continue };
        let known = all.iter().position(|one| (one.major, one.minor) == (major, minor));
        let at = known.unwrap_or_else(|| {
            all.push(IoStats { major, minor, ..IoStats::default() });
            all.len() - 1
        });
        let of = &mut all[at];
        let counter = match (kind, is_bytes) {
            ("Read", true) => &mut of.read,
            ("Read", false) => &mut of.reads,
            (_, true) => &mut of.written,
            (_, false) => &mut of.writes,
        };
        *counter = count;
    }
    all
}

fn numbers(device: &str) -> Option<(u64, u64)> {
    let (major, minor) = device.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn all_fields(text: &str) -> BTreeMap<String, u64> {
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.filter_map(|(name, number)| Some((name.to_owned(), number.trim().parse().ok()?))).collect()
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

    #[test]
    fn what_goes_to_and_from_disks() {
        let want = [
            IoStats { major: 8, minor: 0, read: 4096, written: 1, reads: 2, writes: 3 },
            IoStats { major: 254, minor: 1, written: 7, ..IoStats::default() },
        ];
        let bytes = "8:0 Read 4096\n8:0 Write 1\n8:0 Sync 5\n8:0 Total 4097\n254:1 Write 7\nTotal 4104\n";
        let operations = "8:0 Read 2\n8:0 Write 3\n8:0 Total 5\nTotal 5\n";
        assert_eq!(io_legacy(bytes, operations), want);
        let unified = "8:0 rbytes=4096 wbytes=1 rios=2 wios=3\n254:1 wbytes=7\nbroken\n";
        assert_eq!(io_unified(unified), want);
    }
}
