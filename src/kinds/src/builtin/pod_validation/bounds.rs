//! How much a pod may list. Upstream has no such limits but that of a request's size, and an element of a list is many times as
//! large in memory as it is written. These are far beyond what anybody runs.

use super::super::checks::list;
use crate::ErrorList;
use k8s_openapi::api::core::v1::{Affinity, PodSpec};
use std::fmt::Display;

/// Of each list of a pod.
const MOST: usize = 1_000;
/// Of all containers together.
const SUMS: [(&str, usize); 5] = [
    ("env", 10_000),
    ("envFrom", MOST),
    ("ports", 10_000),
    ("volumeDevices", MOST),
    ("volumeMounts", 10_000),
];

pub(super) fn bounds(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    let lists = [
        ("containers", spec.containers.len()),
        ("ephemeralContainers", list(&spec.ephemeral_containers).len()),
        ("hostAliases", list(&spec.host_aliases).len()),
        ("imagePullSecrets", list(&spec.image_pull_secrets).len()),
        ("initContainers", list(&spec.init_containers).len()),
        ("readinessGates", list(&spec.readiness_gates).len()),
        ("resourceClaims", list(&spec.resource_claims).len()),
        ("schedulingGates", list(&spec.scheduling_gates).len()),
        ("tolerations", list(&spec.tolerations).len()),
        ("topologySpreadConstraints", list(&spec.topology_spread_constraints).len()),
        ("volumes", list(&spec.volumes).len()),
    ];
    for (field, count) in lists {
        at_most(MOST, count, format_args!("{at}.{field}"), errors);
    }
    if let Some(affinity) = &spec.affinity {
        terms(affinity, &format!("{at}.affinity"), errors);
    }
    let mut sources = 0;
    for (index, volume) in list(&spec.volumes).iter().enumerate() {
        let projected = volume.projected.as_ref().map_or(0, |projected| list(&projected.sources).len());
        add(&mut sources, projected, MOST, format_args!("{at}.volumes[{index}].projected.sources"), errors);
    }
    of_containers(spec, at, errors);
}

fn of_containers(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    // of both types of containers, in the order of [`SUMS`].
    macro_rules! counts {
        ($name:literal, $containers:expr) => {
            $containers.iter().enumerate().map(|(index, container)| {
                let counts = [
                    list(&container.env).len(),
                    list(&container.env_from).len(),
                    list(&container.ports).len(),
                    list(&container.volume_devices).len(),
                    list(&container.volume_mounts).len(),
                ];
                ($name, index, counts)
            })
        };
    }
    let all = counts!("initContainers", list(&spec.init_containers))
        .chain(counts!("containers", spec.containers))
        .chain(counts!("ephemeralContainers", list(&spec.ephemeral_containers)));
    let mut sums = [0; SUMS.len()];
    for (name, index, counts) in all {
        for (((field, most), sum), count) in SUMS.iter().zip(&mut sums).zip(counts) {
            add(sum, count, *most, format_args!("{at}.{name}[{index}].{field}"), errors);
        }
    }
}

fn terms(affinity: &Affinity, at: &str, errors: &mut ErrorList) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    if let Some(node) = &affinity.node_affinity {
        let required = node.required_during_scheduling_ignored_during_execution.as_ref();
        let required = required.map_or(0, |selector| selector.node_selector_terms.len());
        let preferred = list(&node.preferred_during_scheduling_ignored_during_execution).len();
        at_most(MOST, required, format_args!("{at}.nodeAffinity.{REQUIRED}.nodeSelectorTerms"), errors);
        at_most(MOST, preferred, format_args!("{at}.nodeAffinity.{PREFERRED}"), errors);
    }
    if let Some(pods) = &affinity.pod_affinity {
        let required = list(&pods.required_during_scheduling_ignored_during_execution).len();
        let preferred = list(&pods.preferred_during_scheduling_ignored_during_execution).len();
        at_most(MOST, required, format_args!("{at}.podAffinity.{REQUIRED}"), errors);
        at_most(MOST, preferred, format_args!("{at}.podAffinity.{PREFERRED}"), errors);
    }
    if let Some(pods) = &affinity.pod_anti_affinity {
        let required = list(&pods.required_during_scheduling_ignored_during_execution).len();
        let preferred = list(&pods.preferred_during_scheduling_ignored_during_execution).len();
        at_most(MOST, required, format_args!("{at}.podAntiAffinity.{REQUIRED}"), errors);
        at_most(MOST, preferred, format_args!("{at}.podAntiAffinity.{PREFERRED}"), errors);
    }
}

fn at_most(most: usize, count: usize, field: impl Display, errors: &mut ErrorList) {
    if count > most {
        errors.too_many(field, count, most);
    }
}

/// Told once, of the list with which the sum becomes too large.
fn add(sum: &mut usize, count: usize, most: usize, field: impl Display, errors: &mut ErrorList) {
    let before = *sum;
    *sum += count;
    if before <= most {
        at_most(most, *sum, field, errors);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn many(count: usize, one: impl Fn(usize) -> Value) -> Value {
        (0..count).map(one).collect()
    }

    #[test]
    fn a_pod_lists_no_more_than_anybody_needs() {
        let volumes = |count| json!({"volumes": many(count, |n| json!({"name": format!("v{n}")}))});
        let env = |count| many(count, |n| json!({"name": format!("A{n}")}));
        let two = |first, second, added| {
            json!({
                "initContainers": [{"name": "i", "env": env(first)}],
                "containers": [{"name": "c", "env": env(second)}, {"name": "d", "env": env(1)}],
                "ephemeralContainers": [{"name": "e", "env": env(added)}],
            })
        };
        let sources =
            |count| json!({"name": "v", "projected": {"sources": many(count, |_| json!({"secret": {}}))}});
        let term = |_: usize| json!({"topologyKey": "k"});
        let anti = |count| {
            json!({"affinity": {"podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": many(count, term)}}})
        };
        let too_many = |field: &str, count: usize, most: usize| {
            format!("s.{field}: Too many: {count}: must have at most {most} items")
        };
        let cases = [
            ("as many volumes as may be", volumes(1_000), String::new()),
            ("too many volumes", volumes(1_001), too_many("volumes", 1_001, 1_000)),
            ("as many variables as may be", two(4_000, 5_000, 999), String::new()),
            (
                "together too many, and told once",
                two(6_000, 5_000, 1),
                too_many("containers[0].env", 11_000, 10_000),
            ),
            (
                "with those that were added",
                two(5_000, 4_999, 1),
                too_many("ephemeralContainers[0].env", 10_001, 10_000),
            ),
            (
                "sources of several volumes",
                json!({"volumes": [sources(600), sources(400), sources(1)]}),
                too_many("volumes[2].projected.sources", 1_001, 1_000),
            ),
            (
                "terms",
                anti(1_001),
                too_many(
                    "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution",
                    1_001,
                    1_000,
                ),
            ),
        ];
        for (name, mut given, want) in cases {
            given.as_object_mut().unwrap().entry("containers").or_insert_with(|| json!([]));
            let spec: PodSpec = serde_json::from_value(given).unwrap();
            let mut errors = ErrorList::default();
            bounds(&spec, "s", &mut errors);
            let said: Vec<String> =
                errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            assert_eq!(said.join("; "), want, "{name}");
        }
    }
}
