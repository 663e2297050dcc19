//! Volumes that pods have as devices: block devices of this machine, and files that the provisioner has made, which are loop
//! devices as long as a pod of this node has them.
//!
//! Which pod has which file stands in its directory, as a link where upstream has one: it is made before the device, and
//! goes after it, so that whoever comes after a crash lets it go. A device is let go when no pod has its file any more, and
//! never before: its number is given to another file then, and whoever has a node of it would have that one. Nor can a
//! container do that, to be given another pod's file: this process has all of them open, and the shim those of its containers.

use super::{Mounted, MountedVolume};
use cri::Device;
use k8s_openapi::api::core::v1::Container;
use loopdev::Held;
use nix::sys::stat::major;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// Below a pod's directory; the plugin's name, escaped as upstream escapes it.
const FILES: &str = "volumeDevices/kubernetes.io~host-path";
const LOOP: u64 = 7; // linux/major.h

/// What a pod has as a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockVolume {
    /// The PersistentVolume's.
    pub name: String,
    pub path: PathBuf,
    /// A file of the provisioner's, and no device yet.
    pub is_file: bool,
    pub read_only: bool,
}

/// What is open since this process began.
#[derive(Debug, Default)]
pub struct Devices {
    /// The files that are devices. One at a time makes a file one, or lets it go.
    files: Mutex<BTreeMap<PathBuf, Held>>,
    /// Loop devices that drivers have published: by the pod's directory, and where they are.
    published: Mutex<BTreeMap<PathBuf, BTreeMap<PathBuf, File>>>,
}

impl Devices {
    /// The device that the pod has.
    ///
    /// # Errors
    /// There is none: why, in words for the pod's events.
    pub fn map(&self, pod_dir: &Path, volume: &BlockVolume) -> Result<PathBuf, String> {
        if !volume.is_file {
            return block_device(&volume.path).map(|()| volume.path.clone());
        }
        let mut held = self.files.lock();
        let noted = note(&pod_dir.join(FILES), &volume.name, &volume.path);
        noted.map_err(|e| format!("note that the pod has {}: {e}", volume.path.display()))?;
        let attached = loopdev::attach(&volume.path);
        let attached = attached.map_err(|e| format!("attach {}: {e}", volume.path.display()))?;
        let device = attached.path();
        held.insert(volume.path.clone(), attached);
        Ok(device)
    }

    /// Has a driver's device open until [`Devices::release`], where it is one that a container could let go. Upstream has a loop
    /// device of each to that end.
    pub fn hold(&self, pod_dir: &Path, device: &Path) {
        let is_loop = fs::metadata(device)
            .is_ok_and(|found| found.file_type().is_block_device() && major(found.rdev()) == LOOP);
        if !is_loop {
            return;
        }
        match File::open(device) {
            Ok(opened) => {
                let mut all = self.published.lock();
                all.entry(pod_dir.to_owned()).or_default().insert(device.to_owned(), opened);
            }
            // nor will the pod
            Err(error) => {
                tracing::debug!(device = %device.display(), %error, "a published device does not open")
            }
        }
    }

    /// What the driver is going to take back from the pod; none of its containers may be left.
    pub fn release(&self, pod_dir: &Path) {
        let all = self.published.lock().remove(pod_dir);
        // one that was let go meanwhile goes now, which may take the kernel a while
        drop(all);
    }

    /// Lets go what only this pod has; none of its containers may be left. May be repeated.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn unmap(&self, pod_dir: &Path) -> io::Result<()> {
        let own = files_of(pod_dir)?;
        if own.is_empty() {
            return Ok(());
        }
        let mut held = self.files.lock();
        let others = files_of_others(pod_dir)?;
        for (link, file) in own {
            if !others.contains(&file) {
                held.remove(&file);
                loopdev::detach(&file)
                    .map_err(|e| io::Error::new(e.kind(), format!("detach {}: {e}", file.display())))?;
            }
            fs::remove_file(link)?;
        }
        Ok(())
    }
}

fn block_device(path: &Path) -> Result<(), String> {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(found) if found.file_type().is_block_device() => Ok(()),
        Ok(_) => Err(format!("path \"{shown}\" is no block device")),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(format!("path \"{shown}\" does not exist")),
        Err(error) => Err(format!("path \"{shown}\": {error}")),
    }
}

fn note(dir: &Path, name: &str, file: &Path) -> io::Result<()> {
    let link = dir.join(name);
    match fs::read_link(&link) {
        Ok(to) if to == file => return Ok(()),
        Ok(_) => fs::remove_file(&link)?,
        Err(error) if error.kind() == ErrorKind::NotFound => fs::create_dir_all(dir)?,
        Err(error) => return Err(error),
    }
    symlink(file, link)
}

/// The pod's links, and where each leads.
fn files_of(pod_dir: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let entries = match fs::read_dir(pod_dir.join(FILES)) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let link = entry?.path();
        match fs::read_link(&link) {
            Ok(file) => all.push((link, file)),
            // another pod's went meanwhile; and what is no link is none of ours
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn files_of_others(pod_dir: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let Some(pods) = pod_dir.parent() else { return Ok(BTreeSet::new()) };
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(pods)? {
        let other = entry?.path();
        if other != pod_dir {
            all.extend(files_of(&other)?.into_iter().map(|(_, file)| file));
        }
    }
    Ok(all)
}

/// The nodes that a container gets: upstream's `makeBlockVolumes`.
///
/// # Errors
/// The message of a `CreateContainerConfigError`.
pub fn of_container(container: &Container, mounted: &Mounted) -> Result<Vec<Device>, String> {
    let asked = container.volume_devices.iter().flatten();
    let devices = asked.map(|asked| {
        let path = &asked.device_path;
        if !path.starts_with('/') {
            return Err(format!("error DevicePath `{path}` must be an absolute path"));
        }
        let Some(MountedVolume::Device { path: on_host, read_only }) = mounted.get(&asked.name) else {
            let (volume, name) = (&asked.name, &container.name);
            return Err(format!("cannot find volume \"{volume}\" to pass into container \"{name}\""));
        };
        let permissions = if *read_only { "r" } else { "rwm" };
        Ok(Device {
            host_path: on_host.clone(),
            container_path: PathBuf::from(path),
            permissions: permissions.to_owned(),
        })
    });
    devices.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_container_gets_a_node_of_each_device() {
        let device = |path: &str, read_only| MountedVolume::Device { path: path.into(), read_only };
        let mounted: Mounted = [
            ("raw".to_owned(), device("/dev/loop7", false)),
            ("kept".to_owned(), device("/dev/sdb", true)),
            ("files".to_owned(), MountedVolume::Path { path: "/v".into(), read_only: false }),
        ]
        .into();
        let cases = [
            ("none", json!(null), Ok(vec![])),
            (
                "two",
                json!([{"name": "raw", "devicePath": "/dev/xvda"}, {"name": "kept", "devicePath": "/mnt/kept"}]),
                Ok(vec!["/dev/loop7 as /dev/xvda: rwm", "/dev/sdb as /mnt/kept: r"]),
            ),
            (
                "a file system",
                json!([{"name": "files", "devicePath": "/dev/xvda"}]),
                Err("cannot find volume \"files\" to pass into container \"c\""),
            ),
            (
                "a path from nowhere",
                json!([{"name": "raw", "devicePath": "xvda"}]),
                Err("error DevicePath `xvda` must be an absolute path"),
            ),
        ];
        for (name, asked, want) in cases {
            let container: Container =
                serde_json::from_value(json!({"name": "c", "volumeDevices": asked})).unwrap();
            let shown = |device: &Device| {
                let (on_host, path) = (device.host_path.display(), device.container_path.display());
                format!("{on_host} as {path}: {}", device.permissions)
            };
            let got = of_container(&container, &mounted)
                .map(|devices| devices.iter().map(shown).collect::<Vec<String>>());
            let want = want.map(|all| all.into_iter().map(str::to_owned).collect::<Vec<String>>());
            assert_eq!(got, want.map_err(str::to_owned), "{name}");
        }
    }

    fn volume(path: &Path, is_file: bool) -> BlockVolume {
        BlockVolume { name: "pv".to_owned(), path: path.to_owned(), is_file, read_only: false }
    }

    #[test]
    fn only_a_block_device_is_one() {
        let root = tempfile::tempdir().unwrap();
        let pod = root.path().join("pods/a");
        let cases = [
            (root.path().join("none"), "does not exist"),
            (root.path().to_owned(), "is no block device"),
            (PathBuf::from("/dev/null"), "is no block device"),
        ];
        for (path, why) in cases {
            let want = format!("path \"{}\" {why}", path.display());
            assert_eq!(Devices::default().map(&pod, &volume(&path, false)), Err(want));
        }
        assert!(!pod.exists(), "and nothing is noted of it");
        let none = Devices::default().map(&pod, &volume(&root.path().join("none"), true)).unwrap_err();
        assert!(none.starts_with(&format!("attach {}/none: ", root.path().display())), "{none}");
        // it is noted before, and forgotten with the pod
        assert_eq!(files_of(&pod).unwrap().len(), 1);
        Devices::default().unmap(&pod).unwrap();
        assert!(files_of(&pod).unwrap().is_empty());
    }

    #[test]
    fn what_a_driver_has_published_is_open_until_it_is_taken_back() {
        if !nix::unistd::geteuid().is_root() || loopdev::check().is_err() {
            println!("SKIPPED: loop devices need root and /dev/loop-control");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let (file, pod) = (root.path().join("disk"), root.path().join("pods/a"));
        fs::File::create(&file).unwrap().set_len(1 << 20).unwrap();
        let device = loopdev::attach(&file).unwrap().path();
        let devices = Devices::default();
        devices.hold(&pod, &device);
        devices.hold(&pod, &device);
        devices.hold(&pod, Path::new("/dev/null"));
        devices.hold(&pod, &root.path().join("none"));
        assert_eq!(devices.published.lock()[&pod].len(), 1);
        // a container lets it go
        loopdev::detach(&file).unwrap();
        let shown = Path::new("/sys/block").join(device.file_name().unwrap()).join("loop/backing_file");
        let behind = fs::read_to_string(shown).expect("it keeps its file");
        assert_eq!(Path::new(behind.trim()), file.canonicalize().unwrap());
        devices.release(&root.path().join("pods/b"));
        assert!(!devices.published.lock().is_empty());
        devices.release(&pod);
        assert!(devices.published.lock().is_empty());
        assert_eq!(loopdev::find(&file).unwrap(), None);
    }

    #[test]
    fn a_file_is_a_device_as_long_as_a_pod_has_it() {
        if !nix::unistd::geteuid().is_root() || loopdev::check().is_err() {
            println!("SKIPPED: loop devices need root and /dev/loop-control");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("pvc-1");
        fs::File::create(&file).unwrap().set_len(1 << 20).unwrap();
        let [a, b] = ["pods/a", "pods/b"].map(|pod| root.path().join(pod));
        let (devices, of) = (Devices::default(), volume(&file, true));
        let device = devices.map(&a, &of).unwrap();
        assert!(fs::metadata(&device).unwrap().file_type().is_block_device());
        assert_eq!(devices.map(&a, &of), Ok(device.clone()), "again");
        // another daemon comes
        drop(devices);
        let devices = Devices::default();
        assert_eq!(devices.map(&b, &of), Ok(device.clone()), "of another pod");
        // a container that has it can do the same
        loopdev::detach(&file).unwrap();
        let shown = Path::new("/sys/block").join(device.file_name().unwrap()).join("loop/backing_file");
        let behind = fs::read_to_string(shown).expect("it keeps its file");
        assert_eq!(Path::new(behind.trim()), file.canonicalize().unwrap());
        assert_eq!(devices.map(&a, &of), Ok(device), "and is taken back");
        devices.unmap(&a).unwrap();
        devices.unmap(&a).unwrap();
        assert!(loopdev::find(&file).unwrap().is_some(), "the other has it");
        devices.unmap(&b).unwrap();
        assert_eq!(loopdev::find(&file).unwrap(), None);
    }
}
