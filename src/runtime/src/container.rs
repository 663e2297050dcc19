//! One container as the daemon knows it: its record, and how far it came.

use crate::paths::ContainerPaths;
use crate::records::ContainerRecord;
use crate::sandbox::Sandbox;
use cri::wire::{self, ExitRecord};
use cri::{ContainerState, ContainerStatus, CriError, RuntimeEvent};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

/// Of what was killed with SIGKILL.
pub const KILLED: i32 = 137;

pub struct Container {
    pub record: ContainerRecord,
    pub paths: ContainerPaths,
    pub sandbox: Arc<Sandbox>,
    pub state: watch::Sender<ContainerState>,
    /// The image can not be removed while this container is there.
    _holds: Vec<image::Lease>,
}

impl Container {
    pub fn new(
        record: ContainerRecord,
        paths: ContainerPaths,
        sandbox: Arc<Sandbox>,
        state: ContainerState,
        holds: Vec<image::Lease>,
    ) -> Self {
        Container { record, paths, sandbox, state: watch::Sender::new(state), _holds: holds }
    }

    /// Takes what the shim wrote of it, tells it to those who listen, and says whether it was new.
    pub fn observe(&self, seen: &wire::ContainerRecord, events: &broadcast::Sender<RuntimeEvent>) -> bool {
        let mut told = Vec::new();
        let changed = self.state.send_if_modified(|state| {
            let Some(next) = advance(state, seen) else { return false };
            told = self.events_between(state, &next);
            *state = next;
            true
        });
        for event in told {
            let _ = events.send(event);
        }
        changed
    }

    fn events_between(&self, before: &ContainerState, after: &ContainerState) -> Vec<RuntimeEvent> {
        let (sandbox, container) = (self.record.sandbox.clone(), self.record.id.clone());
        let started = RuntimeEvent::Started { sandbox: sandbox.clone(), container: container.clone() };
        let exited = |exit_code| RuntimeEvent::Exited { sandbox, container, exit_code };
        match (before, after) {
            (ContainerState::Created, ContainerState::Exited { started_at: Some(_), exit_code, .. }) => {
                vec![started, exited(*exit_code)]
            }
            (_, ContainerState::Exited { exit_code, .. }) => vec![exited(*exit_code)],
            _ => vec![started],
        }
    }

    /// # Errors
    /// It does not run.
    pub fn running_pid(&self) -> Result<i32, CriError> {
        match *self.state.borrow() {
            ContainerState::Running { pid, .. } => Ok(pid),
            ContainerState::Created => Err(self.not_running("has not been started")),
            ContainerState::Exited { .. } => Err(self.not_running("has ended")),
        }
    }

    fn not_running(&self, why: &str) -> CriError {
        CriError::Failed(format!("container {} is not running: it {why}", self.record.id))
    }

    /// Waits for its end.
    pub async fn ended(&self) -> i32 {
        let mut state = self.state.subscribe();
        loop {
            if let ContainerState::Exited { exit_code, .. } = *state.borrow_and_update() {
                return exit_code;
            }
            // we hold the sender ourselves
            let _ = state.changed().await;
        }
    }

    pub fn has_ended(&self) -> bool {
        matches!(*self.state.borrow(), ContainerState::Exited { .. })
    }

    pub fn status(&self) -> ContainerStatus {
        let record = &self.record;
        ContainerStatus {
            id: record.id.clone(),
            sandbox: record.sandbox.clone(),
            name: record.config.name.clone(),
            attempt: record.config.attempt,
            image: record.image_id.clone(),
            image_ref: record.config.image.clone(),
            state: self.state.borrow().clone(),
            created_at: record.created_at,
            log_path: record.log_path.clone(),
            tty: record.config.tty,
            stdin: record.config.stdin,
            labels: record.config.labels.clone(),
            annotations: record.config.annotations.clone(),
        }
    }
}

/// The state that a shim's record tells of.
pub fn state_of(seen: &wire::ContainerRecord) -> ContainerState {
    match (&seen.exit, seen.pid, seen.started_at) {
        (Some(exit), _, started_at) => ContainerState::Exited {
            exit_code: exit.exit_code,
            oom_killed: exit.oom_killed,
            started_at,
            finished_at: exit.finished_at,
            message: exit.message.clone(),
        },
        (None, Some(pid), Some(started_at)) => ContainerState::Running { pid, started_at },
        _ => ContainerState::Created,
    }
}

/// The next state, if it is one: a container never goes back.
fn advance(state: &ContainerState, seen: &wire::ContainerRecord) -> Option<ContainerState> {
    let next = state_of(seen);
    match (state, next) {
        (ContainerState::Created, ContainerState::Created) | (ContainerState::Exited { .. }, _) => None,
        (ContainerState::Running { .. }, ContainerState::Created | ContainerState::Running { .. }) => None,
        (
            ContainerState::Running { started_at, .. },
            ContainerState::Exited { exit_code, oom_killed, started_at: None, finished_at, message },
        ) => {
            let started_at = Some(*started_at);
            Some(ContainerState::Exited { exit_code, oom_killed, started_at, finished_at, message })
        }
        (_, next) => Some(next),
    }
}

/// What is said of a container whose end nobody saw.
pub fn lost(seen: Option<wire::ContainerRecord>, why: &str) -> wire::ContainerRecord {
    let mut record = seen.unwrap_or_default();
    record.exit.get_or_insert_with(|| ExitRecord {
        exit_code: KILLED,
        oom_killed: false,
        finished_at: jiff::Timestamp::now(),
        message: why.to_owned(),
    });
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    const T: Timestamp = Timestamp::UNIX_EPOCH;

    fn seen(started: bool, code: Option<i32>) -> wire::ContainerRecord {
        let exit = code.map(|exit_code| ExitRecord {
            exit_code,
            oom_killed: false,
            finished_at: T,
            message: String::new(),
        });
        wire::ContainerRecord { pid: Some(7), started_at: started.then_some(T), exit }
    }

    #[test]
    fn a_container_goes_one_way() {
        let running = ContainerState::Running { pid: 7, started_at: T };
        let exited = state_of(&seen(true, Some(3)));
        let cases = [
            ("nothing new", ContainerState::Created, seen(false, None), None),
            ("started", ContainerState::Created, seen(true, None), Some(running.clone())),
            ("ended before it was seen", ContainerState::Created, seen(true, Some(3)), Some(exited.clone())),
            ("still runs", running.clone(), seen(true, None), None),
            ("ended", running.clone(), seen(true, Some(3)), Some(exited.clone())),
            ("ended, its start not told", running, seen(false, Some(3)), Some(exited.clone())),
            ("never back", exited.clone(), seen(true, None), None),
            ("ends once", exited, seen(true, Some(4)), None),
        ];
        for (name, before, seen, want) in cases {
            assert_eq!(advance(&before, &seen), want, "{name}");
        }
    }

    #[test]
    fn what_nobody_saw_end_was_killed_but_a_written_exit_counts() {
        assert_eq!(lost(None, "x").exit.unwrap().exit_code, KILLED);
        assert_eq!(lost(Some(seen(true, Some(3))), "x").exit.unwrap().exit_code, 3);
        let gone = lost(Some(seen(true, None)), "the machine was restarted");
        assert_eq!(
            (gone.started_at, gone.exit.unwrap().message.as_str()),
            (Some(T), "the machine was restarted")
        );
    }
}
