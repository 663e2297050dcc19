//! What to do next for one pod: a pure function of what is wanted, what runs and the time.

use crate::labels;
use crate::pod;
use crate::restarts::{restarts_after, starts_once};
use crate::view::View;
use cri::{ContainerId, ContainerState, ContainerStatus, SandboxId, SandboxStatus};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Makes a sandbox, after the ones that no longer work are stopped.
    RunSandbox {
        attempt: u32,
        instead_of: Vec<SandboxId>,
    },
    /// `attempt` is `None` where the runtime knows of none before; `instead_of` was made, but never ran.
    Start {
        container: String,
        attempt: Option<u32>,
        instead_of: Option<ContainerId>,
    },
    /// It ended too often: CrashLoopBackOff.
    HoldOff {
        container: String,
        until: Timestamp,
        delay: Duration,
    },
    Kill {
        id: ContainerId,
        container: String,
        message: String,
    },
    /// Dead, and two newer tries are there to look at.
    Remove(ContainerId),
    RemoveSandbox(SandboxId),
    /// Nothing of it will start again: end what runs, for good.
    Finish,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub actions: Vec<Action>,
    /// Plan again then, if nothing happens before.
    pub wake_at: Option<Timestamp>,
}

impl Plan {
    fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |before| before.min(at)));
    }
}

/// For a pod that is to run.
pub fn plan(view: View<'_>) -> Plan {
    let mut plan = Plan::default();
    collect_garbage(view, &mut plan);
    if view.memory.evicted.is_some() || is_finished(view) {
        plan.actions.push(Action::Finish);
        return plan;
    }
    match view.current() {
        None => plan_sandbox(view, &mut plan),
        Some(sandbox) => plan_containers(view, sandbox, &mut plan),
    }
    plan
}

fn plan_sandbox(view: View<'_>, plan: &mut Plan) {
    if view.memory.sandbox_starting {
        return;
    }
    match view.memory.sandbox_backed_off.filter(|until| *until > view.now) {
        Some(until) => plan.wake(until),
        None => plan.actions.push(Action::RunSandbox {
            attempt: view.sandboxes.last().map_or(0, |s| s.config.attempt + 1),
            instead_of: view.sandboxes.iter().map(|s| s.id.clone()).collect(),
        }),
    }
}

fn plan_containers(view: View<'_>, sandbox: &SandboxStatus, plan: &mut Plan) {
    let spec = pod::spec(view.pod);
    let initialized = view.is_initialized();
    let mut to_start = Vec::new();
    // who looks into a pod waits for nothing in it, and comes once
    for container in pod::ephemeral_containers(spec) {
        if !view.memory.lost.contains_key(&container.name) {
            to_start.extend(consider(view, sandbox, &container, plan));
        }
    }
    for container in pod::init_containers(spec) {
        if initialized && !pod::is_sidecar(container) {
            continue;
        }
        to_start.extend(consider(view, sandbox, container, plan));
        if !initialized && !view.init_is_done(container, &sandbox.id) {
            break;
        }
    }
    if initialized {
        to_start.extend(spec.containers.iter().filter_map(|c| consider(view, sandbox, c, plan)));
    }
    // one at a time, in order: the next one starts when the one before runs and its hook is done
    if view.memory.starting.is_none() {
        plan.actions.extend(to_start.into_iter().next());
    }
}

/// Whether this container must be started now. Adds what else it needs to the plan.
fn consider(
    view: View<'_>,
    sandbox: &SandboxStatus,
    container: &Container,
    plan: &mut Plan,
) -> Option<Action> {
    let name = &container.name;
    if view.memory.starting.as_deref() == Some(name) {
        return None;
    }
    let latest = view.latest(name);
    let here = latest.is_some_and(|c| c.sandbox == sandbox.id);
    let start = |instead_of| {
        let attempt = latest.map(|c| if instead_of { c.attempt } else { c.attempt + 1 });
        let instead_of = latest.filter(|_| instead_of).map(|c| c.id.clone());
        Some(Action::Start { container: name.clone(), attempt, instead_of })
    };
    let wanted = match latest.map(|c| (&c.state, c)) {
        None => start(false),
        Some((ContainerState::Created, _)) => start(here),
        Some((ContainerState::Running { .. }, status)) if here => {
            plan.actions.extend(kill_outdated(view, container, status));
            return None;
        }
        // what runs in a sandbox that does not work is about to be reported as ended
        Some((ContainerState::Running { .. }, _)) => return None,
        Some((ContainerState::Exited { exit_code, finished_at, .. }, status)) => {
            let spec = pod::spec(view.pod);
            let again = restarts_after(spec, container, *exit_code) || (!here && pod::is_init(spec, name));
            if !again {
                return None;
            }
            let held = view.memory.backed_off.get(name).is_some_and(|h| h.until > view.now);
            let on_purpose = view.memory.ended_to_resize.contains(&status.id);
            if !held
                && !on_purpose
                && let Some((until, delay)) = view.memory.backoffs.waits(name, *finished_at, view.now)
            {
                plan.actions.push(Action::HoldOff { container: status.name.clone(), until, delay });
                plan.wake(until);
                return None;
            }
            start(false)
        }
    };
    if let Some(hold) = view.memory.backed_off.get(name).filter(|h| h.until > view.now) {
        plan.wake(hold.next_change());
        return None;
    }
    wanted
}

fn kill_outdated(view: View<'_>, container: &Container, status: &ContainerStatus) -> Option<Action> {
    let made_of = status.annotations.get(labels::SPEC_IMAGE)?;
    let current = made_of == container.image.as_deref().unwrap_or_default();
    (!current && !view.memory.killing.contains(&status.id)).then(|| Action::Kill {
        id: status.id.clone(),
        container: container.name.clone(),
        message: format!("Container {} definition changed, will be restarted", container.name),
    })
}

/// Nothing would ever be started again.
fn is_finished(view: View<'_>) -> bool {
    let spec = pod::spec(view.pod);
    if view.memory.starting.is_some() || view.memory.sandbox_starting {
        return false;
    }
    let exit_code = |container: &Container| match view.latest(&container.name)?.state {
        ContainerState::Exited { exit_code, .. } => Some(exit_code),
        _ => None,
    };
    let is_over = |container: &Container| {
        exit_code(container).is_some_and(|code| !restarts_after(spec, container, code))
    };
    let init_failed = |container: &Container| exit_code(container) != Some(0) && is_over(container);
    if pod::init_containers(spec).iter().any(init_failed) {
        return true;
    }
    if starts_once(spec) {
        let was_there =
            !view.sandboxes.is_empty() && pod::all_containers(spec).any(|c| view.latest(&c.name).is_some());
        if !view.memory.lost.is_empty() || (was_there && view.current().is_none()) {
            return true;
        }
    }
    !spec.containers.is_empty() && spec.containers.iter().all(is_over)
}

fn collect_garbage(view: View<'_>, plan: &mut Plan) {
    let mut kept = 0;
    for container in pod::all_containers(pod::spec(view.pod)) {
        for (age, status) in view.tries(&container.name).into_iter().enumerate() {
            if age >= 2 && matches!(status.state, ContainerState::Exited { .. }) {
                plan.actions.push(Action::Remove(status.id.clone()));
            } else {
                kept += 1;
            }
        }
    }
    let newest = view.sandboxes.last().map(|s| &s.id);
    let empty = view.sandboxes.iter().filter(|s| Some(&s.id) != newest && s.containers.is_empty());
    if kept > 0 || view.sandboxes.len() > 1 {
        plan.actions.extend(empty.map(|s| Action::RemoveSandbox(s.id.clone())));
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
