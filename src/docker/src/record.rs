//! What is remembered of a container over everything: its record, and the live object around it.

use crate::endpoint_settings::{Endpoints, in_order};
use crate::model::{Config, EndpointConfig, HostConfig, PortMap};
use crate::record_file::RecordFile;
use cri::{ContainerId, ExecSession, SandboxId};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// On every sandbox that is Docker's; its value is the container's id.
pub const LABEL: &str = "io.monopod.docker.container";

/// 64 lower-case hex digits.
pub(crate) fn new_id() -> String {
    rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    /// Without the slash that Docker shows.
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    /// `sha256:…`
    pub(crate) image: String,
    /// With what the image says filled in.
    pub(crate) config: Config,
    /// With a number for each port that is published.
    pub(crate) host: HostConfig,
    /// The ports as the client asked for them, which inspect shows; not of containers of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked_ports: Option<PortMap>,
    pub(crate) networks: BTreeMap<String, EndpointConfig>,
    pub(crate) mounts: Vec<Mounted>,
    pub(crate) state: State,
    pub(crate) restart_count: u64,
    /// Restarts in a row that did not last.
    #[serde(default)]
    pub(crate) short_runs: u64,
    /// How often it has ended.
    pub(crate) exits: u64,
    /// The user stopped it: a restart policy has no say any more.
    #[serde(alias = "told_to_stop")] // as older versions wrote it
    pub(crate) manually_stopped: bool,
    #[serde(skip)]
    pub(crate) health: Option<Health>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum State {
    Created,
    /// Its sandbox is there, and its process is about to be: until then it is shown as what it was before.
    Starting(Running, Box<State>),
    Running(Running),
    /// Ended, and will be started again.
    Restarting(Ended),
    Exited(Ended),
    Removed(i32),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) sandbox: SandboxId,
    pub(crate) container: ContainerId,
    pub(crate) pid: i32,
    pub(crate) ip: Option<IpAddr>,
    /// Its endpoints in networks.
    #[serde(default)]
    pub(crate) endpoints: Endpoints,
    pub(crate) started_at: Timestamp,
    pub(crate) paused: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) oom_killed: bool,
    pub(crate) error: String,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MountKind {
    Bind,
    Volume,
    Tmpfs,
    Image,
}

/// A mount as it was understood when the container was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mounted {
    pub(crate) kind: MountKind,
    /// A volume's.
    pub(crate) name: String,
    /// Of an image, what it was called.
    pub(crate) source: PathBuf,
    /// An image's id.
    #[serde(default)]
    pub(crate) image: String,
    pub(crate) target: PathBuf,
    pub(crate) read_only: bool,
    pub(crate) propagation: String,
    /// A new volume begins with what the image has there.
    pub(crate) copy: bool,
    /// A tmpfs', bytes.
    pub(crate) size: Option<u64>,
    /// As `-v` said it.
    #[serde(default)]
    pub(crate) mode: String,
    /// A tmpfs', as mount(8) takes them.
    #[serde(default)]
    pub(crate) options: Vec<String>,
    /// Inside of the volume.
    #[serde(default)]
    pub(crate) subpath: String,
    /// Without the mounts that are below its source.
    #[serde(default)]
    pub(crate) non_recursive: bool,
    /// Read-only without the mounts that are below it.
    #[serde(default)]
    pub(crate) writable_below: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Health {
    pub(crate) status: &'static str,
    pub(crate) failing_streak: u64,
    pub(crate) log: Vec<Probe>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Probe {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) exit_code: i32,
    pub(crate) output: String,
}

impl Record {
    /// The run that goes on, or is about to begin.
    pub(crate) fn running(&self) -> Option<&Running> {
        match &self.state {
            State::Running(running) | State::Starting(running, _) => Some(running),
            _ => None,
        }
    }

    pub(crate) fn running_mut(&mut self) -> Option<&mut Running> {
        match &mut self.state {
            State::Running(running) | State::Starting(running, _) => Some(running),
            _ => None,
        }
    }

    /// The run whose process is there.
    pub(crate) fn process(&self) -> Option<&Running> {
        self.running().filter(|_| matches!(self.state, State::Running(_)))
    }

    /// The process of a run that was about to begin is there; false where that is over already, or was known.
    pub(crate) fn has_begun(&mut self, run: &ContainerId, pid: i32, started_at: Timestamp) -> bool {
        match &self.state {
            State::Starting(running, _) if running.container == *run => {
                self.state = State::Running(Running { pid, started_at, ..running.clone() });
                true
            }
            _ => false,
        }
    }

    /// Where it is now, the way out first.
    pub(crate) fn endpoints(&self) -> Vec<cri::Endpoint> {
        self.running().map(|running| in_order(&self.networks, &running.endpoints)).unwrap_or_default()
    }

    /// Whether any of its networks lets others in; of a run from before there were networks none is known.
    pub(crate) fn is_reached_from_outside(&self) -> bool {
        let endpoints = self.endpoints();
        endpoints.is_empty() || endpoints.iter().any(|endpoint| !endpoint.internal)
    }

    pub(crate) fn ended(&self) -> Option<&Ended> {
        self.state.ended()
    }

    /// Its last exit code; zero where it has none.
    pub(crate) fn exit_code(&self) -> i32 {
        match &self.state {
            State::Removed(code) => *code,
            _ => self.ended().map_or(0, |ended| ended.code),
        }
    }

    /// `created`, `running`, `paused`, `restarting`, `exited`.
    pub(crate) fn status(&self) -> &'static str {
        self.state.name()
    }
}

impl State {
    fn ended(&self) -> Option<&Ended> {
        match self {
            State::Exited(ended) | State::Restarting(ended) => Some(ended),
            State::Starting(_, before) => before.ended(),
            _ => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            State::Created => "created",
            State::Starting(_, before) => before.name(),
            State::Running(running) if running.paused => "paused",
            State::Running(_) => "running",
            State::Restarting(_) => "restarting",
            // its start failed, and nothing of it ever ran
            State::Exited(ended) if ended.started_at.is_none() => "created",
            State::Exited(_) => "exited",
            State::Removed(_) => "removing",
        }
    }
}

/// Who attached before the container runs, and what to give it then.
pub(crate) struct Attacher {
    pub(crate) want: cri::AttachStreams,
    pub(crate) tell: oneshot::Sender<ExecSession>,
}

/// A container that there is.
pub(crate) struct Container {
    record: watch::Sender<Record>,
    dir: PathBuf,
    /// Held by who starts, removes or tidies up: one at a time.
    pub(crate) gate: tokio::sync::Mutex<()>,
    pub(crate) attachers: Mutex<Vec<Attacher>>,
    /// Its image and those that it mounts stay as long; without those that are gone from the store.
    pub(crate) holds: Mutex<Vec<image::Lease>>,
    /// Those in the middle of a restart: `--rm` is not for an end that they made.
    restarts: watch::Sender<usize>,
    disk: Arc<RecordFile<Record>>,
    /// Clients that its output is on the way to.
    listeners: watch::Sender<usize>,
}

/// A restart that goes on.
pub(crate) struct Restart<'a>(&'a Container);

impl Drop for Restart<'_> {
    fn drop(&mut self) {
        self.0.restarts.send_modify(|count| *count -= 1);
    }
}

/// A client that still reads a container's output.
pub(crate) struct Listener(watch::Sender<usize>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Container {
    pub(crate) fn new(record: Record, dir: PathBuf, hold: Option<image::Lease>) -> Self {
        let record = watch::Sender::new(record);
        Container {
            record,
            disk: Arc::new(RecordFile::new(dir.join("container.json"), |record: &Record| {
                !matches!(record.state, State::Removed(_))
            })),
            dir,
            gate: Default::default(),
            attachers: Default::default(),
            holds: Mutex::new(hold.into_iter().collect()),
            restarts: watch::Sender::new(0),
            listeners: watch::Sender::new(0),
        }
    }

    pub(crate) fn restart(&self) -> Restart<'_> {
        self.restarts.send_modify(|count| *count += 1);
        Restart(self)
    }

    /// Until a restart that goes on has brought the process back, or has given up; at once where there is none. Docker's lock keeps
    /// who looks at a container waiting as well: compose, which looks when it hears of the end, would take it for the last one.
    pub(crate) async fn until_restarted(&self, patience: Duration) {
        let (mut restarts, mut record) = (self.restarts.subscribe(), self.watch());
        let over = async { restarts.wait_for(|count| *count == 0).await.is_ok() };
        let back = async { record.wait_for(|r| r.process().is_some()).await.is_ok() };
        tokio::select! {
            _ = over => {}
            _ = back => {}
            () = tokio::time::sleep(patience) => {}
        }
    }

    /// `--rm`, but not between the two halves of a restart.
    pub(crate) fn is_removed_at_its_end(&self) -> bool {
        *self.restarts.borrow() == 0 && self.see(|r| r.host.auto_remove)
    }

    pub(crate) fn listen(&self) -> Listener {
        self.listeners.send_modify(|count| *count += 1);
        Listener(self.listeners.clone())
    }

    /// Until nobody reads output any more that was there before.
    pub(crate) async fn until_heard(&self) {
        let _ = self.listeners.subscribe().wait_for(|count| *count == 0).await;
    }

    pub(crate) fn stop_saving(&self) {
        self.disk.stop();
    }

    pub(crate) fn record(&self) -> Record {
        self.record.borrow().clone()
    }

    /// Looks at one thing of the record.
    pub(crate) fn see<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.record.borrow())
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Record> {
        self.record.subscribe()
    }

    /// Changes the record, here and on disk. `change` tells whether there was anything to change. What a disk that is full does not take
    /// is so all the same, and written as soon as there is room.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Record) -> bool) -> bool {
        let changed = self.record.send_if_modified(change);
        if changed && let Err(error) = self.save() {
            tracing::error!(id = self.see(|r| r.id.clone()), %error, "a container's record was not written, will try again");
            self.disk.write_later(&self.record);
        }
        changed
    }

    /// For what a user asks for and nothing has happened of yet: it is on the disk first, or it is not done.
    ///
    /// # Errors
    /// The record can not be written.
    pub(crate) fn change_on_disk(&self, change: impl FnOnce(&mut Record)) -> std::io::Result<()> {
        let mut written = Ok(());
        self.record.send_if_modified(|record| {
            let mut changed = record.clone();
            change(&mut changed);
            written = self.disk.write(&changed);
            if written.is_ok() {
                *record = changed;
            }
            written.is_ok()
        });
        written
    }

    pub(crate) fn save(&self) -> std::io::Result<()> {
        self.disk.write(&self.record.borrow())
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// CRI's form, of all starts.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("container.log")
    }

    /// What the container wrote into its root file system.
    pub(crate) fn upper(&self) -> PathBuf {
        self.dir.join("root/upper")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.dir.join("root/work")
    }
}

#[cfg(test)]
pub(crate) mod tests;
