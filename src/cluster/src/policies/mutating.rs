//! What policies make of a write, in the words of upstream's `policy/mutating`.

use super::compiled::{Form, Mutation, Mutations};
use super::validating::unevaluated;
use super::{InUse, Invocation, Misconfigured};
use crate::admission_request::attributes::{Admission, Draft, Subject};
use crate::admission_request::question::Question;
use ::api::apply::{atomics, merged};
use ::api::patch::JsonPatch;
use ::api::{Cause, Reason, Status};
use bytes::Bytes;
use expressions::{Budget, Evaluation, Fault, Variables};
use kinds::{FieldValidation, Subresource, Version};
use serde_json::Value;
use std::sync::Arc;

/// The policies that were evaluated about an object.
#[derive(Default)]
pub(crate) struct Evaluated {
    in_use: Option<Arc<InUse>>,
    /// Of whom wants to be evaluated again: policy, binding, parameters, and the object as he left it.
    again: Vec<(String, String, Value, Bytes)>,
}

impl Admission<'_> {
    /// Has the policies change a draft, one after the other. Who wants to be evaluated again is told with what he saw.
    ///
    /// # Errors
    /// That one failed that is needed.
    pub(crate) async fn mutate_by_policies(&self, draft: &mut Draft<'_>) -> Result<Evaluated, Status> {
        let Some(in_use) = self.policies_in_use().filter(|in_use| !in_use.mutating.is_empty()) else {
            return Ok(Evaluated::default());
        };
        let mut again = Vec::new();
        self.evaluate(&in_use, draft, |_, _| Ok(true), &mut again).await?;
        Ok(Evaluated { in_use: Some(in_use), again })
    }

    /// Once more those who asked for it, where somebody changed what they had seen.
    ///
    /// # Errors
    /// As [`Admission::mutate_by_policies`].
    pub(crate) async fn evaluate_again(
        &self,
        evaluated: Evaluated,
        draft: &mut Draft<'_>,
    ) -> Result<(), Status> {
        let Evaluated { in_use: Some(in_use), again } = evaluated else { return Ok(()) };
        if again.is_empty() {
            return Ok(());
        }
        let saw_another = |invocation: &Invocation<'_, Mutations>, now: &Bytes| {
            again.iter().any(|(policy, binding, params, seen)| {
                *policy == invocation.policy.name
                    && *binding == invocation.binding.name
                    && *params == invocation.params
                    && seen != now
            })
        };
        let wanted = |invocation: &Invocation<'_, Mutations>, draft: &Draft<'_>| {
            Ok(saw_another(invocation, &draft.encoded()?))
        };
        self.evaluate(&in_use, draft, wanted, &mut Vec::new()).await
    }

    async fn evaluate(
        &self,
        in_use: &InUse,
        draft: &mut Draft<'_>,
        wanted: impl Fn(&Invocation<'_, Mutations>, &Draft<'_>) -> Result<bool, Status> + Send + Sync,
        again: &mut Vec<(String, String, Value, Bytes)>,
    ) -> Result<(), Status> {
        let (invocations, misconfigured) = self.invocations(&in_use.mutating, draft.subject()).await;
        let mut failed = Vec::new();
        for Misconfigured { policy, binding, why } in &misconfigured {
            if !policy.ignores_failure {
                let why = format!("failed to configure binding: {why}");
                failed.push((told(&policy.name, &binding.name, &why), Reason::Forbidden));
            }
        }
        if invocations.is_empty() && failed.is_empty() {
            return Ok(());
        }
        let namespace = self.namespace_object()?;
        for invocation in &invocations {
            if !wanted(invocation, draft)? {
                continue;
            }
            let Invocation { policy, binding, .. } = invocation;
            for why in self.invoke(invocation, &namespace, draft).await? {
                if !policy.ignores_failure {
                    failed.push((told(&policy.name, &binding.name, &why), Reason::Invalid));
                }
            }
            if policy.does.if_needed {
                let (policy, binding) = (policy.name.clone(), binding.name.clone());
                again.push((policy, binding, invocation.params.clone(), draft.encoded()?));
            }
        }
        self.told_of(failed, draft.subject().name().or(self.target.name.clone()).as_deref())
    }

    fn told_of(&self, failed: Vec<(String, Reason)>, name: Option<&str>) -> Result<(), Status> {
        let Some((first, reason)) = failed.first() else { return Ok(()) };
        let mut status = Status::forbidden(&self.target.group_resource(), name.unwrap_or_default(), "");
        (status.message, status.reason) = (first.clone(), *reason);
        let cause = |(message, _)| Cause { reason: String::new(), message, field: String::new() };
        status.causes = failed.into_iter().map(cause).collect();
        Err(status)
    }

    /// What went wrong with each of the mutations; those that went well are done.
    async fn invoke(
        &self,
        invocation: &Invocation<'_, Mutations>,
        namespace: &Value,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<String>, Status> {
        let Invocation { policy, via, params, .. } = invocation;
        let mut wrong = Vec::new();
        for (index, mutation) in policy.does.mutations.iter().enumerate() {
            let question = Question::new(self, draft.subject(), via).await?;
            let variables = self.policy_variables(&question, params, namespace);
            if index == 0 {
                match policy.conditions.hold(&variables) {
                    Ok(true) => {}
                    Ok(false) => return Ok(wrong),
                    Err(why) => return Ok(vec![why]),
                }
            }
            let before = question.object.unwrap_or_default();
            let typed = self.typed(draft.subject(), via);
            match changed(mutation, &before, variables, &policy.composition, typed) {
                Ok(after) if after == before => {}
                Ok(after) => {
                    if let Err(why) = self.replace(draft, after).await {
                        wrong.push(why.message);
                    }
                }
                Err(why) => wrong.push(why),
            }
        }
        Ok(wrong)
    }

    /// By what a configuration is applied: upstream's OpenAPI document has no type of a connection's options, and one of bindings and
    /// scales.
    fn typed<'v>(&self, subject: Subject<'_>, via: &'v Version) -> Result<&'v Version, String> {
        let Some(what) = subject.unstored else {
            let scale: &Version = kinds::builtin::scale();
            return Ok(if self.target.subresource == Some(Subresource::Scale) { scale } else { via });
        };
        let kind = what["kind"].as_str().unwrap_or_default();
        let binding = kinds::builtin::binding();
        if kind == binding.info().gvk.kind {
            return Ok(binding.as_ref());
        }
        let why = "failed to convert patch object to typed object: no corresponding type for";
        let gvk = &via.info().gvk;
        Err(format!("{why} {}/{}, Kind={kind}", gvk.group, gvk.version))
    }
}

fn told(policy: &str, binding: &str, why: &str) -> String {
    format!("policy '{policy}' with binding '{binding}' denied request: {why}")
}

fn changed(
    mutation: &Mutation,
    object: &Value,
    variables: Variables,
    composition: &expressions::Composition,
    typed: Result<&Version, String>,
) -> Result<Value, String> {
    let program = mutation.program.as_ref().map_err(Clone::clone)?;
    let mut evaluation = Evaluation::new(variables, composition);
    let mut budget = Budget::OBJECT;
    let failed = |why: Fault| unevaluated(&mutation.source, &why);
    match mutation.form {
        Form::ApplyConfiguration => {
            let wanted = evaluation.object(program, &mut budget).map_err(failed)?;
            typed
                .and_then(|via| applied(object, wanted, via))
                .map_err(|why| format!("error applying patch: {why}"))
        }
        Form::JsonPatch => {
            let operations = evaluation.patch(program, &mut budget).map_err(failed)?;
            let patch = JsonPatch::parse(operations.to_string().as_bytes());
            let patch = patch.map_err(|why| format!("JSONPath: {}", why.message))?;
            let patched = patch.apply_if_tests_hold(object.clone());
            let patched = patched.map_err(|why| format!("JSONPath: {}", why.message))?;
            Ok(patched.unwrap_or_else(|| object.clone()))
        }
    }
}

/// What is laid over an object has only what its kind knows, and no part that could only be replaced as a whole: who means
/// to add to it would take away the rest.
fn applied(object: &Value, mut wanted: Value, via: &Version) -> Result<Value, String> {
    let found = atomics(&wanted, via.schema());
    if let Some(fields) = wanted.as_object_mut() {
        fields.insert("apiVersion".to_owned(), via.info().gvk.api_version().into());
        fields.insert("kind".to_owned(), via.info().gvk.kind.clone().into());
    }
    via.decode(wanted.to_string().as_bytes(), FieldValidation::Strict)
        .map_err(|why| format!("failed to convert patch object to typed object: {}", why.message))?;
    if !found.is_empty() {
        let why = "may not mutate atomic arrays, maps or structs";
        return Err(format!("invalid ApplyConfiguration: {why}: {}", found.join(", ")));
    }
    merged(object, &wanted, via.schema()).map_err(|why| format!("failed to merge patch: {why}"))
}
