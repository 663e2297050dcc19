//! What is known of a container before anything is mounted: checks, the image, directories.

use crate::host::{self, HostDevice};
use crate::paths::{ContainerPaths, private_dir};
use crate::pid_namespace::PidNamespace;
use crate::process::ProcessDirectory;
use crate::runtime::Inner;
use crate::sandbox::Sandbox;
use crate::signals;
use crate::spec::{self, ImageDefaults, SharedSource, Volume};
use cri::wire::ImageMount;
use cri::{ContainerConfig, ContainerId, CriError, Result, SandboxConfig, SandboxId, Seccomp};
use oci_spec::runtime::LinuxSeccomp;
use std::collections::HashSet;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

const SIGTERM: i32 = 15;
/// overlayfs wants as many where nothing lies over them; and then nobody can write, whatever he remounts. An image may have one
/// layer, or none.
const LEAST_LAYERS: usize = 2;

/// What is known before anything is mounted.
pub struct ContainerPrep {
    pub id: ContainerId,
    pub config: ContainerConfig,
    pub sandbox_id: SandboxId,
    pub sandbox: SandboxConfig,
    pub paths: ContainerPaths,
    pub sandbox_dir: PathBuf,
    /// Where its files for /etc are.
    pub etc_dir: PathBuf,
    /// The shim's: what is mounted is seen there.
    pub shim: ProcessDirectory,
    pub image_id: String,
    pub layers: Vec<PathBuf>,
    /// Images that are mounted as volumes.
    pub images: Vec<ImageMount>,
    /// Of every image; of the container's own none where the caller brought the layers.
    pub holds: Vec<image::Lease>,
    pub defaults: ImageDefaults,
    pub volumes: Vec<Volume>,
    pub shared: Vec<SharedSource>,
    pub devices: Vec<HostDevice>,
    pub localhost: Option<LinuxSeccomp>,
    pub log_path: PathBuf,
    pub stop_signal: i32,
    pub cgroup: String,
    /// Whether the shim does, or libcontainer.
    pub shows_cgroups: bool,
    /// Another container's.
    pub pid_namespace: Option<PidNamespace>,
}

impl Inner {
    /// Everything that needs no mount: checks, the image, directories.
    pub fn prep(
        &self,
        sandbox: &Sandbox,
        id: ContainerId,
        mut config: ContainerConfig,
        paths: ContainerPaths,
    ) -> Result<ContainerPrep> {
        let brought =
            config.root.as_ref().map(|root| root.layers.clone()).filter(|layers| !layers.is_empty());
        let (image_id, layers, mut holds, defaults) = match brought {
            Some(layers) => (config.image.clone(), layers, Vec::new(), ImageDefaults::default()),
            None => {
                let image = self.images.rootfs(&config.image)?;
                let defaults = ImageDefaults::from(&image.config);
                (image.id, image.layers, vec![image.hold], defaults)
            }
        };
        let mut images = Vec::new();
        for mount in &mut config.mounts {
            let Some(name) = &mount.image else { continue };
            let image = self.images.rootfs(name)?;
            let target = paths.image(images.len());
            (mount.source, mount.image) = (Some(target.clone()), Some(image.id));
            let mut layers = image.layers;
            let missing = LEAST_LAYERS.saturating_sub(layers.len());
            layers.extend((0..missing).map(|number| paths.empty(number)));
            images.push(ImageMount { layers, target });
            holds.push(image.hold);
        }
        spec::arguments(&config, &defaults)?;
        let record = sandbox.record();
        let made = record.made.as_ref();
        let made = made.ok_or_else(|| CriError::Failed(format!("sandbox {} has no shim", record.id)))?;
        // libcontainer would bind what the shim hides from it
        let shows_cgroups = made.shows_cgroups && !binds_any(&config, &self.cgroups.mounts());
        let shim = made.shim.directory();
        let shim =
            shim.map_err(|e| CriError::failed(format_args!("look at the shim of sandbox {}", record.id), e))?;
        let stop_signal = config.stop_signal.as_deref().or(defaults.stop_signal.as_deref());
        let stop_signal = stop_signal.map_or(Ok(SIGTERM), signals::number)?;
        let prep = ContainerPrep {
            volumes: volumes(&config, &defaults, &paths)?,
            shared: shared(&config, &paths),
            devices: devices(&config)?,
            localhost: localhost(&config.seccomp)?,
            log_path: record.config.log_directory.join(&config.log_path),
            cgroup: format!("{}/{id}", self.pod_cgroup(&record.config)),
            shows_cgroups,
            pid_namespace: self.pid_namespace(config.pid_of.as_ref().or(record.config.pid_of.as_ref()))?,
            etc_dir: self.etc_dir(&record.id),
            sandbox_dir: self.paths.sandbox_run(&record.id),
            sandbox_id: record.id,
            sandbox: record.config,
            image_id,
            layers,
            images,
            holds,
            shim,
            stop_signal,
            defaults,
            id,
            config,
            paths,
        };
        create_directories(&prep).map_err(|e| {
            CriError::failed(format_args!("make directories of container {}", prep.config.name), e)
        })?;
        Ok(prep)
    }
}

impl Inner {
    fn etc_dir(&self, sandbox: &SandboxId) -> PathBuf {
        let etc = self.paths.sandbox_etc(sandbox);
        // one that an older version made, and that runs on, has them there
        if etc.exists() { etc } else { self.paths.sandbox_run(sandbox) }
    }

    /// Of the container whose processes this one is to see.
    fn pid_namespace(&self, of: Option<&ContainerId>) -> Result<Option<PidNamespace>> {
        let Some(other) = of else { return Ok(None) };
        let pid = self.container(other)?.running_pid()?;
        let found = PidNamespace::of(pid, other);
        let found = found
            .map_err(|e| CriError::failed(format_args!("join the PID namespace of container {other}"), e))?;
        Ok(Some(found))
    }
}

impl ContainerPrep {
    /// Where the container writes to: overlayfs' upper and work directories.
    pub fn written(&self) -> (PathBuf, PathBuf) {
        match &self.config.root {
            Some(root) => (root.upper.clone(), root.work.clone()),
            None => (self.paths.upper(), self.paths.work()),
        }
    }
}

fn create_directories(prep: &ContainerPrep) -> std::io::Result<()> {
    let paths = &prep.paths;
    let (upper, work) = prep.written();
    for dir in [&paths.state, &work, &paths.bundle, &paths.rootfs()] {
        private_dir(dir)?;
    }
    // the root's own mode, where no layer says another
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(upper)?;
    if !prep.images.is_empty() {
        for number in 0..LEAST_LAYERS {
            std::fs::DirBuilder::new().recursive(true).mode(0o755).create(paths.empty(number))?;
        }
    }
    for volume in &prep.volumes {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&volume.source)?;
    }
    match prep.log_path.parent() {
        Some(logs) => std::fs::DirBuilder::new().recursive(true).mode(0o755).create(logs),
        None => Ok(()),
    }
}

/// Each is a directory that is made and mounted before the container starts, and an image may declare any number of them.
const MOST_VOLUMES: usize = 512;

/// The image's VOLUMEs that nothing else is mounted on.
///
/// # Errors
/// [`CriError::Invalid`] where they are too many.
fn volumes(config: &ContainerConfig, image: &ImageDefaults, paths: &ContainerPaths) -> Result<Vec<Volume>> {
    let mounted: HashSet<PathBuf> = config.mounts.iter().map(|mount| plain(&mount.target)).collect();
    let mut targets: Vec<PathBuf> = image.volumes.iter().map(plain).collect();
    targets.sort();
    targets.dedup();
    targets.retain(|target| target != Path::new("/") && !mounted.contains(target));
    if targets.len() > MOST_VOLUMES {
        let count = targets.len();
        return Err(CriError::Invalid(format!(
            "image {} declares {count} volumes: a container has at most {MOST_VOLUMES}",
            config.image
        )));
    }
    let numbered = targets.into_iter().enumerate();
    Ok(numbered.map(|(number, target)| Volume { source: paths.volume(number), target }).collect())
}

/// An image writes what it likes: absolute, and `..` goes nowhere.
fn plain(path: impl AsRef<Path>) -> PathBuf {
    let parts = path.as_ref().components().filter(|c| matches!(c, Component::Normal(_)));
    Path::new("/").join(parts.collect::<PathBuf>())
}

fn shared(config: &ContainerConfig, paths: &ContainerPaths) -> Vec<SharedSource> {
    spec::shared_sources(config)
        .enumerate()
        .map(|(number, mount)| SharedSource { target: mount.target.clone(), source: paths.shared(number) })
        .collect()
}

/// Whether the container gets one of the machine's mounts `places` from the machine, alone or with all that is around it.
fn binds_any(config: &ContainerConfig, places: &[&Path]) -> bool {
    let mut sources = config.mounts.iter().filter_map(|mount| mount.source.as_deref());
    sources.any(|source| {
        let real = source.canonicalize();
        let real = real.as_deref().unwrap_or(source);
        places.iter().any(|place| place.starts_with(real) || real.starts_with(place))
    })
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
    let path = match seccomp {
        Seccomp::Localhost(path) => path,
        Seccomp::Profile(text) => {
            let bad = |e| CriError::Invalid(format!("decoding seccomp profile failed: {e}"));
            return serde_json::from_str(text).map(Some).map_err(bad);
        }
        Seccomp::Unconfined | Seccomp::RuntimeDefault => return Ok(None),
    };
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
        let mounted = cri::Mount { source: None, target: "/mounted/".into(), ..Default::default() };
        let config = ContainerConfig { mounts: vec![mounted], ..Default::default() };
        let paths = ContainerPaths { state: "/s".into(), bundle: "/b".into() };
        let got: Vec<_> =
            volumes(&config, &image, &paths).unwrap().into_iter().map(|v| (v.source, v.target)).collect();
        let want = [("/s/volumes/0", "/data"), ("/s/volumes/1", "/etc")].map(|(s, t)| (s.into(), t.into()));
        assert_eq!(got, want);
        let image = ImageDefaults {
            volumes: (0..5000).map(|number| format!("/v{number}")).collect(),
            ..Default::default()
        };
        let config = ContainerConfig { image: "many".to_owned(), ..Default::default() };
        let why = volumes(&config, &image, &paths).unwrap_err().to_string();
        assert_eq!(why, "image many declares 5000 volumes: a container has at most 512");
        let mounts = image
            .volumes
            .iter()
            .map(|target| cri::Mount { target: PathBuf::from(target), ..Default::default() });
        let config = ContainerConfig { mounts: mounts.collect(), ..Default::default() };
        assert_eq!(volumes(&config, &image, &paths).unwrap(), [], "all are mounted");
    }

    #[test]
    fn who_binds_the_machines_cgroups() {
        let dir = tempfile::tempdir().unwrap();
        let hierarchy = dir.path().canonicalize().unwrap().join("cgroup/memory");
        std::fs::create_dir_all(hierarchy.join("pod")).unwrap();
        std::os::unix::fs::symlink("cgroup", dir.path().join("link")).unwrap();
        for (name, source, want) in [
            ("the root", Some("/".into()), true),
            ("what is around it", Some(dir.path().join("cgroup")), true),
            ("itself", Some(hierarchy.clone()), true),
            ("a cgroup", Some(hierarchy.join("pod")), true),
            ("by a link", Some(dir.path().join("link")), true),
            ("another directory", Some(dir.path().join("cgroup-not")), false),
            ("a tmpfs", None, false),
        ] {
            let mount = cri::Mount { source, target: "/x".into(), ..Default::default() };
            let config = ContainerConfig { mounts: vec![mount], ..Default::default() };
            assert_eq!(binds_any(&config, &[&hierarchy]), want, "{name}");
        }
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
