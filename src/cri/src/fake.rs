//! A runtime and an image store that follow a script, for tests of those who use this seam.
//!
//! Nothing runs: a container is a record that a test, or its image's [`Script`], moves through its life. Time is
//! tokio's, so a paused clock drives it. Every call is written down, so that a test can say what must not happen.

use crate::*;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, oneshot};
use tokio::time::Instant;

/// What every container of an image does once it is started.
#[derive(Debug, Clone)]
pub struct Script {
    /// Ends by itself after this long, with this code; `None` runs until it is stopped.
    pub exits: Option<(Duration, i32)>,
    /// Goes on after its stop signal until it is killed.
    pub ignores_term: bool,
    /// Lines that it prints to stdout at its start.
    pub prints: Vec<String>,
    pub oom: bool,
}

impl Default for Script {
    fn default() -> Self {
        Script { exits: None, ignores_term: false, prints: Vec::new(), oom: false }
    }
}

type Exec = Arc<dyn Fn(&ContainerStatus, &[String]) -> Result<ExecOutput> + Send + Sync>;

/// The scripted runtime; cloning gives another handle to the same.
#[derive(Clone)]
pub struct FakeRuntime(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    events: broadcast::Sender<RuntimeEvent>,
    epoch: (jiff::Timestamp, Instant),
}

#[derive(Default)]
struct State {
    sandboxes: Vec<SandboxStatus>,
    configs: BTreeMap<ContainerId, ContainerConfig>,
    scripts: BTreeMap<String, Script>,
    failures: BTreeMap<&'static str, Vec<CriError>>,
    calls: Vec<String>,
    made: u64,
    exec: Option<Exec>,
}

impl Default for FakeRuntime {
    fn default() -> Self {
        let (events, _) = broadcast::channel(1024);
        let epoch = (jiff::Timestamp::now(), Instant::now());
        FakeRuntime(Arc::new(Shared { state: Mutex::default(), events, epoch }))
    }
}

impl FakeRuntime {
    pub fn new() -> Self {
        Self::default()
    }

    /// What containers of the image with this id do.
    pub fn script(&self, image: &str, script: Script) {
        self.state().scripts.insert(image.to_owned(), script);
    }

    /// The next call of this name (`run_sandbox`, `create_container`, …) fails.
    pub fn fail_next(&self, call: &'static str, error: CriError) {
        self.state().failures.entry(call).or_default().push(error);
    }

    /// Answers to `exec_sync`.
    pub fn on_exec(&self, answer: impl Fn(&ContainerStatus, &[String]) -> Result<ExecOutput> + Send + Sync + 'static) {
        self.state().exec = Some(Arc::new(answer));
    }

    /// `create_container web 0`, `stop_container web`, … in order.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    pub fn config(&self, id: &ContainerId) -> Option<ContainerConfig> {
        self.state().configs.get(id).cloned()
    }

    /// The newest container of this name.
    pub fn find(&self, name: &str) -> Option<ContainerStatus> {
        let state = self.state();
        let all = state.sandboxes.iter().flat_map(|s| &s.containers);
        all.filter(|c| c.name == name).max_by_key(|c| c.attempt).cloned()
    }

    /// The container ends by itself.
    pub fn exit(&self, id: &ContainerId, code: i32) {
        self.end(id, code, false);
    }

    /// As if the machine had been started again: nothing runs, nothing is known.
    pub fn forget_everything(&self) {
        let mut state = self.state();
        state.sandboxes.clear();
        state.configs.clear();
    }

    fn now(&self) -> jiff::Timestamp {
        let (wall, at) = self.0.epoch;
        wall + at.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn called(&self, name: &'static str, what: &str) -> Result<()> {
        let mut state = self.state();
        state.calls.push(format!("{name} {what}").trim_end().to_owned());
        match state.failures.get_mut(name).filter(|f| !f.is_empty()) {
            Some(failures) => Err(failures.remove(0)),
            None => Ok(()),
        }
    }

    fn end(&self, id: &ContainerId, exit_code: i32, oom_killed: bool) {
        let now = self.now();
        let mut state = self.state();
        let Ok(container) = state.container(id) else { return };
        let started_at = match container.state {
            ContainerState::Exited { .. } => return,
            ContainerState::Running { started_at, .. } => Some(started_at),
            ContainerState::Created => None,
        };
        let message = String::new();
        container.state = ContainerState::Exited { exit_code, oom_killed, started_at, finished_at: now, message };
        let sandbox = container.sandbox.clone();
        drop(state);
        let _ = self.0.events.send(RuntimeEvent::Exited { sandbox, container: id.clone(), exit_code });
    }

    fn play(&self, id: ContainerId, script: &Script) {
        let Some((after, code)) = script.exits else { return };
        let (runtime, oom) = (self.clone(), script.oom);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            runtime.end(&id, code, oom);
        });
    }
}

impl State {
    fn sandbox(&mut self, id: &SandboxId) -> Result<&mut SandboxStatus> {
        let found = self.sandboxes.iter_mut().find(|s| s.id == *id);
        found.ok_or_else(|| CriError::NotFound(format!("sandbox {id}: not found")))
    }

    fn container(&mut self, id: &ContainerId) -> Result<&mut ContainerStatus> {
        let found = self.sandboxes.iter_mut().flat_map(|s| &mut s.containers).find(|c| c.id == *id);
        found.ok_or_else(|| CriError::NotFound(format!("container {id}: not found")))
    }

    fn next_id(&mut self) -> String {
        self.made += 1;
        format!("{:064x}", self.made)
    }
}

#[async_trait]
impl Runtime for FakeRuntime {
    async fn run_sandbox(&self, config: SandboxConfig) -> Result<SandboxStatus> {
        self.called("run_sandbox", &config.name)?;
        let created_at = self.now();
        let mut state = self.state();
        let id = SandboxId(state.next_id());
        let host = u8::try_from(state.made % 250).unwrap_or(1) + 2;
        let ip = (!config.host_network).then_some(IpAddr::V4(Ipv4Addr::new(10, 244, 0, host)));
        let status =
            SandboxStatus { id, config, state: SandboxState::Ready, created_at, ip, containers: Vec::new() };
        state.sandboxes.push(status.clone());
        Ok(status)
    }

    async fn stop_sandbox(&self, id: &SandboxId) -> Result<()> {
        self.called("stop_sandbox", "")?;
        let running: Vec<ContainerId> = match self.state().sandbox(id) {
            Ok(sandbox) => {
                sandbox.state = SandboxState::NotReady;
                sandbox.containers.iter().map(|c| c.id.clone()).collect()
            }
            Err(_) => return Ok(()),
        };
        for id in running {
            self.end(&id, 137, false);
        }
        Ok(())
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<()> {
        self.called("remove_sandbox", "")?;
        self.state().sandboxes.retain(|s| s.id != *id);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<SandboxStatus>> {
        Ok(self.state().sandboxes.clone())
    }

    async fn sandbox(&self, id: &SandboxId) -> Result<SandboxStatus> {
        self.state().sandbox(id).cloned()
    }

    async fn create_container(&self, sandbox: &SandboxId, config: ContainerConfig) -> Result<ContainerId> {
        self.called("create_container", &format!("{} {}", config.name, config.attempt))?;
        let created_at = self.now();
        let mut state = self.state();
        let id = ContainerId(state.next_id());
        let owner = state.sandbox(sandbox)?;
        let status = ContainerStatus {
            id: id.clone(),
            sandbox: sandbox.clone(),
            name: config.name.clone(),
            attempt: config.attempt,
            image: config.image.clone(),
            image_ref: config.image.clone(),
            state: ContainerState::Created,
            created_at,
            log_path: owner.config.log_directory.join(&config.log_path),
            tty: config.tty,
            stdin: config.stdin,
            labels: config.labels.clone(),
            annotations: config.annotations.clone(),
        };
        owner.containers.push(status);
        state.configs.insert(id.clone(), config);
        Ok(id)
    }

    async fn start_container(&self, id: &ContainerId) -> Result<()> {
        let name = self.container(id).await?.name;
        self.called("start_container", &name)?;
        let now = self.now();
        let mut state = self.state();
        let pid = 1000 + i32::try_from(state.made).unwrap_or(0);
        let container = state.container(id)?;
        container.state = ContainerState::Running { pid, started_at: now };
        let (sandbox, image, log) = (container.sandbox.clone(), container.image.clone(), container.log_path.clone());
        let script = state.scripts.get(&image).cloned().unwrap_or_default();
        drop(state);
        write_log(&log, now, &script.prints)?;
        let _ = self.0.events.send(RuntimeEvent::Started { sandbox, container: id.clone() });
        self.play(id.clone(), &script);
        Ok(())
    }

    async fn stop_container(&self, id: &ContainerId, grace: Duration, _signal: Option<i32>) -> Result<()> {
        let Ok(status) = self.container(id).await else { return Ok(()) };
        self.called("stop_container", &format!("{} {}s", status.name, grace.as_secs()))?;
        let deaf = self.state().scripts.get(&status.image).is_some_and(|s| s.ignores_term);
        if deaf {
            tokio::time::sleep(grace).await;
        }
        self.end(id, if deaf { 137 } else { 143 }, false);
        Ok(())
    }

    async fn signal_container(&self, id: &ContainerId, signal: i32) -> Result<()> {
        self.called("signal_container", &signal.to_string())?;
        self.end(id, 128 + signal, false);
        Ok(())
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<()> {
        let Ok(status) = self.container(id).await else { return Ok(()) };
        self.called("remove_container", &format!("{} {}", status.name, status.attempt))?;
        let mut state = self.state();
        for sandbox in &mut state.sandboxes {
            sandbox.containers.retain(|c| c.id != *id);
        }
        Ok(())
    }

    async fn container(&self, id: &ContainerId) -> Result<ContainerStatus> {
        self.state().container(id).cloned()
    }

    async fn reopen_log(&self, id: &ContainerId) -> Result<()> {
        let path = self.container(id).await?.log_path;
        self.called("reopen_log", "")?;
        std::fs::File::create(&path).map(|_| ()).map_err(|e| CriError::failed(format!("open {}", path.display()), e))
    }

    /// Answers with one line on stdout (the command), and exit code 0.
    async fn exec(&self, id: &ContainerId, config: ExecConfig) -> Result<ExecSession> {
        self.called("exec", &config.command.join(" "))?;
        self.container(id).await?;
        let (sender, exit) = oneshot::channel();
        let _ = sender.send(Ok(0));
        let stdout: Output = Box::new(std::io::Cursor::new(format!("{}\n", config.command.join(" ")).into_bytes()));
        Ok(ExecSession { stdin: None, stdout: Some(stdout), stderr: None, resize: None, exit })
    }

    async fn exec_sync(&self, id: &ContainerId, command: Vec<String>, _timeout: Option<Duration>) -> Result<ExecOutput> {
        self.called("exec_sync", &command.join(" "))?;
        let status = self.container(id).await?;
        let answer = self.state().exec.clone();
        match answer {
            Some(answer) => answer(&status, &command),
            None => Ok(ExecOutput { exit_code: 0, stdout: Default::default(), stderr: Default::default() }),
        }
    }

    async fn attach(&self, id: &ContainerId, _want: AttachStreams) -> Result<ExecSession> {
        self.container(id).await?;
        Err(CriError::Failed(format!("attach to {id}: a scripted container has no streams")))
    }

    async fn port_forward(&self, id: &SandboxId, port: u16) -> Result<Box<dyn Duplex>> {
        self.state().sandbox(id)?;
        let (near, far) = tokio::io::duplex(1024);
        self.called("port_forward", &port.to_string())?;
        drop(far);
        Ok(Box::new(near))
    }

    async fn stats(&self) -> Result<Vec<SandboxStats>> {
        Ok(Vec::new())
    }

    fn events(&self) -> broadcast::Receiver<RuntimeEvent> {
        self.0.events.subscribe()
    }
}

fn write_log(path: &std::path::Path, at: jiff::Timestamp, lines: &[String]) -> Result<()> {
    let failed = |e| CriError::failed(format!("write {}", path.display()), e);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let text: String = lines.iter().map(|line| format!("{at:.9} stdout F {line}\n")).collect();
    std::fs::write(path, text).map_err(failed)
}

/// An image store of names: those present, and those that a registry would give.
#[derive(Clone, Default)]
pub struct FakeImages(Arc<Mutex<Images>>);

#[derive(Default)]
struct Images {
    present: BTreeSet<String>,
    remote: BTreeSet<String>,
    guarded: BTreeMap<String, Credentials>,
    users: BTreeMap<String, String>,
    pulls: Vec<String>,
    size: u64,
}

impl FakeImages {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with(self, name: &str) -> Self {
        self.images().present.insert(name.to_owned());
        self
    }

    pub fn with_remote(self, name: &str) -> Self {
        self.add_remote(name);
        self
    }

    /// From now on the registry has it.
    pub fn add_remote(&self, name: &str) {
        self.images().remote.insert(name.to_owned());
    }

    /// The registry gives it to those who know these credentials.
    pub fn with_guarded(self, name: &str, credentials: Credentials) -> Self {
        self.images().guarded.insert(name.to_owned(), credentials);
        self
    }

    /// What USER says in the image.
    pub fn with_user(self, name: &str, user: &str) -> Self {
        self.images().users.insert(name.to_owned(), user.to_owned());
        self.with(name)
    }

    /// Names that were asked for, in order.
    pub fn pulls(&self) -> Vec<String> {
        self.images().pulls.clone()
    }

    fn images(&self) -> MutexGuard<'_, Images> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Images {
    fn info(&self, name: &str) -> ImageInfo {
        ImageInfo {
            id: format!("sha256:{name}"),
            repo_tags: vec![format!("docker.io/library/{name}")],
            repo_digests: vec![format!("docker.io/library/{name}@sha256:{name}")],
            size: self.size + 1000,
            user: self.users.get(name).cloned(),
        }
    }
}

#[async_trait]
impl ImageService for FakeImages {
    async fn pull(&self, name: &str, credentials: &[Credentials]) -> Result<ImageInfo> {
        let mut images = self.images();
        images.pulls.push(name.to_owned());
        if let Some(needed) = images.guarded.get(name) {
            if !credentials.contains(needed) {
                return Err(CriError::Unauthorized(format!("pull {name}: unauthorized")));
            }
        } else if !images.remote.contains(name) {
            return Err(CriError::PullFailed(format!("pull {name}: manifest unknown")));
        }
        images.present.insert(name.to_owned());
        Ok(images.info(name))
    }

    async fn status(&self, name: &str) -> Result<Option<ImageInfo>> {
        if name.contains(' ') || name.chars().any(char::is_uppercase) {
            return Err(CriError::InvalidImageName("invalid reference format".to_owned()));
        }
        let images = self.images();
        Ok(images.present.contains(name).then(|| images.info(name)))
    }

    async fn list(&self) -> Result<Vec<ImageInfo>> {
        let images = self.images();
        Ok(images.present.iter().map(|name| images.info(name)).collect())
    }

    async fn remove(&self, name: &str) -> Result<()> {
        self.images().present.remove(name);
        Ok(())
    }
}
