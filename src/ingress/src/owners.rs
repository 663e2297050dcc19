//! Whose the addresses are that slices name: pods of the Service's own namespace, of another one, or no pod's. Who writes slices
//! by hand may name any address, and what is asked through an Ingress comes from the machine, which NetworkPolicies let in
//! (CVE-2021-25740 is the same by other means). Pure.

use crate::backends::address;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// Addresses that slices name, and the namespaces of these.
#[derive(Default)]
pub(crate) struct Named(HashMap<IpAddr, BTreeSet<Arc<str>>>);

/// Of these addresses, the namespaces of the pods that have them.
pub(crate) struct Owners<'p>(HashMap<IpAddr, Vec<&'p str>>);

impl Named {
    pub(crate) fn add(&mut self, slice: &EndpointSlice, namespace: &Arc<str>) {
        for at in slice.endpoints.iter().flatten().filter_map(address) {
            self.0.entry(at).or_default().insert(namespace.clone());
        }
    }

    /// Whether what the pod is, or was, changes whom another namespace's slices lead to.
    pub(crate) fn concerns(&self, pod: &Pod) -> bool {
        let of_others = |named: &BTreeSet<Arc<str>>| named.iter().any(|other| **other != *namespace(pod));
        addresses(pod).any(|at| self.0.get(&at).is_some_and(of_others))
    }

    pub(crate) fn owners<'p>(&self, pods: &'p [Arc<Pod>]) -> Owners<'p> {
        let mut owners: HashMap<IpAddr, Vec<&'p str>> = HashMap::new();
        for pod in pods {
            for at in addresses(pod).filter(|at| self.0.contains_key(at)) {
                owners.entry(at).or_default().push(namespace(pod));
            }
        }
        Owners(owners)
    }
}

impl Owners<'_> {
    /// Whether pods have the address, and none of this namespace is among them.
    pub(crate) fn are_others(&self, at: IpAddr, own: &str) -> bool {
        self.0.get(&at).is_some_and(|namespaces| !namespaces.contains(&own))
    }
}

fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or_default()
}

/// Its own: on the machine's network it has none, and one that has ended has none any more.
fn addresses(pod: &Pod) -> impl Iterator<Item = IpAddr> {
    let is_on_host = pod.spec.as_ref().and_then(|spec| spec.host_network).unwrap_or(false);
    let status = pod.status.as_ref().filter(|_| !is_on_host && !kinds::pod::is_terminal(pod));
    let all = status.and_then(|status| status.pod_ips.as_deref()).unwrap_or_default();
    all.iter().filter_map(|address| address.ip.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(namespace: &str, at: &str, phase: &str, on_host: bool) -> Arc<Pod> {
        let pod = json!({
            "metadata": {"name": "p", "namespace": namespace},
            "spec": {"containers": [], "hostNetwork": on_host},
            "status": {"phase": phase, "podIP": at, "podIPs": [{"ip": at}]},
        });
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn an_address_is_its_pods() {
        let endpoints = ["10.244.0.5", "10.244.0.6"].map(|at| json!({"addresses": [at]}));
        let slice = json!({"metadata": {}, "addressType": "IPv4", "endpoints": endpoints});
        let slice: EndpointSlice = serde_json::from_value(slice).unwrap();
        let mut named = Named::default();
        named.add(&slice, &Arc::from("evil"));
        let at: IpAddr = "10.244.0.5".parse().unwrap();
        for (name, pods, of_others, concerns) in [
            ("nobody's", vec![], false, false),
            ("another's", vec![pod("bank", "10.244.0.5", "Running", false)], true, true),
            ("its own", vec![pod("evil", "10.244.0.5", "Running", false)], false, false),
            ("another's, not named", vec![pod("bank", "10.244.0.9", "Running", false)], false, false),
            ("another's that has ended", vec![pod("bank", "10.244.0.5", "Succeeded", false)], false, false),
            ("the machine's", vec![pod("bank", "10.244.0.5", "Running", true)], false, false),
            (
                "both's, while one goes",
                vec![
                    pod("bank", "10.244.0.5", "Running", false),
                    pod("evil", "10.244.0.5", "Running", false),
                ],
                false,
                true,
            ),
        ] {
            assert_eq!(named.owners(&pods).are_others(at, "evil"), of_others, "{name}");
            assert_eq!(pods.iter().any(|pod| named.concerns(pod)), concerns, "{name}");
        }
    }
}
