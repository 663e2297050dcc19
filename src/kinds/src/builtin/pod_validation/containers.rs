//! What every container is asked, and what only those that run before the others.

use super::super::checks::{list, one_of, required, text};
use super::super::names;
use super::{Around, Of, env, mounts, ports, probes, resources, restarts, security};
use crate::ErrorList;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use std::collections::BTreeSet;

const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
const MESSAGE_POLICIES: [&str; 2] = ["File", "FallbackToLogsOnError"];

pub(super) fn containers(containers: &[Container], at: &str, around: &Around<'_>, errors: &mut ErrorList) {
    if containers.is_empty() {
        return errors.required(at, "");
    }
    let mut seen = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        let at = format!("{at}[{index}]");
        common(container, &at, around, errors);
        if !seen.insert(container.name.as_str()) {
            errors.duplicate(format_args!("{at}.name"), container.name.as_str());
        }
        lifecycle_and_probes(container, &at, around, errors);
    }
    ports::host_ports(containers, at, errors);
}

pub(super) fn init_containers(spec: &PodSpec, at: &str, around: &Around<'_>, errors: &mut ErrorList) {
    let mut seen: BTreeSet<&str> = spec.containers.iter().map(|c| c.name.as_str()).collect();
    for (index, container) in list(&spec.init_containers).iter().enumerate() {
        let list_at = at;
        let at = format!("{at}[{index}]");
        common(container, &at, around, errors);
        if !container.name.is_empty() && !seen.insert(&container.name) {
            errors.duplicate(format_args!("{at}.name"), container.name.as_str());
        }
        // one by one: they do not run at the same time
        ports::host_ports_of(container, list_at, index, &mut BTreeSet::new(), errors);
        if container.restart_policy.as_deref() == Some("Always") {
            lifecycle_and_probes(container, &at, around, errors);
            continue;
        }
        for (field, is_set) in [
            ("lifecycle", container.lifecycle.is_some()),
            ("livenessProbe", container.liveness_probe.is_some()),
            ("readinessProbe", container.readiness_probe.is_some()),
            ("startupProbe", container.startup_probe.is_some()),
        ] {
            if is_set {
                errors.forbidden(
                    format_args!("{at}.{field}"),
                    "may not be set for init containers without restartPolicy=Always",
                );
            }
        }
    }
}

/// Those that were added to a pod that is there; `pod_ephemeral` has what only they are asked.
pub(super) fn ephemeral_containers(spec: &PodSpec, at: &str, around: &Around<'_>, errors: &mut ErrorList) {
    for (index, container) in crate::pod::ephemeral_containers(spec).iter().enumerate() {
        common(container, &format!("{at}[{index}]"), around, errors);
    }
}

fn common(container: &Container, at: &str, around: &Around<'_>, errors: &mut ErrorList) {
    required(names::dns_label, &container.name, format_args!("{at}.name"), errors);
    match text(&container.image) {
        "" => errors.required(format_args!("{at}.image"), ""),
        // templates have been seen with a blank for "filled in later"
        image if around.of == Of::Pod && image.trim() != image => {
            errors.invalid(format_args!("{at}.image"), image, "must not have leading or trailing whitespace")
        }
        _ => {}
    }
    one_of(
        text(&container.termination_message_policy),
        &MESSAGE_POLICIES,
        format_args!("{at}.terminationMessagePolicy"),
        errors,
    );
    ports::ports(list(&container.ports), &format!("{at}.ports"), errors);
    env::variables(list(&container.env), around, &format!("{at}.env"), errors);
    env::from(list(&container.env_from), &format!("{at}.envFrom"), errors);
    mounts::mounts(container, at, around, errors);
    mounts::devices(container, at, around, errors);
    pull_policy(text(&container.image_pull_policy), format_args!("{at}.imagePullPolicy"), errors);
    if let Some(given) = &container.resources {
        resources::of_container(given, &around.claims, &format!("{at}.resources"), errors);
    }
    let resize = list(&container.resize_policy);
    resources::resize_policies(resize, around.restart_policy, &format!("{at}.resizePolicy"), errors);
    restarts::of_container(container, at, errors);
    if let Some(context) = &container.security_context {
        security::of_container(context, around.host_users, &format!("{at}.securityContext"), errors);
    }
}

fn lifecycle_and_probes(container: &Container, at: &str, around: &Around<'_>, errors: &mut ErrorList) {
    if let Some(lifecycle) = &container.lifecycle {
        probes::lifecycle(lifecycle, around.grace, &format!("{at}.lifecycle"), errors);
    }
    if let Some(probe) = &container.liveness_probe {
        probes::liveness(probe, &format!("{at}.livenessProbe"), errors);
    }
    if let Some(probe) = &container.readiness_probe {
        probes::readiness(probe, &format!("{at}.readinessProbe"), errors);
    }
    if let Some(probe) = &container.startup_probe {
        probes::liveness(probe, &format!("{at}.startupProbe"), errors);
    }
}

pub(super) fn pull_policy(policy: &str, field: impl std::fmt::Display, errors: &mut ErrorList) {
    one_of(policy, &PULL_POLICIES, field, errors);
}
