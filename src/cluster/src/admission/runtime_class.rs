//! Upstream's RuntimeClass admission: a pod that names a class must find it, and gets its overhead and where it may run. Whether
//! there is the runtime that the class wants, the node knows.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::Cluster;
use crate::reservations::Reservations;
use ::api::{GroupResource, ObjectKey, Status};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::api::node::v1::RuntimeClass as Class;
use kinds::TypedKind;
use store::Resource;

const NOBODYS: &str = "Pod Overhead set without corresponding RuntimeClass defined Overhead";
const ANOTHER: &str = "Pod's Overhead doesn't match RuntimeClass's defined Overhead";

pub(super) struct RuntimeClass;

#[async_trait]
impl Plugin for RuntimeClass {
    fn name(&self) -> &'static str {
        "RuntimeClass"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step != Step::Begin && review.creates::<Pod>()
    }

    async fn admit(&self, review: &mut Review<'_>) -> Result<(), Status> {
        let cluster = review.asked.cluster;
        let Some(pod) = review.draft.new_mut().and_then(|new| new.downcast_mut::<Pod>()) else {
            return Ok(());
        };
        into(pod, |name| find(cluster, name)).map_err(|why| rejected(pod, &why))
    }

    /// Who was asked last may have changed it once more.
    async fn validate(&self, review: &Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        let cluster = review.asked.cluster;
        let Some(pod) = review.new_object().and_then(|new| new.downcast_ref::<Pod>()) else {
            return Ok(());
        };
        has_overhead_of_class(pod, |name| find(cluster, name)).map_err(|why| rejected(pod, &why))
    }
}

fn find(cluster: &Cluster, name: &str) -> Option<Class> {
    let resource = Resource::from(&Class::info().storage);
    cluster.store().snapshot().get(&resource, &ObjectKey::cluster(name))?.decode().ok()
}

fn rejected(pod: &Pod, why: &str) -> Status {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    Status::forbidden(&GroupResource::new("", "pods"), name, format!("pod rejected: {why}"))
}

fn class_of(spec: &PodSpec, find: impl Fn(&str) -> Option<Class>) -> Result<Option<Class>, String> {
    match spec.runtime_class_name.as_deref().filter(|class| !class.is_empty()) {
        Some(name) => find(name).map(Some).ok_or_else(|| format!("RuntimeClass {name:?} not found")),
        None => Ok(None),
    }
}

fn has_overhead_of_class(pod: &Pod, find: impl Fn(&str) -> Option<Class>) -> Result<(), String> {
    let Some(spec) = &pod.spec else { return Ok(()) };
    let class = class_of(spec, find)?;
    let fixed = class.as_ref().and_then(|class| class.overhead.as_ref()?.pod_fixed.as_ref());
    let given = spec.overhead.as_ref().filter(|given| !given.is_empty());
    if given.is_some() && fixed.is_none() {
        return Err(NOBODYS.to_owned());
    }
    match given == fixed.filter(|fixed| !fixed.is_empty()) {
        true => Ok(()),
        false => Err(ANOTHER.to_owned()),
    }
}

fn into(pod: &mut Pod, find: impl Fn(&str) -> Option<Class>) -> Result<(), String> {
    let Some(spec) = pod.spec.as_mut() else { return Ok(()) };
    let class = class_of(spec, find)?;
    let overhead = class.as_ref().and_then(|class| class.overhead.as_ref()?.pod_fixed.clone());
    let given = spec.overhead.as_ref().filter(|given| !given.is_empty());
    match (given, &overhead) {
        (Some(_), None) => return Err(NOBODYS.to_owned()),
        (Some(given), Some(fixed)) if given != fixed => return Err(ANOTHER.to_owned()),
        _ => {}
    }
    let Some(class) = class else { return Ok(()) };
    spec.overhead = overhead.or_else(|| spec.overhead.take());
    let Some(scheduling) = class.scheduling else { return Ok(()) };
    for (key, value) in scheduling.node_selector.into_iter().flatten() {
        let known =
            spec.node_selector.get_or_insert_default().entry(key.clone()).or_insert_with(|| value.clone());
        if *known != value {
            return Err(format!(
                "conflict: node selector {key} is {known} in the pod and {value} in its class"
            ));
        }
    }
    for toleration in scheduling.tolerations.into_iter().flatten() {
        let all = spec.tolerations.get_or_insert_default();
        if !all.contains(&toleration) {
            all.push(toleration);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn class(name: &str) -> Option<Class> {
        let handler = match name {
            "plain" => "runc",
            "gvisor" => "runsc",
            _ => return None,
        };
        let class = json!({
            "metadata": {"name": name}, "handler": handler, "overhead": {"podFixed": {"cpu": "10m"}},
            "scheduling": {"nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "a", "operator": "Exists"}]},
        });
        serde_json::from_value(class).ok()
    }

    #[test]
    fn a_pod_gets_what_its_class_says_or_is_refused() {
        let cases = [
            ("none", json!({}), None),
            ("empty", json!({"runtimeClassName": ""}), None),
            ("ours", json!({"runtimeClassName": "plain"}), None),
            ("missing", json!({"runtimeClassName": "kata"}), Some("RuntimeClass \"kata\" not found")),
            ("of another runtime", json!({"runtimeClassName": "gvisor"}), None),
            (
                "overhead of nobody",
                json!({"overhead": {"cpu": "1"}}),
                Some("without corresponding RuntimeClass"),
            ),
            (
                "another overhead",
                json!({"runtimeClassName": "plain", "overhead": {"cpu": "1"}}),
                Some("doesn't match RuntimeClass's defined Overhead"),
            ),
            (
                "another node",
                json!({"runtimeClassName": "plain", "nodeSelector": {"disk": "slow"}}),
                Some("conflict: node selector disk"),
            ),
        ];
        for (name, mut spec, want) in cases {
            spec["containers"] = json!([]);
            let mut pod: Pod = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
            let said = into(&mut pod, class).err().unwrap_or_default();
            assert!(want.map_or(said.is_empty(), |want| said.contains(want)), "{name}: {said}");
            if want.is_none() {
                assert_eq!(has_overhead_of_class(&pod, class), Ok(()), "{name}: and twice equals once");
                assert_eq!(into(&mut pod, class), Ok(()), "{name}: again");
            }
            if name == "ours" {
                let mut changed = pod.clone();
                changed.spec.as_mut().unwrap().overhead = None;
                assert_eq!(has_overhead_of_class(&changed, class), Err(ANOTHER.to_owned()), "taken away");
                let spec = pod.spec.unwrap();
                assert_eq!(spec.overhead.unwrap()["cpu"].0, "10m");
                assert_eq!(
                    (spec.node_selector.unwrap()["disk"].as_str(), spec.tolerations.unwrap().len()),
                    ("fast", 1)
                );
            }
        }
    }
}
