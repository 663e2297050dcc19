//! `/metrics/cadvisor`: what Prometheus' rules and dashboards for Kubernetes are made of, in cAdvisor's names. Containers and
//! pods are there; cgroups above them are not.

use crate::measure::{ContainerMeasured, Measured, PodMeasured};
use crate::{pod, resources};
use cluster::metrics::{Exposition, seconds, unix};
use cri::InterfaceStats;
use jiff::Timestamp;

type Of = (&'static str, &'static str, &'static str, fn(&ContainerMeasured) -> f64);

/// Name, kind, help and value of what every container has.
const OF_CONTAINERS: [Of; 14] = [
    ("container_cpu_user_seconds_total", "counter", "Cumulative user cpu time consumed in seconds.", |c| {
        seconds(c.stats.details.cpu_user_ns)
    }),
    (
        "container_cpu_system_seconds_total",
        "counter",
        "Cumulative system cpu time consumed in seconds.",
        |c| seconds(c.stats.details.cpu_system_ns),
    ),
    ("container_cpu_cfs_periods_total", "counter", "Number of elapsed enforcement period intervals.", |c| {
        c.stats.details.throttling_periods as f64
    }),
    ("container_cpu_cfs_throttled_periods_total", "counter", "Number of throttled period intervals.", |c| {
        c.stats.details.throttled_periods as f64
    }),
    (
        "container_cpu_cfs_throttled_seconds_total",
        "counter",
        "Total time duration the container has been throttled.",
        |c| seconds(c.stats.details.throttled_ns),
    ),
    (
        "container_memory_usage_bytes",
        "gauge",
        "Current memory usage in bytes, including all memory regardless of when it was accessed",
        |c| c.stats.memory_usage as f64,
    ),
    ("container_memory_working_set_bytes", "gauge", "Current working set in bytes.", |c| {
        c.stats.memory_working_set as f64
    }),
    ("container_memory_rss", "gauge", "Size of RSS in bytes.", |c| c.rss().unwrap_or(0) as f64),
    ("container_memory_cache", "gauge", "Number of bytes of page cache memory.", |c| {
        c.cache().unwrap_or(0) as f64
    }),
    ("container_memory_swap", "gauge", "Container swap usage in bytes.", |c| {
        c.stats.details.memory_swap as f64
    }),
    (
        "container_oom_events_total",
        "counter",
        "Count of out of memory events observed for the container",
        |c| c.stats.details.oom_kills as f64,
    ),
    ("container_memory_max_usage_bytes", "gauge", "Maximum memory usage recorded in bytes", |c| {
        c.stats.details.memory_max_usage as f64
    }),
    ("container_processes", "gauge", "Number of processes running inside the container.", |c| {
        c.stats.pids as f64
    }),
    (
        "container_start_time_seconds",
        "gauge",
        "Start time of the container since unix epoch in seconds.",
        |c| unix(c.started_at),
    ),
];

type OfInterface = (&'static str, &'static str, fn(&InterfaceStats) -> u64);

/// Of a pod's network: name, help and value.
const OF_INTERFACES: [OfInterface; 8] = [
    ("container_network_receive_bytes_total", "Cumulative count of bytes received", |i| i.rx_bytes),
    ("container_network_receive_packets_total", "Cumulative count of packets received", |i| i.rx_packets),
    (
        "container_network_receive_errors_total",
        "Cumulative count of errors encountered while receiving",
        |i| i.rx_errors,
    ),
    (
        "container_network_receive_packets_dropped_total",
        "Cumulative count of packets dropped while receiving",
        |i| i.rx_dropped,
    ),
    ("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted", |i| i.tx_bytes),
    ("container_network_transmit_packets_total", "Cumulative count of packets transmitted", |i| i.tx_packets),
    (
        "container_network_transmit_errors_total",
        "Cumulative count of errors encountered while transmitting",
        |i| i.tx_errors,
    ),
    (
        "container_network_transmit_packets_dropped_total",
        "Cumulative count of packets dropped while transmitting",
        |i| i.tx_dropped,
    ),
];

pub fn page(measured: &Measured) -> String {
    let (mut out, at) = (Exposition::default(), Some(measured.at));
    let name = "cadvisor_version_info";
    out.metric(name, "gauge", "A metric with a constant '1' value labeled by kernel version, OS version, docker version, cadvisor version & cadvisor revision.");
    out.value(name, &[("cadvisorRevision", ""), ("cadvisorVersion", "")], 1, None);
    cpu(measured, &mut out, at);
    for (name, kind, help, value) in OF_CONTAINERS {
        out.metric(name, kind, help);
        for of in &measured.pods {
            for container in &of.containers {
                let id = id(of, container);
                out.value(name, &labels(of, container, &id, &[]), value(container), at);
            }
        }
    }
    devices(measured, &mut out, at);
    limits(measured, &mut out);
    for (name, help, value) in OF_INTERFACES {
        out.metric(name, "counter", help);
        for of in &measured.pods {
            for interface in &of.interfaces {
                let id = of.cgroup();
                out.value(
                    name,
                    &of_pod(of, &id, &[("interface", interface.name.as_str())]),
                    value(interface),
                    at,
                );
            }
        }
    }
    out.metric("machine_cpu_cores", "gauge", "Number of logical CPU cores.");
    out.value("machine_cpu_cores", &[], measured.cpus, None);
    out.metric("machine_memory_bytes", "gauge", "Amount of memory installed on the machine.");
    out.value("machine_memory_bytes", &[], measured.memory, None);
    out.into_text()
}

fn cpu(measured: &Measured, out: &mut Exposition, at: Option<Timestamp>) {
    let name = "container_cpu_usage_seconds_total";
    out.metric(name, "counter", "Cumulative cpu time consumed in seconds.");
    for of in &measured.pods {
        let id = of.cgroup();
        out.value(name, &of_pod(of, &id, &[("cpu", "total")]), seconds(of.cpu_ns()), at);
        for container in &of.containers {
            let id = self::id(of, container);
            out.value(
                name,
                &labels(of, container, &id, &[("cpu", "total")]),
                seconds(container.stats.cpu_usage_ns),
                at,
            );
        }
    }
}

fn devices(measured: &Measured, out: &mut Exposition, at: Option<Timestamp>) {
    let all: [(&str, &str, fn(&cri::IoStats) -> u64); 4] = [
        ("container_fs_reads_total", "Cumulative count of reads completed", |io| io.reads),
        ("container_fs_writes_total", "Cumulative count of writes completed", |io| io.writes),
        ("container_fs_reads_bytes_total", "Cumulative count of bytes read", |io| io.read),
        ("container_fs_writes_bytes_total", "Cumulative count of bytes written", |io| io.written),
    ];
    for (name, help, value) in all {
        out.metric(name, "counter", help);
        for of in &measured.pods {
            for container in &of.containers {
                let id = id(of, container);
                for io in &container.stats.details.io {
                    let device = measured.devices.get(&(io.major, io.minor));
                    let device = device.map(String::as_str).unwrap_or_default();
                    out.value(name, &labels(of, container, &id, &[("device", device)]), value(io), at);
                }
            }
        }
    }
}

/// Zero is: no limit.
fn limits(measured: &Measured, out: &mut Exposition) {
    type Limit = (&'static str, &'static str, fn(&cri::Resources) -> Option<u64>);
    let all: [Limit; 4] = [
        ("container_spec_cpu_period", "CPU period of the container.", |r| r.cpu_period),
        ("container_spec_cpu_quota", "CPU quota of the container.", |r| {
            r.cpu_quota.and_then(|q| u64::try_from(q).ok())
        }),
        ("container_spec_cpu_shares", "CPU share of the container.", |r| r.cpu_shares),
        ("container_spec_memory_limit_bytes", "Memory limit for the container.", |r| {
            Some(r.memory_limit.and_then(|m| u64::try_from(m).ok()).unwrap_or(0))
        }),
    ];
    for (name, help, value) in all {
        out.metric(name, "gauge", help);
        for of in &measured.pods {
            let spec = pod::spec(&of.pod);
            for container in &of.containers {
                let Some(described) = pod::any_container(spec, &container.name) else { continue };
                let limits = resources::of_container(spec, &described, measured.memory);
                let id = id(of, container);
                if let Some(value) = value(&limits) {
                    out.value(name, &labels(of, container, &id, &[]), value, None);
                }
            }
        }
    }
}

fn id(of: &PodMeasured, container: &ContainerMeasured) -> String {
    format!("{}/{}", of.cgroup(), container.stats.id.0)
}

fn labels<'l>(
    of: &'l PodMeasured,
    container: &'l ContainerMeasured,
    id: &'l str,
    more: &[(&'l str, &'l str)],
) -> Vec<(&'l str, &'l str)> {
    let mut all = vec![
        ("container", container.name.as_str()),
        ("id", id),
        ("image", container.image.as_str()),
        ("name", container.stats.id.0.as_str()),
        ("namespace", pod::namespace(&of.pod)),
        ("pod", pod::name(&of.pod)),
    ];
    all.extend(more);
    all
}

fn of_pod<'l>(of: &'l PodMeasured, id: &'l str, more: &[(&'l str, &'l str)]) -> Vec<(&'l str, &'l str)> {
    let mut all = vec![
        ("container", ""),
        ("id", id),
        ("image", ""),
        ("name", ""),
        ("namespace", pod::namespace(&of.pod)),
        ("pod", pod::name(&of.pod)),
    ];
    all.extend(more);
    all
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_rules_and_dashboards_are_made_of() {
        let text = super::page(&crate::measure::example());
        let of = "container=\"web\",id=\"/kubepods/podu-1/c1\",image=\"docker.io/library/web:1\",name=\"c1\",namespace=\"shop\",pod=\"web-0\"";
        for line in [
            format!("container_cpu_usage_seconds_total{{{of},cpu=\"total\"}} 4.25 1700000100000"),
            format!("container_memory_rss{{{of}}} 4096 1700000100000"),
            format!("container_memory_swap{{{of}}} 1024 1700000100000"),
            format!("container_oom_events_total{{{of}}} 2 1700000100000"),
            format!("container_cpu_cfs_throttled_seconds_total{{{of}}} 0.5 1700000100000"),
            format!("container_fs_writes_bytes_total{{{of},device=\"/dev/sda\"}} 20 1700000100000"),
            format!("container_fs_reads_total{{{of},device=\"/dev/sda\"}} 3 1700000100000"),
            format!("container_fs_writes_total{{{of},device=\"/dev/sda\"}} 4 1700000100000"),
            format!("container_spec_cpu_quota{{{of}}} 50000"),
            format!("container_spec_memory_limit_bytes{{{of}}} {}", 64 << 20),
            "container_network_receive_bytes_total{container=\"\",id=\"/kubepods/podu-1\",image=\"\",name=\"\",namespace=\"shop\",pod=\"web-0\",interface=\"eth0\"} 5 1700000100000".to_owned(),
            "machine_cpu_cores 2".to_owned(),
        ] {
            assert!(text.lines().any(|known| known == line), "no {line} in {text}");
        }
    }
}
