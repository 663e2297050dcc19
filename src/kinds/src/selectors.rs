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
