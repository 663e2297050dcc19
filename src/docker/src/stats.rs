//! `docker stats`: what a container uses.

use crate::engine::Engine;
use crate::record::{Container, Record};
use cri::ContainerStats;
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) struct Sample {
    at: Timestamp,
    /// Nanoseconds of CPU of the whole machine.
    system: u64,
    container: ContainerStats,
    rx: u64,
    tx: u64,
}

/// None where it does not run.
pub(crate) async fn sample(engine: &Engine, container: &Container) -> Option<Sample> {
    let running = container.see(|r| r.running().cloned())?;
    let all = engine.runtime.stats().await.ok()?;
    let sandbox = all.into_iter().find(|s| s.id == running.sandbox)?;
    let container = sandbox.containers.into_iter().find(|c| c.id == running.container)?;
    let (at, rx, tx) = (Timestamp::now(), sandbox.network_rx, sandbox.network_tx);
    Some(Sample { at, system: system_cpu(), container, rx, tx })
}

/// Of `/proc/stat`, whose unit is a hundredth of a second.
fn system_cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = text.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8);
    ticks.filter_map(|t| t.parse::<u64>().ok()).sum::<u64>() * 10_000_000
}

fn memory_limit(record: &Record) -> u64 {
    let own = u64::try_from(record.host.limits.memory).ok().filter(|limit| *limit > 0);
    own.or_else(|| {
        let info = nix::sys::sysinfo::sysinfo().ok()?;
        Some(info.ram_total())
    })
    .unwrap_or(0)
}

fn cpu(sample: Option<&Sample>) -> Value {
    let Some(sample) = sample else {
        return json!({"cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
            "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0}});
    };
    json!({
        "cpu_usage": {"total_usage": sample.container.cpu_usage_ns, "usage_in_kernelmode": 0,
            "usage_in_usermode": sample.container.cpu_usage_ns},
        "system_cpu_usage": sample.system,
        "online_cpus": std::thread::available_parallelism().map_or(1, usize::from),
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    })
}

pub(crate) fn shown(record: &Record, now: Option<&Sample>, before: Option<&Sample>) -> Value {
    let at = |sample: Option<&Sample>| crate::inspect::time(sample.map(|s| s.at));
    let mut shown = json!({
        "id": record.id, "name": format!("/{}", record.name), "read": at(now), "preread": at(before),
        "num_procs": 0, "storage_stats": {}, "blkio_stats": {"io_service_bytes_recursive": []},
        "cpu_stats": cpu(now), "precpu_stats": cpu(before), "pids_stats": {}, "memory_stats": {},
    });
    if let Some(sample) = now {
        let used = &sample.container;
        shown["pids_stats"] = json!({"current": used.pids});
        // the CLI takes the reclaimable cache off itself
        let cache = used.memory_usage.saturating_sub(used.memory_working_set);
        shown["memory_stats"] = json!({
            "usage": used.memory_usage, "limit": memory_limit(record),
            "stats": {"inactive_file": cache, "total_inactive_file": cache},
        });
        shown["networks"] = json!({"eth0": {
            "rx_bytes": sample.rx, "tx_bytes": sample.tx, "rx_packets": 0, "tx_packets": 0, "rx_errors": 0,
            "tx_errors": 0, "rx_dropped": 0, "tx_dropped": 0,
        }});
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    #[test]
    fn what_is_used() {
        let mut web = record("web");
        web.host.limits.memory = 1000;
        let container = ContainerStats {
            id: cri::ContainerId("c".into()),
            cpu_usage_ns: 7,
            memory_working_set: 60,
            memory_usage: 100,
            pids: 3,
        };
        let sample = Sample { at: Timestamp::UNIX_EPOCH, system: 9, container, rx: 1, tx: 2 };
        let shown = shown(&web, Some(&sample), None);
        assert_eq!(
            shown["memory_stats"],
            json!({"usage": 100, "limit": 1000, "stats": {"inactive_file": 40, "total_inactive_file": 40}})
        );
        assert_eq!(
            (&shown["cpu_stats"]["cpu_usage"]["total_usage"], &shown["pids_stats"]["current"]),
            (&json!(7), &json!(3))
        );
    }
}
