//! RUN of a Dockerfile: a sandbox of its own over the builder's folders.

use crate::engine::DockerConfig;
use crate::frames::Stream as Which;
use crate::record::LABEL;
use crate::root::Overlay;
use async_trait::async_trait;
use cri::{
    AttachStreams, ContainerConfig, CriError, Mount, Output, Propagation, Result, RootFolders, Runtime,
    SandboxConfig, SandboxId, Seccomp,
};
use image::{BuildOutput, BuildRunner, Channel, MountSource, RunMount, RunSpec};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::AsyncReadExt;

/// What every container has mounted, and the runtime makes places for.
const MOUNTED: [&str; 6] = ["/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/// Runs the steps of builds, whoever asked for the build.
pub struct Runner {
    config: DockerConfig,
    runtime: Arc<dyn Runtime>,
}

/// A sandbox that goes with its owner, however it ends.
struct Lease {
    runtime: Arc<dyn Runtime>,
    id: Option<SandboxId>,
    dir: PathBuf,
}

impl Lease {
    async fn end(mut self) {
        if let Some(id) = self.id.take() {
            let (runtime, dir) = (self.runtime.clone(), std::mem::take(&mut self.dir));
            // to its end, even where the build is dropped meanwhile
            let _ = tokio::spawn(async move { take_away(&*runtime, &id, &dir).await }).await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let (runtime, dir) = (self.runtime.clone(), std::mem::take(&mut self.dir));
        tokio::spawn(async move { take_away(&*runtime, &id, &dir).await });
    }
}

async fn take_away(runtime: &dyn Runtime, id: &SandboxId, dir: &Path) {
    if let Err(error) = runtime.remove_sandbox(id).await {
        tracing::error!(sandbox = %id, %error, "a build's sandbox was not removed");
    }
    let _ = std::fs::remove_dir_all(dir);
}

#[async_trait]
impl BuildRunner for Runner {
    async fn run(&self, spec: RunSpec, output: &dyn BuildOutput) -> Result<i32> {
        let dir = self.config.state_dir.join("builds").join(&spec.id);
        let mut overlays = Vec::new();
        let mounts = spec.mounts.iter().enumerate();
        let mounts = mounts
            .map(|(number, wanted)| mount(wanted, &dir.join(number.to_string()), &mut overlays))
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(|e| CriError::failed("mount for RUN", e))?;
        let new: Vec<PathBuf> = made_places(&spec);
        let (sandbox, lease) = self.lease(self.sandbox(&spec, &dir), dir).await?;
        let code = self.run_in(&sandbox, &spec, mounts, output).await;
        lease.end().await;
        drop(overlays);
        sweep(&spec.upper, &new);
        code
    }
}

impl Runner {
    pub fn new(config: DockerConfig, runtime: Arc<dyn Runtime>) -> Self {
        Runner { config, runtime }
    }

    /// A build that is dropped while its sandbox is being made leaves a lease that ends as soon as it begins.
    async fn lease(&self, config: SandboxConfig, dir: PathBuf) -> Result<(SandboxId, Lease)> {
        let runtime = self.runtime.clone();
        let made = tokio::spawn(async move {
            let sandbox = runtime.run_sandbox(config).await?;
            Ok((sandbox.id.clone(), Lease { runtime, id: Some(sandbox.id), dir }))
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
            hosts: Some("127.0.0.1\tlocalhost\n::1\tlocalhost\n".to_owned()),
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
            log_path: "run.log".into(),
            root: Some(RootFolders {
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
        tokio::join!(
            pour(session.stdout, Which::Stdout, output),
            pour(session.stderr, Which::Stderr, output)
        );
        session.exit.await.unwrap_or_else(|_| Err(CriError::Failed("the sandbox's shim is gone".to_owned())))
    }
}

async fn pour(from: Option<Output>, which: Which, output: &dyn BuildOutput) {
    let Some(mut from) = from else { return };
    let channel = if which == Which::Stdout { Channel::Stdout } else { Channel::Stderr };
    let mut piece = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        output.write(channel, &piece[..read]);
    }
}

fn mount(wanted: &RunMount, at: &Path, overlays: &mut Vec<Overlay>) -> std::io::Result<Mount> {
    let (source, size_limit) = match &wanted.source {
        MountSource::Host(path) => (Some(path.clone()), None),
        MountSource::Tmpfs { size } => (None, *size),
        MountSource::Layers { layers, path } => {
            let inside = path.strip_prefix("/").unwrap_or(path);
            let root = match &layers[..] {
                [only] => only.clone(),
                several => {
                    overlays.push(Overlay::mount(several, None, at)?);
                    at.to_owned()
                }
            };
            (Some(root.join(inside)), None)
        }
    };
    Ok(Mount {
        source,
        target: wanted.target.clone(),
        read_only: wanted.read_only,
        propagation: Propagation::Private,
        size_limit,
        ..Mount::default()
    })
}

/// Where the runtime will make something only to mount on it, parents first.
fn made_places(spec: &RunSpec) -> Vec<PathBuf> {
    let targets = spec.mounts.iter().map(|m| m.target.as_path()).chain(MOUNTED.iter().map(Path::new));
    let mut places: Vec<PathBuf> = targets
        .flat_map(|target| target.ancestors().map(Path::to_owned))
        .filter_map(|place| place.strip_prefix("/").map(Path::to_owned).ok())
        .filter(|place| !place.as_os_str().is_empty())
        .filter(|place| !spec.layers.iter().any(|layer| std::fs::symlink_metadata(layer.join(place)).is_ok()))
        .collect();
    places.sort();
    places.dedup();
    places
}

/// Takes the empty ones away again.
fn sweep(upper: &Path, places: &[PathBuf]) {
    for place in places.iter().rev() {
        let path = upper.join(place);
        match std::fs::symlink_metadata(&path) {
            // what the command put there keeps it
            Ok(meta) if meta.is_dir() => drop(std::fs::remove_dir(&path)),
            Ok(meta) if meta.is_file() && meta.len() == 0 => drop(std::fs::remove_file(&path)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_mounts_leave_no_trace() {
        let dir = tempfile::tempdir().unwrap();
        let (layer, upper) = (dir.path().join("layer"), dir.path().join("upper"));
        for path in [
            layer.join("etc"),
            upper.join("dev"),
            upper.join("etc"),
            upper.join("cache/deep"),
            upper.join("sys/made"),
        ] {
            std::fs::create_dir_all(path).unwrap();
        }
        std::fs::write(upper.join("etc/hosts"), "").unwrap();
        let cache = RunMount {
            target: "/cache/deep".into(),
            read_only: false,
            source: MountSource::Tmpfs { size: None },
        };
        let spec =
            RunSpec { layers: vec![layer], upper: upper.clone(), mounts: vec![cache], ..Default::default() };
        sweep(&upper, &made_places(&spec));
        let there = |path: &str| upper.join(path).exists();
        assert!(!there("dev") && !there("cache") && !there("etc/hosts"));
        // the image's own folder and what the command made stay
        assert!(there("etc") && there("sys/made"));
    }
}
