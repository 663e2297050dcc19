//! Security contexts: ids, profiles, and wishes that contradict each other.

use super::super::checks::{among, among_if_set, judged, list, text, within};
use super::super::names;
use super::files::descends;
use super::windows;
use crate::ErrorList;
use k8s_openapi::api::core::v1::{
    AppArmorProfile, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext,
};
use std::collections::BTreeSet;

/// The kernel knows a few more; the one behind the last is -1, which every call reads as "leave it".
const ID_HIGHEST: i64 = i32::MAX as i64;
const GROUP_CHANGES: [&str; 2] = ["Always", "OnRootMismatch"];
const GROUP_POLICIES: [&str; 2] = ["Merge", "Strict"];
const SELINUX_CHANGES: [&str; 2] = ["MountOption", "Recursive"];
const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
const PROC_MOUNTS: [&str; 2] = ["Default", "Unmasked"];
const LONGEST_PROFILE: usize = 4095; // PATH_MAX - 1

pub(super) fn of_pod(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    let Some(context) = &spec.security_context else { return };
    let at = format!("{at}.securityContext");
    id(context.fs_group, &at, "fsGroup", errors);
    id(context.run_as_user, &at, "runAsUser", errors);
    id(context.run_as_group, &at, "runAsGroup", errors);
    for (index, group) in list(&context.supplemental_groups).iter().enumerate() {
        id(Some(*group), &at, &format!("supplementalGroups[{index}]"), errors);
    }
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        errors.invalid(
            format_args!("{at}.shareProcessNamespace"),
            true,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        );
    }
    sysctls(context, spec, &format!("{at}.sysctls"), errors);
    let change = context.fs_group_change_policy.as_deref();
    among_if_set(change, &GROUP_CHANGES, format_args!("{at}.fsGroupChangePolicy"), errors);
    seccomp(context.seccomp_profile.as_ref(), &format!("{at}.seccompProfile"), errors);
    windows::options(context.windows_options.as_ref(), &format!("{at}.windowsOptions"), errors);
    app_armor(context.app_armor_profile.as_ref(), &format!("{at}.appArmorProfile"), errors);
    let policy = context.supplemental_groups_policy.as_deref();
    among_if_set(policy, &GROUP_POLICIES, format_args!("{at}.supplementalGroupsPolicy"), errors);
    let policy = context.se_linux_change_policy.as_deref();
    among_if_set(policy, &SELINUX_CHANGES, format_args!("{at}.seLinuxChangePolicy"), errors);
}

pub(super) fn of_container(context: &SecurityContext, host_users: bool, at: &str, errors: &mut ErrorList) {
    id(context.run_as_user, at, "runAsUser", errors);
    id(context.run_as_group, at, "runAsGroup", errors);
    if let Some(mount) = context.proc_mount.as_deref() {
        among(mount, &PROC_MOUNTS, format_args!("{at}.procMount"), errors);
        if host_users && mount == "Unmasked" {
            let why = "`hostUsers` must be false to use `Unmasked`";
            errors.invalid(format_args!("{at}.procMount"), mount, why);
        }
    }
    seccomp(context.seccomp_profile.as_ref(), &format!("{at}.seccompProfile"), errors);
    if context.allow_privilege_escalation == Some(false) {
        escalates(context, at, errors);
    }
    windows::options(context.windows_options.as_ref(), &format!("{at}.windowsOptions"), errors);
    app_armor(context.app_armor_profile.as_ref(), &format!("{at}.appArmorProfile"), errors);
}

fn escalates(context: &SecurityContext, at: &str, errors: &mut ErrorList) {
    if context.privileged == Some(true) {
        let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        errors.invalid(at, serde_json::json!(context), why);
    }
    let added = context.capabilities.as_ref().map(|c| list(&c.add)).unwrap_or_default();
    if added.iter().any(|capability| capability == "CAP_SYS_ADMIN") {
        let why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
        errors.invalid(at, serde_json::json!(context), why);
    }
}

fn id(id: Option<i64>, at: &str, field: &str, errors: &mut ErrorList) {
    if let Some(id) = id {
        within(id, 0, ID_HIGHEST, format_args!("{at}.{field}"), errors);
    }
}

fn sysctls(context: &PodSecurityContext, spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for (index, sysctl) in list(&context.sysctls).iter().enumerate() {
        let (at, name) = (format!("{at}[{index}].name"), sysctl.name.as_str());
        if name.is_empty() {
            errors.required(&at, "");
        } else if names::sysctl(name).is_err() {
            judged(names::sysctl, name, &at, errors);
        } else if !seen.insert(name) {
            errors.duplicate(&at, name);
        }
        // it would be set for the host
        match namespace_of(&name.replace('/', ".")) {
            Some(Namespace::Net) if spec.host_network == Some(true) => {
                errors.invalid(&at, name, "may not be specified when 'hostNetwork' is true");
            }
            Some(Namespace::Ipc) if spec.host_ipc == Some(true) => {
                errors.invalid(&at, name, "may not be specified when 'hostIPC' is true");
            }
            _ => {}
        }
    }
}

enum Namespace {
    Ipc,
    Net,
}

/// Of those that each namespace has for itself (`component-helpers/node/util/sysctl`).
fn namespace_of(name: &str) -> Option<Namespace> {
    let is_ipc = name == "kernel.sem"
        || ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|prefix| name.starts_with(prefix));
    match name {
        _ if is_ipc => Some(Namespace::Ipc),
        name if name.starts_with("net.") => Some(Namespace::Net),
        _ => None,
    }
}

/// A typing error in the type would leave the container without any filter.
fn seccomp(profile: Option<&SeccompProfile>, at: &str, errors: &mut ErrorList) {
    let Some(profile) = profile else { return };
    let kind = profile.type_.as_str();
    match kind {
        "" => errors.required(format_args!("{at}.type"), "type is required when seccompProfile is set"),
        kind => among(kind, &PROFILES, format_args!("{at}.type"), errors),
    }
    let field = format!("{at}.localhostProfile");
    match (kind, &profile.localhost_profile) {
        ("Localhost", None) => errors.required(field, "must be set when seccomp type is Localhost"),
        ("Localhost", Some(path)) => descends(path, field, errors),
        (_, Some(_)) => {
            let why = "can only be set when seccomp type is Localhost";
            errors.invalid(field, serde_json::json!(profile), why);
        }
        (_, None) => {}
    }
}

fn app_armor(profile: Option<&AppArmorProfile>, at: &str, errors: &mut ErrorList) {
    let Some(profile) = profile else { return };
    let field = format!("{at}.localhostProfile");
    let name = profile.localhost_profile.as_deref();
    match profile.type_.as_str() {
        "Localhost" => match name {
            Some(name) if name.trim() != name => {
                errors.invalid(&field, name, "must not be padded with whitespace");
            }
            None | Some("") => errors.required(&field, "must be set when AppArmor type is Localhost"),
            Some(name) if name.len() > LONGEST_PROFILE => errors.too_long(&field, LONGEST_PROFILE),
            Some(_) => {}
        },
        "RuntimeDefault" | "Unconfined" => {
            if let Some(name) = name {
                errors.invalid(&field, name, "can only be set when AppArmor type is Localhost");
            }
        }
        "" => errors.required(format_args!("{at}.type"), "type is required when appArmorProfile is set"),
        other => errors.not_supported(format_args!("{at}.type"), other, &PROFILES),
    }
}

/// A user namespace of its own goes with no other namespace of the host.
pub(super) fn host_users(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    if spec.host_users != Some(false) {
        return;
    }
    for (field, is_set) in
        [("hostNetwork", spec.host_network), ("hostPID", spec.host_pid), ("hostIPC", spec.host_ipc)]
    {
        if is_set == Some(true) {
            errors.forbidden(format_args!("{at}.{field}"), "when `pod.Spec.HostUsers` is false");
        }
    }
}

/// What those annotations may say that were there before the fields.
pub(super) fn seccomp_annotation(profile: &str, at: &str, errors: &mut ErrorList) {
    match profile {
        "runtime/default" | "docker/default" | "unconfined" => {}
        profile => match profile.strip_prefix("localhost/") {
            Some(path) => descends(path, at, errors),
            None => errors.invalid(at, profile, "must be a valid seccomp profile"),
        },
    }
}

pub(super) fn profile_name(profile: &SeccompProfile) -> &str {
    text(&profile.localhost_profile)
}
