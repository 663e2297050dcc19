//! What upstream's `SetDefaults_…` fill in, kind by kind.

use crate::common::{defaulted, golden, json, version};
use kinds::FieldValidation;
use serde_json::{Value, json};

#[test]
fn what_is_left_out_is_filled_in_as_upstream_does() {
    let registry = kinds::all();
    golden("defaults.jsonl", "want", |case| {
        let version = version(&registry, &case["given"]);
        json(&*defaulted(&version, &case["given"]))
    });
}

#[test]
fn defaults_are_set_once() {
    let registry = kinds::all();
    for case in crate::common::table("defaults.jsonl").1 {
        let version = version(&registry, &case["want"]);
        assert_eq!(json(&*defaulted(&version, &case["want"])), case["want"], "{}", case["name"]);
    }
}

/// They are known, so nobody is told of them; but they do not come in.
#[test]
fn fields_of_features_that_are_off_are_dropped() {
    let pod = |volume: Value, mount: Value, responders: Option<Value>| {
        let container = json!({"name": "c", "image": "i", "volumeMounts": [mount], "lifecycle": {}});
        let mut spec = json!({"containers": [container], "volumes": [{"name": "v", "emptyDir": volume}]});
        if let Some(responders) = responders {
            spec["evictionResponders"] = responders;
        }
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})
    };
    let mount = json!({"name": "v", "mountPath": "/v"});
    let bound = json!({"name": "v", "mountPath": "/v", "bindMountOptions": ["noexec"]});
    let responders = json!([{"name": "example.com/r", "priority": 1}]);
    let plain = pod(json!({}), mount.clone(), None);
    let mut signal = plain.clone();
    signal["spec"]["containers"][0]["lifecycle"] = json!({"stopSignal": "SIGUSR1"});
    let cases = [
        ("of a container", signal),
        ("of a volume", pod(json!({"mode": 511}), mount.clone(), None)),
        ("in a list", pod(json!({}), bound, None)),
        ("a list", pod(json!({}), mount, Some(responders))),
    ];
    let registry = kinds::all();
    let version = version(&registry, &plain);
    let decoded =
        |object: &Value| version.decode(object.to_string().as_bytes(), FieldValidation::Strict).unwrap();
    let want = json(&*decoded(&plain).instance);
    for (name, given) in cases {
        let got = decoded(&given);
        assert_eq!(json(&*got.instance), want, "{name}");
        assert_eq!(got.warnings, [""; 0], "{name}");
    }
}
