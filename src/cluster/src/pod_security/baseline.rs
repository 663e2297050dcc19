//! What no pod may have that shall not reach beyond itself by known means.

use super::subject::{Setting, Subject, Violation, containers, join_quoted, plural, setters, violation};
use k8s_openapi::api::core::v1::{LifecycleHandler, Probe, SELinuxOptions};
use std::collections::BTreeSet;

const APP_ARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP_ANNOTATION: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER_ANNOTATION: &str = "container.seccomp.security.alpha.kubernetes.io/";

pub(super) fn app_armor_profile(subject: &Subject<'_>) -> Option<Violation> {
    let setting = Setting::of(
        subject,
        |pod| Some(pod.app_armor_profile.as_ref()?.type_.as_str()),
        |container| Some(container.app_armor_profile.as_ref()?.type_.as_str()),
        |kind| matches!(kind, "RuntimeDefault" | "Localhost"),
    );
    let fine =
        |value: &str| value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
    let annotations = subject.annotations.iter();
    let bad = annotations.filter(|(key, value)| key.starts_with(APP_ARMOR_ANNOTATION) && !fine(value));
    let annotations: Vec<String> = bad.map(|(key, value)| format!("{key}={value:?}")).collect();
    let by_annotation =
        (!annotations.is_empty()).then(|| plural("annotation", "annotations", annotations.len()).to_owned());
    let all: Vec<String> = setting.setters.into_iter().chain(by_annotation).collect();
    if all.is_empty() {
        return None;
    }
    let values: Vec<&str> =
        setting.values.into_iter().chain(annotations.iter().map(String::as_str)).collect();
    let reason = plural("forbidden AppArmor profile", "forbidden AppArmor profiles", values.len());
    let values = join_quoted(values);
    violation(reason, format!("{} must not set AppArmor profile type to {values}", all.join(" and ")))
}

pub(super) fn capabilities(subject: &Subject<'_>) -> Option<Violation> {
    /// What containers have unless they drop it.
    const DEFAULT: [&str; 13] = [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ];
    let (bad, added) = adding_but(subject, &DEFAULT)?;
    let detail = format!(
        "{} must not include {} in securityContext.capabilities.add",
        containers(&bad),
        join_quoted(added)
    );
    violation("non-default capabilities", detail)
}

/// The containers that add capabilities other than those allowed, and these.
pub(super) fn adding_but<'s>(
    subject: &Subject<'s>,
    allowed: &[&str],
) -> Option<(Vec<&'s str>, BTreeSet<&'s str>)> {
    let mut added = BTreeSet::new();
    let bad = subject.containers_that(|container| {
        let all = container.security.and_then(|s| s.capabilities.as_ref()).and_then(|c| c.add.as_ref());
        let extra = all.into_iter().flatten().map(String::as_str).filter(|name| !allowed.contains(name));
        let extra: Vec<&str> = extra.collect();
        added.extend(&extra);
        !extra.is_empty()
    });
    (!bad.is_empty()).then_some((bad, added))
}

pub(super) fn host_namespaces(subject: &Subject<'_>) -> Option<Violation> {
    let spec = subject.spec;
    let all = [("hostNetwork", spec.host_network), ("hostPID", spec.host_pid), ("hostIPC", spec.host_ipc)];
    let shared = all.iter().filter(|(_, shares)| *shares == Some(true));
    let shared: Vec<String> = shared.map(|(field, _)| format!("{field}=true")).collect();
    if shared.is_empty() { None } else { violation("host namespaces", shared.join(", ")) }
}

pub(super) fn host_path_volumes(subject: &Subject<'_>) -> Option<Violation> {
    let volumes = subject.spec.volumes.iter().flatten().filter(|volume| volume.host_path.is_some());
    let bad: Vec<&str> = volumes.map(|volume| volume.name.as_str()).collect();
    if bad.is_empty() {
        return None;
    }
    let named = plural("volume", "volumes", bad.len());
    violation("hostPath volumes", format!("{named} {}", join_quoted(bad)))
}

pub(super) fn host_ports(subject: &Subject<'_>) -> Option<Violation> {
    let mut ports = BTreeSet::new();
    let bad = subject.containers_that(|container| {
        let own: Vec<String> = container
            .ports
            .iter()
            .filter_map(|p| p.host_port.filter(|p| *p != 0))
            .map(|p| p.to_string())
            .collect();
        let uses = !own.is_empty();
        ports.extend(own);
        uses
    });
    if bad.is_empty() {
        return None;
    }
    let (uses, each) = (plural("uses", "use", bad.len()), plural("hostPort", "hostPorts", ports.len()));
    let ports: Vec<String> = ports.into_iter().collect();
    violation("hostPort", format!("{} {uses} {each} {}", containers(&bad), ports.join(", ")))
}

/// A probe of another host is a request from the node's own address (KEP-4940).
pub(super) fn probe_and_lifecycle_hosts(subject: &Subject<'_>) -> Option<Violation> {
    let (mut bad, mut hosts) = (BTreeSet::new(), BTreeSet::new());
    for container in &subject.containers {
        let handlers = container.lifecycle.map(|l| [l.post_start.as_ref(), l.pre_stop.as_ref()]);
        let handlers = handlers.into_iter().flatten().flatten().flat_map(hosts_of_handler);
        let own: Vec<&str> =
            container.probes.into_iter().flatten().flat_map(hosts_of_probe).chain(handlers).collect();
        if !own.is_empty() {
            bad.insert(container.name);
            hosts.extend(own);
        }
    }
    if bad.is_empty() {
        return None;
    }
    let bad: Vec<&str> = bad.into_iter().collect();
    let uses = plural("uses", "use", bad.len());
    let each = plural("probe or lifecycle host", "probe or lifecycle hosts", hosts.len());
    violation("probe or lifecycle host", format!("{} {uses} {each} {}", containers(&bad), join_quoted(hosts)))
}

fn hosts_of_probe(probe: &Probe) -> impl Iterator<Item = &str> {
    let http = probe.http_get.as_ref().and_then(|get| get.host.as_deref());
    let tcp = probe.tcp_socket.as_ref().and_then(|tcp| tcp.host.as_deref());
    http.into_iter().chain(tcp).filter(|host| !host.is_empty())
}

fn hosts_of_handler(handler: &LifecycleHandler) -> impl Iterator<Item = &str> {
    let http = handler.http_get.as_ref().and_then(|get| get.host.as_deref());
    let tcp = handler.tcp_socket.as_ref().and_then(|tcp| tcp.host.as_deref());
    http.into_iter().chain(tcp).filter(|host| !host.is_empty())
}

pub(super) fn privileged(subject: &Subject<'_>) -> Option<Violation> {
    let bad = subject.containers_that(|c| c.security.and_then(|s| s.privileged) == Some(true));
    if bad.is_empty() {
        return None;
    }
    violation("privileged", format!("{} must not set securityContext.privileged=true", containers(&bad)))
}

pub(super) fn proc_mount(subject: &Subject<'_>) -> Option<Violation> {
    let setting =
        Setting::of(subject, |_| None, |container| container.proc_mount.as_deref(), |kind| kind == "Default");
    let values = join_quoted(setting.values);
    violation("procMount", format!("{} must not set securityContext.procMount to {values}", setting.setters?))
}

const SE_LINUX_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

pub(super) fn se_linux_options(subject: &Subject<'_>) -> Option<Violation> {
    se_linux(subject, &SE_LINUX_TYPES[..4])
}

pub(super) fn se_linux_options_1_31(subject: &Subject<'_>) -> Option<Violation> {
    se_linux(subject, &SE_LINUX_TYPES)
}

fn se_linux(subject: &Subject<'_>, types: &[&str]) -> Option<Violation> {
    let (mut bad_types, mut user, mut role) = (BTreeSet::new(), false, false);
    let set = |field: &Option<String>| field.as_deref().is_some_and(|text| !text.is_empty());
    let mut is_bad = |options: &SELinuxOptions| {
        let kind = options.type_.clone().unwrap_or_default();
        let bad_type = !types.contains(&kind.as_str());
        if bad_type {
            bad_types.insert(kind);
        }
        let (sets_user, sets_role) = (set(&options.user), set(&options.role));
        user |= sets_user;
        role |= sets_role;
        bad_type || sets_user || sets_role
    };
    let pod = subject.pod_security().and_then(|pod| pod.se_linux_options.as_ref()).is_some_and(&mut is_bad);
    let bad = subject.containers_that(|container| {
        container.security.and_then(|s| s.se_linux_options.as_ref()).is_some_and(&mut is_bad)
    });
    let who = setters(pod, &bad)?;
    let mut data = Vec::new();
    if !bad_types.is_empty() {
        let each = plural("type", "types", bad_types.len());
        data.push(format!("{each} {}", join_quoted(bad_types.iter().map(String::as_str))));
    }
    data.extend(user.then(|| "user may not be set".to_owned()));
    data.extend(role.then(|| "role may not be set".to_owned()));
    violation(
        "seLinuxOptions",
        format!("{who} set forbidden securityContext.seLinuxOptions: {}", data.join("; ")),
    )
}

/// Before there was a field for it.
pub(super) fn seccomp_annotations(subject: &Subject<'_>) -> Option<Violation> {
    let fine = |value: &str| {
        matches!(value, "runtime/default" | "docker/default") || value.starts_with("localhost/")
    };
    let of_containers = subject
        .containers
        .iter()
        .map(|container| format!("{SECCOMP_CONTAINER_ANNOTATION}{}", container.name));
    let keys: BTreeSet<String> = of_containers.chain([SECCOMP_ANNOTATION.to_owned()]).collect();
    let given = keys.iter().filter_map(|key| Some((key, subject.annotations.get(key)?)));
    let bad: Vec<String> =
        given.filter(|(_, value)| !fine(value)).map(|(key, value)| format!("{key}={value:?}")).collect();
    if bad.is_empty() {
        return None;
    }
    let each = plural("annotation", "annotations", bad.len());
    violation("seccompProfile", format!("forbidden {each} {}", bad.join(", ")))
}

pub(super) fn seccomp_profile(subject: &Subject<'_>) -> Option<Violation> {
    let setting = seccomp(subject);
    let values = join_quoted(setting.values);
    let who = setting.setters?;
    violation("seccompProfile", format!("{who} must not set securityContext.seccompProfile.type to {values}"))
}

pub(super) fn seccomp<'s>(subject: &Subject<'s>) -> Setting<'s> {
    Setting::of(
        subject,
        |pod| Some(pod.seccomp_profile.as_ref()?.type_.as_str()),
        |container| Some(container.seccomp_profile.as_ref()?.type_.as_str()),
        |kind| matches!(kind, "RuntimeDefault" | "Localhost"),
    )
}

/// Those that stay within the pod, in the order in which upstream found them safe.
const SAFE_SYSCTLS: [&str; 14] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    // 1.27
    "net.ipv4.ip_local_reserved_ports",
    // 1.29
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    // 1.32
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    // 1.37
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_notsent_lowat",
];

pub(super) fn sysctls(subject: &Subject<'_>) -> Option<Violation> {
    sysctls_but(subject, &SAFE_SYSCTLS[..5])
}

pub(super) fn sysctls_1_27(subject: &Subject<'_>) -> Option<Violation> {
    sysctls_but(subject, &SAFE_SYSCTLS[..6])
}

pub(super) fn sysctls_1_29(subject: &Subject<'_>) -> Option<Violation> {
    sysctls_but(subject, &SAFE_SYSCTLS[..10])
}

pub(super) fn sysctls_1_32(subject: &Subject<'_>) -> Option<Violation> {
    sysctls_but(subject, &SAFE_SYSCTLS[..12])
}

pub(super) fn sysctls_1_37(subject: &Subject<'_>) -> Option<Violation> {
    sysctls_but(subject, &SAFE_SYSCTLS)
}

fn sysctls_but(subject: &Subject<'_>, safe: &[&str]) -> Option<Violation> {
    let all = subject.pod_security()?.sysctls.iter().flatten().map(|sysctl| sysctl.name.as_str());
    let bad: Vec<&str> = all.filter(|name| !safe.contains(name)).collect();
    if bad.is_empty() { None } else { violation("forbidden sysctls", bad.join(", ")) }
}

pub(super) fn windows_host_process(subject: &Subject<'_>) -> Option<Violation> {
    let pod = subject.pod_security().and_then(|pod| pod.windows_options.as_ref()?.host_process) == Some(true);
    let bad = subject.containers_that(|container| {
        container.security.and_then(|s| s.windows_options.as_ref()?.host_process) == Some(true)
    });
    let who = setters(pod, &bad)?;
    violation("hostProcess", format!("{who} must not set securityContext.windowsOptions.hostProcess=true"))
}
