//! `/stats/summary`: the summary API (`k8s.io/kubelet/pkg/apis/stats/v1alpha1`). Rates need a second look, and are left out.

use crate::measure::{ContainerMeasured, Measured, PodMeasured, VolumeMeasured};
use crate::pod;
use cri::{ContainerStats, SystemStats};
use jiff::Timestamp;
use serde_json::{Value, json};

/// `started_at` is the kubelet's time, which is that of the runtime: they are one process.
pub fn page(measured: &Measured, system: &SystemStats, started_at: Timestamp) -> Value {
    let at = time(measured.at);
    let since = Some(started_at);
    let system_containers = [
        ("kubelet", &system.daemon, since),
        ("runtime", &system.daemon, since),
        ("pods", &system.sandboxes, None),
    ];
    let system_containers: Vec<Value> = system_containers
        .into_iter()
        .filter_map(|(name, stats, since)| Some(of_system(name, stats.as_ref()?, since, &at)))
        .collect();
    let (disk, memory) = (measured.disk, measured.memory_use);
    let fs = json!({"time": at, "availableBytes": disk.available, "capacityBytes": disk.capacity,
        "usedBytes": disk.capacity.saturating_sub(disk.available)});
    json!({
        "node": {
            "nodeName": measured.node,
            "systemContainers": system_containers,
            "startTime": time(measured.booted_at),
            "cpu": cpu(&at, measured.cpu_ns),
            "memory": {"time": at, "usageBytes": memory.used, "workingSetBytes": memory.working_set, "rssBytes": memory.rss,
                "availableBytes": measured.memory.saturating_sub(memory.working_set)},
            "fs": fs,
            "runtime": {"imageFs": fs},
        },
        "pods": measured.pods.iter().map(|pod| of_pod(pod, &at)).collect::<Vec<_>>(),
    })
}

/// Those of upstream's names that there is a cgroup for. They have neither logs nor a file system.
fn of_system(name: &str, stats: &ContainerStats, started_at: Option<Timestamp>, at: &str) -> Value {
    let counted = &stats.details.memory_stat;
    // with what is in the cgroups below
    let rss = ["total_rss", "anon"].iter().find_map(|name| counted.get(*name));
    json!({
        "name": name,
        "startTime": started_at.map(time),
        "cpu": cpu(at, stats.cpu_usage_ns),
        "memory": {"time": at, "workingSetBytes": stats.memory_working_set, "usageBytes": stats.memory_usage, "rssBytes": rss},
    })
}

fn of_pod(of: &PodMeasured, at: &str) -> Value {
    let interfaces: Vec<Value> = of
        .interfaces
        .iter()
        .map(|i| json!({"name": i.name, "rxBytes": i.rx_bytes, "rxErrors": i.rx_errors, "txBytes": i.tx_bytes, "txErrors": i.tx_errors}))
        .collect();
    let mut network = interfaces.first().cloned().unwrap_or(json!({"name": ""}));
    network["time"] = at.into();
    network["interfaces"] = interfaces.into();
    let mut shown = json!({
        "podRef": {"name": pod::name(&of.pod), "namespace": pod::namespace(&of.pod), "uid": pod::uid(&of.pod)},
        "startTime": time(of.started_at),
        "containers": of.containers.iter().map(|container| of_container(container, at)).collect::<Vec<_>>(),
        "cpu": cpu(at, of.cpu_ns()),
        "memory": {"time": at, "workingSetBytes": of.working_set(),
            "usageBytes": of.containers.iter().map(|c| c.stats.memory_usage).sum::<u64>()},
        "network": network,
    });
    if !of.volumes.is_empty() {
        let namespace = pod::namespace(&of.pod);
        let volumes = of.volumes.iter().map(|volume| of_volume(volume, namespace, at));
        shown["volume"] = volumes.collect::<Vec<_>>().into();
    }
    shown
}

fn of_volume(volume: &VolumeMeasured, namespace: &str, at: &str) -> Value {
    let mut shown = json!({"time": at, "name": volume.name});
    if let Some(bytes) = volume.bytes {
        shown["capacityBytes"] = bytes.total.into();
        shown["usedBytes"] = bytes.used.into();
        shown["availableBytes"] = bytes.available.into();
    }
    if let Some(inodes) = volume.inodes {
        shown["inodes"] = inodes.total.into();
        shown["inodesUsed"] = inodes.used.into();
        shown["inodesFree"] = inodes.available.into();
    }
    if let Some(claim) = &volume.claim {
        shown["pvcRef"] = json!({"name": claim, "namespace": namespace});
    }
    shown
}

fn of_container(container: &ContainerMeasured, at: &str) -> Value {
    let stats = &container.stats;
    let logged = std::fs::metadata(&container.log).map_or(0, |log| log.len());
    json!({
        "name": container.name,
        "startTime": time(container.started_at),
        "cpu": cpu(at, stats.cpu_usage_ns),
        "memory": {"time": at, "workingSetBytes": stats.memory_working_set, "usageBytes": stats.memory_usage, "rssBytes": container.rss()},
        "logs": {"time": at, "usedBytes": logged},
    })
}

fn cpu(at: &str, nanos: u64) -> Value {
    json!({"time": at, "usageCoreNanoSeconds": nanos})
}

/// As Kubernetes writes times: to the second.
fn time(at: Timestamp) -> String {
    kinds::whole_second(at).0.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_node_and_its_pods() {
        let daemon = cri::ContainerStats {
            id: cri::ContainerId("daemon".into()),
            cpu_usage_ns: 7,
            memory_working_set: 2048,
            memory_usage: 4096,
            pids: 1,
            details: cri::UsageDetails {
                memory_stat: [("rss".to_owned(), 1), ("total_rss".to_owned(), 1024)].into(),
                ..Default::default()
            },
        };
        let system = cri::SystemStats { daemon: Some(daemon), sandboxes: None };
        let page = super::page(&crate::measure::example(), &system, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(page["node"]["nodeName"], "n1");
        let containers = page["node"]["systemContainers"].as_array().unwrap();
        let names: Vec<_> = containers.iter().map(|container| &container["name"]).collect();
        assert_eq!(names, ["kubelet", "runtime"]);
        assert_eq!(
            containers[0],
            json!({
                "name": "kubelet", "startTime": "1970-01-01T00:00:00Z",
                "cpu": {"time": "2023-11-14T22:15:00Z", "usageCoreNanoSeconds": 7},
                "memory": {"time": "2023-11-14T22:15:00Z", "workingSetBytes": 2048, "usageBytes": 4096, "rssBytes": 1024},
            })
        );
        assert_eq!(page["node"]["fs"]["usedBytes"], 600);
        let memory = &page["node"]["memory"];
        for (amount, want) in [
            ("usageBytes", 3 << 28),
            ("workingSetBytes", 1 << 29),
            ("rssBytes", 1 << 28),
            ("availableBytes", 1 << 29),
        ] {
            assert_eq!(memory[amount], want, "{amount}");
        }
        let pod = &page["pods"][0];
        assert_eq!(pod["podRef"], json!({"name": "web-0", "namespace": "shop", "uid": "u-1"}));
        assert_eq!(pod["network"]["rxBytes"], 5);
        let time = "2023-11-14T22:15:00Z";
        assert_eq!(
            pod["volume"],
            json!([
                {"time": time, "name": "cache", "capacityBytes": 9, "usedBytes": 8, "availableBytes": 1},
                {"time": time, "name": "data", "capacityBytes": 1000, "usedBytes": 300, "availableBytes": 650,
                    "inodes": 64, "inodesUsed": 3, "inodesFree": 61, "pvcRef": {"name": "data-web-0", "namespace": "shop"}},
            ])
        );
        assert_eq!(pod["containers"][0]["memory"]["rssBytes"], 4096);
        assert_eq!(
            pod["cpu"],
            json!({"time": "2023-11-14T22:15:00Z", "usageCoreNanoSeconds": 4_250_000_000_u64})
        );
    }
}
