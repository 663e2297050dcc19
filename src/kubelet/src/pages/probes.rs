//! `/metrics/probes`: how often each probe of each container came out how, and how long it took.

use crate::probe_counts::{ProbeCounts, ProbeResult};
use cluster::metrics::Exposition;

const TOTAL: &str = "prober_probe_total";
const DURATION: &str = "prober_probe_duration_seconds";

pub fn page(counts: &ProbeCounts) -> String {
    let mut out = Exposition::default();
    let help =
        "[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.";
    out.metric(TOTAL, "counter", help);
    for (id, result, count) in counts.all() {
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
    out.metric(DURATION, "histogram", "[ALPHA] Duration in seconds for a probe response.");
    counts.each_time(|id, times| {
        let kind = id.kind.to_string();
        let labels = [
            ("container", id.container.as_str()),
            ("namespace", &id.namespace),
            ("pod", &id.pod),
            ("probe_type", &kind),
        ];
        out.histogram(DURATION, &labels, times);
    });
    out.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::ProbeKind;
    use crate::probe_counts::ProbeId;
    use std::time::Duration;

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
        counts.count(id("u1"), ProbeResult::Failed, Duration::from_millis(20));
        counts.count(id("u1"), ProbeResult::Failed, Duration::from_secs(3));
        counts.count(id("u2"), ProbeResult::Successful, Duration::ZERO);
        counts.forget("u2");
        let text = page(&counts);
        let line = "prober_probe_total{container=\"c\",namespace=\"shop\",pod=\"web\",pod_uid=\"u1\",probe_type=\"Liveness\",result=\"failed\"} 2\n";
        let told = |of: &str| text.lines().filter(|line| line.starts_with(of)).count();
        assert!(text.contains(line) && told(TOTAL) == 1, "{text}");
        let of = "container=\"c\",namespace=\"shop\",pod=\"web\",probe_type=\"Liveness\"";
        for (le, count) in [("0.01", 0), ("0.025", 1), ("5", 2)] {
            let line = format!("{DURATION}_bucket{{{of},le=\"{le}\"}} {count}\n");
            assert!(text.contains(&line), "no {line} in {text}");
        }
        assert_eq!(told(&format!("{DURATION}_count")), 1, "{text}");
    }
}
