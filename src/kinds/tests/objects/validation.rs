//! Objects that upstream refuses, and what it says of them; objects of the wild that it accepts.

use crate::common::{check, created, faults, golden, pod, table, version};
use k8s_openapi::api::core::v1::Namespace;
use kinds::Subresource;
use serde_json::{Value, json};

#[test]
fn what_upstream_refuses_is_refused_in_its_words() {
    let registry = kinds::all();
    golden("invalid.jsonl", "says", |case| {
        let version = version(&registry, &case["object"]);
        faults(&version, &*created(&version, &case["object"])).into()
    });
    for case in table("invalid.jsonl").1 {
        assert_ne!(case["says"], json!([]), "{}", case["name"]);
    }
}

#[test]
fn what_people_write_is_accepted() {
    let registry = kinds::all();
    for case in table("valid.jsonl").1 {
        let version = version(&registry, &case["object"]);
        let said = faults(&version, &*created(&version, &case["object"]));
        assert_eq!(said, [""; 0], "{}", case["name"]);
    }
}

#[test]
fn templates_are_the_same_that_make_the_same_pods() {
    let template = |spec: Value| serde_json::from_value(json!({"spec": spec})).unwrap();
    let one = template(
        json!({"containers": [{"name": "c", "image": "x", "resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}}}]}),
    );
    for (name, other, want) in [
        (
            "amounts in other words",
            json!({"containers": [{"name": "c", "image": "x", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}]}),
            true,
        ),
        (
            "with a default",
            json!({"dnsPolicy": "ClusterFirst", "hostPID": false, "volumes": [], "containers": [{"name": "c", "image": "x", "tty": false, "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}]}),
            true,
        ),
        (
            "with what is not stored any more",
            json!({"securityContext": {"sysctls": []}, "containers": [{"name": "c", "image": "x", "resources": {"claims": [], "limits": {"cpu": "500m", "memory": "1Gi"}}}]}),
            true,
        ),
        (
            "another amount",
            json!({"containers": [{"name": "c", "image": "x", "resources": {"limits": {"cpu": "501m", "memory": "1Gi"}}}]}),
            false,
        ),
        (
            "a zero that means something",
            json!({"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "x", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}]}),
            false,
        ),
    ] {
        assert_eq!(kinds::builtin::same_template(&one, &template(other)), want, "{name}");
    }
}

#[test]
fn only_finalize_changes_the_finalizers_of_a_namespace() {
    let registry = kinds::all();
    let namespace = |finalizers: &[&str], deleted: bool| {
        let deleted = deleted.then_some("2026-01-01T00:00:00Z");
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "spec": {"finalizers": finalizers},
            "metadata": {"name": "a", "deletionTimestamp": deleted}});
        (version(&registry, &object), object)
    };
    let (old, new) = (["kubernetes"], ["kubernetes", "example.com/held"]);
    for (name, deleted, finalize, want) in [
        ("an update", false, false, &old[..]),
        ("an update of one that goes", true, false, &old[..]),
        ("finalize", false, true, &new[..]),
        ("finalize of one that goes", true, true, &new[..]),
    ] {
        let ((version, before), (_, after)) = (namespace(&old, deleted), namespace(&new, deleted));
        let before = crate::common::defaulted(&version, &before);
        let mut after = crate::common::defaulted(&version, &after);
        match finalize {
            true => after.prepare_subresource_update(Subresource::Finalize, &*before),
            false => after.prepare_update(&*before),
        }
        let after: &Namespace = after.downcast_ref().unwrap();
        assert_eq!(after.spec.as_ref().unwrap().finalizers.as_deref().unwrap(), want, "{name}");
    }
}

#[test]
fn volumes_claims_and_classes_are_printed_as_kubectl_shows_them() {
    let registry = kinds::all();
    let row = |object: Value| -> String {
        let version = version(&registry, &object);
        let made = crate::common::defaulted(&version, &object);
        let cells = made.row(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(cells.len(), version.columns().len());
        cells
            .iter()
            .map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join("|")
    };
    let at = "1970-01-01T00:00:00Z";
    let rows = [
        row(
            json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "v", "creationTimestamp": at}, "spec": {
            "capacity": {"storage": "1024Mi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"], "hostPath": {"path": "/data"},
            "claimRef": {"namespace": "d", "name": "c"}, "storageClassName": "fast"}, "status": {"phase": "Bound"}}),
        ),
        row(
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c", "creationTimestamp": at}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
        ),
        row(
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c", "creationTimestamp": at, "deletionTimestamp": at},
            "spec": {"accessModes": ["ReadWriteOnce"], "volumeName": "v", "storageClassName": "fast"},
            "status": {"phase": "Bound", "accessModes": ["ReadWriteOnce", "ReadOnlyMany"], "capacity": {"storage": "2Gi"}}}),
        ),
        row(
            json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "s", "creationTimestamp": at,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "p"}),
        ),
    ];
    assert_eq!(
        rows,
        [
            "v|1Gi|RWO,RWX|Retain|Bound|d/c|fast|<unset>||0s|Filesystem",
            "c|Pending|||||<unset>|0s|Filesystem",
            "c|Terminating|v|2Gi|RWO,ROX|fast|<unset>|0s|Filesystem",
            "s (default)|p|Delete|Immediate|false|0s",
        ]
    );
}

#[test]
fn faults_of_a_pod_are_told_in_upstreams_order() {
    let bad = json!({
        "volumes": [{"name": "A"}], "restartPolicy": "Now", "dnsPolicy": "Now", "nodeSelector": {"a b": ""},
        "readinessGates": [{"conditionType": "a b"}], "schedulingGates": [{"name": "a b"}], "serviceAccountName": "A b",
        "activeDeadlineSeconds": 0, "hostname": "A b", "tolerations": [{"key": "a b", "operator": "Exists"}],
        "hostAliases": [{"ip": "x"}], "priorityClassName": "A b", "runtimeClassName": "A b", "preemptionPolicy": "Now",
        "os": {"name": "plan9"}, "containers": [{"name": "A", "image": "x"}],
    });
    let (registry, bad) = (kinds::all(), pod(&bad));
    let version = version(&registry, &bad);
    let said = faults(&version, &*created(&version, &bad));
    let want = [
        "volumes",
        "containers",
        "restartPolicy",
        "dnsPolicy",
        "nodeSelector",
        "readinessGates",
        "schedulingGates",
        "serviceAccountName",
        "activeDeadlineSeconds",
        "hostname",
        "tolerations",
        "hostAliases",
        "priorityClassName",
        "runtimeClassName",
        "preemptionPolicy",
        "os",
    ];
    let is_of = |text: &str, field: &str| {
        let rest = text.strip_prefix("spec.").and_then(|rest| rest.strip_prefix(field));
        rest.is_some_and(|rest| rest.starts_with(['.', ':', '[']))
    };
    let places: Vec<Option<usize>> =
        want.into_iter().map(|field| said.iter().position(|text| is_of(text, field))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} {said:#?}");
}

/// Upstream takes these numbers too; nothing may add them up blindly.
#[test]
fn numbers_beyond_all_measure() {
    let most = i64::MAX;
    let registry = kinds::all();
    for (name, spec, want) in [
        ("a grace period of ages", json!({"terminationGracePeriodSeconds": most}), ""),
        ("a negative grace period", json!({"terminationGracePeriodSeconds": -1}), ""),
        (
            "a toleration of ages",
            json!({"tolerations": [{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": most}]}),
            "",
        ),
        (
            "a probe of ages",
            json!({"containers": [{"name": "c", "image": "x", "livenessProbe":
            {"exec": {"command": ["a"]}, "periodSeconds": i32::MAX, "failureThreshold": i32::MAX, "initialDelaySeconds": i32::MAX, "terminationGracePeriodSeconds": most}}]}),
            "",
        ),
        (
            "a deadline of ages",
            json!({"activeDeadlineSeconds": most}),
            "spec.activeDeadlineSeconds: Invalid value",
        ),
        (
            "a user of ages",
            json!({"securityContext": {"runAsUser": most}}),
            "spec.securityContext.runAsUser: Invalid value",
        ),
        (
            "memory of ages",
            json!({"containers": [{"name": "c", "image": "x", "resources": {"limits": {"memory": "9223372036854775807", "cpu": "9223372036854775807"}}}]}),
            "",
        ),
    ] {
        let object = pod(&spec);
        let version = version(&registry, &object);
        check(name, &faults(&version, &*created(&version, &object)), want);
    }
}
