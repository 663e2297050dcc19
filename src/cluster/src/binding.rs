use crate::apply::ManagedFields;
use crate::{Attributes, Client, Target, WriteOptions};
use ::api::{GroupResource, Gvk, Object, Status};
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use kinds::{ErrorList, Instance, Subresource, TypedKind, pod as ask};
use std::collections::BTreeMap;

/// What a `Binding` says: a pod, and the node that it is put on.
#[derive(Debug, Clone, Default)]
pub struct PodBinding {
    pub namespace: String,
    pub pod: String,
    pub node: String,
    /// Of the pod that is meant, where one is.
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    /// The pod gets these, over its own.
    pub annotations: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    /// Whether it was sent to the older `bindings`, which is a permission of its own, and not to `pods/binding`.
    pub to_collection: bool,
}

impl PodBinding {
    fn attributes(&self, pod: &Target) -> Attributes {
        let asked = Attributes::of("create", &pod.clone().subresource(Subresource::Binding));
        match self.to_collection {
            true => {
                Attributes { resource: "bindings".into(), subresource: String::new(), name: None, ..asked }
            }
            false => asked,
        }
    }

    /// # Errors
    /// `Conflict` for a pod that is another one, that is bound already, is being deleted, or is not ready to be scheduled.
    fn assign(&self, pod: &mut Pod) -> Result<(), Status> {
        let conflict = |resource: &'static str, why: String| {
            Err(Status::conflict(&GroupResource::new("", resource), &self.pod, why))
        };
        for (what, asked, stored) in [
            ("UID", &self.uid, &pod.metadata.uid),
            ("ResourceVersion", &self.resource_version, &pod.metadata.resource_version),
        ] {
            let stored = stored.as_deref().unwrap_or_default();
            if let Some(asked) = asked.as_deref().filter(|asked| !asked.is_empty() && *asked != stored) {
                let why = format!("{what} in precondition: {asked}, {what} in object meta: {stored}");
                return conflict("pods", format!("Precondition failed: {why}"));
            }
        }
        let refused = |why: &str| conflict("pods/binding", format!("pod {} {why}", self.pod));
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
        spec.node_name = Some(self.node.clone());
        for (own, given) in
            [(&mut pod.metadata.annotations, &self.annotations), (&mut pod.metadata.labels, &self.labels)]
        {
            if !given.is_empty() {
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
}

impl Client {
    /// Puts a pod on a node: upstream's `pods/binding`. A pod is bound once.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` for a pod that can not be bound.
    pub async fn bind(&self, namespace: &str, pod: &str, node: &str) -> Result<(), Status> {
        let binding = PodBinding {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            node: node.to_owned(),
            ..PodBinding::default()
        };
        self.bind_as(&binding, &WriteOptions::default()).await
    }

    /// The same with all that a `Binding` may say.
    ///
    /// # Errors
    /// As [`Client::bind`]; `Invalid` for one that names no node.
    pub async fn bind_as(&self, binding: &PodBinding, options: &WriteOptions) -> Result<(), Status> {
        let cluster = self.cluster();
        let version =
            cluster.registry().by_gvr(&Pod::info().gvr).ok_or_else(|| Status::internal("no pods"))?;
        let target = Target::object(&version, Some(&binding.namespace), &binding.pod);
        cluster.authorize(self.actor(), &binding.attributes(&target))?;
        if binding.node.is_empty() {
            let mut errors = ErrorList::default();
            errors.required("target.name", "");
            return Err(Status::invalid(&Gvk::new("", "v1", "Binding"), &binding.pod, errors.into_causes()));
        }
        let assign = |current: &Object| -> Result<Box<dyn Instance>, Status> {
            let mut pod: Pod = current.decode().map_err(Status::internal)?;
            binding.assign(&mut pod)?;
            pod.metadata.resource_version = None;
            Ok(Box::new(pod))
        };
        let target = target.subresource(Subresource::Binding);
        let written =
            cluster.modify_authorized(self.actor(), &target, options, ManagedFields::Follow, &assign).await;
        written.map(|_| ())
    }
}
