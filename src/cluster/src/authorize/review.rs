//! A question in the form in which others are asked it.

use super::decision::Attributes;
use crate::Actor;
use ::api::selector::{FieldRequirement, Operator, Requirement};
use ::api::{FieldSelector, LabelSelector};
use k8s_openapi::api::authorization::v1::{
    FieldSelectorAttributes, LabelSelectorAttributes, NonResourceAttributes, ResourceAttributes,
    SubjectAccessReviewSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldSelectorRequirement, LabelSelectorRequirement};

pub(super) fn question(actor: &Actor, asked: &Attributes) -> SubjectAccessReviewSpec {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut question = SubjectAccessReviewSpec {
        user: some(&actor.name),
        uid: some(&actor.uid),
        groups: (!actor.groups.is_empty()).then(|| actor.groups.clone()),
        extra: (!actor.extra.is_empty()).then(|| actor.extra.clone()),
        ..SubjectAccessReviewSpec::default()
    };
    match &asked.path {
        Some(path) => {
            question.non_resource_attributes =
                Some(NonResourceAttributes { path: some(path), verb: some(&asked.verb) });
        }
        None => {
            question.resource_attributes = Some(ResourceAttributes {
                verb: some(&asked.verb),
                group: some(&asked.group),
                version: some(&asked.version),
                resource: some(&asked.resource),
                subresource: some(&asked.subresource),
                namespace: asked.namespace.clone(),
                name: asked.name.clone(),
                field_selector: fields(&asked.fields),
                label_selector: labels(&asked.labels),
            });
        }
    }
    question
}

/// Upstream's `fieldSelectorToAuthorizationAPI`.
fn fields(selector: &FieldSelector) -> Option<FieldSelectorAttributes> {
    let one = |FieldRequirement { field, value, equal }: &FieldRequirement| FieldSelectorRequirement {
        key: field.clone(),
        operator: if *equal { "In" } else { "NotIn" }.to_owned(),
        values: Some(vec![value.clone()]),
    };
    let requirements: Vec<FieldSelectorRequirement> = selector.requirements.iter().map(one).collect();
    (!requirements.is_empty())
        .then_some(FieldSelectorAttributes { raw_selector: None, requirements: Some(requirements) })
}

/// Upstream's `labelSelectorToAuthorizationAPI`. There are no comparisons of numbers: without them more is asked for.
fn labels(selector: &LabelSelector) -> Option<LabelSelectorAttributes> {
    let one = |Requirement { key, operator }: &Requirement| {
        let (operator, values) = match operator {
            Operator::In(values) => ("In", Some(values.clone())),
            Operator::NotIn(values) => ("NotIn", Some(values.clone())),
            Operator::Exists => ("Exists", None),
            Operator::DoesNotExist => ("DoesNotExist", None),
            Operator::GreaterThan(_) | Operator::LessThan(_) => return None,
        };
        Some(LabelSelectorRequirement { key: key.clone(), operator: operator.to_owned(), values })
    };
    let requirements: Vec<LabelSelectorRequirement> = selector.requirements.iter().filter_map(one).collect();
    (!requirements.is_empty())
        .then_some(LabelSelectorAttributes { raw_selector: None, requirements: Some(requirements) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn selectors_are_told_as_requirements() {
        let requirements = |told: &[(&str, &str, &[&str])]| {
            let one = |(key, operator, values): &(&str, &str, &[&str])| match values {
                [] => json!({"key": key, "operator": operator}),
                values => json!({"key": key, "operator": operator, "values": values}),
            };
            json!({"requirements": told.iter().map(one).collect::<Vec<Value>>()})
        };
        let node: &[(&str, &str, &[&str])] = &[("spec.nodeName", "In", &["n1"])];
        for (name, fields, labels, of_fields, of_labels) in [
            ("none", "", "", Value::Null, Value::Null),
            ("a field", "spec.nodeName=n1", "", requirements(node), Value::Null),
            (
                "fields",
                "spec.nodeName==n1,status.phase!=Failed",
                "",
                requirements(&[("spec.nodeName", "In", &["n1"]), ("status.phase", "NotIn", &["Failed"])]),
                Value::Null,
            ),
            (
                "labels",
                "",
                "app=web,tier in (a,b),x!=y,has,!no",
                Value::Null,
                requirements(&[
                    ("app", "In", &["web"]),
                    ("tier", "In", &["a", "b"]),
                    ("x", "NotIn", &["y"]),
                    ("has", "Exists", &[]),
                    ("no", "DoesNotExist", &[]),
                ]),
            ),
            ("numbers alone", "", "n>4", Value::Null, Value::Null),
            ("numbers among others", "", "n>4,a", Value::Null, requirements(&[("a", "Exists", &[])])),
        ] {
            let asked = Attributes {
                fields: FieldSelector::parse(fields).unwrap(),
                labels: LabelSelector::parse(labels).unwrap(),
                ..Attributes::default()
            };
            let told = json!(question(&Actor::anonymous(), &asked).resource_attributes);
            assert_eq!((&told["fieldSelector"], &told["labelSelector"]), (&of_fields, &of_labels), "{name}");
        }
    }
}
