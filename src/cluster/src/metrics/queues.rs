//! What controllers' queues do, in the names of client-go's.

use super::exposition::Exposition;
use super::histogram::{Histogram, exponential};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Seconds.
static TIMES: [f64; 10] = exponential(1e-8, 10.0);

pub(crate) struct QueueMetrics {
    /// Keys that are ready, and have no worker yet.
    pub(crate) depth: AtomicI64,
    pub(crate) adds: AtomicU64,
    pub(crate) retries: AtomicU64,
    /// From the time a key was added to its worker.
    pub(crate) waits: Histogram,
    pub(crate) work: Histogram,
}

impl Default for QueueMetrics {
    fn default() -> Self {
        QueueMetrics {
            depth: AtomicI64::new(0),
            adds: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            waits: Histogram::new(&TIMES),
            work: Histogram::new(&TIMES),
        }
    }
}

/// By the controller's name.
#[derive(Default)]
pub(super) struct Queues(Mutex<BTreeMap<&'static str, Arc<QueueMetrics>>>);

impl Queues {
    pub(super) fn of(&self, name: &'static str) -> Arc<QueueMetrics> {
        self.0.lock().entry(name).or_default().clone()
    }

    pub(super) fn collect(&self, out: &mut Exposition) {
        let all = self.0.lock().clone();
        let numbers: [(&str, &str, &str, fn(&QueueMetrics) -> i64); 3] = [
            ("workqueue_depth", "gauge", "Current depth of workqueue", |of| of.depth.load(Ordering::Relaxed)),
            ("workqueue_adds_total", "counter", "Total number of adds handled by workqueue", |of| {
                of.adds.load(Ordering::Relaxed).cast_signed()
            }),
            ("workqueue_retries_total", "counter", "Total number of retries handled by workqueue", |of| {
                of.retries.load(Ordering::Relaxed).cast_signed()
            }),
        ];
        for (metric, kind, help, value) in numbers {
            out.metric(metric, kind, help);
            for (&name, of) in &all {
                out.value(metric, &[("name", name)], value(of), None);
            }
        }
        let times: [(&str, &str, fn(&QueueMetrics) -> &Histogram); 2] = [
            (
                "workqueue_queue_duration_seconds",
                "How long in seconds an item stays in workqueue before being requested.",
                |of| &of.waits,
            ),
            (
                "workqueue_work_duration_seconds",
                "How long in seconds processing an item from workqueue takes.",
                |of| &of.work,
            ),
        ];
        for (metric, help, of_queue) in times {
            let each = all.iter().map(|(name, of)| (vec![("name", *name)], of_queue(of)));
            out.histograms(metric, help, each);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WorkQueue;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn adds_waits_work_and_retries_are_counted() {
        let queues = Queues::default();
        let queue = WorkQueue::counted(queues.of("deployment"));
        queue.add("a");
        queue.add("a");
        queue.add("b");
        let told = |line: &str| {
            let mut out = Exposition::default();
            queues.collect(&mut out);
            let text = out.into_text();
            assert!(text.lines().any(|known| known == line), "no {line} in {text}");
        };
        told("workqueue_depth{name=\"deployment\"} 2");
        told("workqueue_adds_total{name=\"deployment\"} 2");
        tokio::time::advance(Duration::from_secs(2)).await;
        let key = queue.next().await;
        tokio::time::advance(Duration::from_millis(500)).await;
        queue.add_rate_limited(key);
        queue.done(&key);
        told("workqueue_depth{name=\"deployment\"} 1");
        told("workqueue_retries_total{name=\"deployment\"} 1");
        told("workqueue_queue_duration_seconds_bucket{name=\"deployment\",le=\"1\"} 0");
        told("workqueue_queue_duration_seconds_bucket{name=\"deployment\",le=\"10\"} 1");
        told("workqueue_queue_duration_seconds_count{name=\"deployment\"} 1");
        told("workqueue_work_duration_seconds_sum{name=\"deployment\"} 0.5");
    }
}
