//! Making and ending sandboxes.

use crate::client::{ShimClient, ShimMessage};
use crate::container::lost;
use crate::paths::private_dir;
use crate::records::{self, Made, SandboxRecord, new_id};
use crate::runtime::{Inner, blocking};
use crate::sandbox::{Sandbox, SandboxPhase};
use crate::{connection, launch, shim_events};
use cri::wire::{Request, SHM, SOCKET, SharedIpc, ShimConfig};
use cri::{Connection, CriError, Result, RuntimeEvent, SandboxConfig, SandboxId, SandboxStatus};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Docker's and containerd's size of /dev/shm.
const SHM_SIZE: u64 = 64 << 20;
/// A shim that was told to end and has not by then is killed.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

impl Inner {
    pub async fn run_sandbox(self: Arc<Self>, config: SandboxConfig) -> Result<SandboxStatus> {
        check(&config)?;
        let mut record = SandboxRecord {
            id: SandboxId(new_id()),
            config,
            created_at: jiff::Timestamp::now(),
            made: None,
            stopped: false,
        };
        match self.make_sandbox(&mut record).await {
            Ok(sandbox) => Ok(self.status_of(&sandbox)),
            Err(e) => {
                self.dismantle(record).await;
                Err(e)
            }
        }
    }

    async fn make_sandbox(self: &Arc<Self>, record: &mut SandboxRecord) -> Result<Arc<Sandbox>> {
        let starting = self.starts.begin();
        let name = record.config.name.clone();
        let doing = |what: &str, why: io::Error| CriError::failed(format_args!("{what} sandbox {name}"), why);
        let (inner, copy) = (self.clone(), record.clone());
        blocking(move || inner.create_directories(&copy))
            .await
            .map_err(|e| doing("make directories of", e))?;
        let (inner, pod) = (self.clone(), record.clone());
        let limited = blocking(move || {
            let cgroup = inner.pod_cgroup(&pod.config);
            inner.cgroups.make(&cgroup)?;
            if let Some(top) = inner.top_cgroup(&pod.config)
                && let Err(error) = inner.cgroups.spare_processes(&top)
            {
                tracing::warn!(%error, "no processes are kept for the machine");
            }
            inner.cgroups.limit(&cgroup, &pod.config.resources)
        });
        let (started, limited) = tokio::join!(self.start_shim(record), limited);
        drop(starting);
        let (client, messages) = started?;
        limited.map_err(|e| doing("limit", e))?;
        self.write_record(record).await.map_err(|e| doing("write record of", e))?;
        let sandbox = Arc::new(Sandbox::ready(record.clone(), client));
        self.add_sandbox(sandbox.clone());
        tokio::spawn(shim_events::follow(Arc::downgrade(self), record.id.clone(), messages));
        Ok(sandbox)
    }

    /// The shim, its network, and the way to it; `made` is what there is of it, also when this fails.
    async fn start_shim(
        &self,
        record: &mut SandboxRecord,
    ) -> Result<(ShimClient, mpsc::UnboundedReceiver<ShimMessage>)> {
        let mut config = self.shim_config(record, self.shared_ipc(&record.config)?);
        config.shared_network = self.shared_network(&record.config)?;
        let shim = launch::shim(&self.program, &config).await?;
        record.made = Some(Made { shim, attachment: None, shows_cgroups: true });
        let netns = shim.network_namespace();
        let (attachment, joined) =
            tokio::join!(connection::connect(&*self.networks, record, &netns), self.reach(&record.id));
        record.made = Some(Made { shim, attachment: attachment?, shows_cgroups: true });
        let failed =
            |e| CriError::failed(format_args!("reach the shim of sandbox {}", record.config.name), e);
        joined.map_err(failed)
    }

    /// See [`Hierarchies::expect_moves`](crate::cgroups::Hierarchies::expect_moves).
    pub fn expect_moves(self: &Arc<Self>) {
        // where there is v1 nobody is moved by his number
        if self.cgroups.unified() {
            let inner = self.clone();
            tokio::task::spawn_blocking(move || inner.cgroups.expect_moves());
        }
    }

    /// Directories, files and the record that says: half made.
    fn create_directories(self: &Arc<Self>, record: &SandboxRecord) -> io::Result<()> {
        let (id, config) = (&record.id, &record.config);
        private_dir(&self.paths.containers(id))?;
        records::write(&self.paths.sandbox_record(id), record)?;
        self.cgroups.make_for_members(&self.shim_cgroup(id))?;
        // not before: while that waits nobody makes a cgroup. The shim's own move will find the wait over, or nearly
        self.expect_moves();
        let run = self.paths.sandbox_run(id);
        private_dir(&run)?;
        let etc = self.paths.sandbox_etc(id);
        private_dir(&etc)?;
        let hostname = format!("{}\n", config.hostname);
        let files =
            [("resolv.conf", &config.resolv_conf), ("hosts", &config.hosts), ("hostname", &Some(hostname))];
        for (name, text) in files {
            if let Some(text) = text {
                std::fs::write(etc.join(name), text)?;
                // where an older version looks, to which somebody may go back under a pod that runs
                link(&etc.join(name), &run.join(name))?;
            }
        }
        if !config.log_directory.as_os_str().is_empty() {
            std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&config.log_directory)?;
        }
        Ok(())
    }

    /// Where the IPC of another sandbox is.
    fn shared_ipc(&self, config: &SandboxConfig) -> Result<Option<SharedIpc>> {
        let Some(other) = &config.ipc_of else { return Ok(None) };
        let sandbox = self.sandbox(other)?;
        sandbox.client()?;
        let shim = sandbox.made().map(|made| made.shim);
        let shim = shim.ok_or_else(|| CriError::Failed(format!("sandbox {other} has no shim")))?;
        let namespace = |kind: &str| PathBuf::from(format!("/proc/{}/ns/{kind}", shim.pid));
        Ok(Some(SharedIpc {
            namespace: namespace("ipc"),
            mounts: namespace("mnt"),
            shm: self.paths.sandbox_run(other).join(SHM),
        }))
    }

    fn shim_config(&self, record: &SandboxRecord, shared_ipc: Option<SharedIpc>) -> ShimConfig {
        let config = &record.config;
        ShimConfig {
            id: record.id.clone(),
            dir: self.paths.sandbox_run(&record.id),
            hostname: config.hostname.clone(),
            host_network: config.host_network,
            host_pid: config.host_pid,
            host_ipc: config.host_ipc,
            share_pid: config.share_pid,
            sysctls: sysctls(config),
            cgroup_procs: self
                .cgroups
                .members_dir(&self.shim_cgroup(&record.id))
                .map(|d| d.join("cgroup.procs"))
                .into_iter()
                .collect(),
            shm_size: (!config.host_ipc && config.ipc_of.is_none())
                .then_some(config.shm_size.unwrap_or(SHM_SIZE))
                .filter(|size| *size > 0),
            domainname: config.domainname.clone(),
            host_uts: config.host_uts,
            shared_ipc,
            shared_network: None,
            cgroups: self.cgroups.of_all_shims(&shims_of(&self.config.cgroup)),
        }
    }

    /// Connects to the sandbox's shim.
    pub async fn reach(
        &self,
        id: &SandboxId,
    ) -> io::Result<(ShimClient, mpsc::UnboundedReceiver<ShimMessage>)> {
        let (tell, messages) = mpsc::unbounded_channel();
        let socket = self.paths.sandbox_run(id).join(SOCKET);
        Ok((ShimClient::connect(&socket, tell).await?, messages))
    }

    /// The shim is in a cgroup beside the pods': a pod's limits are for what the user runs in it, and on v2 a cgroup
    /// with children holds no process itself.
    pub fn shim_cgroup(&self, id: &SandboxId) -> String {
        format!("{}/{id}", shims_of(&self.config.cgroup))
    }

    pub fn pod_cgroup(&self, config: &SandboxConfig) -> String {
        match config.cgroup_parent.trim_matches('/') {
            "" => self.config.cgroup.clone(),
            parent => format!("{}/{parent}", self.config.cgroup),
        }
    }

    /// Of all pods, or of all of Docker's containers.
    fn top_cgroup(&self, config: &SandboxConfig) -> Option<String> {
        let first = config.cgroup_parent.split('/').find(|part| !part.is_empty())?;
        Some(format!("{}/{first}", self.config.cgroup))
    }

    pub async fn stop_sandbox(self: Arc<Self>, id: SandboxId) -> Result<()> {
        let Some(sandbox) = self.find_sandbox(&id) else { return Ok(()) };
        // before it has the sandbox for itself: what hangs in the shim must not hang us
        shut_down(&sandbox).await;
        let _alone = sandbox.gate.write().await;
        if sandbox.record().stopped {
            return Ok(());
        }
        self.end_processes(&sandbox).await?;
        self.containers_ended(&id, "the sandbox was stopped").await;
        let failed = |what: &str, why: String| CriError::failed(format_args!("{what} sandbox {id}"), why);
        self.starts.yield_to_starts().await;
        self.networks.detach(&id).await.map_err(|e| failed("detach network of", e.to_string()))?;
        let _ = self.events.send(RuntimeEvent::SandboxStopped { sandbox: id.clone() });
        let record = sandbox.set_stopped();
        self.write_record(&record).await.map_err(|e| failed("write record of", e.to_string()))
    }

    pub async fn write_record(&self, record: &SandboxRecord) -> io::Result<()> {
        let (path, record) = (self.paths.sandbox_record(&record.id), record.clone());
        blocking(move || records::write(&path, &record)).await
    }

    /// Whatever is left of a sandbox's processes is killed, and its end is noted.
    pub async fn end_processes(&self, sandbox: &Sandbox) -> Result<()> {
        let id = sandbox.id();
        let shim = sandbox.made().map(|m| m.shim);
        let mut cgroups: Vec<String> =
            self.containers_of(&id).iter().map(|c| c.record.cgroup.clone()).collect();
        cgroups.push(self.shim_cgroup(&id));
        let hierarchies = self.cgroups.clone();
        let killed = blocking(move || {
            if let Some(shim) = shim {
                shim.kill();
            }
            cgroups.iter().try_for_each(|c| hierarchies.kill(c))
        });
        killed.await.map_err(|e| CriError::failed(format_args!("kill sandbox {id}"), e))?;
        sandbox.end();
        Ok(())
    }

    /// Reads how each container ended; who left no word was killed with the sandbox.
    pub async fn containers_ended(&self, id: &SandboxId, why: &'static str) {
        for container in self.containers_of(id) {
            if container.has_ended() {
                continue;
            }
            let paths = container.paths.clone();
            let record = blocking(move || {
                let record = lost(records::read(&paths.status()).ok().flatten(), why);
                let _ = records::write(&paths.exit(), &record);
                record
            });
            container.observe(&record.await, &self.events);
        }
    }

    pub async fn remove_sandbox(self: Arc<Self>, id: SandboxId) -> Result<()> {
        let Some(sandbox) = self.find_sandbox(&id) else { return Ok(()) };
        self.clone().stop_sandbox(id.clone()).await?;
        for container in self.containers_of(&id) {
            self.clone().remove_container(container.record.id.clone()).await?;
        }
        self.forget_sandbox(&id);
        self.dismantle(sandbox.record()).await;
        Ok(())
    }
}

/// Asks the shim to end, and ends it where it does not.
async fn shut_down(sandbox: &Sandbox) {
    sandbox.phase.send_if_modified(|phase| {
        let ready = *phase == SandboxPhase::Ready;
        if ready {
            *phase = SandboxPhase::Stopping;
        }
        ready
    });
    if let Some(client) = sandbox.client_while_stopping() {
        // the connection's end is the answer
        let _ = tokio::time::timeout(SHUTDOWN_GRACE, client.call(Request::Shutdown)).await;
    }
    if let Some(made) = sandbox.made() {
        blocking(move || made.shim.kill()).await;
    }
}

/// As containerd and Docker have it: in a network of its own a program needs no rights for low ports and for ping.
fn sysctls(config: &SandboxConfig) -> BTreeMap<String, String> {
    let free = [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")];
    // a name may be written with slashes as well
    let said = |name: &str| config.sysctls.keys().any(|own| own.replace('/', ".") == name);
    // those of a namespace that somebody else made are not ours to change
    let has_own = !config.host_network && !matches!(config.connection, Connection::Shared(_));
    let defaults = free.iter().filter(|(name, _)| has_own && !said(name));
    let mut all: BTreeMap<String, String> =
        defaults.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    all.extend(config.sysctls.clone());
    all
}

/// Below the profile's cgroup: of all its shims.
pub fn shims_of(cgroup: &str) -> String {
    format!("{cgroup}/shims")
}

/// In the place of whatever an older version left there.
fn link(to: &Path, at: &Path) -> io::Result<()> {
    match std::fs::remove_file(at) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => symlink(to, at),
    }
}

/// A cgroup parent becomes a path below the profile's own cgroup and must stay there.
fn check(config: &SandboxConfig) -> Result<()> {
    let parent = Path::new(config.cgroup_parent.trim_start_matches('/'));
    if parent.components().all(|c| matches!(c, Component::Normal(_))) {
        Ok(())
    } else {
        Err(CriError::Invalid(format!("invalid cgroup parent {}", config.cgroup_parent)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup_parents_stay_below_the_profile() {
        let parent = |text: &str| check(&SandboxConfig { cgroup_parent: text.into(), ..Default::default() });
        for good in ["", "podx", "/burstable/podx", "a/b/c/"] {
            assert!(parent(good).is_ok(), "{good}");
        }
        for bad in ["..", "a/../../b", "./.."] {
            assert!(parent(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_the_pod_says_wins_over_the_defaults() {
        let own = [("net/ipv4/ip_unprivileged_port_start".to_owned(), "1024".to_owned())].into();
        let config = SandboxConfig { sysctls: own, ..Default::default() };
        assert_eq!(sysctls(&config)["net/ipv4/ip_unprivileged_port_start"], "1024");
        assert_eq!(sysctls(&config).len(), 2);
        assert!(sysctls(&SandboxConfig { host_network: true, ..Default::default() }).is_empty());
    }
}
