//! Measures what the node and its pods use, when somebody asks and at no other time: a cluster that nobody looks at costs
//! nothing. A rate needs two samples, so the first who asks waits for a second; who asks again within the next minute and a
//! half, as an autoscaler does, finds the sample that it left behind and waits for nothing.

use crate::shared::Shared;
use crate::usage::{Counted, History, LONGEST_WINDOW, SHORTEST_WINDOW, Sample, busy_ns, working_set};
use api::ObjectKey;
use cluster::{NodeUsage, UsageSource};
use cri::{ContainerId, ContainerState};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Mutex;

pub(crate) struct Meter {
    shared: Arc<Shared>,
    /// Held while it measures: those who ask at the same time share what is found.
    history: Mutex<History>,
}

impl UsageSource for Meter {
    fn measure(&self) -> BoxFuture<'_, Result<NodeUsage, String>> {
        self.usage().boxed()
    }
}

impl Meter {
    pub fn new(shared: Arc<Shared>) -> Self {
        Meter { shared, history: Mutex::default() }
    }

    async fn usage(&self) -> Result<NodeUsage, String> {
        let node = &self.shared.config.node_name;
        let mut history = self.history.lock().await;
        let age = history.latest().map(|latest| crate::clock::since(self.shared.clock.now(), latest.at));
        if age.is_none_or(|age| age >= SHORTEST_WINDOW) {
            history.push(self.sample().await?);
        }
        if let Some(usage) = history.usage(node) {
            return Ok(usage);
        }
        // a little more, so that the window is no shorter than it must be
        tokio::time::sleep(SHORTEST_WINDOW + SHORTEST_WINDOW / 20).await;
        history.push(self.sample().await?);
        history.usage(node).ok_or_else(|| format!("the clock moved by more than {LONGEST_WINDOW:?}"))
    }

    async fn sample(&self) -> Result<Sample, String> {
        let running = self.running().await.map_err(|e| format!("container runtime: {e}"))?;
        let stats = self.shared.runtime.stats().await.map_err(|e| format!("container runtime: {e}"))?;
        let at = self.shared.clock.now();
        let stat = tokio::fs::read_to_string("/proc/stat").await.unwrap_or_default();
        let meminfo = tokio::fs::read_to_string("/proc/meminfo").await.unwrap_or_default();
        let used = stats.into_iter().flat_map(|sandbox| sandbox.containers);
        let containers = used.filter_map(|used| {
            let known = running.get(&used.id)?;
            let counted =
                Counted { cpu_ns: used.cpu_usage_ns, memory: used.memory_working_set, ..known.clone() };
            Some((used.id, counted))
        });
        Ok(Sample {
            at,
            node_cpu_ns: busy_ns(&stat),
            node_memory: working_set(&meminfo),
            containers: containers.collect(),
        })
    }

    /// The containers of pods: of others, as Docker's, nobody asks here.
    async fn running(&self) -> cri::Result<HashMap<ContainerId, Counted>> {
        let sandboxes = self.shared.look_at(&self.shared.sandbox_index.sandboxes()).await?;
        let mut all = HashMap::new();
        for sandbox in sandboxes {
            let pod = ObjectKey::namespaced(&sandbox.config.namespace, &sandbox.config.name);
            for container in sandbox.containers {
                let ContainerState::Running { started_at, .. } = container.state else { continue };
                let counted = Counted {
                    pod: pod.clone(),
                    uid: sandbox.config.uid.clone(),
                    name: container.name,
                    started_at,
                    cpu_ns: 0,
                    memory: 0,
                };
                all.insert(container.id, counted);
            }
        }
        Ok(all)
    }
}
