//! Named and anonymous volumes: a directory each, ours or (`-o type=none -o o=bind -o device=PATH`) one of the machine's.

use crate::error::{ApiError, Result};
use crate::files;
use crate::record::new_id;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// What Docker writes on the volumes that nobody named.
pub(crate) const ANONYMOUS: &str = "com.docker.volume.anonymous";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) created_at: Timestamp,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) options: BTreeMap<String, String>,
}

impl Volume {
    /// The directory of the machine that it stands for.
    fn device(&self) -> Option<&Path> {
        self.options.get("device").map(Path::new)
    }
}

/// Docker's local driver also mounts file systems of any kind; here a volume can be a directory of the machine.
fn check(name: &str, options: &BTreeMap<String, String>) -> Result<()> {
    if let Some(option) = options.keys().find(|key| !["type", "o", "device"].contains(&key.as_str())) {
        return Err(ApiError::bad(format_args!("create {name}: invalid option: \"{option}\"")));
    }
    let (Some(device), said) = (options.get("device"), options.get("o")) else {
        let missing = "missing device in volume options";
        return if options.is_empty() { Ok(()) } else { Err(ApiError::bad(missing)) };
    };
    let is_bind = said.is_some_and(|o| o.split(',').any(|word| matches!(word, "bind" | "rbind")));
    if !is_bind || !device.starts_with('/') {
        return Err(ApiError::bad(format_args!(
            "create {name}: device \"{device}\": only directories of this host can be volumes: o=bind, device=/absolute/path"
        )));
    }
    Ok(())
}

pub(crate) struct Volumes {
    dir: PathBuf,
}

impl Volumes {
    pub(crate) fn open(dir: PathBuf) -> std::io::Result<Self> {
        files::private_dir(&dir)?;
        Ok(Volumes { dir })
    }

    /// What is mounted.
    pub(crate) fn data(&self, volume: &Volume) -> PathBuf {
        volume.device().map_or_else(|| self.mountpoint(&volume.name), Path::to_owned)
    }

    /// Where Docker would have it.
    pub(crate) fn mountpoint(&self, name: &str) -> PathBuf {
        self.dir.join(name).join("_data")
    }

    pub(crate) fn get(&self, name: &str) -> Result<Volume> {
        let missing = || ApiError::not_found(format_args!("get {name}: no such volume"));
        if !is_name(name) {
            return Err(missing());
        }
        files::read(&self.dir.join(name).join("volume.json")).map_err(|_| missing())
    }

    pub(crate) fn all(&self) -> Vec<Volume> {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut all: Vec<Volume> =
            entries.filter_map(|entry| self.get(&entry.file_name().to_string_lossy()).ok()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The volume of this name, made where it is missing; without a name a new one. One that is there stays what it is, whatever is
    /// asked of it, as in Docker.
    pub(crate) fn make(
        &self,
        name: &str,
        labels: BTreeMap<String, String>,
        options: BTreeMap<String, String>,
    ) -> Result<Volume> {
        let (name, labels) = match name {
            "" => (new_id(), labels.into_iter().chain([(ANONYMOUS.to_owned(), String::new())]).collect()),
            name => (name.to_owned(), labels),
        };
        if !is_name(&name) {
            return Err(ApiError::bad(format_args!(
                "create {name}: \"{name}\" includes invalid characters for a local volume name, only \
                 \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
            )));
        }
        if let Ok(known) = self.get(&name) {
            return Ok(known);
        }
        check(&name, &options)?;
        let failed = |e| ApiError::failed(format_args!("create volume {name}"), e);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(self.mountpoint(&name))
            .map_err(failed)?;
        let volume = Volume { name: name.clone(), created_at: Timestamp::now(), labels, options };
        files::write(&self.dir.join(&name).join("volume.json"), &volume).map_err(failed)?;
        Ok(volume)
    }

    /// Blocks.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let volume = self.get(name)?;
        let failed = |e| ApiError::failed(format_args!("remove volume {name}"), e);
        trees::remove(&self.dir.join(volume.name)).map_err(failed)
    }
}

fn is_name(name: &str) -> bool {
    crate::names::is_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_a_directory_of_ours_or_of_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        let volumes = Volumes::open(dir.path().into()).unwrap();
        let options = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let make = |name: &str, pairs: &[(&str, &str)]| volumes.make(name, BTreeMap::new(), options(pairs));
        let own = make("own", &[]).unwrap();
        assert_eq!(volumes.data(&own), dir.path().join("own/_data"));
        let bind = [("type", "none"), ("o", "bind"), ("device", "/srv")];
        let other = make("other", &bind).unwrap();
        assert_eq!(volumes.data(&other), Path::new("/srv"));
        // what it stands for is not ours to remove
        volumes.remove("other").unwrap();
        assert!(Path::new("/srv").exists());
        for bad in [&[("what", "1")][..], &[("type", "nfs"), ("device", ":/x")], &[("o", "bind")]] {
            assert!(make("bad", bad).is_err(), "{bad:?}");
        }
        assert_eq!(make("own", &bind).unwrap(), own, "it is there already");
    }
}
