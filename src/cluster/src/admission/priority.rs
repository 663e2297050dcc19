//! Upstream's Priority admission: the class's number, and whether it may preempt, are written into the pod.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::Cluster;
use crate::reservations::Reservations;
use ::api::{GroupResource, ObjectKey, Status};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kinds::{Instance, TypedKind};
use std::fmt::Display;
use store::Resource;

pub(super) struct Priority;

#[async_trait]
impl Plugin for Priority {
    fn name(&self) -> &'static str {
        "Priority"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        match step {
            Step::Admit => review.creates::<Pod>(),
            Step::Begin => false,
            Step::Validate => review.writes_whole::<PriorityClass>(),
        }
    }

    async fn admit(&self, review: &mut Review<'_>) -> Result<(), Status> {
        let cluster = review.asked.cluster;
        match review.draft.new_mut().and_then(|new| new.downcast_mut()) {
            Some(pod) => give_priority(cluster, pod),
            None => Ok(()),
        }
    }

    async fn validate(&self, review: &Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        match review.new_object() {
            Some(new) => one_default(review.asked.cluster, new, review.old_object()),
            None => Ok(()),
        }
    }
}

fn give_priority(cluster: &Cluster, pod: &mut Pod) -> Result<(), Status> {
    let pod_name = pod.metadata.name.clone().unwrap_or_default();
    let Some(spec) = pod.spec.as_mut() else { return Ok(()) };
    let class = match spec.priority_class_name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => Some(named(cluster, name).ok_or_else(|| {
            let why = format!("no PriorityClass with name {name} was found");
            Status::forbidden(&GroupResource::new("", "pods"), &pod_name, why)
        })?),
        None => global_default(cluster),
    };
    let priority = class.as_ref().and_then(|class| class.value).unwrap_or(0);
    if let Some(class) = &class {
        spec.priority_class_name.clone_from(&class.metadata.name);
    }
    let policy = class.and_then(|class| class.preemption_policy);
    let policy = policy.unwrap_or_else(|| "PreemptLowerPriority".to_owned());
    let refused = |what: String, computed: &dyn Display| {
        let why = format!(
            "{what} must not be provided in pod spec; priority admission controller computed {computed} from the given PriorityClass name"
        );
        Status::forbidden(&GroupResource::new("", "pods"), &pod_name, why)
    };
    if let Some(given) = spec.priority.filter(|given| *given != priority) {
        return Err(refused(format!("the integer value of priority ({given})"), &priority));
    }
    if let Some(given) = spec.preemption_policy.as_ref().filter(|given| **given != policy) {
        return Err(refused(format!("the string value of PreemptionPolicy ({given})"), &policy));
    }
    spec.priority = Some(priority);
    spec.preemption_policy = Some(policy);
    Ok(())
}

/// Of those that are for everybody there is one.
fn one_default(cluster: &Cluster, new: &dyn Instance, old: Option<&dyn Instance>) -> Result<(), Status> {
    fn is_default(of: &dyn Instance) -> bool {
        of.downcast_ref::<PriorityClass>().is_some_and(|class| class.global_default == Some(true))
    }
    if !is_default(new) || old.is_some_and(is_default) {
        return Ok(());
    }
    let name = new.meta().name.as_deref().unwrap_or_default();
    let Some(other) = global_default(cluster).and_then(|class| class.metadata.name) else { return Ok(()) };
    let why = format!("PriorityClass {other} is already marked as globalDefault. Only one default can exist");
    Err(Status::forbidden(&GroupResource::new("scheduling.k8s.io", "priorityclasses"), name, why))
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
