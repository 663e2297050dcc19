//! A pod is put on a node: upstream's `pods/binding`, and the older collection `bindings`. Policies and webhooks are asked about the
//! Binding, which they may change, and not about what it makes of the pod.

use crate::admission::{Operation, label_binding};
use crate::apply::ManagedFields;
use crate::{Attributes, Client, Cluster, Remarks, Target, WriteOptions};
use ::api::{GroupResource, Gvk, Object, Status};
use k8s_openapi::api::core::v1::{Binding, Node, ObjectReference, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::{ErrorList, Instance, Subresource, TypedKind, pod as ask};
use serde_json::json;

const KIND: &str = "Binding";

/// A `Binding`, and where it is sent.
#[derive(Debug, Clone, Default)]
pub struct PodBinding {
    pub namespace: String,
    /// The pod whose `binding` it is. Without one it is sent to `bindings`, which is a permission of its own.
    pub path: Option<String>,
    /// Names the pod and the node. Where it has a uid or a revision they are of the pod that is meant; annotations and labels are
    /// given to the pod, over its own.
    pub object: Binding,
}

impl PodBinding {
    /// As components write it.
    pub fn new(namespace: &str, pod: &str, node: &str) -> Self {
        PodBinding {
            namespace: namespace.to_owned(),
            path: Some(pod.to_owned()),
            object: Binding {
                metadata: ObjectMeta {
                    name: Some(pod.to_owned()),
                    namespace: Some(namespace.to_owned()),
                    ..ObjectMeta::default()
                },
                target: ObjectReference {
                    kind: Some("Node".to_owned()),
                    name: Some(node.to_owned()),
                    ..ObjectReference::default()
                },
            },
        }
    }

    /// For the pod of this uid, and no other that has its name by now.
    #[must_use]
    pub fn for_uid(mut self, uid: Option<String>) -> Self {
        self.object.metadata.uid = uid;
        self
    }

    /// What is asked for.
    fn target(&self, cluster: &Cluster) -> Result<Target, Status> {
        let namespace = Some(self.namespace.as_str());
        Ok(match &self.path {
            Some(pod) => pod_target(cluster, &self.namespace, pod)?,
            None => Target::object(kinds::builtin::binding(), namespace, name_of(&self.object.metadata)),
        })
    }

    fn attributes(&self, target: &Target) -> Attributes {
        Attributes { name: self.path.clone(), ..Attributes::of("create", target) }
    }
}

/// Its `binding`.
fn pod_target(cluster: &Cluster, namespace: &str, pod: &str) -> Result<Target, Status> {
    let version = cluster.registry().by_gvr(&Pod::info().gvr).ok_or_else(|| Status::internal("no pods"))?;
    Ok(Target::object(&version, Some(namespace), pod).subresource(Subresource::Binding))
}

fn name_of(meta: &ObjectMeta) -> &str {
    meta.name.as_deref().unwrap_or_default()
}

/// # Errors
/// `BadRequest` for what is about another pod than the path; `Invalid` for a target that is no node. Upstream judges the target
/// alike, and then answers 500.
fn judge(binding: &Binding, path: Option<&str>) -> Result<(), Status> {
    let Binding { metadata, target } = binding;
    let pod = name_of(metadata);
    if path.is_some_and(|path| path != pod) {
        return Err(Status::bad_request("name in URL does not match name in Binding object"));
    }
    let mut errors = ErrorList::default();
    if let Some(kind) = target.kind.as_deref().filter(|kind| !matches!(*kind, "" | "Node")) {
        errors.not_supported("target.kind", json!(kind), &["Node", "<empty>"]);
    }
    match target.name.as_deref().unwrap_or_default() {
        "" => errors.required("target.name", ""),
        name => {
            if let Err(why) = Node::validate_name(name) {
                errors.invalid("target.name", name, why);
            }
        }
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Status::invalid(&Gvk::new("", "v1", KIND), pod, errors.into_causes())),
    }
}

/// # Errors
/// `Conflict` for a pod that is another one, that is bound already, is being deleted, or is not ready to be scheduled.
fn assign(binding: &Binding, pod: &mut Pod) -> Result<(), Status> {
    let Binding { metadata, target } = binding;
    let name = name_of(metadata);
    let conflict = |resource: &'static str, why: String| {
        Err(Status::conflict(&GroupResource::new("", resource), name, why))
    };
    for (what, asked, stored) in [
        ("UID", &metadata.uid, &pod.metadata.uid),
        ("ResourceVersion", &metadata.resource_version, &pod.metadata.resource_version),
    ] {
        let stored = stored.as_deref().unwrap_or_default();
        if let Some(asked) = asked.as_deref().filter(|asked| !asked.is_empty() && *asked != stored) {
            let why = format!("{what} in precondition: {asked}, {what} in object meta: {stored}");
            return conflict("pods", format!("Precondition failed: {why}"));
        }
    }
    let refused = |why: &str| conflict("pods/binding", format!("pod {name} {why}"));
    if ask::is_deleting(pod) {
        return refused("is being deleted, cannot be assigned to a host");
    }
    let spec = pod.spec.get_or_insert_default();
    if let Some(known) = spec.node_name.as_deref().filter(|n| !n.is_empty()) {
        return refused(&format!("is already assigned to node {known:?}"));
    }
    if spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()) {
        return refused("has non-empty .spec.schedulingGates");
    }
    spec.node_name.clone_from(&target.name);
    for (own, given) in
        [(&mut pod.metadata.annotations, &metadata.annotations), (&mut pod.metadata.labels, &metadata.labels)]
    {
        if let Some(given) = given.as_ref().filter(|given| !given.is_empty()) {
            own.get_or_insert_default().extend(given.clone());
        }
    }
    let scheduled = PodCondition {
        type_: "PodScheduled".into(),
        status: "True".into(),
        observed_generation: pod.metadata.generation,
        ..PodCondition::default()
    };
    let status = pod.status.get_or_insert_default();
    // where it was to go is of no use to anybody any more
    status.nominated_node_name = None;
    ask::set_condition(status, scheduled, jiff::Timestamp::now());
    Ok(())
}

impl Client {
    /// Puts a pod on a node. A pod is bound once.
    ///
    /// # Errors
    /// As [`Client::bind_as`].
    pub async fn bind(&self, namespace: &str, pod: &str, node: &str) -> Result<(), Status> {
        self.bind_as(PodBinding::new(namespace, pod, node), &WriteOptions::default()).await
    }

    /// The same with all that a `Binding` may say.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` for a pod that can not be bound, `Invalid` for a binding that names no node, and what a
    /// policy or a webhook refuses.
    pub async fn bind_as(&self, binding: PodBinding, options: &WriteOptions) -> Result<(), Status> {
        let (cluster, actor) = (self.cluster(), self.actor());
        let target = binding.target(cluster)?;
        cluster.authorize(actor, &binding.attributes(&target))?;
        let asked = cluster.admission(actor, &target, Operation::Create, options);
        let PodBinding { namespace, path, mut object } = binding;
        if path.is_some() && !asked.is_of_interest() {
            label_binding(cluster, &mut object);
        }
        let object = asked
            .admit_unstored(&Gvk::new("", "v1", KIND), object, |object| judge(object, path.as_deref()))
            .await?;
        let assigned = |current: &Object| -> Result<Box<dyn Instance>, Status> {
            let mut pod: Pod = current.decode().map_err(Status::internal)?;
            assign(&object, &mut pod)?;
            pod.metadata.resource_version = None;
            Ok(Box::new(pod))
        };
        let pod = pod_target(cluster, &namespace, name_of(&object.metadata))?;
        // what was said of the binding stays said, however often the pod is tried
        let options = WriteOptions { remarks: Remarks::default(), ..options.clone() };
        let written = cluster.modify_authorized(actor, &pod, &options, ManagedFields::Kept, &assigned).await;
        written.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_is_about_one_pod_and_one_node() {
        let to = |target: serde_json::Value| json!({"metadata": {"name": "p"}, "target": target});
        let good = || to(json!({"kind": "Node", "name": "n"}));
        let cases = [
            ("of the path", good(), Some("p"), 0, ""),
            ("of the body", good(), None, 0, ""),
            ("another pod", good(), Some("q"), 400, "name in URL does not match name in Binding object"),
            ("no name", json!({"target": {"name": "n"}}), Some("p"), 400, "name in URL does not match"),
            ("no node", to(json!({})), None, 422, "target.name: Required value"),
            (
                "what no node can be called",
                to(json!({"name": "Node_1"})),
                None,
                422,
                "target.name: Invalid value: \"Node_1\": a lowercase RFC 1123 subdomain must consist of",
            ),
            (
                "no node but something else",
                to(json!({"kind": "Pod", "name": "n"})),
                None,
                422,
                "target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\"",
            ),
        ];
        for (case, binding, path, code, words) in cases {
            let judged = judge(&serde_json::from_value(binding).unwrap(), path);
            let (said, message) = judged.err().map(|why| (why.code, why.message)).unwrap_or_default();
            assert!(said == code && message.contains(words), "{case}: {said} {message}");
        }
    }
}
