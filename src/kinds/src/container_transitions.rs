//! Containers that have ended, as a pod's status tells of them: which of them may run again. A writer of a status is refused who
//! tells otherwise, and the kubelet, which knows the same rules, does not.

use k8s_openapi::api::core::v1::{
    Container, ContainerRestartRule, ContainerState, ContainerStatus, PodSpec, PodStatus,
};
use std::collections::{BTreeMap, BTreeSet};

/// Of which containers a list of a status tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Main,
    Init,
    Ephemeral,
}

/// The places in `old` of those that had ended there and have not in `new`, though nothing starts them again: upstream's
/// `ValidateContainerStateTransition` and its like for the two other groups. Who is not in the pod never starts again.
pub fn revived(spec: &PodSpec, group: Group, new: &[ContainerStatus], old: &[ContainerStatus]) -> Vec<usize> {
    let ended = old.iter().enumerate();
    let mut ended = ended.filter_map(|(place, old)| Some((place, old, exit_code(old)?))).peekable();
    if ended.peek().is_none() || (group != Group::Ephemeral && any_restarts_all(spec)) {
        return Vec::new();
    }
    let go_on: BTreeSet<&str> =
        new.iter().filter(|new| exit_code(new).is_none()).map(|new| new.name.as_str()).collect();
    let containers: &[Container] = match group {
        Group::Main => &spec.containers,
        Group::Init => spec.init_containers.as_deref().unwrap_or_default(),
        // the kubelet never starts one twice
        Group::Ephemeral => &[],
    };
    let containers: BTreeMap<&str, &Container> = containers.iter().map(|c| (c.name.as_str(), c)).collect();
    let is_revived = |old: &ContainerStatus, exit_code: i32| {
        let restarts = containers.get(old.name.as_str()).is_some_and(|c| should_restart(spec, c, exit_code));
        go_on.contains(old.name.as_str()) && !restarts
    };
    ended.filter(|(_, old, exit_code)| is_revived(old, *exit_code)).map(|(place, ..)| place).collect()
}

/// Tells of containers that may not leave their end what was told last. One may run again all the same: an init container does where
/// its pod gets a new sandbox.
pub fn keep_ended(spec: &PodSpec, new: &mut PodStatus, old: &PodStatus) {
    for (group, new, old) in [
        (Group::Main, &mut new.container_statuses, &old.container_statuses),
        (Group::Init, &mut new.init_container_statuses, &old.init_container_statuses),
        (Group::Ephemeral, &mut new.ephemeral_container_statuses, &old.ephemeral_container_statuses),
    ] {
        let (Some(new), Some(old)) = (new, old) else { continue };
        for place in revived(spec, group, new, old) {
            for new in new.iter_mut().filter(|new| new.name == old[place].name && exit_code(new).is_none()) {
                new.state.clone_from(&old[place].state);
            }
        }
    }
}

/// Of one that has ended.
fn exit_code(status: &ContainerStatus) -> Option<i32> {
    let ContainerState { terminated, .. } = status.state.as_ref()?;
    terminated.as_ref().map(|terminated| terminated.exit_code)
}

/// Upstream's `AllContainersCouldRestart`: one may end in a way that starts all of them again (KEP-5532).
fn any_restarts_all(spec: &PodSpec) -> bool {
    let mut rules = spec
        .containers
        .iter()
        .chain(spec.init_containers.iter().flatten())
        .flat_map(|container| container.restart_policy_rules.iter().flatten());
    rules.any(|rule| rule.action == "RestartAllContainers")
}

/// Upstream's `ContainerShouldRestart` (KEP-5307). Of an init container without a policy of its own the pod's is asked as well: one
/// that succeeded in a pod that always restarts may run again.
fn should_restart(spec: &PodSpec, container: &Container, exit_code: i32) -> bool {
    if container.restart_policy_rules.iter().flatten().any(|rule| restarts(rule, exit_code)) {
        return true;
    }
    match container.restart_policy.as_deref().or(spec.restart_policy.as_deref()) {
        Some("Never") => false,
        Some("OnFailure") => exit_code != 0,
        _ => true,
    }
}

/// Whether the rule has a container that ended so started again, whatever its policy says (KEP-5307).
pub fn restarts(rule: &ContainerRestartRule, exit_code: i32) -> bool {
    let Some(codes) = rule.exit_codes.as_ref().filter(|_| rule.action == "Restart") else { return false };
    let is_listed = codes.values.iter().flatten().any(|code| *code == exit_code);
    match codes.operator.as_str() {
        "In" => is_listed,
        "NotIn" => !is_listed,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn spec(policy: &str, more: Value) -> PodSpec {
        let container = |name: &str, more: &Value| {
            let mut container = json!({"name": name});
            container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            container
        };
        serde_json::from_value(json!({"restartPolicy": policy, "containers": [container("c", &more)],
            "initContainers": [container("c", &more)]}))
        .unwrap()
    }

    fn ended(exit_code: i32) -> Value {
        json!({"terminated": {"exitCode": exit_code}})
    }

    fn told(name: &str, state: Value) -> ContainerStatus {
        serde_json::from_value(json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}))
            .unwrap()
    }

    #[test]
    fn who_may_run_again() {
        let rule = |action: &str| json!({"restartPolicy": "Never", "restartPolicyRules": [{"action": action, "exitCodes": {"operator": "In", "values": [42]}}]});
        let (none, sidecar) = (json!({}), json!({"restartPolicy": "Always"}));
        use Group::{Ephemeral, Init, Main};
        for (name, policy, own, group, exit_code, may) in [
            ("of a pod that always restarts", "Always", &none, Main, 0, true),
            ("that failed, on failure", "OnFailure", &none, Main, 1, true),
            ("that succeeded, on failure", "OnFailure", &none, Main, 0, false),
            ("that failed, never", "Never", &none, Main, 1, false),
            ("an init container of a pod that always restarts", "Always", &none, Init, 0, true),
            ("an init container that succeeded", "OnFailure", &none, Init, 0, false),
            ("an init container that failed, never", "Never", &none, Init, 1, false),
            ("a sidecar", "Never", &sidecar, Init, 0, true),
            ("by its own policy", "Never", &sidecar, Main, 0, true),
            ("against its own policy", "Always", &json!({"restartPolicy": "Never"}), Main, 1, false),
            ("by its rule", "Never", &rule("Restart"), Main, 42, true),
            ("not by its rule", "Always", &rule("Restart"), Main, 1, false),
            ("all, by a rule", "Never", &rule("RestartAllContainers"), Main, 0, true),
            ("one that looked into it", "Always", &sidecar, Ephemeral, 1, false),
        ] {
            let old = [told("first", json!({"running": {}})), told("c", ended(exit_code))];
            let new = [told("c", json!({"running": {}}))];
            let want = if may { vec![] } else { vec![1] };
            assert_eq!(revived(&spec(policy, own.clone()), group, &new, &old), want, "{name}");
        }
    }

    #[test]
    fn an_end_stays_an_end() {
        let never = spec("Never", json!({}));
        for (name, new, want) in [
            ("another code", vec![told("c", ended(2))], vec![]),
            ("it is not told of any more", vec![], vec![]),
            ("it waits", vec![told("c", json!({"waiting": {}}))], vec![0]),
            ("nothing is told", vec![told("c", json!({}))], vec![0]),
            ("once is enough", vec![told("c", ended(2)), told("c", json!({"running": {}}))], vec![0]),
        ] {
            assert_eq!(revived(&never, Group::Main, &new, &[told("c", ended(1))]), want, "{name}");
        }
        let stranger = |state| [told("who", state)];
        let always = spec("Always", json!({}));
        assert_eq!(revived(&always, Group::Main, &stranger(json!({})), &stranger(ended(0))), [0]);
    }

    #[test]
    fn what_was_told_last_is_kept() {
        let status = |main: Value, init: Value| PodStatus {
            container_statuses: Some(vec![told("c", main)]),
            init_container_statuses: Some(vec![told("c", init)]),
            ..PodStatus::default()
        };
        let mut new = status(json!({"waiting": {}}), json!({"running": {}}));
        keep_ended(&spec("OnFailure", json!({})), &mut new, &status(ended(1), ended(0)));
        assert_eq!(new, status(json!({"waiting": {}}), ended(0)));
    }
}
