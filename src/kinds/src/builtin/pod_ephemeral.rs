//! `pods/NAME/ephemeralcontainers` (KEP-277): containers that are added to a pod while it is there, and never taken from it.

use super::pod_defaults;
use crate::{ErrorList, pod as ask};
use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod, PodSpec};
use serde_json::Value;
use std::collections::HashSet;

const AT: &str = "spec.ephemeralContainers";

/// What upstream's `allowedEphemeralContainerFields` lacks: such a container serves nobody, is not looked after and is not
/// counted.
const NOT_FOR_THEM: [&str; 9] = [
    "lifecycle",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "resizePolicy",
    "resources",
    "restartPolicy",
    "restartPolicyRules",
    "startupProbe",
];

pub(super) fn set_defaults(spec: &mut PodSpec) {
    for ephemeral in spec.ephemeral_containers.iter_mut().flatten() {
        let mut container = ask::as_container(ephemeral);
        pod_defaults::container_defaults(&mut container);
        ephemeral.termination_message_path = container.termination_message_path;
        ephemeral.termination_message_policy = container.termination_message_policy;
        ephemeral.image_pull_policy = container.image_pull_policy;
        ephemeral.env = container.env;
        // a Go client always sends them
        ephemeral.resources = ephemeral.resources.take().filter(|r| *r != Default::default());
    }
}

/// An update of this part changes nothing else.
pub(super) fn keep_all_else(new: &mut Pod, old: &Pod) {
    let asked = new.spec.take().and_then(|spec| spec.ephemeral_containers);
    *new = old.clone();
    new.spec.get_or_insert_default().ephemeral_containers = asked.filter(|all| !all.is_empty());
}

pub(super) fn validate_update(new: &PodSpec, old: &PodSpec, errors: &mut ErrorList) {
    let all = || new.ephemeral_containers.iter().flatten();
    for known in old.ephemeral_containers.iter().flatten() {
        let name = &known.name;
        match all().find(|one| one.name == *name) {
            None => {
                errors.forbidden(AT, format!("existing ephemeral containers {name:?} may not be removed\n"))
            }
            Some(one) if one != known => {
                errors.forbidden(AT, format!("existing ephemeral containers {name:?} may not be changed\n"));
            }
            Some(_) => {}
        }
    }
    let regular = || new.containers.iter().chain(new.init_containers.iter().flatten());
    let mut taken: HashSet<&str> = regular().map(|c| c.name.as_str()).collect();
    for (index, one) in all().enumerate() {
        let at = format!("{AT}[{index}]");
        if !taken.insert(&one.name) {
            errors.duplicate(format!("{at}.name"), one.name.as_str());
        }
        self::one(one, &at, regular(), errors);
    }
}

fn one<'c>(
    one: &EphemeralContainer,
    at: &str,
    mut regular: impl Iterator<Item = &'c Container>,
    errors: &mut ErrorList,
) {
    let target = one.target_container_name.as_deref().filter(|name| !name.is_empty());
    if let Some(target) = target.filter(|target| !regular.any(|c| c.name == *target)) {
        errors.not_found(format!("{at}.targetContainerName"), target);
    }
    let why = "cannot be set for an Ephemeral Container";
    let given = api::json::to_value(one).unwrap_or_default();
    for field in NOT_FOR_THEM.into_iter().filter(|field| is_set(given.get(field))) {
        errors.forbidden(format!("{at}.{field}"), why);
    }
    for (index, mount) in one.volume_mounts.iter().flatten().enumerate() {
        let parts = [("subPath", &mount.sub_path), ("subPathExpr", &mount.sub_path_expr)];
        for (field, _) in parts.into_iter().filter(|(_, part)| part.as_ref().is_some_and(|p| !p.is_empty())) {
            errors.forbidden(format!("{at}.volumeMounts[{index}].{field}"), why);
        }
    }
}

/// Empty is as good as not there: a Go client sends so.
fn is_set(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Array(all)) => !all.is_empty(),
        Some(Value::Object(all)) => !all.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(ephemeral: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "labels": {"a": "old"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}], "ephemeralContainers": ephemeral}}))
        .unwrap()
    }

    #[test]
    fn nothing_but_what_is_added_changes() {
        let old = pod(json!([]));
        let mut new = pod(json!([{"name": "debug", "image": "busybox"}]));
        new.metadata.labels = Some([("a".to_owned(), "new".to_owned())].into());
        new.spec.as_mut().unwrap().containers[0].image = Some("other:1".into());
        keep_all_else(&mut new, &old);
        assert_eq!(new.metadata, old.metadata);
        let spec = new.spec.as_mut().unwrap();
        set_defaults(spec);
        assert_eq!(spec.containers, old.spec.unwrap().containers);
        let added = &spec.ephemeral_containers.as_ref().unwrap()[0];
        assert_eq!(
            (added.image_pull_policy.as_deref(), added.termination_message_policy.as_deref()),
            (Some("Always"), Some("File"))
        );
    }

    #[test]
    fn what_may_be_added() {
        let before = json!([{"name": "first", "image": "busybox"}]);
        let with = |more: Value| {
            let mut one = json!({"name": "debug", "image": "busybox"});
            one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!([{"name": "first", "image": "busybox"}, one])
        };
        let cases = [
            ("one more", with(json!({"targetContainerName": "web"})), None),
            ("as Go sends it", with(json!({"resources": {}, "ports": []})), None),
            ("one less", json!([]), Some("spec.ephemeralContainers")),
            ("another image", json!([{"name": "first", "image": "other"}]), Some("spec.ephemeralContainers")),
            ("a name that is taken", with(json!({"name": "web"})), Some("spec.ephemeralContainers[1].name")),
            (
                "a target that is not there",
                with(json!({"targetContainerName": "no"})),
                Some("spec.ephemeralContainers[1].targetContainerName"),
            ),
            (
                "ports",
                with(json!({"ports": [{"containerPort": 80}]})),
                Some("spec.ephemeralContainers[1].ports"),
            ),
            (
                "resources",
                with(json!({"resources": {"limits": {"cpu": "1"}}})),
                Some("spec.ephemeralContainers[1].resources"),
            ),
            (
                "a part of a volume",
                with(json!({"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "x"}]})),
                Some("spec.ephemeralContainers[1].volumeMounts[0].subPath"),
            ),
        ];
        let old = pod(before).spec.unwrap();
        for (name, ephemeral, want) in cases {
            let mut errors = ErrorList::default();
            validate_update(&pod(ephemeral).spec.unwrap(), &old, &mut errors);
            let fields: Vec<_> = errors.into_causes().into_iter().map(|cause| cause.field).collect();
            assert_eq!(fields.first().map(String::as_str), want, "{name}: {fields:?}");
        }
    }
}
