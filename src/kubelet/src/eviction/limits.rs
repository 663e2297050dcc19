//! How much a pod may have on the disk, and what is said of one that has more. Pure; in upstream's words.

use api::quantity::{Quantity, canonical};
use k8s_openapi::api::core::v1::{Container, EmptyDirVolumeSource, PodSpec};
use kinds::pod as ask;

const RESOURCE: &str = "ephemeral-storage";

/// What it has, in bytes; volumes and containers by their names.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub volumes: Vec<(String, u64)>,
    pub containers: Vec<(String, u64)>,
}

impl Usage {
    pub fn of_volume(&self, name: &str) -> u64 {
        of(&self.volumes, name)
    }

    pub fn of_container(&self, name: &str) -> u64 {
        of(&self.containers, name)
    }

    pub fn of_pod(&self) -> u64 {
        self.volumes.iter().chain(&self.containers).map(|(_, bytes)| bytes).sum()
    }
}

fn of(all: &[(String, u64)], name: &str) -> u64 {
    all.iter().filter(|(known, _)| known == name).map(|(_, bytes)| bytes).sum()
}

/// And not in memory, where the kernel holds it to its size.
pub(super) fn is_on_disk(source: &EmptyDirVolumeSource) -> bool {
    source.medium.as_deref().unwrap_or_default().is_empty()
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// By the names of volumes.
    volumes: Vec<(String, Limit)>,
    /// Of all containers together, where one of them has a limit.
    pod: Option<Limit>,
    containers: Vec<(String, Limit)>,
}

#[derive(Debug, PartialEq, Eq)]
struct Limit {
    bytes: u64,
    /// As upstream prints it.
    told: String,
}

impl Limit {
    /// `None` where it is no quantity, which validation lets nobody write.
    fn new(text: &str) -> Option<Self> {
        let amount: Quantity = text.parse().ok()?;
        let told = canonical(text).unwrap_or_else(|_| text.to_owned());
        Some(Limit { bytes: u64::try_from(amount.value()).unwrap_or(0), told })
    }

    /// Upstream prints a sum as its first part is written.
    fn of_pod(spec: &PodSpec) -> Option<Self> {
        let total = ask::limits(spec).get(RESOURCE).copied()?;
        let is_binary = spec.containers.iter().find_map(limit_of).is_some_and(|first| first.ends_with('i'));
        let bytes = total.value();
        Limit::new(&match is_binary && bytes % 1024 == 0 {
            true => format!("{}Ki", bytes / 1024),
            false => total.to_string(),
        })
    }
}

fn limit_of(container: &Container) -> Option<&str> {
    let limits = container.resources.as_ref()?.limits.as_ref()?;
    limits.get(RESOURCE).map(|limit| limit.0.as_str())
}

impl Limits {
    /// `None` where there is nothing to look at.
    pub fn of(spec: &PodSpec) -> Option<Self> {
        let volumes = spec.volumes.iter().flatten().filter_map(|volume| {
            let source = volume.empty_dir.as_ref().filter(|source| is_on_disk(source))?;
            let limit = Limit::new(&source.size_limit.as_ref()?.0).filter(|limit| limit.bytes > 0)?;
            Some((volume.name.clone(), limit))
        });
        let containers = spec.containers.iter().filter_map(|container| {
            let limit = Limit::new(limit_of(container)?).filter(|limit| limit.bytes > 0)?;
            Some((container.name.clone(), limit))
        });
        let limits =
            Limits { volumes: volumes.collect(), pod: Limit::of_pod(spec), containers: containers.collect() };
        (!limits.volumes.is_empty() || limits.pod.is_some()).then_some(limits)
    }

    /// The first that is exceeded, in upstream's order: volumes, the pod, containers.
    pub fn exceeded(&self, usage: &Usage) -> Option<String> {
        let volume = self.volumes.iter().find(|(name, limit)| usage.of_volume(name) > limit.bytes);
        if let Some((name, limit)) = volume {
            return Some(format!("Usage of EmptyDir volume {name:?} exceeds the limit {:?}. ", limit.told));
        }
        if let Some(limit) = self.pod.as_ref().filter(|limit| usage.of_pod() > limit.bytes) {
            let told = &limit.told;
            return Some(format!(
                "Pod ephemeral local storage usage exceeds the total limit of containers {told}. "
            ));
        }
        let container = self.containers.iter().find(|(name, limit)| usage.of_container(name) > limit.bytes);
        container.map(|(name, limit)| {
            format!("Container {name} exceeded its local ephemeral storage limit {:?}. ", limit.told)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn limits(spec: Value) -> Option<Limits> {
        Limits::of(&serde_json::from_value(spec).unwrap())
    }

    fn container(name: &str, limit: &str) -> Value {
        json!({"name": name, "resources": {"limits": {"ephemeral-storage": limit}}})
    }

    #[test]
    fn only_what_is_on_the_disk_and_has_a_limit_is_looked_at() {
        let plain = json!([{"name": "a", "resources": {"limits": {"memory": "1Gi"}}}]);
        let volume =
            |source: Value| json!({"containers": plain, "volumes": [{"name": "v", "emptyDir": source}]});
        let cases = [
            ("nothing", json!({"containers": plain}), false),
            ("a volume without a limit", volume(json!({})), false),
            ("a limit of none", volume(json!({"sizeLimit": "0"})), false),
            ("a volume of memory", volume(json!({"medium": "Memory", "sizeLimit": "1Mi"})), false),
            ("a volume with a limit", volume(json!({"sizeLimit": "1Mi"})), true),
            ("a container with a limit", json!({"containers": [container("a", "1Mi")]}), true),
        ];
        for (name, spec, want) in cases {
            assert_eq!(limits(spec).is_some(), want, "{name}");
        }
    }

    #[test]
    fn what_is_exceeded_first() {
        const MIB: u64 = 1 << 20;
        let both = json!([container("a", "10Mi"), container("b", "20Mi")]);
        let volumes =
            json!([{"name": "cache", "emptyDir": {"sizeLimit": "4Mi"}}, {"name": "more", "emptyDir": {}}]);
        let of = limits(json!({"containers": both, "volumes": volumes})).unwrap();
        let total = "Pod ephemeral local storage usage exceeds the total limit of containers 30Mi. ";
        let cases = [
            ("nothing", [0, 0, 0, 0], None),
            ("all that may be", [4 * MIB, 0, 10 * MIB, 16 * MIB], None),
            (
                "a volume",
                [4 * MIB + 1, 0, 99 * MIB, 0],
                Some("Usage of EmptyDir volume \"cache\" exceeds the limit \"4Mi\". "),
            ),
            ("all together", [0, 25 * MIB, 0, 6 * MIB], Some(total)),
            ("all together before one of them", [0, 0, 31 * MIB, 0], Some(total)),
            (
                "a container",
                [0, 0, 11 * MIB, 0],
                Some("Container a exceeded its local ephemeral storage limit \"10Mi\". "),
            ),
        ];
        for (name, [cache, more, a, b], want) in cases {
            let usage = Usage {
                volumes: vec![("cache".to_owned(), cache), ("more".to_owned(), more)],
                containers: vec![("a".to_owned(), a), ("b".to_owned(), b)],
            };
            assert_eq!(of.exceeded(&usage).as_deref(), want, "{name}");
        }
    }
}
