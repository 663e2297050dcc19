//! Whether a container's image is there, and how it gets there: pull policies, events and errors in upstream's words, and
//! the collection of images that nobody uses when the disk fills.

use crate::config::ImageGcThresholds;
use crate::credentials;
use crate::machine::disk;
use crate::pod;
use crate::shared::Shared;
use crate::work_counts::Operation;
use cri::{CriError, ImageInfo, ImageService};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, Secret};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const LEAST_AGE: Duration = Duration::from_secs(120); // upstream's minimumGCAge

/// Why there is no image: the reason and message of the container's waiting state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoImage {
    pub image: String,
    pub reason: &'static str,
    pub message: String,
}

pub(crate) struct ImageManager {
    service: Arc<dyn ImageService>,
    /// When an image was last wanted, by id. Only what the kubelet pulled itself is ever collected: the store is shared,
    /// and what a user built or loaded is the user's.
    pulled: Mutex<HashMap<String, Timestamp>>,
    record: PathBuf,
}

impl ImageManager {
    /// `record` is the file that remembers, over restarts, what was pulled.
    pub fn new(service: Arc<dyn ImageService>, record: PathBuf, now: Timestamp) -> Self {
        let ids: Vec<String> = std::fs::read(&record)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        let pulled = Mutex::new(ids.into_iter().map(|id| (id, now)).collect());
        ImageManager { service, pulled, record }
    }

    pub async fn list(&self) -> cri::Result<Vec<ImageInfo>> {
        self.service.list().await
    }

    fn used(&self, id: &str, now: Timestamp) {
        let mut pulled = self.pulled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = pulled.get_mut(id) {
            *at = now;
        }
    }

    fn remember(&self, id: &str, now: Timestamp) {
        let mut pulled = self.pulled.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Removes pulled images that no container uses, the longest unused first, when the disk is too full.
    pub async fn collect_garbage(&self, shared: &Shared) {
        let ImageGcThresholds { high_percent, low_percent } = shared.config.image_gc;
        let full = |percent: u8| disk(&shared.config.state_dir).is_some_and(|d| d.used_percent() > percent);
        if !full(high_percent) {
            return;
        }
        let (Ok(images), Ok(sandboxes)) = (self.service.list().await, shared.runtime.list().await) else {
            return;
        };
        let in_use = |id: &str| sandboxes.iter().flat_map(|s| &s.containers).any(|c| c.image == id);
        let now = shared.clock.now();
        for image in self.unused(&images, now, in_use) {
            if !full(low_percent) {
                return;
            }
            self.remove(&image).await;
        }
    }

    fn unused(&self, images: &[ImageInfo], now: Timestamp, in_use: impl Fn(&str) -> bool) -> Vec<ImageInfo> {
        let pulled = self.pulled.lock().unwrap_or_else(PoisonError::into_inner);
        let old = |at: &Timestamp| crate::clock::since(now, *at) >= LEAST_AGE;
        let mut unused: Vec<(Timestamp, &ImageInfo)> = images
            .iter()
            .filter(|image| !in_use(&image.id))
            .filter_map(|image| Some((*pulled.get(&image.id).filter(|at| old(at))?, image)))
            .collect();
        unused.sort_by_key(|(at, _)| *at);
        unused.into_iter().map(|(_, image)| image.clone()).collect()
    }

    async fn remove(&self, image: &ImageInfo) {
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
        let mut pulled = self.pulled.lock().unwrap_or_else(PoisonError::into_inner);
        pulled.remove(&image.id);
        self.save(&pulled);
    }
}

/// Whose image it is, and where events about it belong.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    pod: &'a Pod,
    container: &'a str,
    image: &'a str,
    policy: Option<&'a str>,
}

/// The container's own image, and those that it has for volumes.
///
/// # Errors
/// The reason that the container waits for.
pub(crate) async fn ensure_all(
    shared: &Arc<Shared>,
    pod: &Pod,
    container: &Container,
) -> Result<ImageInfo, NoImage> {
    let of = |image, policy| Wanted { pod, container: &container.name, image, policy };
    let mounts = container.volume_mounts.iter().flatten();
    for volume in pod::spec(pod).volumes.iter().flatten() {
        let Some(source) = &volume.image else { continue };
        if mounts.clone().any(|mount| mount.name == volume.name) {
            let image = source.reference.as_deref().unwrap_or_default();
            ensure(shared, of(image, source.pull_policy.as_deref())).await?;
        }
    }
    let image = container.image.as_deref().unwrap_or_default();
    ensure(shared, of(image, container.image_pull_policy.as_deref())).await
}

/// Upstream's `EnsureImageExists`.
async fn ensure(shared: &Arc<Shared>, wanted: Wanted<'_>) -> Result<ImageInfo, NoImage> {
    let Wanted { pod, container, image, policy } = wanted;
    let present = match shared.images.service.status(image).await {
        Ok(present) => present,
        Err(error) => return Err(not_inspected(shared, wanted, &error)),
    };
    let policy = policy.unwrap_or("IfNotPresent");
    match (policy, present) {
        ("Always", _) | (_, None) if policy != "Never" => pull(shared, wanted).await,
        (_, Some(info)) => {
            shared.images.used(&info.id, shared.clock.now());
            let message = format!("Container image \"{image}\" already present on machine");
            shared.normal(pod, container, "Pulled", message);
            Ok(info)
        }
        (_, None) => {
            let message = format!("Container image \"{image}\" is not present with pull policy of Never");
            shared.warn(pod, container, "ErrImageNeverPull", message.clone());
            Err(NoImage { image: image.to_owned(), reason: "ErrImageNeverPull", message })
        }
    }
}

fn not_inspected(shared: &Shared, wanted: Wanted<'_>, error: &CriError) -> NoImage {
    let Wanted { pod, container, image, .. } = wanted;
    let (reason, message) = match error {
        CriError::InvalidImageName(_) | CriError::Invalid(_) => (
            "InvalidImageName",
            format!(
                "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": {error}"
            ),
        ),
        _ => ("ImageInspectError", format!("Failed to inspect image \"{image}\": {error}")),
    };
    shared.warn(pod, container, "InspectFailed", message.clone());
    NoImage { image: image.to_owned(), reason, message }
}

async fn pull(shared: &Arc<Shared>, wanted: Wanted<'_>) -> Result<ImageInfo, NoImage> {
    let Wanted { pod, container, image, .. } = wanted;
    shared.normal(pod, container, "Pulling", format!("Pulling image \"{image}\""));
    let secrets = pull_secrets(shared, pod);
    let credentials = credentials::for_image(image, secrets.iter().map(|s| &**s));
    let began = Instant::now();
    let pull = shared.images.service.pull(image, &credentials);
    match shared.work_counts.time(Operation::PullImage, pull).await {
        Ok(info) => {
            let took = durations::print_millis(began.elapsed());
            let size = info.size;
            let message = format!(
                "Successfully pulled image \"{image}\" in {took} ({took} including waiting). Image size: {size} bytes."
            );
            shared.normal(pod, container, "Pulled", message);
            shared.images.remember(&info.id, shared.clock.now());
            let collector = shared.clone();
            tokio::spawn(async move { collector.images.collect_garbage(&collector).await });
            Ok(info)
        }
        Err(CriError::InvalidImageName(why)) => {
            Err(not_inspected(shared, wanted, &CriError::InvalidImageName(why)))
        }
        Err(error) => {
            let message = format!("Failed to pull image \"{image}\": {error}");
            shared.warn(pod, container, "Failed", message);
            Err(NoImage { image: image.to_owned(), reason: "ErrImagePull", message: error.to_string() })
        }
    }
}

/// The pod's, which admission took from its service account where it names none.
fn pull_secrets(shared: &Shared, pod: &Pod) -> Vec<Arc<Secret>> {
    use crate::sources::Sources;
    let names = pod::spec(pod).image_pull_secrets.iter().flatten().map(|s| s.name.as_str());
    let mut secrets = Vec::new();
    let mut missing = Vec::new();
    for name in names {
        match shared.sources.secret(pod::namespace(pod), name) {
            Some(secret) => secrets.push(secret),
            None => missing.push(name),
        }
    }
    if !missing.is_empty() {
        let message = format!(
            "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
            missing.join(", ")
        );
        shared.say(pod, None, cluster::EventType::Warning, "FailedToRetrieveImagePullSecret", message);
    }
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    #[async_trait::async_trait]
    impl ImageService for Nothing {
        async fn pull(&self, name: &str, _: &[cri::Credentials]) -> cri::Result<ImageInfo> {
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
