//! What every sandbox uses now.

use crate::daemon_cgroup::DaemonCgroup;
use crate::runtime::{Inner, blocking};
use crate::sandbox::Sandbox;
use cri::{ContainerId, InterfaceStats, Result, SandboxId, SandboxStats, SystemStats};
use futures::future::join_all;
use std::sync::Arc;

impl Inner {
    pub async fn stats(self: &Arc<Self>) -> Vec<SandboxStats> {
        let ready: Vec<Arc<Sandbox>> = self.sandboxes().into_iter().filter(|s| s.is_ready()).collect();
        let counters = join_all(ready.iter().map(|s| self.traffic(s))).await;
        let inner = self.clone();
        blocking(move || {
            let all = ready.iter().zip(counters);
            all.map(|(sandbox, traffic)| inner.usage(sandbox, traffic)).collect()
        })
        .await
    }

    async fn traffic(&self, sandbox: &Sandbox) -> (u64, u64) {
        if sandbox.record().config.host_network {
            return (0, 0);
        }
        let counters = self.networks.counters(&sandbox.id()).await;
        counters.map_or((0, 0), |c| (c.rx_bytes, c.tx_bytes))
    }

    pub async fn sandbox_stats(self: &Arc<Self>, id: &SandboxId) -> Result<SandboxStats> {
        let sandbox = self.sandbox(id)?;
        sandbox.client()?;
        let (traffic, inner) = (self.traffic(&sandbox).await, self.clone());
        Ok(blocking(move || inner.usage(&sandbox, traffic)).await)
    }

    pub async fn system_stats(self: &Arc<Self>, cgroup_parent: &str) -> SystemStats {
        let (inner, below) = (self.clone(), cgroup_parent.to_owned());
        blocking(move || {
            let profile = &inner.config.cgroup;
            let daemon = DaemonCgroup::of(profile).ok().and_then(|cgroup| cgroup.stats());
            let path = format!("{profile}/{below}");
            SystemStats { daemon, sandboxes: inner.cgroups.stats(&ContainerId(below), &path) }
        })
        .await
    }

    fn usage(&self, sandbox: &Sandbox, (network_rx, network_tx): (u64, u64)) -> SandboxStats {
        let id = sandbox.id();
        let running = self.containers_of(&id).into_iter().filter(|c| c.running_pid().is_ok());
        let containers = running.filter_map(|c| self.cgroups.stats(&c.record.id, &c.record.cgroup)).collect();
        SandboxStats { id, containers, network_rx, network_tx, interfaces: interfaces(sandbox) }
    }
}

/// As the shim sees them, which is in the sandbox's network namespace. On the machine's there are none of its own.
fn interfaces(sandbox: &Sandbox) -> Vec<InterfaceStats> {
    let Some(made) = sandbox.made().filter(|_| !sandbox.record().config.host_network) else {
        return Vec::new();
    };
    parse(&std::fs::read_to_string(format!("/proc/{}/net/dev", made.shim.pid)).unwrap_or_default())
}

/// proc_pid_net(5): two lines of titles, then `name: ` and eight counters each way.
fn parse(text: &str) -> Vec<InterfaceStats> {
    let line = |line: &str| {
        let (name, counters) = line.split_once(':')?;
        let n: Vec<u64> = counters.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let [
            rx_bytes,
            rx_packets,
            rx_errors,
            rx_dropped,
            _,
            _,
            _,
            _,
            tx_bytes,
            tx_packets,
            tx_errors,
            tx_dropped,
            ..,
        ] = n[..]
        else {
            return None;
        };
        Some(InterfaceStats {
            name: name.trim().to_owned(),
            rx_bytes,
            rx_packets,
            rx_errors,
            rx_dropped,
            tx_bytes,
            tx_packets,
            tx_errors,
            tx_dropped,
        })
    };
    text.lines().skip(2).filter_map(line).filter(|one| one.name != "lo").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_interfaces() {
        let text = "Inter-| Receive | Transmit\n face |bytes\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  eth0:  1 2 3 4 0 0 0 0 \
                    5 6 7 8 0 0 0 0\nbroken: 1\n";
        let found = parse(text);
        assert_eq!(found.len(), 1);
        let eth = &found[0];
        assert_eq!(
            (eth.name.as_str(), eth.rx_bytes, eth.rx_dropped, eth.tx_bytes, eth.tx_dropped),
            ("eth0", 1, 4, 5, 8)
        );
    }
}
