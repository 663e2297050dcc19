//! `/metrics` in Prometheus' text format, under upstream's names: of the API server itself, of the components that count into
//! [`cluster::metrics`], and of the process that they all are.

mod levels;
mod objects;
mod process;
mod reloads;
mod requests;

use cluster::Cluster;
use cluster::metrics::{Exposition, Histogram};
use flowcontrol::FlowControl;
use parking_lot::Mutex;
pub(crate) use process::process_started;
pub use reloads::ConfigFile;
use reloads::Reloads;
use requests::Requests;
pub(crate) use requests::{Answered, Labels, Watching};
use std::collections::BTreeMap;

pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;
/// Seconds that a client's certificate is good for.
static LIFETIMES: [f64; 14] = [
    0.0,
    HOUR / 2.0,
    HOUR,
    2.0 * HOUR,
    6.0 * HOUR,
    12.0 * HOUR,
    DAY,
    2.0 * DAY,
    4.0 * DAY,
    7.0 * DAY,
    30.0 * DAY,
    90.0 * DAY,
    180.0 * DAY,
    360.0 * DAY,
];

pub(crate) struct Metrics {
    pub(crate) requests: Requests,
    certificates: Histogram,
    reloads: Reloads,
    /// How often an APIService could not be asked any more: by its name, and why.
    lost: Mutex<BTreeMap<(String, &'static str), u64>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            requests: Requests::default(),
            certificates: Histogram::new(&LIFETIMES),
            reloads: Reloads::default(),
            lost: Mutex::default(),
        }
    }
}

impl Metrics {
    /// A client has shown a certificate that ends then, in seconds since 1970.
    pub(crate) fn count_certificate(&self, ends: i64) {
        let left = ends.saturating_sub(jiff::Timestamp::now().as_second());
        self.certificates.observe(left as f64);
    }

    pub(crate) fn count_reload(&self, file: ConfigFile, is_in_force: bool) {
        self.reloads.count(file, is_in_force);
    }

    /// An APIService that could be asked can not be any more.
    pub(crate) fn count_lost_service(&self, name: &str, reason: &'static str) {
        let mut all = self.lost.lock();
        *all.entry((name.to_owned(), reason)).or_default() += 1;
    }

    fn collect(&self, out: &mut Exposition) {
        self.requests.collect(out);
        out.histograms(
            "apiserver_client_certificate_expiration_seconds",
            "Distribution of the remaining lifetime on the certificate used to authenticate a request.",
            [(Vec::new(), &self.certificates)],
        );
        let name = "aggregator_unavailable_apiservice_total";
        out.metric(name, "counter", "Counter of APIServices which are marked as unavailable broken down by APIService name and reason.");
        for ((service, reason), count) in self.lost.lock().iter() {
            out.value(name, &[("name", service.as_str()), ("reason", *reason)], count, None);
        }
        self.reloads.collect(out);
    }
}

pub(crate) fn page(metrics: &Metrics, flow: &FlowControl, cluster: &Cluster) -> String {
    let mut out = Exposition::default();
    let version = api::KUBERNETES_VERSION;
    let name = "kubernetes_build_info";
    out.metric(name, "gauge", "A metric with a constant '1' value labeled by major, minor and git version of the Kubernetes that is served.");
    let labels = [("git_version", version.git), ("major", version.major), ("minor", version.minor)];
    out.value(name, &labels, 1, None);
    metrics.collect(&mut out);
    levels::collect(&mut out, &flow.counts());
    objects::collect(&mut out, cluster);
    cluster.metrics().collect(&mut out);
    process::collect(&mut out);
    out.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_counted_by_what_is_left_of_them_and_services_by_why_they_are_lost() {
        let metrics = Metrics::default();
        let now = jiff::Timestamp::now().as_second();
        for ends in [now - 60, now + 3 * 24 * 3600] {
            metrics.count_certificate(ends);
        }
        metrics.count_lost_service("v1.example.com", "ServiceNotFound");
        metrics.count_lost_service("v1.example.com", "ServiceNotFound");
        let mut out = Exposition::default();
        metrics.collect(&mut out);
        let text = out.into_text();
        for line in [
            "apiserver_client_certificate_expiration_seconds_bucket{le=\"0\"} 1\n",
            "apiserver_client_certificate_expiration_seconds_bucket{le=\"172800\"} 1\n",
            "apiserver_client_certificate_expiration_seconds_bucket{le=\"345600\"} 2\n",
            "aggregator_unavailable_apiservice_total{name=\"v1.example.com\",reason=\"ServiceNotFound\"} 2\n",
        ] {
            assert!(text.contains(line), "no {line} in {text}");
        }
    }
}
