//! The images that the kubelet has pulled, and which of them nobody uses. How an image gets here is in
//! [`pull`](crate::pull), when they are removed in [`image_gc`](crate::image_gc).

use crate::clock::since;
use crate::pull_access::PullAccess;
use cri::{CriError, ImageInfo, ImageService};
use jiff::Timestamp;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const LEAST_AGE: Duration = Duration::from_secs(120); // upstream's minimumGCAge

pub(crate) struct ImageManager {
    pub service: Arc<dyn ImageService>,
    /// When an image was last wanted, by id. Only what the kubelet pulled itself is ever collected: the store is shared,
    /// and what a user built or loaded is the user's.
    pulled: Mutex<HashMap<String, Timestamp>>,
    record: PathBuf,
    /// Who may use what was pulled.
    pub access: PullAccess,
}

impl ImageManager {
    /// `record` is the file that remembers, over restarts, what was pulled.
    pub fn new(service: Arc<dyn ImageService>, record: PathBuf, now: Timestamp) -> Self {
        let ids: Vec<String> = std::fs::read(&record)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        let pulled = Mutex::new(ids.into_iter().map(|id| (id, now)).collect());
        let access = PullAccess::open(record.with_file_name("pull-access.json"));
        ImageManager { service, pulled, record, access }
    }

    /// Before the first pod: what the last run of the daemon was about to record, or what was removed meanwhile.
    pub async fn initialize(&self) {
        let Some(names) = self.access.left() else { return };
        let settled = async {
            let mut brought = Vec::new();
            for name in names {
                brought.extend(self.service.status(&name).await?.map(|image| (name, image.id)));
            }
            let images = self.service.list().await?;
            let present: BTreeSet<&str> = images.iter().map(|image| image.id.as_str()).collect();
            self.access.initialize(brought, &present);
            Ok::<(), CriError>(())
        };
        if let Err(error) = settled.await {
            tracing::warn!(%error, "which images were pulled with which secrets is looked at with the next start");
        }
    }

    /// A pull with credentials was given up, and has perhaps brought its image nevertheless.
    pub async fn give_up(&self, name: &str) {
        match self.service.status(name).await {
            Ok(found) => self.access.give_up(name, found.map(|image| image.id)),
            Err(error) => {
                tracing::warn!(image = name, %error, "what a pull has brought that was given up is looked at with the next start");
            }
        }
    }

    pub async fn list(&self) -> cri::Result<Vec<ImageInfo>> {
        self.service.list().await
    }

    pub fn used(&self, id: &str, now: Timestamp) {
        let mut pulled = self.pulled.lock();
        if let Some(at) = pulled.get_mut(id) {
            *at = now;
        }
    }

    pub fn remember(&self, id: &str, now: Timestamp) {
        let mut pulled = self.pulled.lock();
        if pulled.insert(id.to_owned(), now).is_none() {
            self.save(&pulled);
        }
    }

    fn save(&self, pulled: &HashMap<String, Timestamp>) {
        let ids: Vec<&String> = pulled.keys().collect();
        let next = self.record.with_extension("next");
        let text = serde_json::to_vec(&ids).unwrap_or_default();
        let written = std::fs::write(&next, text).and_then(|()| std::fs::rename(&next, &self.record));
        if let Err(error) = written {
            tracing::warn!(file = %self.record.display(), %error, "pulled images are not recorded");
        }
    }

    /// What was pulled here and is in no use, the longest unused first.
    pub fn unused(
        &self,
        images: &[ImageInfo],
        now: Timestamp,
        in_use: impl Fn(&str) -> bool,
    ) -> Vec<ImageInfo> {
        let pulled = self.pulled.lock();
        let old = |at: &Timestamp| since(now, *at) >= LEAST_AGE;
        let mut unused: Vec<(Timestamp, &ImageInfo)> = images
            .iter()
            .filter(|image| !in_use(&image.id))
            .filter_map(|image| Some((*pulled.get(&image.id).filter(|at| old(at))?, image)))
            .collect();
        unused.sort_by_key(|(at, _)| *at);
        unused.into_iter().map(|(_, image)| image.clone()).collect()
    }

    pub async fn remove(&self, image: &ImageInfo) {
        let names = image.repo_tags.iter().chain(&image.repo_digests);
        let names: Vec<&String> = if image.repo_tags.is_empty() && image.repo_digests.is_empty() {
            vec![&image.id]
        } else {
            names.collect()
        };
        for name in names {
            match self.service.remove(name).await {
                Ok(()) | Err(CriError::NotFound(_)) => {}
                Err(error) => return tracing::info!(image = name, %error, "unused image stays"),
            }
        }
        self.access.forget(&image.id);
        let mut pulled = self.pulled.lock();
        pulled.remove(&image.id);
        self.save(&pulled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    #[async_trait::async_trait]
    impl ImageService for Nothing {
        async fn pull(&self, name: &str, _: &[cri::Credentials]) -> cri::Result<cri::Pulled> {
            Err(CriError::PullFailed(name.to_owned()))
        }
        async fn status(&self, _: &str) -> cri::Result<Option<ImageInfo>> {
            Ok(None)
        }
        async fn list(&self) -> cri::Result<Vec<ImageInfo>> {
            Ok(Vec::new())
        }
        async fn remove(&self, _: &str) -> cri::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_pull_that_is_given_up_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let manager =
            ImageManager::new(Arc::new(Nothing), dir.path().join("pulled.json"), Timestamp::UNIX_EPOCH);
        manager.access.begin("reg.example/a", None);
        assert!(manager.access.left().is_some());
        manager.give_up("reg.example/a").await;
        assert_eq!(manager.access.left(), None);
    }

    #[test]
    fn only_what_was_pulled_here_and_is_unused_goes_the_oldest_first() {
        let dir = tempfile::tempdir().unwrap();
        let record = dir.path().join("pulled.json");
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let manager = ImageManager::new(Arc::new(Nothing), record.clone(), at(0));
        for (id, pulled) in [("second", 20), ("first", 10), ("in use", 5), ("young", 990)] {
            manager.remember(id, at(pulled));
        }
        let images: Vec<ImageInfo> = ["users", "in use", "second", "young", "first"]
            .iter()
            .map(|id| ImageInfo { id: (*id).to_owned(), ..ImageInfo::default() })
            .collect();
        let unused = |manager: &ImageManager, now: i64| -> Vec<String> {
            let unused = manager.unused(&images, at(now), |id| id == "in use");
            unused.into_iter().map(|image| image.id).collect()
        };
        assert_eq!(unused(&manager, 1000), ["first", "second"]);
        manager.used("first", at(30));
        assert_eq!(unused(&manager, 1000), ["second", "first"]);
        let again = ImageManager::new(Arc::new(Nothing), record, at(2000));
        assert!(unused(&again, 2001).is_empty(), "after a restart everything was just used");
        assert_eq!(unused(&again, 3000).len(), 3, "and it is remembered what was pulled");
    }
}
