//! `docker stats`: what a container uses.

use crate::engine::Engine;
use crate::record::{Container, Record};
use cri::{SandboxStats, UsageDetails};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub(crate) struct Sample {
    at: Timestamp,
    /// Nanoseconds of CPU of the whole machine.
    system: u64,
    used: cri::ContainerStats,
    interfaces: Vec<cri::InterfaceStats>,
}

/// None where it does not run.
pub(crate) async fn sample(engine: &Engine, container: &Container) -> Option<Sample> {
    let running = container.see(|r| r.running().cloned())?;
    let stats = engine.runtime.sandbox_stats(&running.sandbox).await.ok()?;
    let SandboxStats { containers, interfaces, .. } = stats;
    let used = containers.into_iter().find(|c| c.id == running.container)?;
    Some(Sample { at: Timestamp::now(), system: system_cpu(), used, interfaces })
}

/// Of `/proc/stat`, whose unit is a hundredth of a second. Guests' time is in the users' already.
fn system_cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = text.lines().next().unwrap_or_default().split_whitespace().skip(1).take(7);
    ticks.filter_map(|t| t.parse::<u64>().ok()).sum::<u64>() * 10_000_000
}

fn memory_limit(record: &Record) -> u64 {
    let own = u64::try_from(record.host.limits.memory).ok().filter(|limit| *limit > 0);
    own.or_else(|| nix::sys::sysinfo::sysinfo().ok().map(|info| info.ram_total())).unwrap_or(0)
}

fn cpu(sample: Option<&Sample>) -> Value {
    let nothing = UsageDetails::default();
    let details = sample.map_or(&nothing, |s| &s.used.details);
    let mut shown = json!({
        "cpu_usage": {
            "total_usage": sample.map_or(0, |s| s.used.cpu_usage_ns),
            "usage_in_kernelmode": details.cpu_system_ns, "usage_in_usermode": details.cpu_user_ns,
        },
        "throttling_data": {
            "periods": details.throttling_periods, "throttled_periods": details.throttled_periods,
            "throttled_time": details.throttled_ns,
        },
    });
    if !details.cpu_each_ns.is_empty() {
        shown["cpu_usage"]["percpu_usage"] = json!(details.cpu_each_ns);
    }
    if let Some(sample) = sample {
        shown["system_cpu_usage"] = json!(sample.system);
        shown["online_cpus"] = json!(std::thread::available_parallelism().map_or(1, usize::from));
    }
    shown
}

fn memory(record: &Record, sample: &Sample) -> Value {
    let details = &sample.used.details;
    let mut stats = details.memory_stat.clone();
    // the CLI takes the reclaimable cache off itself
    let cache = sample.used.memory_usage.saturating_sub(sample.used.memory_working_set);
    let name =
        if stats.contains_key("total_inactive_file") { "total_inactive_file" } else { "inactive_file" };
    stats.entry(name.to_owned()).or_insert(cache);
    let mut shown = json!({"usage": sample.used.memory_usage, "stats": stats, "limit": memory_limit(record)});
    if details.memory_max_usage > 0 {
        shown["max_usage"] = json!(details.memory_max_usage);
    }
    shown
}

fn block_io(sample: Option<&Sample>) -> Value {
    let devices = sample.map_or(&[][..], |sample| &sample.used.details.io);
    let entries: Vec<Value> = devices
        .iter()
        .flat_map(|device| {
            [("read", device.read), ("write", device.written)].map(
                |(op, value)| json!({"major": device.major, "minor": device.minor, "op": op, "value": value}),
            )
        })
        .collect();
    json!({
        "io_service_bytes_recursive": entries, "io_serviced_recursive": [], "io_queue_recursive": [],
        "io_service_time_recursive": [], "io_wait_time_recursive": [], "io_merged_recursive": [],
        "io_time_recursive": [], "sectors_recursive": [],
    })
}

fn networks(sample: &Sample) -> Map<String, Value> {
    let one = |one: &cri::InterfaceStats| {
        let counters = json!({
            "rx_bytes": one.rx_bytes, "rx_packets": one.rx_packets, "rx_errors": one.rx_errors, "rx_dropped": one.rx_dropped,
            "tx_bytes": one.tx_bytes, "tx_packets": one.tx_packets, "tx_errors": one.tx_errors, "tx_dropped": one.tx_dropped,
        });
        (one.name.clone(), counters)
    };
    sample.interfaces.iter().map(one).collect()
}

pub(crate) fn shown(record: &Record, now: Option<&Sample>, before: Option<&Sample>) -> Value {
    let at = |sample: Option<&Sample>| crate::inspect::time(sample.map(|s| s.at));
    let mut shown = json!({
        "id": record.id, "name": format!("/{}", record.name), "read": at(now), "preread": at(before), "num_procs": 0,
        "storage_stats": {}, "blkio_stats": block_io(now), "cpu_stats": cpu(now), "precpu_stats": cpu(before),
        "pids_stats": {}, "memory_stats": {},
    });
    let Some(sample) = now else { return shown };
    shown["pids_stats"] = json!({"current": sample.used.pids});
    if let Some(limit) = sample.used.details.pids_limit {
        shown["pids_stats"]["limit"] = json!(limit);
    }
    shown["memory_stats"] = memory(record, sample);
    let networks = networks(sample);
    if !networks.is_empty() {
        shown["networks"] = networks.into();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;
    use cri::{ContainerStats, InterfaceStats, IoStats};

    fn sample() -> Sample {
        let details = UsageDetails {
            io: vec![IoStats { major: 8, minor: 1, read: 5, written: 6, ..Default::default() }],
            memory_stat: [("cache".into(), 40), ("total_inactive_file".into(), 30)].into(),
            pids_limit: Some(99),
            ..Default::default()
        };
        let used = ContainerStats {
            id: cri::ContainerId("c".into()),
            cpu_usage_ns: 7,
            memory_working_set: 60,
            memory_usage: 100,
            pids: 3,
            details,
        };
        let interfaces = ["eth0", "eth1"].map(|name| InterfaceStats {
            name: name.into(),
            rx_bytes: 1,
            ..Default::default()
        });
        Sample { at: Timestamp::UNIX_EPOCH, system: 9, used, interfaces: interfaces.to_vec() }
    }

    #[test]
    fn what_is_used() {
        let mut web = record("web");
        web.host.limits.memory = 1000;
        let shown = shown(&web, Some(&sample()), None);
        assert_eq!(
            shown["memory_stats"],
            json!({"usage": 100, "limit": 1000, "stats": {"cache": 40, "total_inactive_file": 30}})
        );
        assert_eq!(shown["cpu_stats"]["cpu_usage"]["total_usage"], 7);
        assert_eq!(shown["pids_stats"], json!({"current": 3, "limit": 99}));
        assert_eq!(
            (&shown["networks"]["eth1"]["rx_bytes"], &shown["precpu_stats"]["online_cpus"]),
            (&json!(1), &Value::Null)
        );
        let io = &shown["blkio_stats"]["io_service_bytes_recursive"];
        assert_eq!(io[1], json!({"major": 8, "minor": 1, "op": "write", "value": 6}));
    }

    #[test]
    fn who_does_not_run_uses_nothing() {
        let shown = shown(&record("web"), None, None);
        assert_eq!((&shown["memory_stats"], &shown["pids_stats"]), (&json!({}), &json!({})));
        assert_eq!(shown["read"], "0001-01-01T00:00:00Z");
    }
}
