//! What a pod's status says of each of its containers: who it runs as, how its devices are, what image a volume is.

use super::super::checks::{list, text, within};
use crate::ErrorList;
use crate::container_transitions::Group;
use k8s_openapi::api::core::v1::{
    Container, ContainerStatus, LinuxContainerUser, PodSpec, ResourceRequirements, ResourceStatus,
    VolumeMountStatus,
};
use std::collections::{BTreeMap, BTreeSet};

const HEALTHS: [&str; 3] = ["Healthy", "Unhealthy", "Unknown"];
/// In bytes.
const LONGEST_IMAGE_REF: usize = 256;

pub(super) fn all(
    statuses: &[ContainerStatus],
    group: Group,
    spec: &PodSpec,
    at: &str,
    errors: &mut ErrorList,
) {
    let containers: &[Container] = match group {
        Group::Main => &spec.containers,
        Group::Init => list(&spec.init_containers),
        Group::Ephemeral => &[],
    };
    let containers: BTreeMap<&str, &Container> = containers.iter().map(|c| (c.name.as_str(), c)).collect();
    let os = spec.os.as_ref().map_or("linux", |os| os.name.as_str());
    for (index, status) in statuses.iter().enumerate() {
        let at = format!("{at}[{index}]");
        if let Some(linux) = status.user.as_ref().and_then(|user| user.linux.as_ref()) {
            user(linux, os, &format!("{at}.user.linux"), errors);
        }
        let resources = list(&status.allocated_resources_status);
        let field = format!("{at}.allocatedResourcesStatus");
        match group {
            Group::Ephemeral if !resources.is_empty() => {
                errors.forbidden(&field, "must not be specified in container status");
            }
            // one that is not in the pod is borne
            _ => allocated(resources, containers.get(status.name.as_str()).copied(), &field, errors),
        }
        volumes(list(&status.volume_mounts), &format!("{at}.volumeMounts"), errors);
    }
}

fn user(user: &LinuxContainerUser, os: &str, at: &str, errors: &mut ErrorList) {
    match os {
        "windows" => return errors.forbidden(at, "cannot be set for a windows pod"),
        "linux" => {}
        _ => return,
    }
    let most = i32::MAX.into();
    within(user.uid, 0, most, format_args!("{at}.uid"), errors);
    within(user.gid, 0, most, format_args!("{at}.gid"), errors);
    for (index, gid) in list(&user.supplemental_groups).iter().enumerate() {
        within(*gid, 0, most, format_args!("{at}.supplementalGroups[{index}]"), errors);
    }
}

/// KEP-4680.
fn allocated(statuses: &[ResourceStatus], container: Option<&Container>, at: &str, errors: &mut ErrorList) {
    for (index, status) in statuses.iter().enumerate() {
        let at = format!("{at}[{index}]");
        if let Some(container) = container {
            named(&status.name, container.resources.as_ref(), &format!("{at}.name"), errors);
        }
        let mut seen = BTreeSet::new();
        for (index, resource) in list(&status.resources).iter().enumerate() {
            let at = format!("{at}.resources[{index}]");
            let health = text(&resource.health);
            if !HEALTHS.contains(&health) {
                errors.not_supported(format_args!("{at}.health"), health, &HEALTHS);
            }
            if !seen.insert(resource.resource_id.as_str()) {
                errors.duplicate(format_args!("{at}.resourceID"), resource.resource_id.as_str());
            }
        }
    }
}

/// What the container asked for: `example.com/device`, or `claim:NAME/REQUEST`.
fn named(name: &str, asked: Option<&ResourceRequirements>, at: &str, errors: &mut ErrorList) {
    let (is_asked, why) = match name.strip_prefix("claim:") {
        Some(claim) => {
            let claims = asked.map(|asked| list(&asked.claims)).unwrap_or_default();
            let is_it = claims.iter().any(|known| match text(&known.request) {
                "" => known.name == claim,
                request => claim.split_once('/') == Some((known.name.as_str(), request)),
            });
            (
                is_it,
                "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or \
                 'claim:<claimName>' if request is empty",
            )
        }
        None => {
            let requests = asked.and_then(|asked| asked.requests.as_ref());
            let is_it = requests.is_some_and(|requests| requests.contains_key(name));
            (is_it, "must match one of the container's resource requests")
        }
    };
    if !is_asked {
        errors.invalid(at, name, why);
    }
}

/// Which image a volume of an image is (KEP-5365).
fn volumes(mounts: &[VolumeMountStatus], at: &str, errors: &mut ErrorList) {
    for (index, mount) in mounts.iter().enumerate() {
        let Some(image) = mount.volume_status.as_ref().and_then(|status| status.image.as_ref()) else {
            continue;
        };
        let field = format!("{at}[{index}].volumeStatus.imageVolumeStatus.imageRef");
        match image.image_ref.len() {
            0 => errors.required(field, "imageRef must not be empty"),
            long if long > LONGEST_IMAGE_REF => errors.too_long(field, LONGEST_IMAGE_REF),
            _ => {}
        }
    }
}
