//! ValidatingAdmissionPolicyBindings: where a policy applies, with which parameters, and what its refusal does.

use super::admission_policies as policies;
use super::checks::among;
use super::name_of;
use crate::{Cell, Column, ErrorList, Scope, TypedKind, age};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use std::collections::HashSet;

const ACTIONS: [&str; 3] = ["Audit", "Deny", "Warn"];

impl TypedKind for ValidatingAdmissionPolicyBinding {
    const SINGULAR: &'static str = "validatingadmissionpolicybinding";
    const PLURAL: &'static str = "validatingadmissionpolicybindings";
    const UPDATED_UNCONDITIONALLY: bool = false;
    const CATEGORIES: &'static [&'static str] = &["api-extensions"];
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("PolicyName", "string", "The policy that it puts to use"),
        Column::new("ParamRef", "string", "Where the policy's parameters are"),
        Column::AGE,
    ];

    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
    }
    fn generation_changes(&self, old: &Self) -> bool {
        self.spec != old.spec
    }
    fn set_defaults(&mut self) {
        policies::fill_in(self.spec.match_resources.as_mut());
    }
    fn validate(&self, errors: &mut ErrorList) {
        let spec = &self.spec;
        policies::validate_binding(
            &spec.policy_name,
            spec.param_ref.as_ref(),
            spec.match_resources.as_ref(),
            errors,
        );
        let at = "spec.validationActions";
        let mut seen = HashSet::new();
        for (index, action) in spec.validation_actions.iter().enumerate() {
            among(action, &ACTIONS, format!("{at}[{index}]"), errors);
            if !seen.insert(action.as_str()) {
                errors.duplicate(format!("{at}[{index}]"), action.as_str());
            }
        }
        if seen.contains("Deny") && seen.contains("Warn") {
            let why = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
            errors.invalid(at, spec.validation_actions.clone(), why);
        }
        if seen.is_empty() {
            errors.required(at, "at least one validation action is required");
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        vec![
            name_of(&self.metadata),
            self.spec.policy_name.as_str().into(),
            policies::shown_ref(self.spec.param_ref.as_ref()).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn told(change: fn(&mut Value)) -> Vec<String> {
        let mut spec = json!({"policyName": "few", "validationActions": ["Deny"]});
        change(&mut spec);
        let mut made: ValidatingAdmissionPolicyBinding =
            serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": spec})).unwrap();
        TypedKind::set_defaults(&mut made);
        let mut errors = ErrorList::default();
        TypedKind::validate(&made, &mut errors);
        errors.into_causes().into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn bindings() {
        assert_eq!(told(|_| {}), Vec::<String>::new());
        let cases: [(fn(&mut Value), &str); 8] = [
            (|s| s["policyName"] = json!(""), "spec.policyName: Required value"),
            (|s| s["validationActions"] = json!([]), "at least one validation action is required"),
            (|s| s["validationActions"] = json!(["Deny", "Warn"]), "must not contain both Deny and Warn"),
            (
                |s| s["validationActions"] = json!(["Shout"]),
                "supported values: \"Audit\", \"Deny\", \"Warn\"",
            ),
            (|s| s["validationActions"] = json!(["Deny", "Deny"]), "Duplicate value: \"Deny\""),
            (
                |s| s["paramRef"] = json!({"parameterNotFoundAction": "Deny"}),
                "spec.paramRef: Required value: one of name or selector must be specified",
            ),
            (
                |s| s["paramRef"] = json!({"name": "a", "selector": {}, "parameterNotFoundAction": "Deny"}),
                "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
            ),
            (
                |s| s["paramRef"] = json!({"name": "a"}),
                "spec.paramRef.parameterNotFoundAction: Required value",
            ),
        ];
        for (change, want) in cases {
            let told = told(change);
            assert!(told.iter().any(|message| message.contains(want)), "{want}: {told:?}");
        }
    }
}
