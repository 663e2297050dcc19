//! What upstream's `SetDefaults_PodSpec` and its relatives fill in.

use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec, Probe, Volume};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

const GRACE_SECONDS: i64 = 30;
const FILE_MODE: i32 = 0o644;
const TERMINATION_LOG: &str = "/dev/termination-log";

pub(super) fn template(template: &mut PodTemplateSpec) {
    spec(template.spec.get_or_insert_default());
}

pub(super) fn spec(spec: &mut PodSpec) {
    let text = |field: &mut Option<String>, value: &str| {
        field.get_or_insert_with(|| value.to_owned());
    };
    text(&mut spec.dns_policy, "ClusterFirst");
    text(&mut spec.restart_policy, "Always");
    text(&mut spec.scheduler_name, "default-scheduler");
    spec.termination_grace_period_seconds.get_or_insert(GRACE_SECONDS);
    spec.security_context.get_or_insert_default();
    match (&spec.service_account_name, &spec.service_account) {
        (Some(name), _) if !name.is_empty() => spec.service_account = Some(name.clone()),
        (_, Some(name)) if !name.is_empty() => spec.service_account_name = Some(name.clone()),
        _ => {}
    }
    let host_network = spec.host_network == Some(true);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        container_defaults(container, host_network);
    }
    for volume in spec.volumes.iter_mut().flatten() {
        volume_defaults(volume);
    }
}

fn container_defaults(container: &mut Container, host_network: bool) {
    container.termination_message_path.get_or_insert_with(|| TERMINATION_LOG.to_owned());
    container.termination_message_policy.get_or_insert_with(|| "File".to_owned());
    if container.image_pull_policy.as_ref().is_none_or(String::is_empty) {
        let policy =
            if is_latest(container.image.as_deref().unwrap_or_default()) { "Always" } else { "IfNotPresent" };
        container.image_pull_policy = Some(policy.to_owned());
    }
    let resources = container.resources.get_or_insert_default();
    if let Some(limits) = &resources.limits {
        let requests = resources.requests.get_or_insert_default();
        for (name, limit) in limits {
            requests.entry(name.clone()).or_insert_with(|| limit.clone());
        }
    }
    for port in container.ports.iter_mut().flatten() {
        port.protocol.get_or_insert_with(|| "TCP".to_owned());
        if host_network {
            port.host_port.get_or_insert(port.container_port);
        }
    }
    for field in container.env.iter_mut().flatten().filter_map(|e| e.value_from.as_mut()?.field_ref.as_mut())
    {
        field.api_version.get_or_insert_with(|| "v1".to_owned());
    }
    let probes =
        [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe];
    for probe in probes.into_iter().flatten() {
        probe_defaults(probe);
    }
}

/// No tag means `latest`; a digest is never latest.
fn is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn probe_defaults(probe: &mut Probe) {
    probe.timeout_seconds.get_or_insert(1);
    probe.period_seconds.get_or_insert(10);
    probe.success_threshold.get_or_insert(1);
    probe.failure_threshold.get_or_insert(3);
    if let Some(http) = probe.http_get.as_mut() {
        http.scheme.get_or_insert_with(|| "HTTP".to_owned());
        http.path.get_or_insert_with(|| "/".to_owned());
        if http.port == IntOrString::String(String::new()) {
            http.port = IntOrString::Int(0);
        }
    }
}

fn volume_defaults(volume: &mut Volume) {
    if let Some(secret) = volume.secret.as_mut() {
        secret.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(map) = volume.config_map.as_mut() {
        map.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(api) = volume.downward_api.as_mut() {
        api.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(projected) = volume.projected.as_mut() {
        projected.default_mode.get_or_insert(FILE_MODE);
        let tokens = projected.sources.iter_mut().flatten().filter_map(|s| s.service_account_token.as_mut());
        for token in tokens {
            token.expiration_seconds.get_or_insert(3600);
        }
    }
    if let Some(path) = volume.host_path.as_mut() {
        path.type_.get_or_insert_default();
    }
}
