//! Upstream's `ValidateHorizontalPodAutoscaler` (`pkg/apis/autoscaling/validation`).

use super::checks::{NOT_NEGATIVE, among, among_if_set, not_negative, required};
use super::names;
use crate::ErrorList;
use api::quantity::Quantity;
use k8s_openapi::api::autoscaling::v2::{
    HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler, MetricIdentifier, MetricSpec, MetricTarget,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;

const METRIC_TYPES: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];
const SELECT_POLICIES: [&str; 3] = ["Disabled", "Max", "Min"];
const POLICY_TYPES: [&str; 2] = ["Percent", "Pods"];
const NOTHING_WAKES: &str =
    "must specify at least one Object or External metric to support scaling to zero replicas";
const LONGEST_STABILIZATION: i32 = 3600; // seconds, upstream's MaxStabilizationWindowSeconds
const LONGEST_PERIOD: i32 = 1800; // seconds, upstream's MaxPeriodSeconds

pub(super) fn validate(autoscaler: &HorizontalPodAutoscaler, errors: &mut ErrorList) {
    let spec = &autoscaler.spec;
    let fewest = spec.min_replicas.unwrap_or(1);
    not_negative(fewest.into(), "spec.minReplicas", errors);
    if spec.max_replicas < 1 {
        errors.invalid("spec.maxReplicas", spec.max_replicas, "must be greater than 0");
    }
    if spec.max_replicas < fewest {
        let why = "must be greater than or equal to `minReplicas`";
        errors.invalid("spec.maxReplicas", spec.max_replicas, why);
    }
    let target = &spec.scale_target_ref;
    reference(&target.kind, &target.name, "spec.scaleTargetRef", errors);
    for (index, metric) in spec.metrics.iter().flatten().enumerate() {
        self::metric(metric, &format!("spec.metrics[{index}]"), errors);
    }
    let mut kinds = spec.metrics.iter().flatten().map(|metric| metric.type_.as_str());
    if fewest == 0 && !kinds.any(|kind| matches!(kind, "External" | "Object")) {
        errors.forbidden("spec.metrics", NOTHING_WAKES);
    }
    if let Some(behavior) = &spec.behavior {
        rules(behavior.scale_up.as_ref(), "spec.behavior.scaleUp", errors);
        rules(behavior.scale_down.as_ref(), "spec.behavior.scaleDown", errors);
    }
}

fn reference(kind: &str, name: &str, at: &str, errors: &mut ErrorList) {
    required(names::path_segment, kind, format_args!("{at}.kind"), errors);
    required(names::path_segment, name, format_args!("{at}.name"), errors);
}

fn metric(metric: &MetricSpec, at: &str, errors: &mut ErrorList) {
    let present = [
        ("containerResource", "ContainerResource", metric.container_resource.is_some()),
        ("external", "External", metric.external.is_some()),
        ("object", "Object", metric.object.is_some()),
        ("pods", "Pods", metric.pods.is_some()),
        ("resource", "Resource", metric.resource.is_some()),
    ];
    match metric.type_.as_str() {
        "" => errors.required(format_args!("{at}.type"), "must specify a metric source type"),
        kind => among(kind, &METRIC_TYPES, format_args!("{at}.type"), errors),
    }
    for (field, kind, is_there) in present {
        match (kind == metric.type_, is_there) {
            (true, false) => errors.required(
                format_args!("{at}.{field}"),
                "must populate information for the given metric source",
            ),
            (false, true) => {
                errors.forbidden(format_args!("{at}.{field}"), "must populate the given metric source only")
            }
            _ => {}
        }
    }
    source(metric, at, errors);
}

/// Of what is there, as upstream the first only.
fn source(metric: &MetricSpec, at: &str, errors: &mut ErrorList) {
    if let Some(of) = &metric.object {
        let described = &of.described_object;
        reference(&described.kind, &described.name, &format!("{at}.object.describedObject"), errors);
        identifier(&of.metric, &format!("{at}.object.metric"), errors);
        let at = format!("{at}.object.target");
        target(&of.target, &at, errors);
        if of.target.value.is_none() && of.target.average_value.is_none() {
            let why = "must set either a target value or averageValue";
            errors.required(format_args!("{at}.averageValue"), why);
        }
    } else if let Some(of) = &metric.external {
        identifier(&of.metric, &format!("{at}.external.metric"), errors);
        let at = format!("{at}.external.target");
        target(&of.target, &at, errors);
        match (&of.target.value, &of.target.average_value) {
            (None, None) => errors.required(
                format_args!("{at}.averageValue"),
                "must set either a target value for metric or a per-pod target",
            ),
            (Some(_), Some(_)) => errors.forbidden(
                format_args!("{at}.value"),
                "may not set both a target value for metric and a per-pod target",
            ),
            _ => {}
        }
    } else if let Some(of) = &metric.pods {
        identifier(&of.metric, &format!("{at}.pods.metric"), errors);
        let at = format!("{at}.pods.target");
        target(&of.target, &at, errors);
        if !of.target.average_value.as_ref().is_some_and(is_positive) {
            errors.required(format_args!("{at}.averageValue"), "must specify a positive target averageValue");
        }
    } else if let Some(of) = &metric.container_resource {
        let at = format!("{at}.containerResource");
        resource(&of.name, &of.target, &at, errors);
        if of.container.is_empty() {
            errors.required(format_args!("{at}.container"), "must specify a container");
        }
    } else if let Some(of) = &metric.resource {
        resource(&of.name, &of.target, &format!("{at}.resource"), errors);
    }
}

fn resource(name: &str, of: &MetricTarget, at: &str, errors: &mut ErrorList) {
    if name.is_empty() {
        errors.required(format_args!("{at}.name"), "must specify a resource name");
    }
    let at = format!("{at}.target");
    target(of, &at, errors);
    match (of.average_utilization, &of.average_value) {
        (None, None) => errors.required(
            format_args!("{at}.averageUtilization"),
            "must set either a target raw value or a target utilization",
        ),
        (Some(_), Some(_)) => errors.forbidden(
            format_args!("{at}.averageValue"),
            "may not set both a target raw value and a target utilization",
        ),
        _ => {}
    }
}

fn identifier(metric: &MetricIdentifier, at: &str, errors: &mut ErrorList) {
    match metric.name.as_str() {
        "" => errors.required(format_args!("{at}.name"), "must specify a metric name"),
        name => super::checks::judged(names::path_segment, name, format_args!("{at}.name"), errors),
    }
}

fn target(target: &MetricTarget, at: &str, errors: &mut ErrorList) {
    match target.type_.as_str() {
        "Utilization" | "Value" | "AverageValue" => {}
        kind => {
            if kind.is_empty() {
                errors.required(format_args!("{at}.type"), "must specify a metric target type");
            }
            let why = "must be either Utilization, Value, or AverageValue";
            errors.invalid(format_args!("{at}.type"), kind, why);
        }
    }
    for (field, amount) in [("value", &target.value), ("averageValue", &target.average_value)] {
        if let Some(amount) = amount.as_ref().filter(|amount| !is_positive(amount)) {
            errors.invalid(format_args!("{at}.{field}"), amount.0.as_str(), "must be positive");
        }
    }
    if let Some(percent) = target.average_utilization.filter(|percent| *percent < 1) {
        errors.invalid(format_args!("{at}.averageUtilization"), percent, "must be greater than 0");
    }
}

fn is_positive(amount: &Amount) -> bool {
    amount.0.parse::<Quantity>().is_ok_and(|amount| amount > Quantity::ZERO)
}

fn rules(rules: Option<&HPAScalingRules>, at: &str, errors: &mut ErrorList) {
    let Some(rules) = rules else { return };
    let window = rules.stabilization_window_seconds.unwrap_or(0);
    let field = format!("{at}.stabilizationWindowSeconds");
    if window < 0 {
        errors.invalid(&field, window, "must be greater than or equal to zero");
    }
    if window > LONGEST_STABILIZATION {
        let why = format_args!("must be less than or equal to {LONGEST_STABILIZATION}");
        errors.invalid(&field, window, why);
    }
    let select = rules.select_policy.as_deref();
    among_if_set(select, &SELECT_POLICIES, format_args!("{at}.selectPolicy"), errors);
    let policies = rules.policies.as_deref().unwrap_or_default();
    if policies.is_empty() {
        errors.required(format_args!("{at}.policies"), "must specify at least one Policy");
    }
    for (index, one) in policies.iter().enumerate() {
        policy(one, &format!("{at}.policies[{index}]"), errors);
    }
    let tolerance = rules.tolerance.as_ref();
    if let Some(tolerance) = tolerance.filter(|t| t.0.parse::<Quantity>().is_ok_and(Quantity::is_negative)) {
        errors.invalid(format_args!("{at}.tolerance"), tolerance.0.as_str(), NOT_NEGATIVE);
    }
}

fn policy(policy: &HPAScalingPolicy, at: &str, errors: &mut ErrorList) {
    among(&policy.type_, &POLICY_TYPES, format_args!("{at}.type"), errors);
    if policy.value <= 0 {
        errors.invalid(format_args!("{at}.value"), policy.value, "must be greater than zero");
    }
    let field = format!("{at}.periodSeconds");
    if policy.period_seconds <= 0 {
        errors.invalid(&field, policy.period_seconds, "must be greater than zero");
    }
    if policy.period_seconds > LONGEST_PERIOD {
        let why = format_args!("must be less than or equal to {LONGEST_PERIOD}");
        errors.invalid(&field, policy.period_seconds, why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TypedKind;
    use serde_json::{Value, json};

    #[test]
    fn autoscalers_are_judged_in_upstream_s_words() {
        let resource =
            |target: Value| json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
        let half = || json!({"type": "Utilization", "averageUtilization": 50});
        let up = |rules: Value| json!({"behavior": {"scaleUp": rules}});
        let cases = [
            ("good", json!({"metrics": resource(half())}), ""),
            (
                "fewest",
                json!({"minReplicas": -1}),
                "spec.minReplicas: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "none, and nothing that wakes them",
                json!({"minReplicas": 0, "metrics": resource(half())}),
                "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero",
            ),
            (
                "none, and something that does",
                json!({"minReplicas": 0, "metrics": [{"type": "External", "external":
                    {"metric": {"name": "queue"}, "target": {"type": "Value", "value": "30"}}}]}),
                "",
            ),
            ("most", json!({"maxReplicas": 0}), "spec.maxReplicas: Invalid value: 0: must be greater than 0"),
            ("turned round", json!({"minReplicas": 5}), "must be greater than or equal to `minReplicas`"),
            (
                "no target",
                json!({"scaleTargetRef": {"kind": "", "name": "a/b"}}),
                "spec.scaleTargetRef.kind: Required value",
            ),
            ("a name", json!({"scaleTargetRef": {"kind": "D", "name": "a/b"}}), "may not contain '/'"),
            (
                "type",
                json!({"metrics": [{"type": "Magic"}]}),
                "\"ContainerResource\", \"External\", \"Object\", \"Pods\", \"Resource\"",
            ),
            (
                "no source",
                json!({"metrics": [{"type": "Pods"}]}),
                "spec.metrics[0].pods: Required value: must populate information for the given metric source",
            ),
            (
                "target",
                json!({"metrics": resource(json!({"type": "Utilization"}))}),
                "must set either a target raw value or a target utilization",
            ),
            (
                "of an object, and nothing aimed at",
                json!({"metrics": [{"type": "Object", "object": {"metric": {"name": "m"}, "target": {"type": "Value"},
                    "describedObject": {"kind": "Ingress", "name": "i"}}}]}),
                "spec.metrics[0].object.target.averageValue: Required value: must set either a target value or averageValue",
            ),
            (
                "nothing",
                json!({"metrics": resource(json!({"type": "Utilization", "averageUtilization": 0}))}),
                "averageUtilization: Invalid value: 0: must be greater than 0",
            ),
            ("window", up(json!({"stabilizationWindowSeconds": 3601})), "must be less than or equal to 3600"),
            ("policies", up(json!({"policies": []})), "must specify at least one Policy"),
            (
                "select",
                up(json!({"selectPolicy": "Best"})),
                "supported values: \"Disabled\", \"Max\", \"Min\"",
            ),
            (
                "period",
                up(json!({"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1801}]})),
                "must be less than or equal to 1800",
            ),
        ];
        for (name, more, want) in cases {
            let mut spec = json!({"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "web"}});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let mut given: HorizontalPodAutoscaler =
                serde_json::from_value(json!({"metadata": {"name": "h"}, "spec": spec})).unwrap();
            TypedKind::set_defaults(&mut given);
            let mut errors = ErrorList::default();
            validate(&given, &mut errors);
            let said: Vec<String> =
                errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            let said = said.join("; ");
            assert!(if want.is_empty() { said.is_empty() } else { said.contains(want) }, "{name}: {said}");
        }
    }
}
