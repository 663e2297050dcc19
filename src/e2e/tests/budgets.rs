//! Who may be disrupted, and how much a namespace may use: PodDisruptionBudgets, ResourceQuotas and LimitRanges.

mod common;

use common::appliance;

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: busybox:1, imagePullPolicy: Never, command: [sleep, '3600']}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {maxUnavailable: 0, selector: {matchLabels: {app: web}}}
";

#[test]
fn a_node_is_drained_when_the_budget_allows_it() {
    let Some(at) = appliance("drain") else { return };
    at.load_busybox();
    at.kubectl_with(&["apply"], WEB).ok("apply");
    at.kubectl(&["rollout", "status", "deploy/web", "--timeout=60s"]).ok("rollout");
    let status = "jsonpath={.status.currentHealthy}/{.status.desiredHealthy}/{.status.expectedPods}/{.status.disruptionsAllowed}";
    at.until(&["get", "pdb", "web", "-o", status], "2/2/2/0");
    let shown = at.kubectl(&["get", "pdb", "web"]).ok("columns");
    assert!(shown.contains("ALLOWED DISRUPTIONS") && shown.contains("N/A"), "{shown}");
    let drain =
        ["drain", "e2e-drain", "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=10s"];
    let refused = at.kubectl(&drain).refused("a drain against the budget");
    assert!(
        refused.contains("Cannot evict pod as it would violate the pod's disruption budget."),
        "{refused}"
    );
    let running = ["get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].status.phase}"];
    assert_eq!(at.kubectl(&running).ok("both stay"), "Running Running");
    at.kubectl(&["patch", "pdb", "web", "-p", "{\"spec\":{\"maxUnavailable\":2}}"]).ok("allow");
    at.until(&["get", "pdb", "web", "-o", status], "2/0/2/2");
    at.kubectl(&[&drain[..5], &["--timeout=60s"]].concat()).ok("drain");
    // the new ones find no node that takes them
    at.until(&running, "Pending Pending");
    at.kubectl(&["uncordon", "e2e-drain"]).ok("uncordon");
    at.kubectl(&["rollout", "status", "deploy/web", "--timeout=60s"]).ok("rollout again");
    at.monopod(&["delete"]).ok("delete");
    at.nothing_is_left();
}

fn pod(name: &str, resources: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{containers: [{{name: c, image: i, resources: {resources}}}]}}}}"
    )
}

const QUOTA: &str = "
apiVersion: v1
kind: ResourceQuota
metadata: {name: compute}
spec: {hard: {requests.cpu: '1', limits.memory: 1Gi, pods: '3', count/configmaps: '3', services.nodeports: '1'}}
";

const RANGE: &str = "
apiVersion: v1
kind: LimitRange
metadata: {name: range}
spec:
  limits:
  - {type: Container, default: {memory: 128Mi}, defaultRequest: {cpu: 100m}, max: {memory: 512Mi}}
";

#[test]
fn a_namespace_uses_no_more_than_its_quota() {
    let Some(at) = appliance("quota") else { return };
    at.until_some(&["get", "configmap", "kube-root-ca.crt", "-o", "name"]);
    at.kubectl_with(&["create"], QUOTA).ok("quota");
    at.until(&["get", "quota", "compute", "-o", "jsonpath={.status.used.count/configmaps}"], "1");
    let unsaid = at.kubectl_with(&["create"], &pod("a", "{}")).refused("nothing said");
    let want = "pods \"a\" is forbidden: failed quota: compute: must specify limits.memory for: c; requests.cpu for: c";
    assert!(unsaid.contains(want), "{unsaid}");
    let much = "{requests: {cpu: 700m}, limits: {memory: 256Mi}}";
    at.kubectl_with(&["create"], &pod("a", much)).ok("the first");
    let more = at.kubectl_with(&["create"], &pod("b", much)).refused("more than there is");
    let want = "pods \"b\" is forbidden: exceeded quota: compute, requested: requests.cpu=700m, used: requests.cpu=700m, limited: requests.cpu=1";
    assert!(more.contains(want), "{more}");
    at.until(
        &[
            "get",
            "quota",
            "compute",
            "-o",
            "jsonpath={.status.used.requests\\.cpu} {.status.used.limits\\.memory}",
        ],
        "700m 256Mi",
    );
    // what is left out is filled in, and then it fits
    at.kubectl_with(&["create"], RANGE).ok("range");
    at.kubectl_with(&["create"], &pod("b", "{}")).ok("filled in");
    let filled = ["get", "pod", "b", "-o", "jsonpath={.spec.containers[0].resources}"];
    assert_eq!(
        at.kubectl(&filled).ok("filled"),
        // a default limit is the default request too, as upstream fills a LimitRange in
        "{\"limits\":{\"memory\":\"128Mi\"},\"requests\":{\"cpu\":\"100m\",\"memory\":\"128Mi\"}}"
    );
    let large = at.kubectl_with(&["create"], &pod("d", "{limits: {memory: 1Gi}}")).refused("too large");
    assert!(large.contains("maximum memory usage per Container is 512Mi, but limit is 1Gi"), "{large}");
    // services by their ports, and others by number; all at once no more fit than one by one
    at.kubectl(&["create", "service", "nodeport", "one", "--tcp=80"]).ok("a node port");
    let two = at.kubectl(&["create", "service", "nodeport", "two", "--tcp=80"]).refused("another");
    assert!(
        two.contains("exceeded quota: compute, requested: services.nodeports=1, used: services.nodeports=1"),
        "{two}"
    );
    let kubectl = at.kubectl_path();
    let many =
        format!("for i in 1 2 3 4 5 6; do {kubectl} create configmap m$i >/dev/null 2>&1 & done; wait");
    at.shell(&many).ok("many at once");
    let maps = at.kubectl(&["get", "configmaps", "-o", "name"]).ok("config maps");
    assert_eq!(maps.lines().count(), 3, "{maps}");
    at.kubectl(&["delete", "pod", "a", "--force", "--grace-period=0"]).ok("delete");
    at.until(&["get", "quota", "compute", "-o", "jsonpath={.status.used.requests\\.cpu}"], "100m");
    let shown = at.kubectl(&["get", "quota"]).ok("columns");
    assert!(shown.contains("requests.cpu: 100m/1") && shown.contains("limits.memory: 128Mi/1Gi"), "{shown}");
    at.monopod(&["delete"]).ok("delete");
    at.nothing_is_left();
}
