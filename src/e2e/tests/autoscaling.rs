//! HorizontalPodAutoscalers, under load.

mod common;

use common::appliance;

const LOAD: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: load}
spec:
  replicas: 1
  selector: {matchLabels: {app: load}}
  template:
    metadata: {labels: {app: load}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: loop
        image: busybox:1
        imagePullPolicy: Never
        command: [sh, -c, 'while :; do :; done']
        resources: {requests: {cpu: 10m}, limits: {cpu: 100m}}
";

#[test]
fn a_deployment_grows_under_load_and_shrinks_by_its_bounds() {
    let Some(at) = appliance("hpa") else { return };
    at.load_busybox();
    at.kubectl_with(&["apply"], LOAD).ok("apply");
    at.kubectl(&["rollout", "status", "deploy/load", "--timeout=60s"]).ok("rollout");
    at.kubectl(&["autoscale", "deployment", "load", "--cpu-percent=50", "--min=1", "--max=3"])
        .ok("autoscale");
    at.until(&["get", "deploy", "load", "-o", "jsonpath={.spec.replicas}"], "3");
    let reason =
        |condition: &str| format!("jsonpath={{.status.conditions[?(@.type==\"{condition}\")].reason}}");
    at.until(&["get", "hpa", "load", "-o", &reason("ScalingActive")], "ValidMetricFound");
    at.until(&["get", "hpa", "load", "-o", &reason("ScalingLimited")], "TooManyReplicas");
    let shown = at.kubectl(&["get", "hpa", "load"]).ok("columns");
    assert!(shown.contains("Deployment/load") && shown.contains("%/50%"), "{shown}");
    let events =
        at.kubectl(&["get", "events", "-o", "jsonpath={.items[?(@.reason==\"SuccessfulRescale\")].message}"]);
    let events = events.ok("events");
    assert!(
        events.contains("New size: 3; reason: cpu resource utilization (percentage of request) above target"),
        "{events}"
    );
    // the older face shows the same, and the bound is heeded at once
    let old = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers/load";
    assert!(at.kubectl(&["get", "--raw", old]).ok("v1").contains("\"targetCPUUtilizationPercentage\":50"));
    at.kubectl(&["patch", "hpa", "load", "-p", "{\"spec\":{\"maxReplicas\":2}}"]).ok("patch");
    at.until(&["get", "deploy", "load", "-o", "jsonpath={.spec.replicas}"], "2");
    at.kubectl(&["autoscale", "deployment", "none", "--cpu-percent=50", "--max=3"])
        .refused("nothing to scale");
    at.monopod(&["delete"]).ok("delete");
    at.nothing_is_left();
}
