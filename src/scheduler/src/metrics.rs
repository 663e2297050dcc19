//! What Prometheus is told of scheduling, under upstream's names.

use crate::Profiles;
use cluster::metrics::{Exposition, Histogram, exponential};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Seconds.
static TIMES: [f64; 15] = exponential(0.001, 2.0);

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    Error,
    /// Until its pod was bound.
    Scheduled,
    Unschedulable,
}

const ATTEMPTS: [(Attempt, &str); 3] =
    [(Attempt::Error, "error"), (Attempt::Scheduled, "scheduled"), (Attempt::Unschedulable, "unschedulable")];

pub(crate) struct Metrics {
    /// By the profile's name; each has a histogram for each of `ATTEMPTS`.
    attempts: BTreeMap<String, [Histogram; ATTEMPTS.len()]>,
    decisions: Histogram,
    preemptions: AtomicU64,
}

/// Of each queue, how many pods are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) active: usize,
    pub(crate) backoff: usize,
    pub(crate) gated: usize,
    pub(crate) unschedulable: usize,
}

impl Metrics {
    pub(crate) fn new(profiles: &Profiles) -> Self {
        let none = || ATTEMPTS.map(|_| Histogram::new(&TIMES));
        Metrics {
            attempts: profiles.names().map(|name| (name.to_owned(), none())).collect(),
            decisions: Histogram::new(&TIMES),
            preemptions: AtomicU64::new(0),
        }
    }

    /// A node was looked for; `took` is what that took, and the binding with it where there was one.
    pub(crate) fn count_attempt(&self, profile: &str, attempt: Attempt, took: Duration) {
        if let Some(of_profile) = self.attempts.get(profile) {
            of_profile[attempt as usize].observe_time(took);
        }
    }

    pub(crate) fn count_decision(&self, took: Duration) {
        self.decisions.observe_time(took);
    }

    pub(crate) fn count_preemption(&self) {
        self.preemptions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn collect(&self, out: &mut Exposition, pending: Pending) {
        let name = "scheduler_pending_pods";
        out.metric(name, "gauge", "Number of pending pods, by the queue type.");
        for (queue, pods) in [
            ("active", pending.active),
            ("backoff", pending.backoff),
            ("gated", pending.gated),
            ("unschedulable", pending.unschedulable),
        ] {
            out.value(name, &[("queue", queue)], pods, None);
        }
        let all = || {
            let each = self.attempts.iter().flat_map(|(profile, results)| {
                ATTEMPTS.iter().zip(results).map(move |((_, result), times)| (profile, *result, times))
            });
            each.filter(|(_, _, times)| !times.is_empty())
        };
        let name = "scheduler_schedule_attempts_total";
        out.metric(name, "counter", "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be scheduled, while 'error' means an internal scheduler problem.");
        for (profile, result, times) in all() {
            out.value(name, &[("profile", profile.as_str()), ("result", result)], times.count(), None);
        }
        out.histograms(
            "scheduler_scheduling_attempt_duration_seconds",
            "Scheduling attempt latency in seconds (scheduling algorithm + binding)",
            all().map(|(profile, result, times)| {
                (vec![("profile", profile.as_str()), ("result", result)], times)
            }),
        );
        out.histograms(
            "scheduler_scheduling_algorithm_duration_seconds",
            "Scheduling algorithm latency in seconds",
            [(Vec::new(), &self.decisions)],
        );
        let name = "scheduler_preemption_attempts_total";
        out.metric(name, "counter", "Total preemption attempts in the cluster till now");
        out.value(name, &[], self.preemptions.load(Ordering::Relaxed), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_told_by_profile_and_result() {
        for (index, (attempt, _)) in ATTEMPTS.iter().enumerate() {
            assert_eq!(*attempt as usize, index);
        }
        let metrics = Metrics::new(&Profiles::default());
        metrics.count_attempt("default-scheduler", Attempt::Scheduled, Duration::from_millis(3));
        metrics.count_attempt("default-scheduler", Attempt::Unschedulable, Duration::from_millis(1));
        metrics.count_attempt("default-scheduler", Attempt::Unschedulable, Duration::from_millis(1));
        metrics.count_attempt("a client's own", Attempt::Scheduled, Duration::ZERO);
        metrics.count_preemption();
        let mut out = Exposition::default();
        metrics.collect(&mut out, Pending { active: 1, backoff: 2, gated: 3, unschedulable: 4 });
        let text = out.into_text();
        let of = "profile=\"default-scheduler\",result";
        for line in [
            "scheduler_pending_pods{queue=\"unschedulable\"} 4".to_owned(),
            format!("scheduler_schedule_attempts_total{{{of}=\"scheduled\"}} 1"),
            format!("scheduler_schedule_attempts_total{{{of}=\"unschedulable\"}} 2"),
            format!(
                "scheduler_scheduling_attempt_duration_seconds_bucket{{{of}=\"scheduled\",le=\"0.002\"}} 0"
            ),
            format!(
                "scheduler_scheduling_attempt_duration_seconds_bucket{{{of}=\"scheduled\",le=\"0.004\"}} 1"
            ),
            "scheduler_preemption_attempts_total 1".to_owned(),
        ] {
            assert!(text.lines().any(|known| known == line), "no {line} in {text}");
        }
        assert!(!text.contains("result=\"error\""), "{text}");
        assert!(!text.contains("a client's own"), "{text}");
    }
}
