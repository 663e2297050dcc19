//! What the kubelet counts of its own work: what it has the runtime do, and how long pods take to start.

use cluster::metrics::{Exposition, Histogram, exponential};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Seconds.
static OPERATION_TIMES: [f64; 14] = exponential(0.005, 2.5);
/// Seconds; an image may have to come first.
static START_TIMES: [f64; 25] = [
    0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 20.0, 30.0, 45.0, 60.0, 120.0, 180.0, 240.0, 300.0, 360.0,
    480.0, 600.0, 900.0, 1200.0, 1800.0, 2700.0, 3600.0,
];

/// What is asked of the runtime and the images, and changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    CreateContainer,
    ExecSync,
    PullImage,
    RemoveContainer,
    RemoveSandbox,
    RunSandbox,
    StartContainer,
    StopContainer,
    StopSandbox,
}

/// In upstream's words.
const OPERATIONS: [(Operation, &str); 9] = [
    (Operation::CreateContainer, "create_container"),
    (Operation::ExecSync, "exec_sync"),
    (Operation::PullImage, "pull_image"),
    (Operation::RemoveContainer, "remove_container"),
    (Operation::RemoveSandbox, "remove_podsandbox"),
    (Operation::RunSandbox, "run_podsandbox"),
    (Operation::StartContainer, "start_container"),
    (Operation::StopContainer, "stop_container"),
    (Operation::StopSandbox, "stop_podsandbox"),
];

struct Counts {
    begun: AtomicU64,
    failed: AtomicU64,
    times: Histogram,
}

pub(crate) struct WorkCounts {
    operations: [Counts; OPERATIONS.len()],
    starts: Histogram,
}

impl Default for WorkCounts {
    fn default() -> Self {
        let none = |_| Counts {
            begun: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            times: Histogram::new(&OPERATION_TIMES),
        };
        WorkCounts { operations: OPERATIONS.map(none), starts: Histogram::new(&START_TIMES) }
    }
}

impl WorkCounts {
    /// # Errors
    /// Those of `work`.
    pub async fn time<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = cri::Result<T>>,
    ) -> cri::Result<T> {
        let counts = &self.operations[operation as usize];
        counts.begun.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        let done = work.await;
        counts.times.observe_time(began.elapsed());
        if done.is_err() {
            counts.failed.fetch_add(1, Ordering::Relaxed);
        }
        done
    }

    /// A pod runs that was first seen so long ago.
    pub fn count_start(&self, took: Duration) {
        self.starts.observe_time(took);
    }

    pub fn collect(&self, out: &mut Exposition) {
        out.histograms(
            "kubelet_pod_start_duration_seconds",
            "[ALPHA] Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
            [(Vec::new(), &self.starts)],
        );
        let all = || {
            let each = OPERATIONS.iter().zip(&self.operations);
            let each = each.map(|((_, name), counts)| (*name, counts));
            each.filter(|(_, counts)| counts.begun.load(Ordering::Relaxed) > 0)
        };
        let numbers: [(&str, &str, fn(&Counts) -> &AtomicU64); 2] = [
            (
                "kubelet_runtime_operations_total",
                "[ALPHA] Cumulative number of runtime operations by operation type.",
                |of| &of.begun,
            ),
            (
                "kubelet_runtime_operations_errors_total",
                "[ALPHA] Cumulative number of runtime operation errors by operation type.",
                |of| &of.failed,
            ),
        ];
        for (metric, help, of) in numbers {
            out.metric(metric, "counter", help);
            for (operation, counts) in all() {
                let labels = [("operation_type", operation)];
                out.value(metric, &labels, of(counts).load(Ordering::Relaxed), None);
            }
        }
        out.histograms(
            "kubelet_runtime_operations_duration_seconds",
            "[ALPHA] Duration in seconds of runtime operations. Broken down by operation type.",
            all().map(|(operation, counts)| (vec![("operation_type", operation)], &counts.times)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cri::CriError;

    #[tokio::test(start_paused = true)]
    async fn operations_are_counted_with_their_times_and_failures() {
        for (index, (operation, _)) in OPERATIONS.iter().enumerate() {
            assert_eq!(*operation as usize, index);
        }
        let counts = WorkCounts::default();
        let slow = async {
            tokio::time::advance(Duration::from_secs(1)).await;
            Ok(())
        };
        counts.time(Operation::RunSandbox, slow).await.unwrap();
        let fails = async { Err::<(), _>(CriError::Invalid("no".to_owned())) };
        assert!(counts.time(Operation::RunSandbox, fails).await.is_err());
        counts.count_start(Duration::from_secs(7));
        let mut out = Exposition::default();
        counts.collect(&mut out);
        let text = out.into_text();
        let of = "operation_type=\"run_podsandbox\"";
        for line in [
            format!("kubelet_runtime_operations_total{{{of}}} 2"),
            format!("kubelet_runtime_operations_errors_total{{{of}}} 1"),
            format!("kubelet_runtime_operations_duration_seconds_sum{{{of}}} 1"),
            "kubelet_pod_start_duration_seconds_bucket{le=\"6\"} 0".to_owned(),
            "kubelet_pod_start_duration_seconds_bucket{le=\"8\"} 1".to_owned(),
        ] {
            assert!(text.lines().any(|known| known == line), "no {line} in {text}");
        }
        assert!(!text.contains("exec_sync"), "{text}");
    }
}
