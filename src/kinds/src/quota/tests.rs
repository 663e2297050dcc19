use super::*;
use crate::TypedKind;
use serde_json::{Value, json};

fn pod(spec: Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap()
}

fn quota(spec: Value) -> ResourceQuota {
    serde_json::from_value(json!({"metadata": {"name": "q"}, "spec": spec})).unwrap()
}

#[test]
fn what_a_pod_uses() {
    let asks = json!({"requests": {"cpu": "100m", "memory": "1Mi", "example.com/gpu": "1"}, "limits": {"cpu": "1", "example.com/gpu": "1"}});
    let mut pod = pod(json!({"containers": [{"name": "a", "resources": asks}]}));
    let now = jiff::Timestamp::UNIX_EPOCH;
    let want = "count/pods=1,cpu=100m,limits.cpu=1,limits.example.com/gpu=1,memory=1Mi,pods=1,requests.cpu=100m,requests.example.com/gpu=1,requests.memory=1Mi";
    assert_eq!(print(&usage(&pod, &Pod::info(), now)), want);
    pod.status.get_or_insert_default().phase = Some("Failed".into());
    assert_eq!(print(&usage(&pod, &Pod::info(), now)), "count/pods=1", "it has ended");
}

#[test]
fn a_pod_that_is_to_have_less_uses_what_it_has_until_then() {
    let asks = json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}});
    let has = json!({"requests": {"cpu": "300m"}, "limits": {"cpu": "400m"}});
    let of = |status: Value| {
        let mut pod = pod(json!({"containers": [{"name": "a", "resources": asks}]}));
        pod.status = serde_json::from_value(status).unwrap();
        let usage = usage(&pod, &Pod::info(), jiff::Timestamp::UNIX_EPOCH);
        ["requests.cpu", "limits.cpu"].map(|name| usage[name].milli())
    };
    let with = |reason: &str, resources: &Value| {
        let pending = json!([{"type": "PodResizePending", "status": "True", "reason": reason}]);
        let told = json!({"name": "a", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
            "allocatedResources": resources["requests"], "resources": resources});
        json!({"containerStatuses": [told], "conditions": pending})
    };
    let less = json!({"requests": {"cpu": "50m"}, "limits": {"cpu": "60m"}});
    let cases = [
        ("nothing runs yet", json!({}), [100, 200]),
        ("less, later", with("Deferred", &has), [300, 400]),
        ("more, later", with("Deferred", &less), [100, 200]),
        ("more, and never", with("Infeasible", &less), [50, 60]),
    ];
    for (name, status, want) in cases {
        assert_eq!(of(status), want, "{name}");
    }
}

#[test]
fn what_a_service_uses() {
    let of = |spec: Value| {
        let service: Service = serde_json::from_value(json!({"spec": spec})).unwrap();
        print(&usage(&service, &Service::info(), jiff::Timestamp::UNIX_EPOCH))
    };
    let ports = json!([{"port": 80}, {"port": 443}]);
    assert_eq!(
        of(json!({"ports": ports})),
        "count/services=1,services=1,services.loadbalancers=0,services.nodeports=0"
    );
    assert_eq!(
        of(json!({"type": "LoadBalancer", "ports": ports})),
        "count/services=1,services=1,services.loadbalancers=1,services.nodeports=2"
    );
}

#[test]
fn scopes_choose_the_pods() {
    let plain = || json!({"containers": [{"name": "a"}]});
    let ends = || json!({"containers": [{"name": "a"}], "activeDeadlineSeconds": 5});
    let high = || json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}], "priorityClassName": "high"});
    let rule = |operator: &str, values: Value| json!({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": operator, "values": values}]}});
    let cases = [
        ("all", json!({}), [true, true, true]),
        ("terminating", json!({"scopes": ["Terminating"]}), [false, true, false]),
        ("not terminating", json!({"scopes": ["NotTerminating"]}), [true, false, true]),
        ("best effort", json!({"scopes": ["BestEffort"]}), [true, true, false]),
        ("both", json!({"scopes": ["NotBestEffort", "NotTerminating"]}), [false, false, true]),
        ("of a class", rule("In", json!(["high"])), [false, false, true]),
        ("of no such class", rule("NotIn", json!(["high"])), [true, true, false]),
    ];
    for (name, spec, want) in cases {
        let quota = quota(spec);
        let got = [plain(), ends(), high()].map(|spec| is_in_scope(&quota, &pod(spec)));
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn a_scope_chooses_claims_by_the_class_of_their_attributes() {
    let claim = |class: Value, status: Value| -> PersistentVolumeClaim {
        let spec = json!({"volumeAttributesClassName": class});
        serde_json::from_value(json!({"metadata": {"name": "c"}, "spec": spec, "status": status})).unwrap()
    };
    let claims = [
        claim(Value::Null, json!({})),
        claim(json!("gold"), json!({})),
        claim(json!("gold"), json!({"currentVolumeAttributesClassName": "silver"})),
        claim(
            Value::Null,
            json!({"modifyVolumeStatus": {"status": "Pending", "targetVolumeAttributesClassName": "silver"}}),
        ),
    ];
    let rule = |operator: &str, values: Value| json!({"scopeSelector": {"matchExpressions": [{"scopeName": "VolumeAttributesClass", "operator": operator, "values": values}]}});
    let cases = [
        ("all", json!({}), [true, true, true, true]),
        ("scope", json!({"scopes": ["VolumeAttributesClass"]}), [false, true, true, true]),
        ("any", rule("Exists", Value::Null), [false, true, true, true]),
        ("none", rule("DoesNotExist", Value::Null), [true, false, false, false]),
        ("one", rule("In", json!(["gold"])), [false, true, true, false]),
        ("another", rule("NotIn", json!(["gold"])), [true, false, true, true]),
        ("of pods", json!({"scopes": ["BestEffort"]}), [false; 4]),
    ];
    for (name, spec, want) in cases {
        let quota = quota(spec);
        let got = claims.each_ref().map(|claim| is_in_scope(&quota, claim));
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn what_is_bounded_must_be_said() {
    let quota = quota(json!({"hard": {"limits.cpu": "1", "memory": "1Gi", "pods": "5"}}));
    let said = json!({"limits": {"cpu": "1"}, "requests": {"memory": "1Mi"}});
    let whole = pod(json!({"containers": [{"name": "a", "resources": said}]}));
    assert_eq!(unspecified(&quota, &whole), None);
    let partly = pod(json!({"containers": [{"name": "a", "resources": said}, {"name": "b"}, {"name": "c"}]}));
    assert_eq!(unspecified(&quota, &partly).as_deref(), Some("limits.cpu for: b,c; memory for: b,c"));
    let containers = json!([{"name": "a"}]);
    let as_a_whole = pod(json!({"containers": containers, "resources": {"limits": {"memory": "1Mi"}}}));
    assert_eq!(unspecified(&quota, &as_a_whole), None, "what it says for itself is for all of them");
    let nothing = pod(json!({"containers": containers, "resources": {"limits": {}}}));
    assert_eq!(unspecified(&quota, &nothing).as_deref(), Some("limits.cpu for: a; memory for: a"));
}

#[test]
fn kinds_are_concerned_by_what_bounds_them() {
    let (pods, services) = (Pod::info(), Service::info());
    for (name, of_pods, of_services) in [
        ("pods", true, false),
        ("count/pods", true, false),
        ("requests.cpu", true, false),
        ("requests.example.com/gpu", true, false),
        ("services", false, true),
        ("services.nodeports", false, true),
        ("requests.storage", false, false),
        ("count/deployments.apps", false, false),
        ("secrets", false, false),
    ] {
        assert_eq!((concerns(name, &pods), concerns(name, &services)), (of_pods, of_services), "{name}");
    }
}
