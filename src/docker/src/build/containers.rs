//! What a classic build shows of its RUNs: `docker events` tells of a container for each, and `docker ps -a` has those that
//! stay, because their step failed or the user wants them (`--rm=false`).

mod copy;

use crate::engine::Engine;
use crate::files;
use crate::model::{Config, HostConfig};
use crate::names;
use crate::networks::BRIDGE;
use crate::plan;
use crate::record::{Container, Ended, Record, State};
use image::{Removal, RunSpec};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) struct StepContainers {
    pub(super) engine: Arc<Engine>,
    pub(super) removal: Removal,
}

/// The container of one RUN.
pub(super) struct StepContainer<'s> {
    all: &'s StepContainers,
    record: Record,
    started_at: Option<Timestamp>,
    /// Where its log lies, if it stays.
    kept: Option<PathBuf>,
}

impl StepContainers {
    pub(super) fn create(&self, spec: &RunSpec) -> StepContainer<'_> {
        let record = record(&self.engine, spec);
        self.engine.events.container("create", &record, &[]);
        self.engine.events.container("attach", &record, &[]);
        StepContainer { all: self, record, started_at: None, kept: None }
    }
}

impl StepContainer<'_> {
    pub(super) fn started(&mut self) {
        self.started_at = Some(Timestamp::now());
        self.all.engine.events.container("start", &self.record, &[]);
    }

    /// Its command is over, and its log is still where the sandbox wrote it.
    pub(super) fn ended(&mut self, code: i32, log: &Path) {
        let engine = &self.all.engine;
        engine.events.container("die", &self.record, &[("exitCode", code.to_string())]);
        let finished_at = Timestamp::now();
        let (oom_killed, error, started_at) = (false, String::new(), self.started_at);
        self.record.state = State::Exited(Ended { code, oom_killed, error, started_at, finished_at });
        if self.all.removal.takes(code != 0) {
            return;
        }
        let dir = engine.container_dir(&self.record.id);
        let moved =
            files::private_dir(&dir).and_then(|()| move_file(log, &dir.join("container.log"))).map(|()| dir);
        self.kept = moved.inspect_err(|error| self.is_lost(error)).ok();
    }

    /// When its sandbox is gone. What is in `upper` is the layer to be, unless the step failed.
    pub(super) async fn settle(self, upper: &Path) {
        let Some(dir) = self.kept.clone() else {
            self.all.engine.events.container("destroy", &self.record, &[]);
            return;
        };
        let (engine, record, upper) = (self.all.engine.clone(), self.record.clone(), upper.to_owned());
        let kept = tokio::task::spawn_blocking(move || {
            keep(&engine, record, &dir, &upper).inspect_err(|_| drop(std::fs::remove_dir_all(&dir)))
        });
        match kept.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.is_lost(&error),
            Err(error) => self.is_lost(&io::Error::other(error)),
        }
    }

    /// The build goes on without it.
    fn is_lost(&self, error: &io::Error) {
        tracing::warn!(id = self.record.id, %error, "a build's container was not kept");
        self.all.engine.events.container("destroy", &self.record, &[]);
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
        mounts: Vec::new(),
        state: State::Created,
        restart_count: 0,
        short_runs: 0,
        exits: 1,
        told_to_stop: false,
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
        // the layer's own folder, or one of another file system
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
