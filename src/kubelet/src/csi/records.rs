//! What was begun with a volume, in upstream's files `vol_data.json`: one for each pod that has it, and one for the node. They are
//! written before a driver is asked and go after it has answered, so that nothing is mounted that no file tells of.

#[cfg(test)]
mod tests;

use super::layout::{self, Form, Place};
use cri::blocking;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const FILE: &str = "vol_data.json";
/// Larger than any handle that an object of the cluster can have.
const LARGEST: u64 = 2 << 20; // bytes
/// Another one after each start of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

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
    /// The start of the machine that it is true of, where looking at the volume does not tell: of a device a node may be left
    /// that is another's by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
}

impl VolumeData {
    /// What was done before the machine started is not there any more, and may be in part.
    fn since(self, boot_id: &str) -> Self {
        match &self.boot_id {
            Some(of) if of != boot_id && self.step == Step::Ready => VolumeData { step: Step::Begun, ..self },
            _ => self,
        }
    }

    pub fn is_same_volume(&self, other: &VolumeData) -> bool {
        self.driver_name == other.driver_name && self.volume_handle == other.volume_handle
    }

    pub fn is_ephemeral(&self) -> bool {
        self.volume_lifecycle_mode == "Ephemeral"
    }
}

/// What stands in a volume's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    Known(VolumeData),
    /// There is a file, and nobody can tell what it said.
    Unreadable,
    Missing,
}

impl Record {
    pub fn known(&self) -> Option<&VolumeData> {
        match self {
            Record::Known(data) => Some(data),
            Record::Unreadable | Record::Missing => None,
        }
    }

    /// Or what is known of the volume otherwise: who wrote something there may have asked a driver.
    pub fn or(self, otherwise: impl FnOnce(Step) -> VolumeData) -> VolumeData {
        match self {
            Record::Known(data) => data,
            Record::Unreadable => otherwise(Step::Begun),
            Record::Missing => otherwise(Step::Idle),
        }
    }
}

/// A volume's directory, of a pod or of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub dir: PathBuf,
    pub form: Form,
    pub record: Record,
}

impl Found {
    /// Of the pod whose volume it is.
    pub fn pod_dir(&self) -> Option<&Path> {
        self.dir.ancestors().nth(3)
    }

    /// Where a pod has it. `root`: the kubelet's directory.
    pub fn published(&self, root: &Path) -> Place {
        let name = self.dir.file_name().unwrap_or_default().to_string_lossy();
        self.form.published(root, self.pod_dir().unwrap_or(&self.dir), &name)
    }
}

/// Of this start of the machine.
pub fn boot_id() -> Option<String> {
    fs::read_to_string(BOOT_ID).ok().map(|id| id.trim().to_owned())
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

pub async fn read(dir: &Path) -> io::Result<Record> {
    let dir = dir.to_owned();
    blocking(move || Ok(read_now(&dir))).await
}

fn read_now(dir: &Path) -> Record {
    match stored(dir) {
        Record::Known(data) if data.boot_id.is_some() => {
            Record::Known(data.since(&boot_id().unwrap_or_default()))
        }
        record => record,
    }
}

/// One that can not be read keeps nobody from the others: it is told of, and its volume is nobody else's business.
fn stored(dir: &Path) -> Record {
    let path = dir.join(FILE);
    let read = bytes_of(&path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
    match read {
        Ok(data) => Record::Known(data),
        Err(error) if error.kind() == ErrorKind::NotFound => Record::Missing,
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "the record of a driver's volume can not be read: what it was is looked for elsewhere");
            Record::Unreadable
        }
    }
}

fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    // neither a link nor a pipe is ours
    let how = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(how.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= LARGEST => Ok(bytes),
        _ => Err(io::Error::other("it is larger than any record")),
    }
}

/// Whether a pod has volumes of drivers, or had, and there is something left of them; also where that can not be told.
pub fn has_volumes(pod_dir: &Path) -> bool {
    let has = |form: Form| directories(&form.of_pod(pod_dir)).ok().is_none_or(|all| !all.is_empty());
    has(Form::Filesystem) || has(Form::Block)
}

/// Whether a driver has published the volume for the pod, be it before the machine started.
pub fn is_published(pod_dir: &Path, spec_name: &str) -> bool {
    [Form::Filesystem, Form::Block].into_iter().any(|form| {
        let record = stored(&form.of_pod(pod_dir).join(layout::escaped(spec_name)));
        record.known().is_some_and(|data| data.step == Step::Ready)
    })
}

/// Each volume that a pod has.
pub async fn all_of_pod(pod_dir: &Path) -> io::Result<Vec<Found>> {
    let dir = pod_dir.to_owned();
    blocking(move || records_of(&dir)).await
}

/// Of all pods.
pub async fn all_of_pods(pods_dir: &Path) -> io::Result<Vec<Found>> {
    let dir = pods_dir.to_owned();
    blocking(move || {
        let mut all = Vec::new();
        for pod in directories(&dir)? {
            all.extend(records_of(&pod)?);
        }
        Ok(all)
    })
    .await
}

/// Each volume that the node has. `root`: the kubelet's directory.
pub async fn all_of_node(root: &Path) -> io::Result<Vec<Found>> {
    let root = root.to_owned();
    blocking(move || {
        let mut all = Vec::new();
        for driver in directories(&layout::drivers(&root))?.into_iter().filter(|dir| layout::is_driver(dir)) {
            all.extend(records_in(&driver, Form::Filesystem)?);
        }
        all.extend(records_in(&layout::devices(&root), Form::Block)?);
        Ok(all)
    })
    .await
}

fn records_of(pod_dir: &Path) -> io::Result<Vec<Found>> {
    let mut all = records_in(&Form::Filesystem.of_pod(pod_dir), Form::Filesystem)?;
    all.extend(records_in(&Form::Block.of_pod(pod_dir), Form::Block)?);
    Ok(all)
}

fn records_in(dir: &Path, form: Form) -> io::Result<Vec<Found>> {
    let found = |dir: PathBuf| {
        let is_its = |data: &VolumeData| {
            form == Form::Filesystem
                || dir.file_name().is_some_and(|name| *name == *layout::escaped(&data.spec_name))
        };
        let record = match read_now(&dir) {
            // whatever is done with a device is done where its name leads
            Record::Known(data) if !is_its(&data) => Record::Unreadable,
            record => record,
        };
        Found { record, form, dir }
    };
    Ok(directories(dir)?.into_iter().map(found).collect())
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

/// Removes where the driver had put the volume, the record, and its directory: in this order, so that what is left is found
/// again.
///
/// # Errors
/// Something is mounted there, or is in there that is not ours.
pub async fn remove(place: &Place) -> io::Result<()> {
    let Place { dir, at } = place.clone();
    blocking(move || {
        if is_mounted(&at)? {
            return Err(io::Error::other(format!("{} is still mounted", at.display())));
        }
        unless_gone(remove_one(&at))?;
        unless_gone(fs::remove_file(dir.join(format!("{FILE}.next"))))?;
        unless_gone(remove_one(&dir.join(FILE)))?;
        unless_gone(fs::remove_dir(dir))
    })
    .await
}

/// # Errors
/// Something is in there.
pub async fn remove_empty(dir: &Path) -> io::Result<()> {
    let dir = dir.to_owned();
    blocking(move || unless_gone(fs::remove_dir(dir))).await
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
