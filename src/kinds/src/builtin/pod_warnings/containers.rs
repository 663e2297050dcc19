//! What containers of every sort have: variables that hide each other, and ports that clash.

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvVar, EphemeralContainer, PodSpec, ResourceRequirements, SecurityContext,
};
use std::collections::{BTreeMap, BTreeSet};

/// What containers of every sort have.
pub(super) struct AnyContainer<'s> {
    /// `spec.containers[0]`
    pub(super) at: String,
    pub(super) name: &'s str,
    pub(super) security: Option<&'s SecurityContext>,
    pub(super) resources: Option<&'s ResourceRequirements>,
    env: &'s [EnvVar],
    ports: &'s [ContainerPort],
    /// Its ports are open while the pod is ready.
    stays: bool,
}

pub(super) fn containers<'s>(spec: &'s PodSpec, at: &str) -> Vec<AnyContainer<'s>> {
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
pub(super) fn hidden_variables(container: &AnyContainer<'_>, warnings: &mut Vec<String>) {
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

pub(super) fn ports(containers: &[AnyContainer<'_>], warnings: &mut Vec<String>) {
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
