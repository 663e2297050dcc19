//! What a status may say, whatever the rest of its object does. More of a pod's: `pod_status.rs`.

use crate::common::{check, merge, pod, service, status_update};
use serde_json::{Value, json};

#[test]
fn a_status_is_judged_by_itself() {
    let counts = json!({"status": {"replicas": 1, "readyReplicas": 2}});
    let template =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}});
    let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "a"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}});
    let of = |kind: &str, status: Value| {
        let mut set = set.clone();
        merge(&mut set, &json!({"kind": kind, "status": status}));
        set
    };
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
    let daemons = json!({"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0,
        "numberReady": 0, "collisionCount": 2});
    let balancer = |ip: &str| json!({"status": {"loadBalancer": {"ingress": [{"ip": ip}]}}});
    let of_class = |class: &str| {
        let mut it = pod(&json!({}));
        merge(&mut it, &json!({"status": {"qosClass": class}}));
        it
    };
    let claim = || {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})
    };
    let grows = |what: &str, how: &str, to: &str| json!({"status": {"allocatedResourceStatuses": {what: how}, "allocatedResources": {what: to}}});
    let cases = [
        // stored before the rules were as strict as they are
        (
            "of a pod that would be refused today",
            pod(&json!({"dnsPolicy": "Bogus"})),
            json!({"status": {"phase": "Running"}}),
            "",
        ),
        (
            "a pod's condition with a space",
            pod(&json!({})),
            json!({"status": {"conditions": [{"type": "a b", "status": "True"}]}}),
            "status.conditions[0].Type: Invalid value",
        ),
        (
            "a pod's address that is none",
            pod(&json!({})),
            json!({"status": {"podIPs": [{"ip": "x"}]}}),
            "status.podIPs[0]: Invalid value",
        ),
        (
            "a pod of another class",
            of_class("Burstable"),
            json!({"status": {"qosClass": "Guaranteed"}}),
            "status.qosClass: Invalid value: \"Guaranteed\": field is immutable",
        ),
        (
            "a pod of a class that nobody repeats",
            of_class("Burstable"),
            json!({"status": {"qosClass": null}}),
            "",
        ),
        ("a pod that gets a class", pod(&json!({})), json!({"status": {"qosClass": "Burstable"}}), ""),
        ("a claim that grows", claim(), grows("storage", "NodeResizePending", "2Gi"), ""),
        ("a claim of a driver's own", claim(), grows("example.com/iops", "NodeResizePending", "2"), ""),
        (
            "a claim of something else",
            claim(),
            grows("memory", "NodeResizePending", "2Gi"),
            "status.allocatedResourceStatus: Unsupported value: \"memory\": supported values: \"storage\"",
        ),
        (
            "a claim that does what no claim does",
            claim(),
            grows("storage", "Sleeping", "2Gi"),
            "status.allocatedResourceStatus: Unsupported value: \"storage\": supported values: \"ControllerResizeInProgress\"",
        ),
        (
            "a claim of less than nothing",
            claim(),
            grows("storage", "NodeResizePending", "-1"),
            "status.allocatedResources[storage]: Invalid value: \"-1\": must be greater than or equal to 0",
        ),
        (
            "more ready than there are",
            set.clone(),
            counts.clone(),
            "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas",
        ),
        (
            "fewer than none that end",
            set.clone(),
            json!({"status": {"replicas": 1, "terminatingReplicas": -1}}),
            "status.terminatingReplicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            "a deployment: fewer than none that end",
            of("Deployment", json!({"replicas": 1})),
            json!({"status": {"terminatingReplicas": -1}}),
            "status.terminatingReplicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            "a stateful set: more ready than there are",
            of("StatefulSet", json!({"replicas": 0})),
            counts,
            "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas",
        ),
        (
            "a stateful set: more available than ready",
            of("StatefulSet", json!({"replicas": 0})),
            json!({"status": {"replicas": 2, "readyReplicas": 1, "availableReplicas": 2}}),
            "status.availableReplicas: Invalid value: 2: cannot be greater than status.readyReplicas",
        ),
        (
            "a stateful set: names that are free again",
            of("StatefulSet", json!({"replicas": 0, "collisionCount": 2})),
            json!({"status": {"collisionCount": 1}}),
            "status.collisionCount: Invalid value: 1: cannot be decremented",
        ),
        (
            "a daemon set: fewer than none",
            of("DaemonSet", daemons.clone()),
            json!({"status": {"numberAvailable": -1}}),
            "status.numberAvailable: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            "a daemon set: names that are free again",
            of("DaemonSet", daemons),
            json!({"status": {"collisionCount": null}}),
            "status.collisionCount: Invalid value: 0: cannot be decremented",
        ),
        (
            "a deployment: names that are free again",
            of("Deployment", json!({"collisionCount": 2})),
            json!({"status": {"collisionCount": 1}}),
            "status.collisionCount: Invalid value: 1: cannot be decremented",
        ),
        (
            "a namespace that ends before it is deleted",
            namespace,
            json!({"status": {"phase": "Terminating"}}),
            "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty",
        ),
        ("a balancer's address", service(&json!({"type": "LoadBalancer"})), balancer("192.0.2.1"), ""),
        (
            "a balancer's address that is none",
            service(&json!({"type": "LoadBalancer"})),
            balancer("x"),
            "status.loadBalancer.ingress[0].ip: Invalid value",
        ),
        (
            "a balancer without a balancer",
            service(&json!({})),
            balancer("192.0.2.1"),
            "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'",
        ),
    ];
    for (name, old, patch, want) in cases {
        check(name, &status_update(&old, &patch), want);
    }
}
