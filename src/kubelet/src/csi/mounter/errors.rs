//! What is said where a volume is not had, or not taken back: upstream's words, which are others for devices. Pure.

use crate::csi::layout::Form;
use crate::csi::volume::CsiVolume;
use crate::volumes::VolumeError;
use std::fmt::Display;

/// Publishing it for the pod failed.
pub(super) fn set_up(volume: &CsiVolume, why: impl Display) -> VolumeError {
    let (volume, form, why) = (volume.spec_name.clone(), volume.form, why.to_string());
    match form {
        Form::Filesystem => VolumeError::SetUp { volume, why },
        Form::Block => VolumeError::MapPodDevice { volume, why },
    }
}

/// Staging it for the node failed.
pub(super) fn device(volume: &CsiVolume, why: impl Display) -> VolumeError {
    let (volume, form, why) = (volume.spec_name.clone(), volume.form, why.to_string());
    match form {
        Form::Filesystem => VolumeError::Device { volume, why },
        Form::Block => VolumeError::SetUpDevice { volume, why },
    }
}

pub(super) fn no_driver(volume: &CsiVolume, why: &str) -> VolumeError {
    let said = |what: &str| format!("kubernetes.io/csi: {what}: {why}");
    match volume.form {
        Form::Filesystem if volume.is_ephemeral => {
            set_up(volume, said("mounter.SetUpAt failed to get CSI client"))
        }
        Form::Filesystem => device(volume, said("attacher.MountDevice failed to create newCsiDriverClient")),
        Form::Block => device(volume, said("blockMapper.SetUpDevice failed to get CSI client")),
    }
}

pub(super) fn no_capabilities(volume: &CsiVolume, why: &dyn Display) -> VolumeError {
    match volume.form {
        Form::Filesystem => set_up(
            volume,
            format_args!(
                "kubernetes.io/csi: mounter.SetUpAt failed to check for STAGE_UNSTAGE_VOLUME capability: {why}"
            ),
        ),
        Form::Block => device(
            volume,
            format_args!(
                "kubernetes.io/csi: blockMapper.stageVolumeForBlock failed to check STAGE_UNSTAGE_VOLUME capability: {why}"
            ),
        ),
    }
}

/// `field`: of the volume, with the secret's name.
pub(super) fn no_secret(form: Form, field: &str, key: &str, why: &str) -> String {
    match form {
        Form::Filesystem => format!("fetching {field} {key} failed: {why}"),
        Form::Block => format!("failed to get {field} {key}: {why}"),
    }
}

pub(super) fn not_taken_back(form: Form, volume: &str, why: &dyn Display) -> String {
    match form {
        Form::Filesystem => format!("UnmountVolume.TearDown failed for volume \"{volume}\" : {why}"),
        Form::Block => format!("UnmapVolume.UnmapPodDevice failed for volume \"{volume}\" : {why}"),
    }
}

pub(super) fn unpublish(form: Form, why: &dyn Display) -> String {
    match form {
        Form::Filesystem => format!("kubernetes.io/csi: Unmounter.TearDownAt failed: {why}"),
        Form::Block => format!("kubernetes.io/csi: blockMapper.unpublishVolumeForBlock failed: {why}"),
    }
}

pub(super) fn unpublish_without_driver(form: Form, why: &str) -> String {
    match form {
        Form::Filesystem => {
            format!("kubernetes.io/csi: Unmounter.TearDownAt failed to get CSI client: {why}")
        }
        Form::Block => {
            format!("kubernetes.io/csi: blockMapper.UnmapPodDevice failed to get CSI client: {why}")
        }
    }
}

pub(super) fn not_unstaged(form: Form, volume: &str, why: &dyn Display) -> String {
    match form {
        Form::Filesystem => format!("UnmountVolume.UnmountDevice failed for volume \"{volume}\" : {why}"),
        Form::Block => format!("UnmapDevice.TearDownDevice failed for volume \"{volume}\" : {why}"),
    }
}

pub(super) fn unstage(form: Form, why: &dyn Display) -> String {
    match form {
        Form::Filesystem => why.to_string(),
        Form::Block => format!("kubernetes.io/csi: blockMapper.unstageVolumeForBlock failed: {why}"),
    }
}

pub(super) fn unstage_without_driver(form: Form, why: &str) -> String {
    match form {
        Form::Filesystem => {
            format!("kubernetes.io/csi: attacher.UnmountDevice failed to create newCsiDriverClient: {why}")
        }
        Form::Block => {
            format!("kubernetes.io/csi: blockMapper.TearDownDevice failed to get CSI client: {why}")
        }
    }
}
