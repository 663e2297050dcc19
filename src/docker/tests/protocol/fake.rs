//! A runtime whose containers know five words: `say TEXT`, `fail CODE`, `echo-input`, `wait` (for a signal), `missing`.

use async_trait::async_trait;
use cri::{
    AttachStreams, Connection, ContainerConfig, ContainerId, ContainerState, ContainerStatus, CriError,
    Duplex, Endpoint, ExecConfig, ExecOutput, ExecSession, Resources, Result, Runtime, RuntimeEvent,
    SandboxConfig, SandboxId, SandboxState, SandboxStats, SandboxStatus,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{Notify, broadcast, oneshot, watch};

const PIPE: usize = 64 << 10;

struct Fake {
    sandbox: SandboxId,
    config: ContainerConfig,
    log: PathBuf,
    state: watch::Sender<ContainerState>,
    /// Where attached clients read, until it runs.
    listeners: Vec<DuplexStream>,
    stdin: Option<DuplexStream>,
}

#[derive(Default)]
struct State {
    next: u64,
    sandboxes: BTreeMap<String, (SandboxConfig, Timestamp)>,
    containers: BTreeMap<String, Fake>,
}

pub struct FakeRuntime {
    state: Mutex<State>,
    events: broadcast::Sender<RuntimeEvent>,
    /// Lets one exec of `gated` begin.
    pub gate: Notify,
    /// How many were told to start, and who holds them up in it.
    pub starting: AtomicUsize,
    pub start_gate: tokio::sync::Mutex<()>,
    /// What was last asked for, and who holds up whoever freezes.
    pub frozen: watch::Sender<bool>,
    pub freeze_gate: tokio::sync::Mutex<()>,
}

impl FakeRuntime {
    pub fn new() -> Arc<Self> {
        let (state, events) = (Mutex::default(), broadcast::Sender::new(64));
        let (starting, start_gate, freeze_gate) = Default::default();
        let (gate, frozen) = (Notify::new(), watch::Sender::new(false));
        Arc::new(FakeRuntime { state, events, gate, starting, start_gate, frozen, freeze_gate })
    }

    pub fn is_empty(&self) -> bool {
        self.state.lock().unwrap().sandboxes.is_empty()
    }

    pub fn sandboxes(&self) -> usize {
        self.state.lock().unwrap().sandboxes.len()
    }

    /// What was asked for with the container of this name.
    pub fn told(&self, name: &str) -> Option<(SandboxConfig, ContainerConfig)> {
        let state = self.state.lock().unwrap();
        let container = state.containers.values().find(|c| c.config.name == name)?;
        Some((state.sandboxes[&container.sandbox.0].0.clone(), container.config.clone()))
    }

    /// Ends the container of this name by itself.
    pub async fn end(&self, name: &str, code: i32) {
        let id = {
            let state = self.state.lock().unwrap();
            let mut all = state.containers.iter();
            all.find(|(_, c)| c.config.name == name).map(|(id, _)| ContainerId(id.clone())).unwrap()
        };
        self.finish(&id, code);
    }

    fn finish(&self, id: &ContainerId, code: i32) {
        let state = self.state.lock().unwrap();
        let Some(container) = state.containers.get(&id.0) else { return };
        let ended = container.state.send_if_modified(|now| {
            let ContainerState::Running { started_at, .. } = *now else { return false };
            *now = ContainerState::Exited {
                exit_code: code,
                oom_killed: false,
                started_at: Some(started_at),
                finished_at: Timestamp::now(),
                message: String::new(),
            };
            true
        });
        if ended {
            let event = RuntimeEvent::Exited {
                sandbox: container.sandbox.clone(),
                container: id.clone(),
                exit_code: code,
            };
            let _ = self.events.send(event);
        }
    }

    fn status(id: &str, fake: &Fake) -> ContainerStatus {
        ContainerStatus {
            id: ContainerId(id.to_owned()),
            sandbox: fake.sandbox.clone(),
            name: fake.config.name.clone(),
            attempt: 0,
            image: fake.config.image.clone(),
            image_ref: fake.config.image.clone(),
            state: fake.state.borrow().clone(),
            created_at: Timestamp::UNIX_EPOCH,
            log_path: fake.log.clone(),
            tty: fake.config.tty,
            stdin: fake.config.stdin,
            labels: fake.config.labels.clone(),
            annotations: fake.config.annotations.clone(),
        }
    }

    fn sandbox_status(state: &State, id: &str) -> Result<SandboxStatus> {
        let missing = || CriError::NotFound(format!("no sandbox {id}"));
        let (config, created_at) = state.sandboxes.get(id).ok_or_else(missing)?;
        let containers = state.containers.iter().filter(|(_, c)| c.sandbox.0 == id);
        Ok(SandboxStatus {
            id: SandboxId(id.to_owned()),
            config: config.clone(),
            state: SandboxState::Ready,
            created_at: *created_at,
            ip: Some("10.9.0.2".parse().unwrap()),
            containers: containers.map(|(id, c)| Self::status(id, c)).collect(),
        })
    }

    fn with<T>(&self, id: &ContainerId, look: impl FnOnce(&mut Fake) -> T) -> Result<T> {
        let mut state = self.state.lock().unwrap();
        let missing = || CriError::NotFound(format!("no container {id}"));
        state.containers.get_mut(&id.0).map(look).ok_or_else(missing)
    }
}

/// The output and the exit code of a word; `None` waits for a signal.
async fn perform(words: &[String], stdin: Option<DuplexStream>) -> Option<(Vec<u8>, i32)> {
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["say", text] => Some((format!("{text}\n").into_bytes(), 0)),
        ["fail", code] => Some((Vec::new(), code.parse().unwrap())),
        ["echo-input"] => {
            let mut input = Vec::new();
            if let Some(mut stdin) = stdin {
                stdin.read_to_end(&mut input).await.unwrap();
            }
            Some((input, 0))
        }
        _ => None,
    }
}

fn session(
    stdin: Option<DuplexStream>,
    stdout: DuplexStream,
    exit: oneshot::Receiver<Result<i32>>,
) -> ExecSession {
    ExecSession {
        stdin: stdin.map(|stdin| Box::new(stdin) as cri::Input),
        stdout: Some(Box::new(stdout)),
        stderr: None,
        resize: None,
        pid: 77,
        exit,
    }
}

#[async_trait]
impl Runtime for FakeRuntime {
    async fn run_sandbox(&self, config: SandboxConfig) -> Result<SandboxStatus> {
        let mut state = self.state.lock().unwrap();
        state.next += 1;
        let id = format!("s{}", state.next);
        state.sandboxes.insert(id.clone(), (config, Timestamp::now()));
        Self::sandbox_status(&state, &id)
    }

    async fn stop_sandbox(&self, id: &SandboxId) -> Result<()> {
        let ids: Vec<ContainerId> = {
            let state = self.state.lock().unwrap();
            let mine = state.containers.iter().filter(|(_, c)| c.sandbox == *id);
            mine.map(|(id, _)| ContainerId(id.clone())).collect()
        };
        ids.iter().for_each(|id| self.finish(id, 137));
        Ok(())
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<()> {
        self.stop_sandbox(id).await?;
        let mut state = self.state.lock().unwrap();
        state.sandboxes.remove(&id.0);
        state.containers.retain(|_, c| c.sandbox != *id);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<SandboxStatus>> {
        let state = self.state.lock().unwrap();
        state.sandboxes.keys().map(|id| Self::sandbox_status(&state, id)).collect()
    }

    async fn sandbox(&self, id: &SandboxId) -> Result<SandboxStatus> {
        Self::sandbox_status(&self.state.lock().unwrap(), &id.0)
    }

    async fn create_container(&self, sandbox: &SandboxId, config: ContainerConfig) -> Result<ContainerId> {
        if config.command == ["missing"] {
            return Err(CriError::Invalid(
                "exec: \"missing\": executable file not found in $PATH".to_owned(),
            ));
        }
        let mut state = self.state.lock().unwrap();
        state.next += 1;
        let id = format!("c{}", state.next);
        let log = state.sandboxes[&sandbox.0].0.log_directory.join(&config.log_path);
        let fake = Fake {
            sandbox: sandbox.clone(),
            log,
            state: watch::Sender::new(ContainerState::Created),
            listeners: Vec::new(),
            stdin: None,
            config,
        };
        state.containers.insert(id.clone(), fake);
        Ok(ContainerId(id))
    }

    async fn start_container(&self, id: &ContainerId) -> Result<()> {
        self.starting.fetch_add(1, Ordering::SeqCst);
        drop(self.start_gate.lock().await);
        let (words, log, stdin, listeners) = self.with(id, |fake| {
            fake.state.send_replace(ContainerState::Running { pid: 1, started_at: Timestamp::now() });
            let listeners = std::mem::take(&mut fake.listeners);
            (fake.config.command.clone(), fake.log.clone(), fake.stdin.take(), listeners)
        })?;
        if words == ["wait"] {
            return Ok(());
        }
        let Some((output, code)) = perform(&words, stdin).await else {
            return Err(CriError::Failed(format!("unknown word {words:?}")));
        };
        let mut file = std::fs::File::options().create(true).append(true).open(log).unwrap();
        for line in String::from_utf8_lossy(&output).lines() {
            writeln!(file, "2024-01-01T00:00:00Z stdout F {line}").unwrap();
        }
        for mut listener in listeners {
            let _ = listener.write_all(&output).await;
        }
        self.finish(id, code);
        Ok(())
    }

    async fn stop_container(&self, id: &ContainerId, _: Duration, _: Option<i32>) -> Result<()> {
        self.finish(id, 137);
        Ok(())
    }

    async fn signal_container(&self, id: &ContainerId, signal: i32) -> Result<()> {
        if signal == 9 || signal == 15 {
            self.finish(id, 128 + signal);
        }
        Ok(())
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<()> {
        self.finish(id, 137);
        self.state.lock().unwrap().containers.remove(&id.0);
        Ok(())
    }

    async fn container(&self, id: &ContainerId) -> Result<ContainerStatus> {
        self.with(id, |fake| Self::status(&id.0, fake))
    }

    async fn freeze_container(&self, id: &ContainerId, frozen: bool) -> Result<()> {
        self.with(id, |_| ())?;
        self.frozen.send_replace(frozen);
        if frozen {
            drop(self.freeze_gate.lock().await);
        }
        Ok(())
    }

    async fn limit_container(&self, id: &ContainerId, _: &Resources) -> Result<()> {
        self.with(id, |_| ())
    }

    async fn reopen_log(&self, _: &ContainerId) -> Result<()> {
        Ok(())
    }

    async fn exec(&self, id: &ContainerId, config: ExecConfig) -> Result<ExecSession> {
        self.with(id, |_| ())?;
        if config.command == ["missing"] {
            return Err(CriError::Failed("exec: \"missing\": executable file not found in $PATH".to_owned()));
        }
        if config.command.first().is_some_and(|program| program == "gated") {
            self.gate.notified().await;
        }
        let (theirs, stdin) = tokio::io::duplex(PIPE);
        let (mut stdout, read) = tokio::io::duplex(PIPE);
        let (tell, exit) = oneshot::channel();
        let wants_input = config.stdin;
        tokio::spawn(async move {
            let done = perform(&config.command, wants_input.then_some(stdin)).await;
            let (output, code) = done.unwrap_or_default();
            let _ = stdout.write_all(&output).await;
            drop(stdout);
            let _ = tell.send(Ok(code));
        });
        Ok(session(wants_input.then_some(theirs), read, exit))
    }

    async fn exec_sync(&self, id: &ContainerId, _: Vec<String>, _: Option<Duration>) -> Result<ExecOutput> {
        self.with(id, |_| ())?;
        Ok(ExecOutput { exit_code: 0, stdout: Default::default(), stderr: Default::default() })
    }

    async fn attach(&self, id: &ContainerId, want: AttachStreams) -> Result<ExecSession> {
        let (write, read) = tokio::io::duplex(PIPE);
        let (_, exit) = oneshot::channel();
        self.with(id, |fake| {
            fake.listeners.push(write);
            let stdin = (want.stdin && fake.config.stdin).then(|| {
                let (theirs, ours) = tokio::io::duplex(PIPE);
                fake.stdin = Some(ours);
                theirs
            });
            session(stdin, read, exit)
        })
    }

    async fn port_forward(&self, id: &SandboxId, _: u16) -> Result<Box<dyn Duplex>> {
        Err(CriError::NotFound(format!("no port in {id}")))
    }

    async fn set_endpoints(&self, id: &SandboxId, endpoints: Vec<Endpoint>) -> Result<()> {
        let connection = Connection::Networks { endpoints, mac_address: None };
        let mut state = self.state.lock().unwrap();
        let missing = || CriError::NotFound(format!("no sandbox {id}"));
        state.sandboxes.get_mut(&id.0).map(|(config, _)| config.connection = connection).ok_or_else(missing)
    }

    async fn stats(&self) -> Result<Vec<SandboxStats>> {
        Ok(Vec::new())
    }

    fn events(&self) -> broadcast::Receiver<RuntimeEvent> {
        self.events.subscribe()
    }
}
