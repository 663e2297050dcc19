//! A runtime and an image store that do as they are told, and remember what they were asked.

use crate::clock::Clock;
use async_trait::async_trait;
use bytes::Bytes;
use cri::*;
use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::broadcast;

/// How a container behaves once it is started.
#[derive(Debug, Clone, Copy)]
pub enum Script {
    Runs,
    Exits {
        code: i32,
        after: Duration,
    },
    /// There is no such program.
    CannotStart,
}

pub struct FakeRuntime {
    clock: Clock,
    state: Mutex<State>,
    events: broadcast::Sender<RuntimeEvent>,
}

#[derive(Default)]
struct State {
    sandboxes: Vec<SandboxStatus>,
    configs: HashMap<ContainerId, ContainerConfig>,
    made: u64,
    /// By container name, the next first; the last one stays.
    scripts: HashMap<String, VecDeque<Script>>,
    /// Exit codes by command; what is not here succeeds.
    commands: HashMap<String, i32>,
    refusals: HashMap<&'static str, String>,
    /// The next look at a sandbox panics.
    breaks: bool,
    calls: Vec<(Timestamp, String)>,
}

impl FakeRuntime {
    pub fn new(clock: Clock) -> Arc<Self> {
        let (events, _) = broadcast::channel(256);
        Arc::new(FakeRuntime { clock, state: Mutex::default(), events })
    }

    pub fn script(&self, container: &str, scripts: &[Script]) {
        self.state().scripts.insert(container.to_owned(), scripts.iter().copied().collect());
    }

    pub fn command(&self, command: &str, code: i32) {
        self.state().commands.insert(command.to_owned(), code);
    }

    /// The next call of this kind fails.
    pub fn refuse(&self, call: &'static str, why: &str) {
        self.state().refusals.insert(call, why.to_owned());
    }

    /// Whoever looks at a sandbox next panics.
    pub fn break_next_look(&self) {
        self.state().breaks = true;
    }

    pub fn calls(&self) -> Vec<String> {
        self.state().calls.iter().map(|(_, call)| call.clone()).collect()
    }

    pub fn times_of(&self, call: &str) -> Vec<Timestamp> {
        self.state().calls.iter().filter(|(_, c)| c == call).map(|(at, _)| *at).collect()
    }

    pub fn containers(&self) -> Vec<ContainerStatus> {
        self.state().sandboxes.iter().flat_map(|s| s.containers.clone()).collect()
    }

    pub fn sandboxes(&self) -> Vec<SandboxStatus> {
        self.state().sandboxes.clone()
    }

    pub fn config(&self, id: &ContainerId) -> ContainerConfig {
        self.state().configs[id].clone()
    }

    /// It ends by itself.
    pub fn end(&self, id: &ContainerId, code: i32) {
        let now = self.clock.now();
        let mut state = self.state();
        let Some(container) = state.find(id) else { return };
        let ContainerState::Running { started_at, .. } = container.state else { return };
        container.state = ContainerState::Exited {
            exit_code: code,
            oom_killed: false,
            started_at: Some(started_at),
            finished_at: now,
            message: String::new(),
        };
        let sandbox = container.sandbox.clone();
        let _ = self.events.send(RuntimeEvent::Exited { sandbox, container: id.clone(), exit_code: code });
    }

    /// The shim of the one sandbox dies.
    pub fn lose_sandbox(&self) {
        let ids: Vec<ContainerId> = self.containers().iter().map(|c| c.id.clone()).collect();
        ids.iter().for_each(|id| self.end(id, 137));
        let mut state = self.state();
        for sandbox in &mut state.sandboxes {
            sandbox.state = SandboxState::NotReady;
            let _ = self.events.send(RuntimeEvent::SandboxLost { sandbox: sandbox.id.clone() });
        }
    }

    /// The machine was wiped.
    pub fn forget_all(&self) {
        self.state().sandboxes.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn note(&self, kind: &'static str, call: String) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.calls.push((self.clock.now(), call));
        match state.refusals.remove(kind) {
            Some(why) => Err(CriError::Failed(why)),
            None => Ok(state),
        }
    }
}

impl State {
    fn id(&mut self) -> String {
        self.made += 1;
        format!("{:064x}", self.made)
    }

    fn find(&mut self, id: &ContainerId) -> Option<&mut ContainerStatus> {
        self.sandboxes.iter_mut().flat_map(|s| &mut s.containers).find(|c| c.id == *id)
    }

    fn name(&mut self, id: &ContainerId) -> String {
        self.find(id).map(|c| c.name.clone()).unwrap_or_default()
    }
}

fn missing(id: impl std::fmt::Display) -> CriError {
    CriError::NotFound(format!("no such thing: {id}"))
}

/// A shared handle, so that spawned scripts can end containers.
pub struct Handle(pub Arc<FakeRuntime>);

#[async_trait]
impl Runtime for Handle {
    async fn run_sandbox(&self, config: SandboxConfig) -> Result<SandboxStatus> {
        let mut state =
            self.0.note("run_sandbox", format!("run_sandbox {}#{}", config.name, config.attempt))?;
        let ip = (!config.host_network).then(|| "10.244.0.7".parse().unwrap());
        let sandbox = SandboxStatus {
            id: SandboxId(state.id()),
            config,
            state: SandboxState::Ready,
            created_at: self.0.clock.now(),
            ip,
            containers: Vec::new(),
        };
        state.sandboxes.push(sandbox.clone());
        Ok(sandbox)
    }

    async fn stop_sandbox(&self, id: &SandboxId) -> Result<()> {
        let mut state = self.0.note("stop_sandbox", "stop_sandbox".to_owned())?;
        if let Some(sandbox) = state.sandboxes.iter_mut().find(|s| s.id == *id) {
            sandbox.state = SandboxState::NotReady;
        }
        let _ = self.0.events.send(RuntimeEvent::SandboxStopped { sandbox: id.clone() });
        Ok(())
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<()> {
        let mut state = self.0.note("remove_sandbox", "remove_sandbox".to_owned())?;
        state.sandboxes.retain(|s| s.id != *id);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<SandboxStatus>> {
        Ok(self.0.sandboxes())
    }

    async fn sandbox(&self, id: &SandboxId) -> Result<SandboxStatus> {
        let breaks = std::mem::take(&mut self.0.state().breaks);
        assert!(!breaks, "broken as told");
        self.0.sandboxes().into_iter().find(|s| s.id == *id).ok_or_else(|| missing(id))
    }

    async fn create_container(&self, sandbox: &SandboxId, config: ContainerConfig) -> Result<ContainerId> {
        let call = format!("create {}#{}", config.name, config.attempt);
        let mut state = self.0.note("create", call)?;
        let id = ContainerId(state.id());
        let inside = state.sandboxes.iter_mut().find(|s| s.id == *sandbox).ok_or_else(|| missing(sandbox))?;
        let log_path: PathBuf = inside.config.log_directory.join(&config.log_path);
        fs::create_dir_all(log_path.parent().unwrap()).unwrap();
        fs::write(&log_path, "").unwrap();
        inside.containers.push(ContainerStatus {
            id: id.clone(),
            sandbox: sandbox.clone(),
            name: config.name.clone(),
            attempt: config.attempt,
            image: config.image.clone(),
            image_ref: config.image.clone(),
            state: ContainerState::Created,
            created_at: self.0.clock.now(),
            log_path,
            tty: config.tty,
            stdin: config.stdin,
            labels: config.labels.clone(),
            annotations: config.annotations.clone(),
        });
        state.configs.insert(id.clone(), config);
        Ok(id)
    }

    async fn start_container(&self, id: &ContainerId) -> Result<()> {
        let name = self.0.state().name(id);
        let mut state = self.0.note("start", format!("start {name}"))?;
        let scripts = state.scripts.entry(name).or_insert_with(|| VecDeque::from([Script::Runs]));
        let script = if scripts.len() > 1 { scripts.pop_front().unwrap() } else { scripts[0] };
        let now = self.0.clock.now();
        let container = state.find(id).ok_or_else(|| missing(id))?;
        if matches!(script, Script::CannotStart) {
            let message = "exec: \"no\": executable file not found in $PATH".to_owned();
            container.state = ContainerState::Exited {
                exit_code: CANNOT_START,
                oom_killed: false,
                started_at: None,
                finished_at: now,
                message: message.clone(),
            };
            return Err(CriError::Failed(message));
        }
        container.state = ContainerState::Running { pid: 42, started_at: now };
        let sandbox = container.sandbox.clone();
        let _ = self.0.events.send(RuntimeEvent::Started { sandbox, container: id.clone() });
        drop(state);
        if let Script::Exits { code, after } = script {
            let (runtime, id) = (self.0.clone(), id.clone());
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                runtime.end(&id, code);
            });
        }
        Ok(())
    }

    async fn stop_container(&self, id: &ContainerId, grace: Duration, _: Option<i32>) -> Result<()> {
        let name = self.0.state().name(id);
        drop(self.0.note("stop", format!("stop {name} {:.0}s", grace.as_secs_f64()))?);
        self.0.end(id, 143);
        Ok(())
    }

    async fn signal_container(&self, id: &ContainerId, signal: i32) -> Result<()> {
        drop(self.0.note("signal", format!("signal {signal}"))?);
        self.0.end(id, 128 + signal);
        Ok(())
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<()> {
        let name = self.0.state().name(id);
        let mut state = self.0.note("remove", format!("remove {name}"))?;
        for sandbox in &mut state.sandboxes {
            sandbox.containers.retain(|c| c.id != *id);
        }
        Ok(())
    }

    async fn container(&self, id: &ContainerId) -> Result<ContainerStatus> {
        self.0.state().find(id).cloned().ok_or_else(|| missing(id))
    }

    async fn writable_layer(&self, id: &ContainerId) -> Result<PathBuf> {
        let log = self.container(id).await?.log_path;
        let of_pod = log.ancestors().nth(2).ok_or_else(|| missing(id))?;
        Ok(of_pod.join(format!("layer-{id}")))
    }

    async fn freeze_container(&self, id: &ContainerId, frozen: bool) -> Result<()> {
        let what = if frozen { "freeze" } else { "thaw" };
        let name =
            self.0.containers().iter().find(|c| c.id == *id).map(|c| c.name.clone()).unwrap_or_default();
        self.0.note(what, format!("{what} {name}")).map(drop)
    }

    async fn limit_container(&self, id: &ContainerId, resources: &Resources) -> Result<()> {
        let name = self.0.state().name(id);
        self.0.note("limit", format!("limit {name} {}", resources.cpu_shares.unwrap_or(0))).map(drop)
    }

    async fn limit_sandbox(&self, _: &SandboxId, resources: &Resources) -> Result<()> {
        self.0.note("limit", format!("limit_sandbox {}", resources.cpu_shares.unwrap_or(0))).map(drop)
    }

    async fn reopen_log(&self, id: &ContainerId) -> Result<()> {
        let log = self.container(id).await?.log_path;
        drop(self.0.note("reopen", "reopen".to_owned())?);
        fs::write(log, "").map_err(|e| CriError::failed("reopen", e))
    }

    async fn exec(&self, id: &ContainerId, _: ExecConfig) -> Result<ExecSession> {
        Err(CriError::Failed(format!("exec in {}", self.0.state().name(id))))
    }

    async fn exec_sync(
        &self,
        id: &ContainerId,
        command: Vec<String>,
        _: Option<Duration>,
    ) -> Result<ExecOutput> {
        let command = command.join(" ");
        let name = self.0.state().name(id);
        let state = self.0.note("exec", format!("exec {name} {command}"))?;
        let exit_code = state.commands.get(&command).copied().unwrap_or(0);
        let said = if exit_code == 0 { "" } else { "not well\n" };
        Ok(ExecOutput { exit_code, stdout: Bytes::from_static(said.as_bytes()), stderr: Bytes::new() })
    }

    async fn attach(&self, id: &ContainerId, _: AttachStreams) -> Result<ExecSession> {
        Err(CriError::Failed(format!("attach to {}", self.0.state().name(id))))
    }

    async fn port_forward(&self, _: &SandboxId, port: u16) -> Result<Box<dyn Duplex>> {
        Err(CriError::Failed(format!("nobody listens on {port}")))
    }

    async fn stats(&self) -> Result<Vec<SandboxStats>> {
        let idle = |sandbox: SandboxStatus| SandboxStats {
            id: sandbox.id,
            containers: Vec::new(),
            network_rx: 0,
            network_tx: 0,
            interfaces: Vec::new(),
        };
        Ok(self.0.sandboxes().into_iter().map(idle).collect())
    }

    fn events(&self) -> broadcast::Receiver<RuntimeEvent> {
        self.0.events.subscribe()
    }
}

/// Has what it is given; a pull brings what is not named `missing`, what is `private` to the user `team` only, and one of `endless`
/// never ends.
#[derive(Default)]
pub struct FakeImages {
    present: Mutex<Vec<String>>,
    pub credentials: Mutex<Vec<usize>>,
}

impl FakeImages {
    pub fn with(names: &[&str]) -> Arc<Self> {
        let present = names.iter().map(|n| (*n).to_owned()).collect();
        Arc::new(FakeImages { present: Mutex::new(present), ..FakeImages::default() })
    }

    pub fn publish(&self, name: &str) {
        self.present.lock().unwrap().push(name.to_owned());
    }
}

fn info(name: &str) -> ImageInfo {
    ImageInfo {
        id: format!("sha256:{name}"),
        repo_tags: vec![format!("docker.io/library/{name}")],
        size: 1234,
        ..ImageInfo::default()
    }
}

#[async_trait]
impl ImageService for FakeImages {
    async fn pull(&self, name: &str, credentials: &[Credentials]) -> Result<Pulled> {
        self.credentials.lock().unwrap().push(credentials.len());
        if name.contains("endless") {
            return std::future::pending().await;
        }
        if name.contains("missing") && !self.present.lock().unwrap().iter().any(|n| n == name) {
            return Err(CriError::PullFailed(format!("pull {name}: manifest unknown")));
        }
        let is_team = |credentials: &Credentials| matches!(credentials, Credentials::Basic { username, .. } if username == "team");
        let by = credentials.iter().position(is_team).filter(|_| name.contains("private"));
        if name.contains("private") && by.is_none() {
            return Err(CriError::PullFailed(format!("pull {name}: pull access denied")));
        }
        self.publish(name);
        Ok(Pulled { image: info(name), by })
    }

    async fn status(&self, name: &str) -> Result<Option<ImageInfo>> {
        if name.contains(' ') {
            return Err(CriError::InvalidImageName("invalid reference format".to_owned()));
        }
        Ok(self.present.lock().unwrap().iter().find(|n| *n == name).map(|n| info(n)))
    }

    async fn list(&self) -> Result<Vec<ImageInfo>> {
        Ok(self.present.lock().unwrap().iter().map(|n| info(n)).collect())
    }

    async fn remove(&self, name: &str) -> Result<()> {
        self.present.lock().unwrap().retain(|n| n != name);
        Ok(())
    }
}
