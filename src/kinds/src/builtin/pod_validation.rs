//! Upstream's `ValidatePodSpec`, as far as the served fields go.

use super::names;
use crate::Errors;
use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec, Probe, Toleration, Volume};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::{BTreeSet, HashSet};

pub(super) fn template(template: &PodTemplateSpec, at: &str, errors: &mut Errors) {
    let labels = template.metadata.as_ref().and_then(|m| m.labels.as_ref());
    crate::meta::labels(labels, &format!("{at}.metadata.labels"), errors);
    let none = PodSpec::default();
    let given = template.spec.as_ref().unwrap_or(&none);
    spec(given, &format!("{at}.spec"), errors);
    if let Some(policy) = given.restart_policy.as_deref().filter(|p| *p != "Always" && !p.is_empty()) {
        errors.not_supported(format!("{at}.spec.restartPolicy"), policy, &["Always"]);
    }
}

pub(super) fn spec(spec: &PodSpec, at: &str, errors: &mut Errors) {
    let mut volumes = BTreeSet::new();
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        self::volume(volume, &format!("{at}.volumes[{index}]"), &mut volumes, errors);
    }
    if spec.containers.is_empty() {
        errors.required(format!("{at}.containers"), "");
    }
    let mut seen = HashSet::new();
    for (index, container) in spec.containers.iter().enumerate() {
        self::container(container, &format!("{at}.containers[{index}]"), &volumes, &mut seen, errors);
    }
    for (index, container) in spec.init_containers.iter().flatten().enumerate() {
        let at = format!("{at}.initContainers[{index}]");
        self::container(container, &at, &volumes, &mut seen, errors);
        if container.restart_policy.as_deref() != Some("Always") && container.readiness_probe.is_some() {
            errors.forbidden(
                format!("{at}.readinessProbe"),
                "may not be set for init containers without restartPolicy=Always",
            );
        }
    }
    host_ports(spec, at, errors);
    one_of(
        spec.restart_policy.as_deref(),
        &format!("{at}.restartPolicy"),
        &["Always", "OnFailure", "Never"],
        errors,
    );
    let dns = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    one_of(spec.dns_policy.as_deref(), &format!("{at}.dnsPolicy"), &dns, errors);
    if spec.termination_grace_period_seconds.is_some_and(|s| s < 0) {
        let value = spec.termination_grace_period_seconds;
        errors.invalid(
            format!("{at}.terminationGracePeriodSeconds"),
            value,
            "must be greater than or equal to 0",
        );
    }
    if spec.active_deadline_seconds.is_some_and(|s| s < 1) {
        errors.invalid(
            format!("{at}.activeDeadlineSeconds"),
            spec.active_deadline_seconds,
            "must be between 1 and 2147483647, inclusive",
        );
    }
    for (field, name) in [("hostname", &spec.hostname), ("subdomain", &spec.subdomain)] {
        if let Some(Err(why)) = name.as_deref().filter(|n| !n.is_empty()).map(names::dns_label) {
            errors.invalid(format!("{at}.{field}"), name.clone(), why);
        }
    }
    crate::meta::labels(spec.node_selector.as_ref(), &format!("{at}.nodeSelector"), errors);
    if let Some(Err(why)) =
        spec.service_account_name.as_deref().filter(|n| !n.is_empty()).map(names::dns_subdomain)
    {
        errors.invalid(format!("{at}.serviceAccountName"), spec.service_account_name.clone(), why);
    }
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        errors.invalid(
            format!("{at}.shareProcessNamespace"),
            true,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        );
    }
    for (index, toleration) in spec.tolerations.iter().flatten().enumerate() {
        self::toleration(toleration, &format!("{at}.tolerations[{index}]"), errors);
    }
}

fn one_of(value: Option<&str>, field: &str, known: &[&str], errors: &mut Errors) {
    match value.unwrap_or_default() {
        "" => errors.required(field, ""),
        value if !known.contains(&value) => errors.not_supported(field, value, known),
        _ => {}
    }
}

fn toleration(toleration: &Toleration, at: &str, errors: &mut Errors) {
    let operator = toleration.operator.as_deref().unwrap_or("Equal");
    if toleration.key.as_deref().unwrap_or_default().is_empty() && operator != "Exists" {
        errors.invalid(
            format!("{at}.operator"),
            operator,
            "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
        );
    }
    if !["Equal", "Exists"].contains(&operator) {
        errors.not_supported(format!("{at}.operator"), operator, &["Equal", "Exists"]);
    }
    if toleration.toleration_seconds.is_some() && toleration.effect.as_deref() != Some("NoExecute") {
        errors.invalid(
            format!("{at}.effect"),
            toleration.effect.clone(),
            "effect must be 'NoExecute' when `tolerationSeconds` is set",
        );
    }
}

fn volume<'v>(volume: &'v Volume, at: &str, seen: &mut BTreeSet<&'v str>, errors: &mut Errors) {
    let name = volume.name.as_str();
    if name.is_empty() {
        errors.required(format!("{at}.name"), "");
    } else if let Err(why) = names::dns_label(name) {
        errors.invalid(format!("{at}.name"), name, why);
    }
    if !seen.insert(name) {
        errors.duplicate(format!("{at}.name"), name);
    }
    if let Some(path) = &volume.host_path {
        if path.path.is_empty() {
            errors.required(format!("{at}.hostPath.path"), "");
        }
        if path.path.split('/').any(|part| part == "..") {
            errors.invalid(format!("{at}.hostPath.path"), path.path.as_str(), "must not contain '..'");
        }
    }
    if volume.config_map.as_ref().is_some_and(|c| c.name.is_empty()) {
        errors.required(format!("{at}.configMap.name"), "");
    }
    if volume.secret.as_ref().is_some_and(|s| s.secret_name.as_deref().unwrap_or_default().is_empty()) {
        errors.required(format!("{at}.secret.secretName"), "");
    }
}

fn container<'c>(
    container: &'c Container,
    at: &str,
    volumes: &BTreeSet<&str>,
    seen: &mut HashSet<&'c str>,
    errors: &mut Errors,
) {
    let name = container.name.as_str();
    if name.is_empty() {
        errors.required(format!("{at}.name"), "");
    } else if let Err(why) = names::dns_label(name) {
        errors.invalid(format!("{at}.name"), name, why);
    } else if !seen.insert(name) {
        errors.duplicate(format!("{at}.name"), name);
    }
    match container.image.as_deref().unwrap_or_default() {
        "" => errors.required(format!("{at}.image"), ""),
        image if image.trim() != image => {
            errors.invalid(format!("{at}.image"), image, "must not have leading or trailing whitespace")
        }
        _ => {}
    }
    let policies = ["Always", "IfNotPresent", "Never"];
    one_of(container.image_pull_policy.as_deref(), &format!("{at}.imagePullPolicy"), &policies, errors);
    ports(container, at, errors);
    for (index, variable) in container.env.iter().flatten().enumerate() {
        let at = format!("{at}.env[{index}]");
        if variable.name.is_empty() {
            errors.required(format!("{at}.name"), "");
        } else if let Err(why) = names::environment_variable(&variable.name) {
            errors.invalid(format!("{at}.name"), variable.name.as_str(), why);
        }
        let value = variable.value.as_deref().unwrap_or_default();
        if variable.value_from.is_some() && !value.is_empty() {
            errors.invalid(format!("{at}.valueFrom"), "", "may not be specified when `value` is not empty");
        }
    }
    mounts(container, at, volumes, errors);
    resources(container, at, errors);
    let probes = [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ];
    for (field, probe) in probes {
        if let Some(probe) = probe {
            self::probe(probe, &format!("{at}.{field}"), field != "readinessProbe", errors);
        }
    }
}

fn ports(container: &Container, at: &str, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for (index, port) in container.ports.iter().flatten().enumerate() {
        let at = format!("{at}.ports[{index}]");
        if let Some(name) = port.name.as_deref().filter(|n| !n.is_empty()) {
            if let Err(why) = names::port_name(name) {
                errors.invalid(format!("{at}.name"), name, why);
            } else if !seen.insert(name) {
                errors.duplicate(format!("{at}.name"), name);
            }
        }
        if !(1..=65535).contains(&port.container_port) {
            errors.invalid(
                format!("{at}.containerPort"),
                port.container_port,
                "must be between 1 and 65535, inclusive",
            );
        }
        if let Some(number) = port.host_port.filter(|p| *p != 0 && !(1..=65535).contains(p)) {
            errors.invalid(format!("{at}.hostPort"), number, "must be between 1 and 65535, inclusive");
        }
        one_of(port.protocol.as_deref(), &format!("{at}.protocol"), &["SCTP", "TCP", "UDP"], errors);
    }
}

fn host_ports(spec: &PodSpec, at: &str, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for (c, container) in spec.containers.iter().enumerate() {
        for (p, port) in container.ports.iter().flatten().enumerate() {
            let Some(number) = port.host_port.filter(|n| *n != 0) else { continue };
            let field = format!("{at}.containers[{c}].ports[{p}].hostPort");
            if spec.host_network == Some(true) && number != port.container_port {
                errors.invalid(
                    format!("{at}.containers[{c}].ports[{p}].containerPort"),
                    port.container_port,
                    "must match `hostPort` when `hostNetwork` is true",
                );
            }
            let what = (port.host_ip.clone(), port.protocol.clone(), number);
            if !seen.insert(what) {
                let ip = port.host_ip.clone().unwrap_or_default();
                errors
                    .duplicate(field, format!("{}/{ip}/{number}", port.protocol.as_deref().unwrap_or("TCP")));
            }
        }
    }
}

fn mounts(container: &Container, at: &str, volumes: &BTreeSet<&str>, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let at = format!("{at}.volumeMounts[{index}]");
        if mount.name.is_empty() {
            errors.required(format!("{at}.name"), "");
        } else if !volumes.contains(mount.name.as_str()) {
            errors.not_found(format!("{at}.name"), mount.name.as_str());
        }
        if mount.mount_path.is_empty() {
            errors.required(format!("{at}.mountPath"), "");
        }
        if !seen.insert(mount.mount_path.as_str()) {
            errors.invalid(format!("{at}.mountPath"), mount.mount_path.as_str(), "must be unique");
        }
        let sub = mount.sub_path.as_deref().unwrap_or_default();
        if sub.starts_with('/') {
            errors.invalid(format!("{at}.subPath"), sub, "must be a relative path");
        }
        if sub.split('/').any(|part| part == "..") {
            errors.invalid(format!("{at}.subPath"), sub, "must not contain '..'");
        }
    }
}

fn resources(container: &Container, at: &str, errors: &mut Errors) {
    let Some(resources) = &container.resources else { return };
    for (field, list) in [("limits", &resources.limits), ("requests", &resources.requests)] {
        for (name, amount) in list.iter().flatten() {
            let at = format!("{at}.resources.{field}[{name}]");
            match amount.0.parse::<Quantity>() {
                Ok(amount) if amount.is_negative() => {
                    errors.invalid(at, amount.to_string(), "must be greater than or equal to 0");
                }
                Ok(_) => {}
                Err(why) => errors.invalid(at, amount.0.as_str(), why),
            }
        }
    }
    for (name, request) in resources.requests.iter().flatten() {
        let limit =
            resources.limits.as_ref().and_then(|l| l.get(name)).and_then(|l| l.0.parse::<Quantity>().ok());
        if let (Some(limit), Ok(asked)) = (limit, request.0.parse::<Quantity>())
            && asked > limit
        {
            errors.invalid(
                format!("{at}.resources.requests"),
                request.0.as_str(),
                format!("must be less than or equal to {name} limit of {limit}"),
            );
        }
    }
}

fn probe(probe: &Probe, at: &str, success_once: bool, errors: &mut Errors) {
    let handlers =
        [probe.exec.is_some(), probe.http_get.is_some(), probe.tcp_socket.is_some(), probe.grpc.is_some()];
    match handlers.iter().filter(|there| **there).count() {
        0 => errors.required(at, "must specify a handler type"),
        1 => {}
        _ => errors.forbidden(at, "may not specify more than 1 handler type"),
    }
    if probe.exec.as_ref().is_some_and(|e| e.command.as_ref().is_none_or(Vec::is_empty)) {
        errors.required(format!("{at}.exec.command"), "");
    }
    for (field, port) in [
        ("httpGet", probe.http_get.as_ref().map(|h| &h.port)),
        ("tcpSocket", probe.tcp_socket.as_ref().map(|t| &t.port)),
    ] {
        if let Some(IntOrString::Int(number)) = port
            && !(1..=65535).contains(number)
        {
            errors.invalid(format!("{at}.{field}.port"), *number, "must be between 1 and 65535, inclusive");
        }
    }
    for (field, number) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        if let Some(number) = number.filter(|n| *n < 0) {
            errors.invalid(format!("{at}.{field}"), number, "must be greater than or equal to 0");
        }
    }
    if success_once && probe.success_threshold.is_some_and(|n| n > 1) {
        errors.invalid(format!("{at}.successThreshold"), probe.success_threshold, "must be 1");
    }
}

const UPDATE_MESSAGE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Puts what may change back to what it was; whatever differs then may not.
pub(super) fn update(new: Option<&PodSpec>, old: Option<&PodSpec>, errors: &mut Errors) {
    let (Some(new), Some(old)) = (new, old) else { return };
    let mut same = new.clone();
    let pairs = same.containers.iter_mut().zip(&old.containers);
    let init = same.init_containers.iter_mut().flatten().zip(old.init_containers.iter().flatten());
    for (container, before) in pairs.chain(init) {
        container.image.clone_from(&before.image);
    }
    same.active_deadline_seconds = old.active_deadline_seconds;
    let before = old.tolerations.as_deref().unwrap_or_default();
    if before.iter().all(|t| new.tolerations.iter().flatten().any(|n| n == t)) {
        same.tolerations.clone_from(&old.tolerations);
    }
    // the binding subresource sets it once
    if old.node_name.as_deref().unwrap_or_default().is_empty() {
        same.node_name.clone_from(&old.node_name);
    }
    if same != *old {
        errors.forbidden("spec", UPDATE_MESSAGE);
    }
}
