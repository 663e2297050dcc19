//! What is remembered of the add-ons that were enabled from manifests.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// One object of an add-on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddonObject {
    pub api_version: String,
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub name: String,
}

impl fmt::Display for AddonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AddonObject { kind, namespace, name, .. } = self;
        match namespace {
            Some(namespace) => write!(f, "{kind} {namespace}/{name}"),
            None => write!(f, "{kind} {name}"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addon {
    /// A path or a URL, or the name of what comes with the program.
    pub source: String,
    pub objects: Vec<AddonObject>,
    /// Its last apply broke off.
    #[serde(default)]
    pub incomplete: bool,
}

/// All of them by name, in a file.
pub(crate) struct EnabledAddons(PathBuf);

impl EnabledAddons {
    pub fn at(file: PathBuf) -> Self {
        EnabledAddons(file)
    }

    /// # Errors
    /// A file that can not be read, or is not what was written.
    pub fn read(&self) -> io::Result<BTreeMap<String, Addon>> {
        match std::fs::read(&self.0) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(e) => Err(e),
        }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Addon>)) -> io::Result<()> {
        let mut all = self.read()?;
        change(&mut all);
        let fresh = self.0.with_extension("new");
        std::fs::write(&fresh, serde_json::to_vec_pretty(&all)?)?;
        std::fs::rename(&fresh, &self.0)
    }
}
