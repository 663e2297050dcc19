//! The start of a runtime: what lived on is taken up again, what died is said to have, what was half made is removed.

use crate::RuntimeConfig;
use crate::cgroups::Hierarchies;
use crate::client::{CallError, ShimClient, ShimMessage};
use crate::connection;
use crate::container::{Container, lost, state_of};
use crate::paths::{private_dir, remove_dir};
use crate::records::{self, ContainerRecord, SandboxRecord, is_id};
use crate::runtime::{Inner, ShimRuntime, blocking};
use crate::sandbox::Sandbox;
use crate::sandboxes::shims_of;
use crate::shim_events::follow;
use cri::wire::{self, Reply, Request};
use cri::{ContainerId, CriError, Networks, Result, RuntimeEvent, SandboxId};
use futures::future::join_all;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A shim answers in well under a millisecond; a stopped one would hold up the start of everything.
const HELLO_PATIENCE: Duration = Duration::from_secs(10);
const LOST: &str = "the container ended while nobody watched";

type Alive = (ShimClient, mpsc::UnboundedReceiver<ShimMessage>, HashMap<ContainerId, wire::ContainerRecord>);

impl ShimRuntime {
    /// Finds what an earlier process left: reconnects to the shims that live, marks as exited what died, and removes
    /// what was half made. It returns when that is done.
    ///
    /// # Errors
    /// The directories can not be made, or the machine has no cgroups.
    pub async fn start(
        config: RuntimeConfig,
        images: Arc<image::ImageStore>,
        networks: Arc<dyn Networks>,
    ) -> Result<Arc<ShimRuntime>> {
        let (cgroups, config) =
            blocking(move || prepare(config)).await.map_err(|e| CriError::failed("start the runtime", e))?;
        let inner = Arc::new(Inner::new(config, images, networks, cgroups));
        inner.recover().await;
        Ok(Arc::new(ShimRuntime(inner)))
    }
}

fn prepare(config: RuntimeConfig) -> io::Result<(Hierarchies, RuntimeConfig)> {
    private_dir(&config.state_dir.join("sandboxes"))?;
    private_dir(&config.run_dir)?;
    let cgroups = Hierarchies::find()?;
    cgroups.make(&config.cgroup)?;
    cgroups.make_for_all_shims(&shims_of(&config.cgroup))?;
    Ok((cgroups, config))
}

impl Inner {
    async fn recover(self: &Arc<Self>) {
        let inner = self.clone();
        let (whole, half) = blocking(move || inner.read_records()).await;
        join_all(half.into_iter().map(|record| self.dismantle_beside(record, &whole))).await;
        let known: HashSet<SandboxId> = whole.iter().map(|r| r.id.clone()).collect();
        let inner = self.clone();
        blocking(move || inner.sweep(&known)).await;
        join_all(whole.into_iter().map(|record| self.recover_sandbox(record))).await;
        let garbage = self.networks.collect_garbage().await;
        for link in garbage.removed {
            tracing::info!("removed link {link} of no sandbox");
        }
        for why in garbage.failed {
            tracing::warn!("remove what is left of other sandboxes' network: {why}");
        }
        self.empty_trash();
    }

    /// The sandboxes on record, and those that were never finished.
    fn read_records(&self) -> (Vec<SandboxRecord>, Vec<SandboxRecord>) {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(self.paths.sandboxes()).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !is_id(&name) {
                continue;
            }
            let id = SandboxId(name);
            let read = records::read::<SandboxRecord>(&self.paths.sandbox_record(&id));
            if let Err(e) = &read {
                tracing::warn!("record of sandbox {id}: {e}: it is removed");
            }
            all.push(read.ok().flatten().filter(|r| r.id == id).unwrap_or_else(|| unreadable(id)));
        }
        all.into_iter().partition(|r| r.made.is_some())
    }

    /// What is in the run directory and among the shims' cgroups without a record.
    fn sweep(&self, known: &HashSet<SandboxId>) {
        let shims = shims_of(&self.config.cgroup);
        let dirs = self.cgroups.dirs(&shims).into_iter();
        let entries = dirs.flat_map(|d| std::fs::read_dir(d).into_iter().flatten().flatten());
        let names: HashSet<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        for id in names.into_iter().filter(|n| is_id(n)).map(SandboxId).filter(|id| !known.contains(id)) {
            let cgroup = self.shim_cgroup(&id);
            for failure in self.cgroups.end(&cgroup).err().into_iter().flatten() {
                tracing::warn!("{failure}");
            }
        }
        // after those that might write into them
        let runs: HashSet<_> = known.iter().map(|id| self.paths.sandbox_run(id)).collect();
        for entry in std::fs::read_dir(self.paths.run_root()).into_iter().flatten().flatten() {
            if !runs.contains(&entry.path()) {
                remove_dir(&entry.path());
            }
        }
    }

    async fn recover_sandbox(self: &Arc<Self>, record: SandboxRecord) {
        let id = record.id.clone();
        match self.reconnect(&record).await {
            Some((client, messages, containers)) => {
                let sandbox = Arc::new(Sandbox::ready(record, client));
                self.add_sandbox(sandbox.clone());
                self.recover_containers(&sandbox, Some(&containers)).await;
                tokio::spawn(follow(Arc::downgrade(self), id, messages));
            }
            None => {
                let was_stopped = record.stopped;
                let sandbox = Arc::new(Sandbox::ended(record));
                self.add_sandbox(sandbox.clone());
                self.kill_rest(&sandbox).await;
                self.recover_containers(&sandbox, None).await;
                if !was_stopped {
                    let _ = self.events.send(RuntimeEvent::SandboxLost { sandbox: id });
                }
            }
        }
    }

    /// To a shim that lives and still has its network.
    async fn reconnect(&self, record: &SandboxRecord) -> Option<Alive> {
        let made = record.made.as_ref().filter(|_| !record.stopped)?;
        let shim = made.shim;
        if !blocking(move || shim.is_alive()).await {
            return None;
        }
        match tokio::time::timeout(HELLO_PATIENCE, self.greet(record)).await {
            Ok(Ok(alive)) => Some(alive),
            Ok(Err(why)) => {
                tracing::warn!("take up sandbox {}: {why}", record.id);
                None
            }
            Err(_) => {
                tracing::warn!("take up sandbox {}: its shim does not answer", record.id);
                None
            }
        }
    }

    async fn greet(&self, record: &SandboxRecord) -> Result<Alive, String> {
        let (client, messages) = self.reach(&record.id).await.map_err(|e| e.to_string())?;
        let answer = client.call(Request::Hello).await.map_err(|e: CallError| e.to_string())?;
        let Reply::Containers(containers) = answer.reply else {
            return Err("the shim does not say what it has".to_owned());
        };
        connection::reconnect(&*self.networks, record).await.map_err(|e| e.to_string())?;
        Ok((client, messages, containers.into_iter().collect()))
    }

    /// Processes of a sandbox whose shim is not there, or is of no use.
    async fn kill_rest(&self, sandbox: &Sandbox) {
        let record = sandbox.record();
        let shim = record.made.map(|m| m.shim);
        let (paths, hierarchies, own) =
            (self.paths.clone(), self.cgroups.clone(), self.shim_cgroup(&record.id));
        let pod = self.pod_cgroup(&record.config);
        blocking(move || {
            if let Some(shim) = shim {
                shim.kill();
            }
            let containers = names(&paths.containers(&record.id)).into_iter().map(|id| format!("{pod}/{id}"));
            for cgroup in containers.chain([own]) {
                if let Err(e) = hierarchies.kill(&cgroup) {
                    tracing::warn!("{e}");
                }
            }
        })
        .await;
    }

    /// `living` is what the shim has; `None` where there is no shim.
    async fn recover_containers(
        self: &Arc<Self>,
        sandbox: &Arc<Sandbox>,
        living: Option<&HashMap<ContainerId, wire::ContainerRecord>>,
    ) {
        let id = sandbox.id();
        let dir = self.paths.containers(&id);
        for name in blocking(move || names(&dir)).await {
            let container = ContainerId(name);
            let seen = living.map(|all| all.get(&container).cloned());
            let (inner, of, copy) = (self.clone(), sandbox.clone(), container.clone());
            match blocking(move || inner.read_container(&of, &copy, seen)).await {
                Some(container) => self.add_container(Arc::new(container)),
                None => {
                    let half_made = Request::Remove { container: container.clone() };
                    if living.is_some() {
                        let _ = sandbox.call("remove", half_made).await;
                    }
                    let cgroup = format!("{}/{container}", self.pod_cgroup(&sandbox.record().config));
                    self.clear_container(self.paths.container(&id, &container), cgroup).await;
                }
            }
        }
    }

    /// `None` for one that was never finished. `seen`: what the shim says, where there is one.
    fn read_container(
        &self,
        sandbox: &Arc<Sandbox>,
        id: &ContainerId,
        seen: Option<Option<wire::ContainerRecord>>,
    ) -> Option<Container> {
        let paths = self.paths.container(&sandbox.id(), id);
        let record: ContainerRecord = records::read(&paths.record()).ok().flatten()?;
        let read = |path: &Path| records::read::<wire::ContainerRecord>(path).ok().flatten();
        let written = read(&paths.status()).or_else(|| read(&paths.exit()));
        let now = match seen {
            Some(Some(living)) => living,
            // a shim that does not know it: it was made no further than its record, or was being removed
            Some(None) if written.as_ref().is_none_or(|w| w.exit.is_none()) => return None,
            _ => lost(written, LOST),
        };
        if now.exit.is_some() {
            let _ = records::write(&paths.exit(), &now);
        }
        let volumes = record.config.mounts.iter().filter_map(|mount| mount.image.as_ref());
        let images = [&record.image_id].into_iter().chain(volumes);
        let holds = images.filter_map(|id| Some(self.images.rootfs(id).ok()?.hold)).collect();
        Some(Container::new(record, paths, sandbox.clone(), state_of(&now), holds))
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|n| is_id(n)).collect()
}

/// Stands for a sandbox of which only the name is known.
fn unreadable(id: SandboxId) -> SandboxRecord {
    let (config, created_at) = (Default::default(), jiff::Timestamp::now());
    SandboxRecord { id, config, created_at, made: None, stopped: false }
}
