//! `/configz`: how this kubelet is set, as upstream's KubeletConfiguration (kubelet.config.k8s.io/v1beta1). It has the fields
//! whose words are true here; what this kubelet does otherwise, or not at all, has none.

use crate::config::KubeletConfig;
use crate::heartbeat::{LEASE, RENEW, REPORT};
use crate::logs::{keeper, rotate};
use serde_json::{Value, json};

pub fn page(config: &KubeletConfig) -> Value {
    let mut fields = json!({
        "enableServer": config.port.is_some(),
        "address": config.node_ip,
        "authentication": {"x509": {}, "webhook": {"enabled": true}, "anonymous": {"enabled": false}},
        "authorization": {"mode": "Webhook", "webhook": {}},
        "registerNode": true,
        "clusterDomain": config.cluster_domain,
        "clusterDNS": [config.cluster_dns],
        "nodeStatusUpdateFrequency": durations::print(RENEW),
        "nodeStatusReportFrequency": durations::print(REPORT),
        "nodeLeaseDurationSeconds": LEASE.as_secs(),
        "imageGCHighThresholdPercent": config.image_gc.high_percent,
        "imageGCLowThresholdPercent": config.image_gc.low_percent,
        "cgroupDriver": "cgroupfs",
        "maxPods": config.max_pods,
        "podPidsLimit": -1,
        "resolvConf": "/etc/resolv.conf",
        "failSwapOn": false,
        "seccompDefault": false,
        "enableControllerAttachDetach": true,
        "makeIPTablesUtilChains": false,
        "containerLogMaxSize": format!("{}Mi", rotate::LARGEST >> 20),
        "containerLogMaxFiles": rotate::MOST_FILES,
        "containerLogMonitorInterval": durations::print(keeper::PAUSE),
        "enableDebuggingHandlers": true,
        "enableProfilingHandler": false,
        "enableDebugFlagsHandler": false,
        "enableSystemLogHandler": false,
        "enableSystemLogQuery": false,
    });
    if let Some(port) = config.port {
        fields["port"] = port.into();
    }
    json!({"kubeletconfig": fields})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_shown_as_upstream_calls_it() {
        let ip = "192.0.2.1".parse().unwrap();
        let mut config = KubeletConfig::new("n1", ip, "/nonexistent".into(), "10.96.0.10".parse().unwrap());
        let shown = |config: &KubeletConfig| page(config)["kubeletconfig"].clone();
        let at_first = shown(&config);
        assert_eq!((&at_first["maxPods"], &at_first["enableServer"]), (&json!(110), &json!(false)));
        assert_eq!(at_first.get("port"), None);
        (config.max_pods, config.port) = (250, Some(10250));
        let shown = shown(&config);
        for (field, want) in [
            ("maxPods", json!(250)),
            ("port", json!(10250)),
            ("enableServer", json!(true)),
            ("clusterDNS", json!(["10.96.0.10"])),
            ("address", json!("192.0.2.1")),
            ("nodeStatusReportFrequency", json!("5m0s")),
            ("nodeLeaseDurationSeconds", json!(40)),
            ("containerLogMaxSize", json!("10Mi")),
            ("containerLogMaxFiles", json!(5)),
            ("imageGCHighThresholdPercent", json!(85)),
        ] {
            assert_eq!(shown[field], want, "{field}");
        }
    }
}
