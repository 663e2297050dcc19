use crate::write::ManagedFields;
use crate::{Attributes, Client, Target, WriteOptions};
use ::api::{GroupResource, Object, Status};
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use kinds::{Instance, Subresource, TypedKind, pod as ask};

impl Client {
    /// Puts a pod on a node: upstream's `pods/binding`. A pod is bound once.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` for a pod that is bound already or is being deleted.
    pub async fn bind(&self, namespace: &str, pod: &str, node: &str) -> Result<(), Status> {
        let cluster = self.cluster();
        let version =
            cluster.registry().by_gvr(&Pod::info().gvr).ok_or_else(|| Status::internal("no pods"))?;
        let target = Target::object(&version, Some(namespace), pod);
        cluster.authorize(
            self.actor(),
            &Attributes::of("create", &target.clone().subresource(Subresource::Binding)),
        )?;
        let assign = |current: &Object| -> Result<Box<dyn Instance>, Status> {
            let mut pod: Pod = current.decode().map_err(Status::internal)?;
            let conflict = |why: String| {
                Status::conflict(&GroupResource::new("", "pods/binding"), &current.meta().name, why)
            };
            if ask::is_deleting(&pod) {
                return Err(conflict(format!(
                    "pod {} is being deleted, cannot be assigned to a host",
                    current.meta().name
                )));
            }
            let spec = pod.spec.get_or_insert_default();
            if let Some(known) = spec.node_name.as_deref().filter(|n| !n.is_empty()) {
                return Err(conflict(format!(
                    "pod {} is already assigned to node {known:?}",
                    current.meta().name
                )));
            }
            spec.node_name = Some(node.to_owned());
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
            pod.metadata.resource_version = None;
            Ok(Box::new(pod))
        };
        let binding = target.subresource(Subresource::Binding);
        let options = WriteOptions::default();
        cluster
            .modify_authorized(self.actor(), &binding, &options, ManagedFields::Follow, &assign)
            .await
            .map(|_| ())
    }
}
