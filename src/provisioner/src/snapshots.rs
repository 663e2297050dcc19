//! Snapshots of our volumes: what a driver does of a VolumeSnapshotContent. `plan` says what is to be done (pure).

use crate::plan::is_ours;
use cluster::STORAGE_PROVISIONER;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kinds::snapshot::{
    BEING_DELETED, CONTENT_FINALIZER, DELETE, SnapshotError, VolumeSnapshot, VolumeSnapshotContent,
    VolumeSnapshotContentStatus,
};
use kinds::{volume, whole_second};
use std::path::Path;

/// The name of the directory of a content's snapshot, which is its handle: of the content's own uid, so that no two ever
/// have one.
pub(crate) fn name(content: &VolumeSnapshotContent) -> Option<String> {
    let uid = content.metadata.uid.as_deref()?;
    uuid::Uuid::parse_str(uid).ok().map(|uid| format!("snapshot-{}", uid.hyphenated()))
}

/// Whether a handle is one that we gave: no other directory is ever touched.
pub(crate) fn is_handle(handle: &str) -> bool {
    let uid = handle.strip_prefix("snapshot-").and_then(|uid| uuid::Uuid::parse_str(uid).ok());
    uid.is_some_and(|uid| format!("snapshot-{}", uid.hyphenated()) == handle)
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Nothing,
    /// Of the volume, under this name.
    Take {
        volume: String,
        name: String,
    },
    /// Looks for what a user says that is there.
    Find {
        handle: String,
    },
    /// Removes the directory, if there is a handle, and lets the content go.
    Remove {
        handle: Option<String>,
    },
    /// Lets the content go, and keeps the directory: its owner said so.
    LetGo,
}

pub(crate) fn step(content: &VolumeSnapshotContent) -> Step {
    if content.spec.driver != STORAGE_PROVISIONER {
        return Step::Nothing;
    }
    let source = &content.spec.source;
    if content.metadata.deletion_timestamp.is_some() {
        return ending(content);
    }
    if content.status.as_ref().is_some_and(|status| status.ready_to_use == Some(true)) {
        return Step::Nothing;
    }
    match (&source.volume_handle, &source.snapshot_handle, name(content)) {
        (Some(volume), None, Some(name)) => Step::Take { volume: volume.clone(), name },
        (None, Some(handle), _) => Step::Find { handle: handle.clone() },
        // whoever looks after all snapshots has told it
        _ => Step::Nothing,
    }
}

/// As upstream's driver helper: a content whose snapshot lives keeps what it has, until that one goes.
fn ending(content: &VolumeSnapshotContent) -> Step {
    let source = &content.spec.source;
    let is_unbound = source.snapshot_handle.is_some() && content.spec.volume_snapshot_ref.uid.is_none();
    let is_told = volume::annotation(&content.metadata, BEING_DELETED).is_some();
    if !volume::has_finalizer(&content.metadata, CONTENT_FINALIZER) || !(is_unbound || is_told) {
        return Step::Nothing;
    }
    match content.spec.deletion_policy == DELETE {
        true => {
            let handle = content.handle().map(str::to_owned).or_else(|| source.snapshot_handle.clone());
            // one that was just made, and not told of yet, has the name that it was given
            let made = || source.volume_handle.as_ref().and_then(|_| name(content));
            Step::Remove { handle: handle.or_else(made).filter(|handle| is_handle(handle)) }
        }
        false => Step::LetGo,
    }
}

/// The volume that a snapshot is taken of, and its size in bytes.
///
/// # Errors
/// Why it is none of ours.
pub(crate) fn volume_to_take(
    held: Option<&PersistentVolume>,
    handle: &str,
    below: &Path,
) -> Result<i64, String> {
    let held = held.ok_or_else(|| format!("there is no volume {handle}"))?;
    if !is_ours(held, below) {
        return Err(format!("volume {handle} was not made by {STORAGE_PROVISIONER}"));
    }
    Ok(volume::capacity(held).value())
}

pub(crate) fn taken(
    handle: &str,
    size: Option<i64>,
    at: Option<jiff::Timestamp>,
) -> VolumeSnapshotContentStatus {
    VolumeSnapshotContentStatus {
        creation_time: at.and_then(|at| i64::try_from(at.as_nanosecond()).ok()),
        ready_to_use: Some(true),
        restore_size: size,
        snapshot_handle: Some(handle.to_owned()),
        ..VolumeSnapshotContentStatus::default()
    }
}

/// `None` where it is told already.
pub(crate) fn failed(
    content: &VolumeSnapshotContent,
    message: &str,
    now: jiff::Timestamp,
) -> Option<VolumeSnapshotContentStatus> {
    let mut status = content.status.clone().unwrap_or_default();
    if status.error.as_ref().and_then(|error| error.message.as_deref()) == Some(message) {
        return None;
    }
    let time = Some(whole_second(now));
    status.error = Some(SnapshotError { message: Some(message.to_owned()), time });
    status.ready_to_use = Some(false);
    Some(status)
}

/// On a content: a claim of another mode may be made of it.
const ALLOW_MODE_CHANGE: &str = "snapshot.storage.kubernetes.io/allow-volume-mode-change";

/// A file system is not made of blocks, nor blocks of a file system: not even where the content allows it.
fn keeps_mode(claim: &PersistentVolumeClaim, content: &VolumeSnapshotContent) -> Result<(), String> {
    let wanted = volume::mode_of_claim(claim);
    let Some(has) = content.spec.source_volume_mode.as_deref().filter(|has| *has != wanted) else {
        return Ok(());
    };
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let of = text(&content.metadata.name);
    let refusal = || {
        let (namespace, name) = (text(&claim.metadata.namespace), text(&claim.metadata.name));
        format!(
            "requested volume {namespace}/{name} modifies the mode of the source volume but does not have permission to do so. "
        )
    };
    let refused = |why: String| format!("{}{why} snapshotcontent {of}", refusal());
    Err(match volume::annotation(&content.metadata, ALLOW_MODE_CHANGE) {
        None => refused(format!("{ALLOW_MODE_CHANGE} annotation is not present on")),
        // as Go reads it
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => format!(
            "a snapshot of volumeMode {has} can not become a volume of volumeMode {wanted}: {STORAGE_PROVISIONER} keeps blocks as a file, and files as a directory"
        ),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => {
            refused(format!("{ALLOW_MODE_CHANGE} is set to false on"))
        }
        Some(other) => format!(
            "{}failed to convert {ALLOW_MODE_CHANGE} annotation value to boolean with error: strconv.ParseBool: parsing {other:?}: invalid syntax",
            refusal()
        ),
    })
}

/// The snapshot's directory, or file, that a claim's is to be a copy of. `snapshot` is what the claim names, `content` that one's.
///
/// # Errors
/// Why it is not, in the words of upstream's external-provisioner.
pub(crate) fn to_restore(
    claim: &PersistentVolumeClaim,
    name: &str,
    snapshot: Option<&VolumeSnapshot>,
    content: Option<&VolumeSnapshotContent>,
) -> Result<String, String> {
    let Some(snapshot) = snapshot else {
        let why = format!("volumesnapshots.snapshot.storage.k8s.io {name:?} not found");
        return Err(format!("error getting snapshot {name} from api server: {why}"));
    };
    if snapshot.metadata.deletion_timestamp.is_some() {
        return Err(format!("snapshot {name} is currently being deleted"));
    }
    let is_its = |content: &&VolumeSnapshotContent| {
        snapshot.bound_content().is_some()
            && snapshot.bound_content() == content.metadata.name.as_deref()
            && content.is_of(snapshot)
            && content.spec.driver == STORAGE_PROVISIONER
    };
    let content = content.filter(is_its).ok_or_else(|| format!("snapshot {name} not bound"))?;
    if !snapshot.is_ready() {
        return Err(format!("snapshot {name} is not Ready"));
    }
    keeps_mode(claim, content)?;
    let handle = content.handle().filter(|handle| is_handle(handle));
    let handle = handle.ok_or_else(|| format!("snapshot handle {name} is not available"))?;
    let size = snapshot.status.as_ref().and_then(|status| status.restore_size.as_ref());
    let size: Option<api::quantity::Quantity> = size.and_then(|size| size.0.parse().ok());
    let wanted = volume::request(claim);
    match size {
        Some(size) if wanted < size => Err(format!(
            "requested volume size {} is less than the size {} for the source snapshot {name}",
            wanted.value(),
            size.value()
        )),
        _ => Ok(handle.to_owned()),
    }
}
