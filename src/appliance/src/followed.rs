//! Files that are read again when they change: what they say then is in force without a start. One that is wrong is said in the
//! log, and what was read before stays in force, as upstream has it of its authorization and authentication configurations.
//!
//! Upstream looks at the one file, once a minute beside. Here every file that was read is followed (a kubeconfig, the certificates
//! and tokens that it names), by events of their directories alone: editors, and volumes of ConfigMaps, put a new file or a new link
//! in the old one's place.

use crate::error::StartError;
use crate::files::{self, ApiServerFiles};
use apiserver::{ApiServer, ConfigFile};
use cluster::Cluster;
use cri::logs::Watcher;
use nix::sys::inotify::AddWatchFlags;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// As many as Linux follows in a path.
const MOST_LINKS: usize = 40;

/// The files that were read, with a hash of what was in them (it may be secret); `None` where one could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen(BTreeMap<PathBuf, Option<u64>>);

/// The user's files that are followed, as the start has read them.
pub(crate) struct FollowedFiles {
    pub(crate) files: ApiServerFiles,
    pub(crate) authentication: Seen,
    pub(crate) authorization: Seen,
}

/// One of them, and what it is read with.
struct Followed<T> {
    /// For the log.
    what: &'static str,
    files: ApiServerFiles,
    read: fn(&ApiServerFiles, &mut Seen) -> Result<T, StartError>,
    seen: Seen,
}

impl FollowedFiles {
    /// Until `stop`.
    pub(crate) fn start(
        self,
        server: &ApiServer,
        cluster: &Cluster,
        running: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) {
        let FollowedFiles { files, authentication, authorization } = self;
        if !authentication.0.is_empty() {
            let followed = Followed {
                what: "authentication configuration",
                files: files.clone(),
                read: ApiServerFiles::authentication,
                seen: authentication,
            };
            let server = server.clone();
            let apply = move |changed: Option<authentication::Configuration>| {
                server.count_reload(ConfigFile::Authentication, changed.is_some());
                if let Some(configuration) = changed {
                    server.authenticate_by(configuration);
                }
            };
            running.spawn(followed.run(apply, stop.clone()));
        }
        if !authorization.0.is_empty() {
            let followed = Followed {
                what: "authorization configuration",
                files,
                read: ApiServerFiles::authorization,
                seen: authorization,
            };
            let (server, cluster) = (server.clone(), cluster.clone());
            let apply = move |changed: Option<Option<Vec<cluster::Authorizer>>>| {
                server.count_reload(ConfigFile::Authorization, changed.is_some());
                if let Some(Some(authorizers)) = changed {
                    cluster.authorize_by(authorizers);
                }
            };
            running.spawn(followed.run(apply, stop.clone()));
        }
    }
}

impl<T: Send + 'static> Followed<T> {
    /// Until `stop`. `apply` is called with what is read anew, and with `None` where that is wrong.
    async fn run(self, apply: impl Fn(Option<T>), stop: CancellationToken) {
        let Followed { what, files, read, mut seen } = self;
        let lost = |error: &dyn Display| tracing::error!(%error, "the {what} is not followed");
        let watcher = match Watcher::new() {
            Ok(watcher) => Arc::new(watcher),
            Err(error) => return lost(&error),
        };
        loop {
            let looked = {
                let (files, watcher) = (files.clone(), watcher.clone());
                tokio::task::spawn_blocking(move || look(&files, read, seen, &watcher)).await
            };
            let (now, news) = match looked {
                Ok(Ok(looked)) => looked,
                Ok(Err(error)) => return lost(&error),
                Err(error) => return lost(&error),
            };
            seen = now;
            match news {
                Some(Ok(changed)) => {
                    tracing::info!("the {what} has changed, and is in force");
                    apply(Some(changed));
                    // it may name other files now
                    continue;
                }
                Some(Err(why)) => {
                    tracing::error!(%why, "the {what} has changed, and is wrong: what was read before stays in force");
                    apply(None);
                    continue;
                }
                None => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                happened = watcher.next() => if let Err(error) = happened {
                    return lost(&error);
                },
            }
        }
    }
}

/// Reads again, where something has changed. It is watched before, so that no change comes in between.
fn look<T>(
    files: &ApiServerFiles,
    read: fn(&ApiServerFiles, &mut Seen) -> Result<T, StartError>,
    before: Seen,
    watcher: &Watcher,
) -> io::Result<(Seen, Option<Result<T, StartError>>)> {
    before.watch(watcher)?;
    if !before.is_outdated() {
        return Ok((before, None));
    }
    let mut now = Seen::default();
    let news = read(files, &mut now);
    if news.is_err() {
        // some were not come to: each change of them is a reason to try again, and this one is not
        for path in before.0.keys().filter(|path| !now.0.contains_key(*path)).cloned().collect::<Vec<_>>() {
            let _ = now.read(&path);
        }
    }
    Ok((now, Some(news)))
}

impl Seen {
    /// # Errors
    /// As [`files::read`].
    pub(crate) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let found = files::read(path);
        self.0.insert(path.to_owned(), found.as_ref().ok().map(|bytes| hash(bytes)));
        found
    }

    fn is_outdated(&self) -> bool {
        let now = |path: &Path| files::read(path).ok().map(|bytes| hash(&bytes));
        self.0.iter().any(|(path, then)| now(path) != *then)
    }

    /// What makes a file another: it was written, or one was put in its place. That one is gone says nothing yet: editors take the
    /// old one away before they put the new one there.
    fn watch(&self, watcher: &Watcher) -> io::Result<()> {
        let what = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        let mut left = self.directories();
        while let Some(directory) = left.pop_first() {
            match watcher.add(&directory, what) {
                Ok(_) => {}
                // it went in between, and there is another nearest one
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    left = self.directories();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Where something must happen for one of the files to change.
    fn directories(&self) -> BTreeSet<PathBuf> {
        let mut all = BTreeSet::new();
        self.0.keys().for_each(|path| add_directories(path, &mut all));
        all
    }
}

/// The directory of a file, or the nearest above it where there is none, and those of all links on the way: what is put in place of
/// `current` leads to another `current/file`.
fn add_directories(file: &Path, all: &mut BTreeSet<PathBuf>) {
    let (mut left, mut at, mut links) = (names(file), PathBuf::from("/"), 0);
    while let Some(name) = left.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        match next.read_link() {
            Ok(to) if links < MOST_LINKS => {
                links += 1;
                all.insert(at.clone());
                if to.is_absolute() {
                    at = PathBuf::from("/");
                }
                left.extend(names(&to));
            }
            _ if left.is_empty() || !next.is_dir() => {
                all.insert(at);
                return;
            }
            _ => at = next,
        }
    }
}

/// The last first.
fn names(path: &Path) -> Vec<OsString> {
    let named = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().rev().filter(named).map(|part| part.as_os_str().to_owned()).collect()
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
