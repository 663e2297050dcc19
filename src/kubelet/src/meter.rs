//! Measures what the node and its pods use, when somebody asks and at no other time: a cluster that nobody looks at costs
//! nothing. A rate needs two samples, so the first who asks waits for a second; who asks again within the next minute and a
//! half, as an autoscaler does, finds the sample that it left behind and waits for nothing.

use crate::measure::measure;
use crate::pod;
use crate::shared::Shared;
use crate::usage::{Counted, History, LONGEST_WINDOW, SHORTEST_WINDOW, Sample};
use cluster::{NodeUsage, UsageSource};
use futures::FutureExt;
use futures::future::BoxFuture;
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
        let measured = measure(&self.shared).await.map_err(|e| format!("container runtime: {e}"))?;
        let containers = measured.pods.into_iter().flat_map(|of| {
            let (pod, uid) = (kinds::key_of(&of.pod.metadata), pod::uid(&of.pod).to_owned());
            of.containers.into_iter().map(move |container| {
                let counted = Counted {
                    pod: pod.clone(),
                    uid: uid.clone(),
                    name: container.name,
                    started_at: container.started_at,
                    cpu_ns: container.stats.cpu_usage_ns,
                    memory: container.stats.memory_working_set,
                };
                (container.stats.id, counted)
            })
        });
        Ok(Sample {
            at: measured.at,
            node_cpu_ns: measured.cpu_ns,
            node_memory: measured.memory_use.working_set,
            containers: containers.collect(),
        })
    }
}
