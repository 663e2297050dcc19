//! Drivers make themselves known: a socket in `plugins_registry` speaks for each, as upstream's plugin watcher expects it. The kernel
//! says when one comes or goes.

use super::paths::{Sees, on_machine};
use super::versions::check_versions;
use super::{Identity, Pause, REGISTRY, Registered, locked, node_info};
use crate::shared::Shared;
use cri::blocking;
use cri::logs::Watcher;
use csi::{Driver, PluginInfo, Registrar, RegistrationStatus};
use nix::sys::inotify::AddWatchFlags;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const CSI_PLUGIN: &str = "CSIPlugin";

pub(crate) struct Registration {
    shared: Arc<Shared>,
    watcher: Arc<Watcher>,
    sockets: BTreeMap<PathBuf, Socket>,
    tries: JoinSet<Tried>,
}

struct Socket {
    identity: Identity,
    /// Cancelled when it is gone, or is asked anew.
    stop: CancellationToken,
    state: State,
    pause: Pause,
    told: Told,
}

/// How far a socket has come.
enum State {
    /// It has not answered yet.
    Asked,
    /// It is asked again after a while. For whom it speaks, where it has said so much.
    Failed {
        driver: Option<String>,
    },
    Registered {
        driver: String,
    },
}

impl State {
    fn driver(&self) -> Option<&str> {
        match self {
            State::Asked => None,
            State::Failed { driver } => driver.as_deref(),
            State::Registered { driver } => Some(driver),
        }
    }
}

/// A try that has ended.
struct Tried {
    path: PathBuf,
    identity: Identity,
    /// The driver; `None` where it was broken off.
    outcome: Option<Result<String, Failure>>,
}

struct Failure {
    driver: Option<String>,
    why: String,
}

/// Why it failed, and whether the log says so.
#[derive(Default)]
struct Told(Option<(String, bool)>);

impl Told {
    /// Each reason is told once. A socket is there a moment before somebody listens: that nobody answers is told when it is so
    /// again.
    fn is_news(&mut self, failure: &Failure) -> bool {
        let before = self.0.take().filter(|(why, _)| *why == failure.why);
        let (is_again, was_told) = before.map_or((false, false), |(_, told)| (true, told));
        let is_news = !was_told && (is_again || failure.driver.is_some());
        self.0 = Some((failure.why.clone(), was_told || is_news));
        is_news
    }
}

impl Registration {
    /// # Errors
    /// The directory can not be watched.
    pub fn new(shared: Arc<Shared>) -> io::Result<Self> {
        let watcher = Arc::new(Watcher::new()?);
        watch(&watcher, &shared.csi.root.join(REGISTRY))?;
        Ok(Registration { shared, watcher, sockets: BTreeMap::new(), tries: JoinSet::new() })
    }

    /// Until `stop`: drivers stay known to the cluster, and are asked again by whoever comes next.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut node_is_new = self.shared.csi.node_is_new.subscribe();
        self.scan().await;
        self.forget_unregistered().await;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                happened = self.watcher.next() => match happened {
                    Ok(_) => self.scan().await,
                    Err(error) => return tracing::error!(%error, "storage drivers are no longer noticed"),
                },
                Ok(()) = node_is_new.changed() => self.tell_again().await,
                Some(done) = self.tries.join_next() => match done {
                    Ok(tried) => self.answered(tried).await,
                    Err(error) => tracing::error!(%error, "registration of a storage driver failed"),
                },
            }
        }
        self.tries.shutdown().await;
    }

    async fn scan(&mut self) {
        let (dir, watcher) = (self.shared.csi.root.join(REGISTRY), self.watcher.clone());
        let found = match blocking(move || sockets(&dir, |dir| watch(&watcher, dir))).await {
            Ok(found) => found,
            Err(error) => return tracing::warn!(%error, "registered storage drivers can not be listed"),
        };
        let is_gone = |(path, socket): (&PathBuf, &Socket)| {
            (found.get(path) != Some(&socket.identity)).then(|| path.clone())
        };
        let gone: Vec<PathBuf> = self.sockets.iter().filter_map(is_gone).collect();
        for path in gone {
            if let Some(socket) = self.sockets.remove(&path) {
                socket.stop.cancel();
                let drivers = self.deregister(&path, socket.identity).await;
                // another one that speaks for it was refused, or gave way
                self.begin_where(|other| other.state.driver().is_some_and(|of| drivers.contains(of)));
            }
        }
        for (path, identity) in found {
            if !self.sockets.contains_key(&path) {
                let (stop, pause, told) = (CancellationToken::new(), Pause::default(), Told::default());
                self.sockets
                    .insert(path.clone(), Socket { identity, stop, state: State::Asked, pause, told });
                self.begin(&path, Duration::ZERO);
            }
        }
    }

    /// The node's object is another one than that which the drivers are known by.
    async fn tell_again(&mut self) {
        if let Err(status) = node_info::create(&self.shared).await {
            tracing::warn!(%status, "the node has no CSINode yet");
        }
        self.begin_where(|_| true);
    }

    fn begin_where(&mut self, is_meant: impl Fn(&Socket) -> bool) {
        let meant = self.sockets.iter().filter(|(_, socket)| is_meant(socket));
        let paths: Vec<PathBuf> = meant.map(|(path, _)| path.clone()).collect();
        paths.iter().for_each(|path| self.begin(path, Duration::ZERO));
    }

    /// Instead of what was begun before.
    fn begin(&mut self, path: &Path, delay: Duration) {
        let Some(socket) = self.sockets.get_mut(path) else { return };
        socket.stop.cancel();
        socket.stop = CancellationToken::new();
        let (shared, path, identity) = (self.shared.clone(), path.to_owned(), socket.identity);
        let stop = socket.stop.clone();
        self.tries.spawn(async move {
            let work = async {
                tokio::time::sleep(delay).await;
                register(&shared, &path, identity).await
            };
            let outcome = stop.run_until_cancelled(work).await;
            Tried { path, identity, outcome }
        });
    }

    async fn answered(&mut self, tried: Tried) {
        let Tried { path, identity, outcome } = tried;
        let Some(socket) = self.sockets.get_mut(&path).filter(|socket| socket.identity == identity) else {
            // it went while it was being registered
            self.deregister(&path, identity).await;
            return;
        };
        match outcome {
            // it is asked anew
            None => return,
            Some(Ok(driver)) => {
                (socket.pause, socket.told) = (Pause::default(), Told::default());
                socket.state = State::Registered { driver };
            }
            Some(Err(failure)) => {
                let why = &failure.why;
                match socket.told.is_news(&failure) {
                    true => {
                        tracing::warn!(socket = %path.display(), why, "a storage driver is not registered");
                    }
                    false => {
                        tracing::debug!(socket = %path.display(), why, "a storage driver is not registered yet");
                    }
                }
                socket.state = State::Failed { driver: failure.driver };
                let delay = socket.pause.next();
                self.begin(&path, delay);
            }
        }
        self.forget_unregistered().await;
    }

    /// Whoever that socket spoke for, unless another one does by now.
    async fn deregister(&self, path: &Path, identity: Identity) -> BTreeSet<String> {
        let is_its = |known: &Registered| known.by.0 == path && known.by.1 == identity;
        let gone: BTreeSet<String> = {
            let mut drivers = locked(&self.shared.csi.drivers);
            let its = drivers.iter().filter(|(_, known)| is_its(known));
            let gone = its.map(|(name, _)| name.clone()).collect();
            drivers.retain(|_, known| !is_its(known));
            gone
        };
        for name in &gone {
            tracing::info!(driver = name, "storage driver is gone");
            if let Err(status) = node_info::uninstall(&self.shared, name).await {
                tracing::warn!(driver = name, %status, "storage driver is gone, and the node still says that it has it");
            }
        }
        gone
    }

    /// The node has no drivers but those that sockets speak for: one may have gone while this program was away. A socket that
    /// nobody answers at speaks for none.
    async fn forget_unregistered(&self) {
        if self.sockets.values().any(|socket| matches!(socket.state, State::Asked)) {
            return;
        }
        let mut known: BTreeSet<String> = locked(&self.shared.csi.drivers).keys().cloned().collect();
        known.extend(self.sockets.values().filter_map(|socket| socket.state.driver().map(str::to_owned)));
        if let Err(status) = node_info::retain(&self.shared, &known).await {
            tracing::warn!(%status, "the node still says that it has storage drivers that are gone");
        }
    }
}

fn watch(watcher: &Watcher, dir: &Path) -> io::Result<()> {
    let what = AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_ONLYDIR;
    watcher.add(dir, what).map(|_| ())
}

/// The sockets that are there and below: drivers may have directories of their own. Names that begin with a dot are of somebody
/// who is not ready yet. `watch` is asked for each directory before it is read, so that nothing comes in between.
fn sockets(root: &Path, watch: impl Fn(&Path) -> io::Result<()>) -> io::Result<BTreeMap<PathBuf, Identity>> {
    let mut all = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(dir) = left.pop() {
        let entries = match watch(&dir).and_then(|()| fs::read_dir(&dir)) {
            // it may have gone meanwhile
            Err(error) if dir != root && error.kind() == ErrorKind::NotFound => continue,
            Err(error) if dir != root => {
                tracing::warn!(dir = %dir.display(), %error, "storage drivers below it are not noticed");
                continue;
            }
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                left.push(entry.path());
            } else if found.file_type().is_socket() {
                let modified = (found.mtime(), found.mtime_nsec());
                all.insert(entry.path(), Identity { inode: found.ino(), modified });
            }
        }
    }
    Ok(all)
}

/// The driver that is registered now.
async fn register(shared: &Shared, path: &Path, identity: Identity) -> Result<String, Failure> {
    let registrar = Registrar::new(path.to_owned());
    let info = registrar.info().await.map_err(|e| {
        let path = path.display();
        let why = format!(
            "RegisterPlugin error -- failed to get plugin info using RPC GetInfo at socket {path}, err: {e}"
        );
        Failure { driver: None, why }
    })?;
    let done = accept(shared, path, identity, &info).await;
    let error = done.as_ref().err().cloned().unwrap_or_default();
    let status = RegistrationStatus { plugin_registered: done.is_ok(), error };
    // whoever hears that it failed usually ends, and comes again
    let told = registrar.notify(status).await;
    let failed = |why: String| Failure { driver: Some(info.name.clone()), why };
    done.map_err(failed)?;
    told.map_err(|e| {
        let path = path.display();
        failed(format!(
            "RegisterPlugin error -- failed to send registration status at socket {path}, err: {e}"
        ))
    })?;
    tracing::info!(driver = info.name, "storage driver is registered");
    shared.csi.registered.send_replace(());
    Ok(info.name)
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
    let by = (path.to_owned(), identity);
    // whoever registers anew is nobody else
    let other = shared.csi.driver(name).filter(|known| known.by != by).map(|known| known.version);
    let version = check_versions(name, &info.supported_versions, other.as_ref()).map_err(|why| {
        let endpoint = endpoint.display();
        format!(
            "RegisterPlugin error -- plugin validation failed with err: validation failed for CSI Driver {name} at endpoint {endpoint}: {why}"
        )
    })?;
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
    let registered = Registered { calls, sees, version, by };
    locked(&shared.csi.drivers).insert(name.clone(), registered);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_reason_is_told_once() {
        let nobody = || Failure { driver: None, why: "nobody".to_owned() };
        let refused = |why: &str| Failure { driver: Some("d".to_owned()), why: why.to_owned() };
        let mut told = Told::default();
        let said = [nobody(), nobody(), nobody(), refused("a"), refused("a"), refused("b"), nobody()];
        let news: Vec<bool> = said.iter().map(|failure| told.is_news(failure)).collect();
        assert_eq!(news, [false, true, false, true, false, true, false]);
    }

    #[test]
    fn only_sockets_speak_for_drivers() {
        let root = tempfile::tempdir().unwrap();
        let bind = |name: &str| std::os::unix::net::UnixListener::bind(root.path().join(name)).unwrap();
        let below = root.path().join("d/e");
        fs::create_dir_all(&below).unwrap();
        fs::create_dir(root.path().join(".d")).unwrap();
        std::os::unix::fs::symlink(&below, root.path().join("link")).unwrap();
        let _listeners = ["d-reg.sock", ".d-reg.sock", "d/e/reg.sock", ".d/reg.sock"].map(bind);
        fs::write(root.path().join("file.sock"), "").unwrap();
        let watched = std::cell::RefCell::new(Vec::new());
        let look = || {
            let watch = |dir: &Path| {
                watched.borrow_mut().push(dir.to_owned());
                Ok(())
            };
            sockets(root.path(), watch).unwrap()
        };
        let first = look();
        let names: Vec<_> = first.keys().map(|path| path.strip_prefix(root.path()).unwrap()).collect();
        assert_eq!(names, [Path::new("d/e/reg.sock"), Path::new("d-reg.sock")]);
        assert_eq!(*watched.borrow(), [root.path().to_owned(), root.path().join("d"), below]);
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(root.path().join("d-reg.sock"), open).unwrap();
        assert_eq!(look(), first, "it is who it was");
        fs::remove_file(root.path().join("d-reg.sock")).unwrap();
        let _again = bind("d-reg.sock");
        assert_ne!(look(), first, "made anew, it is another");
    }
}
