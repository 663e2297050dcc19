//! ValidatingAdmissionPolicies: every expression is compiled when the policy is written, so that one that can not be
//! evaluated is refused then.

use super::admission_policies::{self as policies, Common, PolicyExpressions};
use super::checks::{among, judged, list, text};
use super::{fill, name_of, names};
use crate::{Cell, Column, ErrorList, Scope, Subresource, TypedKind, age};
use expressions::Output;
use k8s_openapi::api::admissionregistration::v1::{
    AuditAnnotation, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyStatus, Validation,
};
use std::collections::HashSet;

const REASONS: [&str; 4] = ["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"];
const MOST_ANNOTATIONS: usize = 20;
/// Upstream's; less than what a value may have, as expressions put texts together.
const LONGEST_VALUE_EXPRESSION: usize = 5 * 1024;

impl TypedKind for ValidatingAdmissionPolicy {
    const SINGULAR: &'static str = "validatingadmissionpolicy";
    const PLURAL: &'static str = "validatingadmissionpolicies";
    const UPDATED_UNCONDITIONALLY: bool = false;
    const CATEGORIES: &'static [&'static str] = &["api-extensions"];
    const SCOPE: Scope = Scope::Cluster;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Validations", "integer", "How many validations it has"),
        Column::new("ParamKind", "string", "What its parameters are"),
        Column::AGE,
    ];

    super::spec_and_status!(ValidatingAdmissionPolicyStatus);

    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        fill::text(&mut spec.failure_policy, "Fail");
        policies::fill_in(spec.match_constraints.as_mut());
    }

    fn validate(&self, errors: &mut ErrorList) {
        let spec = self.spec.clone().unwrap_or_default();
        let common = Common {
            params: spec.param_kind.as_ref(),
            constraints: spec.match_constraints.as_ref(),
            conditions: list(&spec.match_conditions),
            variables: list(&spec.variables),
            failure: spec.failure_policy.as_deref(),
            patches: false,
        };
        let expressions = policies::validate(&common, errors);
        let (validations, annotations) = (list(&spec.validations), list(&spec.audit_annotations));
        if validations.is_empty() && annotations.is_empty() {
            let why = "validations or auditAnnotations must contain at least one item";
            errors.required("spec.validations", why);
            errors.required("spec.auditAnnotations", why);
        }
        for (index, validation) in validations.iter().enumerate() {
            validate_one(validation, &expressions, &format!("spec.validations[{index}]"), errors);
        }
        if annotations.len() > MOST_ANNOTATIONS {
            let why = format!("must not have more than {MOST_ANNOTATIONS} auditAnnotations");
            errors.invalid("spec.auditAnnotations", serde_json::json!(annotations), why);
        }
        let mut keys = HashSet::new();
        for (index, annotation) in annotations.iter().enumerate() {
            let at = format!("spec.auditAnnotations[{index}]");
            validate_annotation(text(&self.metadata.name), annotation, &expressions, &at, errors);
            if !keys.insert(&annotation.key) {
                errors.duplicate(format!("{at}.key"), annotation.key.as_str());
            }
        }
    }

    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let spec = self.spec.as_ref();
        vec![
            name_of(&self.metadata),
            spec.map_or(0, |spec| list(&spec.validations).len()).into(),
            policies::shown_kind(spec.and_then(|spec| spec.param_kind.as_ref())).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}

fn validate_one(validation: &Validation, expressions: &PolicyExpressions, at: &str, errors: &mut ErrorList) {
    let source = validation.expression.as_str();
    if source.trim().is_empty() {
        errors.required(format!("{at}.expression"), "expression is not specified");
    } else if let Err(why) = expressions.compile(source, Output::Bool) {
        errors.invalid(format!("{at}.expression"), source, why);
    }
    let source = text(&validation.message_expression);
    if !source.is_empty() {
        let at = format!("{at}.messageExpression");
        if source.trim().is_empty() {
            errors.invalid(at, source, "must be non-empty if specified");
        } else if let Err(why) = expressions.compile_message(source) {
            errors.invalid(at, source, why);
        }
    }
    let message = text(&validation.message);
    let at_message = format!("{at}.message");
    if !message.is_empty() && message.trim().is_empty() {
        errors.invalid(at_message, message, "message must be non-empty if specified");
    } else if message.trim().contains(['\n', '\r']) {
        errors.invalid(at_message, message, "message must not contain line breaks");
    }
    if let Some(reason) = validation.reason.as_deref() {
        among(reason, &REASONS, format!("{at}.reason"), errors);
    }
}

fn validate_annotation(
    policy: &str,
    annotation: &AuditAnnotation,
    expressions: &PolicyExpressions,
    at: &str,
    errors: &mut ErrorList,
) {
    match policy {
        "" => errors.invalid(
            format!("{at}.key"),
            annotation.key.as_str(),
            "requires metadata.name be non-empty",
        ),
        policy => {
            judged(names::qualified, &format!("{policy}/{}", annotation.key), format!("{at}.key"), errors);
        }
    }
    let at = format!("{at}.valueExpression");
    let source = annotation.value_expression.trim();
    if source.is_empty() {
        errors.required(at, "valueExpression is not specified");
    } else if source.len() > LONGEST_VALUE_EXPRESSION {
        let why = format!("must not exceed {LONGEST_VALUE_EXPRESSION} bytes in length");
        errors.required(at, &why);
    } else if let Err(why) = expressions.compile(source, Output::TextOrNull) {
        errors.invalid(at, annotation.value_expression.as_str(), why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn policy(change: impl FnOnce(&mut Value)) -> ValidatingAdmissionPolicy {
        let mut spec = json!({
            "matchConstraints": {"resourceRules": [
                {"operations": ["CREATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]},
            ]},
            "validations": [{"expression": "object.spec.replicas <= 5"}],
        });
        change(&mut spec);
        let mut made: ValidatingAdmissionPolicy =
            serde_json::from_value(json!({"metadata": {"name": "few.example.com"}, "spec": spec})).unwrap();
        TypedKind::set_defaults(&mut made);
        made
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let made = policy(|_| {});
        let spec = made.spec.as_ref().unwrap();
        let matched = spec.match_constraints.as_ref().unwrap();
        assert_eq!(spec.failure_policy.as_deref(), Some("Fail"));
        assert_eq!(matched.match_policy.as_deref(), Some("Equivalent"));
        assert!(matched.namespace_selector.is_some() && matched.object_selector.is_some());
        assert_eq!(matched.resource_rules.as_ref().unwrap()[0].scope.as_deref(), Some("*"));
        let mut errors = ErrorList::default();
        TypedKind::validate(&made, &mut errors);
        assert!(errors.is_empty(), "{:?}", errors.into_causes());
    }

    #[test]
    fn what_can_not_be_is_refused_in_upstreams_words() {
        let expression =
            |source: &'static str| move |s: &mut Value| s["validations"][0]["expression"] = source.into();
        type Change = Box<dyn Fn(&mut Value)>;
        let cases: Vec<(Change, &str)> = vec![
            (Box::new(|s| s["failurePolicy"] = json!("Maybe")), "supported values: \"Fail\", \"Ignore\""),
            (Box::new(|s| drop(s.as_object_mut().unwrap().remove("matchConstraints"))), "Required value"),
            (Box::new(|s| s["matchConstraints"]["resourceRules"] = json!([])), "Required value"),
            (
                Box::new(|s| s["matchConstraints"]["resourceRules"][0]["resourceNames"] = json!(["a", "a"])),
                "Duplicate value: \"a\"",
            ),
            (
                Box::new(|s| s["validations"] = json!([])),
                "validations or auditAnnotations must contain at least one item",
            ),
            (Box::new(expression("object.x ==")), "compilation failed: ERROR: <input>:1:"),
            (
                Box::new(expression("nope.x == 1")),
                "compilation failed: ERROR: <input>:1:1: undeclared reference to 'nope' (in container '')\n | nope.x == 1\n | ^",
            ),
            (Box::new(expression("params.x == 1")), "undeclared reference to 'params'"),
            (Box::new(expression("variables.x == 1")), "undeclared reference to 'variables'"),
            (Box::new(expression("request.nope == ''")), "undefined field 'nope'"),
            (Box::new(expression("request.userInfo.nope == ''")), "undefined field 'nope'"),
            (Box::new(expression("namespaceObject.metadata.nope == ''")), "undefined field 'nope'"),
            (Box::new(expression("'text'")), "must evaluate to bool but got string"),
            (Box::new(expression("Object{spec: 1} == Object{}")), "undeclared reference to 'Object'"),
            (
                Box::new(|s| s["variables"] = json!([{"name": "a", "expression": "variables.b"}])),
                "undefined field 'b'",
            ),
            (
                Box::new(|s| s["variables"] = json!([{"name": "in", "expression": "1"}])),
                "name is not a valid CEL identifier",
            ),
            (
                Box::new(|s| s["matchConditions"] = json!([{"name": "a", "expression": "1"}])),
                "must evaluate to bool but got int",
            ),
            (
                Box::new(|s| s["validations"][0]["messageExpression"] = json!("1")),
                "must evaluate to string but got int",
            ),
            (
                Box::new(|s| {
                    s["validations"][0]["messageExpression"] =
                        json!("authorizer.path('/').check('get').reason()")
                }),
                "undeclared reference to 'reason'",
            ),
            (
                Box::new(|s| s["validations"][0]["message"] = json!("a\nb")),
                "message must not contain line breaks",
            ),
            (
                Box::new(|s| s["validations"][0]["reason"] = json!("Because")),
                "supported values: \"Forbidden\", \"Invalid\", \"RequestEntityTooLarge\", \"Unauthorized\"",
            ),
            (
                Box::new(|s| s["auditAnnotations"] = json!([{"key": "a", "valueExpression": "1"}])),
                "must evaluate to one of [string null_type] but got int",
            ),
            (Box::new(|s| s["paramKind"] = json!({"apiVersion": "v1"})), "Required value"),
            (
                Box::new(|s| s["paramKind"] = json!({"apiVersion": "a/b/c", "kind": "X"})),
                "unexpected GroupVersion string: a/b/c",
            ),
        ];
        for (change, want) in cases {
            let mut errors = ErrorList::default();
            TypedKind::validate(&policy(change), &mut errors);
            let told: Vec<String> = errors.into_causes().into_iter().map(|cause| cause.message).collect();
            assert!(told.iter().any(|message| message.contains(want)), "{want}: {told:?}");
        }
    }

    #[test]
    fn what_a_policy_may_say() {
        let good = [
            "request.namespace == 'default' && request.operation in ['CREATE', 'UPDATE'] && request.userInfo.extra['a'] == ['b']",
            "has(request.subResource) || request.options.dryRun == ['All']",
            "namespaceObject.metadata.labels['env'] == 'prod' || namespaceObject.status.phase == 'Active'",
            "authorizer.group('').resource('pods').namespace('a').name('b').subresource('log').check('get').allowed()",
            "authorizer.serviceAccount('a', 'b').path('/healthz').check('get').allowed()",
            "authorizer.requestResource.check('delete').allowed()",
            "object.metadata.namespace == oldObject.metadata.namespace",
            "variables.a > 1 && has(variables.b)",
        ];
        for source in good {
            let made = policy(|s| {
                s["validations"][0]["expression"] = source.into();
                s["variables"] = json!([
                    {"name": "a", "expression": "object.spec.replicas"}, {"name": "b", "expression": "variables.a + 1"},
                ]);
            });
            let mut errors = ErrorList::default();
            TypedKind::validate(&made, &mut errors);
            assert!(errors.is_empty(), "{source}: {:?}", errors.into_causes());
        }
    }
}
