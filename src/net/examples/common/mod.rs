//! What the measurements have in common.

use net::NetConfig;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

/// For a network that is measured. `None`, and it says why, where this is no network namespace made for it: that has no default
/// route.
pub fn config() -> Option<NetConfig> {
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    if routes.lines().count() > 1 || !up.is_ok_and(|status| status.success()) {
        eprintln!("run this in a network namespace of its own: unshare --net …");
        return None;
    }
    let range = |text: &str| text.parse().expect("a network");
    Some(NetConfig {
        profile: "bench".into(),
        node_ip: Ipv4Addr::LOCALHOST,
        pod_cidr: range("10.244.0.0/19"),
        service_cidr: range("10.96.0.0/16"),
        load_balancer_cidr: range("10.98.0.0/24"),
    })
}

pub fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
