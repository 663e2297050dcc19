//! Upstream's `ValidatePodSpec` and its relatives (`pkg/apis/core/validation/validation.go`): one file for each part of a
//! pod. What upstream tells of the first fault and what it tells beside it is kept, and the places, so that clients find
//! what they know. Read [`spec`] first.

mod affinity;
mod annotations;
mod bounds;
mod claims;
mod container_status;
mod containers;
mod downward;
mod env;
mod files;
mod mounts;
mod network;
mod ports;
mod probes;
mod projected;
mod resources;
mod restarts;
mod scheduling;
mod security;
mod status;
mod system;
mod tolerations;
mod topology_spread;
mod update;
mod volume_plugins;
mod volumes;
mod windows;

use super::checks::{judged, list, one_of, optional, text, within};
use super::names;
use crate::ErrorList;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, PodTemplateSpec};
use std::collections::BTreeSet;

pub(super) use affinity::term_of_volume;
pub(super) use files::has_backsteps;
pub(super) use resources::{STANDARD, amount, of_overhead as overhead};
pub(super) use scheduling::PREEMPTION_POLICIES;
pub(super) use status::status_update;
pub(super) use tolerations::{taints, tolerations};
pub(super) use update::update;
pub(super) use volume_plugins::{fibre_channel, is_iscsi_name, nfs_server};
pub(super) use volumes::{has_source, host_path};

/// A few rules are laxer for a template than for the pod that is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Pod,
    Template,
}

/// What the parts of a container are judged beside.
struct Around<'s> {
    of: Of,
    volumes: volumes::Volumes<'s>,
    claims: BTreeSet<&'s str>,
    grace: Option<i64>,
    restart_policy: &'s str,
    host_users: bool,
}

/// Upstream's `validatePodMetadataAndSpec`.
pub(super) fn pod(pod: &Pod, errors: &mut ErrorList) {
    let none = PodSpec::default();
    let given = pod.spec.as_ref().unwrap_or(&none);
    annotations::specific(pod.metadata.annotations.as_ref(), given, "metadata.annotations", errors);
    spec(given, "spec", Of::Pod, errors);
    if text(&given.service_account_name).is_empty() {
        projected::no_tokens(given, "spec", errors);
    }
}

/// What must not be when a pod is made, and may come later.
pub(super) fn pod_create(pod: &Pod, errors: &mut ErrorList) {
    let Some(spec) = &pod.spec else { return };
    if !list(&spec.ephemeral_containers).is_empty() {
        errors.forbidden("spec.ephemeralContainers", "cannot be set on create");
    }
    if !text(&spec.node_name).is_empty() && !list(&spec.scheduling_gates).is_empty() {
        errors.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared");
    }
    annotations::agree(pod.metadata.annotations.as_ref(), spec, "spec", errors);
}

/// Of what keeps pods running: a Deployment, a ReplicaSet, a ReplicationController. `kind` is the one that upstream names.
pub(super) fn template(template: &PodTemplateSpec, at: &str, kind: &str, errors: &mut ErrorList) {
    any_template(template, at, errors);
    let none = PodSpec::default();
    let given = template.spec.as_ref().unwrap_or(&none);
    match text(&given.restart_policy) {
        "" | "Always" => {}
        policy => errors.not_supported(format_args!("{at}.spec.restartPolicy"), policy, &["Always"]),
    }
    if given.active_deadline_seconds.is_some() {
        errors.forbidden(
            format_args!("{at}.spec.activeDeadlineSeconds"),
            format_args!("activeDeadlineSeconds in {kind} is not Supported"),
        );
    }
}

/// Of pods that run to their end. `Always` is also what is filled in where nothing is said, so that it is answered with what
/// could be.
pub(super) fn template_that_ends(template: &PodTemplateSpec, at: &str, errors: &mut ErrorList) {
    any_template(template, at, errors);
    let field = format!("{at}.spec.restartPolicy");
    match template.spec.as_ref().map(|spec| text(&spec.restart_policy)).unwrap_or_default() {
        "" | "Always" => errors.required(field, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" | "Never" => {}
        other => errors.not_supported(field, other, &["OnFailure", "Never"]),
    }
}

/// Of what runs none itself.
pub(super) fn any_template(template: &PodTemplateSpec, at: &str, errors: &mut ErrorList) {
    let none = PodSpec::default();
    let given = template.spec.as_ref().unwrap_or(&none);
    let meta = template.metadata.as_ref();
    let (labels, notes) = (meta.and_then(|m| m.labels.as_ref()), meta.and_then(|m| m.annotations.as_ref()));
    crate::meta::labels(labels, &format!("{at}.labels"), errors);
    crate::meta::annotations(notes, &format!("{at}.annotations"), errors);
    annotations::specific(notes, given, &format!("{at}.annotations"), errors);
    spec(given, &format!("{at}.spec"), Of::Template, errors);
    annotations::agree(notes, given, &format!("{at}.spec"), errors);
    if !list(&given.ephemeral_containers).is_empty() {
        errors.forbidden(
            format_args!("{at}.spec.ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        );
    }
}

/// In upstream's order: clients show the first fault, or all as they come.
fn spec(spec: &PodSpec, at: &str, of: Of, errors: &mut ErrorList) {
    let before = errors.len();
    bounds::bounds(spec, at, errors);
    // of lists as long as a body nothing more is said: some are compared with each other
    if errors.len() > before {
        return;
    }
    // upstream bears any number here, and so must whoever adds it to a time
    if spec.termination_grace_period_seconds.is_none() {
        errors.required(format_args!("{at}.terminationGracePeriodSeconds"), "");
    }
    let around = Around {
        of,
        volumes: volumes::volumes(list(&spec.volumes), &format!("{at}.volumes"), errors),
        claims: list(&spec.resource_claims)
            .iter()
            .map(|c| c.name.as_str())
            .filter(|n| !n.is_empty())
            .collect(),
        grace: spec.termination_grace_period_seconds,
        restart_policy: text(&spec.restart_policy),
        host_users: spec.host_users != Some(false),
    };
    claims::validate(list(&spec.resource_claims), &format!("{at}.resourceClaims"), errors);
    containers::containers(&spec.containers, &format!("{at}.containers"), &around, errors);
    containers::init_containers(spec, &format!("{at}.initContainers"), &around, errors);
    // a template is refused that has any
    if of == Of::Pod {
        containers::ephemeral_containers(spec, &format!("{at}.ephemeralContainers"), &around, errors);
    }
    resources::of_pod(spec, &format!("{at}.resources"), errors);
    ports::host_network(spec, at, of, errors);
    one_of(
        text(&spec.restart_policy),
        &["Always", "OnFailure", "Never"],
        format_args!("{at}.restartPolicy"),
        errors,
    );
    network::policy(spec, at, errors);
    crate::meta::labels(spec.node_selector.as_ref(), &format!("{at}.nodeSelector"), errors);
    security::of_pod(spec, at, errors);
    affinity::affinity(spec.affinity.as_ref(), &format!("{at}.affinity"), errors);
    network::config(spec, at, errors);
    scheduling::gates(spec, at, errors);
    topology_spread::constraints(
        list(&spec.topology_spread_constraints),
        &format!("{at}.topologySpreadConstraints"),
        errors,
    );
    windows::host_process(spec, at, errors);
    security::host_users(spec, at, errors);
    let account = text(&spec.service_account_name);
    optional(names::dns_subdomain, account, format_args!("{at}.serviceAccountName"), errors);
    optional(names::dns_subdomain, text(&spec.node_name), format_args!("{at}.nodeName"), errors);
    if let Some(seconds) = spec.active_deadline_seconds {
        within(seconds, 1, i32::MAX.into(), format_args!("{at}.activeDeadlineSeconds"), errors);
    }
    network::own_name(spec, at, errors);
    tolerations::tolerations(list(&spec.tolerations), &format!("{at}.tolerations"), errors);
    network::aliases(spec, at, errors);
    scheduling::priority(spec, at, errors);
    if let Some(class) = &spec.runtime_class_name {
        judged(names::dns_subdomain, class, format_args!("{at}.runtimeClassName"), errors);
    }
    scheduling::preemption(spec, at, errors);
    system::overhead(spec.overhead.as_ref(), &format!("{at}.overhead"), errors);
    system::os(spec, at, errors);
}

/// Those that run and those that run before, with their places.
fn each_container<'s>(spec: &'s PodSpec, at: &str) -> impl Iterator<Item = (&'s Container, String)> {
    let before = format!("{at}.initContainers");
    let running = format!("{at}.containers");
    let init = list(&spec.init_containers).iter().enumerate();
    let init = init.map(move |(index, container)| (container, format!("{before}[{index}]")));
    let main = spec.containers.iter().enumerate();
    init.chain(main.map(move |(index, container)| (container, format!("{running}[{index}]"))))
}
