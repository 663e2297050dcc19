//! The layout of before, and the way out of it: profiles once had `/var/lib/NAME`, `/run/NAME` and the cgroup `NAME`, paths that
//! other programs may have as well.
//!
//! The first start of a newer version ends what still runs at the old paths, as if the machine had been switched off, and moves
//! the state by renaming; a start that is cut short goes on at the next one. Only entries that we know by their names are
//! touched: beside them there may be another program's, or, for the profile `monopod`, the newer profiles.

use crate::error::{self, StartError};
use crate::{Paths, ProfileName, Settings, certs, lock, node};
use serde_json::Value;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// In the order in which they are moved: what the old state is known by goes last.
const STATE: [&str; 10] = [
    "runtime",
    "last-address",
    "kubelet",
    "docker",
    "images",
    "monopod.log",
    "kubeconfig",
    "pki",
    "store",
    "settings.json",
];
const RUN: [&str; 4] = ["sandboxes", "docker.sock", "control.sock", "lock"];
/// Below the old profile's cgroup, where the cgroups of newer profiles are as well if its name was `monopod`.
const CGROUPS: [&str; 3] = ["shims", "kubepods", "docker"];

/// Old state that is there.
pub(crate) struct Legacy(Paths);

#[derive(Debug, thiserror::Error)]
pub(crate) enum LegacyError {
    #[error("an older version of monopod runs this profile; end it with `monopod stop`")]
    Running,
    #[error("{from} is a mount point of its own: unmount it, mount the same at {to}, and start again", from = from.display(), to = to.display())]
    MountPoint { from: PathBuf, to: PathBuf },
    #[error("{from} is on another disk than {to}: move it there with `mv {from} {to}`, and start again", from = from.display(), to = to.display())]
    OtherDisk { from: PathBuf, to: PathBuf },
    #[error("both {from} and {to} are there: move away the one that is not wanted", from = from.display(), to = to.display())]
    Both { from: PathBuf, to: PathBuf },
    #[error("{path}: {why}", path = path.display())]
    Io { path: PathBuf, why: io::Error },
}

pub(crate) fn unmoved(error: LegacyError) -> StartError {
    match &error {
        LegacyError::Io { path, why } => error::io(path, why),
        LegacyError::Running => StartError::StateInUse { what: error.to_string() },
        _ => StartError::NotOurs { what: error.to_string() },
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> LegacyError {
    let path = path.to_owned();
    move |why| LegacyError::Io { path, why }
}

fn old_paths(root: &Path, profile: &ProfileName) -> Paths {
    let name = profile.as_str();
    Paths {
        profile: profile.clone(),
        state: root.join("var/lib").join(name),
        run: root.join("run").join(name),
        cgroup: name.to_owned(),
    }
}

impl Paths {
    /// Where the profile's daemon is to be asked: one of an older version has the paths of its time as long as it lives.
    pub fn in_use(profile: &ProfileName) -> Self {
        let old = old_paths(Path::new("/"), profile);
        if lock::is_held(&old) { old } else { Paths::of(profile) }
    }
}

impl Legacy {
    pub(crate) fn find(paths: &Paths) -> Option<Legacy> {
        Legacy::find_below(Path::new("/"), &paths.profile)
    }

    fn find_below(root: &Path, profile: &ProfileName) -> Option<Legacy> {
        let old = old_paths(root, profile);
        let has_settings = Settings::load(&old).is_ok_and(|settings| settings.is_some());
        // settings that are damaged do not make the rest another's
        let has_store =
            old.store().join("cluster.db").is_file() && old.certificates().join("ca.crt").is_file();
        (has_settings || has_store).then_some(Legacy(old))
    }

    /// The default profile's old cgroups are where those of a profile with such a name are now.
    pub(crate) fn stands_in_the_way(profile: &ProfileName) -> bool {
        let default = ProfileName::default();
        *profile != default
            && CGROUPS.contains(&profile.as_str())
            && Legacy::find_below(Path::new("/"), &default).is_some()
    }

    /// Ends what runs, and brings the state to `new`, which nobody else may use meanwhile. Says what was done.
    ///
    /// # Errors
    /// A daemon of before still runs; what can not be moved.
    pub(crate) fn migrate(&self, new: &Paths) -> Result<String, LegacyError> {
        for entry in STATE {
            let (from, to) = (self.0.state.join(entry), new.state.join(entry));
            if [&from, &to].iter().all(|path| std::fs::symlink_metadata(path).is_ok()) {
                return Err(LegacyError::Both { from, to });
            }
        }
        let ended = self.end()?;
        for entry in STATE {
            let (from, to) = (self.0.state.join(entry), new.state.join(entry));
            if entry == "settings.json" {
                self.rewrite_paths(new)?;
            }
            move_to(&from, &to)?;
        }
        self.remove_directories();
        let what = format!("moved {} to {}", self.0.state.display(), new.state.display());
        let what = ended.failures.iter().fold(what, |what, failure| format!("{what}; {failure}"));
        Ok(match ended.sandboxes {
            0 => what,
            1 => format!("{what}: the pod or container that was running begins anew, as after a reboot"),
            many => format!(
                "{what}: the {many} pods and containers that were running begin anew, as after a reboot"
            ),
        })
    }

    /// Ends what runs, and removes all that we know.
    ///
    /// # Errors
    /// A daemon of before still runs; the first that can not be removed.
    pub(crate) fn remove(&self) -> Result<(), LegacyError> {
        self.end()?;
        for entry in STATE {
            let path = self.0.state.join(entry);
            let removed = if path.is_dir() { trees::remove(&path) } else { std::fs::remove_file(&path) };
            match removed {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(at(&path)(e)),
                _ => {}
            }
        }
        self.remove_directories();
        Ok(())
    }

    fn end(&self) -> Result<runtime::Ended, LegacyError> {
        if lock::is_held(&self.0) {
            return Err(LegacyError::Running);
        }
        let ended = runtime::end_recorded(&node::runtime_config(&self.0, "/proc/self/exe".into()));
        for entry in STATE {
            unmount(&self.0.state.join(entry))?;
        }
        Ok(ended)
    }

    /// Records name the paths that they were made at.
    fn rewrite_paths(&self, new: &Paths) -> Result<(), LegacyError> {
        let moved = Moved { from: &self.0, to: new };
        for directory in [new.runtime().join("sandboxes"), new.docker()] {
            moved.rewrite_below(&directory, RECORD_DEPTH)?;
        }
        Ok(())
    }

    /// The directories themselves stay where another program, or a newer profile, has something in them.
    fn remove_directories(&self) {
        for entry in RUN {
            let path = self.0.run.join(entry);
            let _ = std::fs::remove_file(&path).or_else(|_| trees::remove(&path));
        }
        let _ = std::fs::remove_dir(&self.0.run);
        let _ = std::fs::remove_dir(&self.0.state);
    }
}

/// Volumes are mounted below the kubelet's directory, which is a mount itself.
pub(crate) fn unmount(entry: &Path) -> Result<(), LegacyError> {
    if !entry.is_dir() {
        return Ok(());
    }
    kubelet::volumes::unmount_below(entry).map_err(at(entry))?;
    let ours = entry.file_name().is_some_and(|name| name == "kubelet");
    if ours && kubelet::volumes::is_mount(entry).map_err(at(entry))? {
        nix::mount::umount2(entry, nix::mount::MntFlags::MNT_DETACH).map_err(|e| at(entry)(e.into()))?;
    }
    Ok(())
}

fn move_to(from: &Path, to: &Path) -> Result<(), LegacyError> {
    let (from, to) = (from.to_owned(), to.to_owned());
    if std::fs::symlink_metadata(&from).is_err() {
        return Ok(());
    }
    match std::fs::rename(&from, &to) {
        Err(e) if e.kind() == ErrorKind::ResourceBusy => Err(LegacyError::MountPoint { from, to }),
        Err(e) if e.kind() == ErrorKind::CrossesDevices => Err(LegacyError::OtherDisk { from, to }),
        moved => moved.map_err(at(&from)),
    }
}

/// `<sandbox>/containers/<container>/container.json`, and as deep for Docker's.
const RECORD_DEPTH: usize = 4;

struct Moved<'a> {
    from: &'a Paths,
    to: &'a Paths,
}

impl Moved<'_> {
    /// Records are files of JSON; what containers wrote, and what is in volumes, is not looked at.
    fn rewrite_below(&self, directory: &Path, depth: usize) -> Result<(), LegacyError> {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let kind = entry.file_type().map_err(at(&path))?;
            let of_users = ["upper", "work", "volumes", "merged"].iter().any(|users| name == *users);
            if kind.is_dir() && depth > 0 && !of_users {
                self.rewrite_below(&path, depth - 1)?;
            } else if kind.is_file() && path.extension().is_some_and(|kind| kind == "json") {
                self.rewrite(&path)?;
            }
        }
        Ok(())
    }

    fn rewrite(&self, path: &Path) -> Result<(), LegacyError> {
        let bytes = std::fs::read(path).map_err(at(path))?;
        // whoever reads it next says so if it is damaged
        let Ok(before) = serde_json::from_slice::<Value>(&bytes) else { return Ok(()) };
        let mut after = before.clone();
        self.rewrite_value(&mut after);
        if after == before {
            return Ok(());
        }
        let next = path.with_extension("json.new");
        certs::write(&next, &after.to_string()).map_err(|e| at(path)(io::Error::other(e)))?;
        std::fs::rename(&next, path).map_err(at(path))
    }

    fn rewrite_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(moved) = self.path(text) {
                    *text = moved;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.rewrite_value(item)),
            Value::Object(fields) => {
                if let Some(Value::String(cgroup)) = fields.get_mut("cgroup")
                    && let Some(moved) = self.cgroup(cgroup)
                {
                    *cgroup = moved;
                }
                fields.values_mut().for_each(|field| self.rewrite_value(field));
            }
            _ => {}
        }
    }

    /// Where it is now, if it is in one of our entries: so it may be asked twice.
    fn path(&self, text: &str) -> Option<String> {
        let below = Path::new(text).strip_prefix(&self.from.state).ok()?;
        let entry = below.components().next()?.as_os_str();
        STATE.iter().any(|ours| entry == *ours).then(|| self.to.state.join(below).display().to_string())
    }

    fn cgroup(&self, text: &str) -> Option<String> {
        let below = Path::new(text).strip_prefix(&self.from.cgroup).ok()?;
        let first = below.components().next()?.as_os_str();
        CGROUPS.iter().any(|ours| first == *ours).then(|| format!("{}/{}", self.to.cgroup, below.display()))
    }
}

#[cfg(test)]
mod tests;
