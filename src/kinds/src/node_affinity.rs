//! Which nodes a pod may run on by their labels and names: what the scheduler and the DaemonSet controller both ask.

use k8s_openapi::api::core::v1::{Node, NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, PodSpec};
use std::collections::BTreeMap;

/// The node selector, and the affinity that is required.
pub fn fits(spec: &PodSpec, node: &Node) -> bool {
    let none = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&none);
    let selected = spec.node_selector.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    selected && allows(spec.affinity.as_ref().and_then(|a| a.node_affinity.as_ref()), node)
}

/// What is required of a node; without an affinity, nothing is.
pub fn allows(affinity: Option<&NodeAffinity>, node: &Node) -> bool {
    let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    required.is_none_or(|selector| selector.node_selector_terms.iter().any(|term| matches_term(term, node)))
}

/// A term that says nothing matches nothing.
pub fn matches_term(term: &NodeSelectorTerm, node: &Node) -> bool {
    let none = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&none);
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let named = || {
        let name = node.metadata.name.clone().unwrap_or_default();
        let name: BTreeMap<String, String> = [("metadata.name".to_owned(), name)].into();
        fields.iter().all(|e| matches(e, &name))
    };
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|e| matches(e, labels))
        && (fields.is_empty() || named())
}

fn matches(requirement: &NodeSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let value = labels.get(&requirement.key);
    let number = |text: Option<&String>| text.and_then(|t| t.parse::<i64>().ok());
    match requirement.operator.as_str() {
        "In" => value.is_some_and(|v| values.contains(v)),
        "NotIn" => value.is_none_or(|v| !values.contains(v)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => number(value).zip(number(values.first())).is_some_and(|(has, bound)| has > bound),
        "Lt" => number(value).zip(number(values.first())).is_some_and(|(has, bound)| has < bound),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_pod_says_which_nodes_it_may_run_on() {
        let labels = json!({"disk": "ssd", "cores": "8"});
        let node: Node =
            serde_json::from_value(json!({"metadata": {"name": "n", "labels": labels}})).unwrap();
        let required = |terms: Value| {
            json!({"affinity": {"nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}})
        };
        let label = |key: &str, operator: &str, values: &[&str]| {
            required(json!([{"matchExpressions": [{"key": key, "operator": operator, "values": values}]}]))
        };
        let name = |name: &str| {
            required(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}]))
        };
        let cases = [
            ("nothing", json!({}), true),
            ("selected", json!({"nodeSelector": {"disk": "ssd"}}), true),
            ("another", json!({"nodeSelector": {"disk": "hdd"}}), false),
            ("in", label("disk", "In", &["hdd", "ssd"]), true),
            ("not in", label("disk", "NotIn", &["ssd"]), false),
            ("not in what it has not", label("gpu", "NotIn", &["x"]), true),
            ("more", label("cores", "Gt", &["4"]), true),
            ("less", label("cores", "Lt", &["4"]), false),
            ("by name", name("n"), true),
            ("by another name", name("m"), false),
            ("a term that says nothing", required(json!([{}])), false),
            ("no term", required(json!([])), false),
        ];
        for (what, spec, want) in cases {
            let mut spec = spec;
            spec["containers"] = json!([]);
            assert_eq!(fits(&serde_json::from_value(spec).unwrap(), &node), want, "{what}");
        }
    }
}
