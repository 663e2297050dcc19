//! `pods/NAME/resize` (KEP-1287): other processors and memory for the containers of a pod while it runs.

use crate::{ErrorList, pod as ask};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;

const ONLY: &str = "only cpu and memory resources are mutable";

/// An update of this part changes nothing else. Where there are other containers than before it is left as it came, and refused.
pub(super) fn keep_all_else(new: &mut Pod, old: &Pod) {
    let asked = new.spec.take().unwrap_or_default();
    *new = old.clone();
    let spec = new.spec.get_or_insert_default();
    if names(&asked).ne(names(spec)) {
        *spec = asked;
        return;
    }
    spec.resources.clone_from(&asked.resources);
    for (container, asked) in containers_mut(spec).zip(containers(&asked)) {
        container.resources.clone_from(&asked.resources);
        container.resize_policy.clone_from(&asked.resize_policy);
    }
}

pub(super) fn validate_update(new: &Pod, old: &Pod, errors: &mut ErrorList) {
    let (Some(new_spec), Some(old_spec)) = (&new.spec, &old.spec) else { return };
    let mirror = "kubernetes.io/config.mirror";
    if new.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(mirror)) {
        errors.forbidden("", "static pods cannot be resized");
    }
    if names(new_spec).ne(names(old_spec)) {
        return errors.forbidden("spec", ONLY);
    }
    if new_spec.resources != old_spec.resources {
        errors.forbidden("spec.resources", "resizing the resources of a pod as a whole is not supported");
    }
    let (before, after) = (ask::qos_class(old_spec), ask::qos_class(new_spec));
    if before != after {
        errors.invalid("spec", before, "Pod QOS Class may not change as a result of resizing");
    }
    let init = new_spec.init_containers.iter().flatten().enumerate();
    for ((index, new), old) in init.zip(old_spec.init_containers.iter().flatten()) {
        let at = format!("spec.initContainers[{index}]");
        match new.restart_policy.as_deref() {
            Some("Always") => resources(new, old, &at, errors),
            _ if new.resources != old.resources => {
                errors.forbidden(
                    format!("{at}.resources"),
                    "resources for non-sidecar init containers are immutable",
                );
            }
            _ => {}
        }
    }
    for ((index, new), old) in new_spec.containers.iter().enumerate().zip(&old_spec.containers) {
        resources(new, old, &format!("spec.containers[{index}]"), errors);
    }
}

fn resources(new: &Container, old: &Container, at: &str, errors: &mut ErrorList) {
    let none = ResourceRequirements::default();
    let (new, old) = (new.resources.as_ref().unwrap_or(&none), old.resources.as_ref().unwrap_or(&none));
    for (field, new, old) in
        [("limits", &new.limits, &old.limits), ("requests", &new.requests, &old.requests)]
    {
        let none = BTreeMap::new();
        let (new, old) = (new.as_ref().unwrap_or(&none), old.as_ref().unwrap_or(&none));
        if old.keys().any(|name| is_mutable(name) && !new.contains_key(name)) {
            errors.forbidden(
                format!("{at}.resources.{field}"),
                format_args!("resource {field} cannot be removed"),
            );
        }
        if immutable(new).ne(immutable(old)) {
            errors.forbidden("spec", ONLY);
        }
    }
    if new.claims != old.claims {
        errors.forbidden("spec", ONLY);
    }
}

fn is_mutable(name: &str) -> bool {
    matches!(name, "cpu" | "memory")
}

fn immutable(amounts: &BTreeMap<String, Quantity>) -> impl Iterator<Item = (&String, &Quantity)> {
    amounts.iter().filter(|(name, _)| !is_mutable(name))
}

fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers.iter().flatten().chain(&spec.containers)
}

fn containers_mut(spec: &mut PodSpec) -> impl Iterator<Item = &mut Container> {
    spec.init_containers.iter_mut().flatten().chain(&mut spec.containers)
}

/// Those that run before the others and the others must stay what they are: `None` is between them.
fn names(spec: &PodSpec) -> impl Iterator<Item = Option<&str>> {
    let init = spec.init_containers.iter().flatten().map(|c| Some(c.name.as_str()));
    init.chain([None]).chain(spec.containers.iter().map(|c| Some(c.name.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(resources: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "labels": {"a": "old"}}, "spec": {
            "initContainers": [{"name": "first", "image": "web:1"}],
            "containers": [{"name": "web", "image": "web:1", "resources": resources}]}}))
        .unwrap()
    }

    #[test]
    fn nothing_but_resources_changes() {
        let old = pod(json!({"requests": {"cpu": "1"}}));
        let mut new = pod(json!({"requests": {"cpu": "2"}}));
        new.metadata.labels = None;
        new.spec.as_mut().unwrap().containers[0].image = Some("other:1".into());
        keep_all_else(&mut new, &old);
        let mut want = old.clone();
        want.spec.as_mut().unwrap().containers[0].resources =
            pod(json!({"requests": {"cpu": "2"}})).spec.unwrap().containers[0].resources.clone();
        assert_eq!(new, want);
    }

    #[test]
    fn what_may_not_be_resized() {
        let asked = json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}});
        let cases = [
            ("more", json!({"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"memory": "2Gi"}}), ""),
            (
                "no limit any more",
                json!({"requests": {"cpu": "1", "memory": "1Gi"}}),
                "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed",
            ),
            (
                "another class",
                json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}),
                "spec: Invalid value: \"Burstable\": Pod QOS Class may not change as a result of resizing",
            ),
            (
                "something else",
                json!({"requests": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}, "limits": {"memory": "2Gi"}}),
                "spec: Forbidden: only cpu and memory resources are mutable",
            ),
        ];
        for (name, resources, want) in cases {
            let (mut new, mut old) = (pod(resources), pod(asked.clone()));
            if name == "another class" {
                for pod in [&mut new, &mut old] {
                    pod.spec.as_mut().unwrap().init_containers = None;
                }
            }
            let mut errors = ErrorList::default();
            validate_update(&new, &old, &mut errors);
            let said: Vec<String> =
                errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            assert_eq!(said.join("; "), want, "{name}");
        }
        let mut errors = ErrorList::default();
        let (mut new, old) = (pod(asked.clone()), pod(asked));
        new.spec.as_mut().unwrap().init_containers = None;
        validate_update(&new, &old, &mut errors);
        assert_eq!(errors.len(), 1);
    }
}
