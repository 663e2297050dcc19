//! What is suspect in the expressions of a ValidatingAdmissionPolicy, given the kinds that it matches: upstream's type
//! checking (`plugin/policy/validating/typechecking.go`), which refuses nothing and tells it in the status.

use super::admission_policies::PolicyExpressions;
use super::checks::{list, text};
use crate::{Registry, Version};
use api::Gvk;
use expressions::{Kinds, Output, Typed};
use k8s_openapi::api::admissionregistration::v1::{
    ExpressionWarning, NamedRuleWithOperations, ValidatingAdmissionPolicy, ValidatingAdmissionPolicySpec,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Upstream's `maxTypesToCheck`: the rule that has named so many is the last that is looked at.
const MOST_KINDS: usize = 10;
/// So many bytes of warnings fit beside the policy itself into what etcd takes of an object. Each shows the line that is
/// wrong, once for each kind.
const MOST_TOLD: usize = 512 << 10;

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
    let typed: Vec<(&Gvk, Typed<'_>)> = kinds
        .iter()
        .map(|(gvk, version)| {
            let params = params.as_ref().map(|version| version.schema());
            (gvk, expressions.typed(Kinds { object: version.schema(), params }))
        })
        .collect();
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
        let told = typed.iter().filter_map(|(gvk, typed)| {
            let issue = match &program {
                Ok(program) => program.check(source, typed).err()?,
                Err(why) => why.strip_prefix("compilation failed: ").unwrap_or(why).to_owned(),
            };
            Some(format!("{}/{}, Kind={}: {issue}\n", gvk.group, gvk.version, gvk.kind))
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| ExpressionWarning { field_ref, warning: told.join("\n") })
    };
    let mut length = 0;
    let fits = |warning: &ExpressionWarning| {
        length += warning.warning.len();
        length <= MOST_TOLD
    };
    sources.filter(|(_, source)| !source.trim().is_empty()).filter_map(warning).take_while(fits).collect()
}

fn matched(spec: &ValidatingAdmissionPolicySpec, registry: &Registry) -> BTreeMap<Gvk, Arc<Version>> {
    let rules =
        spec.match_constraints.as_ref().map(|matched| list(&matched.resource_rules)).unwrap_or_default();
    let mut found = BTreeMap::new();
    for rule in rules {
        let versions = named(rule, registry);
        let is_last = versions.len() >= MOST_KINDS;
        let first = versions.into_iter().take(MOST_KINDS);
        found.extend(first.map(|version| (version.info().gvk.clone(), version)));
        if is_last {
            break;
        }
    }
    found
}

/// In the order of group, version and resource. The kinds are gone through, as a rule may have any number of names.
fn named(rule: &NamedRuleWithOperations, registry: &Registry) -> Vec<Arc<Version>> {
    let (groups, versions) = (names(&rule.api_groups), names(&rule.api_versions));
    if groups.iter().chain(&versions).any(|name| name.contains('*')) {
        return Vec::new();
    }
    // no kind is called as a subresource, or `*`
    let resources = names(&rule.resources);
    let is_named = |version: &&Arc<Version>| {
        let gvr = &version.info().gvr;
        groups.contains(&*gvr.group) && versions.contains(&*gvr.version) && resources.contains(&*gvr.resource)
    };
    registry.versions().filter(is_named).cloned().collect()
}

fn names(field: &Option<Vec<String>>) -> BTreeSet<&str> {
    list(field).iter().map(String::as_str).collect()
}

fn params(spec: &ValidatingAdmissionPolicySpec, registry: &Registry) -> Option<Arc<Version>> {
    let params = spec.param_kind.as_ref()?;
    registry.by_gvk(&Gvk::parse(text(&params.api_version), text(&params.kind)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn told(rules: &[Value], spec: Value) -> Vec<(String, String)> {
        let mut spec = spec;
        spec["matchConstraints"] = json!({"resourceRules": rules});
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
        told(&[deployments()], spec).into_iter().map(|(_, warning)| warning).collect()
    }

    #[test]
    fn what_can_not_be_right_is_told_as_upstream_tells_it() {
        let spec = json!({"validations": [
            {"expression": "object.replicas > 1", "messageExpression": "'has ' + object.spec.replicas"},
            {"expression": "object.spec.replicas > 1"},
        ]});
        assert_eq!(
            told(&[deployments()], spec),
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

    const MANY: [&str; 12] = [
        "configmaps",
        "endpoints",
        "limitranges",
        "namespaces",
        "nodes",
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "resourcequotas",
        "secrets",
        "serviceaccounts",
        "services",
    ];

    #[test]
    fn kinds_are_looked_at_where_they_are_named() {
        let spec = json!({"validations": [{"expression": "object.nope"}]});
        let rule = |groups: &[&str], versions: &[&str], resources: &[&str]| json!({"apiGroups": groups, "apiVersions": versions, "resources": resources, "operations": ["*"]});
        let cases = [
            ("all groups", rule(&["*"], &["v1"], &["pods"]), 1),
            ("all versions", rule(&[""], &["*"], &["pods"]), 1),
            ("all resources", rule(&[""], &["v1"], &["*"]), 1),
            ("a subresource", rule(&[""], &["v1"], &["pods/exec"]), 1),
            ("nobody's", rule(&["a.example.com"], &["v1"], &["things"]), 1),
            ("ten, and then no other rule", rule(&[""], &["v1"], &MANY), 10),
            ("of a group", rule(&["", "apps"], &["v1"], &["pods", "deployments", "pods/log"]), 2),
        ];
        for (name, rule, want) in cases {
            let told = told(&[rule, deployments()], spec.clone());
            let kinds =
                told.first().map_or(0, |(_, warning)| warning.matches("undefined field 'nope'").count());
            assert_eq!(kinds, want, "{name}: {told:?}");
        }
    }

    #[test]
    fn what_is_told_has_an_end() {
        let core = json!({"apiGroups": [""], "apiVersions": ["v1"], "resources": MANY, "operations": ["*"]});
        let validation = json!({"expression": format!("object.nope == '{}'", "a".repeat(5_000))});
        let told = told(&[core], json!({"validations": vec![validation; 20]}));
        let length: usize = told.iter().map(|(_, warning)| warning.len()).sum();
        assert!(
            told.len() < 20 && (MOST_TOLD / 2..=MOST_TOLD).contains(&length),
            "{} in {length}",
            told.len()
        );
    }
}
