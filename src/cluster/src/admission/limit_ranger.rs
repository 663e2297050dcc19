//! Upstream's LimitRanger: what containers leave out is filled in from the namespace's LimitRanges, and what they ask for must
//! be within them.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::reservations::Reservations;
use crate::{Cluster, Target};
use ::api::quantity::{Quantity, canonical};
use ::api::{GroupResource, Status};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{
    Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;
use kinds::{Instance, Subresource, TypedKind, pod as ask};
use std::collections::BTreeMap;
use store::Resource;

type Amounts = BTreeMap<String, Amount>;

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

pub(super) struct LimitRanger;

#[async_trait]
impl Plugin for LimitRanger {
    fn name(&self) -> &'static str {
        "LimitRanger"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        let is_asked_of = || matches!(review.asked.target.subresource, None | Some(Subresource::Resize));
        match step {
            Step::Admit => review.creates::<Pod>(),
            Step::Begin => false,
            Step::Validate => {
                (review.writes::<Pod>() || review.writes::<PersistentVolumeClaim>()) && is_asked_of()
            }
        }
    }

    /// Fills in requests and limits.
    async fn admit(&self, review: &mut Review<'_>) -> Result<(), Status> {
        let cluster = review.asked.cluster;
        let Some(pod) = review.draft.new_mut().and_then(|new| new.downcast_mut::<Pod>()) else {
            return Ok(());
        };
        for range in ranges(cluster, pod.metadata.namespace.as_deref()) {
            fill_in(pod, &range);
        }
        Ok(())
    }

    async fn validate(&self, review: &Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        let Some(new) = review.new_object() else { return Ok(()) };
        judge(review.asked.cluster, review.asked.target, new, review.old_object())
    }
}

/// A pod asks for something when it is made and when it is resized.
///
/// # Errors
/// `Forbidden` for what is out of a range.
fn judge(
    cluster: &Cluster,
    target: &Target,
    new: &dyn Instance,
    old: Option<&dyn Instance>,
) -> Result<(), Status> {
    let refused = |resource: &'static str, why: Vec<String>| {
        let why = match why.as_slice() {
            [one] => one.clone(),
            all => format!("[{}]", all.join(", ")),
        };
        let name = new.meta().name.as_deref().unwrap_or_default();
        Err(Status::forbidden(&GroupResource::new("", resource), name, why))
    };
    let namespace = new.meta().namespace.as_deref();
    if let Some(pod) =
        new.downcast_ref::<Pod>().filter(|_| old.is_none() || target.subresource == Some(Subresource::Resize))
    {
        for range in ranges(cluster, namespace) {
            let faults = of_pod(pod, &range);
            if !faults.is_empty() {
                return refused("pods", faults);
            }
        }
    }
    if let Some(claim) = new.downcast_ref::<PersistentVolumeClaim>() {
        for range in ranges(cluster, namespace) {
            let faults = of_claim(claim, &range);
            if !faults.is_empty() {
                return refused("persistentvolumeclaims", faults);
            }
        }
    }
    Ok(())
}

fn ranges(cluster: &Cluster, namespace: Option<&str>) -> Vec<LimitRange> {
    let snapshot = cluster.store().snapshot();
    let all = snapshot.list(&Resource::from(&LimitRange::info().storage), namespace, None);
    all.filter_map(|object| object.decode().ok()).collect()
}

fn items<'r>(range: &'r LimitRange, of: &'r str) -> impl Iterator<Item = &'r LimitRangeItem> {
    range.spec.iter().flat_map(|spec| &spec.limits).filter(move |item| item.type_ == of)
}

fn fill_in(pod: &mut Pod, range: &LimitRange) {
    let (mut limits, mut requests) = (Amounts::new(), Amounts::new());
    for item in items(range, "Container") {
        limits.extend(item.default.clone().unwrap_or_default());
        requests.extend(item.default_request.clone().unwrap_or_default());
    }
    let Some(spec) = pod.spec.as_mut() else { return };
    let mut notes = Vec::new();
    for container in &mut spec.containers {
        notes.extend(of_container(container, "container", &requests, &limits));
    }
    for container in spec.init_containers.iter_mut().flatten() {
        notes.extend(of_container(container, "init container", &requests, &limits));
    }
    if notes.is_empty() {
        return;
    }
    let qos = ask::qos_class(spec).to_owned();
    pod.status.get_or_insert_default().qos_class = Some(qos);
    let note = format!("LimitRanger plugin set: {}", notes.join("; "));
    pod.metadata.annotations.get_or_insert_default().insert(ANNOTATION.to_owned(), note);
}

fn of_container(container: &mut Container, what: &str, requests: &Amounts, limits: &Amounts) -> Vec<String> {
    let name = &container.name;
    let resources = container.resources.get_or_insert_default();
    let mut set = |defaults: &Amounts,
                   of: fn(&mut ResourceRequirements) -> &mut Option<Amounts>,
                   word: &str| {
        let missing: Vec<(String, Amount)> = {
            let given = of(resources).as_ref();
            let absent = |name: &&String| given.is_none_or(|given| !given.contains_key(*name));
            defaults.iter().filter(|(name, _)| absent(name)).map(|(n, a)| (n.clone(), a.clone())).collect()
        };
        if missing.is_empty() {
            return None;
        }
        let names: Vec<&str> = missing.iter().map(|(name, _)| name.as_str()).collect();
        let note = format!("{} {word} for {what} {name}", names.join(", "));
        of(resources).get_or_insert_default().extend(missing);
        Some(note)
    };
    let notes = [set(requests, |r| &mut r.requests, "request"), set(limits, |r| &mut r.limits, "limit")];
    notes.into_iter().flatten().collect()
}

fn of_pod(pod: &Pod, range: &LimitRange) -> Vec<String> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let mut faults = Vec::new();
    for item in items(range, "Container") {
        for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
            let resources = container.resources.clone().unwrap_or_default();
            within(item, &exact(resources.requests.as_ref()), &exact(resources.limits.as_ref()), &mut faults);
        }
    }
    for item in items(range, "Pod") {
        within(item, &ask::requests(spec), &ask::limits(spec), &mut faults);
    }
    faults.dedup();
    faults
}

fn of_claim(claim: &PersistentVolumeClaim, range: &LimitRange) -> Vec<String> {
    let requests = claim.spec.as_ref().and_then(|s| s.resources.as_ref()).and_then(|r| r.requests.as_ref());
    let requests = exact(requests);
    let mut faults = Vec::new();
    for item in items(range, "PersistentVolumeClaim") {
        for (name, least) in exact(item.min.as_ref()) {
            faults.extend(at_least(&name, &item.type_, least, requests.get(&name), None));
        }
        for (name, most) in exact(item.max.as_ref()) {
            let said = format!("maximum {name} usage per {} is {}", item.type_, written(most));
            match requests.get(&name) {
                None => faults.push(format!("{said}.  No request is specified")),
                Some(asked) if *asked > most => {
                    faults.push(format!("{said}, but request is {}", written(*asked)));
                }
                Some(_) => {}
            }
        }
    }
    faults
}

type Exact = BTreeMap<String, Quantity>;

fn exact(of: Option<&Amounts>) -> Exact {
    of.into_iter()
        .flatten()
        .filter_map(|(name, amount)| Some((name.clone(), amount.0.parse().ok()?)))
        .collect()
}

/// Upstream's `minConstraint`, `maxConstraint` and `limitRequestRatioConstraint`.
fn within(item: &LimitRangeItem, requests: &Exact, limits: &Exact, faults: &mut Vec<String>) {
    let kind = &item.type_;
    for (name, least) in exact(item.min.as_ref()) {
        faults.extend(at_least(&name, kind, least, requests.get(&name), limits.get(&name)));
    }
    for (name, most) in exact(item.max.as_ref()) {
        let said = format!("maximum {name} usage per {kind} is {}", written(most));
        match (limits.get(&name), requests.get(&name)) {
            (None, _) => faults.push(format!("{said}.  No limit is specified")),
            (Some(limit), _) if *limit > most => {
                faults.push(format!("{said}, but limit is {}", written(*limit)))
            }
            (_, Some(asked)) if *asked > most => {
                faults.push(format!("{said}, but request is {}", written(*asked)))
            }
            _ => {}
        }
    }
    for (name, most) in exact(item.max_limit_request_ratio.as_ref()) {
        let said = format!("{name} max limit to request ratio per {kind} is {}", written(most));
        let some = |of: &Exact| of.get(&name).copied().filter(|amount| !amount.is_zero());
        match (some(requests), some(limits)) {
            (None, _) => faults.push(format!("{said}, but no request is specified or request is 0")),
            (_, None) => faults.push(format!("{said}, but no limit is specified or limit is 0")),
            (Some(asked), Some(limit)) => {
                let ratio = limit.milli() as f64 / asked.milli().max(1) as f64;
                if ratio > most.milli() as f64 / 1000.0 {
                    faults.push(format!("{said}, but provided ratio is {ratio:.6}"));
                }
            }
        }
    }
}

fn at_least(
    name: &str,
    kind: &str,
    least: Quantity,
    request: Option<&Quantity>,
    limit: Option<&Quantity>,
) -> Option<String> {
    let said = format!("minimum {name} usage per {kind} is {}", written(least));
    match (request, limit) {
        (None, _) => Some(format!("{said}.  No request is specified")),
        (Some(asked), _) if *asked < least => Some(format!("{said}, but request is {}", written(*asked))),
        (_, Some(limit)) if *limit < least => Some(format!("{said}, but limit is {}", written(*limit))),
        _ => None,
    }
}

/// Bytes are written in their own units, where that is exact.
fn written(amount: Quantity) -> String {
    let text = amount.to_string();
    let bytes = amount.value();
    let is_binary = bytes >= 1024 && bytes % 1024 == 0 && Quantity::from_units(bytes) == amount;
    let text = if is_binary { format!("{}Ki", bytes / 1024) } else { text };
    canonical(&text).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn range(item: Value) -> LimitRange {
        serde_json::from_value(json!({"metadata": {"name": "r"}, "spec": {"limits": [item]}})).unwrap()
    }

    fn pod(resources: Value) -> Pod {
        serde_json::from_value(
            json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "resources": resources}]}}),
        )
        .unwrap()
    }

    #[test]
    fn what_is_left_out_is_filled_in_and_noted() {
        let defaults = range(
            json!({"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "500m"}}),
        );
        let mut pod = pod(json!({"limits": {"cpu": "2"}}));
        fill_in(&mut pod, &defaults);
        let got = serde_json::to_value(&pod.spec.unwrap().containers[0].resources).unwrap();
        assert_eq!(got, json!({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "500m"}}));
        let note = &pod.metadata.annotations.unwrap()[ANNOTATION];
        assert_eq!(note, "LimitRanger plugin set: cpu request for container c; memory limit for container c");
        assert_eq!(pod.status.unwrap().qos_class.as_deref(), Some("Burstable"));
    }

    #[test]
    fn what_is_out_of_range_is_told_in_upstream_s_words() {
        let container = |more: Value| {
            let mut item = json!({"type": "Container"});
            item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            item
        };
        let asks =
            |request: &str, limit: &str| json!({"requests": {"cpu": request}, "limits": {"cpu": limit}});
        let least = || container(json!({"min": {"cpu": "100m"}}));
        let most = || container(json!({"max": {"cpu": "1"}}));
        let ratio = || container(json!({"maxLimitRequestRatio": {"cpu": "2"}}));
        let cases = [
            ("within", least(), asks("100m", "1"), ""),
            (
                "less",
                least(),
                asks("50m", "1"),
                "minimum cpu usage per Container is 100m, but request is 50m",
            ),
            (
                "unsaid",
                least(),
                json!({}),
                "minimum cpu usage per Container is 100m.  No request is specified",
            ),
            ("more", most(), asks("1", "2"), "maximum cpu usage per Container is 1, but limit is 2"),
            (
                "unlimited",
                most(),
                json!({"requests": {"cpu": "1"}}),
                "maximum cpu usage per Container is 1.  No limit is specified",
            ),
            (
                "wide",
                ratio(),
                asks("100m", "1"),
                "cpu max limit to request ratio per Container is 2, but provided ratio is 10.000000",
            ),
            (
                "no ratio",
                ratio(),
                json!({}),
                "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0",
            ),
            (
                "a pod",
                json!({"type": "Pod", "max": {"memory": "1Gi"}}),
                json!({"limits": {"memory": "2Gi"}}),
                "maximum memory usage per Pod is 1Gi, but limit is 2Gi",
            ),
        ];
        for (name, item, resources, want) in cases {
            assert_eq!(of_pod(&pod(resources), &range(item)).join("; "), want, "{name}");
        }
    }

    #[test]
    fn claims_have_bounds_too() {
        let bounds = range(
            json!({"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}),
        );
        for (asked, want) in [
            ("1Gi", ""),
            ("512Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 512Mi"),
            ("3Gi", "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"),
        ] {
            let claim: PersistentVolumeClaim = serde_json::from_value(
                json!({"metadata": {}, "spec": {"resources": {"requests": {"storage": asked}}}}),
            )
            .unwrap();
            assert_eq!(of_claim(&claim, &bounds).join("; "), want, "{asked}");
        }
    }
}
