//! MutatingAdmissionPolicies: what their expressions give is an object to apply or a JSON patch. What they share with
//! validating ones is in `admission_policies.rs`.

use super::admission_policies::{self as policies, Common, PolicyExpressions};
use super::checks::{list, one_of, text};
use super::{fill, name_of};
use crate::{Cell, Column, ErrorList, Scope, TypedKind, age};
use expressions::Output;
use k8s_openapi::api::admissionregistration::v1::{MutatingAdmissionPolicy, Mutation};

const APPLY: &str = "ApplyConfiguration";
const PATCH: &str = "JSONPatch";

impl TypedKind for MutatingAdmissionPolicy {
    const SINGULAR: &'static str = "mutatingadmissionpolicy";
    const PLURAL: &'static str = "mutatingadmissionpolicies";
    const UPDATED_UNCONDITIONALLY: bool = false;
    const CATEGORIES: &'static [&'static str] = &["api-extensions"];
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Mutations", "integer", "How many mutations it has"),
        Column::new("ParamKind", "string", "What its parameters are"),
        Column::AGE,
    ];

    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
    }
    fn generation_changes(&self, old: &Self) -> bool {
        self.spec != old.spec
    }
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
            patches: true,
        };
        let expressions = policies::validate(&common, errors);
        let reinvocation = text(&spec.reinvocation_policy);
        one_of(reinvocation, &["IfNeeded", "Never"], "spec.reinvocationPolicy", errors);
        let mutations = list(&spec.mutations);
        if mutations.is_empty() {
            errors.required("spec.mutations", "mutations must contain at least one item");
        }
        for (index, mutation) in mutations.iter().enumerate() {
            validate_mutation(mutation, &expressions, &format!("spec.mutations[{index}]"), errors);
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let spec = self.spec.as_ref();
        vec![
            name_of(&self.metadata),
            spec.map_or(0, |spec| list(&spec.mutations).len()).into(),
            policies::shown_kind(spec.and_then(|spec| spec.param_kind.as_ref())).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}

fn validate_mutation(mutation: &Mutation, expressions: &PolicyExpressions, at: &str, errors: &mut ErrorList) {
    let apply = mutation.apply_configuration.as_ref().map(|of| text(&of.expression));
    let patch = mutation.json_patch.as_ref().map(|of| text(&of.expression));
    let (wanted, source, other, output) = match mutation.patch_type.as_str() {
        APPLY => (("applyConfiguration", APPLY), apply, ("jsonPatch", patch.is_some()), Output::Object),
        PATCH => (("jsonPatch", PATCH), patch, ("applyConfiguration", apply.is_some()), Output::Patches),
        "" => return errors.required(format!("{at}.patchType"), ""),
        unknown => return errors.not_supported(format!("{at}.patchType"), unknown, &[APPLY, PATCH]),
    };
    let (field, kind) = wanted;
    if let (unwanted, true) = other {
        errors.invalid(
            format!("{at}.{unwanted}"),
            format!("{{{unwanted}}}"),
            format_args!("{unwanted} may not be specified when patchType is {kind}"),
        );
    }
    let at_expression = format!("{at}.{field}.expression");
    match source {
        None => {
            let why = format!("{field} must be specified when patchType is {kind}");
            errors.required(format!("{at}.{field}"), &why);
        }
        Some(source) if source.trim().is_empty() => {
            errors.required(at_expression, "expression is not specified");
        }
        Some(source) => {
            if let Err(why) = expressions.compile(source, output) {
                errors.invalid(at_expression, source, why);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn told(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut spec = json!({
            "matchConstraints": {"resourceRules": [
                {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]},
            ]},
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}}],
        });
        change(&mut spec);
        let mut made: MutatingAdmissionPolicy =
            serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": spec})).unwrap();
        TypedKind::set_defaults(&mut made);
        let mut errors = ErrorList::default();
        TypedKind::validate(&made, &mut errors);
        errors.into_causes().into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn policies_that_are_good() {
        let apply = |source: &str| json!({"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": source}});
        let patch = |source: &str| json!({"patchType": "JSONPatch", "jsonPatch": {"expression": source}});
        let good = [
            apply("Object{metadata: Object.metadata{labels: {'a': object.metadata.name}}}"),
            apply("has(object.spec.x) ? Object{} : Object{spec: Object.spec{x: [Object.spec.x{name: 'a'}]}}"),
            patch(
                "[JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b'), value: 'c'}]",
            ),
            patch("object.spec.containers.map(c, JSONPatch{op: 'remove', path: '/spec'})"),
        ];
        for mutation in good {
            let said = told(|spec| spec["mutations"] = json!([mutation]));
            assert_eq!(said, Vec::<String>::new(), "{mutation}");
        }
    }

    #[test]
    fn what_can_not_be_is_refused() {
        let apply = |source: &str| json!([{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": source}}]);
        let patch = |source: &str| json!([{"patchType": "JSONPatch", "jsonPatch": {"expression": source}}]);
        let cases = [
            ("mutations", json!([]), "spec.mutations: Required value"),
            ("reinvocationPolicy", json!(""), "spec.reinvocationPolicy: Required value"),
            ("reinvocationPolicy", json!("Often"), "supported values: \"IfNeeded\", \"Never\""),
            (
                "mutations",
                json!([{"patchType": "Merge"}]),
                "supported values: \"ApplyConfiguration\", \"JSONPatch\"",
            ),
            ("mutations", json!([{"patchType": "JSONPatch"}]), "spec.mutations[0].jsonPatch: Required value"),
            ("mutations", apply("{'a': 1}"), "must evaluate to Object but got map(dyn, dyn)"),
            ("mutations", apply("Object.spec{}"), "must evaluate to Object but got Object.spec"),
            ("mutations", apply("Thing{}"), "undeclared reference to 'Thing'"),
            ("mutations", patch("[1]"), "must evaluate to list(JSONPatch) but got list(int)"),
            ("mutations", patch("[JSONPatch{nope: 1}]"), "undefined field 'nope'"),
        ];
        for (field, value, want) in cases {
            let said = told(|spec| spec[field] = value.clone());
            assert!(said.iter().any(|message| message.contains(want)), "{want}: {said:?}");
        }
    }
}
