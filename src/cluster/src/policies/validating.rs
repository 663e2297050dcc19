//! What policies have against a write, in the words of upstream's `policy/validating`.

use super::compiled::{Action, Annotation, Binding, Policy, Validation, Validations};
use super::{Invocation, Misconfigured};
use crate::admission_request::attributes::{Admission, Subject};
use crate::admission_request::question::Question;
use ::api::{Cause, Reason, Status};
use expressions::{Budget, Evaluation, Fault, Outcome, Variables};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Upstream's `MaxEvaluatedMessageExpressionSizeBytes`.
const LONGEST_MESSAGE: usize = 5 * 1024;
const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// Upstream's key in the audit log.
const FAILURES: &str = "validation.policy.admission.k8s.io/validation_failure";
/// Between the values that several bindings give one annotation, as upstream joins them.
const BETWEEN_VALUES: &str = ", ";

struct Denied {
    message: String,
    reason: Reason,
    /// Which of the policy's validations; upstream says 0 of what is none of them.
    expression: usize,
}

/// One that the audit log hears of, as upstream's `ValidationFailureValue`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    message: String,
    policy: String,
    binding: String,
    expression_index: usize,
    validation_actions: Vec<Action>,
}

/// What came of evaluating a policy.
#[derive(Default)]
struct Judgement {
    denied: Vec<Denied>,
    /// For the audit log: by key.
    annotations: Vec<(String, String)>,
    /// Of these no binding decides what becomes of them.
    annotations_failed: Vec<String>,
}

impl Admission<'_> {
    /// # Errors
    /// What the first of them refuses, or that one failed that is needed.
    pub(crate) async fn validate_by_policies(&self, subject: Subject<'_>) -> Result<(), Status> {
        let Some(in_use) = self.policies_in_use() else { return Ok(()) };
        let (invocations, misconfigured) = self.invocations(&in_use.validating, subject).await;
        let mut refusals: Vec<(String, String, Denied)> = Vec::new();
        let denied = |policy: &Policy<Validations>, binding: &Binding, why| {
            (policy.name.clone(), binding.name.clone(), why)
        };
        for Misconfigured { policy, binding, why } in &misconfigured {
            if !policy.ignores_failure {
                let message = format!("failed to configure binding: {why}");
                refusals.push(denied(policy, binding, Denied::invalid(message)));
            }
        }
        if invocations.is_empty() && refusals.is_empty() {
            return Ok(());
        }
        let namespace = self.namespace_object()?;
        let (mut failures, mut annotations) = (Vec::new(), BTreeMap::<String, BTreeSet<String>>::new());
        for Invocation { policy, binding, via, params } in &invocations {
            let question = Question::new(self, subject, via).await?;
            let variables = self.policy_variables(&question, params, &namespace);
            let judgement = judge(policy, &variables);
            for refusal in judgement.denied {
                if binding.actions.contains(&Action::Warn) {
                    self.remarks.warn_all([format!(
                        "Validation failed for ValidatingAdmissionPolicy '{}' with binding '{}': {}",
                        policy.name, binding.name, refusal.message
                    )]);
                }
                if binding.actions.contains(&Action::Audit) {
                    failures.push(Failure::of(policy, binding, &refusal));
                }
                if binding.actions.contains(&Action::Deny) {
                    refusals.push(denied(policy, binding, refusal));
                }
            }
            for message in judgement.annotations_failed {
                refusals.push(denied(policy, binding, Denied::invalid(message)));
            }
            for (key, value) in judgement.annotations {
                annotations.entry(format!("{}/{key}", policy.name)).or_default().insert(value);
            }
        }
        if !failures.is_empty() {
            self.remarks.annotate(FAILURES, serde_json::to_string(&failures).unwrap_or_default());
        }
        for (key, values) in annotations {
            self.remarks.annotate(key, Vec::from_iter(values).join(BETWEEN_VALUES));
        }
        match refusals.into_iter().next() {
            None => Ok(()),
            Some((policy, binding, refusal)) => Err(self.refused(subject, &policy, &binding, refusal)),
        }
    }

    fn refused(&self, subject: Subject<'_>, policy: &str, binding: &str, denied: Denied) -> Status {
        let name = self.target.name.clone().or(subject.name()).unwrap_or_default();
        let message = format!(
            "ValidatingAdmissionPolicy '{policy}' with binding '{binding}' denied request: {}",
            denied.message
        );
        let mut status = Status::forbidden(&self.target.group_resource(), &name, &message);
        status.reason = denied.reason;
        status.code = denied.reason.code();
        status.causes = vec![Cause { reason: String::new(), message, field: String::new() }];
        status
    }
}

impl Denied {
    fn invalid(message: String) -> Self {
        Denied { message, reason: Reason::Invalid, expression: 0 }
    }
}

impl Failure {
    fn of(policy: &Policy<Validations>, binding: &Binding, denied: &Denied) -> Self {
        Failure {
            message: denied.message.clone(),
            policy: policy.name.clone(),
            binding: binding.name.clone(),
            expression_index: denied.expression,
            validation_actions: binding.actions.clone(),
        }
    }
}

fn judge(policy: &Policy<Validations>, variables: &Variables) -> Judgement {
    let mut judgement = Judgement::default();
    let failed = |message: String| match policy.ignores_failure {
        true => None,
        false => Some(Denied::invalid(message)),
    };
    match policy.conditions.hold(variables) {
        Ok(true) => {}
        Ok(false) => return judgement,
        Err(why) => {
            judgement.denied.extend(failed(why));
            return judgement;
        }
    }
    let mut evaluation = Evaluation::new(variables.clone(), &policy.composition);
    let mut budget = Budget::OBJECT;
    for (expression, validation) in policy.does.validations.iter().enumerate() {
        let failed = |message| failed(message).map(|denied| Denied { expression, ..denied });
        let outcome = match &validation.program {
            Ok(program) => evaluation.evaluate(program, &mut budget),
            Err(why) => Err(Fault::Error(why.clone())),
        };
        match outcome {
            Ok(Outcome::Bool(true)) => {}
            Ok(_) => judgement.denied.push(Denied {
                message: message(validation, &mut evaluation, &mut budget),
                reason: reason(validation.reason.as_deref()),
                expression,
            }),
            Err(Fault::Budget) => {
                judgement.denied.extend(failed(OUT_OF_BUDGET.to_owned()));
                break;
            }
            Err(why) => judgement.denied.extend(failed(unevaluated(&validation.source, &why))),
        }
    }
    let mut budget = Budget::OBJECT;
    for annotation in &policy.does.annotations {
        match value_of(annotation, &mut evaluation, &mut budget) {
            Ok(value) => judgement.annotations.extend(value.map(|value| (annotation.key.clone(), value))),
            Err(_) if policy.ignores_failure => {}
            Err(why) => judgement.annotations_failed.push(why),
        }
    }
    judgement
}

/// What it says in the audit log; nothing where it is null or empty.
fn value_of(
    annotation: &Annotation,
    evaluation: &mut Evaluation<'_>,
    budget: &mut Budget,
) -> Result<Option<String>, String> {
    let outcome = match &annotation.program {
        Ok(program) => evaluation.evaluate(program, budget),
        Err(why) => Err(Fault::Error(why.clone())),
    };
    match outcome {
        Ok(Outcome::Text(text)) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Ok(Outcome::Null) => Ok(None),
        Ok(_) => Err(format!(
            "valueExpression '{}' resulted in unsupported return type. Return type must be either string or null.",
            annotation.source
        )),
        Err(Fault::Budget) => Err(OUT_OF_BUDGET.to_owned()),
        Err(why) => Err(unevaluated(&annotation.source, &why)),
    }
}

pub(super) fn unevaluated(source: &str, why: &Fault) -> String {
    format!("expression '{source}' resulted in error: {why}")
}

fn message(validation: &Validation, evaluation: &mut Evaluation<'_>, budget: &mut Budget) -> String {
    let made =
        validation.message_program.as_ref().and_then(|program| match evaluation.evaluate(program, budget) {
            Ok(Outcome::Text(text)) => Some(text.trim().to_owned()),
            _ => None,
        });
    let fits = |text: &String| !text.is_empty() && text.len() <= LONGEST_MESSAGE && !text.contains('\n');
    made.filter(fits).unwrap_or_else(|| match validation.message.trim() {
        "" => format!("failed expression: {}", validation.source.trim()),
        message => message.to_owned(),
    })
}

fn reason(of: Option<&str>) -> Reason {
    of.and_then(|reason| serde_json::from_value(Value::from(reason)).ok()).unwrap_or(Reason::Invalid)
}
