//! What there is of policies, pods and namespaces, and whether what is rendered of it may have changed. Pure.

use crate::{Namespaces, NetpolConfig, Pod, Policy, Rendered, render};
use api::ObjectKey;
use cluster::Change;
use k8s_openapi::api::core::v1::{Namespace, Pod as PodObject};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kinds::key_of;
use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;

pub(crate) struct State {
    config: NetpolConfig,
    policies: BTreeMap<ObjectKey, Arc<Policy>>,
    pods: BTreeMap<ObjectKey, Arc<Pod>>,
    namespaces: Arc<Namespaces>,
    /// Those that were given out since the start, by the pod's uid: its status says so only later.
    given: HashMap<String, Ipv4Addr>,
    dirty: bool,
}

impl State {
    pub(crate) fn new(config: NetpolConfig) -> Self {
        State {
            config,
            policies: BTreeMap::new(),
            pods: BTreeMap::new(),
            namespaces: Arc::default(),
            given: HashMap::new(),
            dirty: true,
        }
    }

    pub(crate) fn policy_changed(&mut self, change: &Change<NetworkPolicy>) {
        let object = change.object();
        let key = key_of(&object.metadata);
        match change {
            Change::Deleted(_) => drop(self.policies.remove(&key)),
            _ => drop(self.policies.insert(key, Arc::new(Policy::of(object)))),
        }
        self.dirty = true;
    }

    pub(crate) fn pod_changed(&mut self, change: &Change<PodObject>) {
        let object = change.object();
        let key = key_of(&object.metadata);
        if let Change::Modified { old, .. } | Change::Deleted(old) = change {
            let uid = |pod: &PodObject| pod.metadata.uid.clone().unwrap_or_default();
            let is_gone = matches!(change, Change::Deleted(_)) || uid(old) != uid(object);
            // what has ended may have its address taken away at any moment
            if is_gone || kinds::pod::is_terminal(object) {
                self.given.remove(&uid(old));
            }
        }
        let before = match change {
            Change::Deleted(_) => self.pods.remove(&key),
            _ => self.pods.insert(key.clone(), Arc::new(Pod::of(object))),
        };
        // most changes are of a status that says nothing of the network
        self.dirty |= before.as_ref() != self.pods.get(&key);
    }

    pub(crate) fn namespace_changed(&mut self, change: &Change<Namespace>) {
        let object = change.object();
        let name = object.metadata.name.clone().unwrap_or_default();
        let labels = object.metadata.labels.clone().unwrap_or_default();
        let namespaces = Arc::make_mut(&mut self.namespaces);
        let before = match change {
            Change::Deleted(_) => namespaces.remove(&name),
            _ => namespaces.insert(name.clone(), labels),
        };
        self.dirty |= before.as_ref() != namespaces.get(&name);
    }

    /// A pod gets this address; the empty uid is somebody who is no pod. False where there is no such pod.
    pub(crate) fn address_given(&mut self, uid: &str, address: Ipv4Addr) -> bool {
        // whoever had it before has it no more
        self.given.retain(|_, given| *given != address);
        for pod in self.pods.values_mut().filter(|pod| pod.address == Some(address) && pod.uid != uid) {
            Arc::make_mut(pod).address = None;
            self.dirty = true;
        }
        if uid.is_empty() {
            return true;
        }
        if !self.pods.values().any(|pod| pod.uid == uid) {
            return false;
        }
        self.given.insert(uid.to_owned(), address);
        self.dirty = true;
        true
    }

    /// Whether what the kernel should have may differ from what it was asked for last.
    pub(crate) fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// What there is now: to be rendered elsewhere, and cheap to take, whatever policies and pods say.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let at_given = |pod: &Arc<Pod>| match self.given.get(&pod.uid).copied() {
            Some(given) if pod.address != Some(given) => {
                Arc::new(Pod { address: Some(given), ..Pod::clone(pod) })
            }
            _ => pod.clone(),
        };
        Snapshot {
            dns: self.config.dns,
            policies: self.policies.values().cloned().collect(),
            pods: self.pods.values().map(at_given).collect(),
            namespaces: self.namespaces.clone(),
        }
    }
}

pub(crate) struct Snapshot {
    dns: Ipv4Addr,
    policies: Vec<Arc<Policy>>,
    pods: Vec<Arc<Pod>>,
    namespaces: Arc<Namespaces>,
}

impl Snapshot {
    pub(crate) fn render(&self) -> Rendered {
        if self.policies.is_empty() {
            return Rendered::default();
        }
        let policies: Vec<&Policy> = self.policies.iter().map(Arc::as_ref).collect();
        let pods: Vec<&Pod> = self.pods.iter().map(Arc::as_ref).collect();
        render(&policies, &pods, &self.namespaces, self.dns)
    }
}
