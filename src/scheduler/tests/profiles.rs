//! Where the same pod goes under one profile and under another, and what is said of it where it goes nowhere.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use scheduler::{
    Context, NoPreemption, PodInfo, Preemption, Profile, Profiles, Snapshot, Storage, place, preempt,
};
use serde_json::{Value, json};
use std::sync::Arc;
use testkit::objects;

/// The profile `other`, which says this of itself.
fn profile(fields: Value) -> Arc<Profile> {
    let mut other = json!({"schedulerName": "other"});
    other.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let file = json!({"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration",
        "profiles": [{"schedulerName": "default-scheduler"}, other]});
    let all = Profiles::parse(&file.to_string()).unwrap();
    all.named("other").unwrap().clone()
}

fn args(plugin: &str, args: Value) -> Value {
    json!({"pluginConfig": [{"name": plugin, "args": args}]})
}

fn without(point: &str, plugin: &str) -> Value {
    json!({"plugins": {point: {"disabled": [{"name": plugin}]}}})
}

/// Nodes of 8 CPUs, and what there is of each beside that; then pods: of a name, on a node, and what there is of them.
fn cluster(nodes: &[(&str, Value)], pods: &[(&str, &str, Value)]) -> Snapshot {
    let mut all = Snapshot::default();
    for (name, more) in nodes {
        let made =
            objects::node(name).label("kubernetes.io/hostname", name).allocatable("8", "8Gi").with(more);
        all.set_node(Arc::new(made.build()));
    }
    for (name, node, more) in pods {
        let made = objects::pod(name).uid(name).label("app", name).with(more).on(node);
        all.set_pod(Arc::new(PodInfo::of(Arc::new(made.build()))));
    }
    all
}

fn asks(requests: Value) -> Value {
    json!({"spec": {"containers": [{"name": "c", "image": "i", "resources": {"requests": requests}}]}})
}

/// Where it goes, or what is said of it.
fn outcome(pod: Value, all: &Snapshot, profile: Arc<Profile>) -> String {
    let pod = PodInfo::of(Arc::new(objects::pod("p").uid("p").label("app", "p").with(&pod).build()));
    let context = Context { profile, ..Context::default() };
    match place(&pod, all, &context) {
        Ok(placement) => placement.node,
        Err(refused) => match preempt(&pod, all, &context, &refused, &[]) {
            Ok(Preemption { node, .. }) => format!("{refused} (preempts on {node})"),
            Err(NoPreemption { .. }) => refused.to_string(),
        },
    }
}

#[test]
fn of_two_nodes_a_profile_chooses_its_own() {
    let (none, gib) = (|| json!({}), |cpu: &str| asks(json!({"cpu": cpu, "memory": "1Gi"})));
    let ratio = |scores: [i64; 2]| {
        let shape = json!([{"utilization": 0, "score": scores[0]}, {"utilization": 100, "score": scores[1]}]);
        args(
            "NodeResourcesFit",
            json!({"scoringStrategy": {"type": "RequestedToCapacityRatio",
            "requestedToCapacityRatio": {"shape": shape}}}),
        )
    };
    let strategy = |name: &str| args("NodeResourcesFit", json!({"scoringStrategy": {"type": name}}));
    // one is half full, as evenly as the other is empty
    let half = cluster(
        &[("empty", none()), ("full", none())],
        &[("x", "full", asks(json!({"cpu": "4", "memory": "4Gi"})))],
    );
    let soft = json!({"spec": {"taints": [{"key": "k", "effect": "PreferNoSchedule"}]}});
    // the emptier one had rather have nobody
    let tainted = cluster(
        &[("tainted", soft), ("taken", none())],
        &[("x", "taken", asks(json!({"cpu": "4", "memory": "4Gi"})))],
    );
    let disks = cluster(&[("hdd", none()), ("ssd", json!({"metadata": {"labels": {"disk": "ssd"}}}))], &[]);
    let prefers_ssd = args(
        "NodeAffinity",
        json!({"addedAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}}]}}),
    );
    let term =
        json!({"labelSelector": {"matchLabels": {"app": "p"}}, "topologyKey": "kubernetes.io/hostname"});
    let needs = json!({"spec": {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}});
    let likes = json!({"spec": {"affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 100, "podAffinityTerm": term}]}}}});
    let (needed, liked) = (
        cluster(&[("alone", none()), ("needed", none())], &[("x", "needed", needs)]),
        cluster(&[("alone", none()), ("liked", none())], &[("x", "liked", likes)]),
    );
    let ignoring = args("InterPodAffinity", json!({"ignorePreferredTermsOfExistingPods": true}));
    let weighs = |plugin: &str, weight: i64| json!({"plugins": {"score": {"enabled": [{"name": plugin, "weight": weight}]}}});
    let cases: Vec<(&str, &Snapshot, Value, &str)> = vec![
        ("the emptier one", &half, json!({}), "empty"),
        ("by name", &half, strategy("LeastAllocated"), "empty"),
        ("the fuller one", &half, strategy("MostAllocated"), "full"),
        ("the more is taken the better", &half, ratio([0, 10]), "full"),
        ("the less is taken the better", &half, ratio([10, 0]), "empty"),
        ("a taint weighs more than room", &tainted, json!({}), "taken"),
        ("room weighs more than a taint", &tainted, weighs("NodeResourcesFit", 100), "tainted"),
        ("nobody looks at soft taints", &tainted, without("score", "TaintToleration"), "tainted"),
        ("a preference of the profile", &disks, prefers_ssd, "ssd"),
        ("beside one who needs it", &needed, json!({}), "needed"),
        (
            "that counts for nothing",
            &needed,
            args("InterPodAffinity", json!({"hardPodAffinityWeight": 0})),
            "alone",
        ),
        ("beside one who likes it", &liked, json!({}), "liked"),
        ("what others like does not count", &liked, ignoring, "alone"),
    ];
    for (name, all, fields, want) in cases {
        assert_eq!(outcome(gib("1"), all, profile(fields)), want, "{name}");
    }
}

#[test]
fn who_has_no_say_refuses_nobody() {
    let none = || json!({});
    let node = |spec: Value| cluster(&[("n", json!({"spec": spec}))], &[]);
    let cordoned = node(json!({"unschedulable": true}));
    let tainted = node(json!({"taints": [{"key": "k", "effect": "NoSchedule"}]}));
    let plain = node(none());
    let full = cluster(&[("n", none())], &[("x", "n", asks(json!({"cpu": "8"})))]);
    let port =
        json!({"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]}});
    let taken = cluster(&[("n", none())], &[("x", "n", port.clone())]);
    let disk = json!({"nodeSelector": {"disk": "ssd"}});
    let spread = json!({"spec": {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "rack",
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "p"}}}]}});
    let term =
        json!({"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": "kubernetes.io/hostname"});
    let together = json!({"spec": {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}});
    let gpu = || asks(json!({"example.com/gpu": "1"}));
    let claim = json!({"spec": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}});
    let said = |why: &str| format!("0/1 nodes are available: {why}.");
    let cases: Vec<(&str, &Snapshot, Value, String, Value)> = vec![
        (
            "a cordon",
            &cordoned,
            none(),
            said("1 node(s) were unschedulable"),
            without("filter", "NodeUnschedulable"),
        ),
        (
            "a taint",
            &tainted,
            none(),
            said("1 node(s) had untolerated taint(s)"),
            without("multiPoint", "TaintToleration"),
        ),
        (
            "a label",
            &plain,
            json!({"spec": disk}),
            said("1 node(s) didn't match Pod's node affinity/selector"),
            without("filter", "NodeAffinity"),
        ),
        (
            "room",
            &full,
            asks(json!({"cpu": "1"})),
            said("1 Insufficient cpu"),
            without("multiPoint", "NodeResourcesFit"),
        ),
        (
            "a port",
            &taken,
            port,
            said("1 node(s) didn't have free ports for the requested pod ports"),
            without("multiPoint", "NodePorts"),
        ),
        (
            "a domain",
            &plain,
            spread,
            said("1 node(s) didn't match pod topology spread constraints (missing required label)"),
            without("filter", "PodTopologySpread"),
        ),
        (
            "a companion",
            &plain,
            together,
            said("1 node(s) didn't match pod affinity rules"),
            without("filter", "InterPodAffinity"),
        ),
        (
            "a device",
            &plain,
            gpu(),
            said("1 Insufficient example.com/gpu"),
            args("NodeResourcesFit", json!({"ignoredResources": ["example.com/gpu"]})),
        ),
        (
            "a device of a group",
            &plain,
            gpu(),
            said("1 Insufficient example.com/gpu"),
            args("NodeResourcesFit", json!({"ignoredResourceGroups": ["example.com"]})),
        ),
        (
            "a claim",
            &plain,
            claim,
            said("persistentvolumeclaim \"data\" not found"),
            json!({"plugins": {"multiPoint": {"disabled": [{"name": "VolumeBinding"}, {"name": "VolumeRestrictions"}, {"name": "VolumeZone"}]}}}),
        ),
    ];
    for (name, all, pod, want, fields) in cases {
        assert_eq!(outcome(pod.clone(), all, Arc::default()), want, "{name}");
        assert_eq!(outcome(pod, all, profile(fields)), "n", "{name}");
    }
}

#[test]
fn a_profile_asks_more_of_a_node_than_the_pod_does() {
    let labels = |disk: &str| json!({"metadata": {"labels": {"disk": disk}}});
    let all = cluster(&[("a", labels("hdd")), ("b", labels("ssd")), ("c", labels("hdd"))], &[]);
    let needs = |disk: &str| {
        let rule = json!({"key": "disk", "operator": "In", "values": [disk]});
        args(
            "NodeAffinity",
            json!({"addedAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}}}),
        )
    };
    let on = |host: &str| json!({"spec": {"nodeSelector": {"kubernetes.io/hostname": host}}});
    assert_eq!(outcome(json!({}), &all, profile(needs("ssd"))), "b");
    let nowhere = "0/3 nodes are available: 3 node(s) didn't match scheduler-enforced node affinity.";
    assert_eq!(outcome(json!({}), &all, profile(needs("tape"))), nowhere);
    let neither = "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 2 node(s) didn't match scheduler-enforced node affinity.";
    assert_eq!(outcome(on("a"), &all, profile(needs("ssd"))), neither);
    let named = json!({"spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
        {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}]}}}}});
    assert_eq!(outcome(named.clone(), &all, Arc::default()), "a");
    let only_named = "0/3 nodes are available: 1 node(s) didn't match scheduler-enforced node affinity, 2 node(s) didn't satisfy plugin(s) [NodeAffinity].";
    assert_eq!(outcome(named.clone(), &all, profile(needs("ssd"))), only_named);
    // without its first half the plug-in looks at each node
    let each = json!({"plugins": {"preFilter": {"disabled": [{"name": "NodeAffinity"}]}}});
    let small = cluster(&[("a", json!({})), ("b", json!({}))], &[("x", "a", asks(json!({"cpu": "8"})))]);
    let mut busy = named;
    busy["spec"]["containers"] = asks(json!({"cpu": "1"}))["spec"]["containers"].clone();
    let each_says =
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's node affinity/selector.";
    assert_eq!(outcome(busy, &small, profile(each)), each_says);
}

#[test]
fn what_is_counted_of_claims_without_their_binding() {
    let claim = json!({"metadata": {"name": "data", "namespace": "default"}, "spec": {"accessModes": ["ReadWriteOncePod"]}});
    let claim: PersistentVolumeClaim = serde_json::from_value(claim).unwrap();
    let uses = json!({"spec": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}});
    let all = cluster(&[("n", json!({}))], &[("x", "n", uses.clone())]);
    let pod = PodInfo::of(Arc::new(objects::pod("p").uid("p").with(&uses).build()));
    let said = |fields: Value| {
        let claims = [("data".to_owned(), claim.clone())].into();
        let storage = Storage { claims, ..Storage::default() };
        let context = Context { profile: profile(fields), storage, ..Context::default() };
        place(&pod, &all, &context).unwrap_err().to_string()
    };
    let unbound = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
    assert_eq!(said(json!({})), unbound);
    let used = "0/1 nodes are available: 1 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode.";
    assert_eq!(said(without("multiPoint", "VolumeBinding")), used);
}
