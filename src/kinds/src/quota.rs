//! What objects use of a ResourceQuota: upstream's `pkg/quota`. Pure.

mod devices;
#[cfg(test)]
mod tests;

use crate::{Instance, ResourceInfo, Unstructured, pod as ask};
use api::quantity::Quantity;
use devices::is_of_devices;
use k8s_openapi::api::core::v1::{
    Container, PersistentVolumeClaim, Pod, PodSpec, ResourceQuota, ScopedResourceSelectorRequirement, Service,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;
use std::collections::BTreeMap;

/// By the name that a quota bounds it by.
pub type Usage = BTreeMap<String, Quantity>;

/// Bounded also without `count/`.
const COUNTED_BY_NAME: [&str; 7] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
];

pub fn hard(quota: &ResourceQuota) -> Usage {
    let hard = quota.spec.as_ref().and_then(|spec| spec.hard.as_ref());
    hard.into_iter()
        .flatten()
        .filter_map(|(name, amount)| Some((name.clone(), amount.0.parse().ok()?)))
        .collect()
}

/// `count/deployments.apps`
pub fn count_name(info: &ResourceInfo) -> String {
    match info.storage.group.as_ref() {
        "" => format!("count/{}", info.storage.resource),
        group => format!("count/{}.{group}", info.storage.resource),
    }
}

/// Whether a quota that bounds `name` can be touched by objects of this kind.
pub fn concerns(name: &str, info: &ResourceInfo) -> bool {
    let resource = info.storage.resource.as_ref();
    if name == count_name(info) || (is_claim_of_devices(info) && is_of_devices(name)) {
        return true;
    }
    if !info.storage.group.is_empty() || name.starts_with("count/") {
        return false;
    }
    match resource {
        "pods" => {
            let of_others = is_of_services(name) || is_of_claims(name) || is_of_devices(name);
            !COUNTED_BY_NAME.contains(&name) && !of_others || name == "pods"
        }
        "services" => name == "services" || is_of_services(name),
        "persistentvolumeclaims" => name == "persistentvolumeclaims" || is_of_claims(name),
        resource => name == resource && COUNTED_BY_NAME.contains(&resource),
    }
}

fn is_of_services(name: &str) -> bool {
    matches!(name, "services.nodeports" | "services.loadbalancers")
}

fn is_of_claims(name: &str) -> bool {
    name == "requests.storage" || name.contains(".storageclass.storage.k8s.io/")
}

fn is_claim_of_devices(info: &ResourceInfo) -> bool {
    info.storage.group == "resource.k8s.io" && info.storage.resource == "resourceclaims"
}

/// All that the object uses, under every name that it could be bounded by.
pub fn usage(object: &dyn Instance, info: &ResourceInfo, now: jiff::Timestamp) -> Usage {
    let one = Quantity::from_units(1);
    let mut usage = Usage::from([(count_name(info), one)]);
    let resource = info.storage.resource.as_ref();
    if let Some(pod) = object.downcast_ref::<Pod>() {
        if is_quotable(pod, now) {
            of_pod(pod, &mut usage);
        }
        return usage;
    }
    if info.storage.group.is_empty() && COUNTED_BY_NAME.contains(&resource) {
        usage.insert(resource.to_owned(), one);
    }
    if let Some(service) = object.downcast_ref::<Service>() {
        of_service(service, &mut usage);
    }
    if let Some(claim) = object.downcast_ref::<PersistentVolumeClaim>() {
        of_claim(claim, &mut usage);
    }
    if let Some(claim) = object.downcast_ref::<Unstructured>().filter(|_| is_claim_of_devices(info)) {
        devices::of_claim(claim.fields(), &mut usage);
    }
    usage
}

/// A pod that has ended holds nothing any more, nor does one whose end is overdue.
fn is_quotable(pod: &Pod, now: jiff::Timestamp) -> bool {
    let meta = &pod.metadata;
    let overdue = meta.deletion_timestamp.as_ref().is_some_and(|at| {
        now.as_second() > at.0.as_second().saturating_add(meta.deletion_grace_period_seconds.unwrap_or(0))
    });
    !ask::is_terminal(pod) && !overdue
}

fn of_pod(pod: &Pod, usage: &mut Usage) {
    if pod.spec.is_none() {
        return;
    }
    usage.insert("pods".to_owned(), Quantity::from_units(1));
    let [requests, limits] = ask::charged(pod);
    for (name, amount) in requests {
        usage.insert(format!("requests.{name}"), amount);
        // a quota for cpu is one for what is requested
        if !name.contains('/') {
            usage.insert(name, amount);
        }
    }
    for (name, amount) in limits {
        usage.insert(format!("limits.{name}"), amount);
    }
}

fn of_service(service: &Service, usage: &mut Usage) {
    let Some(spec) = &service.spec else { return };
    let ports = spec.ports.as_ref().map_or(0, Vec::len) as i64;
    let balanced = spec.type_.as_deref() == Some("LoadBalancer");
    let node_ports = match spec.type_.as_deref() {
        Some("NodePort") => ports,
        Some("LoadBalancer") if spec.allocate_load_balancer_node_ports != Some(false) => ports,
        // those that are asked for by number
        Some("LoadBalancer") => {
            let asked = spec.ports.iter().flatten().filter(|port| port.node_port.unwrap_or(0) != 0);
            asked.count() as i64
        }
        _ => 0,
    };
    usage.insert("services.nodeports".to_owned(), Quantity::from_units(node_ports));
    usage.insert("services.loadbalancers".to_owned(), Quantity::from_units(balanced.into()));
}

fn of_claim(claim: &PersistentVolumeClaim, usage: &mut Usage) {
    let Some(spec) = &claim.spec else { return };
    let requests = spec.resources.as_ref().and_then(|r| r.requests.as_ref());
    let storage = ask::quantity(requests, "storage").unwrap_or_default();
    usage.insert("requests.storage".to_owned(), storage);
    let annotated = claim.metadata.annotations.as_ref();
    let annotated = annotated.and_then(|a| a.get("volume.beta.kubernetes.io/storage-class"));
    if let Some(class) = annotated.or(spec.storage_class_name.as_ref()).filter(|class| !class.is_empty()) {
        let of_class = |what: &str| format!("{class}.storageclass.storage.k8s.io/{what}");
        usage.insert(of_class("requests.storage"), storage);
        usage.insert(of_class("persistentvolumeclaims"), Quantity::from_units(1));
    }
}

/// Whether the quota looks at the object at all.
pub fn is_in_scope(quota: &ResourceQuota, object: &dyn Instance) -> bool {
    let Some(spec) = &quota.spec else { return true };
    let plain = spec.scopes.iter().flatten().map(|scope| ScopedResourceSelectorRequirement {
        scope_name: scope.clone(),
        operator: "Exists".to_owned(),
        values: None,
    });
    let selected = spec.scope_selector.iter().flat_map(|s| s.match_expressions.iter().flatten()).cloned();
    let mut all = plain.chain(selected);
    if let Some(pod) = object.downcast_ref::<Pod>() {
        return all.all(|rule| of_rule(&rule, pod));
    }
    match object.downcast_ref::<PersistentVolumeClaim>() {
        Some(claim) => all.all(|rule| of_claim_rule(&rule, claim)),
        None => all.next().is_none(),
    }
}

/// Upstream's `pvcMatchesScopeFunc`. While a claim goes from one class to another it is of both.
fn of_claim_rule(rule: &ScopedResourceSelectorRequirement, claim: &PersistentVolumeClaim) -> bool {
    let status = claim.status.as_ref();
    let modified = status.and_then(|s| s.modify_volume_status.as_ref());
    let classes = [
        claim.spec.as_ref().and_then(|s| s.volume_attributes_class_name.as_deref()),
        status.and_then(|s| s.current_volume_attributes_class_name.as_deref()),
        modified.and_then(|s| s.target_volume_attributes_class_name.as_deref()),
    ];
    let mut classes = classes.into_iter().flatten().filter(|class| !class.is_empty()).peekable();
    let is_named = |class: &str| rule.values.iter().flatten().any(|value| value == class);
    match (rule.scope_name.as_str(), rule.operator.as_str()) {
        ("VolumeAttributesClass", "Exists") => classes.peek().is_some(),
        ("VolumeAttributesClass", "DoesNotExist") => classes.peek().is_none(),
        ("VolumeAttributesClass", "NotIn") => {
            classes.peek().is_none() || classes.any(|class| !is_named(class))
        }
        ("VolumeAttributesClass", _) => classes.any(is_named),
        _ => false,
    }
}

fn of_rule(rule: &ScopedResourceSelectorRequirement, pod: &Pod) -> bool {
    let none = Default::default();
    let spec = pod.spec.as_ref().unwrap_or(&none);
    let ends = spec.active_deadline_seconds.is_some_and(|seconds| seconds >= 0);
    match rule.scope_name.as_str() {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => ask::qos_class(spec) == "BestEffort",
        "NotBestEffort" => ask::qos_class(spec) != "BestEffort",
        "PriorityClass" => {
            let class = spec.priority_class_name.as_ref().filter(|class| !class.is_empty());
            let named = class.is_some_and(|class| rule.values.iter().flatten().any(|value| value == class));
            match rule.operator.as_str() {
                "Exists" => class.is_some(),
                "DoesNotExist" => class.is_none(),
                "NotIn" => !named,
                _ => named,
            }
        }
        "CrossNamespacePodAffinity" => crosses_namespaces(spec),
        _ => false,
    }
}

fn crosses_namespaces(spec: &PodSpec) -> bool {
    let Some(affinity) = &spec.affinity else { return false };
    let near = affinity.pod_affinity.as_ref().map(|a| {
        (
            &a.required_during_scheduling_ignored_during_execution,
            &a.preferred_during_scheduling_ignored_during_execution,
        )
    });
    let far = affinity.pod_anti_affinity.as_ref().map(|a| {
        (
            &a.required_during_scheduling_ignored_during_execution,
            &a.preferred_during_scheduling_ignored_during_execution,
        )
    });
    near.into_iter().chain(far).any(|(required, preferred)| {
        let required = required.iter().flatten();
        let mut all = required.chain(preferred.iter().flatten().map(|term| &term.pod_affinity_term));
        all.any(|term| term.namespaces.iter().flatten().next().is_some() || term.namespace_selector.is_some())
    })
}

/// What the object leaves unsaid though the quota bounds it, as upstream says it: `limits.cpu for: a,b; memory for: a`.
pub fn unspecified(quota: &ResourceQuota, object: &dyn Instance) -> Option<String> {
    const ASKED: [&str; 6] =
        ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];
    let spec = object.downcast_ref::<Pod>()?.spec.as_ref()?;
    if says_as_a_whole(spec) {
        return None;
    }
    let hard = hard(quota);
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
        for name in ASKED.iter().filter(|name| hard.contains_key(**name)) {
            if !says(container, name) {
                missing.entry(name).or_default().push(&container.name);
            }
        }
    }
    let each: Vec<String> =
        missing.iter().map(|(name, containers)| format!("{name} for: {}", containers.join(","))).collect();
    (!each.is_empty()).then(|| each.join("; "))
}

/// Upstream's `IsPodLevelResourcesSet`: then nothing is asked of its containers.
fn says_as_a_whole(spec: &PodSpec) -> bool {
    let whole = spec.resources.as_ref();
    let requests = whole.and_then(|r| r.requests.as_ref());
    let limits = whole.and_then(|r| r.limits.as_ref());
    let mut names = requests.into_iter().chain(limits).flat_map(BTreeMap::keys);
    names.any(|name| name == "cpu" || name == "memory" || name.starts_with("hugepages-"))
}

fn says(container: &Container, name: &str) -> bool {
    let resources = container.resources.as_ref();
    let has = |of: Option<&BTreeMap<String, Amount>>, name: &str| of.is_some_and(|of| of.contains_key(name));
    match name.split_once('.') {
        Some(("limits", name)) => has(resources.and_then(|r| r.limits.as_ref()), name),
        Some((_, name)) => has(resources.and_then(|r| r.requests.as_ref()), name),
        None => has(resources.and_then(|r| r.requests.as_ref()), name),
    }
}

/// The part of `usage` that the quota bounds.
pub fn bounded(usage: &Usage, hard: &Usage) -> Usage {
    usage
        .iter()
        .filter(|(name, _)| hard.contains_key(*name))
        .map(|(name, amount)| (name.clone(), *amount))
        .collect()
}

pub fn add(sum: &mut Usage, more: &Usage) {
    for (name, amount) in more {
        let entry = sum.entry(name.clone()).or_default();
        *entry = entry.plus(*amount);
    }
}

/// `cpu=1,pods=2`
pub fn print(usage: &Usage) -> String {
    usage
        .iter()
        .map(|(name, amount)| format!("{name}={}", written(name, *amount)))
        .collect::<Vec<_>>()
        .join(",")
}

/// Memory and storage in the units that people write them in.
pub fn written(name: &str, amount: Quantity) -> String {
    let in_bytes = ["memory", "storage", "hugepages"].iter().any(|what| name.contains(what));
    let text = amount.to_string();
    let is_whole = text.bytes().all(|b| b.is_ascii_digit());
    let bytes = amount.value();
    let text = if in_bytes && is_whole && bytes != 0 && bytes % 1024 == 0 {
        format!("{}Ki", bytes / 1024)
    } else {
        text
    };
    api::quantity::canonical(&text).unwrap_or(text)
}
