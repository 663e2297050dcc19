use super::*;
use crate::Instance;
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

fn of(metadata: Value, spec: Value) -> Vec<String> {
    let mut metadata = metadata;
    metadata["name"] = json!("p");
    of_pod(&serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap())
}

#[test]
fn ports_that_clash_are_not_told_pair_by_pair_for_ever() {
    let ports: Vec<Value> = (0..2000).map(|_| json!({"containerPort": 80})).collect();
    let said = of(json!({}), json!({"containers": [{"name": "c", "ports": ports}]}));
    assert_eq!(said.iter().filter(|said| said.contains("duplicate port definition")).count(), 100);
}

#[test]
fn what_is_most_likely_not_meant_is_said() {
    let one = |field: &str, value: Value| {
        let mut container = json!({"name": "c"});
        container[field] = value;
        json!({"containers": [container]})
    };
    let volume = |source: Value| {
        let mut volume = source;
        volume["name"] = json!("v");
        json!({"containers": [], "volumes": [volume]})
    };
    let cases: &[(&str, Value, Value, &[&str])] = &[
        ("nothing", json!({}), one("env", json!([{"name": "A", "value": "1"}])), &[]),
        (
            "a hidden variable",
            json!({}),
            one("env", json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}])),
            &[
                "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
            ],
        ),
        (
            "a variable that builds upon the one before",
            json!({}),
            one(
                "env",
                json!([{"name": "PATH", "value": "/bin"}, {"name": "PATH", "value": "$(PATH):/sbin"}]),
            ),
            &[],
        ),
        (
            "a port twice",
            json!({}),
            json!({"containers": [{"name": "a", "ports": [{"containerPort": 80}]}, {"name": "b", "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]}]}),
            &["spec.containers[1].ports[0]: duplicate port definition with spec.containers[0].ports[0]"],
        ),
        (
            "host ports that overlap",
            json!({}),
            one(
                "ports",
                json!([{"containerPort": 80, "hostPort": 80}, {"containerPort": 80, "hostPort": 80, "hostIP": "10.0.0.1"}, {"containerPort": 80, "hostIP": "10.0.0.1"}]),
            ),
            &[
                "spec.containers[0].ports[1]: dangerously ambiguous port definition with spec.containers[0].ports[0]",
                "spec.containers[0].ports[2]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:80 Protocol:TCP HostIP:10.0.0.1}",
                "spec.containers[0].ports[2]: overlapping port definition with spec.containers[0].ports[0]",
                "spec.containers[0].ports[2]: overlapping port definition with spec.containers[0].ports[1]",
            ],
        ),
        (
            "a port's name twice",
            json!({}),
            json!({"initContainers": [{"name": "s", "restartPolicy": "Always", "ports": [{"containerPort": 1, "name": "http"}]}, {"name": "i", "ports": [{"containerPort": 2, "name": "http"}]}],
                "containers": [{"name": "a", "ports": [{"containerPort": 3, "name": "http"}]}]}),
            &[
                "spec.containers[0].ports[0]: duplicate port name \"http\" with spec.initContainers[0].ports[0], services and probes that select ports by name will use spec.initContainers[0].ports[0]",
            ],
        ),
        (
            "an eighth of a byte",
            json!({}),
            one(
                "resources",
                json!({"limits": {"memory": "128m", "cpu": "100m"}, "requests": {"ephemeral-storage": "1.5"}}),
            ),
            &[
                "spec.containers[0].resources.limits[memory]: fractional byte value \"128m\" is invalid, must be an integer",
                "spec.containers[0].resources.requests[ephemeral-storage]: fractional byte value \"1500m\" is invalid, must be an integer",
            ],
        ),
        (
            "dead annotations",
            json!({"annotations": {"scheduler.alpha.kubernetes.io/critical-pod": "", "seccomp.security.alpha.kubernetes.io/pod": "x",
                "container.apparmor.security.beta.kubernetes.io/c": "runtime/default"}}),
            one("image", json!("i")),
            &[
                "metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the \"priorityClassName\" field instead",
                "metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the \"seccompProfile\" field instead",
                "metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since v1.30; use the \"appArmorProfile\" field instead",
            ],
        ),
        (
            "labels of nodes that have other names now",
            json!({}),
            json!({"containers": [], "nodeSelector": {"beta.kubernetes.io/os": "linux"},
                "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {"matchExpressions": [{"key": "beta.kubernetes.io/arch", "operator": "In", "values": ["-1"]}]}}]}}}),
            &[
                "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
                "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].key: beta.kubernetes.io/arch is deprecated since v1.14; use \"kubernetes.io/arch\" instead",
                "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].values[0]: -1 is invalid, a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ],
        ),
        (
            "selectors that are none",
            json!({}),
            json!({"containers": [], "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "k", "whenUnsatisfiable": "DoNotSchedule"}],
                "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "k"}]}}}),
            &[
                "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
                "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: a null labelSelector results in matching no pod",
            ],
        ),
        (
            "entries twice",
            json!({}),
            json!({"containers": [], "hostAliases": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}], "imagePullSecrets": [{"name": "s"}, {"name": "s"}, {"name": ""}]}),
            &[
                "spec.hostAliases[1].ip: duplicate ip \"1.1.1.1\"",
                "spec.imagePullSecrets[1].name: duplicate name \"s\"",
                "spec.imagePullSecrets[2].name: invalid empty name \"\"",
            ],
        ),
        (
            "a volume that nobody serves any more",
            json!({}),
            volume(json!({"glusterfs": {"endpoints": "e", "path": "p"}})),
            &["spec.volumes[0].glusterfs: deprecated in v1.25, non-functional in v1.26+"],
        ),
        (
            "paths of one volume",
            json!({}),
            volume(
                json!({"configMap": {"name": "m", "items": [{"key": "a", "path": "test"}, {"key": "b", "path": "test/app"}, {"key": "c", "path": "testing"}]}}),
            ),
            &["volume \"v\" (ConfigMap \"m\"): overlapping paths: \"test/app\" with \"test\""],
        ),
        (
            "paths of several sources",
            json!({}),
            volume(
                json!({"projected": {"sources": [{"secret": {"name": "s", "items": [{"key": "a", "path": "x"}]}}, {"serviceAccountToken": {"path": "x/"}}, {}]}}),
            ),
            &[
                "volume \"v\" (Projected ServiceAccountToken): overlapping paths: \"x\" with \"x\"",
                "volume \"v\" (Projected) has no sources provided",
            ],
        ),
        (
            "time that runs backwards",
            json!({}),
            json!({"containers": [], "terminationGracePeriodSeconds": -1}),
            &[
                "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
            ],
        ),
    ];
    for (name, metadata, spec, want) in cases {
        assert_eq!(of(metadata.clone(), spec.clone()), *want, "{name}");
    }
}

#[test]
fn a_template_is_warned_of_when_it_is_new_or_changes() {
    let web = |name: &str, image: &str| -> Deployment {
        let env = json!([{"name": "A"}, {"name": "A"}]);
        let template = json!({"spec": {"containers": [{"name": "c", "image": image, "env": env}]}});
        serde_json::from_value(
            json!({"metadata": {"name": name}, "spec": {"selector": {}, "template": template}}),
        )
        .unwrap()
    };
    let hidden = "spec.template.spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply";
    let new: &dyn Instance = &web("web", "i");
    assert_eq!(new.warnings(None), [hidden]);
    assert!(new.warnings(Some(&web("web", "i"))).is_empty(), "nothing changed");
    assert_eq!(new.warnings(Some(&web("web", "j"))), [hidden]);
    let dotted: &dyn Instance = &web("web.v1", "i");
    let said = dotted.warnings(None);
    assert!(said.iter().any(|w| w.starts_with("metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]")), "{said:?}");
    assert_eq!(dotted.warnings(Some(&web("web.v1", "j"))), [hidden], "a name is said once");
}
