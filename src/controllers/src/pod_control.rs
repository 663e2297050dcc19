//! Pods are made and removed, and their owner's events tell of it: upstream's `RealPodControl`.

use api::{Reason, Status};
use cluster::{Api, DeleteOptions, Recorder};
use k8s_openapi::api::core::v1::Pod;
use kinds::{TypedKind, key_of};

/// `None` in a namespace that is on its way out: there will be no pods, and nobody is told.
pub(crate) async fn create<K: TypedKind>(
    pods: &Api<Pod>,
    events: &Recorder,
    owner: &K,
    pod: Pod,
) -> Result<Option<Pod>, Status> {
    match pods.create(pod).await {
        Ok(pod) => {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            events.normal(owner, "SuccessfulCreate", format!("Created pod: {name}"));
            Ok(Some(pod))
        }
        Err(status) if is_terminating(&status) => Ok(None),
        Err(status) => {
            events.warning(owner, "FailedCreate", format!("Error creating: {status}"));
            Err(status)
        }
    }
}

/// This pod, and no other that has its name meanwhile.
pub(crate) async fn delete<K: TypedKind>(
    pods: &Api<Pod>,
    events: &Recorder,
    owner: &K,
    pod: &Pod,
) -> Result<(), Status> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let options = DeleteOptions { uid: pod.metadata.uid.clone(), ..DeleteOptions::default() };
    match pods.delete(&key_of(&pod.metadata), options).await {
        Ok(()) => {
            events.normal(owner, "SuccessfulDelete", format!("Deleted pod: {name}"));
            Ok(())
        }
        Err(status) if status.is(Reason::NotFound) || status.is(Reason::Conflict) => Ok(()),
        Err(status) => {
            events.warning(owner, "FailedDelete", format!("Error deleting: {status}"));
            Err(status)
        }
    }
}

/// Whether something could not be made because its namespace is on its way out.
pub(crate) fn is_terminating(status: &Status) -> bool {
    status.causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
}
