//! What the kinds of admission policies and their bindings have in common, in the words of upstream's
//! `pkg/apis/admissionregistration/validation`, and what their expressions may name.

use super::checks::{among, among_if_set, judged, label_selector, list, required, text};
use super::names;
use super::webhooks::{validate_condition_names, validate_rule};
use crate::ErrorList;
use expressions::{Composition, Environment, Kinds, Output, Program, RESERVED, Typed};
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MatchResources, NamedRuleWithOperations, ParamKind, ParamRef, RuleWithOperations,
    Variable,
};
use std::collections::HashSet;

const WITHOUT_PARAMS: [&str; 4] = ["object", "oldObject", "request", "namespaceObject"];
const WITH_PARAMS: [&str; 5] = ["object", "oldObject", "request", "namespaceObject", "params"];

/// The expressions of one policy: what they may name, and the variables that they share.
pub struct PolicyExpressions {
    has_params: bool,
    patches: bool,
    composition: Composition,
    has_variables: bool,
}

impl PolicyExpressions {
    /// `patches` where they change objects.
    pub fn new(params: Option<&ParamKind>, patches: bool) -> Self {
        let composition = Composition::default();
        PolicyExpressions { has_params: params.is_some(), patches, composition, has_variables: false }
    }

    fn environment(&self) -> Environment<'_> {
        Environment {
            variables: if self.has_params { &WITH_PARAMS } else { &WITHOUT_PARAMS },
            composed: self.has_variables.then_some(&self.composition),
            authorizer: true,
            patches: self.patches,
            ..Environment::default()
        }
    }

    /// Those that come after it may name it.
    ///
    /// # Errors
    /// As [`PolicyExpressions::compile`].
    pub fn add(&mut self, variable: &Variable) -> Result<(), String> {
        self.has_variables = true;
        let mut composition = std::mem::take(&mut self.composition);
        let told = composition.add(&variable.name, &variable.expression, &self.environment());
        self.composition = composition;
        told
    }

    /// # Errors
    /// In upstream's words.
    pub fn compile(&self, source: &str, output: Output) -> Result<Program, String> {
        self.environment().compile(source, output)
    }

    /// A condition names no variables: it is asked before there are any.
    ///
    /// # Errors
    /// As [`PolicyExpressions::compile`].
    pub fn compile_condition(&self, source: &str) -> Result<Program, String> {
        Environment { composed: None, patches: false, ..self.environment() }.compile(source, Output::Bool)
    }

    /// A message asks nobody what he may do.
    ///
    /// # Errors
    /// As [`PolicyExpressions::compile`].
    pub fn compile_message(&self, source: &str) -> Result<Program, String> {
        Environment { authorizer: false, ..self.environment() }.compile(source, Output::Text)
    }

    /// What they name, given the kinds that they are about: see [`Program::check`].
    pub(super) fn typed<'s>(&self, kinds: Kinds<'s>) -> Typed<'s> {
        self.composition.typed(kinds)
    }

    pub fn into_composition(self) -> Composition {
        self.composition
    }
}

/// Upstream's `SetDefaults_MatchResources`.
pub(super) fn fill_in(matched: Option<&mut MatchResources>) {
    let Some(matched) = matched else { return };
    super::fill::text(&mut matched.match_policy, "Equivalent");
    matched.namespace_selector.get_or_insert_default();
    matched.object_selector.get_or_insert_default();
    let rules = matched.resource_rules.iter_mut().chain(&mut matched.exclude_resource_rules).flatten();
    for rule in rules {
        super::fill::text(&mut rule.scope, "*");
    }
}

/// What every policy has.
pub(super) struct Common<'p> {
    pub(super) params: Option<&'p ParamKind>,
    pub(super) constraints: Option<&'p MatchResources>,
    pub(super) conditions: &'p [MatchCondition],
    pub(super) variables: &'p [Variable],
    pub(super) failure: Option<&'p str>,
    pub(super) patches: bool,
}

/// What came of the variables, for the expressions that are validated next.
pub(super) fn validate(policy: &Common<'_>, errors: &mut ErrorList) -> PolicyExpressions {
    among_if_set(policy.failure, &["Fail", "Ignore"], "spec.failurePolicy", errors);
    if let Some(params) = policy.params {
        param_kind(params, errors);
    }
    match policy.constraints {
        None => errors.required("spec.matchConstraints", ""),
        Some(constraints) => {
            match_resources(constraints, "spec.matchConstraints", errors);
            if list(&constraints.resource_rules).is_empty() {
                errors.required("spec.matchConstraints.resourceRules", "");
            }
        }
    }
    let mut expressions = PolicyExpressions::new(policy.params, policy.patches);
    conditions(policy.conditions, &expressions, errors);
    for (index, variable) in policy.variables.iter().enumerate() {
        let at = format!("spec.variables[{index}]");
        match variable.name.trim() {
            "" => errors.required(format!("{at}.name"), "name is not specified"),
            _ if !is_identifier(&variable.name) => {
                errors.invalid(
                    format!("{at}.name"),
                    variable.name.as_str(),
                    "name is not a valid CEL identifier",
                );
            }
            _ => {}
        }
        if variable.expression.trim().is_empty() {
            errors.required(format!("{at}.expression"), "expression is not specified");
        } else if let Err(why) = expressions.add(variable) {
            errors.invalid(format!("{at}.expression"), variable.expression.as_str(), why);
        }
    }
    expressions
}

fn is_identifier(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(first)
        && name.chars().all(|c| first(c) || c.is_ascii_digit())
        && !RESERVED.contains(&name)
}

fn param_kind(params: &ParamKind, errors: &mut ErrorList) {
    let at = "spec.paramKind.apiVersion";
    let version = text(&params.api_version);
    let (group, name) = version.split_once('/').unwrap_or(("", version));
    if version.is_empty() {
        errors.required(at, "");
    } else if name.contains('/') {
        errors.invalid(at, version, format_args!("unexpected GroupVersion string: {version}"));
    } else {
        if !group.is_empty() {
            judged(names::dns_subdomain, group, at, errors);
        }
        match name {
            "" => errors.invalid(at, version, "version must be specified"),
            name => judged(names::dns_label_1035, name, at, errors),
        }
    }
    let at = "spec.paramKind.kind";
    match text(&params.kind) {
        "" => errors.required(at, ""),
        kind => {
            if let Err(why) = names::dns_label_1035(&kind.to_lowercase()) {
                let why = format!("may have mixed case, but should otherwise match: {why}");
                errors.invalid(at, kind, why);
            }
        }
    }
}

pub(super) fn match_resources(matched: &MatchResources, at: &str, errors: &mut ErrorList) {
    match matched.match_policy.as_deref() {
        None => errors.required(format!("{at}.matchPolicy"), ""),
        Some(policy) => among(policy, &["Equivalent", "Exact"], format!("{at}.matchPolicy"), errors),
    }
    label_selector(matched.namespace_selector.as_ref(), &format!("{at}.namespaceSelector"), errors);
    label_selector(matched.object_selector.as_ref(), &format!("{at}.objectSelector"), errors);
    let all = [
        ("resourceRules", &matched.resource_rules),
        ("excludeResourceRules", &matched.exclude_resource_rules),
    ];
    for (field, rules) in all {
        for (index, rule) in list(rules).iter().enumerate() {
            named_rule(rule, &format!("{at}.{field}[{index}]"), errors);
        }
    }
}

fn named_rule(rule: &NamedRuleWithOperations, at: &str, errors: &mut ErrorList) {
    let mut seen = HashSet::new();
    for (index, name) in list(&rule.resource_names).iter().enumerate() {
        let at = format!("{at}.resourceNames[{index}]");
        judged(names::path_segment, name, &at, errors);
        if !seen.insert(name) {
            errors.duplicate(at, name.as_str());
        }
    }
    validate_rule(&unnamed(rule), at, errors);
}

/// The rule without the names of objects.
pub fn unnamed(rule: &NamedRuleWithOperations) -> RuleWithOperations {
    RuleWithOperations {
        api_groups: rule.api_groups.clone(),
        api_versions: rule.api_versions.clone(),
        operations: rule.operations.clone(),
        resources: rule.resources.clone(),
        scope: rule.scope.clone(),
    }
}

fn conditions(conditions: &[MatchCondition], expressions: &PolicyExpressions, errors: &mut ErrorList) {
    let at = "spec.matchConditions";
    validate_condition_names(conditions, at, errors);
    for (index, condition) in conditions.iter().enumerate() {
        let at = format!("{at}[{index}].expression");
        match condition.expression.trim() {
            "" => errors.required(at, ""),
            source => {
                if let Err(why) = expressions.compile_condition(source) {
                    errors.invalid(at, source, why);
                }
            }
        }
    }
}

/// What every binding has.
pub(super) fn validate_binding(
    policy_name: &str,
    params: Option<&ParamRef>,
    matched: Option<&MatchResources>,
    errors: &mut ErrorList,
) {
    required(names::dns_subdomain, policy_name, "spec.policyName", errors);
    if let Some(params) = params {
        param_ref(params, "spec.paramRef", errors);
    }
    if let Some(matched) = matched {
        match_resources(matched, "spec.matchResources", errors);
    }
}

fn param_ref(params: &ParamRef, at: &str, errors: &mut ErrorList) {
    const EXCLUSIVE: &str = "name and selector are mutually exclusive";
    let name = text(&params.name);
    if !name.is_empty() {
        judged(names::path_segment, name, format!("{at}.name"), errors);
    }
    match (name, &params.selector) {
        ("", None) => errors.required(at, "one of name or selector must be specified"),
        ("", Some(_)) => {}
        (_, Some(_)) => {
            errors.forbidden(format!("{at}.name"), EXCLUSIVE);
            errors.forbidden(format!("{at}.selector"), EXCLUSIVE);
        }
        (_, None) => {}
    }
    label_selector(params.selector.as_ref(), &format!("{at}.selector"), errors);
    let at = format!("{at}.parameterNotFoundAction");
    match text(&params.parameter_not_found_action) {
        "" => errors.required(at, ""),
        action => among(action, &["Deny", "Allow"], at, errors),
    }
}

/// As kubectl prints what a policy takes its parameters from.
pub(super) fn shown_kind(params: Option<&ParamKind>) -> String {
    params.map_or_else(unset, |kind| format!("{}/{}", text(&kind.api_version), text(&kind.kind)))
}

pub(super) fn shown_ref(params: Option<&ParamRef>) -> String {
    let Some(params) = params else { return unset() };
    match (text(&params.namespace), text(&params.name)) {
        (_, "") => crate::selectors::print(params.selector.as_ref()),
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}

fn unset() -> String {
    "<unset>".to_owned()
}
