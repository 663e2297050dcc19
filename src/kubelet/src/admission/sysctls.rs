//! Upstream's sysctl allow list.

use super::refusal::Refusal;
use crate::pod;
use k8s_openapi::api::core::v1::Pod;

/// Those that upstream calls safe: namespaced, and no harm to a neighbour.
const SAFE: [&str; 14] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

pub(super) fn check(pod: &Pod) -> Option<Refusal> {
    let spec = pod::spec(pod);
    let sysctls = spec.security_context.iter().flat_map(|s| s.sysctls.iter().flatten());
    let why = sysctls.map(|s| s.name.replace('/', ".")).find_map(|name| {
        let of_host = |set: Option<bool>, prefix: &str| set == Some(true) && name.starts_with(prefix);
        if of_host(spec.host_network, "net.") {
            return Some(format!("sysctl \"{name}\" not allowed with host net enabled"));
        }
        if of_host(spec.host_ipc, "kernel.") {
            return Some(format!("sysctl \"{name}\" not allowed with host ipc enabled"));
        }
        (!SAFE.contains(&name.as_str())).then(|| format!("\"{name}\" not allowlisted"))
    })?;
    Some(Refusal { reason: "SysctlForbidden", message: format!("forbidden sysctl: {why}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn which_sysctls_are_refused() {
        let cases = [
            ("none", json!({}), None),
            (
                "safe",
                json!({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]}}),
                None,
            ),
            (
                "safe since 1.37",
                json!({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_notsent_lowat", "value": "131072"}]}}),
                None,
            ),
            (
                "the machine's",
                json!({"securityContext": {"sysctls": [{"name": "vm.swappiness", "value": "1"}]}}),
                Some("forbidden sysctl: \"vm.swappiness\" not allowlisted"),
            ),
            (
                "written as a path",
                json!({"securityContext": {"sysctls": [{"name": "kernel/panic", "value": "1"}]}}),
                Some("forbidden sysctl: \"kernel.panic\" not allowlisted"),
            ),
            (
                "of the machine's network",
                json!({"hostNetwork": true, "securityContext": {"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]}}),
                Some(
                    "forbidden sysctl: sysctl \"net.ipv4.tcp_syncookies\" not allowed with host net enabled",
                ),
            ),
        ];
        for (name, mut spec, want) in cases {
            spec["containers"] = json!([]);
            let pod: Pod = serde_json::from_value(json!({"spec": spec})).unwrap();
            assert_eq!(check(&pod).map(|r| r.message).as_deref(), want, "{name}");
        }
    }
}
