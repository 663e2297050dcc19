//! Short words for what one asks a Pod again and again.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
pub use kinds::pod::is_sidecar;
use std::sync::LazyLock;

static NO_SPEC: LazyLock<PodSpec> = LazyLock::new(PodSpec::default);

pub fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

pub fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

pub fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or_default()
}

pub fn key(pod: &Pod) -> api::ObjectKey {
    api::ObjectKey::namespaced(namespace(pod), name(pod))
}

/// `web_default(6b1f…)`, as upstream's messages name a pod.
pub fn full_name(pod: &Pod) -> String {
    format!("{}_{}({})", name(pod), namespace(pod), uid(pod))
}

pub fn spec(pod: &Pod) -> &PodSpec {
    pod.spec.as_ref().unwrap_or(&NO_SPEC)
}

pub fn init_containers(spec: &PodSpec) -> &[Container] {
    spec.init_containers.as_deref().unwrap_or_default()
}

/// Init containers first.
pub fn all_containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    init_containers(spec).iter().chain(&spec.containers)
}

pub fn container<'a>(spec: &'a PodSpec, name: &str) -> Option<&'a Container> {
    all_containers(spec).find(|c| c.name == name)
}

/// Those that were added to it while it ran.
pub fn ephemeral_containers(spec: &PodSpec) -> Vec<Container> {
    kinds::pod::ephemeral_containers(spec)
}

/// Also one that was added.
pub fn any_container(spec: &PodSpec, name: &str) -> Option<Container> {
    let added = || ephemeral_containers(spec).into_iter().find(|c| c.name == name);
    container(spec, name).cloned().or_else(added)
}

pub fn is_ephemeral(spec: &PodSpec, name: &str) -> bool {
    spec.ephemeral_containers.iter().flatten().any(|c| c.name == name)
}

/// The container whose processes an added one is to see.
pub fn target<'a>(spec: &'a PodSpec, name: &str) -> Option<&'a str> {
    let added = spec.ephemeral_containers.iter().flatten().find(|c| c.name == name)?;
    added.target_container_name.as_deref().filter(|target| !target.is_empty())
}

/// Whether a container has none that could run beside it, whatever ends and comes again.
pub fn has_one_container(spec: &PodSpec) -> bool {
    spec.containers.len() == 1
        && spec.ephemeral_containers.iter().flatten().next().is_none()
        && !init_containers(spec).iter().any(is_sidecar)
}

pub fn is_init(spec: &PodSpec, name: &str) -> bool {
    init_containers(spec).iter().any(|c| c.name == name)
}

/// Upstream's `SystemCriticalPriority`: that of the class `system-cluster-critical`. Above it is only `system-node-critical`.
pub const CRITICAL_PRIORITY: i32 = 2_000_000_000;

/// It is not evicted for what it takes, and killed last.
pub fn is_critical(spec: &PodSpec) -> bool {
    spec.priority.is_some_and(|priority| priority >= CRITICAL_PRIORITY)
}

pub fn is_deleting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default()
}

/// It has ended, and never starts again.
pub fn is_over(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

pub fn host_network(spec: &PodSpec) -> bool {
    spec.host_network == Some(true)
}

/// Seconds that its containers get to end. A deletion's own value wins; what is forced gets one, as upstream does.
/// Whose group its volumes are in.
pub fn fs_group(pod: &Pod) -> Option<u32> {
    let group = spec(pod).security_context.as_ref()?.fs_group?;
    cri::checked_id(group).ok()
}

pub fn grace_seconds(pod: &Pod) -> u64 {
    let own = spec(pod).termination_grace_period_seconds;
    let asked = pod.metadata.deletion_grace_period_seconds.or(own).unwrap_or(30);
    u64::try_from(asked).unwrap_or(0).max(1)
}

/// The host name inside, and the domain where it has one: hostname and subdomain, at most 63 characters.
pub fn hostname(pod: &Pod, cluster_domain: &str) -> (String, Option<String>) {
    let spec = spec(pod);
    if let Some(name) = spec.hostname_override.as_deref().filter(|n| !n.is_empty()) {
        return (name.to_owned(), None);
    }
    let name = spec.hostname.as_deref().filter(|n| !n.is_empty()).unwrap_or(name(pod));
    let mut short = name.to_owned();
    short.truncate(63);
    let short = short.trim_end_matches(['-', '.']).to_owned();
    let subdomain = spec.subdomain.as_deref().filter(|s| !s.is_empty());
    (short, subdomain.map(|s| format!("{s}.{}.svc.{cluster_domain}", namespace(pod))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn who_has_another_beside_it() {
        let one = || json!({"name": "c", "image": "i"});
        let sidecar = json!({"name": "s", "image": "i", "restartPolicy": "Always"});
        let cases: [(&str, Value, bool); 5] = [
            ("one", json!({"containers": [one()]}), true),
            ("after others", json!({"initContainers": [one()], "containers": [one()]}), true),
            ("two", json!({"containers": [one(), one()]}), false),
            ("a sidecar", json!({"initContainers": [sidecar], "containers": [one()]}), false),
            ("a debugger", json!({"containers": [one()], "ephemeralContainers": [one()]}), false),
        ];
        for (name, spec, want) in cases {
            assert_eq!(has_one_container(&serde_json::from_value(spec).unwrap()), want, "{name}");
        }
    }
}
