//! Nobody has a policy read for him what he may not read himself: upstream's `authz.go` beside each kind of policy
//! (`pkg/registry/admissionregistration`).

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::policies::gvk_of;
use crate::reservations::Reservations;
use crate::{Actor, Attributes, Cluster};
use ::api::{ObjectKey, Status};
use async_trait::async_trait;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ParamKind, ParamRef, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use kinds::{Instance, TypedKind};
use store::Resource;

pub(super) struct PolicyParams;

#[async_trait]
impl Plugin for PolicyParams {
    fn name(&self) -> &'static str {
        "PolicyParams"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        let writes = || {
            review.writes_whole::<ValidatingAdmissionPolicy>()
                || review.writes_whole::<MutatingAdmissionPolicy>()
                || review.writes_whole::<ValidatingAdmissionPolicyBinding>()
                || review.writes_whole::<MutatingAdmissionPolicyBinding>()
        };
        step == Step::Begin && writes()
    }

    async fn begin(&self, review: &mut Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        let Some(new) = review.new_object() else { return Ok(()) };
        check(review.asked.cluster, review.asked.actor, new, review.old_object())
    }
}

fn check(
    cluster: &Cluster,
    actor: &Actor,
    new: &dyn Instance,
    old: Option<&dyn Instance>,
) -> Result<(), Status> {
    if actor.is_in(Actor::MASTERS) {
        return Ok(());
    }
    if let Some(kind) = param_kind(new) {
        if old.and_then(param_kind).as_ref() == Some(&kind) {
            return Ok(());
        }
        let all = Some("*".to_owned());
        return match may_get(cluster, actor, Some(&kind), all.clone(), all) {
            true => Ok(()),
            false => Err(refused(
                new,
                &format!(
                    "user {} must have \"get\" permission on all objects of the referenced paramKind (kind={}, apiVersion={})",
                    actor.name,
                    kind.kind.unwrap_or_default(),
                    kind.api_version.unwrap_or_default()
                ),
            )),
        };
    }
    let Some((policy, reference)) = param_ref(new) else { return Ok(()) };
    if old.and_then(param_ref).as_ref() == Some(&(policy.clone(), reference.clone())) {
        return Ok(());
    }
    let kind = policy_param_kind(cluster, new, &policy);
    match may_get(cluster, actor, kind.as_ref(), reference.namespace, reference.name) {
        true => Ok(()),
        false => {
            let why = format!(
                "user {} does not have \"get\" permission on the object referenced by paramRef",
                actor.name
            );
            Err(refused(new, &why))
        }
    }
}

fn param_kind(object: &dyn Instance) -> Option<ParamKind> {
    let validating = object.downcast_ref::<ValidatingAdmissionPolicy>().and_then(|p| p.spec.as_ref());
    let mutating = object.downcast_ref::<MutatingAdmissionPolicy>().and_then(|p| p.spec.as_ref());
    validating.and_then(|s| s.param_kind.clone()).or(mutating.and_then(|s| s.param_kind.clone()))
}

fn param_ref(object: &dyn Instance) -> Option<(String, ParamRef)> {
    if let Some(binding) = object.downcast_ref::<ValidatingAdmissionPolicyBinding>() {
        let spec = &binding.spec;
        return Some((spec.policy_name.clone(), spec.param_ref.clone()?));
    }
    let spec = object.downcast_ref::<MutatingAdmissionPolicyBinding>()?.spec.as_ref()?;
    Some((spec.policy_name.clone().unwrap_or_default(), spec.param_ref.clone()?))
}

fn policy_param_kind(cluster: &Cluster, binding: &dyn Instance, policy: &str) -> Option<ParamKind> {
    let snapshot = cluster.store().snapshot();
    let key = ObjectKey::cluster(policy);
    if binding.downcast_ref::<ValidatingAdmissionPolicyBinding>().is_some() {
        let stored = snapshot.get(&Resource::from(&ValidatingAdmissionPolicy::info().storage), &key)?;
        return param_kind(&stored.decode::<ValidatingAdmissionPolicy>().ok()?);
    }
    let stored = snapshot.get(&Resource::from(&MutatingAdmissionPolicy::info().storage), &key)?;
    param_kind(&stored.decode::<MutatingAdmissionPolicy>().ok()?)
}

/// Of what is not known, everything must be allowed.
fn may_get(
    cluster: &Cluster,
    actor: &Actor,
    kind: Option<&ParamKind>,
    namespace: Option<String>,
    name: Option<String>,
) -> bool {
    let (mut group, mut resource) = ("*".to_owned(), "*".to_owned());
    if let Some(gvk) = kind.and_then(gvk_of) {
        let known = cluster.registry().by_gvk(&gvk);
        group = gvk.group.to_string();
        resource = known.map_or(resource, |version| version.info().gvr.resource.to_string());
    }
    let verb = "get".to_owned();
    let attributes = Attributes { verb, group, resource, namespace, name, ..Attributes::default() };
    cluster.decide(actor, &attributes).is_allowed()
}

fn refused(object: &dyn Instance, why: &str) -> Status {
    let resource = match object {
        o if o.downcast_ref::<ValidatingAdmissionPolicy>().is_some() => ValidatingAdmissionPolicy::info(),
        o if o.downcast_ref::<MutatingAdmissionPolicy>().is_some() => MutatingAdmissionPolicy::info(),
        o if o.downcast_ref::<ValidatingAdmissionPolicyBinding>().is_some() => {
            ValidatingAdmissionPolicyBinding::info()
        }
        _ => MutatingAdmissionPolicyBinding::info(),
    };
    Status::forbidden(&resource.gvr.group_resource(), object.meta().name.as_deref().unwrap_or_default(), why)
}
