//! How this kubelet is set, in the words of upstream's flags: what `/flagz` shows. Each is a field of [`configz`], which says it
//! once, or what upstream's kubelet has no field for.
//!
//! [`configz`]: super::configz

use super::configz;
use crate::config::KubeletConfig;
use serde_json::Value;
use std::collections::BTreeMap;

/// A flag, and where its value stands in the configuration.
const FIELDS: [(&str, &str); 21] = [
    ("address", "/address"),
    ("anonymous-auth", "/authentication/anonymous/enabled"),
    ("authentication-token-webhook", "/authentication/webhook/enabled"),
    ("authorization-mode", "/authorization/mode"),
    ("cgroup-driver", "/cgroupDriver"),
    ("cluster-dns", "/clusterDNS"),
    ("cluster-domain", "/clusterDomain"),
    ("container-log-max-files", "/containerLogMaxFiles"),
    ("container-log-max-size", "/containerLogMaxSize"),
    ("enable-controller-attach-detach", "/enableControllerAttachDetach"),
    ("enable-debugging-handlers", "/enableDebuggingHandlers"),
    ("enable-server", "/enableServer"),
    ("fail-swap-on", "/failSwapOn"),
    ("image-gc-high-threshold", "/imageGCHighThresholdPercent"),
    ("image-gc-low-threshold", "/imageGCLowThresholdPercent"),
    ("max-pods", "/maxPods"),
    ("node-status-update-frequency", "/nodeStatusUpdateFrequency"),
    ("pod-max-pids", "/podPidsLimit"),
    ("port", "/port"),
    ("register-node", "/registerNode"),
    ("resolv-conf", "/resolvConf"),
];

pub(crate) fn flags(config: &KubeletConfig) -> BTreeMap<&'static str, String> {
    let page = configz::page(config);
    let set = &page["kubeletconfig"];
    let fields = FIELDS.iter().filter_map(|(flag, field)| Some((*flag, set.pointer(field).map(shown)?)));
    let others = [
        ("hostname-override", config.node_name.clone()),
        ("node-ip", config.node_ip.to_string()),
        ("root-dir", config.state_dir.display().to_string()),
    ];
    fields.chain(others).collect()
}

/// As Go's flags print their values: a text without quotes, a list in brackets.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_says_what_is_set() {
        let ip = "192.0.2.1".parse().unwrap();
        let dns = "10.96.0.10".parse().unwrap();
        let mut config = KubeletConfig::new("n1", ip, "/nonexistent".into(), dns);
        assert_eq!(flags(&config).get("port"), None);
        (config.max_pods, config.port) = (250, Some(10250));
        let flags = flags(&config);
        for (flag, _) in FIELDS {
            assert!(flags.contains_key(flag), "{flag}");
        }
        for (flag, want) in [
            ("max-pods", "250"),
            ("port", "10250"),
            ("cluster-dns", "[10.96.0.10]"),
            ("authorization-mode", "Webhook"),
            ("anonymous-auth", "false"),
            ("hostname-override", "n1"),
            ("root-dir", "/nonexistent"),
        ] {
            assert_eq!(flags[flag], want, "{flag}");
        }
    }
}
