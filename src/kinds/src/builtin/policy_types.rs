//! What is suspect in the expressions of a ValidatingAdmissionPolicy, given the kinds that it matches: upstream's type
//! checking (`plugin/policy/validating/typechecking.go`), which refuses nothing and tells it in the status.

use super::admission_policies::PolicyExpressions;
use super::checks::{list, text};
use crate::{Registry, Version};
use api::{Gvk, Gvr};
use expressions::{Kinds, Output};
use k8s_openapi::api::admissionregistration::v1::{
    ExpressionWarning, NamedRuleWithOperations, ValidatingAdmissionPolicy, ValidatingAdmissionPolicySpec,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Of one rule no more kinds are looked at.
const MOST_KINDS: usize = 10;

/// A warning for each expression that can not be right about objects of a kind that the policy names, in the order of the
/// policy. Where a rule names all groups or versions, no kind of it is looked at.
pub fn warnings(policy: &ValidatingAdmissionPolicy, registry: &Registry) -> Vec<ExpressionWarning> {
    let Some(spec) = &policy.spec else { return Vec::new() };
    let kinds = matched(spec, registry);
    if kinds.is_empty() {
        return Vec::new();
    }
    let mut expressions = PolicyExpressions::new(spec.param_kind.as_ref(), false);
    for variable in list(&spec.variables) {
        // one that is wrong is of any type
        let _ = expressions.add(variable);
    }
    let params = params(spec, registry);
    let sources = list(&spec.validations).iter().enumerate().flat_map(|(index, validation)| {
        let at = format!("spec.validations[{index}]");
        let message = text(&validation.message_expression);
        [
            (format!("{at}.expression"), validation.expression.as_str()),
            (format!("{at}.messageExpression"), message),
        ]
    });
    let warning = |(field_ref, source): (String, &str)| {
        let program = expressions.compile(source, Output::Any);
        let told = kinds.iter().filter_map(|(gvk, version)| {
            let kinds =
                Kinds { object: version.schema(), params: params.as_ref().map(|version| version.schema()) };
            let issue = match &program {
                Ok(program) => expressions.check(program, source, kinds).err()?,
                Err(why) => why.strip_prefix("compilation failed: ").unwrap_or(why).to_owned(),
            };
            Some(format!("{}/{}, Kind={}: {issue}\n", gvk.group, gvk.version, gvk.kind))
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| ExpressionWarning { field_ref, warning: told.join("\n") })
    };
    sources.filter(|(_, source)| !source.trim().is_empty()).filter_map(warning).collect()
}

fn matched(spec: &ValidatingAdmissionPolicySpec, registry: &Registry) -> BTreeMap<Gvk, Arc<Version>> {
    let rules =
        spec.match_constraints.as_ref().map(|matched| list(&matched.resource_rules)).unwrap_or_default();
    let versions = rules.iter().flat_map(|rule| named(rule, registry).into_iter().take(MOST_KINDS));
    versions.map(|version| (version.info().gvk.clone(), version)).collect()
}

fn named(rule: &NamedRuleWithOperations, registry: &Registry) -> Vec<Arc<Version>> {
    let (mut groups, mut versions) = (list(&rule.api_groups).to_vec(), list(&rule.api_versions).to_vec());
    if groups.iter().chain(&versions).any(|name| name.contains('*')) {
        return Vec::new();
    }
    // those of subresources are other objects
    let resources = list(&rule.resources).iter().filter(|name| !name.contains(['*', '/']));
    let mut resources: Vec<&String> = resources.collect();
    groups.sort();
    versions.sort();
    resources.sort();
    let mut found = Vec::new();
    for group in &groups {
        for version in &versions {
            let gvr = |resource: &str| Gvr {
                group: group.clone().into(),
                version: version.clone().into(),
                resource: resource.to_owned().into(),
            };
            found.extend(resources.iter().filter_map(|resource| registry.by_gvr(&gvr(resource))));
        }
    }
    found
}

fn params(spec: &ValidatingAdmissionPolicySpec, registry: &Registry) -> Option<Arc<Version>> {
    let params = spec.param_kind.as_ref()?;
    let version = text(&params.api_version);
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = text(&params.kind).to_owned().into();
    registry.by_gvk(&Gvk { group: group.to_owned().into(), version: version.to_owned().into(), kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn told(resources: Value, spec: Value) -> Vec<(String, String)> {
        let mut spec = spec;
        spec["matchConstraints"] = json!({"resourceRules": [resources]});
        let policy = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
        let warnings = warnings(&policy, &crate::all());
        warnings.into_iter().map(|warning| (warning.field_ref, warning.warning)).collect()
    }

    fn deployments() -> Value {
        json!({"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["*"]})
    }

    fn of_deployments(expression: &str) -> Vec<String> {
        let spec = json!({
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "variables": [{"name": "n", "expression": "object.spec.replicas"}, {"name": "wrong", "expression": "object.nope"}],
            "validations": [{"expression": expression}],
        });
        told(deployments(), spec).into_iter().map(|(_, warning)| warning).collect()
    }

    #[test]
    fn what_can_not_be_right_is_told_as_upstream_tells_it() {
        let spec = json!({"validations": [
            {"expression": "object.replicas > 1", "messageExpression": "'has ' + object.spec.replicas"},
            {"expression": "object.spec.replicas > 1"},
        ]});
        assert_eq!(
            told(deployments(), spec),
            [
                (
                    "spec.validations[0].expression".to_owned(),
                    "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'\n | object.replicas > 1\n | ......^\n"
                        .to_owned()
                ),
                (
                    "spec.validations[0].messageExpression".to_owned(),
                    "apps/v1, Kind=Deployment: ERROR: <input>:1:8: found no matching overload for '_+_' applied to \
                     '(string, int)'\n | 'has ' + object.spec.replicas\n | .......^\n"
                        .to_owned()
                ),
            ]
        );
        let cases = [
            (
                "object.spec.replicas == '1'",
                "<input>:1:22: found no matching overload for '_==_' applied to '(int, string)'",
            ),
            (
                "object.spec.template.spec.containers.all(c, c.img != '')",
                "<input>:1:46: undefined field 'img'",
            ),
            (
                "variables.n.startsWith('1')",
                "<input>:1:23: found no matching overload for 'startsWith' applied to 'int.(string)'",
            ),
            (
                "object.spec.replicas.all(r, r > 1)",
                "expression of type 'int' cannot be range of a comprehension",
            ),
            (
                "object.metadata.labels.app.x == 'a'",
                "<input>:1:27: type 'string' does not support field selection",
            ),
            ("has(object.spec.paused.by)", "type 'bool' does not support field selection"),
            ("params.dat['a'] == 'b'", "<input>:1:7: undefined field 'dat'"),
            (
                "'a' in object.spec.template.spec.hostAliases.map(h, h.ip == 'b')",
                "found no matching overload for '@in' applied to '(string, list(bool))'",
            ),
        ];
        for (source, want) in cases {
            let told = of_deployments(source);
            assert!(told.len() == 1 && told[0].contains(want), "{source}: {told:?}");
        }
    }

    #[test]
    fn what_may_be_right_is_not_warned_of() {
        let right = [
            "object.spec.replicas <= int(params.data['most']) && object.metadata.labels['app'] == 'a'",
            "object.spec.template.spec.containers.all(c, c.image.startsWith('a/') && !has(c.securityContext))",
            "object.spec.template.spec.containers.all(c, !has(c.resources.limits) || c.resources.limits['cpu'] == '1')",
            "object.spec.template.spec.containers.exists(c, c.ports.exists(p, p.containerPort in [80, 8080]))",
            "oldObject == null || object.spec != oldObject.spec",
            "timestamp(object.metadata.creationTimestamp) < timestamp('2030-01-01T00:00:00Z')",
            "object.metadata.annotations[?'a'].orValue('') == '' && object.?spec.?paused.orValue(false) == false",
            "object.spec.strategy.rollingUpdate.maxSurge == 1 || object.spec.strategy.rollingUpdate.maxSurge == '10%'",
            "request.operation == 'CREATE' || namespaceObject.metadata.name == 'a'",
            "authorizer.group('apps').resource('deployments').check('get').allowed()",
            "variables.n > 1 && variables.wrong == 'anything'",
            "dyn(object.spec.replicas) == 'a' || type(object.spec.replicas) == int",
            "object.spec['replicas'] == 1 && 'replicas' in object.spec && size(object.spec) > 1",
            "object.spec.selector.matchLabels.all(k, object.spec.template.metadata.labels[k] == 'x')",
            "object.spec.template.spec.volumes.map(v, v.name).join(',').size() < 100",
            "cel.bind(s, object.spec, s.replicas == 1 || object.kind == 'Deployment' || object.apiVersion == 'apps/v1')",
            "object.spec.minReadySeconds + 1 > 0 && string(object.spec.replicas) != '' && object.spec.replicas > 1.5",
        ];
        for source in right {
            assert_eq!(of_deployments(source), [""; 0], "{source}");
        }
    }

    #[test]
    fn kinds_are_looked_at_where_they_are_named() {
        let spec = json!({"validations": [{"expression": "object.nope"}]});
        let rule = |groups: &[&str], versions: &[&str], resources: &[&str]| json!({"apiGroups": groups, "apiVersions": versions, "resources": resources, "operations": ["*"]});
        let cases = [
            ("all groups", rule(&["*"], &["v1"], &["pods"]), 0),
            ("all versions", rule(&[""], &["*"], &["pods"]), 0),
            ("all resources", rule(&[""], &["v1"], &["*"]), 0),
            ("a subresource", rule(&[""], &["v1"], &["pods/exec"]), 0),
            ("nobody's", rule(&["a.example.com"], &["v1"], &["things"]), 0),
            ("of a group", rule(&["", "apps"], &["v1"], &["pods", "deployments", "pods/log"]), 2),
        ];
        for (name, rule, want) in cases {
            let told = told(rule, spec.clone());
            let kinds =
                told.first().map_or(0, |(_, warning)| warning.matches("undefined field 'nope'").count());
            assert_eq!(kinds, want, "{name}: {told:?}");
        }
    }
}
