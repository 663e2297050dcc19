//! What upstream's `SetDefaults_PodSpec` and its relatives fill in: [`spec`] in every pod and template, [`pod`] in pods
//! only.

use super::amounts::{as_written, round_up};
use super::checks::text;
use super::fill::{self, drop_empty, drop_empty_map, drop_zero};
use super::pod_validation::has_source;
use k8s_openapi::api::core::v1::{
    Container, ContainerPort, DownwardAPIVolumeFile, EmptyDirVolumeSource, HTTPGetAction, LifecycleHandler,
    PodSpec, PodTemplateSpec, Probe, ResourceFieldSelector, ResourceRequirements, Volume,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;

const GRACE_SECONDS: i64 = 30;
const FILE_MODE: i32 = 0o644;
const TERMINATION_LOG: &str = "/dev/termination-log";
const TOKEN_SECONDS: i64 = 3600;

pub(super) fn template(template: &mut PodTemplateSpec) {
    spec(template.spec.get_or_insert_default());
}

/// Not in templates, which say what the pods that are made of them leave open.
pub(super) fn pod(spec: &mut PodSpec) {
    self::spec(spec);
    spec.enable_service_links.get_or_insert(true);
    let host_network = spec.host_network == Some(true);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        if let Some(resources) = &mut container.resources {
            requests_from_limits(resources);
        }
        if host_network {
            container.ports.iter_mut().flatten().for_each(port_of_the_host);
        }
    }
    pod_level_requests(spec);
}

pub(super) fn spec(spec: &mut PodSpec) {
    fill::text(&mut spec.dns_policy, "ClusterFirst");
    fill::text(&mut spec.restart_policy, "Always");
    fill::text(&mut spec.scheduler_name, "default-scheduler");
    spec.termination_grace_period_seconds.get_or_insert(GRACE_SECONDS);
    spec.security_context.get_or_insert_default();
    match (text(&spec.service_account_name), text(&spec.service_account)) {
        ("", "") => {}
        ("", old) => spec.service_account_name = Some(old.to_owned()),
        (name, _) => spec.service_account = Some(name.to_owned()),
    }
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        container_defaults(container);
    }
    spec.volumes.iter_mut().flatten().for_each(volume_defaults);
    spec.overhead.iter_mut().for_each(round_up);
    if let Some(resources) = &mut spec.resources {
        resources.limits.iter_mut().for_each(round_up);
        resources.requests.iter_mut().for_each(round_up);
    }
}

pub(super) fn container_defaults(container: &mut Container) {
    fill::text(&mut container.termination_message_path, TERMINATION_LOG);
    fill::text(&mut container.termination_message_policy, "File");
    let image = text(&container.image).to_owned();
    fill::text(&mut container.image_pull_policy, pull_policy(&image));
    let resources = container.resources.get_or_insert_default();
    resources.limits.iter_mut().for_each(round_up);
    resources.requests.iter_mut().for_each(round_up);
    for port in container.ports.iter_mut().flatten() {
        fill::text(&mut port.protocol, "TCP");
    }
    for source in container.env.iter_mut().flatten().filter_map(|e| e.value_from.as_mut()) {
        if let Some(field) = &mut source.field_ref {
            fill::text(&mut field.api_version, "v1");
        }
        source.resource_field_ref.iter_mut().for_each(divisor);
    }
    let probes =
        [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe];
    probes.into_iter().flatten().for_each(probe_defaults);
    if let Some(lifecycle) = &mut container.lifecycle {
        let hooks = [&mut lifecycle.post_start, &mut lifecycle.pre_stop];
        hooks.into_iter().flatten().for_each(|hook: &mut LifecycleHandler| {
            hook.http_get.iter_mut().for_each(http_defaults);
        });
    }
}

fn requests_from_limits(resources: &mut ResourceRequirements) {
    let Some(limits) = &resources.limits else { return };
    let requests = resources.requests.get_or_insert_default();
    for (name, limit) in limits {
        requests.entry(name.clone()).or_insert_with(|| limit.clone());
    }
}

fn port_of_the_host(port: &mut ContainerPort) {
    fill::number(&mut port.host_port, port.container_port);
}

/// KEP-2837: what the containers ask for together; where they ask for nothing, what the pod may have at most.
fn pod_level_requests(spec: &mut PodSpec) {
    let Some(limits) = spec.resources.as_ref().and_then(|r| r.limits.clone()).filter(|l| !l.is_empty())
    else {
        return;
    };
    let containers = crate::pod::requests_of_containers(spec);
    let requests = spec.resources.get_or_insert_default().requests.get_or_insert_default();
    for (name, sum) in containers.iter().filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory")) {
        requests.entry(name.clone()).or_insert_with(|| Amount(sum.to_string()));
    }
    for (name, limit) in limits {
        requests.entry(name).or_insert(limit);
    }
}

fn divisor(selector: &mut ResourceFieldSelector) {
    let divisor = selector.divisor.get_or_insert_with(|| Amount("0".to_owned()));
    as_written(divisor);
}

/// No tag means `latest`; a digest without a tag is never latest.
fn pull_policy(image: &str) -> &'static str {
    let (named, digest) =
        image.split_once('@').map_or((image, None), |(named, digest)| (named, Some(digest)));
    let tag = named.rsplit('/').next().unwrap_or_default().split_once(':').map(|(_, tag)| tag);
    match tag.or(digest.is_none().then_some("latest")) {
        Some("latest") => "Always",
        _ => "IfNotPresent",
    }
}

fn probe_defaults(probe: &mut Probe) {
    fill::number(&mut probe.timeout_seconds, 1);
    fill::number(&mut probe.period_seconds, 10);
    fill::number(&mut probe.success_threshold, 1);
    fill::number(&mut probe.failure_threshold, 3);
    probe.http_get.iter_mut().for_each(http_defaults);
    if let Some(grpc) = &mut probe.grpc {
        grpc.service.get_or_insert_default();
    }
}

fn http_defaults(get: &mut HTTPGetAction) {
    fill::text(&mut get.scheme, "HTTP");
    fill::text(&mut get.path, "/");
}

fn volume_defaults(volume: &mut Volume) {
    if !has_source(volume) {
        volume.empty_dir = Some(EmptyDirVolumeSource::default());
    }
    if let Some(secret) = volume.secret.as_mut() {
        secret.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(map) = volume.config_map.as_mut() {
        map.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(api) = volume.downward_api.as_mut() {
        api.default_mode.get_or_insert(FILE_MODE);
        api.items.iter_mut().flatten().for_each(downward_defaults);
    }
    if let Some(limit) = volume.empty_dir.as_mut().and_then(|directory| directory.size_limit.as_mut()) {
        as_written(limit);
    }
    if let Some(projected) = volume.projected.as_mut() {
        projected.default_mode.get_or_insert(FILE_MODE);
        for source in projected.sources.iter_mut().flatten() {
            if let Some(token) = source.service_account_token.as_mut() {
                token.expiration_seconds.get_or_insert(TOKEN_SECONDS);
            }
            let items = source.downward_api.as_mut().and_then(|api| api.items.as_mut());
            items.into_iter().flatten().for_each(downward_defaults);
        }
    }
    if let Some(path) = volume.host_path.as_mut() {
        path.type_.get_or_insert_default();
    }
    if let Some(image) = volume.image.as_mut() {
        let reference = text(&image.reference).to_owned();
        fill::text(&mut image.pull_policy, pull_policy(&reference));
    }
    plugin_defaults(volume);
}

fn downward_defaults(file: &mut DownwardAPIVolumeFile) {
    if let Some(field) = &mut file.field_ref {
        fill::text(&mut field.api_version, "v1");
    }
    file.resource_field_ref.iter_mut().for_each(divisor);
}

fn plugin_defaults(volume: &mut Volume) {
    if let Some(iscsi) = volume.iscsi.as_mut() {
        fill::text(&mut iscsi.iscsi_interface, "default");
    }
    if let Some(rbd) = volume.rbd.as_mut() {
        fill::text(&mut rbd.pool, "rbd");
        fill::text(&mut rbd.user, "admin");
        fill::text(&mut rbd.keyring, "/etc/ceph/keyring");
    }
    if let Some(disk) = volume.azure_disk.as_mut() {
        disk.caching_mode.get_or_insert_with(|| "ReadWrite".to_owned());
        disk.kind.get_or_insert_with(|| "Shared".to_owned());
        disk.fs_type.get_or_insert_with(|| "ext4".to_owned());
        disk.read_only.get_or_insert(false);
    }
    if let Some(scale) = volume.scale_io.as_mut() {
        fill::text(&mut scale.storage_mode, "ThinProvisioned");
        fill::text(&mut scale.fs_type, "xfs");
    }
    let template = volume.ephemeral.as_mut().and_then(|e| e.volume_claim_template.as_mut());
    if let Some(template) = template {
        super::persistent_volume_claim::spec_defaults(&mut template.spec);
    }
}

/// Whether two templates make the same pods: upstream's `Semantic.DeepEqual`. One that was stored before a default was
/// known, or an amount was written as it is now, or with zeros that are not stored any more, is no other template.
pub fn same_template(one: &PodTemplateSpec, other: &PodTemplateSpec) -> bool {
    let schema = schema::table::named("core.v1.PodTemplateSpec").expect("the table has it");
    let meaning = |of: &PodTemplateSpec| {
        let mut of = of.clone();
        template(&mut of);
        let mut fields = api::json::to_value(&of).expect("a template is JSON");
        schema::drop_zeros(&mut fields, schema);
        fields
    };
    // most templates of a history differ in these, and are taken apart no further
    one == other || images(one).eq(images(other)) && meaning(one) == meaning(other)
}

fn images(template: &PodTemplateSpec) -> impl Iterator<Item = &str> {
    let containers = template.spec.iter().flat_map(|spec| &spec.containers);
    containers.map(|container| container.image.as_deref().unwrap_or_default())
}

/// As Go would read and write it: what says nothing is left out, so that two specs can be compared that mean the same.
pub(super) fn tidy(spec: &mut PodSpec) {
    let flags = [&mut spec.host_network, &mut spec.host_pid, &mut spec.host_ipc];
    flags.into_iter().for_each(drop_zero);
    let texts = [
        &mut spec.node_name,
        &mut spec.hostname,
        &mut spec.subdomain,
        &mut spec.priority_class_name,
        &mut spec.service_account_name,
        &mut spec.service_account,
    ];
    texts.into_iter().for_each(drop_zero);
    drop_empty_map(&mut spec.node_selector);
    drop_empty_map(&mut spec.overhead);
    drop_empty(&mut spec.volumes);
    drop_empty(&mut spec.init_containers);
    drop_empty(&mut spec.ephemeral_containers);
    drop_empty(&mut spec.tolerations);
    drop_empty(&mut spec.host_aliases);
    drop_empty(&mut spec.image_pull_secrets);
    drop_empty(&mut spec.readiness_gates);
    drop_empty(&mut spec.resource_claims);
    drop_empty(&mut spec.scheduling_gates);
    drop_empty(&mut spec.topology_spread_constraints);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        tidy_container(container);
    }
}

fn tidy_container(container: &mut Container) {
    let flags = [&mut container.stdin, &mut container.stdin_once, &mut container.tty];
    flags.into_iter().for_each(drop_zero);
    drop_zero(&mut container.working_dir);
    let texts = [&mut container.args, &mut container.command];
    texts.into_iter().for_each(drop_empty);
    drop_empty(&mut container.env);
    drop_empty(&mut container.env_from);
    drop_empty(&mut container.ports);
    drop_empty(&mut container.volume_mounts);
    drop_empty(&mut container.volume_devices);
    drop_empty(&mut container.resize_policy);
    for variable in container.env.iter_mut().flatten() {
        drop_zero(&mut variable.value);
    }
    for port in container.ports.iter_mut().flatten() {
        drop_zero(&mut port.host_port);
        let texts = [&mut port.name, &mut port.host_ip];
        texts.into_iter().for_each(drop_zero);
    }
    for mount in container.volume_mounts.iter_mut().flatten() {
        drop_zero(&mut mount.read_only);
        let texts = [&mut mount.sub_path, &mut mount.sub_path_expr];
        texts.into_iter().for_each(drop_zero);
    }
    if let Some(resources) = &mut container.resources {
        drop_empty_map(&mut resources.limits);
        drop_empty_map(&mut resources.requests);
        drop_empty(&mut resources.claims);
    }
    let probes =
        [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe];
    probes.into_iter().flatten().for_each(|probe: &mut Probe| drop_zero(&mut probe.initial_delay_seconds));
}
