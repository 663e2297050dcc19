//! Pods for Windows: they never run here, but manifests for clusters of both hold them, and are judged as there.

use super::super::checks::judged;
use super::super::names;
use super::each_container;
use crate::ErrorList;
use k8s_openapi::api::core::v1::{PodSpec, WindowsSecurityContextOptions};

// upstream's bounds; those of names are Windows' own
const LARGEST_CREDENTIAL: usize = 64 * 1024;
const LONGEST_DOMAIN: usize = 256;
const LONGEST_USER: usize = 104;
const NOT_IN_USERS: &str = "\"/\\:;|=,+*?<>@[]";

pub(super) fn options(options: Option<&WindowsSecurityContextOptions>, at: &str, errors: &mut ErrorList) {
    let Some(options) = options else { return };
    if let Some(name) = &options.gmsa_credential_spec_name {
        judged(names::dns_subdomain, name, format_args!("{at}.gmsaCredentialSpecName"), errors);
    }
    if let Some(credential) = options.gmsa_credential_spec.as_deref() {
        let why = match credential.len() {
            0 => Some("gmsaCredentialSpec cannot be an empty string"),
            length if length > LARGEST_CREDENTIAL => Some("gmsaCredentialSpec size must be under 64 KiB"),
            _ => None,
        };
        if let Some(why) = why {
            errors.invalid(format_args!("{at}.gmsaCredentialSpec"), credential, why);
        }
    }
    if let Some(name) = options.run_as_user_name.as_deref()
        && let Err(why) = user_name(name)
    {
        errors.invalid(format_args!("{at}.runAsUserName"), name, why);
    }
}

/// `DOMAIN\user` or `user`.
fn user_name(name: &str) -> Result<(), String> {
    let fail = |why: &str| Err(format!("runAsUserName{why}"));
    if name.is_empty() {
        return fail(" cannot be an empty string");
    }
    if name.chars().any(char::is_control) {
        return fail(" cannot contain control characters");
    }
    let (domain, user) = match name.split_once('\\') {
        Some((_, user)) if user.contains('\\') => return fail(" cannot contain more than one backslash"),
        Some((domain, user)) => (Some(domain), user),
        None => (None, name),
    };
    if let Some(domain) = domain {
        if domain.len() >= LONGEST_DOMAIN {
            return fail(&format!("'s Domain length must be under {LONGEST_DOMAIN} characters"));
        }
        let net_bios = (1..=15).contains(&domain.len())
            && !domain.starts_with('.')
            && !domain.contains(['\\', '/', ':', '*', '?', '"', '<', '>', '|']);
        if !net_bios && names::dns_subdomain(&domain.to_lowercase()).is_err() {
            return fail("'s Domain doesn't match the NetBios nor the DNS format");
        }
    }
    match user {
        "" => fail("'s User cannot be empty"),
        user if user.len() > LONGEST_USER => {
            fail(&format!("'s User length must not be longer than {LONGEST_USER} characters"))
        }
        user if user.chars().all(|c| c == '.' || c == ' ') => {
            fail("'s User cannot contain only periods or spaces")
        }
        user if user.contains(|c| NOT_IN_USERS.contains(c)) => {
            fail("'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]")
        }
        _ => Ok(()),
    }
}

/// All containers of the host, in the host's network, or none.
pub(super) fn host_process(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    let of = |options: Option<&WindowsSecurityContextOptions>| options.and_then(|o| o.host_process);
    let of_pod = of(spec.security_context.as_ref().and_then(|c| c.windows_options.as_ref()));
    let (mut count, mut of_host) = (0, 0);
    for (container, at) in each_container(spec, at) {
        let own = of(container.security_context.as_ref().and_then(|c| c.windows_options.as_ref()));
        if let Some((pod, own)) = of_pod.zip(own).filter(|(pod, own)| pod != own) {
            errors.invalid(
                format_args!("{at}.securityContext.windowsOptions.hostProcess"),
                own,
                format_args!("pod hostProcess value must be identical if both are specified, was {pod}"),
            );
        }
        count += 1;
        of_host += usize::from(own.or(of_pod) == Some(true));
    }
    if of_host == 0 {
        return;
    }
    if of_host != count {
        let why =
            "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.invalid(at, "", why);
    }
    if spec.host_network != Some(true) {
        let why = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.invalid(format_args!("{at}.hostNetwork"), false, why);
    }
}

/// Nothing of what only Linux has.
pub(super) fn pod(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    const WHY: &str = "cannot be set for a windows pod";
    let mut forbid = |at: &str, fields: &[(&str, bool)]| {
        for (field, _) in fields.iter().filter(|(_, is_set)| *is_set) {
            errors.forbidden(format_args!("{at}.{field}"), WHY);
        }
    };
    forbid(
        at,
        &[
            ("hostUsers", spec.host_users.is_some()),
            ("hostPID", spec.host_pid == Some(true)),
            ("hostIPC", spec.host_ipc == Some(true)),
            ("shareProcessNamespace", spec.share_process_namespace.is_some()),
        ],
    );
    if let Some(context) = &spec.security_context {
        forbid(
            &format!("{at}.securityContext"),
            &[
                ("appArmorProfile", context.app_armor_profile.is_some()),
                ("seLinuxOptions", context.se_linux_options.is_some()),
                ("seccompProfile", context.seccomp_profile.is_some()),
                ("fsGroup", context.fs_group.is_some()),
                ("fsGroupChangePolicy", context.fs_group_change_policy.is_some()),
                ("sysctls", context.sysctls.as_ref().is_some_and(|s| !s.is_empty())),
                ("runAsUser", context.run_as_user.is_some()),
                ("runAsGroup", context.run_as_group.is_some()),
                ("supplementalGroups", context.supplemental_groups.is_some()),
                ("supplementalGroupsPolicy", context.supplemental_groups_policy.is_some()),
                ("seLinuxChangePolicy", context.se_linux_change_policy.is_some()),
            ],
        );
    }
    for (container, at) in each_container(spec, at) {
        let Some(context) = &container.security_context else { continue };
        forbid(
            &format!("{at}.securityContext"),
            &[
                ("appArmorProfile", context.app_armor_profile.is_some()),
                ("seLinuxOptions", context.se_linux_options.is_some()),
                ("seccompProfile", context.seccomp_profile.is_some()),
                ("capabilities", context.capabilities.is_some()),
                ("readOnlyRootFilesystem", context.read_only_root_filesystem.is_some()),
                ("privileged", context.privileged.is_some()),
                ("allowPrivilegeEscalation", context.allow_privilege_escalation.is_some()),
                ("procMount", context.proc_mount.is_some()),
                ("runAsUser", context.run_as_user.is_some()),
                ("runAsGroup", context.run_as_group.is_some()),
            ],
        );
    }
}
