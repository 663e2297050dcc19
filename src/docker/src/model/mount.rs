//! `--mount` as a client sends it.

use super::null_is_empty;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Go leaves out of a mount's options what says nothing, and clients look into what is there: Ansible's into a `DriverConfig`.
fn is_empty<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct MountSpec {
    #[serde(rename = "Type")]
    pub(crate) kind: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) source: String,
    pub(crate) target: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) read_only: bool,
    /// Only what belongs to the kind may be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bind_options: Option<BindOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) volume_options: Option<VolumeOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tmpfs_options: Option<TmpfsOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image_options: Option<ImageOptions>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct BindOptions {
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) propagation: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) create_mountpoint: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) non_recursive: bool,
    /// What is mounted below stays writable.
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) read_only_non_recursive: bool,
    /// Fails where that can not be.
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) read_only_force_recursive: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VolumeOptions {
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) no_copy: bool,
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) subpath: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) driver_config: Option<DriverConfig>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct DriverConfig {
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) name: String,
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "is_empty")]
    pub(crate) options: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TmpfsOptions {
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) size_bytes: u64,
    /// Permission bits; zero is: nothing said.
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) mode: u32,
    /// `[["exec"], ["uid", "5"]]`
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "is_empty")]
    pub(crate) options: Vec<Vec<String>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ImageOptions {
    pub(crate) subpath: String,
}
