//! Upstream's NamespaceLifecycle.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::admission_request::attributes::Operation;
use crate::{Cluster, Target};
use ::api::{Cause, GroupResource, ObjectKey, Status};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::Namespace;
use kinds::TypedKind;
use store::Resource;

const PROTECTED: [&str; 3] = ["default", "kube-system", "kube-public"];

pub(super) struct NamespaceLifecycle;

#[async_trait]
impl Plugin for NamespaceLifecycle {
    fn name(&self) -> &'static str {
        "NamespaceLifecycle"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        let asked = review.asked;
        let is_concerned = || match asked.operation {
            Operation::Create => review.new_object().is_some() && asked.target.namespace.is_some(),
            Operation::Delete => review.old_object().is_some_and(|old| old.as_any().is::<Namespace>()),
            Operation::Update | Operation::Connect => false,
        };
        step == Step::Admit && is_concerned()
    }

    async fn admit(&self, review: &mut Review<'_>) -> Result<(), Status> {
        let target = review.asked.target;
        match review.new_object() {
            Some(new) => {
                let name = new.meta().name.as_deref().unwrap_or_default();
                ensure_exists(review.asked.cluster, target, name)
            }
            None => check_delete(target),
        }
    }
}

/// Nothing is made in a namespace that is missing or on its way out; nor what is stored nowhere, of which `unstored.rs` asks here
/// itself: no evictions, tokens and bindings.
pub(super) fn ensure_exists(cluster: &Cluster, target: &Target, object: &str) -> Result<(), Status> {
    let Some(name) = target.namespace.as_deref() else { return Ok(()) };
    let info = Namespace::info();
    let snapshot = cluster.store().snapshot();
    let namespace = snapshot
        .get(&Resource::from(&info.storage), &ObjectKey::cluster(name))
        .ok_or_else(|| Status::not_found(&info.gvr.group_resource(), name))?;
    if !namespace.meta().is_deleting() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {name} because it is being terminated");
    let mut status = Status::forbidden(&target.group_resource(), object, why);
    status.causes.push(Cause {
        reason: "NamespaceTerminating".into(),
        message: format!("namespace {name} is being terminated"),
        field: "metadata.namespace".into(),
    });
    Err(status)
}

fn check_delete(target: &Target) -> Result<(), Status> {
    let name = target.name.as_deref().unwrap_or_default();
    let resource = target.group_resource();
    if resource == GroupResource::new("", "namespaces") && PROTECTED.contains(&name) {
        return Err(Status::forbidden(&resource, name, "this namespace may not be deleted"));
    }
    Ok(())
}
