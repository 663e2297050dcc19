//! What volumes with options mount (`local_mount`), for as long as somebody uses them (`volume_users`): the first user has it mounted,
//! the last one has it unmounted.

use crate::engine::Engine;
use crate::error::{ApiError, Result};
use crate::local_mount::LocalMount;
use crate::record::{MountKind, Record, new_id};
use crate::volumes::Volumes;
use cri::blocking;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use trees::mountinfo;

/// For a file system whose server is gone: who wants that volume waits on, and nobody else.
const UNMOUNT_PATIENCE: Duration = Duration::from_secs(10);

impl Volumes {
    /// What has to be mounted for it; nothing for a volume that is a directory.
    fn local_mount(&self, name: &str) -> Option<LocalMount> {
        self.get(name).ok().and_then(|volume| LocalMount::of(&volume.options))
    }

    /// Blocks. Whoever fails uses none of them.
    fn enter_all(&self, names: &[String], user: &str) -> Result<()> {
        for (at, name) in names.iter().enumerate() {
            if let Err(why) = self.mount_for(name, user) {
                self.leave_all(&names[..at], user);
                return Err(why);
            }
        }
        Ok(())
    }

    /// Blocks.
    fn leave_all(&self, names: &[String], user: &str) {
        let left = names.iter().filter(|name| self.users.leave(name, user));
        left.for_each(|name| self.unmount_unused(name));
    }

    fn mount_for(&self, name: &str, user: &str) -> Result<()> {
        let Some(wanted) = self.local_mount(name) else { return Ok(()) };
        let (gate, target) = (self.users.gate(name), self.mountpoint(name));
        let _alone = gate.lock();
        let is_there = mountinfo::is_target(&target).map_err(|e| e.to_string());
        let mounted = is_there.and_then(|is_there| if is_there { Ok(()) } else { wanted.mount(&target) });
        mounted.map_err(|why| {
            ApiError::internal(format_args!("error while mounting volume '{}': {why}", target.display()))
        })?;
        self.users.enter(name, user);
        Ok(())
    }

    /// Unless somebody has come meanwhile. What the user has mounted over a directory of ours is his. Blocks.
    fn unmount_unused(&self, name: &str) {
        if self.local_mount(name).is_none() {
            return;
        }
        let gate = self.users.gate(name);
        let _alone = gate.lock();
        if self.users.has_any(name) {
            return;
        }
        if let Err(error) = self.unmount_if_mounted(name) {
            tracing::error!(volume = name, %error, "a volume that nobody uses stays mounted");
        }
    }

    /// With its gate held.
    pub(crate) fn unmount_if_mounted(&self, name: &str) -> io::Result<()> {
        let target = self.mountpoint(name);
        if !mountinfo::is_target(&target)? {
            return Ok(());
        }
        trees::unmount_each(|at| at.starts_with(&target))
    }
}

/// Those of its volumes that something is mounted for.
fn mounted(engine: &Engine, record: &Record) -> Vec<String> {
    let volumes = record.mounts.iter().filter(|m| m.kind == MountKind::Volume);
    let names: BTreeSet<&String> = volumes.map(|m| &m.name).collect();
    names.into_iter().filter(|name| engine.volumes.local_mount(name).is_some()).cloned().collect()
}

impl Engine {
    /// # Errors
    /// One can not be mounted; the container then uses none.
    pub(crate) async fn enter_volumes(self: &Arc<Self>, record: &Record) -> Result<()> {
        let names = mounted(self, record);
        if names.is_empty() {
            return Ok(());
        }
        let (engine, user) = (self.clone(), record.id.clone());
        blocking(move || engine.volumes.enter_all(&names, &user)).await
    }

    /// When the container has ended.
    pub(crate) async fn leave_volumes(self: &Arc<Self>, record: &Record) {
        let mut left = mounted(self, record);
        // now: whoever starts it next is a user of his own
        left.retain(|name| self.volumes.users.leave(name, &record.id));
        if left.is_empty() {
            return;
        }
        let engine = self.clone();
        let unmounted = blocking(move || -> Result<()> {
            left.iter().for_each(|name| engine.volumes.unmount_unused(name));
            Ok(())
        });
        let _ = tokio::time::timeout(UNMOUNT_PATIENCE, unmounted).await;
    }

    /// For as long as somebody looks into it. Blocks.
    pub(crate) fn look_at_volumes(self: &Arc<Self>, record: &Record) -> Result<Looks> {
        let looks = Looks { engine: self.clone(), names: mounted(self, record), user: new_id() };
        // who fails has entered none, and leaving does nothing
        self.volumes.enter_all(&looks.names, &looks.user)?;
        Ok(looks)
    }

    /// After a start of the engine: what runs on has what it had, and what nobody has is unmounted beside.
    pub(crate) fn take_up_volumes(self: &Arc<Self>) {
        for container in self.containers() {
            let record = container.record();
            if record.running().is_some() {
                let names = mounted(self, &record);
                names.iter().for_each(|name| self.volumes.users.enter(name, &record.id));
            }
        }
        let engine = self.clone();
        tokio::task::spawn_blocking(move || {
            engine.volumes.all().iter().for_each(|volume| engine.volumes.unmount_unused(&volume.name));
        });
    }
}

/// A request's use of a container's volumes; unmounts where it is dropped.
pub(crate) struct Looks {
    engine: Arc<Engine>,
    names: Vec<String>,
    user: String,
}

impl Drop for Looks {
    fn drop(&mut self) {
        self.engine.volumes.leave_all(&self.names, &self.user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn volumes(dir: &std::path::Path) -> Volumes {
        let volumes = Volumes::open(dir.into()).unwrap();
        let options = |device: &str, o: &str| -> BTreeMap<String, String> {
            [("type", "none"), ("device", device), ("o", o)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into()
        };
        volumes.make("plain", BTreeMap::new(), BTreeMap::new()).unwrap();
        volumes.make("missing", BTreeMap::new(), options("/nowhere/at/all", "bind")).unwrap();
        std::fs::create_dir(dir.join("data")).unwrap();
        let data = dir.join("data").display().to_string();
        volumes.make("bound", BTreeMap::new(), options(&data, "bind")).unwrap();
        volumes
    }

    #[test]
    fn who_can_not_have_one_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let volumes = volumes(dir.path());
        assert!(volumes.enter_all(&["plain".to_owned()], "web").is_ok());
        assert!(!volumes.users.has_any("plain"), "there is nothing to be mounted");
        let why = volumes.enter_all(&["missing".to_owned()], "web").unwrap_err();
        let target = volumes.mountpoint("missing");
        let want = format!(
            "error while mounting volume '{0}': failed to mount local volume: mount /nowhere/at/all:{0}, flags: 0x1000: ",
            target.display()
        );
        assert!(why.message.starts_with(&want), "{}", why.message);
        assert!(!volumes.users.has_any("missing"));
    }

    #[test]
    fn a_volume_is_mounted_while_it_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let work = || {
            if nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).is_err() {
                eprintln!("SKIPPED: a_volume_is_mounted_while_it_is_used: only root may mount");
                return;
            }
            let private = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
            nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
            let volumes = volumes(dir.path());
            std::fs::write(dir.path().join("data/file"), "x").unwrap();
            let (own, data) = (volumes.mountpoint("plain"), dir.path().join("data"));
            let bind = nix::mount::MsFlags::MS_BIND;
            nix::mount::mount(Some(&data), &own, None::<&str>, bind, None::<&str>).unwrap();
            volumes.unmount_unused("plain");
            assert!(own.join("file").exists(), "what the user mounts is his");
            volumes.remove("plain").unwrap_err();
            assert!(volumes.get("plain").is_ok(), "what could not be removed is still a volume");
            let names = ["bound".to_owned()];
            let seen = || volumes.mountpoint("bound").join("file").exists();
            volumes.enter_all(&names, "a").unwrap();
            volumes.enter_all(&names, "b").unwrap();
            assert!(seen());
            volumes.leave_all(&names, "a");
            assert!(seen(), "another one uses it");
            let why = volumes.remove("bound").unwrap_err();
            assert_eq!(why.message, "remove bound: volume has active mounts");
            volumes.leave_all(&names, "b");
            assert!(!seen());
            // an engine that was killed, and one that comes after it
            volumes.enter_all(&names, "c").unwrap();
            let next = Volumes::open(dir.path().into()).unwrap();
            next.enter_all(&names, "d").unwrap();
            next.leave_all(&names, "d");
            assert!(!seen(), "mounted once");
            next.enter_all(&names, "e").unwrap();
            let last = Volumes::open(dir.path().into()).unwrap();
            last.remove("bound").unwrap();
            assert!(dir.path().join("data/file").exists(), "what was mounted is not ours");
        };
        // the mounts of a thread of its own end with it
        std::thread::scope(|scope| scope.spawn(work).join().unwrap());
    }
}
