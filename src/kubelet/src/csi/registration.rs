//! Drivers make themselves known: a socket in `plugins_registry` speaks for each, as upstream's plugin watcher expects it. The kernel
//! says when one comes or goes.

use super::paths::{Sees, on_machine};
use super::{Pause, REGISTRY, Registered, locked, node_info};
use crate::shared::Shared;
use cri::logs::Watcher;
use csi::{Driver, PluginInfo, Registrar, RegistrationStatus};
use nix::sys::inotify::AddWatchFlags;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const CSI_PLUGIN: &str = "CSIPlugin";

/// A socket that was made anew under an old name is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    inode: u64,
    /// Inodes are used again. Who changes owner or mode does not make another one of it.
    modified: (i64, i64),
}

pub(crate) struct Registration {
    shared: Arc<Shared>,
    watcher: Watcher,
    sockets: BTreeMap<PathBuf, Socket>,
    jobs: JoinSet<(PathBuf, Identity, bool)>,
}

struct Socket {
    identity: Identity,
    /// Cancelled when it is gone.
    gone: CancellationToken,
    /// It has said for whom it speaks.
    is_registered: bool,
}

impl Registration {
    /// # Errors
    /// The directory can not be watched.
    pub fn new(shared: Arc<Shared>) -> io::Result<Self> {
        let watcher = Watcher::new()?;
        let what = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM;
        watcher.add(&shared.csi.root.join(REGISTRY), what)?;
        Ok(Registration { shared, watcher, sockets: BTreeMap::new(), jobs: JoinSet::new() })
    }

    /// Until `stop`: drivers stay known to the cluster, and are asked again by whoever comes next.
    pub async fn run(mut self, stop: CancellationToken) {
        self.look().await;
        self.forget_strangers().await;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                happened = self.watcher.next() => match happened {
                    Ok(_) => self.look().await,
                    Err(error) => return tracing::error!(%error, "storage drivers are no longer noticed"),
                },
                Some(done) = self.jobs.join_next() => match done {
                    Ok((socket, identity, is_registered)) => {
                        self.answered(&socket, identity, is_registered).await;
                    }
                    Err(error) => tracing::error!(%error, "the registration of a storage driver broke"),
                },
            }
        }
        self.jobs.shutdown().await;
    }

    async fn look(&mut self) {
        let dir = self.shared.csi.root.join(REGISTRY);
        let found = match tokio::task::spawn_blocking(move || sockets(&dir)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return tracing::warn!(%error, "registered storage drivers can not be listed"),
            Err(error) => return tracing::warn!(%error, "registered storage drivers can not be listed"),
        };
        let is_gone = |(path, socket): (&PathBuf, &Socket)| {
            (found.get(path) != Some(&socket.identity)).then(|| path.clone())
        };
        let gone: Vec<PathBuf> = self.sockets.iter().filter_map(is_gone).collect();
        for path in gone {
            if let Some(socket) = self.sockets.remove(&path) {
                socket.gone.cancel();
                self.deregister(&path, socket.identity).await;
            }
        }
        for (path, identity) in found {
            if !self.sockets.contains_key(&path) {
                let gone = CancellationToken::new();
                self.begin(path.clone(), identity, gone.clone());
                self.sockets.insert(path, Socket { identity, gone, is_registered: false });
            }
        }
    }

    fn begin(&mut self, path: PathBuf, identity: Identity, gone: CancellationToken) {
        let shared = self.shared.clone();
        self.jobs.spawn(async move {
            let done = gone.run_until_cancelled(keep_trying(&shared, &path, identity)).await;
            (path, identity, done.is_some())
        });
    }

    async fn answered(&mut self, path: &Path, identity: Identity, is_registered: bool) {
        match self.sockets.get_mut(path).filter(|socket| socket.identity == identity) {
            Some(socket) => socket.is_registered = is_registered,
            // it went while it was being registered
            None => self.deregister(path, identity).await,
        }
        self.forget_strangers().await;
    }

    /// Whoever that socket spoke for, unless another one does by now.
    async fn deregister(&self, path: &Path, identity: Identity) {
        let is_its = |known: &Registered| known.by.0 == path && known.by.1 == identity;
        let gone: Vec<String> = {
            let mut drivers = locked(&self.shared.csi.drivers);
            let its = drivers.iter().filter(|(_, known)| is_its(known));
            let gone = its.map(|(name, _)| name.clone()).collect();
            drivers.retain(|_, known| !is_its(known));
            gone
        };
        for name in gone {
            tracing::info!(driver = name, "storage driver is gone");
            if let Err(status) = node_info::uninstall(&self.shared, &name).await {
                tracing::warn!(driver = name, %status, "storage driver is gone, and the node still says that it has it");
            }
        }
    }

    /// When all sockets have said for whom they speak, the node has no other drivers: one may have gone while this program was away.
    async fn forget_strangers(&self) {
        if self.sockets.values().any(|socket| !socket.is_registered) {
            return;
        }
        let registered: BTreeSet<String> = locked(&self.shared.csi.drivers).keys().cloned().collect();
        if let Err(status) = node_info::retain(&self.shared, &registered).await {
            tracing::warn!(%status, "the node still says that it has storage drivers that are gone");
        }
    }
}

/// The sockets that are there. Names that begin with a dot are of somebody who is not ready yet.
fn sockets(dir: &Path) -> io::Result<BTreeMap<PathBuf, Identity>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // it may have gone meanwhile
        let Ok(found) = entry.metadata() else { continue };
        if found.file_type().is_socket() {
            let modified = (found.mtime(), found.mtime_nsec());
            all.insert(entry.path(), Identity { inode: found.ino(), modified });
        }
    }
    Ok(all)
}

/// Until the driver is registered. A socket is there a moment before somebody listens, and may be one that nobody listens at
/// any more.
async fn keep_trying(shared: &Shared, socket: &Path, identity: Identity) {
    let mut pause = Pause::default();
    loop {
        match register(shared, socket, identity).await {
            Ok(()) => return,
            Err(why) => {
                tracing::debug!(socket = %socket.display(), why, "storage driver is not registered yet");
            }
        }
        tokio::time::sleep(pause.next()).await;
    }
}

async fn register(shared: &Shared, path: &Path, identity: Identity) -> Result<(), String> {
    let registrar = Registrar::new(path.to_owned());
    let info = registrar.info().await;
    let info = info.map_err(|e| {
        format!(
            "RegisterPlugin error -- failed to get plugin info using RPC GetInfo at socket {}, err: {e}",
            path.display()
        )
    })?;
    let done = accept(shared, path, identity, &info).await;
    let error = done.as_ref().err().cloned().unwrap_or_default();
    let status = RegistrationStatus { plugin_registered: done.is_ok(), error };
    // whoever hears that it failed usually ends, and comes again
    let told = registrar.notify(status).await;
    done?;
    told.map_err(|e| {
        format!(
            "RegisterPlugin error -- failed to send registration status at socket {}, err: {e}",
            path.display()
        )
    })?;
    tracing::info!(driver = info.name, "storage driver is registered");
    shared.csi.registered.send_replace(());
    Ok(())
}

async fn accept(shared: &Shared, path: &Path, identity: Identity, info: &PluginInfo) -> Result<(), String> {
    if info.kind != CSI_PLUGIN {
        let (kind, socket) = (&info.kind, path.display());
        return Err(format!(
            "RegisterPlugin error -- no handler registered for plugin type: {kind} at socket {socket}"
        ));
    }
    let name = &info.name;
    let endpoint = match info.endpoint.as_str() {
        "" => path,
        endpoint => Path::new(endpoint),
    };
    if let Err(why) = check_versions(name, &info.supported_versions) {
        let endpoint = endpoint.display();
        return Err(format!(
            "RegisterPlugin error -- plugin validation failed with err: validation failed for CSI Driver {name} at endpoint {endpoint}: {why}"
        ));
    }
    let root = &shared.csi.root;
    let sees = match info.endpoint.as_str() {
        "" => Sees::WellKnown,
        _ => Sees::of_endpoint(root, endpoint),
    };
    let calls = Driver::new(on_machine(root, endpoint));
    let failed = |why: &dyn std::fmt::Display| {
        format!("RegisterPlugin error -- plugin registration failed with err: {why}")
    };
    let node = calls.node_info().await.map_err(|e| failed(&e))?;
    node_info::install(shared, name, &node).await.map_err(|why| failed(&why))?;
    let registered = Registered { calls, sees, by: (path.to_owned(), identity) };
    locked(&shared.csi.drivers).insert(name.clone(), registered);
    Ok(())
}

/// Upstream's `highestSupportedVersion`: some version 1.
fn check_versions(name: &str, versions: &[String]) -> Result<(), String> {
    if versions.is_empty() {
        return Err(format!(
            "kubernetes.io/csi: ValidatePlugin for CSI driver \"{name}\" failed. Plugin returned an empty list for supported versions"
        ));
    }
    let is_one = |version: &String| {
        let version = version.strip_prefix('v').unwrap_or(version);
        version == "1" || version.starts_with("1.")
    };
    if versions.iter().any(is_one) {
        return Ok(());
    }
    let all: Vec<String> = versions.iter().map(|version| format!("{version:?}")).collect();
    Err(format!(
        "kubernetes.io/csi: ValidatePlugin for CSI driver \"{name}\" failed. None of the versions specified [{}] are supported. err=could not find a highest supported version matching a driver version from this list",
        all.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn versions() {
        let cases: [(&[&str], bool); 6] = [
            (&["1.0.0"], true),
            (&["0.3.0", "1.12.0"], true),
            (&["v1.0.0"], true),
            (&["0.3.0"], false),
            (&["10.0.0"], false),
            (&[], false),
        ];
        for (versions, want) in cases {
            let owned: Vec<String> = versions.iter().map(|version| (*version).to_owned()).collect();
            assert_eq!(check_versions("d", &owned).is_ok(), want, "{versions:?}");
        }
    }

    #[test]
    fn only_sockets_speak_for_drivers() {
        let root = tempfile::tempdir().unwrap();
        let bind = |name: &str| std::os::unix::net::UnixListener::bind(root.path().join(name)).unwrap();
        let _listeners = [bind("d-reg.sock"), bind(".d-reg.sock")];
        fs::write(root.path().join("file.sock"), "").unwrap();
        let first = sockets(root.path()).unwrap();
        let names: Vec<_> = first.keys().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["d-reg.sock"]);
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(root.path().join("d-reg.sock"), open).unwrap();
        assert_eq!(sockets(root.path()).unwrap(), first, "it is who it was");
        fs::remove_file(root.path().join("d-reg.sock")).unwrap();
        let _again = bind("d-reg.sock");
        assert_ne!(sockets(root.path()).unwrap(), first, "made anew, it is another");
    }
}
