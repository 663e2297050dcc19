//! `/metrics/slis`, which kube-prometheus reads of every kubelet: what its health checks say. Whoever gets an answer has heard that the
//! one there is passes.

use cluster::metrics::Exposition;

const HEALTHCHECK: &str = "kubernetes_healthcheck";

pub fn page() -> String {
    let mut out = Exposition::default();
    out.metric(HEALTHCHECK, "gauge", "[STABLE] This metric records the result of a single healthcheck.");
    out.value(HEALTHCHECK, &[("name", "ping"), ("type", "healthz")], 1, None);
    out.into_text()
}
