//! Which step of a build uses which directory of `RUN --mount=type=cache`: they are kept over builds, and shared as each mount
//! says.

use crate::Digest;
use jiff::Timestamp;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use tokio::sync::OwnedMutexGuard;

/// What other steps may do with a cache that a step uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    Shared,
    Private,
    Locked,
}

/// A directory of `RUN --mount=type=cache`, as `docker buildx du` tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheMount {
    /// The directory's name.
    pub id: String,
    /// Bytes of all files in it.
    pub size: u64,
    pub made_at: Timestamp,
    /// A step has it right now.
    pub is_used: bool,
}

/// Who uses which cache.
#[derive(Default)]
pub(crate) struct CacheMounts {
    locks: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    users: Arc<Users>,
}

/// Directory → how many steps use it.
type Users = Mutex<HashMap<PathBuf, usize>>;

/// A cache, for as long as a step uses it.
pub(crate) struct CacheDirectory {
    /// Not made yet where it is new.
    pub(crate) path: PathBuf,
    _used: Used,
    _alone: Option<OwnedMutexGuard<()>>,
}

/// Nobody takes the directory away meanwhile.
struct Used {
    users: Arc<Users>,
    path: PathBuf,
}

impl Drop for Used {
    fn drop(&mut self) {
        let mut users = self.users.lock();
        if let Some(count) = users.get_mut(&self.path) {
            *count -= 1;
            if *count == 0 {
                users.remove(&self.path);
            }
        }
    }
}

impl CacheMounts {
    pub(crate) async fn directory(&self, dir: &Path, id: &str, sharing: Sharing) -> CacheDirectory {
        let alone = match sharing {
            Sharing::Locked => Some(self.lock_of(id).lock_owned().await),
            Sharing::Shared | Sharing::Private => None,
        };
        let path = dir.join(Digest::of(id.as_bytes()).hex());
        let mut users = self.users.lock();
        let path = if sharing == Sharing::Private { free(&users, &path) } else { path };
        *users.entry(path.clone()).or_default() += 1;
        CacheDirectory { _used: Used { users: self.users.clone(), path: path.clone() }, path, _alone: alone }
    }

    fn lock_of(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock();
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(id).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        locks.insert(id.to_owned(), Arc::downgrade(&lock));
        lock
    }

    /// All that are kept, by their names. Blocks.
    pub(crate) fn list(&self, dir: &Path) -> Vec<CacheMount> {
        let used: HashSet<PathBuf> = self.users.lock().keys().cloned().collect();
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let listed = |entry: std::fs::DirEntry| {
            let (path, meta) = (entry.path(), entry.metadata());
            // not all file systems tell when something was made
            let made_at = meta.and_then(|meta| meta.created().or_else(|_| meta.modified()));
            CacheMount {
                id: entry.file_name().to_string_lossy().into_owned(),
                size: size(&path),
                made_at: made_at
                    .ok()
                    .and_then(|time| Timestamp::try_from(time).ok())
                    .unwrap_or(Timestamp::UNIX_EPOCH),
                is_used: used.contains(&path),
            }
        };
        let mut all: Vec<CacheMount> = entries.map(listed).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// Takes those that no step uses out of sight, into `trash`; gives their names and their bytes.
    pub(crate) fn prune(&self, dir: &Path, trash: &Path) -> Vec<(String, u64)> {
        let users = self.users.lock();
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let unused = entries.filter(|entry| !users.contains_key(&entry.path()));
        unused
            .filter_map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                let size = size(&entry.path());
                std::fs::rename(entry.path(), trash.join(&name)).ok().map(|()| (name, size))
            })
            .collect()
    }
}

/// The first of a private cache's directories that nobody uses.
fn free(users: &HashMap<PathBuf, usize>, path: &Path) -> PathBuf {
    let more = (1..=users.len()).map(|number| PathBuf::from(format!("{}-{number}", path.display())));
    let mut names = std::iter::once(path.to_owned()).chain(more);
    // one more than are used is always free
    names.find(|name| !users.contains_key(name)).unwrap_or_else(|| path.to_owned())
}

/// Bytes of all files below, as deep as a path can name them.
fn size(directory: &Path) -> u64 {
    let (mut size, mut directories) = (0, vec![directory.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => directories.push(entry.path()),
                Ok(meta) => size += meta.len(),
                Err(_) => {}
            }
        }
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_locked_cache_is_waited_for_and_a_private_one_is_another() {
        let (caches, dir) = (CacheMounts::default(), Path::new("/x"));
        let locked = caches.directory(dir, "a", Sharing::Locked).await;
        let second = caches.directory(dir, "a", Sharing::Locked);
        tokio::select! {
            biased;
            _ = second => panic!("nobody waited"),
            () = std::future::ready(()) => {}
        }
        let other = caches.directory(dir, "b", Sharing::Locked).await;
        assert_ne!(locked.path, other.path);
        drop(locked);
        caches.directory(dir, "a", Sharing::Locked).await;

        let first = caches.directory(dir, "a", Sharing::Private).await;
        let second = caches.directory(dir, "a", Sharing::Private).await;
        assert_ne!(first.path, second.path);
        let path = first.path.clone();
        drop(first);
        assert_eq!(caches.directory(dir, "a", Sharing::Private).await.path, path);
        assert_eq!(caches.directory(dir, "a", Sharing::Shared).await.path, path);
    }

    #[tokio::test]
    async fn what_nobody_uses_can_be_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, trash) = (dir.path().join("cache"), dir.path().join("trash"));
        std::fs::create_dir(&trash).unwrap();
        let caches = CacheMounts::default();
        let used = caches.directory(&kept, "used", Sharing::Shared).await;
        let free = caches.directory(&kept, "free", Sharing::Locked).await.path;
        for path in [&used.path, &free] {
            std::fs::create_dir_all(path.join("sub")).unwrap();
            std::fs::write(path.join("sub/f"), "12345").unwrap();
        }
        let mut listed: Vec<_> = caches.list(&kept).into_iter().map(|c| (c.is_used, c.size)).collect();
        listed.sort_unstable();
        assert_eq!(listed, [(false, 5), (true, 5)]);
        let pruned = caches.prune(&kept, &trash);
        assert_eq!(pruned, [(free.file_name().unwrap().to_string_lossy().into_owned(), 5)]);
        assert!(used.path.exists() && !free.exists());
    }
}
