//! HorizontalPodAutoscalers, under load.

mod common;

use common::appliance;
use common::https::{relay, serve};

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
    let events = ["get", "events", "-o", "jsonpath={.items[?(@.reason==\"SuccessfulRescale\")].message}"];
    let why = "New size: 3; reason: cpu resource utilization (percentage of request) above target";
    at.until_told(&events, why);
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

/// An adapter: requests of each pod, of the Service, and the length of a queue that is nowhere in the cluster.
const ADAPTER: &str = r#"
class Handler(Json):
    def do_GET(self):
        path = self.path.split("?")[0]
        custom = "/apis/custom.metrics.k8s.io/v1beta2"
        external = "/apis/external.metrics.k8s.io/v1beta1"
        now = "2026-01-01T00:00:00Z"
        if path in (custom, external):
            self.answer({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": path[6:], "resources": []})
        elif path == custom + "/namespaces/default/services/web/requests":
            self.answer({"kind": "MetricValueList", "apiVersion": "custom.metrics.k8s.io/v1beta2", "metadata": {}, "items": [
                {"describedObject": {"kind": "Service", "name": "web"}, "metric": {"name": "requests"}, "timestamp": now, "value": "500m"}]})
        elif path == external + "/namespaces/default/queue_length" and "labelSelector=queue%3Dmail" in self.path:
            self.answer({"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": {}, "items": [
                {"metricName": "queue_length", "metricLabels": {}, "timestamp": now, "value": v} for v in ("20", "10")]})
        else:
            self.answer({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no such metric", "code": 404}, 404)
"#;

fn autoscaler(name: &str, metric: &str) -> String {
    format!(
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: {name}}}\nspec:\n\
         \x20 scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}\n  maxReplicas: 3\n  metrics:\n  - {metric}\n"
    )
}

#[test]
fn a_deployment_is_scaled_by_what_an_adapter_says() {
    let Some(at) = appliance("hpa-adapter") else { return };
    let (server, bundle) = serve(&at, ADAPTER, 9558, &["adapter.default.svc"], &[]);
    at.load_busybox();
    at.kubectl_with(&["apply"], &relay("default", "adapter", 9558)).ok("the adapter");
    let deployment = LOAD
        .replace("name: load", "name: web")
        .replace("app: load", "app: web")
        .replace("while :; do :; done", "sleep 1000");
    at.kubectl_with(&["apply"], &deployment).ok("deployment");
    let external = "type: External\n    external: {metric: {name: queue_length, selector: {matchLabels: {queue: mail}}}, target: {type: AverageValue, averageValue: 10}}";
    at.kubectl_with(&["apply"], &autoscaler("queue", external)).ok("by a queue");
    let reason = "jsonpath={.status.conditions[?(@.type==\"ScalingActive\")].reason}";
    at.until(&["get", "hpa", "queue", "-o", reason], "FailedGetExternalMetric");
    for (group, version) in [("custom", "v1beta2"), ("external", "v1beta1")] {
        let group = format!("{group}.metrics.k8s.io");
        let service = format!(
            "apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {{name: {version}.{group}}}\nspec:\n\
             \x20 group: {group}\n  version: {version}\n  groupPriorityMinimum: 100\n  versionPriority: 100\n\
             \x20 service: {{namespace: default, name: adapter}}\n  caBundle: {bundle}\n"
        );
        at.kubectl_with(&["apply"], &service).ok("the APIService");
        let available = format!("apiservice/{version}.{group}");
        at.kubectl(&["wait", "--for=condition=Available", &available, "--timeout=60s"]).ok("it answers");
    }
    // 30 in the queue, ten for each pod; the next look is fifteen seconds after the last
    at.until(&["get", "deploy", "web", "-o", "jsonpath={.spec.replicas}"], "3");
    at.until(
        &["get", "hpa", "queue", "-o", "jsonpath={.status.currentMetrics[0].external.current.averageValue}"],
        "10",
    );
    at.kubectl(&["delete", "hpa", "queue"]).ok("delete");
    let object = "type: Object\n    object: {metric: {name: requests}, describedObject: {apiVersion: v1, kind: Service, name: web}, target: {type: Value, value: 2}}";
    let fast = autoscaler("requests", object) + "  behavior: {scaleDown: {stabilizationWindowSeconds: 0}}\n";
    at.kubectl_with(&["apply"], &fast).ok("by an object");
    at.until(&["get", "deploy", "web", "-o", "jsonpath={.spec.replicas}"], "1");
    drop(server);
}
