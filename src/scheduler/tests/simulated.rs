//! What becomes of pods in a cluster of sixty nodes of several kinds: where they go, or what is said of them, which is what
//! `kubectl describe` shows. The sentences are upstream's, its counts and their order too (as texts: `12 …` stands before
//! `2 …`).

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use scheduler::{Context, NoPreemption, PodInfo, Preemption, Snapshot, Storage, place, preempt};
use serde_json::{Value, json};
use std::sync::Arc;
use testkit::objects;

const NODES: usize = 60;

/// `n00` to `n59`, in three zones. Each fifth has a GPU's taint and two GPUs, two are cordoned, each fourth has huge pages.
fn nodes() -> Snapshot {
    let mut all = Snapshot::default();
    for number in 0..NODES {
        let name = format!("n{number:02}");
        let zone = format!("z{}", number % 3);
        let labels = json!({"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone,
            "disk": if number % 2 == 0 { "ssd" } else { "hdd" }});
        let allocatable = json!({"cpu": "4", "memory": "8Gi", "pods": "10", "ephemeral-storage": "100Gi",
            "example.com/gpu": if number % 5 == 0 { "2" } else { "0" },
            "hugepages-2Mi": if number % 4 == 3 { "64Mi" } else { "0" }});
        let taints =
            if number % 5 == 0 { json!([{"key": "gpu", "effect": "NoSchedule"}]) } else { json!([]) };
        let spec = json!({"taints": taints, "unschedulable": number == 1 || number == 2});
        let node = objects::node(&name).labels(&labels).spec(&spec);
        all.set_node(Arc::new(node.status(&json!({"allocatable": allocatable})).build()));
    }
    all
}

/// With these pods: a name, a node, and what else there is of it.
fn with(pods: &[(&str, &str, Value)]) -> Snapshot {
    let mut all = nodes();
    for (number, (name, node, more)) in pods.iter().enumerate() {
        let made = objects::pod(name).uid(&format!("{name}-{number}")).label("app", name).with(more);
        all.set_pod(Arc::new(PodInfo::of(Arc::new(made.on(node).build()))));
    }
    all
}

fn pod(spec: Value) -> Pod {
    let mut whole = json!({"containers": [{"name": "c", "image": "i"}]});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    objects::pod("p").uid("p").label("app", "p").with(&json!({"spec": whole})).build()
}

fn asks(requests: Value) -> Value {
    json!({"containers": [{"name": "c", "image": "i", "resources": {"requests": requests}}]})
}

fn also(mut spec: Value, more: Value) -> Value {
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// Where it goes, or what is said: as the events have it.
fn outcome(pod: Pod, all: &Snapshot, context: &Context) -> String {
    let pod = PodInfo::of(Arc::new(pod));
    match place(&pod, all, context) {
        Ok(placement) => placement.node,
        Err(refused) => match preempt(&pod, all, context, &refused, &[]) {
            Ok(Preemption { node, .. }) => format!("{refused} (preempts on {node})"),
            Err(NoPreemption { why, .. }) => format!("{refused} preemption: {why}"),
        },
    }
}

#[test]
fn what_is_said_where_no_node_will_do() {
    let tolerant = || json!({"tolerations": [{"operator": "Exists"}]});
    let other = "12 node(s) had untolerated taint(s), 2 node(s) were unschedulable";
    let useless = "preemption: 0/60 nodes are available: 60 Preemption is not helpful for scheduling.";
    let no_victims = "preemption: 0/60 nodes are available: 14 Preemption is not helpful for scheduling, 46 No preemption victims found for incoming pod.";
    let only = |name: &str| {
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}]}}}})
    };
    let nowhere = json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n07"]},
            {"key": "metadata.name", "operator": "In", "values": ["n08"]}]}]}}}});
    let spread = |key: &str| {
        json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "p"}}}]})
    };
    let term = |app: &str, key: &str| json!({"requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key}]});
    let zone = "topology.kubernetes.io/zone";
    let one_in_each_zone = |more: Value| -> Vec<(&str, &str, Value)> {
        ["n03", "n04", "n08"].map(|node| ("db", node, more.clone())).into()
    };
    let everywhere = |more: Value| -> Vec<(String, Value)> {
        (0..NODES).map(|number| (format!("n{number:02}"), more.clone())).collect()
    };
    let port =
        json!({"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]}});
    let ports = everywhere(port.clone());
    let ports: Vec<(&str, &str, Value)> =
        ports.iter().map(|(node, more)| ("web", node.as_str(), more.clone())).collect();
    let ten: Vec<(String, Value)> = (0..10).flat_map(|_| everywhere(json!({}))).collect();
    let ten: Vec<(&str, &str, Value)> =
        ten.iter().map(|(node, more)| ("x", node.as_str(), more.clone())).collect();
    let init = json!({"initContainers": [{"name": "i", "resources": {"requests": {"cpu": "5"}}}]});
    let sidecar = json!({"initContainers": [{"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1500m"}}}]});
    let cases: Vec<(&str, Value, Vec<(&str, &str, Value)>, String)> = vec![
        (
            "more than any node has",
            asks(json!({"cpu": "5"})),
            vec![],
            format!("0/60 nodes are available: {other}, 46 Insufficient cpu. {useless}"),
        ),
        (
            "more than is left",
            asks(json!({"cpu": "4", "memory": "8Gi"})),
            everywhere_with_cpu(),
            format!("0/60 nodes are available: {other}, 46 Insufficient cpu. {no_victims}"),
        ),
        (
            "several amounts",
            asks(json!({"cpu": "5", "memory": "9Gi", "ephemeral-storage": "101Gi"})),
            vec![],
            format!(
                "0/60 nodes are available: {other}, 46 Insufficient cpu, 46 Insufficient ephemeral-storage, 46 Insufficient memory. {useless}"
            ),
        ),
        (
            "extended resources",
            also(asks(json!({"example.com/gpu": "3"})), tolerant()),
            vec![],
            format!("0/60 nodes are available: 60 Insufficient example.com/gpu. {useless}"),
        ),
        (
            "huge pages",
            asks(json!({"hugepages-2Mi": "128Mi"})),
            vec![],
            format!("0/60 nodes are available: {other}, 46 Insufficient hugepages-2Mi. {useless}"),
        ),
        (
            "an init container asks for more than all others",
            also(asks(json!({"cpu": "1"})), init),
            vec![],
            format!("0/60 nodes are available: {other}, 46 Insufficient cpu. {useless}"),
        ),
        (
            "a sidecar runs beside the others, and the overhead comes on top",
            also(also(asks(json!({"cpu": "2"})), sidecar), json!({"overhead": {"cpu": "600m"}})),
            vec![],
            format!("0/60 nodes are available: {other}, 46 Insufficient cpu. {useless}"),
        ),
        (
            "a pod's own amount counts, not the sum",
            also(asks(json!({"cpu": "1"})), json!({"resources": {"requests": {"cpu": "5"}}})),
            vec![],
            format!("0/60 nodes are available: {other}, 46 Insufficient cpu. {useless}"),
        ),
        (
            "as many pods as there may be",
            json!({}),
            ten,
            format!("0/60 nodes are available: {other}, 46 Too many pods. {no_victims}"),
        ),
        (
            "a label that no node has",
            json!({"nodeSelector": {"disk": "tape"}}),
            vec![],
            format!(
                "0/60 nodes are available: {other}, 46 node(s) didn't match Pod's node affinity/selector. {useless}"
            ),
        ),
        (
            "the one node that it names is too small",
            also(asks(json!({"cpu": "5"})), only("n07")),
            vec![],
            format!(
                "0/60 nodes are available: 1 Insufficient cpu, 59 node(s) didn't satisfy plugin(s) [NodeAffinity]. {useless}"
            ),
        ),
        (
            "it names nodes that can not be",
            nowhere,
            vec![],
            format!("0/60 nodes are available: pod affinity terms conflict. {useless}"),
        ),
        (
            "its port is taken",
            port["spec"].clone(),
            ports,
            format!(
                "0/60 nodes are available: {other}, 46 node(s) didn't have free ports for the requested pod ports. {no_victims}"
            ),
        ),
        (
            "no node is in such a domain",
            spread("rack"),
            vec![],
            format!(
                "0/60 nodes are available: {other}, 46 node(s) didn't match pod topology spread constraints (missing required label). {useless}"
            ),
        ),
        (
            "nobody is there with whom it goes",
            json!({"affinity": {"podAffinity": term("cache", zone)}}),
            vec![],
            format!(
                "0/60 nodes are available: {other}, 46 node(s) didn't match pod affinity rules. {useless}"
            ),
        ),
        (
            "in each zone there is one whom it avoids",
            json!({"affinity": {"podAntiAffinity": term("db", zone)}}),
            one_in_each_zone(json!({})),
            format!(
                "0/60 nodes are available: {other}, 46 node(s) didn't match pod anti-affinity rules. {no_victims}"
            ),
        ),
        (
            "in each zone there is one who avoids it",
            json!({}),
            one_in_each_zone(json!({"spec": {"affinity": {"podAntiAffinity": term("p", zone)}}})),
            format!(
                "0/60 nodes are available: {other}, 46 node(s) didn't satisfy existing pods anti-affinity rules. {no_victims}"
            ),
        ),
        (
            "it never preempts",
            also(asks(json!({"cpu": "5"})), json!({"preemptionPolicy": "Never"})),
            vec![],
            format!(
                "0/60 nodes are available: {other}, 46 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."
            ),
        ),
        (
            "it has no claim",
            json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}),
            vec![],
            format!("0/60 nodes are available: persistentvolumeclaim \"data\" not found. {useless}"),
        ),
    ];
    for (name, spec, pods, want) in cases {
        assert_eq!(outcome(pod(spec), &with(&pods), &Context::default()), want, "{name}");
    }
    let none = outcome(pod(json!({})), &Snapshot::default(), &Context::default());
    assert!(none.starts_with("no nodes available to schedule pods"), "{none}");
}

/// Each node's CPU is taken by one who is as important.
fn everywhere_with_cpu() -> Vec<(&'static str, &'static str, Value)> {
    (0..NODES)
        .map(|number| {
            let name: &'static str = Box::leak(format!("n{number:02}").into_boxed_str());
            ("x", name, json!({"spec": asks(json!({"cpu": "1"}))}))
        })
        .collect()
}

/// Of 200 pods that are alike, each bound before the next is looked at, how many come to nodes of which kind.
#[test]
fn where_pods_go() {
    let kinds: [(&str, fn(usize) -> bool); 4] = [
        ("gpu", |node| node.is_multiple_of(5)),
        ("ssd", |node| node.is_multiple_of(2)),
        ("cordoned", |node| node == 1 || node == 2),
        ("z0", |node| node.is_multiple_of(3)),
    ];
    let prefers = json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}}]}}});
    let by_zone = json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "p"}}}]});
    let gpu = also(
        asks(json!({"example.com/gpu": "1"})),
        json!({"tolerations": [{"key": "gpu", "operator": "Exists"}]}),
    );
    // how many are placed at all, and how many of those on nodes of the kinds above
    let cases = [
        // 46 nodes with room for 10 each; n04, n06, … have an SSD, n03, n06, … are in the zone
        ("plain", asks(json!({"cpu": "100m"})), 200, [0..=0, 50..=150, 0..=0, 30..=110]),
        (
            "prefers a disk",
            also(asks(json!({"cpu": "100m"})), prefers),
            200,
            [0..=0, 150..=200, 0..=0, 30..=110],
        ),
        (
            "must be spread",
            also(asks(json!({"cpu": "100m"})), by_zone),
            200,
            [0..=0, 50..=150, 0..=0, 66..=67],
        ),
        ("wants a GPU", gpu, 24, [24..=24, 12..=12, 0..=0, 8..=8]),
        ("as much as a node has", asks(json!({"cpu": "4"})), 46, [0..=0, 23..=23, 0..=0, 16..=16]),
    ];
    for (name, spec, want, want_of_kinds) in cases {
        let (mut all, mut context, mut placed) = (nodes(), Context::default(), Vec::new());
        for number in 0..200 {
            let mut pod = pod(spec.clone());
            (pod.metadata.name, pod.metadata.uid) = (Some(format!("p{number}")), Some(format!("p{number}")));
            let Ok(found) = place(&PodInfo::of(Arc::new(pod.clone())), &all, &context) else { continue };
            context.start = (context.start + found.evaluated) % NODES;
            placed.push(found.node[1..].parse::<usize>().unwrap());
            pod.spec.get_or_insert_default().node_name = Some(found.node);
            all.set_pod(Arc::new(PodInfo::of(Arc::new(pod))));
        }
        assert_eq!(placed.len(), want, "{name}");
        for ((kind, is_of), want) in kinds.iter().zip(want_of_kinds) {
            let count = placed.iter().filter(|node| is_of(**node)).count();
            assert!(want.contains(&count), "{name}: {count} on {kind}, not {want:?}");
        }
        // room is used evenly, and nobody has more than there is
        let most = (0..NODES).map(|node| placed.iter().filter(|at| **at == node).count()).max();
        assert!(most <= Some(if name == "prefers a disk" { 10 } else { 8 }), "{name}: {most:?}");
    }
}

/// Of several nodes on which somebody could go, the one is chosen whose victims are missed least.
#[test]
fn who_goes_in_a_full_cluster() {
    let filler = |priority: i32, cpu: &str, minute: usize| {
        json!({"metadata": {"labels": {"app": "filler"}}, "spec": also(asks(json!({"cpu": cpu})), json!({"priority": priority})),
            "status": {"startTime": format!("2026-01-01T00:{minute:02}:00Z")}})
    };
    // all nodes are full with pods of priority 50, started one minute after the other, and one node differs
    let full = |special: &[(&'static str, Value)]| -> Snapshot {
        let mut pods: Vec<(&str, &str, Value)> = Vec::new();
        for number in 0..NODES {
            let name: &'static str = Box::leak(format!("n{number:02}").into_boxed_str());
            let own: Vec<_> = special.iter().filter(|(node, _)| *node == name).collect();
            match own.is_empty() {
                true => pods.push(("x", name, filler(50, "4", number))),
                false => pods.extend(own.into_iter().map(|(_, more)| ("y", name, more.clone()))),
            }
        }
        with(&pods)
    };
    let urgent = || pod(also(asks(json!({"cpu": "3"})), json!({"priority": 100})));
    let cases = [
        ("the one that started last", vec![], "n59"),
        ("one of lower priority", vec![("n33", filler(49, "4", 1))], "n33"),
        ("one instead of two", vec![("n59", filler(50, "2", 59)), ("n59", filler(50, "2", 59))], "n58"),
        ("a smaller sum", vec![("n33", filler(50, "3", 59)), ("n33", filler(1, "1", 59))], "n33"),
        ("nobody who is as important", vec![("n59", filler(100, "4", 59))], "n58"),
    ];
    for (name, special, want) in cases {
        let said = outcome(urgent(), &full(&special), &Context::default());
        assert!(said.ends_with(&format!("(preempts on {want})")), "{name}: {said}");
    }
}

#[test]
fn a_claim_that_one_pod_alone_may_use() {
    let claim = |modes: Value| -> Storage {
        let claim: PersistentVolumeClaim = serde_json::from_value(json!({"metadata": {"name": "data", "namespace": "default",
            "annotations": {"pv.kubernetes.io/bind-completed": "yes"}}, "spec": {"volumeName": "v", "accessModes": modes}})).unwrap();
        let volume = serde_json::from_value(json!({"metadata": {"name": "v"}, "spec": {}})).unwrap();
        Storage { claims: [("data".to_owned(), claim)].into(), volumes: vec![volume], ..Storage::default() }
    };
    let uses = json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]});
    let all = with(&[("other", "n07", json!({"spec": uses}))]);
    let said = |modes: Value, priority: i32| {
        let context = Context { storage: claim(modes), ..Context::default() };
        outcome(pod(also(uses.clone(), json!({"priority": priority}))), &all, &context)
    };
    assert!(said(json!(["ReadWriteOnce"]), 0).starts_with('n'));
    let refused =
        "46 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode.";
    assert!(said(json!(["ReadWriteOncePod"]), 0).contains(refused));
    // who is more important takes it from the other, where that one runs
    assert!(said(json!(["ReadWriteOncePod"]), 9).ends_with("(preempts on n07)"));
}

#[test]
fn a_driver_attaches_no_more_than_it_can() {
    let volume = |handle: &str| json!({"name": handle, "csi": {"driver": "d"}});
    let own = ("d".to_owned(), "p/new".to_owned());
    let mut storage = Storage::default();
    for number in 0..NODES {
        let limits = Arc::make_mut(&mut storage.attached.limits);
        limits.insert(format!("n{number:02}"), [("d".to_owned(), 1)].into());
    }
    storage.attached.own = vec![own.clone()];
    let claim: PersistentVolumeClaim =
        serde_json::from_value(json!({"metadata": {"name": "data", "namespace": "default",
        "annotations": {"pv.kubernetes.io/bind-completed": "yes"}}, "spec": {"volumeName": "v"}}))
        .unwrap();
    storage.claims.insert("data".to_owned(), claim);
    storage.volumes = vec![serde_json::from_value(json!({"metadata": {"name": "v"}, "spec": {}})).unwrap()];
    let pods: Vec<(&str, &str, Value)> = everywhere_with_cpu()
        .into_iter()
        .filter(|(_, node, _)| *node != "n07")
        .map(|(name, node, _)| (name, node, json!({"spec": {"volumes": [volume("v")]}})))
        .collect();
    for number in 0..pods.len() {
        let of_pods = Arc::make_mut(&mut storage.attached.of_pods);
        of_pods.insert(format!("x-{number}"), vec![("d".to_owned(), format!("x/{number}"))]);
    }
    let uses = || pod(json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}));
    let mut context = Context { storage, ..Context::default() };
    let all = with(&pods);
    assert_eq!(outcome(uses(), &all, &context), "n07");
    // the same volume twice is one
    Arc::make_mut(&mut context.storage.attached.of_pods).insert("x-3".to_owned(), vec![own]);
    assert!(["n03", "n07"].contains(&outcome(uses(), &all, &context).as_str()));
    // where none can be attached, one that is there still does
    let limits = Arc::make_mut(&mut context.storage.attached.limits);
    limits.values_mut().for_each(|of| *of = [("d".to_owned(), 0)].into());
    assert!(outcome(uses(), &all, &context).starts_with("n03"));
    Arc::make_mut(&mut context.storage.attached.of_pods).clear();
    let full = "46 node(s) exceed max volume count. preemption:";
    assert!(outcome(uses(), &all, &context).contains(full));
}
