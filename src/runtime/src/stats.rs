//! What every sandbox uses now.

use crate::runtime::{Inner, blocking};
use crate::sandbox::Sandbox;
use cri::{SandboxId, SandboxStats};
use futures::future::join_all;
use std::sync::Arc;

impl Inner {
    pub async fn stats(self: &Arc<Self>) -> Vec<SandboxStats> {
        let ready: Vec<Arc<Sandbox>> = self.sandboxes().into_iter().filter(|s| s.is_ready()).collect();
        let counters = join_all(ready.iter().map(|s| self.traffic(s))).await;
        let inner = self.clone();
        blocking(move || {
            let all = ready.iter().zip(counters);
            all.map(|(sandbox, (rx, tx))| inner.usage(sandbox.id(), rx, tx)).collect()
        })
        .await
    }

    async fn traffic(&self, sandbox: &Sandbox) -> (u64, u64) {
        if sandbox.record().config.host_network {
            return (0, 0);
        }
        let counters = self.network.counters(&sandbox.id().0).await;
        counters.map_or((0, 0), |c| (c.rx_bytes, c.tx_bytes))
    }

    fn usage(&self, id: SandboxId, network_rx: u64, network_tx: u64) -> SandboxStats {
        let running = self.containers_of(&id).into_iter().filter(|c| c.running_pid().is_ok());
        let containers = running.filter_map(|c| self.cgroups.stats(&c.record.id, &c.record.cgroup)).collect();
        SandboxStats { id, containers, network_rx, network_tx }
    }
}
