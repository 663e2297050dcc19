//! What everybody asks a pod.

use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{
    Container, ContainerStatus, EphemeralContainer, Pod, PodCondition, PodSpec, PodStatus,
    ResourceRequirements, Taint, Toleration,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// An ephemeral container is a container with a target: upstream defines it so, field by field.
pub fn as_container(ephemeral: &EphemeralContainer) -> Container {
    serde_json::to_vec(ephemeral).and_then(|json| serde_json::from_slice(&json)).unwrap_or_default()
}

pub fn ephemeral_containers(spec: &PodSpec) -> Vec<Container> {
    spec.ephemeral_containers.iter().flatten().map(as_container).collect()
}

pub fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|c| c.type_ == kind)
}

pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|c| c.status == "True")
}

/// Since when it is ready, where it is.
pub fn ready_since(pod: &Pod) -> Option<jiff::Timestamp> {
    condition(pod, "Ready").filter(|c| c.status == "True")?.last_transition_time.as_ref().map(|Time(at)| *at)
}

/// Ready for at least `min_ready` seconds.
pub fn is_available(pod: &Pod, min_ready: i32, now: jiff::Timestamp) -> bool {
    available_in(pod, min_ready, now).is_some_and(|left| left.is_zero())
}

/// How long a pod that is ready must stay so until it is available; `None` for one that is not ready, or since when is
/// not known.
pub fn available_in(pod: &Pod, min_ready: i32, now: jiff::Timestamp) -> Option<Duration> {
    if !is_ready(pod) || min_ready <= 0 {
        return is_ready(pod).then_some(Duration::ZERO);
    }
    let left = i64::from(min_ready) - (now.as_second() - ready_since(pod)?.as_second());
    Some(Duration::from_secs(left.max(0).unsigned_abs()))
}

pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or("Pending")
}

/// It has ended and will not run again.
pub fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// It stands for a pod of a file on its node: what the API says of it changes nothing there.
pub fn is_mirror(pod: &Pod) -> bool {
    let annotations = pod.metadata.annotations.as_ref();
    annotations.is_some_and(|all| all.contains_key("kubernetes.io/config.mirror"))
}

pub fn is_deleting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Neither ended nor on its way out.
pub fn is_active(pod: &Pod) -> bool {
    !is_terminal(pod) && !is_deleting(pod)
}

/// The tolerations by which the pod bears the taint.
pub fn tolerations_of<'a>(pod: &'a Pod, taint: &'a Taint) -> impl Iterator<Item = &'a Toleration> {
    let all = pod.spec.as_ref().and_then(|s| s.tolerations.as_deref()).unwrap_or_default();
    all.iter().filter(|toleration| covers(toleration, taint))
}

pub fn tolerates(pod: &Pod, taint: &Taint) -> bool {
    tolerations_of(pod, taint).next().is_some()
}

/// Upstream's `ToleratesTaint`.
fn covers(toleration: &Toleration, taint: &Taint) -> bool {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let effect = text(&toleration.effect);
    let key = text(&toleration.key);
    if !(effect.is_empty() || effect == taint.effect) || !(key.is_empty() || key == taint.key) {
        return false;
    }
    match toleration.operator.as_deref().unwrap_or("Equal") {
        "Exists" => true,
        _ => text(&toleration.value) == text(&taint.value),
    }
}

/// Sets a condition; its transition time moves only when the status does.
pub fn set_condition(status: &mut PodStatus, mut condition: PodCondition, now: jiff::Timestamp) {
    let conditions = status.conditions.get_or_insert_default();
    match conditions.iter_mut().find(|known| known.type_ == condition.type_) {
        Some(known) => {
            condition.last_transition_time = match known.status == condition.status {
                true => known.last_transition_time.clone(),
                false => Some(crate::whole_second(now)),
            };
            *known = condition;
        }
        None => {
            condition.last_transition_time = Some(crate::whole_second(now));
            conditions.push(condition);
        }
    }
}

/// Upstream's `ComputePodQOS`: only processor and memory count, of the pod as a whole where it says something for itself.
pub fn qos_class(spec: &PodSpec) -> &'static str {
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let all: Vec<Option<&ResourceRequirements>> = match &spec.resources {
        Some(whole) if whole.requests.is_some() || whole.limits.is_some() => vec![Some(whole)],
        _ => containers.map(|c| c.resources.as_ref()).collect(),
    };
    let amount = |of: Option<&BTreeMap<String, _>>, what: &str| quantity(of, what).filter(|q| !q.is_zero());
    let mut any = false;
    let mut all_guaranteed = true;
    for resources in all {
        for what in ["cpu", "memory"] {
            let request = amount(resources.and_then(|r| r.requests.as_ref()), what);
            let limit = amount(resources.and_then(|r| r.limits.as_ref()), what);
            any |= request.is_some() || limit.is_some();
            all_guaranteed &= limit.is_some() && (request.is_none() || request == limit);
        }
    }
    match (any, all_guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// One entry of a requests or limits map.
pub fn quantity(
    of: Option<&BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>>,
    what: &str,
) -> Option<Quantity> {
    of?.get(what)?.0.parse().ok()
}

/// Those that run as long as the pod does: its containers, and the init containers that go on beside them (sidecars, KEP-753).
pub fn lasting_containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    let init = spec.init_containers.iter().flatten();
    spec.containers.iter().chain(init.filter(|container| is_sidecar(container)))
}

pub fn is_sidecar(init_container: &Container) -> bool {
    init_container.restart_policy.as_deref() == Some("Always")
}

/// What the pod asks of a node: what it says for itself as a whole, else the sum of its containers, and the overhead.
pub fn requests(spec: &PodSpec) -> BTreeMap<String, Quantity> {
    as_a_whole(spec, requests_of_containers(spec))
}

fn as_a_whole(spec: &PodSpec, mut sum: BTreeMap<String, Quantity>) -> BTreeMap<String, Quantity> {
    sum.extend(parsed(spec.resources.as_ref().and_then(|r| r.requests.as_ref())));
    for (name, overhead) in spec.overhead.iter().flatten() {
        if let Ok(overhead) = overhead.0.parse::<Quantity>() {
            let entry = sum.entry(name.clone()).or_default();
            *entry = entry.plus(overhead);
        }
    }
    sum
}

/// What the pod takes of its node: what it asks for, and at least what it has while it waits to be resized. What it will never
/// get there counts for nothing.
pub fn occupied(pod: &Pod) -> BTreeMap<String, Quantity> {
    let Some(spec) = &pod.spec else { return BTreeMap::new() };
    let Some(pending) = condition(pod, "PodResizePending") else { return requests(spec) };
    let never = pending.reason.as_deref() == Some("Infeasible");
    let mut spec = spec.clone();
    let status = pod.status.iter();
    let told = status.flat_map(|s| s.init_container_statuses.iter().chain(&s.container_statuses).flatten());
    let given: BTreeMap<&str, BTreeMap<String, Quantity>> =
        told.map(|c| (c.name.as_str(), parsed(c.allocated_resources.as_ref()))).collect();
    for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
        let Some(given) = given.get(container.name.as_str()) else { continue };
        let mut counted = if never { BTreeMap::new() } else { container_requests(container) };
        at_least(&mut counted, given);
        let counted = counted.into_iter().map(|(name, amount)| (name, Amount(amount.to_string())));
        container.resources.get_or_insert_default().requests = Some(counted.collect());
    }
    requests(&spec)
}

/// The sum of its containers, or more where an init container asks for more (restartable init containers run beside the
/// others).
pub fn requests_of_containers(spec: &PodSpec) -> BTreeMap<String, Quantity> {
    aggregated(spec, container_requests)
}

/// The same of their limits.
pub fn limits_of_containers(spec: &PodSpec) -> BTreeMap<String, Quantity> {
    aggregated(spec, container_limits)
}

/// The most that the pod may use, of what is limited: counted as [`requests`], the overhead with what has a limit.
pub fn limits(spec: &PodSpec) -> BTreeMap<String, Quantity> {
    limits_as_a_whole(spec, limits_of_containers(spec))
}

/// What a quota counts of the pod, requests and limits: of each container what it asks for, and at least what it has until it is
/// resized; what it will never get there counts for nothing. Upstream's `UseStatusResources`.
pub fn charged(pod: &Pod) -> [BTreeMap<String, Quantity>; 2] {
    let Some(spec) = &pod.spec else { return Default::default() };
    let status = pod.status.iter();
    let told = status.flat_map(|s| s.init_container_statuses.iter().chain(&s.container_statuses).flatten());
    let told: BTreeMap<&str, &ContainerStatus> = told.map(|c| (c.name.as_str(), c)).collect();
    let pending = condition(pod, "PodResizePending");
    let never = pending.is_some_and(|c| c.status == "True" && c.reason.as_deref() == Some("Infeasible"));
    let counted = |asked: BTreeMap<String, Quantity>, has: &[Option<&BTreeMap<String, Amount>>]| {
        let mut counted = if never { BTreeMap::new() } else { asked };
        has.iter().for_each(|has| at_least(&mut counted, &parsed(*has)));
        counted
    };
    let requests = aggregated(spec, |container| {
        let asked = container_requests(container);
        let Some(told) = told.get(container.name.as_str()) else { return asked };
        let has = told.resources.as_ref().and_then(|has| has.requests.as_ref());
        counted(asked, &[has, told.allocated_resources.as_ref()])
    });
    let limits = aggregated(spec, |container| {
        let asked = container_limits(container);
        let Some(told) = told.get(container.name.as_str()) else { return asked };
        counted(asked, &[told.resources.as_ref().and_then(|has| has.limits.as_ref())])
    });
    [as_a_whole(spec, requests), limits_as_a_whole(spec, limits)]
}

fn limits_as_a_whole(spec: &PodSpec, mut sum: BTreeMap<String, Quantity>) -> BTreeMap<String, Quantity> {
    sum.extend(parsed(spec.resources.as_ref().and_then(|r| r.limits.as_ref())));
    for (name, limit) in &mut sum {
        let overhead = quantity(spec.overhead.as_ref(), name).filter(|_| !limit.is_zero());
        *limit = limit.plus(overhead.unwrap_or_default());
    }
    sum
}

fn aggregated(
    spec: &PodSpec,
    of: impl Fn(&Container) -> BTreeMap<String, Quantity>,
) -> BTreeMap<String, Quantity> {
    let mut sum = BTreeMap::new();
    for container in &spec.containers {
        add(&mut sum, &of(container));
    }
    let mut sidecars: BTreeMap<String, Quantity> = BTreeMap::new();
    let mut peak: BTreeMap<String, Quantity> = BTreeMap::new();
    for container in spec.init_containers.iter().flatten() {
        let own = of(container);
        if is_sidecar(container) {
            add(&mut sum, &own);
            add(&mut sidecars, &own);
            at_least(&mut peak, &sidecars);
        } else {
            let mut with_sidecars = sidecars.clone();
            add(&mut with_sidecars, &own);
            at_least(&mut peak, &with_sidecars);
        }
    }
    at_least(&mut sum, &peak);
    sum
}

fn container_limits(container: &Container) -> BTreeMap<String, Quantity> {
    parsed(container.resources.as_ref().and_then(|r| r.limits.as_ref()))
}

fn parsed(
    of: Option<&BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>>,
) -> BTreeMap<String, Quantity> {
    of.into_iter().flatten().filter_map(|(name, q)| Some((name.clone(), q.0.parse().ok()?))).collect()
}

fn container_requests(container: &Container) -> BTreeMap<String, Quantity> {
    parsed(container.resources.as_ref().and_then(|r| r.requests.as_ref()))
}

fn add(sum: &mut BTreeMap<String, Quantity>, more: &BTreeMap<String, Quantity>) {
    for (name, amount) in more {
        let entry = sum.entry(name.clone()).or_default();
        *entry = entry.plus(*amount);
    }
}

fn at_least(sum: &mut BTreeMap<String, Quantity>, least: &BTreeMap<String, Quantity>) {
    for (name, amount) in least {
        let entry = sum.entry(name.clone()).or_default();
        *entry = (*entry).max(*amount);
    }
}
