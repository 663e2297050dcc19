//! Upstream's Priority admission: the class's number, and whether it may preempt, are written into the pod.

use crate::Cluster;
use ::api::{GroupResource, ObjectKey, Status};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kinds::{Instance, Kind};
use store::Resource;

pub(super) fn admit(cluster: &Cluster, object: &mut dyn Instance) -> Result<(), Status> {
    let Some(pod) = object.downcast_mut::<Pod>() else { return Ok(()) };
    let pod_name = pod.metadata.name.clone().unwrap_or_default();
    let Some(spec) = pod.spec.as_mut() else { return Ok(()) };
    let class = match spec.priority_class_name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => Some(named(cluster, name).ok_or_else(|| {
            let why = format!("no PriorityClass with name {name} was found");
            Status::forbidden(&GroupResource::new("", "pods"), &pod_name, why)
        })?),
        None => global_default(cluster),
    };
    spec.priority = class.as_ref().and_then(|class| class.value).or(Some(0));
    if let Some(class) = &class {
        spec.priority_class_name.clone_from(&class.metadata.name);
    }
    let policy = class.and_then(|class| class.preemption_policy);
    spec.preemption_policy = Some(policy.unwrap_or_else(|| "PreemptLowerPriority".to_owned()));
    Ok(())
}

fn named(cluster: &Cluster, name: &str) -> Option<PriorityClass> {
    let resource = Resource::from(&PriorityClass::info().storage);
    cluster.store().snapshot().get(&resource, &ObjectKey::cluster(name))?.decode().ok()
}

fn global_default(cluster: &Cluster) -> Option<PriorityClass> {
    let resource = Resource::from(&PriorityClass::info().storage);
    let snapshot = cluster.store().snapshot();
    let classes =
        snapshot.list(&resource, None, None).filter_map(|object| object.decode::<PriorityClass>().ok());
    classes.filter(|class| class.global_default == Some(true)).min_by_key(|class| class.value)
}
