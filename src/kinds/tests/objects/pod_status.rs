//! What a pod's status may become.

use crate::common::{self, check, merge, pod, status_update, version};
use kinds::{FieldValidation, Instance};
use serde_json::{Value, json};

/// With a status, of a container `c`.
fn told(spec: Value, status: Value) -> Value {
    let mut it = pod(&spec);
    merge(&mut it, &json!({"status": status}));
    it
}

fn of(list: &str, more: Value) -> Value {
    let mut status = json!({"name": "c", "image": "x", "imageID": "", "ready": false, "restartCount": 0});
    merge(&mut status, &more);
    json!({list: [status]})
}

fn state(list: &str, state: Value) -> Value {
    of(list, json!({"state": state}))
}

#[test]
fn a_container_that_has_ended_runs_again_where_something_starts_it() {
    let ended = |code: i32| json!({"terminated": {"exitCode": code}});
    let runs = || json!({"running": {}});
    let policy = |policy: &str| json!({"restartPolicy": policy});
    let main = "containerStatuses";
    let refused = |list: &str| {
        format!("status.{list}[0].state: Forbidden: may not be transitioned to non-terminated state")
    };
    let looker = json!({"restartPolicy": "Always", "ephemeralContainers": [{"name": "c2", "image": "x"}]});
    for (name, spec, list, from, to, is_refused) in [
        ("always", policy("Always"), main, ended(1), runs(), false),
        ("on failure", policy("OnFailure"), main, ended(1), runs(), false),
        ("on failure, a success", policy("OnFailure"), main, ended(0), runs(), true),
        ("never", policy("Never"), main, ended(1), runs(), true),
        ("never, waiting", policy("Never"), main, ended(1), json!({"waiting": {}}), true),
        ("never, another end", policy("Never"), main, ended(1), ended(2), false),
        ("never, for the first time", policy("Never"), main, json!({"waiting": {}}), runs(), false),
        ("who is not in the pod", policy("Always"), "initContainerStatuses", ended(1), runs(), true),
        ("who looks into it", looker, "ephemeralContainerStatuses", ended(1), runs(), true),
    ] {
        let said = status_update(&told(spec, state(list, from)), &json!({"status": state(list, to)}));
        check(name, &said, &if is_refused { refused(list) } else { String::new() });
    }
}

#[test]
fn a_status_says_what_the_pod_has() {
    let claims = json!({"resourceClaims": [{"name": "gpu", "resourceClaimName": "g"}]});
    let resources =
        |resources: Value| json!({"containers": [{"name": "c", "image": "x", "resources": resources}]});
    let devices =
        resources(json!({"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "1"}}));
    let claimed = resources(json!({"claims": [{"name": "gpu", "request": "one"}]}));
    let health = |name: &str, health: &str, id: &str| {
        let entry = json!({"resourceID": id, "health": health});
        of(
            "containerStatuses",
            json!({"allocatedResourcesStatus": [{"name": name, "resources": [{"resourceID": "a", "health": "Healthy"}, entry]}]}),
        )
    };
    let user = |uid: i64| of("containerStatuses", json!({"user": {"linux": {"uid": uid, "gid": 0}}}));
    let image = |reference: &str| {
        of(
            "containerStatuses",
            json!({"volumeMounts": [{"name": "v", "mountPath": "/v", "volumeStatus": {"image": {"imageRef": reference}}}]}),
        )
    };
    let extended = |container: &str, resource: &str| {
        json!({"extendedResourceClaimStatus": {"resourceClaimName": "a",
            "requestMappings": [{"containerName": container, "resourceName": resource, "requestName": "r"}]}})
    };
    let bound = json!({"nodeName": "n"});
    let none = || json!({});
    let allocated = "status.containerStatuses[0].allocatedResourcesStatus[0]";
    let cases = [
        ("a generation", none(), json!({"observedGeneration": 3}), String::new()),
        (
            "less than no generation",
            none(),
            json!({"observedGeneration": -1}),
            "status.observedGeneration: Invalid value: -1: must be a non-negative integer".into(),
        ),
        (
            "a condition of less than no generation",
            none(),
            json!({"conditions": [{"type": "Ready", "status": "True", "observedGeneration": -1}]}),
            "status.conditions[0].observedGeneration: Invalid value: -1: must be a non-negative integer".into(),
        ),
        ("a node to come", none(), json!({"nominatedNodeName": "n"}), String::new()),
        (
            "a node to come of one that has one",
            bound,
            json!({"nominatedNodeName": "m"}),
            "status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a node".into(),
        ),
        ("an address in the older field", none(), json!({"podIP": "x"}), "status.podIPs[0]: Invalid value: \"x\"".into()),
        (
            "another node's address",
            none(),
            json!({"hostIP": "192.0.2.1", "hostIPs": [{"ip": "192.0.2.2"}]}),
            "status.hostIPs[0].ip: Invalid value: \"192.0.2.2\": must be equal to `hostIP`".into(),
        ),
        ("a claim", claims.clone(), json!({"resourceClaimStatuses": [{"name": "gpu", "resourceClaimName": "g-1"}]}), String::new()),
        (
            "another claim",
            claims.clone(),
            json!({"resourceClaimStatuses": [{"name": "tpu"}]}),
            "status.resourceClaimStatuses[0].name: Invalid value: \"tpu\": must match the name of an entry in `spec.resourceClaims`".into(),
        ),
        (
            "a claim of no name",
            claims,
            json!({"resourceClaimStatuses": [{"name": "gpu", "resourceClaimName": "G"}]}),
            "status.resourceClaimStatuses[0].name: Invalid value: \"G\"".into(),
        ),
        ("a device", devices.clone(), health("example.com/gpu", "Unhealthy", "b"), String::new()),
        (
            "another device",
            devices.clone(),
            health("example.com/tpu", "Unhealthy", "b"),
            format!("{allocated}.name: Invalid value: \"example.com/tpu\": must match one of the container's resource requests"),
        ),
        (
            "a device twice",
            devices.clone(),
            health("example.com/gpu", "Unhealthy", "a"),
            format!("{allocated}.resources[1].resourceID: Duplicate value: \"a\""),
        ),
        (
            "a device that feels otherwise",
            devices.clone(),
            health("example.com/gpu", "Tired", "b"),
            format!("{allocated}.resources[1].health: Unsupported value: \"Tired\": supported values: \"Healthy\", \"Unhealthy\", \"Unknown\""),
        ),
        ("a claimed device", claimed.clone(), health("claim:gpu/one", "Unknown", "b"), String::new()),
        (
            "another request",
            claimed,
            health("claim:gpu", "Unknown", "b"),
            format!("{allocated}.name: Invalid value: \"claim:gpu\": must match one of the container's resource claims in a format"),
        ),
        ("an extended resource", devices.clone(), extended("c", "example.com/gpu"), String::new()),
        (
            "an extended resource of another container",
            devices.clone(),
            extended("d", "example.com/gpu"),
            "status.extendedResourceClaimStatus.requestMappings[0].containerName: Invalid value: \"d\"".into(),
        ),
        (
            "another extended resource",
            devices,
            extended("c", "example.com/tpu"),
            "status.extendedResourceClaimStatus.requestMappings[0].resourceName: Invalid value: \"example.com/tpu\"".into(),
        ),
        ("a user", none(), user(1000), String::new()),
        (
            "nobody",
            none(),
            user(-1),
            "status.containerStatuses[0].user.linux.uid: Invalid value: -1: must be between 0 and 2147483647, inclusive".into(),
        ),
        (
            "a user of Windows",
            json!({"os": {"name": "windows"}}),
            user(1000),
            "status.containerStatuses[0].user.linux: Forbidden: cannot be set for a windows pod".into(),
        ),
        ("an image", none(), image("sha256:1"), String::new()),
        (
            "no image",
            none(),
            image(""),
            "status.containerStatuses[0].volumeMounts[0].volumeStatus.imageVolumeStatus.imageRef: Required value: imageRef must not be empty".into(),
        ),
        (
            "too long an image",
            none(),
            image(&"x".repeat(257)),
            "volumeStatus.imageVolumeStatus.imageRef: Too long: may not be more than 256 bytes".into(),
        ),
    ];
    for (name, spec, status, want) in cases {
        check(name, &status_update(&pod(&spec), &json!({"status": status})), &want);
    }
    let marks = json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}});
    let said = status_update(&pod(&none()), &marks);
    check(
        "a mark beside it",
        &said,
        "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not add",
    );
}

#[test]
fn who_looks_into_a_static_pod_finds_nothing_to_add_to() {
    let registry = kinds::all();
    let added = pod(&json!({"ephemeralContainers": [{"name": "e", "image": "x"}]}));
    let version = version(&registry, &added);
    for (name, notes, want) in [
        ("another", json!({}), ""),
        (
            "static",
            json!({"annotations": {"kubernetes.io/config.mirror": "x"}}),
            "<nil>: Forbidden: static pods do not support ephemeral containers",
        ),
    ] {
        let made = |object: &Value| {
            let mut object = object.clone();
            merge(&mut object, &json!({"metadata": notes}));
            common::defaulted(&version, &object)
        };
        let mut errors = kinds::ErrorList::default();
        let (new, old) = (made(&added), made(&pod(&json!({}))));
        new.validate_subresource_update(kinds::Subresource::EphemeralContainers, &*old, &mut errors);
        check(name, &common::told(errors), want);
    }
}

#[test]
fn an_address_stands_twice() {
    let registry = kinds::all();
    let old = pod(&json!({}));
    let version = version(&registry, &old);
    let decoded = |object: &Value| -> Box<dyn Instance> {
        version.decode(object.to_string().as_bytes(), FieldValidation::Strict).unwrap().instance
    };
    let all = |ips: &[&str]| json!(ips.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>());
    for (name, status, ip, ips) in [
        ("the older field", json!({"podIP": "10.0.0.1"}), "10.0.0.1", vec!["10.0.0.1"]),
        (
            "the newer one",
            json!({"podIPs": all(&["10.0.0.1", "fd00::1"])}),
            "10.0.0.1",
            vec!["10.0.0.1", "fd00::1"],
        ),
        (
            "both",
            json!({"podIP": "10.0.0.1", "podIPs": all(&["10.0.0.1", "fd00::1"])}),
            "10.0.0.1",
            vec!["10.0.0.1", "fd00::1"],
        ),
        (
            "they differ",
            json!({"podIP": "10.0.0.2", "podIPs": all(&["10.0.0.1", "fd00::1"])}),
            "10.0.0.2",
            vec!["10.0.0.2"],
        ),
    ] {
        let mut new = decoded(&told(json!({}), status));
        Instance::prepare_status_update(&mut *new, &*decoded(&old));
        let got = common::json(&*new)["status"].clone();
        assert_eq!((&got["podIP"], &got["podIPs"]), (&json!(ip), &all(&ips)), "{name}");
    }
}
