//! A pod, and what is worked out of it once: it is looked at for many nodes, and by many pods.

use crate::likeness::Likeness;
use crate::resources::Resources;
use crate::terms::Terms;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;
use kinds::HostPorts;
use kinds::pod as ask;
use std::sync::Arc;

/// What a container is taken to use that asks for nothing: upstream's `DefaultMilliCPURequest`, `DefaultMemoryRequest`.
const DEFAULT_MILLI_CPU: i64 = 100;
const DEFAULT_MEMORY: i64 = 200 << 20;

#[derive(Debug)]
pub struct PodInfo {
    pub pod: Arc<Pod>,
    /// Its uid.
    pub(crate) id: String,
    /// What it asks of a node that it is not on yet.
    pub(crate) asked: Resources,
    /// What it takes of the node that it is on.
    pub(crate) occupied: Resources,
    /// Thousandths of a CPU and bytes of memory that it is taken to use, where it asks for none too.
    pub(crate) assumed: (i64, i64),
    pub(crate) ports: HostPorts,
    pub(crate) terms: Terms,
    pub(crate) is_deleting: bool,
    /// What pods have in common that mean the same to others: namespace, labels, affinity, whether they are leaving.
    pub(crate) likeness: Likeness,
}

impl PodInfo {
    pub fn of(pod: Arc<Pod>) -> Self {
        let asked = pod.spec.as_ref().map(|spec| Resources::of(&ask::requests(spec))).unwrap_or_default();
        let occupied = match ask::condition(&pod, "PodResizePending") {
            Some(_) => Resources::of(&ask::occupied(&pod)),
            None => asked.clone(),
        };
        let meta = &pod.metadata;
        PodInfo {
            // one that was never stored has none
            id: meta.uid.clone().unwrap_or_else(|| kinds::key_of(meta).to_string()),
            assumed: pod.spec.as_ref().map(|spec| assumed(spec, &asked)).unwrap_or_default(),
            ports: HostPorts::of(&pod),
            terms: Terms::of(&pod),
            is_deleting: ask::is_deleting(&pod),
            likeness: Likeness::of(&pod),
            asked,
            occupied,
            pod,
        }
    }

    pub(crate) fn priority(&self) -> i32 {
        priority(&self.pod)
    }
}

pub(crate) fn priority(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0)
}

/// Whether the pod says which nodes it wants, or which it had better go to.
pub(crate) fn chooses_nodes(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| {
        let by_labels = spec.node_selector.as_ref().is_some_and(|labels| !labels.is_empty());
        by_labels || spec.affinity.as_ref().is_some_and(|affinity| affinity.node_affinity.is_some())
    })
}

fn assumed(spec: &PodSpec, asked: &Resources) -> (i64, i64) {
    let mut containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let says_all = |container: &Container| {
        let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        requests.is_some_and(|requests| requests.contains_key("cpu") && requests.contains_key("memory"))
    };
    if containers.all(says_all) {
        return (asked.milli_cpu, asked.memory);
    }
    let filled = Resources::of(&ask::requests(&with_defaults(spec)));
    (filled.milli_cpu, filled.memory)
}

fn with_defaults(spec: &PodSpec) -> PodSpec {
    let mut spec = PodSpec {
        containers: spec.containers.clone(),
        init_containers: spec.init_containers.clone(),
        overhead: spec.overhead.clone(),
        resources: spec.resources.clone(),
        ..PodSpec::default()
    };
    spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()).for_each(fill_requests);
    spec
}

fn fill_requests(container: &mut Container) {
    let resources = container.resources.get_or_insert_default();
    let requests = resources.requests.get_or_insert_default();
    for (name, amount) in [("cpu", format!("{DEFAULT_MILLI_CPU}m")), ("memory", DEFAULT_MEMORY.to_string())] {
        requests.entry(name.to_owned()).or_insert_with(|| Amount(amount));
    }
}
