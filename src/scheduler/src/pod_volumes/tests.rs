use super::*;
use serde_json::{Value, json};

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn merge(base: &mut Value, more: &Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            more.iter().for_each(|(k, value)| merge(base.entry(k.clone()).or_insert(Value::Null), value));
        }
        (base, more) => *base = more.clone(),
    }
}

fn storage(claim: Option<Value>, volumes: Vec<Value>) -> Storage {
    let claim = claim.map(|more| {
        let mut claim = json!({"metadata": {"name": "data", "namespace": "d", "uid": "u"}, "spec": {"storageClassName": "now",
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        merge(&mut claim, &more);
        ("data".to_owned(), object(claim))
    });
    let volume = |more: Value| {
        let mut volume = json!({"metadata": {"name": "v"}, "spec": {"storageClassName": "hand",
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}});
        merge(&mut volume, &more);
        object(volume)
    };
    let class = |name: &str, by: &str, mode: &str, zone: Option<&str>| {
        let zones = zone.map(|zone| json!([{"matchLabelExpressions": [{"key": "zone", "values": [zone]}]}]));
        object(
            json!({"metadata": {"name": name}, "provisioner": by, "volumeBindingMode": mode, "allowedTopologies": zones}),
        )
    };
    Storage {
        claims: claim.into_iter().collect(),
        volumes: volumes.into_iter().map(volume).collect(),
        attached: Attached::default(),
        capacities: Capacities::default(),
        classes: vec![
            class("now", "p", "Immediate", None),
            class("later", "p", "WaitForFirstConsumer", None),
            class("hand", volume::NO_PROVISIONER, "WaitForFirstConsumer", None),
            class("far", "p", "WaitForFirstConsumer", Some("far")),
        ],
    }
}

fn outcome(pod: &Pod, storage: &Storage) -> String {
    let node: Node = object(
        json!({"metadata": {"name": "n", "labels": {"kubernetes.io/hostname": "n", "zone": "near", "topology.kubernetes.io/zone": "near"}}}),
    );
    let snapshot = Snapshot::of([Arc::new(node.clone())], []);
    let all =
        [Plugin::VolumeRestrictions, Plugin::NodeVolumeLimits, Plugin::VolumeBinding, Plugin::VolumeZone];
    match PodVolumes::of(pod, storage, &Profile::default()) {
        Err((_, why)) => format!("none: {why}"),
        Ok(volumes) => {
            let node_snapshot = snapshot.node("n").unwrap();
            let mut said = all.into_iter().flat_map(|plugin| volumes.against(plugin, node_snapshot));
            match said.next() {
                Some(refusal) => refusal.why.to_string(),
                None => format!("{:?}", volumes.promises(&node)),
            }
        }
    }
}

#[test]
fn claims_and_the_nodes_that_reach_their_volumes() {
    let pod: Pod =
        object(json!({"metadata": {"name": "p", "namespace": "d", "uid": "pod"}, "spec": {"containers": [],
        "volumes": [{"name": "x", "persistentVolumeClaim": {"claimName": "data"}}]}}));
    let at = |host: &str| {
        json!({"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions":
        [{"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}]}]}}}})
    };
    let bound = || {
        Some(
            json!({"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}, "spec": {"volumeName": "v"}}),
        )
    };
    let of = |class: &str| Some(json!({"spec": {"storageClassName": class}}));
    let selected = |node: &str| {
        Some(
            json!({"metadata": {"annotations": {"volume.kubernetes.io/selected-node": node}}, "spec": {"storageClassName": "later"}}),
        )
    };
    let cases = [
        ("no claim", None, vec![], "none: persistentvolumeclaim \"data\" not found"),
        ("unbound", of("now"), vec![], "none: pod has unbound immediate PersistentVolumeClaims"),
        (
            "it names a volume, and waits for it",
            Some(json!({"spec": {"storageClassName": "later", "volumeName": "v"}})),
            vec![],
            "none: pod has unbound immediate PersistentVolumeClaims",
        ),
        (
            "lost",
            Some(json!({"spec": {"volumeName": "v"}, "status": {"phase": "Lost"}})),
            vec![],
            "none: persistentvolumeclaim \"data\" bound to non-existent persistentvolume \"v\"",
        ),
        (
            "on its way out",
            Some(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})),
            vec![],
            "none: persistentvolumeclaim \"data\" is being deleted",
        ),
        ("bound", bound(), vec![json!({})], "[]"),
        ("bound, here", bound(), vec![at("n")], "[]"),
        ("bound, elsewhere", bound(), vec![at("m")], NOT_REACHED),
        ("bound to nothing", bound(), vec![], NO_VOLUME),
        (
            "bound, in one of these zones",
            bound(),
            vec![json!({"metadata": {"labels": {"failure-domain.beta.kubernetes.io/zone": "far__near"}}})],
            "[]",
        ),
        (
            "bound, in another zone",
            bound(),
            vec![json!({"metadata": {"labels": {"topology.kubernetes.io/zone": "far"}}})],
            OTHER_ZONE,
        ),
        ("one is made", of("later"), vec![], "[Node { claim: \"data\" }]"),
        ("one is being made", selected("n"), vec![], "[Made]"),
        ("one is being made elsewhere", selected("m"), vec![], NOT_FOUND),
        ("made by hand, here", of("hand"), vec![at("n")], "[Volume { claim: \"data\", volume: \"v\" }]"),
        ("made by hand, elsewhere", of("hand"), vec![at("m")], NOT_FOUND),
        ("none is made by hand", of("hand"), vec![], NOT_FOUND),
        ("not in this zone", of("far"), vec![], NOT_FOUND),
    ];
    for (name, claim, volumes, want) in cases {
        assert_eq!(outcome(&pod, &storage(claim, volumes)), want, "{name}");
    }
}

#[test]
fn a_claim_of_a_pods_own() {
    let pod: Pod =
        object(json!({"metadata": {"name": "p", "namespace": "d", "uid": "pod"}, "spec": {"containers": [],
        "volumes": [{"name": "x", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]}}));
    let mut others = storage(None, vec![]);
    let waits = "none: waiting for ephemeral volume controller to create the persistentvolumeclaim \"p-x\"";
    assert_eq!(outcome(&pod, &others), waits);
    others
        .claims
        .insert("p-x".to_owned(), object(json!({"metadata": {"name": "p-x", "namespace": "d"}, "spec": {}})));
    let foreign = "none: PVC d/p-x was not created for pod d/p (pod is not owner)";
    assert_eq!(outcome(&pod, &others), foreign);
}

#[test]
fn a_driver_says_where_it_has_room() {
    let pod: Pod =
        object(json!({"metadata": {"name": "p", "namespace": "d"}, "spec": {"containers": [], "volumes": [
        {"name": "x", "persistentVolumeClaim": {"claimName": "data"}}]}}));
    let near = json!({"matchLabels": {"zone": "near"}});
    let far = json!({"matchLabels": {"zone": "far"}});
    let of = |topology: &Value, capacity: &str, most: Option<&str>, class: &str| {
        object(json!({"metadata": {"name": "c"}, "storageClassName": class, "nodeTopology": topology,
            "capacity": capacity, "maximumVolumeSize": most}))
    };
    let made = "[Node { claim: \"data\" }]";
    for (name, capacities, want) in [
        ("enough", vec![of(&near, "1Gi", None, "later")], made),
        ("too little", vec![of(&near, "1023Mi", None, "later")], NO_SPACE),
        ("enough, and none so large", vec![of(&near, "9Gi", Some("512Mi"), "later")], NO_SPACE),
        ("elsewhere", vec![of(&far, "9Gi", None, "later")], NO_SPACE),
        ("nowhere", vec![of(&Value::Null, "9Gi", None, "later")], NO_SPACE),
        ("of another class", vec![of(&near, "9Gi", None, "far")], NO_SPACE),
        ("it has not said", vec![], NO_SPACE),
    ] {
        let mut storage = storage(Some(json!({"spec": {"storageClassName": "later"}})), vec![]);
        storage.capacities = Capacities { drivers: ["p".to_owned()].into(), all: capacities };
        assert_eq!(outcome(&pod, &storage), want, "{name}");
        storage.capacities.drivers.clear();
        assert_eq!(outcome(&pod, &storage), made, "{name}: who says nothing is not asked");
    }
}

#[test]
fn two_claims_are_not_given_the_same_volume() {
    let pod: Pod = object(
        json!({"metadata": {"name": "p", "namespace": "d"}, "spec": {"containers": [], "volumes": [
        {"name": "x", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "y", "persistentVolumeClaim": {"claimName": "more"}}]}}),
    );
    let mut one = storage(Some(json!({"spec": {"storageClassName": "hand"}})), vec![json!({})]);
    let mut more = one.claims["data"].clone();
    more.metadata.name = Some("more".to_owned());
    more.metadata.uid = Some("other".to_owned());
    one.claims.insert("more".to_owned(), more);
    assert_eq!(outcome(&pod, &one), NOT_FOUND);
}
