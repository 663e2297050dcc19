//! The folders of `RUN --mount=type=cache`: kept over builds, and shared as each mount says.

use super::runmount::Sharing;
use super::view::{Node, View};
use crate::Digest;
use crate::error::{ImageError, Result, doing};
use crate::load::Unpacking;
use crate::store::Inner;
use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::OwnedMutexGuard;

/// Who uses which cache.
#[derive(Default)]
pub(crate) struct CacheMounts {
    locks: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    private: Arc<Mutex<BTreeSet<PathBuf>>>,
}

/// A cache, for as long as a step uses it.
pub(super) struct CacheFolder {
    /// Not made yet where it is new.
    pub(super) path: PathBuf,
    _alone: Option<OwnedMutexGuard<()>>,
    _private: Option<Private>,
}

/// A folder that nobody else gets meanwhile.
struct Private {
    taken: Arc<Mutex<BTreeSet<PathBuf>>>,
    path: PathBuf,
}

impl Drop for Private {
    fn drop(&mut self) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }
}

impl CacheMounts {
    pub(super) async fn folder(&self, dir: &Path, id: &str, sharing: Sharing) -> CacheFolder {
        let path = dir.join(Digest::of(id.as_bytes()).hex());
        match sharing {
            Sharing::Shared => CacheFolder { path, _alone: None, _private: None },
            Sharing::Locked => {
                let alone = self.lock_of(id).lock_owned().await;
                CacheFolder { path, _alone: Some(alone), _private: None }
            }
            Sharing::Private => {
                let private = self.private(&path);
                CacheFolder { path: private.path.clone(), _alone: None, _private: Some(private) }
            }
        }
    }

    fn lock_of(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(id).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        locks.insert(id.to_owned(), Arc::downgrade(&lock));
        lock
    }

    /// The first of the cache's folders that is free.
    fn private(&self, path: &Path) -> Private {
        let mut taken = self.private.lock().unwrap_or_else(PoisonError::into_inner);
        let names = std::iter::once(path.to_owned())
            .chain((1..).map(|number| PathBuf::from(format!("{}-{number}", path.display()))));
        // one more than are taken is always free
        let free = names.take(taken.len() + 1).find(|name| !taken.contains(name));
        let path = free.unwrap_or_else(|| path.to_owned());
        taken.insert(path.clone());
        Private { taken: self.private.clone(), path }
    }
}

/// Makes a new cache at `at`, with the files of `from`.
pub(super) fn make(
    store: &Inner,
    from: Option<(View, Option<String>)>,
    at: &Path,
    (uid, gid, mode): (u32, u32, u32),
) -> Result<()> {
    match from {
        None => std::fs::create_dir(at).map_err(doing("make a cache"))?,
        Some((view, path)) => {
            let path = path.unwrap_or_else(|| "/".into());
            let (_, there) = view.resolve(Path::new(&path)).map_err(ImageError::Refused)?;
            if !matches!(there, Node::Folder(_)) {
                return Err(ImageError::Refused(format!("RUN --mount: {path:?}: not found")));
            }
            let files = super::copy::Files::all_at(&view, &path).map_err(ImageError::Refused)?;
            let unpacking = Unpacking::start(store)?;
            let unpacking = unpacking
                .write(|sink| files.write(sink))
                .map_err(|e| crate::error::out_of_io("fill a cache", e))?;
            let unpacked = unpacking.wait()?;
            std::fs::rename(unpacked.folder.path().join("diff"), at).map_err(doing("fill a cache"))?;
        }
    }
    std::os::unix::fs::chown(at, Some(uid), Some(gid))
        .and_then(|()| std::fs::set_permissions(at, std::fs::Permissions::from_mode(mode)))
        .map_err(doing("make a cache"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_locked_cache_is_waited_for_and_a_private_one_is_another() {
        let (caches, dir) = (CacheMounts::default(), Path::new("/x"));
        let locked = caches.folder(dir, "a", Sharing::Locked).await;
        let second = caches.folder(dir, "a", Sharing::Locked);
        tokio::select! {
            biased;
            _ = second => panic!("nobody waited"),
            () = std::future::ready(()) => {}
        }
        let other = caches.folder(dir, "b", Sharing::Locked).await;
        assert_ne!(locked.path, other.path);
        drop(locked);
        caches.folder(dir, "a", Sharing::Locked).await;

        let first = caches.folder(dir, "a", Sharing::Private).await;
        let second = caches.folder(dir, "a", Sharing::Private).await;
        assert_ne!(first.path, second.path);
        let path = first.path.clone();
        drop(first);
        assert_eq!(caches.folder(dir, "a", Sharing::Private).await.path, path);
        assert_eq!(caches.folder(dir, "a", Sharing::Shared).await.path, path);
    }
}
