//! What pods have in common that mean the same to others.

use k8s_openapi::api::core::v1::Pod;
use kinds::pod as ask;
use std::collections::BTreeMap;

/// Two pods of the same likeness are the same to every selector and term.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Likeness {
    pub(crate) namespace: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// Its affinity to pods as JSON; empty where it has none.
    affinity: String,
    pub(crate) is_deleting: bool,
}

impl Likeness {
    pub(crate) fn of(pod: &Pod) -> Self {
        let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
        let of_pods = affinity.filter(|a| a.pod_affinity.is_some() || a.pod_anti_affinity.is_some());
        let json = of_pods.map(|a| serde_json::to_string(&(&a.pod_affinity, &a.pod_anti_affinity)));
        Likeness {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            labels: pod.metadata.labels.clone().unwrap_or_default(),
            affinity: json.and_then(Result::ok).unwrap_or_default(),
            is_deleting: ask::is_deleting(pod),
        }
    }
}
