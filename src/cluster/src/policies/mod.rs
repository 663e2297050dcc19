//! ValidatingAdmissionPolicy and MutatingAdmissionPolicy: what users say in CEL of everybody's writes.
//!
//! `compiled.rs` makes of a policy what is evaluated, once for each generation of it; `parameters.rs` finds the objects that a
//! binding takes its parameters from; `validating.rs` and `mutating.rs` evaluate. Where there is no policy with a binding a write
//! costs one look at a flag.

mod compiled;
pub(crate) mod mutating;
mod parameters;
mod validating;

use crate::admission_request::attributes::{Admission, Subject};
use crate::admission_request::question::Question;
use crate::webhooks::all;
use ::api::{ObjectKey, Status};
use arc_swap::ArcSwap;
use compiled::{Binding, Mutations, Policy, Validations};
use expressions::Variables;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::Namespace;
use kinds::{TypedKind, Version};
pub(crate) use parameters::gvk_of;
use parking_lot::Mutex;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{Resource, Snapshot, Store};

/// The policies that are in use now.
#[derive(Default)]
pub(crate) struct Policies {
    any: AtomicBool,
    in_use: ArcSwap<InUse>,
    /// Held from the look at the store until the policies are in place: an older look never replaces a newer one.
    refreshing: Mutex<()>,
}

/// Those that have a binding, in the order of their names, as upstream evaluates them.
#[derive(Default)]
struct InUse {
    validating: Vec<Bound<Validations>>,
    mutating: Vec<Bound<Mutations>>,
}

struct Bound<P> {
    policy: Arc<Policy<P>>,
    bindings: Vec<Binding>,
}

impl Policies {
    pub(crate) fn refresh(&self, store: &Store) {
        let _one_at_a_time = self.refreshing.lock();
        let in_use = InUse::read(&store.snapshot(), &self.in_use.load());
        let any = !in_use.validating.is_empty() || !in_use.mutating.is_empty();
        self.in_use.store(Arc::new(in_use));
        self.any.store(any, Ordering::Release);
    }

    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }
}

impl InUse {
    /// What was compiled before is not compiled again.
    fn read(snapshot: &Snapshot, before: &InUse) -> Self {
        let validating = bound(
            &all::<ValidatingAdmissionPolicy>(snapshot),
            all::<ValidatingAdmissionPolicyBinding>(snapshot).iter().map(Binding::validating).collect(),
            &before.validating,
            compiled::validating,
        );
        let mutating = bound(
            &all::<MutatingAdmissionPolicy>(snapshot),
            all::<MutatingAdmissionPolicyBinding>(snapshot).iter().map(Binding::mutating).collect(),
            &before.mutating,
            compiled::mutating,
        );
        InUse { validating, mutating }
    }
}

fn bound<K: TypedKind, P>(
    policies: &[K],
    mut bindings: Vec<Binding>,
    before: &[Bound<P>],
    compile: fn(&K) -> Policy<P>,
) -> Vec<Bound<P>> {
    let mut found = Vec::new();
    for policy in policies {
        let meta = policy.metadata();
        let name = meta.name.as_deref().unwrap_or_default();
        let (own, others): (Vec<_>, Vec<_>) =
            bindings.into_iter().partition(|binding| binding.policy == name);
        bindings = others;
        if own.is_empty() {
            continue;
        }
        let version = compiled::Version::of(meta);
        let known = before.iter().find(|known| known.policy.version == version);
        let policy = known.map_or_else(|| Arc::new(compile(policy)), |known| known.policy.clone());
        found.push(Bound { policy, bindings: own });
    }
    found
}

/// A policy by one of its bindings, with one of the objects that this takes its parameters from.
struct Invocation<'p, P> {
    policy: &'p Arc<Policy<P>>,
    binding: &'p Binding,
    /// The kind, in the version that the policy asked for.
    via: Arc<Version>,
    params: Value,
}

/// A binding that can not be evaluated.
struct Misconfigured<'p, P> {
    policy: &'p Arc<Policy<P>>,
    binding: &'p Binding,
    why: String,
}

impl Admission<'_> {
    fn policies_in_use(&self) -> Option<Arc<InUse>> {
        let policies = &self.cluster.0.policies;
        (policies.any() && !self.is_exempt_from_policies()).then(|| policies.in_use.load_full())
    }

    /// What is evaluated about a write.
    async fn invocations<'p, P>(
        &self,
        all: &'p [Bound<P>],
        subject: Subject<'_>,
    ) -> (Vec<Invocation<'p, P>>, Vec<Misconfigured<'p, P>>) {
        let (mut invocations, mut misconfigured) = (Vec::new(), Vec::new());
        for Bound { policy, bindings } in all {
            let Some(via) = policy.matching.matches(self, subject) else { continue };
            for binding in bindings {
                if binding.matching.as_ref().is_some_and(|m| m.matches(self, subject).is_none()) {
                    continue;
                }
                let all = self.parameters(policy.param_kind.as_ref(), binding.params.as_ref()).await;
                match all {
                    Err(why) => misconfigured.push(Misconfigured { policy, binding, why }),
                    Ok(all) => invocations.extend(all.into_iter().map(|params| {
                        let via = via.clone();
                        Invocation { policy, binding, via, params }
                    })),
                }
            }
        }
        (invocations, misconfigured)
    }

    fn policy_variables(&self, question: &Question, params: &Value, namespace: &Value) -> Variables {
        question.variables(self).json("params", params).json("namespaceObject", namespace)
    }

    /// The namespace that is written to; null for what is in none.
    fn namespace_object(&self) -> Result<Value, Status> {
        let Some(name) = self.target.namespace.as_deref() else { return Ok(Value::Null) };
        let snapshot = self.cluster.store().snapshot();
        let stored = snapshot.get(&Resource::from(&Namespace::info().storage), &ObjectKey::cluster(name));
        let Some(stored) = stored else { return Ok(Value::Null) };
        let mut namespace: Value = stored.decode().map_err(Status::internal)?;
        if let Some(meta) = namespace["metadata"].as_object_mut() {
            meta.retain(|field, _| !matches!(field.as_str(), "managedFields" | "ownerReferences"));
        }
        Ok(namespace)
    }
}
