//! LimitRanges: what a container, pod or claim of a namespace may ask for. Here they are completed and judged; admission
//! applies them.

use super::amounts::round_up_all;
use super::checks::judged;
use super::{name_of, names, pod_validation};
use crate::{Cell, Column, ErrorList, TypedKind};
use api::quantity::Quantity as Exact;
use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::{BTreeMap, BTreeSet};

type Amounts = BTreeMap<String, Quantity>;

const TYPES: [&str; 3] = ["Container", "PersistentVolumeClaim", "Pod"];

impl TypedKind for LimitRange {
    const SINGULAR: &'static str = "limitrange";
    const PLURAL: &'static str = "limitranges";
    const CREATED_BY_UPDATE: bool = true;
    const SHORT_NAMES: &'static [&'static str] = &["limits"];
    const COLUMNS: &'static [Column] =
        &[Column::NAME, Column::new("Created At", "date", "When the object was created")];

    fn set_defaults(&mut self) {
        let items = self.spec.as_mut().map(|spec| spec.limits.as_mut_slice()).unwrap_or_default();
        for item in items {
            if item.type_ == "Container" {
                of_container(item);
            }
            let all = [&mut item.max, &mut item.min, &mut item.default, &mut item.default_request];
            all.into_iter()
                .chain([&mut item.max_limit_request_ratio])
                .for_each(|of| round_up_all(of.as_mut()));
        }
    }
    fn validate(&self, errors: &mut ErrorList) {
        let items = self.spec.as_ref().map(|spec| spec.limits.as_slice()).unwrap_or_default();
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let at = format!("spec.limits[{index}]");
            judged(names::qualified, &item.type_, format_args!("{at}.type"), errors);
            if !item.type_.contains('/') && !TYPES.contains(&item.type_.as_str()) {
                let why = "must be a standard limit type or fully qualified";
                errors.invalid(format_args!("{at}.type"), item.type_.as_str(), why);
            }
            if !seen.insert(item.type_.as_str()) {
                errors.duplicate(format_args!("{at}.type"), item.type_.as_str());
            }
            self::item(item, &at, errors);
        }
    }
    fn row(&self, _now: jiff::Timestamp) -> Vec<Cell> {
        let created = self.metadata.creation_timestamp.as_ref();
        vec![name_of(&self.metadata), created.map_or(Cell::Null, |at| at.0.to_string().into())]
    }
}

/// What has a maximum and no default has that; what has a limit is requested as a whole, else the minimum.
fn of_container(item: &mut LimitRangeItem) {
    let copy = |from: &Option<Amounts>, to: &mut Option<Amounts>| {
        let to = to.get_or_insert_default();
        for (name, amount) in from.iter().flatten() {
            to.entry(name.clone()).or_insert_with(|| amount.clone());
        }
    };
    copy(&item.max, &mut item.default);
    copy(&item.default, &mut item.default_request);
    copy(&item.min, &mut item.default_request);
    super::fill::drop_empty_map(&mut item.default);
    super::fill::drop_empty_map(&mut item.default_request);
}

fn item(item: &LimitRangeItem, at: &str, errors: &mut ErrorList) {
    let lists = [
        ("max", &item.max),
        ("min", &item.min),
        ("default", &item.default),
        ("defaultRequest", &item.default_request),
        ("maxLimitRequestRatio", &item.max_limit_request_ratio),
    ];
    let mut keys = BTreeSet::new();
    for (field, amounts) in lists {
        for (name, amount) in amounts.iter().flatten() {
            let at = format!("{at}.{field}[{name}]");
            judged(names::qualified, name, &at, errors);
            pod_validation::amount(name, amount, &at, errors);
            keys.insert(name.as_str());
        }
    }
    if item.type_ == "Pod" {
        for (field, amounts) in &lists[2..4] {
            if amounts.as_ref().is_some_and(|amounts| !amounts.is_empty()) {
                errors.forbidden(format_args!("{at}.{field}"), "may not be specified when `type` is 'Pod'");
            }
        }
    }
    if item.type_ == "PersistentVolumeClaim" {
        let bounded = [&item.min, &item.max].iter().any(|of| exact(of, "storage").is_some());
        if !bounded {
            let why = "either minimum or maximum storage value is required, but neither was provided";
            errors.required(format_args!("{at}.limits"), why);
        }
    }
    for name in keys {
        order(item, name, at, errors);
    }
}

/// min ≤ defaultRequest ≤ default ≤ max, as far as they are there.
fn order(item: &LimitRangeItem, name: &str, at: &str, errors: &mut ErrorList) {
    let amounts = [
        ("min", "min value", exact(&item.min, name)),
        ("defaultRequest", "default request value", exact(&item.default_request, name)),
        ("default", "default value", exact(&item.default, name)),
        ("max", "max value", exact(&item.max, name)),
    ];
    // the field of the lesser is told, but of the minimum beside the maximum
    for (less, greater) in [(0, 3), (0, 1), (0, 2), (1, 3), (1, 2), (2, 3)] {
        let ((field, smaller, a), (_, larger, b)) = (amounts[less], amounts[greater]);
        let Some((a, b)) = a.zip(b).filter(|(a, b)| a > b) else { continue };
        let field = if less == 0 && greater != 3 { amounts[greater].0 } else { field };
        let larger = if (less, greater) == (1, 2) { "default limit value" } else { larger };
        let value = if less == 0 && greater != 3 { b } else { a };
        let why = format!("{smaller} {a} is greater than {larger} {b}");
        errors.invalid(format_args!("{at}.{field}[{name}]"), value.to_string(), why);
    }
    let Some(ratio) = exact(&item.max_limit_request_ratio, name) else { return };
    let field = format!("{at}.maxLimitRequestRatio[{name}]");
    if ratio < Exact::from_units(1) {
        errors.invalid(&field, ratio.to_string(), format_args!("ratio {ratio} is less than 1"));
    }
    let (least, most) = (amounts[0].2, amounts[3].2);
    if let Some((least, most)) = least.zip(most).filter(|(least, _)| !least.is_zero()) {
        let widest = most.milli() as f64 / least.milli() as f64;
        if ratio.milli() as f64 / 1000.0 > widest {
            let why = format!("ratio {ratio} is greater than max/min = {widest:.6}");
            errors.invalid(&field, ratio.to_string(), why);
        }
    }
}

fn exact(of: &Option<Amounts>, name: &str) -> Option<Exact> {
    crate::pod::quantity(of.as_ref(), name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn range(item: Value) -> LimitRange {
        serde_json::from_value(json!({"metadata": {"name": "r"}, "spec": {"limits": [item]}})).unwrap()
    }

    #[test]
    fn what_is_left_out_follows_from_what_is_there() {
        let mut range = range(
            json!({"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}, "default": {"memory": "5Mi"}}),
        );
        TypedKind::set_defaults(&mut range);
        let item = serde_json::to_value(&range.spec.unwrap().limits[0]).unwrap();
        assert_eq!(item["default"], json!({"cpu": "2", "memory": "5Mi"}));
        assert_eq!(item["defaultRequest"], json!({"cpu": "2", "memory": "5Mi"}));
    }

    #[test]
    fn ranges_are_judged_in_upstream_s_words() {
        let container = |more: Value| {
            let mut item = json!({"type": "Container"});
            item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            item
        };
        let cases = [
            (
                "good",
                container(
                    json!({"min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "2"}}),
                ),
                "",
            ),
            (
                "min and max",
                container(json!({"min": {"cpu": "3"}, "max": {"cpu": "2"}})),
                "min[cpu]: Invalid value: \"3\": min value 3 is greater than max value 2",
            ),
            (
                "default",
                container(json!({"default": {"cpu": "3"}, "max": {"cpu": "2"}})),
                "default[cpu]: Invalid value: \"3\": default value 3 is greater than max value 2",
            ),
            (
                "request",
                container(json!({"defaultRequest": {"cpu": "2"}, "default": {"cpu": "1"}})),
                "default request value 2 is greater than default limit value 1",
            ),
            (
                "ratio",
                container(json!({"maxLimitRequestRatio": {"cpu": "0.5"}})),
                "ratio 500m is less than 1",
            ),
            (
                "a wide ratio",
                container(
                    json!({"min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "3"}}),
                ),
                "ratio 3 is greater than max/min = 2.000000",
            ),
            (
                "a pod's default",
                json!({"type": "Pod", "default": {"cpu": "1"}}),
                "may not be specified when `type` is 'Pod'",
            ),
            (
                "claims",
                json!({"type": "PersistentVolumeClaim"}),
                "either minimum or maximum storage value is required",
            ),
        ];
        for (name, item, want) in cases {
            let mut errors = ErrorList::default();
            range(item).validate(&mut errors);
            let said: Vec<String> =
                errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            let said = said.join("; ");
            assert!(if want.is_empty() { said.is_empty() } else { said.contains(want) }, "{name}: {said}");
        }
    }
}
