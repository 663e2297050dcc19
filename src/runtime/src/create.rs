//! Making a container: image and folders, the mounted root file system, who runs in it, the spec, the shim's part.

use crate::account::{self, Account, Wanted};
use crate::container::Container;
use crate::host::{self, Host};
use crate::places::{ContainerPlaces, private_dir};
use crate::records::{self, ContainerRecord, new_id};
use crate::rootfs::Rootfs;
use crate::runtime::{Inner, blocking};
use crate::sandbox::Sandbox;
use crate::signals;
use crate::spec::{self, HostDevice, ImageDefaults, Parts, SharedSource, Volume};
use cri::wire::{CreateRequest, ExecRequest, MountRequest, Request, SharedMount};
use cri::{
    ContainerConfig, ContainerId, ContainerState, CriError, Result, SandboxConfig, SandboxId, Seccomp,
};
use oci_spec::runtime::LinuxSeccomp;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

const SIGTERM: i32 = 15;

/// What is known before anything is mounted.
struct Draft {
    id: ContainerId,
    config: ContainerConfig,
    sandbox_id: SandboxId,
    sandbox: SandboxConfig,
    places: ContainerPlaces,
    sandbox_dir: PathBuf,
    /// The shim's.
    pid: i32,
    image_id: String,
    layers: Vec<PathBuf>,
    hold: image::Hold,
    defaults: ImageDefaults,
    volumes: Vec<Volume>,
    shared: Vec<SharedSource>,
    devices: Vec<HostDevice>,
    localhost: Option<LinuxSeccomp>,
    log_path: PathBuf,
    stop_signal: i32,
    cgroup: String,
}

impl Inner {
    pub async fn create_container(
        self: Arc<Self>,
        sandbox: SandboxId,
        config: ContainerConfig,
    ) -> Result<ContainerId> {
        let sandbox = self.sandbox(&sandbox)?;
        let _stays = sandbox.gate.read().await;
        sandbox.client()?;
        let id = ContainerId(new_id());
        let places = self.places.container(&sandbox.id(), &id);
        match self.make_container(&sandbox, id.clone(), config, &places).await {
            Ok(container) => {
                self.add_container(Arc::new(container));
                Ok(id)
            }
            Err(e) => {
                self.unmake_container(&sandbox, &id, places).await;
                Err(e)
            }
        }
    }

    async fn make_container(
        self: &Arc<Self>,
        sandbox: &Arc<Sandbox>,
        id: ContainerId,
        config: ContainerConfig,
        places: &ContainerPlaces,
    ) -> Result<Container> {
        let name = config.name.clone();
        let doing = |what: &str| format!("{what} container {name}");
        let (inner, at, of) = (self.clone(), places.clone(), sandbox.clone());
        let draft = blocking(move || inner.draft(&of, id, config, at)).await?;
        sandbox.call(&doing("mount root file system of"), Request::Mount(mounts(&draft))).await?;
        let (host, cgroups) = (self.host.clone(), self.cgroups.clone());
        let (draft, record) = blocking(move || {
            let record = furnish(&draft, &host)?;
            Ok::<_, CriError>((draft, record))
        })
        .await?;
        let create = CreateRequest {
            container: draft.id.clone(),
            bundle: draft.places.bundle.clone(),
            log_path: draft.log_path.clone(),
            tty: draft.config.tty,
            stdin: draft.config.stdin,
            stdin_once: draft.config.stdin_once,
            cgroup: cgroups.files(&draft.cgroup),
        };
        sandbox.call(&doing("create"), Request::Create(create)).await?;
        Ok(Container::new(record, draft.places, sandbox.clone(), ContainerState::Created, Some(draft.hold)))
    }

    /// Everything that needs no mount: checks, the image, folders.
    fn draft(
        &self,
        sandbox: &Sandbox,
        id: ContainerId,
        config: ContainerConfig,
        places: ContainerPlaces,
    ) -> Result<Draft> {
        let image = self.images.rootfs(&config.image)?;
        let defaults = ImageDefaults::from(&image.config);
        spec::arguments(&config, &defaults)?;
        let record = sandbox.record();
        let pid = record.made.as_ref().map(|m| m.shim.pid);
        let pid = pid.ok_or_else(|| CriError::Failed(format!("sandbox {} has no shim", record.id)))?;
        let stop_signal = config.stop_signal.as_deref().or(defaults.stop_signal.as_deref());
        let stop_signal = stop_signal.map_or(Ok(SIGTERM), signals::number)?;
        let draft = Draft {
            volumes: volumes(&config, &defaults, &places),
            shared: shared(&config, &places),
            devices: devices(&config)?,
            localhost: localhost(&config.seccomp)?,
            log_path: record.config.log_directory.join(&config.log_path),
            cgroup: format!("{}/{id}", self.pod_cgroup(&record.config)),
            sandbox_dir: self.places.sandbox_run(&record.id),
            sandbox_id: record.id,
            sandbox: record.config,
            image_id: image.id,
            layers: image.layers,
            hold: image.hold,
            pid,
            stop_signal,
            defaults,
            id,
            config,
            places,
        };
        lay_out(&draft).map_err(|e| {
            CriError::failed(format_args!("make folders of container {}", draft.config.name), e)
        })?;
        Ok(draft)
    }

    async fn unmake_container(&self, sandbox: &Sandbox, id: &ContainerId, places: ContainerPlaces) {
        // it may not have come far enough to be known there
        let _ = sandbox.call("remove", Request::Remove { container: id.clone() }).await;
        self.clear_container(places, format!("{}/{id}", self.pod_cgroup(&sandbox.record().config))).await;
    }
}

fn lay_out(draft: &Draft) -> std::io::Result<()> {
    let places = &draft.places;
    for dir in [&places.state, &places.work(), &places.bundle, &places.rootfs()] {
        private_dir(dir)?;
    }
    // the root's own mode, where no layer says another
    std::fs::DirBuilder::new().mode(0o755).create(places.upper())?;
    for volume in &draft.volumes {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&volume.source)?;
    }
    match draft.log_path.parent() {
        Some(logs) => std::fs::DirBuilder::new().recursive(true).mode(0o755).create(logs),
        None => Ok(()),
    }
}

fn mounts(draft: &Draft) -> MountRequest {
    let sources = spec::shared_sources(&draft.config).zip(&draft.shared);
    MountRequest {
        container: draft.id.clone(),
        layers: draft.layers.clone(),
        upper: draft.places.upper(),
        work: draft.places.work(),
        target: draft.places.rootfs(),
        shared: sources
            .filter_map(|(mount, brought)| {
                Some(SharedMount { source: mount.source.clone()?, target: brought.source.clone() })
            })
            .collect(),
    }
}

/// Everything that needs the root file system, then the spec and the record.
fn furnish(draft: &Draft, host: &Host) -> Result<ContainerRecord> {
    let config = &draft.config;
    let failed = |what: &str, why: &dyn std::fmt::Display| {
        CriError::failed(format_args!("{what} of container {}", config.name), why)
    };
    let root = PathBuf::from(format!("/proc/{}/root{}", draft.pid, draft.places.rootfs().display()));
    let root = Rootfs::open(&root).map_err(|e| failed("open root file system", &e))?;
    let account = account_of(&root, config, &draft.defaults)?;
    if config.run_as_non_root && account.uid == 0 {
        return Err(CriError::Invalid("container has runAsNonRoot and image will run as root".to_owned()));
    }
    for volume in &draft.volumes {
        let copied = root.copy_out(&volume.target, &volume.source);
        copied.map_err(|e| failed(&format!("fill volume {}", volume.target.display()), &e))?;
    }
    let cwd = spec::working_dir(config, &draft.defaults);
    root.make_dir(&cwd, account.uid, account.gid)
        .map_err(|e| failed(&format!("make working directory {}", cwd.display()), &e))?;
    let parts = parts(draft, host, &account);
    let spec = spec::build(&parts)?;
    let text = serde_json::to_vec(&spec).map_err(|e| failed("write spec", &e))?;
    std::fs::write(draft.places.spec(), text).map_err(|e| failed("write spec", &e))?;
    let record = record_of(draft, &parts, &account)?;
    records::write(&draft.places.record(), &record).map_err(|e| failed("write record", &e))?;
    Ok(record)
}

fn parts<'a>(draft: &'a Draft, host: &'a Host, account: &'a Account) -> Parts<'a> {
    Parts {
        container: &draft.config,
        sandbox: &draft.sandbox,
        image: &draft.defaults,
        account,
        host,
        rootfs: Path::new("rootfs"),
        sandbox_dir: &draft.sandbox_dir,
        volumes: &draft.volumes,
        shared: &draft.shared,
        devices: &draft.devices,
        localhost: draft.localhost.clone(),
        cgroup: &draft.cgroup,
    }
}

fn record_of(draft: &Draft, parts: &Parts<'_>, account: &Account) -> Result<ContainerRecord> {
    let config = &draft.config;
    let process = ExecRequest {
        env: spec::environment(config, &draft.defaults, &draft.sandbox.hostname),
        cwd: spec::working_dir(config, &draft.defaults),
        uid: account.uid,
        gid: account.gid,
        groups: account.groups.clone(),
        capabilities: spec::capabilities_of(parts)?.0,
        no_new_privileges: config.no_new_privileges,
        seccomp: !config.privileged && config.seccomp != Seccomp::Unconfined,
        tty: config.tty,
        ..ExecRequest::default()
    };
    Ok(ContainerRecord {
        id: draft.id.clone(),
        sandbox: draft.sandbox_id.clone(),
        config: config.clone(),
        image_id: draft.image_id.clone(),
        created_at: jiff::Timestamp::now(),
        log_path: draft.log_path.clone(),
        stop_signal: draft.stop_signal,
        process,
        home: account.home.clone(),
        cgroup: draft.cgroup.clone(),
    })
}

fn account_of(root: &Rootfs, config: &ContainerConfig, image: &ImageDefaults) -> Result<Account> {
    let wanted = Wanted {
        user: config.user.as_deref().or(image.user.as_deref()),
        uid: config.run_as_user,
        gid: config.run_as_group,
        supplemental: &config.supplemental_groups,
    };
    let read = |path: &str| root.read_text(Path::new(path));
    account::resolve(wanted, &read("/etc/passwd"), &read("/etc/group"))
}

/// The image's VOLUMEs that nothing else is mounted on.
fn volumes(config: &ContainerConfig, image: &ImageDefaults, places: &ContainerPlaces) -> Vec<Volume> {
    let mut targets: Vec<PathBuf> = image.volumes.iter().map(|v| plain(v)).collect();
    targets.sort();
    targets.dedup();
    targets
        .into_iter()
        .filter(|t| t != Path::new("/") && !config.mounts.iter().any(|m| plain(&m.target) == *t))
        .enumerate()
        .map(|(number, target)| Volume { source: places.volume(number), target })
        .collect()
}

/// An image writes what it likes: absolute, and `..` goes nowhere.
fn plain(path: impl AsRef<Path>) -> PathBuf {
    let parts = path.as_ref().components().filter(|c| matches!(c, Component::Normal(_)));
    Path::new("/").join(parts.collect::<PathBuf>())
}

fn shared(config: &ContainerConfig, places: &ContainerPlaces) -> Vec<SharedSource> {
    spec::shared_sources(config)
        .enumerate()
        .map(|(number, mount)| SharedSource { target: mount.target.clone(), source: places.shared(number) })
        .collect()
}

fn devices(config: &ContainerConfig) -> Result<Vec<HostDevice>> {
    let mut all = if config.privileged { host::devices() } else { Vec::new() };
    for wanted in &config.devices {
        if !all.iter().any(|d| d.path == wanted.host_path) {
            let found = host::device(&wanted.host_path);
            all.push(
                found
                    .map_err(|e| CriError::Invalid(format!("device {}: {e}", wanted.host_path.display())))?,
            );
        }
    }
    Ok(all)
}

fn localhost(seccomp: &Seccomp) -> Result<Option<LinuxSeccomp>> {
    let Seccomp::Localhost(path) = seccomp else { return Ok(None) };
    let bad =
        |why: String| CriError::Invalid(format!("cannot load seccomp profile \"{}\": {why}", path.display()));
    let text = std::fs::read(path).map_err(|e| bad(e.to_string()))?;
    serde_json::from_slice(&text).map(Some).map_err(|e| bad(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_of_an_image() {
        let image = ImageDefaults {
            volumes: vec!["/data".into(), "/data/".into(), "../../etc".into(), "/".into(), "/mounted".into()],
            ..Default::default()
        };
        let mounted = cri::Mount {
            source: None,
            target: "/mounted/".into(),
            read_only: false,
            propagation: Default::default(),
            size_limit: None,
        };
        let config = ContainerConfig { mounts: vec![mounted], ..Default::default() };
        let places = ContainerPlaces { state: "/s".into(), bundle: "/b".into() };
        let got: Vec<_> =
            volumes(&config, &image, &places).into_iter().map(|v| (v.source, v.target)).collect();
        let want = [("/s/volumes/0", "/data"), ("/s/volumes/1", "/etc")].map(|(s, t)| (s.into(), t.into()));
        assert_eq!(got, want);
    }

    #[test]
    fn profiles_and_devices_that_are_none() {
        assert!(localhost(&Seccomp::RuntimeDefault).unwrap().is_none());
        let none = localhost(&Seccomp::Localhost("/nowhere/p.json".into())).unwrap_err().to_string();
        assert!(none.starts_with("cannot load seccomp profile \"/nowhere/p.json\": "), "{none}");
        let file = cri::Device {
            host_path: "/etc/passwd".into(),
            container_path: "/dev/x".into(),
            permissions: "rwm".into(),
        };
        let config = ContainerConfig { devices: vec![file], ..Default::default() };
        assert_eq!(devices(&config).unwrap_err().to_string(), "device /etc/passwd: not a device node");
    }
}
