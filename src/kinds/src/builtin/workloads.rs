//! What kinds with a pod template have in common: columns, and rules of their selectors and counts.

use super::checks::{immutable, is_empty, label_selector, not_negative};
use super::name_of;
use super::pod_validation::template;
use crate::{Cell, Column, ErrorList, age, selectors};
use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use std::collections::BTreeMap;

pub(super) const REPLICAS_COLUMNS: &[Column] = &[
    Column::NAME,
    Column::new("Desired", "integer", "Wanted pods"),
    Column::new("Current", "integer", "Pods there are"),
    Column::new("Ready", "integer", "Pods that are ready"),
    Column::AGE,
    Column::wide("Containers", "string", "Names of the containers"),
    Column::wide("Images", "string", "Images of the containers"),
    Column::wide("Selector", "string", "Which pods are counted"),
];

/// `counts` are wanted, there and ready.
pub(super) fn replicas_row(
    meta: &ObjectMeta,
    counts: [Option<i32>; 3],
    template: Option<&PodTemplateSpec>,
    selector: String,
    now: jiff::Timestamp,
) -> Vec<Cell> {
    let containers = template.and_then(|t| t.spec.as_ref()).map(|s| &s.containers);
    let mut cells = vec![name_of(meta)];
    cells.extend(counts.map(|count| Cell::from(count.unwrap_or(0))));
    cells.push(age(meta.creation_timestamp.as_ref(), now));
    cells.extend(container_cells(containers));
    cells.push(selector.into());
    cells
}

pub(super) fn at_least_zero(field: &str, number: Option<i32>, errors: &mut ErrorList) {
    not_negative(number.unwrap_or(0).into(), field, errors);
}

/// Names and images, as the wide columns of everything with a pod template print them.
pub(super) fn container_cells(containers: Option<&Vec<Container>>) -> [Cell; 2] {
    let each = |of: fn(&Container) -> String| {
        let texts: Vec<String> = containers.into_iter().flatten().map(of).collect();
        Cell::from(texts.join(","))
    };
    [each(|c| c.name.clone()), each(|c| c.image.clone().unwrap_or_default())]
}

/// The selector is there, says something, and finds the template's pods. Left out and empty are the same here; upstream's
/// words are those for the first, which is by far the more frequent.
pub(super) fn selected_template(
    selector: &LabelSelector,
    given: Option<&PodTemplateSpec>,
    errors: &mut ErrorList,
) {
    if is_empty(selector) {
        errors.required("spec.selector", "");
    }
    label_selector(Some(selector), "spec.selector", errors);
    let Ok(parsed) = selectors::from_object(selector) else {
        return errors.invalid("spec.selector", serde_json::json!(selector), "invalid label selector");
    };
    let Some(given) = given else {
        return errors.required("spec.template", "");
    };
    finds_template(given, |labels| !is_empty(selector) && parsed.matches(labels), errors);
    template(given, "spec.template", "ReplicaSet", errors);
}

/// `finds` says whether the selector finds pods with such labels: those of its own template it must.
pub(super) fn finds_template(
    given: &PodTemplateSpec,
    finds: impl FnOnce(&BTreeMap<String, String>) -> bool,
    errors: &mut ErrorList,
) {
    let labels = given.metadata.as_ref().and_then(|m| m.labels.clone()).unwrap_or_default();
    if !finds(&labels) {
        errors.invalid(
            "spec.template.metadata.labels",
            serde_json::json!(labels),
            "`selector` does not match template `labels`",
        );
    }
}

pub(super) fn selector_stays(new: &LabelSelector, old: &LabelSelector, errors: &mut ErrorList) {
    immutable(new, old, "spec.selector", errors);
}

/// What a controller counts can not be less than nothing, nor more than there are.
pub(super) fn counts(
    replicas: i32,
    each: &[(&str, Option<i32>)],
    ready_in_words: &str,
    errors: &mut ErrorList,
) {
    not_negative(replicas.into(), "status.replicas", errors);
    for (field, count) in each {
        let count = count.unwrap_or(0);
        not_negative(count.into(), format_args!("status.{field}"), errors);
        if count > replicas {
            let why = "cannot be greater than status.replicas";
            errors.invalid(format_args!("status.{field}"), count, why);
        }
    }
    let of =
        |name: &str| each.iter().find(|(field, _)| *field == name).and_then(|(_, count)| *count).unwrap_or(0);
    let (available, ready) = (of("availableReplicas"), of("readyReplicas"));
    if available > ready {
        let why = format_args!("cannot be greater than {ready_in_words}");
        errors.invalid("status.availableReplicas", available, why);
    }
}

/// How often the name of a revision or of a ReplicaSet was taken: whoever counts down finds it taken again.
pub(super) fn collisions(new: Option<i32>, old: Option<i32>, errors: &mut ErrorList) {
    let field = "status.collisionCount";
    let count = new.unwrap_or(0);
    not_negative(count.into(), field, errors);
    if count < old.unwrap_or(0) {
        errors.invalid(field, count, "cannot be decremented");
    }
}
