//! A policy as it is evaluated: its expressions compiled. One that could not be compiled, which validation refuses but an
//! older version may have stored, fails when it is asked for.

use crate::admission_request::matching::{Conditions, Matching};
use expressions::{Composition, Output, Program};
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MatchResources, MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ParamKind,
    ParamRef, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, Variable,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::builtin::admission_policies::PolicyExpressions;
use serde::Serialize;

/// What was compiled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Version {
    uid: String,
    generation: i64,
}

impl Version {
    pub(super) fn of(meta: &ObjectMeta) -> Self {
        Version { uid: meta.uid.clone().unwrap_or_default(), generation: meta.generation.unwrap_or(0) }
    }
}

pub(super) struct Policy<P> {
    pub(super) name: String,
    pub(super) version: Version,
    pub(super) matching: Matching,
    pub(super) conditions: Conditions,
    pub(super) composition: Composition,
    pub(super) param_kind: Option<ParamKind>,
    pub(super) ignores_failure: bool,
    pub(super) does: P,
}

pub(super) struct Validations {
    pub(super) validations: Vec<Validation>,
    pub(super) annotations: Vec<Annotation>,
}

pub(super) struct Validation {
    pub(super) source: String,
    pub(super) program: Result<Program, String>,
    pub(super) message: String,
    pub(super) message_program: Option<Program>,
    pub(super) reason: Option<String>,
}

pub(super) struct Annotation {
    /// In the audit log, behind the policy's name.
    pub(super) key: String,
    pub(super) source: String,
    pub(super) program: Result<Program, String>,
}

pub(super) struct Mutations {
    pub(super) mutations: Vec<Mutation>,
    pub(super) if_needed: bool,
}

pub(super) struct Mutation {
    pub(super) source: String,
    pub(super) form: Form,
    pub(super) program: Result<Program, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    ApplyConfiguration,
    JsonPatch,
}

pub(super) struct Binding {
    pub(super) name: String,
    pub(super) policy: String,
    pub(super) params: Option<ParamRef>,
    pub(super) matching: Option<Matching>,
    pub(super) actions: Vec<Action>,
}

/// What becomes of a validation that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Action {
    Deny,
    Warn,
    Audit,
}

impl Binding {
    pub(super) fn validating(binding: &ValidatingAdmissionPolicyBinding) -> Self {
        let spec = binding.spec.clone();
        let action = |action: &String| match action.as_str() {
            "Deny" => Some(Action::Deny),
            "Warn" => Some(Action::Warn),
            "Audit" => Some(Action::Audit),
            _ => None,
        };
        Binding {
            name: binding.metadata.name.clone().unwrap_or_default(),
            policy: spec.policy_name,
            params: spec.param_ref,
            matching: spec.match_resources.as_ref().map(Matching::of_resources),
            actions: spec.validation_actions.iter().filter_map(action).collect(),
        }
    }

    pub(super) fn mutating(binding: &MutatingAdmissionPolicyBinding) -> Self {
        let spec = binding.spec.clone().unwrap_or_default();
        Binding {
            name: binding.metadata.name.clone().unwrap_or_default(),
            policy: spec.policy_name.unwrap_or_default(),
            params: spec.param_ref,
            matching: spec.match_resources.as_ref().map(Matching::of_resources),
            actions: Vec::new(),
        }
    }
}

/// What every policy says.
struct Common {
    constraints: Option<MatchResources>,
    conditions: Option<Vec<MatchCondition>>,
    variables: Option<Vec<Variable>>,
    param_kind: Option<ParamKind>,
    failure: Option<String>,
    patches: bool,
}

fn policy<P>(meta: &ObjectMeta, common: Common, compile: impl FnOnce(&PolicyExpressions) -> P) -> Policy<P> {
    let mut expressions = PolicyExpressions::new(common.param_kind.as_ref(), common.patches);
    for variable in common.variables.iter().flatten() {
        // one that is wrong says so when it is asked for
        let _ = expressions.add(variable);
    }
    let conditions = common.conditions.unwrap_or_default();
    Policy {
        name: meta.name.clone().unwrap_or_default(),
        version: Version::of(meta),
        matching: Matching::of_resources(&common.constraints.unwrap_or_default()),
        conditions: Conditions::new(&conditions, |source| expressions.compile_condition(source)),
        does: compile(&expressions),
        composition: expressions.into_composition(),
        param_kind: common.param_kind,
        ignores_failure: common.failure.as_deref() == Some("Ignore"),
    }
}

pub(super) fn validating(of: &ValidatingAdmissionPolicy) -> Policy<Validations> {
    let spec = of.spec.clone().unwrap_or_default();
    let common = Common {
        constraints: spec.match_constraints,
        conditions: spec.match_conditions,
        variables: spec.variables,
        param_kind: spec.param_kind,
        failure: spec.failure_policy,
        patches: false,
    };
    let (validations, annotations) = (spec.validations, spec.audit_annotations);
    policy(&of.metadata, common, |expressions| Validations {
        validations: validations
            .into_iter()
            .flatten()
            .map(|validation| Validation {
                program: expressions.compile(&validation.expression, Output::Bool),
                message: validation.message.unwrap_or_default(),
                message_program: validation
                    .message_expression
                    .filter(|source| !source.is_empty())
                    .and_then(|source| expressions.compile_message(&source).ok()),
                reason: validation.reason,
                source: validation.expression,
            })
            .collect(),
        annotations: annotations
            .into_iter()
            .flatten()
            .map(|annotation| Annotation {
                program: expressions.compile(annotation.value_expression.trim(), Output::TextOrNull),
                source: annotation.value_expression,
                key: annotation.key,
            })
            .collect(),
    })
}

pub(super) fn mutating(of: &MutatingAdmissionPolicy) -> Policy<Mutations> {
    let spec = of.spec.clone().unwrap_or_default();
    let common = Common {
        constraints: spec.match_constraints,
        conditions: spec.match_conditions,
        variables: spec.variables,
        param_kind: spec.param_kind,
        failure: spec.failure_policy,
        patches: true,
    };
    let (mutations, reinvocation) = (spec.mutations, spec.reinvocation_policy);
    policy(&of.metadata, common, |expressions| Mutations {
        mutations: mutations
            .into_iter()
            .flatten()
            .map(|mutation| {
                let (form, source, output) = match mutation.patch_type.as_str() {
                    "JSONPatch" => {
                        (Form::JsonPatch, mutation.json_patch.and_then(|of| of.expression), Output::Patches)
                    }
                    _ => {
                        let source = mutation.apply_configuration.and_then(|of| of.expression);
                        (Form::ApplyConfiguration, source, Output::Object)
                    }
                };
                let source = source.unwrap_or_default();
                Mutation { program: expressions.compile(&source, output), form, source }
            })
            .collect(),
        if_needed: reinvocation.as_deref() == Some("IfNeeded"),
    })
}
