//! What was begun with a volume, in upstream's files `vol_data.json`: one for each pod that has it, and one for the node. They are
//! written before a driver is asked and go after it has answered, so that nothing is mounted that no file tells of.

use super::blocking;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "vol_data.json";
/// The plugin's name, escaped as upstream escapes it.
const OF_PODS: &str = "volumes/kubernetes.io~csi";

/// How far a driver has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Step {
    /// It was asked for nothing yet, or has refused for good.
    Idle,
    /// It was asked, and may have done it.
    #[default]
    Begun,
    /// It has done it, and so have we.
    Ready,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeData {
    /// The PersistentVolume's name, or that of the pod's volume.
    #[serde(rename = "specVolID", default)]
    pub spec_name: String,
    pub driver_name: String,
    pub volume_handle: String,
    /// `Persistent` or `Ephemeral`.
    #[serde(default)]
    pub volume_lifecycle_mode: String,
    #[serde(default)]
    pub step: Step,
}

impl VolumeData {
    pub fn is_same_volume(&self, other: &VolumeData) -> bool {
        self.driver_name == other.driver_name && self.volume_handle == other.volume_handle
    }

    pub fn is_ephemeral(&self) -> bool {
        self.volume_lifecycle_mode == "Ephemeral"
    }
}

/// `dir` of a pod's volume.
pub fn of_pod(pod_dir: &Path, spec_name: &str) -> PathBuf {
    pod_dir.join(OF_PODS).join(spec_name.replace('/', "~"))
}

/// Makes the directory, and replaces the file in it as a whole.
pub async fn write(dir: &Path, data: &VolumeData) -> io::Result<()> {
    let (dir, data) = (dir.to_owned(), data.clone());
    blocking(move || {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o750).create(&dir)?;
        let next = dir.join(format!("{FILE}.next"));
        let mut file = File::create(&next)?;
        file.write_all(&serde_json::to_vec(&data)?)?;
        file.sync_all()?;
        fs::rename(next, dir.join(FILE))
    })
    .await
}

/// `None` where there is none.
pub async fn read(dir: &Path) -> io::Result<Option<VolumeData>> {
    let dir = dir.to_owned();
    blocking(move || read_now(&dir)).await
}

fn read_now(dir: &Path) -> io::Result<Option<VolumeData>> {
    match fs::read(dir.join(FILE)) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| io::Error::other(format!("{}: {e}", dir.join(FILE).display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a pod has volumes of drivers; also where that can not be told.
pub fn has_volumes(pod_dir: &Path) -> bool {
    of_one_pod(pod_dir).ok().is_none_or(|all| !all.is_empty())
}

/// Whether a driver has published the volume for the pod.
pub fn is_published(pod_dir: &Path, spec_name: &str) -> bool {
    let known = read_now(&of_pod(pod_dir, spec_name)).ok().flatten();
    known.is_some_and(|data| data.step == Step::Ready)
}

/// Directory and record of each volume that a pod has.
pub async fn all_of_pod(pod_dir: &Path) -> io::Result<Vec<(PathBuf, VolumeData)>> {
    let dir = pod_dir.to_owned();
    blocking(move || of_one_pod(&dir)).await
}

/// Of all pods.
pub async fn all_of_pods(pods_dir: &Path) -> io::Result<Vec<(PathBuf, VolumeData)>> {
    let dir = pods_dir.to_owned();
    blocking(move || {
        let mut all = Vec::new();
        for pod in directories(&dir)? {
            all.extend(of_one_pod(&pod)?);
        }
        Ok(all)
    })
    .await
}

/// Directory and record of each volume that the node has.
pub async fn all_of_node(globals_dir: &Path) -> io::Result<Vec<(PathBuf, VolumeData)>> {
    let dir = globals_dir.to_owned();
    blocking(move || {
        let mut all = Vec::new();
        for driver in directories(&dir)? {
            all.extend(records_in(&driver)?);
        }
        Ok(all)
    })
    .await
}

fn of_one_pod(pod_dir: &Path) -> io::Result<Vec<(PathBuf, VolumeData)>> {
    records_in(&pod_dir.join(OF_PODS))
}

fn records_in(dir: &Path) -> io::Result<Vec<(PathBuf, VolumeData)>> {
    let mut all = Vec::new();
    for volume in directories(dir)? {
        all.extend(read_now(&volume)?.map(|data| (volume, data)));
    }
    Ok(all)
}

fn directories(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            all.push(entry.path());
        }
    }
    Ok(all)
}

/// Removes the mount point, the record, and the directory of both: in this order, so that what is left is found again.
///
/// # Errors
/// Something is mounted there, or is in there that is not ours.
pub async fn remove(dir: &Path, mount_point: &str) -> io::Result<()> {
    let (dir, mount) = (dir.to_owned(), dir.join(mount_point));
    blocking(move || {
        if is_mounted(&mount)? {
            return Err(io::Error::other(format!("{} is still mounted", mount.display())));
        }
        unless_gone(remove_one(&mount))?;
        unless_gone(fs::remove_file(dir.join(format!("{FILE}.next"))))?;
        unless_gone(fs::remove_file(dir.join(FILE)))?;
        unless_gone(fs::remove_dir(dir))
    })
    .await
}

/// A driver may have made a file there: never what is in a directory.
fn remove_one(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path)?.is_dir() {
        true => fs::remove_dir(path),
        false => fs::remove_file(path),
    }
}

fn unless_gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Whether something is mounted right there; also where it can not be reached any more.
pub fn is_mounted(path: &Path) -> io::Result<bool> {
    let Some(parent) = path.parent() else { return Ok(false) };
    let parent = match parent.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        parent => parent?,
    };
    // the mount itself may be of a server that does not answer: it is not looked at
    let name = path.file_name().unwrap_or_default();
    crate::volumes::is_mount_target(&parent.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(step: Step) -> VolumeData {
        VolumeData {
            spec_name: "pvc-1".to_owned(),
            driver_name: "d.example".to_owned(),
            volume_handle: "h".to_owned(),
            volume_lifecycle_mode: "Persistent".to_owned(),
            step,
        }
    }

    #[tokio::test]
    async fn what_is_written_is_found_until_it_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let pod = root.path().join("pods/uid");
        let dir = of_pod(&pod, "pvc-1");
        assert!(dir.ends_with("pods/uid/volumes/kubernetes.io~csi/pvc-1"), "{}", dir.display());
        assert!(!has_volumes(&pod));
        write(&dir, &data(Step::Idle)).await.unwrap();
        assert!(!is_published(&pod, "pvc-1"));
        write(&dir, &data(Step::Ready)).await.unwrap();
        assert!(is_published(&pod, "pvc-1") && !is_published(&pod, "pvc-2"));
        fs::create_dir(dir.join("mount")).unwrap();
        let pods = root.path().join("pods");
        assert_eq!(all_of_pods(&pods).await.unwrap(), [(dir.clone(), data(Step::Ready))]);
        assert!(has_volumes(&pod));
        // what a driver has left in there is nobody's to remove
        fs::write(dir.join("mount/file"), "x").unwrap();
        assert!(remove(&dir, "mount").await.is_err());
        assert_eq!(read(&dir).await.unwrap(), Some(data(Step::Ready)));
        fs::remove_file(dir.join("mount/file")).unwrap();
        remove(&dir, "mount").await.unwrap();
        remove(&dir, "mount").await.unwrap();
        assert_eq!((read(&dir).await.unwrap(), has_volumes(&pod)), (None, false));
        // one that can not be read is of a volume too: nobody else takes it away
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(FILE), "{").unwrap();
        assert!(has_volumes(&pod));
    }

    #[tokio::test]
    async fn upstreams_own_files_are_read() {
        let root = tempfile::tempdir().unwrap();
        let theirs = r#"{"driverName":"d","volumeHandle":"h","specVolID":"pvc","nodeName":"n","attachmentID":"csi-x","volumeLifecycleMode":"Ephemeral"}"#;
        fs::write(root.path().join(FILE), theirs).unwrap();
        let read = read(root.path()).await.unwrap().unwrap();
        assert!(read.is_ephemeral());
        assert_eq!(read.step, Step::Begun, "nobody knows better");
    }
}
