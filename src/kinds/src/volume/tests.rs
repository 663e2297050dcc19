//! Claims and volumes that fit each other, and that do not.

use super::*;
use serde_json::{Value, json};

fn volume(name: &str, spec: Value) -> Arc<PersistentVolume> {
    let mut whole =
        json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "c"});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let meta = json!({"name": name, "labels": {"name": name}});
    serde_json::from_value(json!({"metadata": meta, "spec": whole})).unwrap()
}

fn claim(spec: Value) -> PersistentVolumeClaim {
    let mut whole = json!({"resources": {"requests": {"storage": "1Gi"}}, "accessModes": ["ReadWriteOnce"], "storageClassName": "c"});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let meta = json!({"name": "data", "namespace": "d", "uid": "u"});
    serde_json::from_value(json!({"metadata": meta, "spec": whole})).unwrap()
}

#[test]
fn the_smallest_volume_that_fits_is_found() {
    let rwx = json!(["ReadWriteOnce", "ReadWriteMany"]);
    let mine = json!({"name": "data", "namespace": "d"});
    let another = json!({"name": "data", "namespace": "d", "uid": "before"});
    let small = || volume("small", json!({"capacity": {"storage": "500Mi"}}));
    let one = || volume("one", json!({}));
    let big = || volume("big", json!({"capacity": {"storage": "5Gi"}}));
    let cases = [
        ("nothing", json!({}), vec![], false, None),
        ("too small", json!({}), vec![small()], false, None),
        ("the smallest", json!({}), vec![big(), one(), small()], false, Some("one")),
        ("the larger, when it waits", json!({}), vec![big(), one()], true, None),
        (
            "fewest modes first",
            json!({}),
            vec![volume("wide", json!({"accessModes": rwx})), big()],
            false,
            Some("big"),
        ),
        ("a mode that it has not", json!({"accessModes": ["ReadWriteMany"]}), vec![one()], false, None),
        ("another class", json!({"storageClassName": "d"}), vec![one()], false, None),
        (
            "of no class",
            json!({"storageClassName": ""}),
            vec![one(), volume("bare", json!({"storageClassName": null}))],
            false,
            Some("bare"),
        ),
        (
            "selected",
            json!({"selector": {"matchLabels": {"name": "big"}}}),
            vec![big(), one()],
            false,
            Some("big"),
        ),
        ("a device", json!({"volumeMode": "Block"}), vec![one()], false, None),
        (
            "a device among others",
            json!({"volumeMode": "Block"}),
            vec![one(), volume("raw", json!({"volumeMode": "Block", "capacity": {"storage": "9Gi"}}))],
            false,
            Some("raw"),
        ),
        (
            "no device",
            json!({"volumeMode": "Filesystem"}),
            vec![volume("raw", json!({"volumeMode": "Block"})), big()],
            false,
            Some("big"),
        ),
        (
            "promised",
            json!({}),
            vec![one(), volume("mine", json!({"capacity": {"storage": "9Gi"}, "claimRef": mine}))],
            false,
            Some("mine"),
        ),
        (
            "promised, when it waits",
            json!({}),
            vec![one(), volume("mine", json!({"claimRef": mine}))],
            true,
            Some("mine"),
        ),
        (
            "promised to one that is gone",
            json!({}),
            vec![volume("old", json!({"claimRef": another}))],
            false,
            None,
        ),
    ];
    for (name, spec, volumes, is_delayed, want) in cases {
        let found = find_match(&claim(spec), &volumes, Seeker::Binder { is_delayed });
        assert_eq!(found.and_then(|volume| volume.metadata.name.as_deref()), want, "{name}");
    }
}

#[test]
fn the_scheduler_takes_what_its_node_reaches_and_nobody_took() {
    let node: Node =
        serde_json::from_value(json!({"metadata": {"name": "n", "labels": {"kubernetes.io/hostname": "n"}}}))
            .unwrap();
    let at = |host: &str| {
        json!({"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions":
        [{"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}]}]}}})
    };
    let volumes = [volume("far", at("m")), volume("near", at("n")), volume("near-too", at("n"))];
    let none = BTreeSet::new();
    let taken = BTreeSet::from(["near".to_owned()]);
    for (taken, want) in [(&none, "near"), (&taken, "near-too")] {
        let found = find_match(&claim(json!({})), &volumes, Seeker::Scheduler { node: &node, taken });
        assert_eq!(found.unwrap().metadata.name.as_deref(), Some(want));
    }
    let mut device = at("n");
    device["volumeMode"] = json!("Block");
    let volumes = [volume("far", at("m")), volume("near", at("n")), volume("raw", device)];
    for (mode, want) in [("Block", "raw"), ("Filesystem", "near")] {
        let seeker = Seeker::Scheduler { node: &node, taken: &none };
        let found = find_match(&claim(json!({"volumeMode": mode})), &volumes, seeker);
        assert_eq!(found.unwrap().metadata.name.as_deref(), Some(want), "{mode}");
    }
}

#[test]
fn of_several_defaults_the_newest_is_meant() {
    let class = |name: &str, at: &str, key: &str| -> Arc<StorageClass> {
        serde_json::from_value(json!({"metadata": {"name": name, "creationTimestamp": at, "annotations": {key: "true"}}, "provisioner": "p"})).unwrap()
    };
    let key = "storageclass.kubernetes.io/is-default-class";
    let old = class("old", "2026-01-01T00:00:00Z", key);
    let new = class("new", "2026-01-02T00:00:00Z", "storageclass.beta.kubernetes.io/is-default-class");
    let same = class("a", "2026-01-02T00:00:00Z", key);
    let other = class("other", "2026-01-03T00:00:00Z", "example.com/x");
    let name = |classes: Vec<Arc<StorageClass>>| default_class(classes).and_then(|c| c.metadata.name.clone());
    assert_eq!(name(vec![old.clone(), new.clone(), other.clone()]).as_deref(), Some("new"));
    assert_eq!(name(vec![new, same, old]).as_deref(), Some("a"));
    assert_eq!(name(vec![other]), None);
}
