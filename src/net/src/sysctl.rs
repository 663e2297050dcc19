//! The switches under /proc/sys/net/ipv4 that routed pods need. The files are those of the caller's network namespace.

use crate::Result;
use crate::error::Doing;
use std::path::PathBuf;

/// Writes only what differs: writing `ip_forward`, even with the value it has, resets the machine's other settings.
fn set(path: &str, value: &str) -> Result<()> {
    let file = PathBuf::from("/proc/sys/net").join(path);
    if std::fs::read_to_string(&file).is_ok_and(|now| now.trim() == value) {
        return Ok(());
    }
    std::fs::write(&file, value).doing(|| format!("set {} to {value}", file.display()))
}

/// The machine forwards between pods and to the outside. It stays on: others may have come to rely on it.
pub(crate) fn forward() -> Result<()> {
    set("ipv4/ip_forward", "1")
}

/// For one pod's host-side link.
pub(crate) fn pod_link(link: &str) -> Result<()> {
    // a packet from 127.0.0.1 to a node port leaves through it, and its answer comes back
    set(&format!("ipv4/conf/{link}/route_localnet"), "1")?;
    // a new link has it from `conf/default`, which need not be as `ip_forward` is
    set(&format!("ipv4/conf/{link}/forwarding"), "1")?;
    // a pod speaks with its own address only (strict reverse path); the table says so too, for others write this as well
    set(&format!("ipv4/conf/{link}/rp_filter"), "1")?;
    // no link-local address, no router solicitations; a kernel without IPv6 has no such file
    let ipv6 = format!("ipv6/conf/{link}/disable_ipv6");
    if PathBuf::from("/proc/sys/net").join(&ipv6).exists() { set(&ipv6, "1") } else { Ok(()) }
}
