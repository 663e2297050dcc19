//! Objects that upstream accepts with a word of warning.

use crate::common::{defaulted, version};
use serde_json::{Value, json};

fn warnings(object: &Value) -> Vec<String> {
    let registry = kinds::all();
    let version = version(&registry, object);
    defaulted(&version, object).warnings(None)
}

#[test]
fn what_is_on_its_way_out_is_told() {
    let zone = "failure-domain.beta.kubernetes.io/zone";
    let since = r#"deprecated since v1.17; use "topology.kubernetes.io/zone" instead"#;
    let class = |key: &str| {
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "s"}, "provisioner": "p",
            "allowedTopologies": [{"matchLabelExpressions": [{"key": "a", "values": ["x"]}, {"key": key, "values": ["x"]}]}]})
    };
    let runtime = |key: &str| {
        json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "r"}, "handler": "h",
            "scheduling": {"nodeSelector": {key: "x"}}})
    };
    let volume = |key: &str, source: &str, value: Value| {
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "v"}, "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], source: value,
            "nodeAffinity": {"required": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": key, "operator": "In", "values": ["x"]}]}]}}}})
    };
    let slice = |kind: &str, address: &str| {
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "e"},
            "addressType": kind, "endpoints": [{"addresses": [address]}]})
    };
    let set = |spec: Value| {
        let mut set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s"}, "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}}});
        set["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        set
    };
    let claim = |size: &str| {
        json!({"volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}}]})
    };
    let job = |completions: i32, parallelism: i32| {
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {
            "completionMode": "Indexed", "completions": completions, "parallelism": parallelism,
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}}}})
    };
    let capacity = |key: &str| {
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIStorageCapacity", "metadata": {"name": "c", "namespace": "d"},
            "storageClassName": "s", "nodeTopology": {
                "matchExpressions": [{"key": key, "operator": "Exists"}], "matchLabels": {key: "x"}}})
    };
    let quobyte = json!({"registry": "r:1", "volume": "v"});
    let cases = [
        ("a class", class("topology.kubernetes.io/zone"), vec![]),
        (
            "a class by an old label",
            class(zone),
            vec![format!("allowedTopologies[0].matchLabelExpressions[1].key: {since}")],
        ),
        ("a runtime", runtime("topology.kubernetes.io/zone"), vec![]),
        ("a runtime by an old label", runtime(zone), vec![format!("scheduling.nodeSelector: {since}")]),
        ("a volume", volume("a", "hostPath", json!({"path": "/data"})), vec![]),
        (
            "a volume by an old label, of what is no longer made",
            volume(zone, "quobyte", quobyte),
            vec![
                format!("spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: {zone} is {since}"),
                "spec.quobyte: deprecated in v1.22, non-functional in v1.25+".to_owned(),
            ],
        ),
        ("a stateful set", set(claim("1Gi")), vec![]),
        (
            "a stateful set that keeps all its revisions",
            set(json!({"revisionHistoryLimit": -1})),
            vec![
                "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
                    .to_owned(),
            ],
        ),
        ("a job of many", job(100_001, 10_000), vec![]),
        (
            "a job of too many",
            job(100_001, 10_001),
            vec![
                "spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes \
                 might not be able to track completedIndexes when a big number of indexes fail"
                    .to_owned(),
            ],
        ),
        ("a capacity", capacity("topology.kubernetes.io/zone"), vec![]),
        (
            "a capacity by old labels",
            capacity(zone),
            vec![
                format!("nodeTopology.matchExpressions[0].key: {zone} is {since}"),
                format!("nodeTopology.matchLabels.{zone}: {since}"),
            ],
        ),
        (
            "a node's network that is an address",
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {"podCIDRs": ["10.0.0.8/24"]}}),
            vec![
                r#"spec.podCIDRs[0]: CIDR value "10.0.0.8/24" is ambiguous in this context (should be "10.0.0.0/24" or "10.0.0.8/32"?)"#
                    .to_owned(),
            ],
        ),
        ("endpoints", slice("IPv6", "2001:db8::1"), vec![]),
        (
            "endpoints by name",
            slice("FQDN", "a.example.com"),
            vec!["spec.addressType: FQDN endpoints are deprecated".to_owned()],
        ),
        (
            "endpoints in another spelling",
            slice("IPv6", "2001:DB8::1"),
            vec![
                r#"endpoints[0].addresses[0]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")"#
                    .to_owned(),
            ],
        ),
    ];
    for (name, object, want) in cases {
        assert_eq!(warnings(&object), want, "{name}");
    }
}

#[test]
fn a_pair_of_keys_that_is_none_is_told() {
    let certificate = "-----BEGIN CERTIFICATE-----\nYWI=\n-----END CERTIFICATE-----\n";
    let key = "-----BEGIN EC PRIVATE KEY-----\nYWI=\n-----END EC PRIVATE KEY-----\n";
    let secret = |kind: &str, certificate: &str, key: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "t"}, "type": kind,
            "stringData": {"tls.crt": certificate, "tls.key": key}})
    };
    let tls = "kubernetes.io/tls";
    let cases = [
        ("a pair", secret(tls, certificate, key), ""),
        ("of another type", secret("Opaque", "x", "x"), ""),
        ("nothing", secret(tls, "x", key), "tls: failed to find any PEM data in certificate input"),
        (
            "turned round",
            secret(tls, key, certificate),
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched",
        ),
        ("no key", secret(tls, certificate, ""), "tls: failed to find any PEM data in key input"),
        (
            "twice the certificate",
            secret(tls, certificate, certificate),
            "tls: found a certificate rather than a key in the PEM for the private key",
        ),
    ];
    for (name, object, want) in cases {
        assert_eq!(warnings(&object).join("; "), want, "{name}");
    }
}
