//! Since when endpoints should be as they are now: what measures how fast the network follows (upstream's
//! `TriggerTimeTracker`) reads it of them. Found from what was known of the pods before, not kept beside it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::pod::condition;
use std::collections::BTreeMap;
use std::sync::Arc;

const ANNOTATION: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// The first of the changes of pods that lead from `before` to `after`; for a Service without slices, when it was made. `None` where
/// nobody knows: of pods that went.
pub(super) fn changed_at(
    service: &Service,
    pods: &[Arc<Pod>],
    before: &[EndpointSlice],
    after: &[EndpointSlice],
) -> Option<Timestamp> {
    if before.is_empty() {
        return service.metadata.creation_timestamp.as_ref().map(|time| time.0);
    }
    let (before, after) = (serving(before), serving(after));
    let changed = pods.iter().filter(|pod| {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        after.get(name).is_some_and(|now| before.get(name) != Some(now))
    });
    let times =
        changed.filter_map(|pod| condition(pod, "Ready")?.last_transition_time.as_ref().map(|time| time.0));
    times.min()
}

/// By the name of the pod.
fn serving(slices: &[EndpointSlice]) -> BTreeMap<&str, Option<bool>> {
    let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let one = |endpoint: &'_ Endpoint| endpoint.conditions.as_ref().and_then(|conditions| conditions.serving);
    endpoints.filter_map(|e| Some((e.target_ref.as_ref()?.name.as_deref()?, one(e)))).collect()
}

pub(super) fn stamp(meta: &mut ObjectMeta, at: Option<Timestamp>) {
    let annotations = meta.annotations.get_or_insert_default();
    match at {
        Some(at) => drop(annotations.insert(ANNOTATION.to_owned(), at.to_string())),
        None => drop(annotations.remove(ANNOTATION)),
    }
    if annotations.is_empty() {
        meta.annotations = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_change_of_a_pod_is_what_triggered() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let service: Service =
            serde_json::from_value(json!({"metadata": {"creationTimestamp": at(5).to_string()}})).unwrap();
        let pod = |name: &str, ready: i64| -> Arc<Pod> {
            let ready =
                json!({"type": "Ready", "status": "True", "lastTransitionTime": at(ready).to_string()});
            let pod = json!({"metadata": {"name": name}, "status": {"conditions": [ready]}});
            Arc::new(serde_json::from_value(pod).unwrap())
        };
        let slice = |pods: &[(&str, bool)]| -> EndpointSlice {
            let endpoints: Vec<_> = pods
                .iter()
                .map(|(name, serving)| {
                    json!({"addresses": ["192.0.2.1"], "conditions": {"serving": serving}, "targetRef": {"name": name}})
                })
                .collect();
            serde_json::from_value(json!({"addressType": "IPv4", "endpoints": endpoints})).unwrap()
        };
        let pods = [pod("a", 10), pod("b", 20), pod("c", 30)];
        // (name, before, after, time)
        let cases = [
            ("a new Service", vec![], vec![slice(&[("a", true)])], Some(5)),
            ("a pod more", vec![slice(&[("a", true)])], vec![slice(&[("a", true), ("b", true)])], Some(20)),
            (
                "two that got ready",
                vec![slice(&[("a", true), ("b", false)]), slice(&[("c", false)])],
                vec![slice(&[("a", true), ("b", true), ("c", true)])],
                Some(20),
            ),
            ("a pod less", vec![slice(&[("a", true), ("b", true)])], vec![slice(&[("a", true)])], None),
        ];
        for (name, before, after, want) in cases {
            let got = changed_at(&service, &pods, &before, &after);
            assert_eq!(got.map(Timestamp::as_second), want, "{name}");
        }
    }

    #[test]
    fn a_stamp_leaves_what_others_wrote() {
        let mut meta = ObjectMeta::default();
        stamp(&mut meta, None);
        assert_eq!(meta.annotations, None);
        meta.annotations = Some([("own".to_owned(), "x".to_owned())].into());
        stamp(&mut meta, Some(Timestamp::from_second(100).unwrap()));
        assert_eq!(meta.annotations.as_ref().unwrap()[ANNOTATION], "1970-01-01T00:01:40Z");
        stamp(&mut meta, None);
        assert_eq!(meta.annotations, Some([("own".to_owned(), "x".to_owned())].into()));
    }
}
