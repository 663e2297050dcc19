//! Whether a container that has ended is started again: its own rules say so first, then its own policy, then the pod's (KEP-5307).

use crate::pod;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use kinds::container_transitions::restarts;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Always,
    OnFailure,
    Never,
}

impl Policy {
    fn named(name: Option<&str>) -> Self {
        match name {
            Some("Never") => Policy::Never,
            Some("OnFailure") => Policy::OnFailure,
            _ => Policy::Always,
        }
    }
}

pub fn restarts_after(spec: &PodSpec, container: &Container, exit_code: i32) -> bool {
    if container.restart_policy_rules.iter().flatten().any(|rule| restarts(rule, exit_code)) {
        return true;
    }
    match policy_of(spec, container) {
        Policy::Always => true,
        Policy::OnFailure => exit_code != 0,
        Policy::Never => false,
    }
}

/// Nothing of the pod is ever started a second time.
pub fn starts_once(spec: &PodSpec) -> bool {
    let may_restart = |container: &Container| {
        let has_rules = container.restart_policy_rules.as_ref().is_some_and(|rules| !rules.is_empty());
        has_rules || policy_of(spec, container) != Policy::Never
    };
    !pod::all_containers(spec).any(may_restart)
}

fn policy_of(spec: &PodSpec, container: &Container) -> Policy {
    if pod::is_ephemeral(spec, &container.name) {
        return Policy::Never;
    }
    let own = container.restart_policy.as_deref();
    match Policy::named(own.or(spec.restart_policy.as_deref())) {
        // an init container that succeeded is done, unless it goes on beside the others
        Policy::Always if pod::is_init(spec, &container.name) && !pod::is_sidecar(container) => {
            Policy::OnFailure
        }
        policy => policy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn container(own: Value) -> Container {
        serde_json::from_value(own).unwrap()
    }

    fn spec(policy: &str, init: Vec<Container>, containers: Vec<Container>) -> PodSpec {
        let init_containers = Some(init);
        PodSpec { restart_policy: Some(policy.into()), init_containers, containers, ..PodSpec::default() }
    }

    #[test]
    fn rules_come_before_the_own_policy_and_that_before_the_pods() {
        let rule = |operator: &str| json!([{"action": "Restart", "exitCodes": {"operator": operator, "values": [42, 43]}}]);
        let cases: [(&str, &str, Value, [bool; 3]); 8] = [
            // after 0, 1 and 42
            ("the pod's", "Always", json!({}), [true, true, true]),
            ("the pod's", "OnFailure", json!({}), [false, true, true]),
            ("the pod's", "Never", json!({}), [false, false, false]),
            ("its own", "Always", json!({"restartPolicy": "Never"}), [false, false, false]),
            ("its own", "Never", json!({"restartPolicy": "OnFailure"}), [false, true, true]),
            ("its own", "Never", json!({"restartPolicy": "Always"}), [true, true, true]),
            (
                "a rule",
                "Always",
                json!({"restartPolicy": "Never", "restartPolicyRules": rule("In")}),
                [false, false, true],
            ),
            (
                "a rule",
                "Always",
                json!({"restartPolicy": "Never", "restartPolicyRules": rule("NotIn")}),
                [true, true, false],
            ),
        ];
        for (name, policy, mut own, want) in cases {
            own["name"] = "c".into();
            let spec = spec(policy, Vec::new(), vec![container(own.clone())]);
            let got = [0, 1, 42].map(|code| restarts_after(&spec, &spec.containers[0], code));
            assert_eq!(got, want, "{name}: {policy}, {own}");
        }
    }

    #[test]
    fn init_containers_are_done_when_they_succeed_and_sidecars_never() {
        let plain = container(json!({"name": "plain"}));
        let sidecar = container(json!({"name": "sidecar", "restartPolicy": "Always"}));
        let failing = container(json!({"name": "failing", "restartPolicy": "Never"}));
        let spec = spec("Always", vec![plain, sidecar, failing], vec![container(json!({"name": "c"}))]);
        let init = spec.init_containers.as_ref().unwrap();
        let got = |index: usize| [0, 1].map(|code| restarts_after(&spec, &init[index], code));
        assert_eq!([got(0), got(1), got(2)], [[false, true], [true, true], [false, false]]);
        assert!(!starts_once(&spec));
    }

    #[test]
    fn a_pod_of_containers_that_never_restart_starts_once() {
        let never =
            |own: Value| spec("Never", Vec::new(), vec![container(json!({"name": "a"})), container(own)]);
        assert!(starts_once(&never(json!({"name": "b"}))));
        assert!(!starts_once(&never(json!({"name": "b", "restartPolicy": "OnFailure"}))));
        let rules = json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]);
        assert!(!starts_once(&never(
            json!({"name": "b", "restartPolicy": "Never", "restartPolicyRules": rules})
        )));
    }
}
