//! `/metrics/probes`: how often each probe of each container came out how.

use crate::probe_counts::{ProbeId, ProbeResult};
use cluster::metrics::Exposition;

const TOTAL: &str = "prober_probe_total";

pub fn page(counts: &[(ProbeId, ProbeResult, u64)]) -> String {
    let mut out = Exposition::default();
    let help =
        "[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.";
    out.metric(TOTAL, "counter", help);
    for (id, result, count) in counts {
        let result = match result {
            ProbeResult::Successful => "successful",
            ProbeResult::Failed => "failed",
            ProbeResult::Unknown => "unknown",
        };
        let kind = id.kind.to_string();
        let labels = [
            ("container", id.container.as_str()),
            ("namespace", &id.namespace),
            ("pod", &id.pod),
            ("pod_uid", &id.uid),
            ("probe_type", &kind),
            ("result", result),
        ];
        out.value(TOTAL, &labels, count, None);
    }
    out.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe_counts::ProbeCounts;
    use crate::probes::ProbeKind;

    #[test]
    fn probes_are_counted_until_their_pod_is_gone() {
        let id = |uid: &str| ProbeId {
            namespace: "shop".into(),
            pod: "web".into(),
            uid: uid.into(),
            container: "c".into(),
            kind: ProbeKind::Liveness,
        };
        let counts = ProbeCounts::default();
        counts.count(id("u1"), ProbeResult::Failed);
        counts.count(id("u1"), ProbeResult::Failed);
        counts.count(id("u2"), ProbeResult::Successful);
        counts.forget("u2");
        let text = page(&counts.all());
        let line = "prober_probe_total{container=\"c\",namespace=\"shop\",pod=\"web\",pod_uid=\"u1\",probe_type=\"Liveness\",result=\"failed\"} 2\n";
        assert!(text.ends_with(line) && text.lines().count() == 3, "{text}");
    }
}
