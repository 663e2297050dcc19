//! `pods/NAME/resize` (KEP-1287): other processors and memory for the containers of a pod while it runs.

use super::checks::list;
use crate::{ErrorList, pod as ask};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;

const ONLY: &str = "only cpu and memory resources are mutable";
const ONLY_OF_SIDECARS: &str = "only cpu and memory resources for sidecar containers are mutable";

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
    if ask::is_mirror(old) {
        return errors.forbidden("", "static pods cannot be resized");
    }
    if old_spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return errors.forbidden("", "windows pods cannot be resized");
    }
    let (before, after) = (ask::qos_class(old_spec), ask::qos_class(new_spec));
    if before != after {
        errors.invalid("spec", before, "Pod QOS Class may not change as a result of resizing");
    }
    if new_spec.resources != old_spec.resources {
        errors.forbidden("spec.resources", "resizing the resources of a pod as a whole is not supported");
    }
    let (init, old_init) = (list(&new_spec.init_containers), list(&old_spec.init_containers));
    let stay = are_the_same("containers", &new_spec.containers, &old_spec.containers, errors);
    if !are_the_same("initContainers", init, old_init, errors) || !stay {
        return;
    }
    for ((index, new), old) in init.iter().enumerate().zip(old_init) {
        if ask::is_sidecar(new) {
            resources(new, old, ONLY_OF_SIDECARS, &format!("spec.initContainers[{index}]"), errors);
        } else if new.resources != old.resources {
            errors.forbidden("spec", "resources for non-sidecar init containers are immutable");
        }
    }
    for ((index, new), old) in new_spec.containers.iter().enumerate().zip(&old_spec.containers) {
        resources(new, old, ONLY, &format!("spec.containers[{index}]"), errors);
    }
}

fn are_the_same(field: &str, new: &[Container], old: &[Container], errors: &mut ErrorList) -> bool {
    if new.len() != old.len() {
        let why = format!("{field} may not be added or removed on resize");
        errors.forbidden(format_args!("spec.{field}"), why);
        return false;
    }
    let others = new.iter().zip(old).enumerate().filter(|(_, (new, old))| new.name != old.name);
    let mut is_same = true;
    for (index, _) in others {
        let why = format!("{field} may not be renamed or reordered on resize");
        errors.forbidden(format_args!("spec.{field}[{index}].name"), why);
        is_same = false;
    }
    is_same
}

/// `only` is what is said where something else than processors and memory differs.
fn resources(new: &Container, old: &Container, only: &str, at: &str, errors: &mut ErrorList) {
    let none = ResourceRequirements::default();
    let (new, old) = (new.resources.as_ref().unwrap_or(&none), old.resources.as_ref().unwrap_or(&none));
    let mut is_other = new.claims != old.claims;
    for (field, new, old) in
        [("requests", &new.requests, &old.requests), ("limits", &new.limits, &old.limits)]
    {
        let none = BTreeMap::new();
        let (new, old) = (new.as_ref().unwrap_or(&none), old.as_ref().unwrap_or(&none));
        if old.keys().any(|name| !new.contains_key(name)) {
            errors.forbidden(
                format!("{at}.resources.{field}"),
                format_args!("resource {field} cannot be removed"),
            );
        }
        is_other |= immutable(new).ne(immutable(old));
    }
    if is_other {
        errors.forbidden("spec", only);
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
    }

    #[test]
    fn containers_stay_those_that_they_are() {
        let sidecar = |more: Value| {
            let mut container = json!({"name": "side", "image": "i", "restartPolicy": "Always"});
            container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            container
        };
        let asks = |what: Value| json!({"resources": {"requests": what}});
        let old = json!({"initContainers": [{"name": "first", "image": "i"}, sidecar(asks(json!({"cpu": "1"})))],
            "containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]});
        let first = |more: Value| {
            let mut container = json!({"name": "first", "image": "i"});
            container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            container
        };
        let with_init = |first: Value, side: Value| json!({"spec": {"initContainers": [first, side]}});
        let main = |names: &[&str]| json!({"spec": {"containers": names.iter().map(|name| json!({"name": name, "image": "i"})).collect::<Vec<_>>()}});
        for (name, old_more, new_more, want) in [
            (
                "more for a sidecar",
                json!({}),
                with_init(first(json!({})), sidecar(asks(json!({"cpu": "2"})))),
                "",
            ),
            (
                "a disk for a sidecar",
                json!({}),
                with_init(first(json!({})), sidecar(asks(json!({"cpu": "1", "ephemeral-storage": "1Gi"})))),
                "spec: Forbidden: only cpu and memory resources for sidecar containers are mutable",
            ),
            (
                "no processor for a sidecar",
                json!({}),
                with_init(first(json!({})), sidecar(asks(json!({"memory": "1Gi"})))),
                "spec.initContainers[1].resources.requests: Forbidden: resource requests cannot be removed",
            ),
            (
                "more for who runs first",
                json!({}),
                with_init(first(asks(json!({"cpu": "2"}))), sidecar(asks(json!({"cpu": "1"})))),
                "spec: Forbidden: resources for non-sidecar init containers are immutable",
            ),
            (
                "one less",
                json!({}),
                main(&["a"]),
                "spec.containers: Forbidden: containers may not be added or removed on resize",
            ),
            (
                "another order",
                json!({}),
                main(&["b", "a"]),
                "spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize; \
                 spec.containers[1].name: Forbidden: containers may not be renamed or reordered on resize",
            ),
            (
                "a static pod",
                json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}}),
                json!({}),
                "<nil>: Forbidden: static pods cannot be resized",
            ),
            (
                "of Windows",
                json!({"spec": {"os": {"name": "windows"}}}),
                json!({}),
                "<nil>: Forbidden: windows pods cannot be resized",
            ),
        ] {
            let made = |more: &Value| -> Pod {
                let mut pod = json!({"metadata": {"name": "p"}, "spec": old});
                for part in ["metadata", "spec"] {
                    let more = more.get(part).and_then(Value::as_object).cloned().unwrap_or_default();
                    pod[part].as_object_mut().unwrap().extend(more);
                }
                serde_json::from_value(pod).unwrap()
            };
            let mut errors = ErrorList::default();
            validate_update(&made(&new_more), &made(&old_more), &mut errors);
            let said: Vec<String> =
                errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            assert_eq!(said.join("; "), want, "{name}");
        }
    }
}
