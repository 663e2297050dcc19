//! What containers do by themselves: ends, restart policies, `--rm`.

use crate::engine::Engine;
use crate::model::RestartPolicy;
use crate::record::{Container, Ended, State};
use cri::{ContainerId, ContainerState, RuntimeEvent};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// Docker's, as its documentation of restart policies tells them.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// Who ran that long begins anew with the first delay.
const LONG_ENOUGH: i64 = 10; // seconds

/// For clients that have not read a container's last output yet.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Until `stop`.
pub(crate) async fn follow(
    engine: Arc<Engine>,
    mut happenings: Receiver<RuntimeEvent>,
    stop: CancellationToken,
) {
    while let Some(happening) = stop.run_until_cancelled(happenings.recv()).await {
        match happening {
            Ok(RuntimeEvent::Exited { container, .. }) => {
                if let Some(ours) = engine.container_of(&container) {
                    tokio::spawn(ended(engine.clone(), ours, container));
                }
            }
            Ok(RuntimeEvent::OutOfMemory { container, .. }) => {
                if let Some(ours) = engine.container_of(&container) {
                    engine.events.container("oom", &ours.record(), &[]);
                }
            }
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => look_at_all(&engine).await,
            Err(RecvError::Closed) => return,
        }
    }
}

/// Finds the ends that were not heard of.
async fn look_at_all(engine: &Arc<Engine>) {
    for container in engine.containers() {
        let Some(running) = container.see(|r| r.running().cloned()) else { continue };
        let status = engine.runtime.container(&running.container).await;
        if !matches!(status, Ok(cri::ContainerStatus { state: ContainerState::Running { .. }, .. })) {
            tokio::spawn(ended(engine.clone(), container, running.container));
        }
    }
}

/// Notes that a run is over, frees what it had, and does what the policy wants.
pub(crate) async fn ended(engine: Arc<Engine>, container: Arc<Container>, run: ContainerId) {
    let _alone = container.gate.lock().await;
    let Some(running) = container.see(|r| r.running().filter(|r| r.container == run).cloned()) else {
        return;
    };
    let how = how_it_ended(&engine, &run, running.started_at).await;
    // who asks for its end finds that all it said was said; Docker waits as long for a client that is slow
    let _ = tokio::time::timeout(LAST_WORDS, container.until_heard()).await;
    let ran = how.finished_at.as_second() - running.started_at.as_second();
    let mut next = Next::Stay;
    container.change(|r| {
        r.exits += 1;
        if ran >= LONG_ENOUGH {
            r.short_runs = 0;
        }
        next = next_of(&r.host.restart_policy, how.code, r.manually_stopped, (r.restart_count, r.short_runs));
        r.short_runs += 1;
        r.state = match next {
            Next::Stay => State::Exited(how.clone()),
            Next::Restart(_) => State::Restarting(how.clone()),
        };
        true
    });
    let more = [("execDuration", ran.max(0).to_string()), ("exitCode", how.code.to_string())];
    engine.events.container("die", &container.record(), &more);
    let record = container.record();
    engine.serve_no_names(&record.id);
    engine.take_away(&running.sandbox).await;
    engine.leave_volumes(&record).await;
    engine.events.volumes("unmount", &container.record());
    engine.give_places_back(&record);
    engine.refresh_hosts();
    match next {
        Next::Restart(delay) => {
            tokio::spawn(restart(engine.clone(), container.clone(), delay));
        }
        Next::Stay if container.is_removed_at_its_end() => engine.erase(&container, true).await,
        Next::Stay => {}
    }
}

async fn how_it_ended(engine: &Engine, run: &ContainerId, began: Timestamp) -> Ended {
    let lost = |error: String| Ended {
        code: 137,
        oom_killed: false,
        error,
        started_at: Some(began),
        finished_at: Timestamp::now(),
    };
    match engine.runtime.container(run).await.map(|status| status.state) {
        Ok(ContainerState::Exited { exit_code, oom_killed, started_at, finished_at, .. }) => Ended {
            code: exit_code,
            oom_killed,
            error: String::new(),
            started_at: started_at.or(Some(began)),
            finished_at,
        },
        Ok(_) => lost(String::new()),
        Err(error) => lost(error.to_string()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Stay,
    Restart(Duration),
}

/// What the policy says after an end.
/// `so_far`: restarts in all, and those after runs that were too short to begin anew.
pub(crate) fn next_of(policy: &RestartPolicy, code: i32, manually_stopped: bool, so_far: (u64, u64)) -> Next {
    let (restarts, in_a_row) = so_far;
    let wanted = match policy.name.as_str() {
        "always" | "unless-stopped" => true,
        "on-failure" => {
            code != 0
                && (policy.maximum_retry_count == 0
                    || i64::try_from(restarts).unwrap_or(i64::MAX) < policy.maximum_retry_count)
        }
        _ => false,
    };
    if !wanted || manually_stopped {
        return Next::Stay;
    }
    let factor = 1u32.checked_shl(u32::try_from(in_a_row).unwrap_or(u32::MAX)).unwrap_or(u32::MAX);
    Next::Restart(FIRST_DELAY.saturating_mul(factor).min(LONGEST_DELAY))
}

/// Starts it again after a while, unless the user does something about it before.
pub(crate) async fn restart(engine: Arc<Engine>, container: Arc<Container>, delay: Duration) {
    let mut watch = container.watch();
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        _ = watch.wait_for(|r| !matches!(r.state, State::Restarting(_))) => return,
        () = engine.stop.cancelled() => return,
    }
    engine.until_donor_runs(&container).await;
    let _alone = container.gate.lock().await;
    if !container.see(|r| matches!(r.state, State::Restarting(_))) {
        return;
    }
    container.change(|r| {
        r.restart_count += 1;
        true
    });
    if let Err(error) = engine.container_start(&container).await {
        tracing::warn!(container = container.see(|r| r.name.clone()), %error, "restart");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        let policy =
            |name: &str, maximum_retry_count| RestartPolicy { name: name.into(), maximum_retry_count };
        let after = |millis| Next::Restart(Duration::from_millis(millis));
        for (name, policy, code, told, restarts, want) in [
            ("none", policy("", 0), 1, false, 0, Next::Stay),
            ("no", policy("no", 0), 1, false, 0, Next::Stay),
            ("always", policy("always", 0), 0, false, 0, after(100)),
            ("always, stopped", policy("always", 0), 137, true, 0, Next::Stay),
            ("unless stopped", policy("unless-stopped", 0), 0, false, 3, after(800)),
            ("on failure", policy("on-failure", 0), 1, false, 99, after(60_000)),
            ("on failure, success", policy("on-failure", 0), 0, false, 0, Next::Stay),
            ("on failure, enough", policy("on-failure", 2), 1, false, 2, Next::Stay),
            ("on failure, once more", policy("on-failure", 2), 1, false, 1, after(200)),
        ] {
            assert_eq!(next_of(&policy, code, told, (restarts, restarts)), want, "{name}");
        }
        // a long run begins anew with the delay, not with the count
        assert_eq!(next_of(&policy("on-failure", 9), 1, false, (8, 0)), after(100));
        assert_eq!(next_of(&policy("on-failure", 9), 1, false, (9, 0)), Next::Stay);
    }
}
