//! From the selectors that objects carry to the one that matches.

use api::LabelSelector;
use api::selector::{Operator, Requirement};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use std::collections::BTreeMap;

/// # Errors
/// An operator that there is not.
pub fn from_object(selector: &meta::LabelSelector) -> Result<LabelSelector, String> {
    let mut all = LabelSelector::from_pairs(selector.match_labels.iter().flatten());
    for expression in selector.match_expressions.iter().flatten() {
        let values = expression.values.clone().unwrap_or_default();
        let operator = match expression.operator.as_str() {
            "In" => Operator::In(values),
            "NotIn" => Operator::NotIn(values),
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            other => return Err(format!("{other:?} is not a valid label selector operator")),
        };
        all.requirements.push(Requirement { key: expression.key.clone(), operator });
    }
    Ok(all)
}

/// A ReplicationController's or a Service's.
pub fn from_map(pairs: &BTreeMap<String, String>) -> LabelSelector {
    LabelSelector::from_pairs(pairs)
}

/// Whether it matches, without being read first: whoever writes one decides how long it is, and mostly the first of its terms tells.
/// An empty one matches everything, one that makes no sense nothing.
pub fn selects(selector: &meta::LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    selector.match_labels.iter().all(|pairs| selects_by_map(pairs, labels))
        && selector.match_expressions.iter().flatten().all(|expression| is_met(expression, labels))
}

/// The same of a selector by which an owner finds what is its own: an empty one finds nothing.
pub fn finds(selector: &meta::LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let is_empty = selector.match_labels.iter().all(BTreeMap::is_empty)
        && selector.match_expressions.iter().all(Vec::is_empty);
    !is_empty && selects(selector, labels)
}

/// A Service's; an empty one matches everything.
pub fn selects_by_map(pairs: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    pairs.iter().all(|(key, value)| labels.get(key) == Some(value))
}

fn is_met(expression: &meta::LabelSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&expression.key);
    let is_among = |value: &String| expression.values.iter().flatten().any(|one| one == value);
    match expression.operator.as_str() {
        "In" => value.is_some_and(is_among),
        "NotIn" => !value.is_some_and(is_among),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

/// As `kubectl get -o wide` prints it; `<none>` where there is none.
pub fn print(selector: Option<&meta::LabelSelector>) -> String {
    let text = selector.and_then(|s| from_object(s).ok()).map(|s| s.to_string()).unwrap_or_default();
    or_none(text)
}

pub fn print_map(pairs: Option<&BTreeMap<String, String>>) -> String {
    or_none(pairs.map(|pairs| from_map(pairs).to_string()).unwrap_or_default())
}

fn or_none(text: String) -> String {
    if text.is_empty() { "<none>".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_selector_matches_read_or_unread() {
        let expression = |key: &str, operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        let selectors: Vec<Value> = vec![
            json!({}),
            json!({"matchLabels": {}}),
            json!({"matchLabels": {"a": "1"}}),
            json!({"matchLabels": {"a": "1", "b": "2"}}),
            expression("a", "In", &["1", "2"]),
            expression("a", "NotIn", &["1"]),
            expression("a", "Exists", &[]),
            expression("a", "DoesNotExist", &[]),
            expression("a", "Near", &["1"]),
        ];
        let labels = [json!({}), json!({"a": "1"}), json!({"a": "2"}), json!({"a": "1", "b": "2"})];
        for selector in &selectors {
            let selector: meta::LabelSelector = serde_json::from_value(selector.clone()).unwrap();
            for labels in &labels {
                let labels: BTreeMap<String, String> = serde_json::from_value(labels.clone()).unwrap();
                let read = from_object(&selector);
                let want = read.as_ref().is_ok_and(|read| read.matches(&labels));
                assert_eq!(selects(&selector, &labels), want, "{selector:?} {labels:?}");
                let has_some = read.is_ok_and(|read| !read.requirements.is_empty());
                assert_eq!(finds(&selector, &labels), want && has_some, "{selector:?} {labels:?}");
            }
        }
    }
}
