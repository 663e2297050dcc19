//! StatefulSets that grow, shrink, lose pods and are rolled out.

use super::plan::{Seen, Step, plan, status};
use super::pods::{claims, lost_identity, ordinal, pod_of};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use std::sync::Arc;

fn set(replicas: i32, more: Value) -> StatefulSet {
    let mut spec = json!({
        "replicas": replicas, "serviceName": "web", "podManagementPolicy": "OrderedReady",
        "selector": {"matchLabels": {"app": "w"}},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "template": {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [{"name": "c"}]}},
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(json!({"metadata": {"name": "w", "namespace": "n", "uid": "set"}, "spec": spec}))
        .unwrap()
}

/// `0 old ok, 1 new no`: number, revision and how it is: `ok`, `no` (not ready), `gone` (on its way out), `failed`.
fn pods(text: &str) -> Vec<Arc<Pod>> {
    let one = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [number, revision, how] = words.as_slice() else { panic!("{text}") };
        let ready = if *how == "ok" { "True" } else { "False" };
        let phase = if *how == "failed" { "Failed" } else { "Running" };
        let mut pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": format!("w-{number}"), "labels": {"controller-revision-hash": revision}},
            "status": {"phase": phase, "conditions": [
                {"type": "Ready", "status": ready, "lastTransitionTime": "1970-01-01T00:16:30Z"}]},
        }))
        .unwrap();
        if *how == "gone" {
            pod.metadata.deletion_timestamp = serde_json::from_value(json!("1970-01-01T00:00:00Z")).unwrap();
        }
        Arc::new(pod)
    };
    text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(one).collect()
}

fn shown(steps: &[Step]) -> String {
    let name = |pod: &Pod| pod.metadata.name.clone().unwrap_or_default().replace("w-", "");
    let one = |step: &Step| match step {
        Step::Create { ordinal, of_update: true } => format!("+{ordinal}"),
        Step::Create { ordinal, of_update: false } => format!("+{ordinal} old"),
        Step::Recreate(pod) => format!("again {}", name(pod)),
        Step::Delete(pod) => format!("-{}", name(pod)),
    };
    steps.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[test]
fn so_many_at_once_and_no_more_however_many_are_wanted() {
    let parallel = || json!({"podManagementPolicy": "Parallel"});
    let failed: Vec<String> = (0..600).map(|number| format!("{number} new failed")).collect();
    // (name, pods, the first step, the last)
    let cases = [
        ("none is there", String::new(), "+0", "+499"),
        ("some are", "0 new ok, 1 new no".to_owned(), "+2", "+501"),
        ("all that are there failed", failed.join(","), "again 0", "again 499"),
    ];
    for (name, given, first, last) in cases {
        let (set, pods) = (set(i32::MAX, parallel()), pods(&given));
        let now = jiff::Timestamp::from_second(1000).unwrap();
        let steps = plan(&Seen { set: &set, pods: &pods, current: "new", update: "new", now });
        assert_eq!(steps.len(), 500, "{name}");
        assert_eq!((shown(&steps[..1]).as_str(), shown(&steps[499..]).as_str()), (first, last), "{name}");
    }
}

#[test]
fn one_after_another_or_all_at_once() {
    let parallel = || json!({"podManagementPolicy": "Parallel"});
    let rolling = |of: Value| json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": of}});
    let both = |of: Value| json!({"podManagementPolicy": "Parallel", "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": of}});
    // (name, replicas, more, pods, steps)
    let cases = [
        ("the first", 3, json!({}), "", "+0"),
        ("the second waits for the first", 3, json!({}), "0 new no", ""),
        ("the second", 3, json!({}), "0 new ok", "+1"),
        ("a gap is filled first", 3, json!({}), "0 new ok, 2 new ok", "+1"),
        ("all are there", 3, json!({}), "0 new ok, 1 new ok, 2 new ok", ""),
        ("all at once", 3, parallel(), "", "+0, +1, +2"),
        ("another start", 2, json!({"ordinals": {"start": 5}}), "5 new ok", "+6"),
        ("a start that has moved", 1, json!({"ordinals": {"start": 1}}), "0 new ok, 1 new ok", "-0"),
        ("on its way out", 2, json!({}), "0 new gone", ""),
        ("it failed", 2, json!({}), "0 new failed, 1 new ok", "again 0"),
        ("fewer, from the highest down", 1, json!({}), "0 new ok, 1 new ok, 2 new ok", "-2"),
        ("fewer, one at a time", 1, json!({}), "0 new ok, 1 new ok, 2 new gone", ""),
        ("none does, unless all before it answer", 1, json!({}), "0 new no, 1 new ok, 2 new ok", ""),
        ("one that does not answer holds those below", 1, json!({}), "0 new ok, 1 new no, 2 new ok", "-2"),
        ("the first that does not answer may go", 1, json!({}), "0 new ok, 1 new no", "-1"),
        ("fewer at once", 1, parallel(), "0 new ok, 1 new no, 2 new ok", "-2, -1"),
        ("to none", 0, json!({}), "0 new ok", "-0"),
        ("rolled out from the highest down", 3, json!({}), "0 old ok, 1 old ok, 2 old ok", "-2"),
        ("the next waits for the new one", 3, json!({}), "0 old ok, 1 old ok, 2 new no", ""),
        ("the next", 3, json!({}), "0 old ok, 1 old ok, 2 new ok", "-1"),
        (
            "those below the partition stay",
            3,
            rolling(json!({"partition": 2})),
            "0 old ok, 1 old ok, 2 new ok",
            "",
        ),
        ("and come back as they were", 3, rolling(json!({"partition": 2})), "0 old ok, 2 new ok", "+1 old"),
        ("above it they come back new", 3, rolling(json!({"partition": 1})), "0 old ok, 2 new ok", "+1"),
        (
            "a partition counts from the start",
            2,
            json!({"ordinals": {"start": 5}, "updateStrategy": {
            "type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}),
            "5 old ok, 6 old ok",
            "-6",
        ),
        ("by hand", 2, json!({"updateStrategy": {"type": "OnDelete"}}), "0 old ok, 1 old ok", ""),
        ("by hand it comes back new", 2, json!({"updateStrategy": {"type": "OnDelete"}}), "0 old ok", "+1"),
        (
            "two may be missing",
            4,
            both(json!({"maxUnavailable": 2})),
            "0 old ok, 1 old ok, 2 old ok, 3 old ok",
            "-3, -2",
        ),
        (
            "one is missing already",
            4,
            both(json!({"maxUnavailable": 2})),
            "0 old ok, 1 old ok, 2 old ok, 3 new no",
            "-2",
        ),
        (
            "half may be missing",
            4,
            both(json!({"maxUnavailable": "50%"})),
            "0 old ok, 1 old ok, 2 old ok, 3 old ok",
            "-3, -2",
        ),
        (
            "one at a time, and none while one is missing",
            3,
            both(json!({"maxUnavailable": 1})),
            "0 old ok, 1 new no, 2 new ok",
            "",
        ),
        ("a revision that never was ready", 3, parallel(), "0 old no, 1 old no, 2 old no", "-2, -1, -0"),
        (
            "what is missing anyhow goes first",
            4,
            both(json!({"maxUnavailable": 2})),
            "0 old ok, 1 old no, 2 old ok, 3 old ok",
            "-1, -3",
        ),
        (
            "in order none goes before the others",
            4,
            rolling(json!({"maxUnavailable": 2})),
            "0 old ok, 1 old ok, 2 old ok, 3 old ok",
            "-3, -2",
        ),
        ("a foreign name", 1, json!({}), "0 new ok, x new ok", ""),
    ];
    let now = jiff::Timestamp::from_second(1000).unwrap();
    for (name, replicas, more, given, want) in cases {
        let (set, given) = (set(replicas, more), pods(given));
        let seen = Seen { set: &set, pods: &given, current: "old", update: "new", now };
        assert_eq!(shown(&plan(&seen)), want, "{name}");
    }
}

#[test]
fn the_next_waits_until_the_last_has_been_ready_for_long_enough() {
    let set = set(2, json!({"minReadySeconds": 60}));
    let given = pods("0 new ok");
    let at = |second: i64| Seen {
        set: &set,
        pods: &given,
        current: "new",
        update: "new",
        now: jiff::Timestamp::from_second(second).unwrap(),
    };
    assert_eq!(shown(&plan(&at(1000))), "");
    let (early, again) = status(&at(1000));
    assert_eq!(
        (early.ready_replicas, early.available_replicas, again.map(|a| a.as_secs())),
        (Some(1), Some(0), Some(50))
    );
    assert_eq!(shown(&plan(&at(1050))), "+1");
}

#[test]
fn a_rollout_waits_until_new_pods_have_been_ready_for_long_enough() {
    let set = |rolling: Value| {
        set(
            4,
            json!({"minReadySeconds": 60, "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}),
        )
    };
    let mut given = pods("0 old ok, 1 old ok, 2 old ok, 3 new ok");
    for pod in &mut given[..3] {
        let status = Arc::make_mut(pod).status.as_mut().unwrap();
        status.conditions.as_mut().unwrap()[0].last_transition_time =
            serde_json::from_value(json!("1970-01-01T00:00:00Z")).unwrap();
    }
    // (name, strategy, when the new one is ready for ten seconds, when it is for sixty)
    let cases = [
        ("one after another", json!({}), "", "-2"),
        ("two at once", json!({"maxUnavailable": 2}), "-2", "-2, -1"),
        ("more than there are", json!({"maxUnavailable": 5}), "-2, -1, -0", "-2, -1, -0"),
    ];
    for (name, rolling, early, late) in cases {
        let set = set(rolling);
        for (second, want) in [(1000, early), (1050, late)] {
            let now = jiff::Timestamp::from_second(second).unwrap();
            let seen = Seen { set: &set, pods: &given, current: "old", update: "new", now };
            assert_eq!(shown(&plan(&seen)), want, "{name} at {second}");
        }
    }
}

#[test]
fn the_status_knows_both_revisions_until_all_are_new() {
    let now = jiff::Timestamp::from_second(1000).unwrap();
    let set = set(2, json!({}));
    let of = |given: &str| {
        let given = pods(given);
        let (status, _) = status(&Seen { set: &set, pods: &given, current: "old", update: "new", now });
        let numbers =
            [status.replicas, status.current_replicas.unwrap_or(0), status.updated_replicas.unwrap_or(0)];
        (numbers, status.current_revision.unwrap_or_default())
    };
    assert_eq!(of("0 old ok, 1 new ok"), ([2, 1, 1], "old".to_owned()));
    assert_eq!(of("0 new ok, 1 new no"), ([2, 0, 2], "old".to_owned()));
    assert_eq!(of("0 new ok, 1 new ok"), ([2, 2, 2], "new".to_owned()));
}

#[test]
fn a_pod_has_its_name_its_host_and_its_claims() {
    let template = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}});
    let set = set(1, json!({"volumeClaimTemplates": [template]}));
    let pod = pod_of(&set, &set.spec.template, 3, "w-abc");
    assert_eq!(ordinal(&set, &pod), Some(3));
    let labels = pod.metadata.labels.unwrap();
    assert_eq!(labels["statefulset.kubernetes.io/pod-name"], "w-3");
    assert_eq!(labels["apps.kubernetes.io/pod-index"], "3");
    assert_eq!(labels["controller-revision-hash"], "w-abc");
    let spec = pod.spec.unwrap();
    assert_eq!((spec.hostname.as_deref(), spec.subdomain.as_deref()), (Some("w-3"), Some("web")));
    let volume = &spec.volumes.unwrap()[0];
    assert_eq!(volume.persistent_volume_claim.as_ref().unwrap().claim_name, "data-w-3");
    let claim = claims(&set, 3).remove(0);
    assert_eq!(claim.metadata.name.as_deref(), Some("data-w-3"));
    assert_eq!(claim.metadata.labels.unwrap()["app"], "w");
}

#[test]
fn a_pod_that_has_lost_its_label_gets_it_again() {
    let set = set(2, json!({}));
    let mut pod = pod_of(&set, &set.spec.template, 1, "w-abc");
    assert_eq!(lost_identity(&set, &pod), None);
    let own = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let wanted = [own("statefulset.kubernetes.io/pod-name", "w-1"), own("apps.kubernetes.io/pod-index", "1")];
    for label in [None, Some("w-0"), Some("")] {
        let labels = pod.metadata.labels.get_or_insert_default();
        labels.remove("statefulset.kubernetes.io/pod-name");
        labels.extend(label.map(|name| own("statefulset.kubernetes.io/pod-name", name)));
        assert_eq!(lost_identity(&set, &pod).as_ref(), Some(&wanted), "{label:?}");
    }
    pod.metadata.name = Some("x-1".to_owned());
    assert_eq!(lost_identity(&set, &pod), None, "it is none of the set's");
}
