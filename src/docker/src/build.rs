//! RUN of a Dockerfile: a sandbox of its own over the builder's directories.

mod mount_points;

use crate::config::DockerConfig;
use crate::frames::Stream as Which;
use crate::record::LABEL;
use crate::root::Overlay;
use async_trait::async_trait;
use cri::{
    AttachStreams, ContainerConfig, CriError, Mount, Output, OverlayRootfs, Result, Runtime, SandboxConfig,
    SandboxId, Seccomp,
};
use image::{BuildOutput, BuildRunner, Channel, RunSettings, RunSpec};
use mount_points::{MountPoints, mount};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::AsyncReadExt;

/// Runs the steps of builds, whoever asked for the build.
pub struct Runner {
    config: DockerConfig,
    runtime: Arc<dyn Runtime>,
    /// Where the user sees a container for each.
    shown: Option<Box<dyn ShowRuns>>,
}

/// Shows the RUNs of a build as containers.
pub(crate) trait ShowRuns: Send + Sync {
    fn create(&self, spec: &RunSpec) -> Box<dyn ShownRun>;
}

/// One of them.
#[async_trait]
pub(crate) trait ShownRun: Send + Sync {
    fn started(&mut self);
    /// Its command is over, and its log is still where the sandbox wrote it.
    fn ended(&mut self, code: i32, log: &Path);
    /// Its sandbox is gone. What is in `upper` is the layer to be, unless the step failed.
    async fn commit(self: Box<Self>, upper: &Path);
}

/// The name of a step's log in its directory.
const LOG: &str = "run.log";

/// A sandbox that goes with its owner, however it ends.
struct Lease {
    runtime: Arc<dyn Runtime>,
    id: Option<SandboxId>,
    directories: Directories,
}

/// What the sandbox stands on, beside the builder's directories.
#[derive(Default)]
struct Directories {
    dir: PathBuf,
    mounted: Vec<Overlay>,
}

impl Drop for Directories {
    fn drop(&mut self) {
        self.mounted.clear();
        if !self.dir.as_os_str().is_empty() {
            let _ = trees::remove(&self.dir);
        }
    }
}

impl Lease {
    async fn end(mut self) {
        if let Some(id) = self.id.take() {
            let (runtime, directories) = (self.runtime.clone(), std::mem::take(&mut self.directories));
            // to its end, even where the build is dropped meanwhile
            let _ = tokio::spawn(async move { take_away(&*runtime, &id, directories).await }).await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let (runtime, directories) = (self.runtime.clone(), std::mem::take(&mut self.directories));
        tokio::spawn(async move { take_away(&*runtime, &id, directories).await });
    }
}

/// The directories go after what uses them.
async fn take_away(runtime: &dyn Runtime, id: &SandboxId, directories: Directories) {
    if let Err(error) = runtime.remove_sandbox(id).await {
        tracing::error!(sandbox = %id, %error, "a build's sandbox was not removed");
    }
    drop(directories);
}

#[async_trait]
impl BuildRunner for Runner {
    async fn run(&self, spec: RunSpec, output: &dyn BuildOutput) -> Result<i32> {
        check_network(&spec.settings)?;
        let dir = self.config.state_dir.join("builds").join(&spec.id);
        let mut directories = Directories { dir: dir.clone(), mounted: Vec::new() };
        let mounts = spec.mounts.iter().enumerate();
        let mounts = mounts
            .map(|(number, wanted)| mount(wanted, &dir.join(number.to_string()), &mut directories.mounted))
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(|e| CriError::failed("mount for RUN", e))?;
        let mount_points = MountPoints::of(&spec);
        let mut container = self.shown.as_ref().map(|all| all.create(&spec));
        let (sandbox, lease) = self.lease(self.sandbox(&spec, &dir), directories).await?;
        let code = self.run_in(&sandbox, &spec, mounts, container.as_deref_mut(), output).await;
        if let (Some(container), Ok(code)) = (&mut container, &code) {
            container.ended(*code, &dir.join(LOG));
        }
        lease.end().await;
        mount_points.sweep(&spec.upper);
        if let Some(container) = container {
            container.commit(&spec.upper).await;
        }
        code
    }
}

impl Runner {
    pub fn new(config: DockerConfig, runtime: Arc<dyn Runtime>) -> Self {
        Runner { config, runtime, shown: None }
    }

    /// The classic builder's.
    pub(crate) fn shown(
        config: DockerConfig,
        runtime: Arc<dyn Runtime>,
        shown: impl ShowRuns + 'static,
    ) -> Self {
        Runner { config, runtime, shown: Some(Box::new(shown)) }
    }

    /// A build that is dropped while its sandbox is being made leaves a lease that ends as soon as it begins.
    async fn lease(&self, config: SandboxConfig, directories: Directories) -> Result<(SandboxId, Lease)> {
        let runtime = self.runtime.clone();
        let made = tokio::spawn(async move {
            let sandbox = runtime.run_sandbox(config).await?;
            Ok((sandbox.id.clone(), Lease { runtime, id: Some(sandbox.id), directories }))
        });
        made.await.map_err(|e| CriError::failed("make a sandbox for RUN", e))?
    }

    fn sandbox(&self, spec: &RunSpec, dir: &Path) -> SandboxConfig {
        let network = spec.settings.network.as_deref().unwrap_or_default();
        SandboxConfig {
            name: "build".to_owned(),
            uid: spec.id.clone(),
            hostname: spec.id.chars().take(12).collect(),
            log_directory: dir.to_owned(),
            resolv_conf: (network != "host").then(|| format!("nameserver {}\n", self.config.dns)),
            hosts: Some(hosts(&spec.settings, self.config.gateway)),
            shm_size: spec.settings.shm_size,
            host_network: network == "host",
            no_network: network == "none",
            cgroup_parent: format!("{}/build-{}", self.config.cgroup_parent, spec.id),
            labels: [(LABEL.to_owned(), spec.id.clone())].into(),
            ..SandboxConfig::default()
        }
    }

    async fn run_in(
        &self,
        sandbox: &SandboxId,
        spec: &RunSpec,
        mounts: Vec<Mount>,
        container: Option<&mut (dyn ShownRun + 'static)>,
        output: &dyn BuildOutput,
    ) -> Result<i32> {
        let env =
            spec.env.iter().filter_map(|e| e.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned()));
        let config = ContainerConfig {
            name: "run".to_owned(),
            command: spec.argv.clone(),
            working_dir: Some(spec.cwd.clone()),
            env: env.collect(),
            mounts,
            user: Some(spec.user.clone()).filter(|user| !user.is_empty()),
            seccomp: Seccomp::RuntimeDefault,
            resources: spec.settings.resources.clone(),
            rlimits: spec.settings.rlimits.clone(),
            log_path: LOG.into(),
            root: Some(OverlayRootfs {
                layers: spec.layers.clone(),
                upper: spec.upper.clone(),
                work: spec.work.clone(),
            }),
            ..ContainerConfig::default()
        };
        let runtime = &self.runtime;
        let id = runtime.create_container(sandbox, config).await?;
        let want = AttachStreams { stdout: true, stderr: true, ..AttachStreams::default() };
        let session = runtime.attach(&id, want).await?;
        runtime.start_container(&id).await?;
        container.into_iter().for_each(ShownRun::started);
        tokio::join!(
            pour(session.stdout, Which::Stdout, output),
            pour(session.stderr, Which::Stderr, output)
        );
        session.exit.await.unwrap_or_else(|_| Err(CriError::Failed("the sandbox's shim is gone".to_owned())))
    }
}

/// A build's steps have a network of their own, the machine's, or none.
fn check_network(settings: &RunSettings) -> Result<()> {
    match settings.network.as_deref() {
        None | Some("" | "default" | "bridge" | "host" | "none") => Ok(()),
        Some(other) => Err(CriError::Failed(format!(
            "network mode {other:?} is not supported for builds: default, bridge, host and none are"
        ))),
    }
}

fn hosts(settings: &RunSettings, gateway: Ipv4Addr) -> String {
    let mut text = "127.0.0.1\tlocalhost\n::1\tlocalhost\n".to_owned();
    for entry in &settings.extra_hosts {
        let named = entry.split_once('=').or_else(|| entry.split_once(':'));
        match named {
            Some((name, "host-gateway")) => text += &format!("{gateway}\t{name}\n"),
            Some((name, address)) => text += &format!("{}\t{name}\n", address.trim_matches(['[', ']'])),
            None => {}
        }
    }
    text
}

async fn pour(from: Option<Output>, which: Which, output: &dyn BuildOutput) {
    let Some(mut from) = from else { return };
    let channel = if which == Which::Stdout { Channel::Stdout } else { Channel::Stderr };
    let mut piece = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        output.write(channel, &piece[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_build_was_told() {
        let extra_hosts = ["a:10.0.0.1", "b=::1", "c:[::2]", "up:host-gateway", "none"];
        let settings = RunSettings {
            extra_hosts: extra_hosts.iter().map(|host| (*host).to_owned()).collect(),
            ..RunSettings::default()
        };
        let text = hosts(&settings, Ipv4Addr::new(10, 1, 1, 1));
        assert!(text.ends_with("10.0.0.1\ta\n::1\tb\n::2\tc\n10.1.1.1\tup\n"), "{text}");
    }

    #[test]
    fn a_network_of_others_is_refused() {
        let with = |network: &str| RunSettings { network: Some(network.into()), ..RunSettings::default() };
        assert!(check_network(&with("host")).is_ok());
        let why = check_network(&with("container:x")).unwrap_err().to_string();
        assert!(why.contains("network mode \"container:x\" is not supported for builds"), "{why}");
    }
}
