//! `/metrics/resource`: what the metrics server asks for (KEP-727).

use crate::measure::{ContainerMeasured, Measured};
use crate::pod;
use cluster::metrics::{Exposition, seconds, unix};

pub fn page(measured: &Measured) -> String {
    let (mut out, at) = (Exposition::default(), Some(measured.at));
    let name = "container_cpu_usage_seconds_total";
    out.metric(name, "counter", "[STABLE] Cumulative cpu time consumed by the container in core-seconds");
    each_container(measured, |labels, c| out.value(name, labels, seconds(c.stats.cpu_usage_ns), at));
    let name = "container_memory_working_set_bytes";
    out.metric(name, "gauge", "[STABLE] Current working set of the container in bytes");
    each_container(measured, |labels, c| out.value(name, labels, c.stats.memory_working_set, at));
    let name = "container_start_time_seconds";
    out.metric(name, "gauge", "[STABLE] Start time of the container since unix epoch in seconds");
    each_container(measured, |labels, c| out.value(name, labels, unix(c.started_at), None));
    let name = "node_cpu_usage_seconds_total";
    out.metric(name, "counter", "[STABLE] Cumulative cpu time consumed by the node in core-seconds");
    out.value(name, &[], seconds(measured.cpu_ns), at);
    let name = "node_memory_working_set_bytes";
    out.metric(name, "gauge", "[STABLE] Current working set of the node in bytes");
    out.value(name, &[], measured.memory_use.working_set, at);
    let name = "pod_cpu_usage_seconds_total";
    out.metric(name, "counter", "[STABLE] Cumulative cpu time consumed by the pod in core-seconds");
    for of in &measured.pods {
        let labels = [("namespace", pod::namespace(&of.pod)), ("pod", pod::name(&of.pod))];
        out.value(name, &labels, seconds(of.cpu_ns()), at);
    }
    let name = "pod_memory_working_set_bytes";
    out.metric(name, "gauge", "[STABLE] Current working set of the pod in bytes");
    for of in &measured.pods {
        let labels = [("namespace", pod::namespace(&of.pod)), ("pod", pod::name(&of.pod))];
        out.value(name, &labels, of.working_set(), at);
    }
    out.metric(
        "resource_scrape_error",
        "gauge",
        "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
    );
    out.value("resource_scrape_error", &[], 0, None);
    out.into_text()
}

fn each_container(measured: &Measured, mut tell: impl FnMut(&[(&str, &str)], &ContainerMeasured)) {
    for of in &measured.pods {
        for container in &of.containers {
            let labels = [
                ("container", container.name.as_str()),
                ("namespace", pod::namespace(&of.pod)),
                ("pod", pod::name(&of.pod)),
            ];
            tell(&labels, container);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_metrics_server_asks_for() {
        let text = super::page(&crate::measure::example());
        for line in [
            "container_cpu_usage_seconds_total{container=\"web\",namespace=\"shop\",pod=\"web-0\"} 4.25 1700000100000",
            "container_memory_working_set_bytes{container=\"web\",namespace=\"shop\",pod=\"web-0\"} 2048 1700000100000",
            "container_start_time_seconds{container=\"web\",namespace=\"shop\",pod=\"web-0\"} 1700000011",
            "node_cpu_usage_seconds_total 90 1700000100000",
            "pod_memory_working_set_bytes{namespace=\"shop\",pod=\"web-0\"} 2048 1700000100000",
            "resource_scrape_error 0",
        ] {
            assert!(text.lines().any(|known| known == line), "no {line} in {text}");
        }
    }
}
