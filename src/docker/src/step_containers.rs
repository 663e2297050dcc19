//! What a classic build shows of its RUNs: `docker events` tells of a container for each, and `docker ps -a` has those that
//! stay, because their step failed or the user wants them (`--rm=false`).

mod copy;

use crate::build::{ShowRuns, ShownRun};
use crate::engine::Engine;
use crate::files;
use crate::model::{Config, HostConfig};
use crate::names;
use crate::networks::BRIDGE;
use crate::plan;
use crate::record::{Container, Ended, Record, State};
use async_trait::async_trait;
use cri::blocking;
use image::{Removal, RunSpec};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) struct StepContainers {
    engine: Arc<Engine>,
    removal: Removal,
}

/// The container of one RUN.
struct StepContainer {
    engine: Arc<Engine>,
    removal: Removal,
    record: Record,
    started_at: Option<Timestamp>,
    /// Where its log lies, if it stays.
    kept: Option<PathBuf>,
}

impl StepContainers {
    pub(crate) fn of(engine: &Arc<Engine>, removal: Removal) -> Self {
        StepContainers { engine: engine.clone(), removal }
    }
}

impl ShowRuns for StepContainers {
    fn create(&self, spec: &RunSpec) -> Box<dyn ShownRun> {
        let record = record(&self.engine, spec);
        self.engine.events.container("create", &record, &[]);
        self.engine.events.container("attach", &record, &[]);
        let (engine, removal) = (self.engine.clone(), self.removal);
        Box::new(StepContainer { engine, removal, record, started_at: None, kept: None })
    }
}

#[async_trait]
impl ShownRun for StepContainer {
    fn started(&mut self) {
        self.started_at = Some(Timestamp::now());
        self.engine.events.container("start", &self.record, &[]);
    }

    fn ended(&mut self, code: i32, log: &Path) {
        self.engine.events.container("die", &self.record, &[("exitCode", code.to_string())]);
        let finished_at = Timestamp::now();
        let (oom_killed, error, started_at) = (false, String::new(), self.started_at);
        self.record.state = State::Exited(Ended { code, oom_killed, error, started_at, finished_at });
        if self.removal.takes(code != 0) {
            return;
        }
        let dir = self.engine.container_dir(&self.record.id);
        let moved =
            files::private_dir(&dir).and_then(|()| move_file(log, &dir.join("container.log"))).map(|()| dir);
        self.kept = moved.inspect_err(|error| self.is_lost(error)).ok();
    }

    async fn commit(self: Box<Self>, upper: &Path) {
        let Some(dir) = self.kept.clone() else {
            self.engine.events.container("destroy", &self.record, &[]);
            return;
        };
        let (engine, record, upper) = (self.engine.clone(), self.record.clone(), upper.to_owned());
        let kept =
            blocking(move || keep(&engine, record, &dir, &upper).inspect_err(|_| drop(trees::remove(&dir))));
        if let Err(error) = kept.await {
            self.is_lost(&error);
            self.engine.events.container("destroy", &self.record, &[]);
        }
    }
}

impl StepContainer {
    /// The build goes on without it.
    fn is_lost(&self, error: &io::Error) {
        tracing::warn!(id = self.record.id, %error, "a build's container was not kept");
    }
}

fn record(engine: &Engine, spec: &RunSpec) -> Record {
    let config = Config {
        hostname: spec.id.chars().take(12).collect(),
        user: spec.user.clone(),
        attach_stdout: true,
        attach_stderr: true,
        env: spec.env.clone(),
        cmd: Some(spec.argv.clone()),
        image: spec.image.clone(),
        working_dir: spec.cwd.clone(),
        ..Config::default()
    };
    let mode = spec.settings.network.clone().filter(|mode| !matches!(mode.as_str(), "" | "default"));
    let mut host = HostConfig {
        network_mode: mode.unwrap_or_else(|| BRIDGE.to_owned()),
        extra_hosts: spec.settings.extra_hosts.clone(),
        ..HostConfig::default()
    };
    plan::with_defaults(&mut host, engine.machine.unified);
    Record {
        id: spec.id.clone(),
        name: names::random(|name| engine.container(name).is_ok()),
        created: Timestamp::now(),
        image: spec.image.clone(),
        networks: engine.networks_of(&host.network_mode, BTreeMap::new()).unwrap_or_default(),
        config,
        host,
        asked_ports: None,
        mounts: Vec::new(),
        state: State::Created,
        restart_count: 0,
        short_runs: 0,
        exits: 1,
        manually_stopped: false,
        health: None,
    }
}

fn keep(engine: &Engine, record: Record, dir: &Path, upper: &Path) -> io::Result<()> {
    let hold = engine.images.rootfs(&record.image).map_err(io::Error::other)?.hold;
    let failed = record.exit_code() != 0;
    let container = Arc::new(Container::new(record, dir.to_owned(), Some(hold)));
    let own = container.upper();
    std::fs::create_dir_all(own.parent().unwrap_or(dir))?;
    match failed && std::fs::rename(upper, &own).is_ok() {
        true => {}
        // the layer's own directory, or one of another file system
        false => copy::tree(upper, &own)?,
    }
    container.save()?;
    engine.add(container).map_err(io::Error::other)
}

fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        // a command that said nothing may have none
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        moved => moved,
    }
}
