//! Other processors and memory for a pod while it runs (KEP-1287): what its containers are given meanwhile, and whether there is
//! room for what it asks. Pure.

use crate::quantity::{milli_of, value_of};
use crate::requests::{Allocation, Amounts, Pending, Requests, Shortage, shortage};
use crate::view::View;
use crate::{labels, pod};
use cri::{ContainerState, ContainerStatus, Resources};
use k8s_openapi::api::core::v1::{Container, ContainerResizePolicy, Pod, PodSpec, ResourceRequirements};
use serde::Serialize;

/// What a resize changes.
const RESIZED: [&str; 2] = ["cpu", "memory"];

/// As the spec asks.
pub fn asked(spec: &PodSpec) -> Allocation {
    let containers = pod::init_containers(spec).iter().chain(&spec.containers);
    containers.map(|c| (c.name.clone(), c.resources.clone().unwrap_or_default())).collect()
}

/// Whether each container is given to the letter what the spec asks.
pub fn is_as_asked(spec: &PodSpec, given: &Allocation) -> bool {
    let none = ResourceRequirements::default();
    let mut containers = pod::init_containers(spec).iter().chain(&spec.containers);
    containers.all(|c| given.get(&c.name) == Some(c.resources.as_ref().unwrap_or(&none)))
}

/// As it was given before this process began: that was told with its status.
pub fn given_before(pod: &Pod) -> Allocation {
    let mut given = asked(pod::spec(pod));
    let Some(status) = &pod.status else { return given };
    let told = status.init_container_statuses.iter().flatten();
    for told in told.chain(status.container_statuses.iter().flatten()) {
        if let Some(given) = given.get_mut(&told.name) {
            *given = told.resources.clone().unwrap_or_default();
        }
    }
    given
}

/// Whether both come to the same, in whatever units.
pub fn is_same(one: &Allocation, other: &Allocation) -> bool {
    one.len() == other.len()
        && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| sizes(one) == sizes(other)))
}

/// The processors and memory that are requested, and those that are the limit.
fn sizes(of: &ResourceRequirements) -> [Option<i64>; 4] {
    let (requests, limits) = (of.requests.as_ref(), of.limits.as_ref());
    [
        milli_of(requests, "cpu"),
        value_of(requests, "memory"),
        milli_of(limits, "cpu"),
        value_of(limits, "memory"),
    ]
}

/// The pod with what is given in the place of what it asks for.
pub fn as_given(pod: &Pod, given: &Allocation) -> Pod {
    let mut pod = pod.clone();
    if let Some(spec) = &mut pod.spec {
        for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
            if let Some(given) = given.get(&container.name) {
                container.resources = Some(given.clone());
            }
        }
    }
    pod
}

/// Why there is no room for what a pod asks, beside what the others on its node were given; in upstream's words.
pub fn no_room<'p>(
    pod: &Pod,
    others: impl Iterator<Item = &'p Requests> + Clone,
    allocatable: &Amounts,
) -> Option<Pending> {
    let asked = kinds::pod::requests(pod::spec(pod));
    if let Some(short) = shortage(&asked, std::iter::empty(), allocatable, &RESIZED) {
        let Shortage { name, asked, has, .. } = short;
        let message =
            format!("Node didn't have enough capacity: {name}, requested: {asked}, capacity: {has}");
        return Some(Pending { reason: "Infeasible", message });
    }
    let short = shortage(&asked, others, allocatable, &RESIZED)?;
    Some(Pending { reason: "Deferred", message: short.to_string() })
}

/// What an event tells of a resize: what all containers are to have, since which generation of the pod, and what stands in
/// the way; upstream's `podResizeMessage`.
pub fn event(what: &str, pod: &Pod, generation: i64, error: Option<&str>) -> String {
    let summaries = |containers: &[Container]| {
        let summary = |container: &Container| ContainerSummary {
            name: container.name.clone(),
            resources: container.resources.clone().unwrap_or_default(),
        };
        containers.iter().map(summary).collect::<Vec<_>>()
    };
    let spec = pod::spec(pod);
    let summary = Summary {
        init_containers: summaries(pod::init_containers(spec)),
        containers: summaries(&spec.containers),
        generation,
        error,
    };
    match serde_json::to_string(&summary) {
        Ok(summary) => format!("Pod resize {what}: {summary}"),
        Err(_) => format!("Pod resize {what}"),
    }
}

/// In the order in which upstream writes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    init_containers: Vec<ContainerSummary>,
    containers: Vec<ContainerSummary>,
    generation: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct ContainerSummary {
    name: String,
    resources: ResourceRequirements,
}

/// What a container was made with.
pub fn made_with(status: &ContainerStatus) -> Option<ResourceRequirements> {
    serde_json::from_str(status.annotations.get(labels::RESOURCES)?).ok()
}

/// What a container runs with, where that is something else than it is given.
pub fn outdated<'v>(view: View<'v>, status: &ContainerStatus) -> Option<&'v ResourceRequirements> {
    let (applied, given) = (view.memory.applied.get(&status.id)?, view.memory.given.get(&status.name)?);
    let runs = matches!(status.state, ContainerState::Running { .. });
    (runs && sizes(applied) != sizes(given)).then_some(applied)
}

/// The containers that run with something else than they are given, and what they run with. Those that run to their end before
/// the others are not resized.
pub fn all_outdated<'v>(
    view: View<'v>,
) -> impl Iterator<Item = (&'v Container, &'v ContainerStatus, &'v ResourceRequirements)> {
    let spec = pod::spec(view.pod);
    let all = pod::init_containers(spec).iter().filter(|c| pod::is_sidecar(c)).chain(&spec.containers);
    all.filter_map(move |container| {
        let status = view.latest_in(&container.name, &view.current()?.id)?;
        Some((container, status, outdated(view, status)?))
    })
}

/// Whether the container wants to be begun anew for this change.
pub fn needs_restart(
    policies: Option<&[ContainerResizePolicy]>,
    old: &ResourceRequirements,
    new: &ResourceRequirements,
) -> bool {
    let restarts = |name: &str| {
        policies
            .iter()
            .copied()
            .flatten()
            .any(|p| p.resource_name == name && p.restart_policy == "RestartContainer")
    };
    let ([cpu, memory, cpus, most], [old_cpu, old_memory, old_cpus, old_most]) = (sizes(new), sizes(old));
    (restarts("cpu") && (cpu, cpus) != (old_cpu, old_cpus))
        || (restarts("memory") && (memory, most) != (old_memory, old_most))
}

/// The larger of both: what a pod needs while its containers change one after the other.
pub fn larger(one: &Resources, other: &Resources) -> Resources {
    Resources {
        cpu_shares: one.cpu_shares.max(other.cpu_shares),
        // without a limit is more than with one, and is not set: it was so before
        cpu_quota: one.cpu_quota.zip(other.cpu_quota).map(|(one, other)| one.max(other)),
        cpu_period: one.cpu_quota.zip(other.cpu_quota).and(one.cpu_period),
        memory_limit: one.memory_limit.zip(other.memory_limit).map(|(one, other)| one.max(other)),
        ..Resources::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(requests: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {"containers": [
            {"name": "web", "resources": {"requests": requests}}]}}))
        .unwrap()
    }

    #[test]
    fn room_is_what_the_others_leave() {
        let allocatable: Amounts = serde_json::from_value(json!({"cpu": "2", "memory": "1Gi"})).unwrap();
        let other = kinds::pod::requests(&pod(json!({"cpu": "1", "memory": "512Mi"})).spec.unwrap());
        let cases = [
            (json!({"cpu": "1", "memory": "512Mi"}), None),
            (
                json!({"cpu": "1500m"}),
                Some((
                    "Deferred",
                    "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000",
                )),
            ),
            (
                json!({"memory": "2Gi"}),
                Some((
                    "Infeasible",
                    "Node didn't have enough capacity: memory, requested: 2147483648, capacity: 1073741824",
                )),
            ),
        ];
        for (asked, want) in cases {
            let found = no_room(&pod(asked.clone()), [&other].into_iter(), &allocatable);
            let found = found.as_ref().map(|p| (p.reason, p.message.as_str()));
            assert_eq!(found, want, "{asked}");
        }
    }

    #[test]
    fn only_what_changes_asks_its_policy() {
        let resources = |cpu: &str, memory: &str| -> ResourceRequirements {
            serde_json::from_value(json!({"requests": {"cpu": cpu, "memory": memory}})).unwrap()
        };
        let policies: Vec<ContainerResizePolicy> = serde_json::from_value(json!([
            {"resourceName": "cpu", "restartPolicy": "NotRequired"},
            {"resourceName": "memory", "restartPolicy": "RestartContainer"}]))
        .unwrap();
        let old = resources("1", "1Gi");
        assert!(!needs_restart(Some(&policies), &old, &resources("2", "1024Mi")));
        assert!(needs_restart(Some(&policies), &old, &resources("1", "2Gi")));
        assert!(!needs_restart(None, &old, &resources("1", "2Gi")));
    }

    #[test]
    fn an_event_shows_what_is_to_be_had() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {
            "initContainers": [{"name": "setup"}],
            "containers": [{"name": "web", "resources": {
                "requests": {"cpu": "1", "memory": "64Mi"}, "limits": {"cpu": "2"}}}]}}))
        .unwrap();
        let setup = r#"{"name":"setup","resources":{}}"#;
        let web = r#"{"limits":{"cpu":"2"},"requests":{"cpu":"1","memory":"64Mi"}}"#;
        let containers =
            format!(r#""initContainers":[{setup}],"containers":[{{"name":"web","resources":{web}}}]"#);
        let cases = [
            ("started", None, format!(r#"Pod resize started: {{{containers},"generation":2}}"#)),
            (
                "Deferred",
                Some("no room"),
                format!(r#"Pod resize Deferred: {{{containers},"generation":2,"error":"no room"}}"#),
            ),
        ];
        for (what, error, want) in cases {
            assert_eq!(event(what, &pod, 2, error), want);
        }
    }

    #[test]
    fn the_same_in_other_units_is_the_same() {
        let of = |cpu: &str| asked(pod(json!({"cpu": cpu})).spec.as_ref().unwrap());
        assert!(is_same(&of("1"), &of("1000m")));
        assert!(!is_same(&of("1"), &of("1001m")));
    }
}
