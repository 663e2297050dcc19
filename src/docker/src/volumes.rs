//! Named and anonymous volumes: a directory each, on which something is mounted (`volume_mounts`) for those with options.

use crate::error::{ApiError, Result};
use crate::files;
use crate::local_mount::{self, LocalMount};
use crate::record::new_id;
use crate::volume_users::Users;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

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

pub(crate) struct Volumes {
    dir: PathBuf,
    pub(crate) users: Users,
}

impl Volumes {
    pub(crate) fn open(dir: PathBuf) -> std::io::Result<Self> {
        files::private_dir(&dir)?;
        // as the kernel names it, where something is mounted in it
        Ok(Volumes { dir: dir.canonicalize()?, users: Users::default() })
    }

    /// What containers have, whatever is mounted there.
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
            // a removal that was cut off has left the record alone
            return match std::fs::DirBuilder::new().mode(0o755).create(self.mountpoint(&name)) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    Err(ApiError::failed(format_args!("create volume {name}"), error))
                }
                _ => Ok(known),
            };
        }
        local_mount::check(&options).map_err(|why| ApiError::bad(format_args!("create {name}: {why}")))?;
        let failed = |e| ApiError::failed(format_args!("create volume {name}"), e);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(self.mountpoint(&name))
            .map_err(failed)?;
        let volume = Volume { name: name.clone(), created_at: Timestamp::now(), labels, options };
        let written = files::write(&self.dir.join(&name).join("volume.json"), &volume).map_err(failed);
        // empty directories alone: there may be files of a volume whose record is damaged
        written.inspect_err(|_| {
            let _ = std::fs::remove_dir(self.mountpoint(&name));
            let _ = std::fs::remove_dir(self.dir.join(&name));
        })?;
        Ok(volume)
    }

    /// Blocks. What is mounted there is not touched.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let volume = self.get(name)?;
        let failed = |e| ApiError::failed(format_args!("remove volume {name}"), e);
        if LocalMount::of(&volume.options).is_none() {
            return self.remove_directory(&volume.name).map_err(failed);
        }
        let gate = self.users.gate(name);
        let _alone = gate.lock();
        if self.users.has_any(name) {
            return Err(ApiError::internal(format_args!("remove {name}: volume has active mounts")));
        }
        self.unmount_if_mounted(name).map_err(failed)?;
        self.remove_directory(&volume.name).map_err(failed)?;
        self.users.forget(name);
        Ok(())
    }

    /// What is in it goes before its record: where that is cut off, or something stays, there is a volume that can be removed again, and
    /// not files that nobody sees and that the next volume of this name would begin with.
    fn remove_directory(&self, name: &str) -> std::io::Result<()> {
        match trees::remove(&self.mountpoint(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => trees::remove(&self.dir.join(name)),
        }
    }
}

fn is_name(name: &str) -> bool {
    crate::names::is_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_a_directory_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let volumes = Volumes::open(dir.path().into()).unwrap();
        let options = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let make = |name: &str, pairs: &[(&str, &str)]| volumes.make(name, BTreeMap::new(), options(pairs));
        let own = make("own", &[]).unwrap();
        assert!(dir.path().join("own/_data").is_dir());
        let bind = [("type", "none"), ("o", "bind"), ("device", "/srv")];
        make("other", &bind).unwrap();
        assert!(volumes.mountpoint("other").is_dir());
        volumes.remove("other").unwrap();
        assert!(!dir.path().join("other").exists());
        let why = make("bad", &[("o", "bind"), ("type", "none")]).unwrap_err();
        assert_eq!(
            (why.status.as_u16(), &*why.message),
            (400, "create bad: missing required option: \"device\"")
        );
        assert_eq!(make("own", &bind).unwrap(), own, "it is there already");
        std::fs::remove_dir(volumes.mountpoint("own")).unwrap();
        assert_eq!(make("own", &[]).unwrap(), own, "its removal was cut off");
        assert!(volumes.mountpoint("own").is_dir());
        // a record that can not be put in its place stands for a full disk
        std::fs::create_dir_all(dir.path().join("kept/volume.json/x")).unwrap();
        make("kept", &[]).unwrap_err();
        assert!(!dir.path().join("kept/_data").exists(), "nothing is left of what was not made");
        assert!(dir.path().join("kept/volume.json/x").exists());
    }
}
