//! What is allowed in a pod, and most likely not meant: upstream's `pkg/api/pod/warnings.go`.

use super::names;
use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{
    Affinity, Container, ContainerPort, EnvVar, EphemeralContainer, NodeSelectorTerm, Pod, PodAffinityTerm,
    PodSpec, PodTemplateSpec, ResourceRequirements, SecurityContext, Volume, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::{BTreeMap, BTreeSet};

mod overlaps;

const SECCOMP_ANNOTATION: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER_ANNOTATION: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APP_ARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";
const DEAD_ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        r#"non-functional in v1.16+; use the "priorityClassName" field instead"#,
    ),
    ("security.alpha.kubernetes.io/sysctls", r#"non-functional in v1.11+; use the "sysctls" field instead"#),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        r#"non-functional in v1.11+; use the "sysctls" field instead"#,
    ),
];
/// What upstream says of labels of nodes that have got other names.
const OLD_NODE_LABELS: [(&str, &str); 8] = [
    ("beta.kubernetes.io/arch", r#"deprecated since v1.14; use "kubernetes.io/arch" instead"#),
    ("beta.kubernetes.io/os", r#"deprecated since v1.14; use "kubernetes.io/os" instead"#),
    (
        "failure-domain.beta.kubernetes.io/region",
        r#"deprecated since v1.17; use "topology.kubernetes.io/region" instead"#,
    ),
    (
        "failure-domain.beta.kubernetes.io/zone",
        r#"deprecated since v1.17; use "topology.kubernetes.io/zone" instead"#,
    ),
    (
        "beta.kubernetes.io/instance-type",
        r#"deprecated since v1.17; use "node.kubernetes.io/instance-type" instead"#,
    ),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    (
        "scheduler.alpha.kubernetes.io/preferAvoidPods",
        "deprecated since v1.22; use Taints and Tolerations instead",
    ),
    ("node-role.kubernetes.io/master", r#"use "node-role.kubernetes.io/control-plane" instead"#),
];

/// Of a new pod.
pub(super) fn of_pod(pod: &Pod) -> Vec<String> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let mut warnings = Vec::from_iter(bad_host_name(name, "the Pod's hostname"));
    if let Some(spec) = &pod.spec {
        of_spec(&pod.metadata, spec, "", &mut warnings);
    }
    warnings
}

/// Of an object that has pods made as `template` says, which stands `at` this place in it.
pub(crate) fn of_workload(
    metadata: &ObjectMeta,
    at: &str,
    template: &PodTemplateSpec,
    is_new: bool,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if is_new {
        let name = metadata.name.as_deref().unwrap_or_default();
        warnings.extend(bad_host_name(name, "Pod names and hostnames"));
    }
    let none = ObjectMeta::default();
    if let Some(spec) = &template.spec {
        of_spec(template.metadata.as_ref().unwrap_or(&none), spec, &format!("{at}."), &mut warnings);
    }
    warnings
}

fn bad_host_name(name: &str, used_in: &str) -> Option<String> {
    let why = names::dns_label(name).err()?;
    Some(format!(
        "metadata.name: this is used in {used_in}, which can result in surprising behavior; a DNS label is recommended: [{why}]"
    ))
}

/// `at` is empty, or ends with a dot.
fn of_spec(metadata: &ObjectMeta, spec: &PodSpec, at: &str, warnings: &mut Vec<String>) {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    let annotations = metadata.annotations.as_ref().unwrap_or(&NONE);
    placement(spec, at, warnings);
    for (key, why) in DEAD_ANNOTATIONS {
        if annotations.contains_key(key) {
            warnings.push(format!("{at}metadata.annotations[{key}]: {why}"));
        }
    }
    let volumes = spec.volumes.as_deref().unwrap_or_default();
    for (index, volume) in volumes.iter().enumerate() {
        if let Some((field, why)) = removed_volume(volume) {
            warnings.push(format!("{at}spec.volumes[{index}].{field}: {why}"));
        }
    }
    warnings.extend(overlaps::of_volumes(volumes));
    repeated_entries(spec, at, warnings);
    for resource in ["memory", "ephemeral-storage"] {
        fractional_bytes(spec.overhead.as_ref(), resource, &format!("{at}spec.overhead"), warnings);
    }
    seccomp_annotation(
        SECCOMP_ANNOTATION,
        spec.security_context.as_ref().is_some_and(|security| security.seccomp_profile.is_some()),
        annotations,
        at,
        warnings,
    );
    let pod_has_app_armor = spec.security_context.as_ref().is_some_and(|s| s.app_armor_profile.is_some());
    let containers = containers(spec, at);
    for container in &containers {
        let has = |of: fn(&SecurityContext) -> bool| container.security.is_some_and(of);
        let key = format!("{SECCOMP_CONTAINER_ANNOTATION}{}", container.name);
        seccomp_annotation(
            &key,
            has(|security| security.seccomp_profile.is_some()),
            annotations,
            at,
            warnings,
        );
        let key = format!("{APP_ARMOR_ANNOTATION}{}", container.name);
        let has_app_armor = pod_has_app_armor || has(|security| security.app_armor_profile.is_some());
        if !has_app_armor && annotations.contains_key(&key) {
            let why = r#"deprecated since v1.30; use the "appArmorProfile" field instead"#;
            warnings.push(format!("{at}metadata.annotations[{key}]: {why}"));
        }
        for resource in ["memory", "ephemeral-storage"] {
            let resources = container.resources;
            let (limits, requests) =
                (resources.and_then(|r| r.limits.as_ref()), resources.and_then(|r| r.requests.as_ref()));
            fractional_bytes(limits, resource, &format!("{}.resources.limits", container.at), warnings);
            fractional_bytes(requests, resource, &format!("{}.resources.requests", container.at), warnings);
        }
        hidden_variables(container, warnings);
    }
    ports(&containers, warnings);
    if spec.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0) {
        warnings.push(format!(
            "{at}spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    if let Some(affinity) = &spec.affinity {
        null_selectors(affinity, &format!("{at}spec.affinity"), warnings);
    }
}

fn placement(spec: &PodSpec, at: &str, warnings: &mut Vec<String>) {
    for key in spec.node_selector.iter().flat_map(BTreeMap::keys) {
        if let Some(why) = old_node_label(key) {
            warnings.push(format!("{at}spec.nodeSelector[{key}]: {why}"));
        }
    }
    if let Some(affinity) = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref()) {
        let at = format!("{at}spec.affinity.nodeAffinity");
        let required = affinity.required_during_scheduling_ignored_during_execution.as_ref();
        for (index, term) in required.iter().flat_map(|required| &required.node_selector_terms).enumerate() {
            let at =
                format!("{at}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[{index}]");
            node_term(term, false, &at, warnings);
        }
        let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        for (index, term) in preferred.enumerate() {
            let at = format!("{at}.preferredDuringSchedulingIgnoredDuringExecution[{index}].preference");
            node_term(&term.preference, true, &at, warnings);
        }
    }
    for (index, constraint) in spec.topology_spread_constraints.iter().flatten().enumerate() {
        let at = format!("{at}spec.topologySpreadConstraints[{index}]");
        if let Some(why) = old_node_label(&constraint.topology_key) {
            warnings.push(format!("{at}.topologyKey: {} is {why}", constraint.topology_key));
        }
        if constraint.label_selector.is_none() {
            warnings.push(format!("{at}.labelSelector: {MATCHES_NOTHING}"));
        }
    }
}

pub(super) fn old_node_label(key: &str) -> Option<&'static str> {
    OLD_NODE_LABELS.iter().find(|(old, _)| *old == key).map(|(_, why)| *why)
}

/// Values are judged where validation does not: a preference that nothing can fulfil is allowed.
pub(super) fn node_term(term: &NodeSelectorTerm, judge_values: bool, at: &str, warnings: &mut Vec<String>) {
    for (index, expression) in term.match_expressions.iter().flatten().enumerate() {
        let at = format!("{at}.matchExpressions[{index}]");
        if let Some(why) = old_node_label(&expression.key) {
            warnings.push(format!("{at}.key: {} is {why}", expression.key));
        }
        for (index, value) in expression.values.iter().flatten().enumerate().filter(|_| judge_values) {
            if let Err(why) = names::label_value(value) {
                warnings.push(format!("{at}.values[{index}]: {value} is invalid, {why}"));
            }
        }
    }
}

const MATCHES_NOTHING: &str = "a null labelSelector results in matching no pod";

fn null_selectors(affinity: &Affinity, at: &str, warnings: &mut Vec<String>) {
    let mut of = |kind: &str,
                  required: Option<&Vec<PodAffinityTerm>>,
                  preferred: Option<&Vec<WeightedPodAffinityTerm>>| {
        for (index, term) in required.into_iter().flatten().enumerate() {
            if term.label_selector.is_none() {
                warnings.push(format!(
                    "{at}.{kind}.requiredDuringSchedulingIgnoredDuringExecution[{index}].labelSelector: {MATCHES_NOTHING}"
                ));
            }
        }
        for (index, term) in preferred.into_iter().flatten().enumerate() {
            if term.pod_affinity_term.label_selector.is_none() {
                warnings.push(format!(
                    "{at}.{kind}.preferredDuringSchedulingIgnoredDuringExecution[{index}].podAffinityTerm.labelSelector: {MATCHES_NOTHING}"
                ));
            }
        }
    };
    if let Some(with) = &affinity.pod_affinity {
        of(
            "podAffinity",
            with.required_during_scheduling_ignored_during_execution.as_ref(),
            with.preferred_during_scheduling_ignored_during_execution.as_ref(),
        );
    }
    if let Some(without) = &affinity.pod_anti_affinity {
        of(
            "podAntiAffinity",
            without.required_during_scheduling_ignored_during_execution.as_ref(),
            without.preferred_during_scheduling_ignored_during_execution.as_ref(),
        );
    }
}

/// A kind of volume that upstream has given up, and since when.
fn removed_volume(volume: &Volume) -> Option<(&'static str, &'static str)> {
    let given = [
        (volume.photon_persistent_disk.is_some(), "photonPersistentDisk"),
        (volume.git_repo.is_some(), "gitRepo"),
        (volume.scale_io.is_some(), "scaleIO"),
        (volume.flocker.is_some(), "flocker"),
        (volume.storageos.is_some(), "storageOS"),
        (volume.quobyte.is_some(), "quobyte"),
        (volume.glusterfs.is_some(), "glusterfs"),
        (volume.cephfs.is_some(), "cephfs"),
        (volume.rbd.is_some(), "rbd"),
    ];
    let (_, field) = given.into_iter().find(|(is_given, _)| *is_given)?;
    Some((field, removed_since(field)?))
}

/// Of volumes of both sorts, by the names that upstream's warnings give them.
pub(super) fn removed_since(field: &str) -> Option<&'static str> {
    Some(match field {
        "photonPersistentDisk" => "deprecated in v1.11, non-functional in v1.16+",
        "gitRepo" => "deprecated in v1.11, and disabled by default in v1.33+",
        "scaleIO" => "deprecated in v1.16, non-functional in v1.22+",
        "flocker" | "storageOS" | "quobyte" => "deprecated in v1.22, non-functional in v1.25+",
        "glusterfs" => "deprecated in v1.25, non-functional in v1.26+",
        "cephfs" | "rbd" => "deprecated in v1.28, non-functional in v1.31+",
        _ => return None,
    })
}

/// Of lists that are merged by a key, a key twice is lost at the next apply.
fn repeated_entries(spec: &PodSpec, at: &str, warnings: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (index, alias) in spec.host_aliases.iter().flatten().enumerate() {
        if !seen.insert(&alias.ip) {
            warnings.push(format!("{at}spec.hostAliases[{index}].ip: duplicate ip {:?}", alias.ip));
        }
    }
    let mut seen = BTreeSet::new();
    for (index, secret) in spec.image_pull_secrets.iter().flatten().enumerate() {
        let field = format!("{at}spec.imagePullSecrets[{index}].name");
        if !seen.insert(&secret.name) {
            warnings.push(format!("{field}: duplicate name {:?}", secret.name));
        }
        if secret.name.is_empty() {
            warnings.push(format!("{field}: invalid empty name \"\""));
        }
    }
}

fn seccomp_annotation(
    key: &str,
    has_field: bool,
    annotations: &BTreeMap<String, String>,
    at: &str,
    warnings: &mut Vec<String>,
) {
    if !has_field && annotations.contains_key(key) {
        let why = r#"non-functional in v1.27+; use the "seccompProfile" field instead"#;
        warnings.push(format!("{at}metadata.annotations[{key}]: {why}"));
    }
}

/// `128m` of memory is an eighth of a byte: somebody meant `128M`.
fn fractional_bytes(
    amounts: Option<&BTreeMap<String, Amount>>,
    resource: &str,
    at: &str,
    warnings: &mut Vec<String>,
) {
    let Some(given) = amounts.and_then(|amounts| amounts.get(resource)) else { return };
    let Ok(amount) = given.0.parse::<Quantity>() else { return };
    if amount.milli() % 1000 != 0 {
        warnings.push(format!(
            "{at}[{resource}]: fractional byte value \"{amount}\" is invalid, must be an integer"
        ));
    }
}

/// What containers of every sort have.
struct AnyContainer<'s> {
    /// `spec.containers[0]`
    at: String,
    name: &'s str,
    security: Option<&'s SecurityContext>,
    resources: Option<&'s ResourceRequirements>,
    env: &'s [EnvVar],
    ports: &'s [ContainerPort],
    /// Its ports are open while the pod is ready.
    stays: bool,
}

fn containers<'s>(spec: &'s PodSpec, at: &str) -> Vec<AnyContainer<'s>> {
    let plain = |list: &str, index: usize, container: &'s Container, stays: bool| AnyContainer {
        at: format!("{at}spec.{list}[{index}]"),
        name: &container.name,
        security: container.security_context.as_ref(),
        resources: container.resources.as_ref(),
        env: container.env.as_deref().unwrap_or_default(),
        ports: container.ports.as_deref().unwrap_or_default(),
        stays,
    };
    let ephemeral = |(index, container): (usize, &'s EphemeralContainer)| AnyContainer {
        at: format!("{at}spec.ephemeralContainers[{index}]"),
        name: &container.name,
        security: container.security_context.as_ref(),
        resources: container.resources.as_ref(),
        env: container.env.as_deref().unwrap_or_default(),
        ports: container.ports.as_deref().unwrap_or_default(),
        stays: false,
    };
    let init = spec.init_containers.iter().flatten().enumerate().map(|(index, container)| {
        plain("initContainers", index, container, container.restart_policy.as_deref() == Some("Always"))
    });
    let main = spec
        .containers
        .iter()
        .enumerate()
        .map(|(index, container)| plain("containers", index, container, true));
    init.chain(main).chain(spec.ephemeral_containers.iter().flatten().enumerate().map(ephemeral)).collect()
}

/// A name twice is fine where the second builds upon the first: `X=$(X):/more`.
fn hidden_variables(container: &AnyContainer<'_>, warnings: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (index, variable) in container.env.iter().enumerate() {
        if seen.insert(&variable.name) {
            continue;
        }
        let before = format!("$({})", variable.name);
        let value = variable.value.as_deref().unwrap_or_default();
        if variable.value_from.is_some() || value == before || !value.contains(&before) {
            warnings.push(format!(
                "{}.env[{index}]: hides previous definition of {:?}, which may be dropped when using apply",
                container.at, variable.name
            ));
        }
    }
}

/// Of ports that clash, which are told pair by pair: the headers of an answer, where warnings go, have no room for more.
const MOST_CLASHES: usize = 100;

fn ports(containers: &[AnyContainer<'_>], warnings: &mut Vec<String>) {
    let mut clashes = 0;
    let mut seen: BTreeMap<(i32, &str), Vec<(String, &ContainerPort)>> = BTreeMap::new();
    let mut by_name: BTreeMap<&str, String> = BTreeMap::new();
    for container in containers {
        for (index, port) in container.ports.iter().enumerate() {
            let at = format!("{}.ports[{index}]", container.at);
            if !host_ip(port).is_empty() && host_port(port) == 0 {
                warnings.push(format!("{at}: hostIP set without hostPort: {}", as_go_prints(port)));
            }
            let others = seen.entry((port.container_port, protocol(port))).or_default();
            let before = warnings.len();
            let found = others.iter().filter_map(|(other_at, other)| clash(&at, port, other_at, other));
            warnings.extend(found.take(MOST_CLASHES - clashes));
            clashes += warnings.len() - before;
            if others.len() < MOST_CLASHES {
                others.push((at.clone(), port));
            }
            if let Some(name) = port.name.as_deref().filter(|name| container.stays && !name.is_empty()) {
                match by_name.get(name) {
                    Some(first) => warnings.push(format!(
                        "{at}: duplicate port name {name:?} with {first}, services and probes that select ports by name will use {first}"
                    )),
                    None => drop(by_name.insert(name, at)),
                }
            }
        }
    }
}

fn clash(at: &str, port: &ContainerPort, other_at: &str, other: &ContainerPort) -> Option<String> {
    let same_host_port = host_port(port) == host_port(other);
    let what = if host_ip(port) == host_ip(other) && same_host_port {
        "duplicate"
    } else if host_port(port) == 0 || host_port(other) == 0 {
        "overlapping"
    } else if same_host_port && host_ip(port).is_empty() != host_ip(other).is_empty() {
        "dangerously ambiguous"
    } else {
        return None;
    };
    Some(format!("{at}: {what} port definition with {other_at}"))
}

fn host_ip(port: &ContainerPort) -> &str {
    port.host_ip.as_deref().unwrap_or_default()
}

fn host_port(port: &ContainerPort) -> i32 {
    port.host_port.unwrap_or_default()
}

fn protocol(port: &ContainerPort) -> &str {
    port.protocol.as_deref().unwrap_or("TCP")
}

fn as_go_prints(port: &ContainerPort) -> String {
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        port.name.as_deref().unwrap_or_default(),
        host_port(port),
        port.container_port,
        protocol(port),
        host_ip(port)
    )
}

#[cfg(test)]
mod tests;
