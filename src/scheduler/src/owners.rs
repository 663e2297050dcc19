//! Whom a pod is to be spread among where it says nothing of it: the pods of its Services and of its controller (upstream's
//! `DefaultSelector`).

use api::{LabelSelector, ObjectKey};
use cluster::Cluster;
use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, ReplicationController, Service};
use kinds::selectors::from_object;
use std::collections::BTreeMap;

/// `None` where nobody else is selected.
pub(crate) fn owners(cluster: &Cluster, pod: &Pod) -> Option<LabelSelector> {
    let says = pod.spec.as_ref().and_then(|spec| spec.topology_spread_constraints.as_ref());
    if says.is_some_and(|constraints| !constraints.is_empty()) {
        return None;
    }
    let labels = pod.metadata.labels.as_ref()?;
    let services = cluster.informer::<Service>().list(pod.metadata.namespace.as_deref());
    let selectors = services.iter().filter_map(|service| service.spec.as_ref()?.selector.as_ref());
    let mut all = of_services(selectors, labels);
    let mut refs = pod.metadata.owner_references.iter().flatten();
    if let Some(owner) = refs.find(|owner| owner.controller == Some(true)) {
        let key = ObjectKey::new(pod.metadata.namespace.as_deref(), &owner.name);
        let selected = match (owner.api_version.as_str(), owner.kind.as_str()) {
            ("v1", "ReplicationController") => {
                let controller = cluster.informer::<ReplicationController>().get(&key);
                let pairs = controller.and_then(|c| c.spec.as_ref()?.selector.clone());
                pairs.map(|pairs| LabelSelector::from_pairs(&pairs))
            }
            ("apps/v1", "ReplicaSet") => {
                let set = cluster.informer::<ReplicaSet>().get(&key);
                set.and_then(|set| from_object(&set.spec.selector).ok())
            }
            ("apps/v1", "StatefulSet") => {
                let set = cluster.informer::<StatefulSet>().get(&key);
                set.and_then(|set| from_object(&set.spec.selector).ok())
            }
            _ => None,
        };
        all.requirements.extend(selected.unwrap_or_default().requirements);
    }
    (!all.requirements.is_empty()).then_some(all)
}

/// What all Services say that select the pod.
fn of_services<'s>(
    selectors: impl Iterator<Item = &'s BTreeMap<String, String>>,
    labels: &BTreeMap<String, String>,
) -> LabelSelector {
    let selects = |pairs: &&BTreeMap<String, String>| {
        !pairs.is_empty() && pairs.iter().all(|(key, value)| labels.get(key) == Some(value))
    };
    let pairs: BTreeMap<&String, &String> = selectors.filter(selects).flatten().collect();
    LabelSelector::from_pairs(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_services_say_together() {
        let pairs = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
            all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let labels = pairs(&[("app", "web"), ("tier", "front"), ("rev", "2")]);
        let services = [
            pairs(&[("app", "web")]),
            pairs(&[("tier", "front"), ("app", "web")]),
            pairs(&[("app", "db")]),
            pairs(&[]),
        ];
        let all = of_services(services.iter(), &labels);
        assert_eq!(all, LabelSelector::from_pairs(&pairs(&[("app", "web"), ("tier", "front")])));
        assert!(of_services(services[2..].iter(), &labels).requirements.is_empty());
    }
}
