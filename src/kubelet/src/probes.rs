//! Startup, liveness and readiness: one task for each probe of each running container, which sleeps its own period.

use crate::clock::{after, since};
use crate::handlers::{self, At, Outcome};
use crate::mailbox::{Mailbox, Message};
use crate::probe::{ProbeKind, Verdict};
use crate::probe_counts::{ProbeId, ProbeResult};
use crate::shared::Shared;
use cri::ContainerId;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, Probe};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;

pub(crate) fn probe_of(container: &Container, kind: ProbeKind) -> Option<&Probe> {
    match kind {
        ProbeKind::Startup => container.startup_probe.as_ref(),
        ProbeKind::Liveness => container.liveness_probe.as_ref(),
        ProbeKind::Readiness => container.readiness_probe.as_ref(),
    }
}

/// The probes of one pod that are under way.
#[derive(Default)]
pub(crate) struct Probers {
    tasks: HashMap<(ContainerId, ProbeKind), AbortHandle>,
    /// Whose they are, once there are some.
    of: Option<(Arc<Shared>, String)>,
}

/// One probe that ought to run.
pub(crate) struct Wanted {
    pub kind: ProbeKind,
    pub at: At,
    pub started_at: Timestamp,
    /// What is known of it from before.
    pub good: Option<bool>,
}

impl Probers {
    /// Starts what is wanted and does not run, and ends the others.
    pub fn set(&mut self, shared: &Arc<Shared>, pod: &Arc<Pod>, mailbox: &Mailbox, wanted: Vec<Wanted>) {
        if !wanted.is_empty() && self.of.is_none() {
            self.of = Some((shared.clone(), pod.metadata.uid.clone().unwrap_or_default()));
        }
        self.tasks.retain(|(id, kind), task| {
            let stays = wanted.iter().any(|w| w.at.id == *id && w.kind == *kind);
            if !stays {
                task.abort();
            }
            stays
        });
        for want in wanted {
            let key = (want.at.id.clone(), want.kind);
            self.tasks.entry(key).or_insert_with(|| {
                let prober =
                    Prober { shared: shared.clone(), pod: pod.clone(), mailbox: mailbox.clone(), want };
                tokio::spawn(prober.run()).abort_handle()
            });
        }
    }
}

impl Drop for Probers {
    fn drop(&mut self) {
        self.tasks.values().for_each(AbortHandle::abort);
        if let Some((shared, uid)) = &self.of {
            shared.probe_counts.forget(uid);
        }
    }
}

struct Prober {
    shared: Arc<Shared>,
    pod: Arc<Pod>,
    mailbox: Mailbox,
    want: Wanted,
}

/// How often in a row the same came out, and what was last concluded from it.
#[derive(Debug, Default)]
struct Streak {
    good: bool,
    length: i32,
    concluded: Option<bool>,
}

impl Streak {
    /// What is newly concluded, if anything.
    fn add(&mut self, good: bool, probe: &Probe) -> Option<bool> {
        self.length = if good == self.good { self.length.saturating_add(1) } else { 1 };
        self.good = good;
        let threshold =
            if good { probe.success_threshold.unwrap_or(1) } else { probe.failure_threshold.unwrap_or(3) };
        if self.length < threshold || self.concluded == Some(good) {
            return None;
        }
        self.concluded = Some(good);
        Some(good)
    }
}

fn seconds(number: Option<i32>, or: u64) -> Duration {
    Duration::from_secs(number.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(or))
}

impl Prober {
    async fn run(self) {
        let Some(probe) = probe_of(&self.want.at.container, self.want.kind).cloned() else { return };
        let first = after(self.want.started_at, seconds(probe.initial_delay_seconds, 0));
        tokio::time::sleep(since(first, self.shared.clock.now())).await;
        let mut ticks = tokio::time::interval(seconds(probe.period_seconds, 10));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut streak = Streak { concluded: self.want.good, ..Streak::default() };
        loop {
            ticks.tick().await;
            let began = Instant::now();
            let outcome = self.once(&probe).await;
            self.tell(&outcome, began.elapsed());
            let good = match outcome {
                Outcome::Success | Outcome::Warning(_) => true,
                Outcome::Failure(_) => false,
                Outcome::Error(_) => continue,
            };
            let Some(good) = streak.add(good, &probe) else { continue };
            let verdict = Verdict { id: self.want.at.id.clone(), kind: self.want.kind, good };
            let heard = self.mailbox.send(Message::Probed(verdict)).is_ok();
            // what started stays started; what is to be killed is asked no more
            let last =
                self.want.kind == ProbeKind::Startup || (self.want.kind == ProbeKind::Liveness && !good);
            if last || !heard {
                return;
            }
        }
    }

    async fn once(&self, probe: &Probe) -> Outcome {
        let timeout = seconds(probe.timeout_seconds, 1);
        let at = &self.want.at;
        if let Some(exec) = &probe.exec {
            let command = exec.command.as_deref().unwrap_or_default();
            return handlers::exec(&self.shared, at, command, timeout).await;
        }
        if let Some(action) = &probe.http_get {
            return handlers::http(at, action, timeout).await;
        }
        if let Some(action) = &probe.grpc {
            return handlers::grpc(at, action, timeout).await;
        }
        match &probe.tcp_socket {
            Some(action) => handlers::tcp(at, action, timeout).await,
            // validation lets none through
            None => Outcome::Failure("missing probe handler".to_owned()),
        }
    }

    fn tell(&self, outcome: &Outcome, took: Duration) {
        let result = match outcome {
            Outcome::Success | Outcome::Warning(_) => ProbeResult::Successful,
            Outcome::Failure(_) => ProbeResult::Failed,
            Outcome::Error(_) => ProbeResult::Unknown,
        };
        let id = ProbeId::of(&self.pod, &self.want.at.container.name, self.want.kind);
        self.shared.probe_counts.count(id, result, took);
        let (reason, message) = match outcome {
            Outcome::Success => return,
            Outcome::Warning(said) => ("ProbeWarning", format!("{} probe warning: {said}", self.want.kind)),
            Outcome::Failure(why) => ("Unhealthy", format!("{} probe failed: {why}", self.want.kind)),
            Outcome::Error(why) => ("Unhealthy", format!("{} probe errored: {why}", self.want.kind)),
        };
        self.shared.warn(&self.pod, &self.want.at.container.name, reason, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_count_what_comes_in_a_row() {
        let probe = Probe { success_threshold: Some(2), failure_threshold: Some(3), ..Probe::default() };
        let mut streak = Streak::default();
        let seen = [true, false, true, true, true, false, false, true, false, false, false, false];
        let got: Vec<Option<bool>> = seen.into_iter().map(|good| streak.add(good, &probe)).collect();
        let mut want = vec![None; seen.len()];
        want[3] = Some(true);
        want[10] = Some(false);
        assert_eq!(got, want);
    }
}
