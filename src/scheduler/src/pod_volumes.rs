//! The claims of a pod: which nodes reach their volumes, and what must be promised before the pod is bound (upstream's
//! plugins `VolumeBinding`, `VolumeZone`, `NodeVolumeLimits`, and of `VolumeRestrictions` what is about claims). Pure.

#[cfg(test)]
mod tests;

use crate::config::Point;
use crate::plugin::{Plugin, Refusal};
use crate::pod_info::PodInfo;
use crate::{NodeSnapshot, Profile, Snapshot};
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::{CSIStorageCapacity, StorageClass};
use kinds::selectors::from_object;
use kinds::volume::{self, Seeker};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

const NOT_FOUND: &str = "node(s) didn't find available persistent volumes to bind";
const NOT_REACHED: &str = "node(s) didn't match PersistentVolume's node affinity";
const NO_SPACE: &str = "node(s) did not have enough free storage";
const USED_BY_ANOTHER: &str =
    "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
const TOO_MANY: &str = "node(s) exceed max volume count";
const OTHER_ZONE: &str = "node(s) had no available volume zone";
/// Labels of a volume that say where it is; several values are joined by `__`.
const PLACES: [&str; 4] = [
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
];
const NO_VOLUME: &str = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";

/// What is known of storage: the claims that the pod uses, by name, and all volumes and classes.
#[derive(Debug, Clone, Default)]
pub struct Storage {
    pub claims: BTreeMap<String, PersistentVolumeClaim>,
    pub volumes: Vec<Arc<PersistentVolume>>,
    pub classes: Vec<Arc<StorageClass>>,
    pub attached: Attached,
    pub capacities: Capacities,
}

/// How much drivers say that they can still provision, and which of them say so (`CSIDriver.spec.storageCapacity`).
#[derive(Debug, Clone, Default)]
pub struct Capacities {
    pub drivers: BTreeSet<String>,
    pub all: Vec<Arc<CSIStorageCapacity>>,
}

impl Capacities {
    /// Whether a volume that the claim asks for can be made of the class where the node reaches it.
    fn suffice(&self, class: &StorageClass, claim: &PersistentVolumeClaim, node: &Node) -> bool {
        if !self.drivers.contains(&class.provisioner) {
            return true;
        }
        let (name, asked) = (class.metadata.name.as_deref().unwrap_or_default(), volume::request(claim));
        let none = BTreeMap::new();
        let labels = node.metadata.labels.as_ref().unwrap_or(&none);
        self.all.iter().filter(|of| of.storage_class_name == name).any(|of| {
            let selector = of.node_topology.as_ref().and_then(|selector| from_object(selector).ok());
            let limit = of.maximum_volume_size.as_ref().or(of.capacity.as_ref());
            let limit = limit.and_then(|limit| limit.0.parse::<api::quantity::Quantity>().ok());
            selector.is_some_and(|selector| selector.matches(labels))
                && limit.is_some_and(|limit| limit >= asked)
        })
    }
}

/// A driver (CSI) and its name of a volume.
pub type Attachment = (String, String);

/// What drivers attach, for nodes where a driver can not attach as many volumes as there are.
#[derive(Debug, Clone, Default)]
pub struct Attached {
    /// By node and driver.
    pub limits: Arc<HashMap<String, BTreeMap<String, i64>>>,
    /// By the pod's uid.
    pub of_pods: Arc<HashMap<String, Vec<Attachment>>>,
    /// Those of the pod that is to be placed.
    pub own: Vec<Attachment>,
}

impl Attached {
    /// Whether the node has no place left for what the pod needs beside those that are there.
    fn exceeds(&self, node: &NodeSnapshot) -> bool {
        let Some(limits) = self.limits.get(node.name()).filter(|_| !self.own.is_empty()) else {
            return false;
        };
        let here = node.residents.iter().filter_map(|pod| self.of_pods.get(&pod.id)).flatten();
        let here: BTreeSet<&Attachment> = here.collect();
        let new: BTreeSet<&Attachment> = self.own.iter().filter(|own| !here.contains(own)).collect();
        let of = |all: &BTreeSet<&Attachment>, driver: &String| {
            all.iter().filter(|(by, _)| by == driver).count() as i64
        };
        limits.iter().any(|(driver, most)| {
            let new = of(&new, driver);
            new > 0 && of(&here, driver) + new > *most
        })
    }
}

/// The claims of one pod.
pub(crate) struct PodVolumes<'s> {
    storage: &'s Storage,
    bound: Vec<&'s PersistentVolumeClaim>,
    /// Those that wait for the pod, the one that asks for least first.
    waiting: Vec<&'s PersistentVolumeClaim>,
    /// Names of those that one pod alone may use (`ReadWriteOncePod`).
    exclusive: BTreeSet<String>,
    namespace: String,
    /// How many other pods use one of these, on whatever node.
    others: i64,
}

/// What a claim that waits needs before the pod is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Its volume is being made, or bound.
    Made,
    Node {
        claim: String,
    },
    Volume {
        claim: String,
        volume: String,
    },
}

impl Storage {
    fn class_of(&self, claim: &PersistentVolumeClaim) -> Option<&StorageClass> {
        let name = volume::class_of_claim(claim);
        self.classes.iter().find(|class| class.metadata.name.as_deref() == Some(name)).map(|class| &**class)
    }

    fn volume(&self, name: &str) -> Option<&PersistentVolume> {
        self.volumes.iter().find(|of| of.metadata.name.as_deref() == Some(name)).map(|of| &**of)
    }
}

impl<'s> PodVolumes<'s> {
    /// # Errors
    /// Why no node will do, whichever.
    pub(crate) fn of(pod: &Pod, storage: &'s Storage, profile: &Profile) -> Result<Self, (Plugin, String)> {
        let prepares = |plugin: Plugin| profile.has(plugin, Point::PreFilter);
        // who looks at the claims of a pod, and misses one that is not there
        let looks = [Plugin::VolumeBinding, Plugin::VolumeRestrictions, Plugin::VolumeZone];
        let missed_by = looks.into_iter().find(|plugin| prepares(*plugin));
        let binds = prepares(Plugin::VolumeBinding);
        let (mut found, mut bound, mut waiting, mut is_early) = (Vec::new(), Vec::new(), Vec::new(), false);
        for used in volume::claims_of(pod) {
            let name = &used.name;
            let Some(claim) = storage.claims.get(name) else {
                let Some(plugin) = missed_by else { continue };
                let why = match used.is_ephemeral {
                    true => format!(
                        "waiting for ephemeral volume controller to create the persistentvolumeclaim \"{name}\""
                    ),
                    false => format!("persistentvolumeclaim \"{name}\" not found"),
                };
                return Err((plugin, why));
            };
            if binds {
                let is_sound = match used.is_ephemeral {
                    true => is_sound(claim).and_then(|()| volume::is_for_pod(pod, claim)),
                    false => is_sound(claim),
                };
                is_sound.map_err(|why| (Plugin::VolumeBinding, why))?;
            }
            found.push(claim);
            let waits = volume::waits_for_consumer(storage.class_of(claim));
            match (volume::is_fully_bound(claim), waits && volume::volume_name(claim).is_empty()) {
                (true, _) => bound.push(claim),
                (false, true) => waiting.push(claim),
                (false, false) => is_early = true,
            }
        }
        if is_early && binds {
            let why = "pod has unbound immediate PersistentVolumeClaims";
            return Err((Plugin::VolumeBinding, why.to_owned()));
        }
        waiting.sort_by_key(|claim| volume::request(claim));
        let exclusive =
            found.iter().filter(|claim| is_exclusive(claim)).filter_map(|claim| claim.metadata.name.clone());
        let (exclusive, namespace) =
            (exclusive.collect(), pod.metadata.namespace.clone().unwrap_or_default());
        Ok(PodVolumes { storage, bound, waiting, exclusive, namespace, others: 0 })
    }

    /// Other pods that use what one alone may.
    pub(crate) fn count_others(&mut self, snapshot: &Snapshot) {
        if !self.exclusive.is_empty() {
            snapshot.nodes().flat_map(|node| &node.residents).for_each(|pod| self.resident(pod, 1));
        }
    }

    /// A pod comes to a node, or goes (`by` is -1).
    pub(crate) fn resident(&mut self, pod: &PodInfo, by: i64) {
        if !self.exclusive.is_empty() && pod.likeness.namespace == self.namespace {
            let used = volume::claims_of(&pod.pod);
            self.others +=
                by * used.iter().filter(|claim| self.exclusive.contains(&claim.name)).count() as i64;
        }
    }

    /// Whether the plug-in may say anything of them, whatever the node.
    pub(crate) fn concern(&self, plugin: Plugin) -> bool {
        match plugin {
            Plugin::VolumeRestrictions => !self.exclusive.is_empty(),
            Plugin::NodeVolumeLimits => !self.storage.attached.own.is_empty(),
            _ => !(self.bound.is_empty() && self.waiting.is_empty()),
        }
    }

    /// What that one of the four plug-ins says.
    pub(crate) fn against(&self, plugin: Plugin, node: &NodeSnapshot) -> Vec<Refusal> {
        match plugin {
            Plugin::VolumeRestrictions if self.others > 0 => vec![Refusal::for_now(plugin, USED_BY_ANOTHER)],
            Plugin::NodeVolumeLimits if self.storage.attached.exceeds(node) => {
                vec![Refusal::for_now(plugin, TOO_MANY)]
            }
            Plugin::VolumeBinding => self.not_reached(&node.node),
            Plugin::VolumeZone if self.bound.iter().any(|claim| self.is_elsewhere(claim, &node.node)) => {
                vec![Refusal::never(plugin, OTHER_ZONE)]
            }
            _ => Vec::new(),
        }
    }

    fn is_elsewhere(&self, claim: &PersistentVolumeClaim, node: &Node) -> bool {
        self.storage.volume(volume::volume_name(claim)).is_some_and(|of| is_elsewhere(of, node))
    }

    fn not_reached(&self, node: &Node) -> Vec<Refusal> {
        let mut reasons = BTreeSet::new();
        for claim in &self.bound {
            match self.storage.volume(volume::volume_name(claim)) {
                None => reasons.insert(NO_VOLUME),
                Some(of) if !volume::reaches(of, node) => reasons.insert(NOT_REACHED),
                Some(_) => false,
            };
        }
        if let Err(why) = self.plan(node) {
            reasons.insert(why);
        }
        reasons.into_iter().map(|why| Refusal::never(Plugin::VolumeBinding, why)).collect()
    }

    /// What is left to be done before the pod is bound to the node; nothing, when all claims are bound.
    pub(crate) fn promises(&self, node: &Node) -> Vec<Promise> {
        self.plan(node).unwrap_or_default()
    }

    fn plan(&self, node: &Node) -> Result<Vec<Promise>, &'static str> {
        let mut taken = BTreeSet::new();
        self.waiting.iter().map(|claim| self.promise(claim, node, &mut taken)).collect()
    }

    fn promise(
        &self,
        claim: &PersistentVolumeClaim,
        node: &Node,
        taken: &mut BTreeSet<String>,
    ) -> Result<Promise, &'static str> {
        let node_name = node.metadata.name.as_deref().unwrap_or_default();
        // whoever makes its volume makes it there
        if let Some(selected) = volume::annotation(&claim.metadata, volume::SELECTED_NODE) {
            return if selected == node_name { Ok(Promise::Made) } else { Err(NOT_FOUND) };
        }
        let name = claim.metadata.name.clone().unwrap_or_default();
        let found =
            volume::find_match(claim, &self.storage.volumes, Seeker::Scheduler { node, taken: &*taken });
        if let Some(of) = found {
            if volume::is_bound_to(of, claim) {
                return Ok(Promise::Made);
            }
            let of = of.metadata.name.clone().unwrap_or_default();
            taken.insert(of.clone());
            return Ok(Promise::Volume { claim: name, volume: of });
        }
        let class = self.storage.class_of(claim).ok_or(NOT_FOUND)?;
        if class.provisioner == volume::NO_PROVISIONER || !is_allowed(class, node) {
            return Err(NOT_FOUND);
        }
        match self.storage.capacities.suffice(class, claim, node) {
            true => Ok(Promise::Node { claim: name }),
            false => Err(NO_SPACE),
        }
    }
}

/// # Errors
/// Why nobody can be placed who uses it.
fn is_sound(claim: &PersistentVolumeClaim) -> Result<(), String> {
    let name = claim.metadata.name.as_deref().unwrap_or_default();
    if volume::phase(claim) == "Lost" {
        let of = volume::volume_name(claim);
        return Err(format!(
            "persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume \"{of}\""
        ));
    }
    match claim.metadata.deletion_timestamp {
        Some(_) => Err(format!("persistentvolumeclaim \"{name}\" is being deleted")),
        None => Ok(()),
    }
}

fn is_exclusive(claim: &PersistentVolumeClaim) -> bool {
    let modes = claim.spec.as_ref().and_then(|spec| spec.access_modes.as_ref());
    modes.is_some_and(|modes| modes.iter().any(|mode| mode == "ReadWriteOncePod"))
}

/// Whether the volume's labels name another zone or region than the node's. A node that says nothing is anywhere.
fn is_elsewhere(of: &PersistentVolume, node: &Node) -> bool {
    let says = |key: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(key));
    if PLACES.iter().all(|key| says(key).is_none()) {
        return false;
    }
    let places = of.metadata.labels.iter().flatten().filter(|(key, _)| PLACES.contains(&key.as_str()));
    places.into_iter().any(|(key, values)| {
        // a node may still have the old name of the label, or the volume
        let new = key.replace("failure-domain.beta.kubernetes.io", "topology.kubernetes.io");
        let old = key.replace("topology.kubernetes.io", "failure-domain.beta.kubernetes.io");
        let here = says(key).or_else(|| says(&new)).or_else(|| says(&old));
        here.is_none_or(|here| !values.split("__").any(|value| value == here))
    })
}

/// Whether the class makes volumes for nodes like this one.
fn is_allowed(class: &StorageClass, node: &Node) -> bool {
    let terms = class.allowed_topologies.as_deref().unwrap_or_default();
    let label = |key: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(key));
    terms.is_empty()
        || terms.iter().any(|term| {
            let mut rules = term.match_label_expressions.iter().flatten();
            rules.all(|rule| label(&rule.key).is_some_and(|value| rule.values.contains(value)))
        })
}
