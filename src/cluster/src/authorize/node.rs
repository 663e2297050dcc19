//! What a node may do that comes as a client: what the pods on it need, and what every node needs. Upstream's node authorizer,
//! and its `NodeRules`. Looked up in the store, so that a pod that was just bound counts at once.

use super::decision::{Attributes, Decision};
use super::rule::covers;
use crate::pod_references::{self as refers, MIRROR};
use crate::roles::{READ, rule};
use crate::{Actor, Cluster};
use ::api::{GroupResource, ObjectKey};
use k8s_openapi::api::certificates::v1::PodCertificateRequest;
use k8s_openapi::api::core::v1::{PersistentVolume, Pod};
use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kinds::TypedKind;
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use store::{Resource, Snapshot};

pub(crate) const LEASES: &str = "kube-node-lease";
const DEVICES: &str = "resource.k8s.io";

static RULES: LazyLock<Vec<PolicyRule>> = LazyLock::new(rules);

/// The role `system:node`, which nobody is bound to: which objects of those a node may have is said here.
pub(crate) fn rules() -> Vec<PolicyRule> {
    vec![
        rule(&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
        rule(&["create"], &["authorization.k8s.io"], &["subjectaccessreviews", "localsubjectaccessreviews"]),
        rule(READ, &[""], &["services"]),
        rule(&["create", "get", "list", "watch"], &[""], &["nodes"]),
        rule(&["update", "patch"], &[""], &["nodes/status"]),
        rule(&["update", "patch"], &[""], &["nodes"]),
        rule(&["create", "update", "patch"], &[""], &["events"]),
        rule(READ, &[""], &["pods"]),
        rule(&["create", "delete"], &[""], &["pods"]),
        rule(&["update", "patch"], &[""], &["pods/status"]),
        rule(&["create"], &[""], &["pods/eviction"]),
        rule(READ, &[""], &["secrets", "configmaps"]),
        rule(&["get"], &[""], &["persistentvolumeclaims", "persistentvolumes"]),
        rule(&["get"], &[""], &["endpoints"]),
        rule(&["create", "get", "list", "watch"], &["certificates.k8s.io"], &["certificatesigningrequests"]),
        rule(&["get", "create", "update", "patch", "delete"], &["coordination.k8s.io"], &["leases"]),
        rule(&["get"], &["storage.k8s.io"], &["volumeattachments"]),
        rule(&["create"], &[""], &["serviceaccounts/token"]),
        rule(&["get"], &[""], &["serviceaccounts"]),
        rule(&["get", "update", "patch"], &[""], &["persistentvolumeclaims/status"]),
        rule(READ, &["storage.k8s.io"], &["csidrivers"]),
        rule(&["get", "create", "update", "patch", "delete"], &["storage.k8s.io"], &["csinodes"]),
        rule(READ, &["node.k8s.io"], &["runtimeclasses"]),
        rule(&["get"], &[DEVICES], &["resourceclaims"]),
        rule(
            &["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"],
            &[DEVICES],
            &["resourceslices"],
        ),
        rule(READ, &["certificates.k8s.io"], &["clustertrustbundles"]),
        rule(&["create", "get", "list", "watch"], &["certificates.k8s.io"], &["podcertificaterequests"]),
    ]
}

/// Nobody but a node is let in, and none is denied: those who are asked next may know more.
pub(super) fn decide(cluster: &Cluster, actor: &Actor, asked: &Attributes) -> Decision {
    let Some(node) = actor.client_node() else { return Decision::default() };
    if node.is_empty() {
        return no_opinion(&format!("unknown node for user {:?}", actor.name));
    }
    match judge(&cluster.store().snapshot(), node, asked) {
        Ok(()) => Decision::allow(Arc::default()),
        Err(why) => no_opinion(&why),
    }
}

fn no_opinion(why: &str) -> Decision {
    Decision { reason: why.into(), ..Decision::default() }
}

/// # Errors
/// Why it is not for this node, in upstream's words; without words where no node may do that.
fn judge(objects: &Snapshot, node: &str, asked: &Attributes) -> Result<(), String> {
    let name = asked.name.as_deref().unwrap_or_default();
    let (verb, part) = (asked.verb.as_str(), asked.subresource.as_str());
    let there = Objects { objects, node, namespace: asked.namespace.as_deref().unwrap_or_default(), name };
    if asked.path.is_some() {
        return by_rules(asked);
    }
    match (asked.group.as_str(), asked.resource.as_str()) {
        ("", "secrets") => {
            readable(asked)?;
            there.related(Objects::is_secret)
        }
        ("", "configmaps") => {
            readable(asked)?;
            there.related(Objects::is_config_map)
        }
        ("", "persistentvolumeclaims") if part == "status" => {
            ensure(matches!(verb, "update" | "patch"), "can only get/update/patch this type")?;
            there.related(Objects::is_claim)
        }
        ("", "persistentvolumeclaims") => {
            gettable(asked)?;
            there.related(Objects::is_claim)
        }
        ("", "persistentvolumes") => {
            gettable(asked)?;
            there.related(Objects::is_volume)
        }
        (DEVICES, "resourceclaims") => {
            gettable(asked)?;
            there.related(Objects::is_resource_claim)
        }
        ("storage.k8s.io", "volumeattachments") => {
            gettable(asked)?;
            there.related(Objects::is_attachment)
        }
        ("", "serviceaccounts") if verb == "get" && part.is_empty() => there.related(Objects::is_account),
        ("", "serviceaccounts") => {
            let why = "can only create tokens for individual service accounts";
            ensure(verb == "create" && !name.is_empty(), why)?;
            ensure(part == "token", "can only create token subresource of serviceaccount")?;
            there.related(Objects::is_account)
        }
        ("coordination.k8s.io", "leases") => {
            let why = "can only get, create, update, patch, or delete a node lease";
            ensure(is_of_own(verb), why)?;
            let why = format!("can only access leases in the {LEASES:?} system namespace");
            ensure(there.namespace == LEASES, &why)?;
            let why = "can only access node lease with the same name as the requesting node";
            ensure(verb == "create" || name == node, why)
        }
        ("storage.k8s.io", "csinodes") => {
            let why = "can only get, create, update, patch, or delete a CSINode";
            ensure(is_of_own(verb), why)?;
            ensure(part.is_empty(), "cannot authorize CSINode subresources")?;
            let why = "can only access CSINode with the same name as the requesting node";
            ensure(verb == "create" || name == node, why)
        }
        (DEVICES, "resourceslices") => {
            ensure(part.is_empty(), "cannot authorize ResourceSlice subresources")?;
            match verb {
                // of which node it is, admission looks at
                "create" => Ok(()),
                "get" | "update" | "patch" | "delete" => there.related(Objects::is_slice),
                "watch" | "list" | "deletecollection" => {
                    let why = "can only list/watch/deletecollection resourceslices with nodeName field selector";
                    ensure(selects(asked, "spec.nodeName", node), why)
                }
                _ => Err("only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection".to_owned()),
            }
        }
        ("", "nodes") => own_node(node, name, asked),
        ("", "pods") => match (part, verb) {
            ("", "get") => there.related(Objects::is_pod),
            ("", "list" | "watch") if selects(asked, "spec.nodeName", node) => Ok(()),
            ("", "list" | "watch") if !name.is_empty() => there.related(Objects::is_pod),
            ("", "list" | "watch") => {
                Err("can only list/watch pods with spec.nodeName field selector".to_owned())
            }
            // which pods, admission looks at
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => Ok(()),
            _ => Err(String::new()),
        },
        ("certificates.k8s.io", "podcertificaterequests") => {
            let why = "nodes may not access the status subresource of PodCertificateRequests";
            ensure(part.is_empty(), why)?;
            match verb {
                // for which pod, admission looks at
                "create" => Ok(()),
                "get" => there.related(Objects::is_certificate_request),
                "list" | "watch" => {
                    let why = "can only list/watch podcertificaterequests with spec.nodeName field selector";
                    ensure(selects(asked, "spec.nodeName", node), why)
                }
                _ => Err(String::new()),
            }
        }
        _ => by_rules(asked),
    }
}

fn by_rules(asked: &Attributes) -> Result<(), String> {
    ensure(RULES.iter().any(|rule| covers(rule, asked)), "")
}

fn ensure(holds: bool, why: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why.to_owned()) }
}

/// What a node does to an object that bears its name.
fn is_of_own(verb: &str) -> bool {
    matches!(verb, "get" | "create" | "update" | "patch" | "delete")
}

fn readable(asked: &Attributes) -> Result<(), String> {
    let verb = matches!(asked.verb.as_str(), "get" | "list" | "watch");
    ensure(verb, "can only read resources of this type")?;
    ensure(asked.subresource.is_empty(), "cannot read subresource")?;
    ensure(asked.namespace.is_some(), "can only read namespaced object of this type")
}

fn gettable(asked: &Attributes) -> Result<(), String> {
    ensure(asked.verb == "get", "can only get individual resources of this type")?;
    ensure(asked.subresource.is_empty(), "cannot get subresource")
}

fn own_node(node: &str, name: &str, asked: &Attributes) -> Result<(), String> {
    match (asked.subresource.as_str(), asked.verb.as_str()) {
        // which node, admission looks at
        ("", "create" | "update" | "patch") | ("status", "update" | "patch") => Ok(()),
        ("", "get" | "list" | "watch") if name == node => Ok(()),
        ("", "get" | "list" | "watch") if name.is_empty() => {
            Err(format!("node '{node}' cannot read all nodes, only its own Node object"))
        }
        ("", "get" | "list" | "watch") => {
            Err(format!("node '{node}' cannot read '{name}', only its own Node object"))
        }
        _ => Err(String::new()),
    }
}

/// Whether only objects are asked for whose field has this value.
fn selects(asked: &Attributes, field: &str, value: &str) -> bool {
    asked.fields.requirements.iter().any(|one| one.equal && one.field == field && one.value == value)
}

/// The object that is asked for, among those that there are.
struct Objects<'a> {
    objects: &'a Snapshot,
    node: &'a str,
    namespace: &'a str,
    name: &'a str,
}

impl Objects<'_> {
    fn related(&self, is_of_node: impl Fn(&Self) -> bool) -> Result<(), String> {
        ensure(!self.name.is_empty(), "No Object name found")?;
        let why = format!("no relationship found between node '{}' and this object", self.node);
        ensure(is_of_node(self), &why)
    }

    fn read<K: TypedKind>(&self, namespace: Option<&str>, name: &str) -> Option<K> {
        let key = ObjectKey::new(namespace, name);
        self.objects.get(&Resource::from(&K::info().storage), &key)?.decode().ok()
    }

    /// Those on this node; of this namespace, or of all.
    fn pods(&self, namespace: Option<&str>) -> Vec<Pod> {
        let stored = self.objects.list(&Resource::from(&Pod::info().storage), namespace, None);
        let pods = stored.filter_map(|object| object.decode::<Pod>().ok());
        pods.filter(|pod| node_of(pod) == Some(self.node)).collect()
    }

    /// Whether a pod on this node, of this namespace, refers to it. What a node shows as its pod refers to nothing: else it could
    /// give itself what it likes.
    fn pod_refers(&self, to: impl Fn(&Pod) -> bool) -> bool {
        self.pods(Some(self.namespace)).iter().any(|pod| !is_mirror(pod) && to(pod))
    }

    fn is_pod(&self) -> bool {
        let pod = self.read::<Pod>(Some(self.namespace), self.name);
        pod.is_some_and(|pod| node_of(&pod) == Some(self.node))
    }

    fn is_secret(&self) -> bool {
        let named =
            |pod: &Pod| pod.spec.as_ref().is_some_and(|spec| refers::secrets(spec).contains(self.name));
        self.pod_refers(named) || self.is_secret_of_volume()
    }

    /// A driver's secret may lie in a namespace of its own.
    fn is_secret_of_volume(&self) -> bool {
        let stored = self.objects.list(&Resource::from(&PersistentVolume::info().storage), None, None);
        let mut volumes = stored.filter_map(|object| object.decode::<PersistentVolume>().ok());
        volumes.any(|volume| {
            let Some((home, claim)) = claim_of(&volume) else { return false };
            let mut secrets = refers::secrets_of_persistent_volume(&volume).into_iter();
            secrets.any(|(namespace, name)| {
                namespace.as_deref().unwrap_or(&home) == self.namespace && name == self.name
            }) && self.uses_claim(&home, &claim)
        })
    }

    fn is_config_map(&self) -> bool {
        self.pod_refers(|pod| {
            pod.spec.as_ref().is_some_and(|spec| refers::config_maps(spec).contains(self.name))
        })
    }

    fn is_claim(&self) -> bool {
        self.uses_claim(self.namespace, self.name)
    }

    fn uses_claim(&self, namespace: &str, name: &str) -> bool {
        let mut pods = self.pods(Some(namespace)).into_iter().filter(|pod| !is_mirror(pod));
        pods.any(|pod| kinds::volume::claims_of(&pod).iter().any(|claim| claim.name == name))
    }

    fn is_volume(&self) -> bool {
        let volume = self.read::<PersistentVolume>(None, self.name);
        let claim = volume.as_ref().and_then(claim_of);
        claim.is_some_and(|(namespace, name)| self.uses_claim(&namespace, &name))
    }

    fn is_account(&self) -> bool {
        self.pod_refers(|pod| {
            pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()) == Some(self.name)
        })
    }

    fn is_resource_claim(&self) -> bool {
        self.pod_refers(|pod| {
            let named = pod.spec.iter().flat_map(|spec| spec.resource_claims.iter().flatten());
            let made = pod.status.iter().flat_map(|status| status.resource_claim_statuses.iter().flatten());
            let named = named.filter_map(|claim| claim.resource_claim_name.as_deref());
            let made = made.filter_map(|claim| claim.resource_claim_name.as_deref());
            named.chain(made).any(|name| name == self.name)
        })
    }

    fn is_attachment(&self) -> bool {
        let attachment = self.read::<VolumeAttachment>(None, self.name);
        attachment.is_some_and(|attachment| attachment.spec.node_name == self.node)
    }

    fn is_certificate_request(&self) -> bool {
        let request = self.read::<PodCertificateRequest>(Some(self.namespace), self.name);
        request.is_some_and(|request| request.spec.node_name == self.node)
    }

    /// No type of ours: it is read as it is stored.
    fn is_slice(&self) -> bool {
        let resource = Resource::from(&GroupResource::new(DEVICES, "resourceslices"));
        let slice = self.objects.get(&resource, &ObjectKey::cluster(self.name));
        let slice = slice.and_then(|slice| slice.decode::<Value>().ok());
        slice.is_some_and(|slice| slice["spec"]["nodeName"] == self.node)
    }
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

fn is_mirror(pod: &Pod) -> bool {
    pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MIRROR))
}

/// Namespace and name.
fn claim_of(volume: &PersistentVolume) -> Option<(String, String)> {
    let claim = volume.spec.as_ref()?.claim_ref.as_ref()?;
    Some((claim.namespace.clone()?, claim.name.clone()?))
}

#[cfg(test)]
mod tests;
