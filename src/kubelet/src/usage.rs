//! From what the kernel has counted to what is used: rates between two samples. Pure.

use cluster::{NodeUsage, PodUsage, Usage, Window};
use cri::ContainerId;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// A rate over less says more of the clock than of the load.
pub const SHORTEST_WINDOW: Duration = Duration::from_secs(1);
/// Over so long the rate is taken where somebody asks again and again, as an autoscaler does each fifteen seconds: the metrics
/// server's resolution is as long.
pub const GOOD_WINDOW: Duration = Duration::from_secs(10);
/// What is older says nothing of now.
pub const LONGEST_WINDOW: Duration = Duration::from_secs(90);

/// All that is counted at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub at: Timestamp,
    /// Of the whole machine, in nanoseconds of CPU since it started.
    pub node_cpu_ns: u64,
    pub node_memory: u64,
    pub containers: HashMap<ContainerId, Counted>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    pub pod: api::ObjectKey,
    pub uid: String,
    pub name: String,
    pub started_at: Timestamp,
    /// Nanoseconds of CPU since then.
    pub cpu_ns: u64,
    pub memory: u64,
}

/// The samples of late, oldest first.
#[derive(Debug, Default)]
pub struct History(VecDeque<Sample>);

impl History {
    pub fn push(&mut self, sample: Sample) {
        let old = |at: Timestamp| since(sample.at, at) > LONGEST_WINDOW;
        self.0.retain(|known| !old(known.at));
        self.0.push_back(sample);
    }

    pub fn latest(&self) -> Option<&Sample> {
        self.0.back()
    }

    /// The rates until the latest sample; `None` while there is no second one to begin with.
    pub fn usage(&self, node: &str) -> Option<NodeUsage> {
        let (latest, base) = (self.latest()?, self.base()?);
        let length = since(latest.at, base.at);
        let usage = Usage {
            cpu_nanocores: rate(base.node_cpu_ns, latest.node_cpu_ns, length),
            memory: latest.node_memory,
        };
        let mut pods: BTreeMap<(&api::ObjectKey, &str), PodUsage> = BTreeMap::new();
        for (id, now) in &latest.containers {
            let (from, length) = match base.containers.get(id) {
                Some(before) => (before.cpu_ns, length),
                // it has started since: all that it used is of this window
                None => (0, since(latest.at, now.started_at)),
            };
            if length < SHORTEST_WINDOW {
                continue;
            }
            let pod = pods.entry((&now.pod, &now.uid)).or_insert_with(|| PodUsage {
                pod: now.pod.clone(),
                uid: now.uid.clone(),
                window: Window { end: latest.at, length },
                containers: BTreeMap::new(),
            });
            pod.window.length = pod.window.length.min(length);
            let used = Usage { cpu_nanocores: rate(from, now.cpu_ns, length), memory: now.memory };
            pod.containers.insert(now.name.clone(), used);
        }
        let window = Window { end: latest.at, length };
        Some(NodeUsage { node: node.to_owned(), window, usage, pods: pods.into_values().collect() })
    }

    /// The newest that makes a good window, else the one that makes the longest.
    fn base(&self) -> Option<&Sample> {
        let end = self.latest()?.at;
        let mut older = self.0.iter().rev().skip(1);
        let good = older.find(|sample| since(end, sample.at) >= GOOD_WINDOW);
        good.or_else(|| self.0.front()).filter(|sample| since(end, sample.at) >= SHORTEST_WINDOW)
    }
}

fn since(later: Timestamp, earlier: Timestamp) -> Duration {
    crate::clock::since(later, earlier)
}

/// Billionths of a core. A counter that went back has begun anew.
fn rate(from: u64, to: u64, length: Duration) -> u64 {
    let (used, nanos) = (u128::from(to.saturating_sub(from)), length.as_nanos().max(1));
    u64::try_from(used * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

/// Nanoseconds that the processors worked, of `/proc/stat` (proc_stat(5)): all but idle and waiting for disks. Guests' time is
/// in the users' already.
pub fn busy_ns(stat: &str) -> u64 {
    /// USER_HZ is 100 on every architecture that we run on.
    const TICK_NS: u64 = 10_000_000;
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    let busy = ticks.iter().take(8).enumerate().filter(|(at, _)| !matches!(at, 3 | 4));
    busy.map(|(_, ticks)| ticks).sum::<u64>() * TICK_NS
}

/// Of the whole machine, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryUse {
    pub used: u64,
    /// Without the pages of files that nobody touched of late.
    pub working_set: u64,
    /// What processes have of their own.
    pub rss: u64,
}

/// What `/proc/meminfo` says is in use.
pub fn memory_use(meminfo: &str) -> MemoryUse {
    let kib = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    let used = kib("MemTotal").saturating_sub(kib("MemFree"));
    let working_set = used.saturating_sub(kib("Inactive(file)"));
    MemoryUse { used: used * 1024, working_set: working_set * 1024, rss: kib("AnonPages") * 1024 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Container, since when, CPU seconds.
    fn sample(second: i64, node_cpu: u64, containers: &[(&str, i64, u64)]) -> Sample {
        let counted = |(name, started, cpu): &(&str, i64, u64)| {
            let counted = Counted {
                pod: api::ObjectKey::namespaced("d", "p"),
                uid: "u".into(),
                name: (*name).to_owned(),
                started_at: at(*started),
                cpu_ns: cpu * SECOND,
                memory: 4096,
            };
            (ContainerId((*name).to_owned()), counted)
        };
        let containers = containers.iter().map(counted).collect();
        Sample { at: at(second), node_cpu_ns: node_cpu * SECOND, node_memory: 1 << 20, containers }
    }

    fn history(samples: &[Sample]) -> History {
        let mut history = History::default();
        samples.iter().for_each(|sample| history.push(sample.clone()));
        history
    }

    #[test]
    fn rates_are_taken_over_the_best_window_that_there_is() {
        // (name, samples, window and cores of the node, and of the container)
        let one = |second: i64, cpu: u64| sample(second, cpu, &[("a", 0, cpu)]);
        let cases = [
            ("nothing yet", vec![], None),
            ("a beginning", vec![one(100, 5)], None),
            ("too soon", vec![sample(100, 5, &[]), sample(100, 5, &[])], None),
            ("a second", vec![one(100, 5), one(101, 6)], Some((1, 1.0))),
            ("the longest of short ones", vec![one(100, 0), one(103, 0), one(105, 10)], Some((5, 2.0))),
            ("the newest of good ones", vec![one(100, 0), one(115, 0), one(130, 30)], Some((15, 2.0))),
            ("too old", vec![one(100, 0), one(300, 100)], None),
            ("a counter went back", vec![one(100, 50), one(110, 1)], Some((10, 0.0))),
        ];
        for (name, samples, want) in cases {
            let got = history(&samples).usage("n").map(|node| {
                let pod = &node.pods[0];
                assert_eq!(pod.containers["a"].cpu_nanocores, node.usage.cpu_nanocores, "{name}");
                (node.window.length.as_secs(), node.usage.cpu_nanocores as f64 / SECOND as f64)
            });
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn a_container_that_started_since_is_measured_from_its_start() {
        let samples = [
            sample(100, 0, &[("old", 0, 10)]),
            sample(120, 0, &[("old", 0, 20), ("new", 110, 5), ("newest", 120, 0)]),
        ];
        let node = history(&samples).usage("n").unwrap();
        let pod = &node.pods[0];
        assert_eq!(pod.containers.keys().collect::<Vec<_>>(), ["new", "old"], "no rate over no time");
        assert_eq!(pod.containers["new"].cpu_nanocores, SECOND / 2);
        assert_eq!(pod.containers["old"].cpu_nanocores, SECOND / 2);
        assert_eq!(pod.window.length, Duration::from_secs(10));
    }

    #[test]
    fn what_proc_says_of_the_machine() {
        let stat = "cpu  100 20 30 1000 50 6 7 8 90 0\ncpu0 1 1 1 1\n";
        assert_eq!(busy_ns(stat), (100 + 20 + 30 + 6 + 7 + 8) * 10_000_000);
        let meminfo = "MemTotal: 1000 kB\nMemFree: 300 kB\nInactive: 250 kB\nInactive(file): 200 kB\nAnonPages: 90 kB\n";
        let want = MemoryUse { used: 700 * 1024, working_set: 500 * 1024, rss: 90 * 1024 };
        assert_eq!(memory_use(meminfo), want);
    }
}
