//! Which probes run, and what follows from what they find.

use super::{Stage, Worker};
use crate::handlers::At;
use crate::pod;
use crate::probe::{ProbeKind, Verdict};
use crate::probes::{Wanted, probe_of};
use cri::{ContainerState, ContainerStatus, SandboxStatus};
use k8s_openapi::api::core::v1::Container;
use std::time::Duration;

impl Worker {
    pub(super) fn sync_probes(&mut self) {
        let wanted = self.wanted_probes();
        self.probers.set(&self.shared, &self.pod, &self.mailbox, wanted);
    }

    fn wanted_probes(&self) -> Vec<Wanted> {
        // who is frozen answers nothing
        if self.stage == Stage::Syncing && self.shared.is_paused(&self.pod) {
            return Vec::new();
        }
        let view = self.view();
        let Some(sandbox) = view.current() else { return Vec::new() };
        let spec = pod::spec(&self.pod);
        let sidecars = pod::init_containers(spec).iter().filter(|c| pod::is_sidecar(c));
        let mut wanted = Vec::new();
        for container in sidecars.chain(&spec.containers) {
            if let Some(status) = view.latest_in(&container.name, &sandbox.id) {
                wanted.extend(self.probes_of(container, status, sandbox));
            }
        }
        wanted
    }

    fn probes_of(
        &self,
        container: &Container,
        status: &ContainerStatus,
        sandbox: &SandboxStatus,
    ) -> Vec<Wanted> {
        let ContainerState::Running { started_at, .. } = status.state else { return Vec::new() };
        if self.memory.starting.as_deref() == Some(&container.name) {
            return Vec::new();
        }
        let started = self.view().is_started(container, status);
        let kinds: &[ProbeKind] = match self.stage {
            Stage::Syncing if !started => &[ProbeKind::Startup],
            Stage::Syncing => &[ProbeKind::Liveness, ProbeKind::Readiness],
            // who is asked to end may still say that it serves
            Stage::Terminating if started => &[ProbeKind::Readiness],
            _ => &[],
        };
        let ends = self.memory.killing.contains(&status.id);
        let known = |kind: ProbeKind| match kind {
            ProbeKind::Startup => None,
            ProbeKind::Liveness => Some(true),
            ProbeKind::Readiness => Some(self.memory.ready.contains(&status.id)),
        };
        let kinds = kinds.iter().filter(|k| probe_of(container, **k).is_some());
        kinds
            .filter(|k| !ends || **k == ProbeKind::Readiness)
            .map(|kind| Wanted {
                kind: *kind,
                at: At {
                    id: status.id.clone(),
                    container: container.clone(),
                    address: self.shared.address_of(sandbox),
                },
                started_at,
                good: known(*kind),
            })
            .collect()
    }

    pub(super) fn probed(&mut self, verdict: &Verdict) {
        if self.stage == Stage::Syncing && self.shared.is_paused(&self.pod) {
            // asked before it was frozen: it is asked again when it goes on
            return;
        }
        let id = verdict.id.clone();
        match (verdict.kind, verdict.good) {
            (ProbeKind::Startup, true) => drop(self.memory.started.insert(id)),
            (ProbeKind::Readiness, true) => drop(self.memory.ready.insert(id)),
            (ProbeKind::Readiness, false) => drop(self.memory.ready.remove(&id)),
            (ProbeKind::Liveness, true) => {}
            (ProbeKind::Startup | ProbeKind::Liveness, false) => self.unhealthy(verdict),
        }
    }

    fn unhealthy(&mut self, verdict: &Verdict) {
        let all = self.sandboxes.iter().flat_map(|s| &s.containers);
        let Some(name) = all.filter(|c| c.id == verdict.id).map(|c| c.name.clone()).next() else { return };
        let probe = pod::container(pod::spec(&self.pod), &name).and_then(|c| probe_of(c, verdict.kind));
        let own = probe.and_then(|p| p.termination_grace_period_seconds).and_then(|s| u64::try_from(s).ok());
        let grace = Duration::from_secs(own.unwrap_or_else(|| pod::grace_seconds(&self.pod)));
        let kind = verdict.kind.to_string().to_lowercase();
        self.kill(&verdict.id, grace, format!("Container {name} failed {kind} probe, will be restarted"));
    }
}
