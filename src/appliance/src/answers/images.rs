//! The answers to `image`: pull, push, tag, save, load, prune, with the progress told while it is made.

use crate::control::{ControlReply, Login, PullProgress, Refusal};
use cri::{Credentials, CriError, ImageInfo, ImageService, blocking};
use image::{
    Digest, ImageError, ImageRef, ImageStore, LayerStatus, Platform, Progress, Pruned, PullEvent, PushEvent,
    PushProgress, PushStatus, registry_domain,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// What is to be pulled.
pub(super) struct Pull {
    pub(super) name: String,
    pub(super) platform: Option<String>,
    pub(super) all_tags: bool,
    pub(super) logins: Vec<Login>,
}

pub(super) async fn pull(
    images: &ImageStore,
    wanted: Pull,
    say: &mpsc::Sender<ControlReply>,
) -> ControlReply {
    let platform = match wanted.platform.as_deref().map(Platform::parse).transpose() {
        Ok(platform) => platform,
        Err(error) => return refused(error),
    };
    let (caller, credentials) = (ToCaller::new(say), credentials_for(&wanted.name, &wanted.logins));
    let progress = caller.clone();
    let pulled = match wanted.all_tags {
        true => images.pull_all(&wanted.name, platform.as_ref(), &credentials, progress).await,
        false => {
            let pulled = images.pull_for(&wanted.name, platform.as_ref(), &credentials, progress).await;
            pulled.map(|image| vec![image])
        }
    };
    caller.tell_results().await;
    match pulled {
        Ok(images) => super::told(say, ControlReply::Images { images }).await,
        Err(error) => ControlReply::Failed { reason: Refusal::Registry, message: error.to_string() },
    }
}

pub(super) async fn push(
    images: &ImageStore,
    name: &str,
    all_tags: bool,
    logins: &[Login],
    say: &mpsc::Sender<ControlReply>,
) -> ControlReply {
    let (caller, credentials) = (ToCaller::new(say), credentials_for(name, logins));
    let progress = caller.clone();
    let pushed = match all_tags {
        true => images.push_all(name, &credentials, progress).await.map(drop),
        false => images.push_with(name, &credentials, progress).await.map(drop),
    };
    caller.tell_results().await;
    match pushed {
        Ok(()) => ControlReply::Done,
        Err(ImageError::NotFound(name)) => refused(CriError::NotFound(format!("No such image: {name}"))),
        Err(error) => ControlReply::Failed { reason: Refusal::Registry, message: error.to_string() },
    }
}

/// Those that were given for the registry of this image.
fn credentials_for(name: &str, logins: &[Login]) -> Vec<Credentials> {
    let Ok(name) = ImageRef::parse(name) else { return Vec::new() };
    let for_it =
        |login: &&Login| login.registry.is_empty() || registry_domain(&login.registry) == name.domain();
    logins.iter().filter(for_it).map(credentials).collect()
}

pub(super) fn credentials_by_registry(logins: &[Login]) -> BTreeMap<String, Vec<Credentials>> {
    let mut all = BTreeMap::<String, Vec<Credentials>>::new();
    for login in logins {
        all.entry(registry_domain(&login.registry).to_owned()).or_default().push(credentials(login));
    }
    all
}

fn credentials(login: &Login) -> Credentials {
    Credentials::Basic { username: login.username.clone(), password: login.password.clone() }
}

pub(super) async fn tag(images: &Arc<ImageStore>, image: String, name: String) -> ControlReply {
    let images = images.clone();
    match blocking(move || images.tag(&image, &name)).await {
        Ok(()) => ControlReply::Done,
        Err(error) => refused(error),
    }
}

/// The file is there when it is whole.
pub(super) async fn save(images: &ImageStore, names: &[String], path: &Path) -> ControlReply {
    if path.metadata().is_ok_and(|there| !there.is_file()) {
        return refused(format!("save to {}: it is there, and no file", path.display()));
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Partial(partial.into());
    let saved = async {
        let file = create_anew(&partial.0).await.map_err(|e| e.to_string())?;
        images.save(names, file).await.map_err(|e| e.to_string())?;
        tokio::fs::rename(&partial.0, path).await.map_err(|e| e.to_string())
    };
    match saved.await {
        Ok(()) => ControlReply::Done,
        Err(why) => refused(format!("save to {}: {why}", path.display())),
    }
}

/// In the place of what an earlier save has left, and never through a link that somebody else has put there.
async fn create_anew(path: &Path) -> std::io::Result<tokio::fs::File> {
    match tokio::fs::remove_file(path).await {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    tokio::fs::OpenOptions::new().write(true).create_new(true).open(path).await
}

/// A file that goes, unless it was given another name before.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(super) async fn prune(
    images: &Arc<ImageStore>,
    all: bool,
    say: &mpsc::Sender<ControlReply>,
) -> ControlReply {
    let images = images.clone();
    let pruned = blocking(move || {
        let steps = images.prune_build_cache()?;
        let mut pruned = images.prune(all)?;
        pruned.removed.extend(steps.removed);
        pruned.freed += steps.freed;
        Ok::<_, ImageError>(pruned)
    });
    match pruned.await {
        Ok(Pruned { removed, freed }) => super::told(say, ControlReply::Pruned { removed, freed }).await,
        Err(error) => refused(error),
    }
}

pub(super) async fn load(images: &ImageStore, path: &Path, say: &mpsc::Sender<ControlReply>) -> ControlReply {
    match images.load_path(path).await {
        Ok(images) => super::told(say, ControlReply::Images { images }).await,
        Err(error) => refused(error),
    }
}

pub(super) async fn list(images: &ImageStore, say: &mpsc::Sender<ControlReply>) -> ControlReply {
    let by_name = |mut images: Vec<ImageInfo>| {
        images.sort_by(|a, b| a.repo_tags.cmp(&b.repo_tags));
        ControlReply::Images { images }
    };
    match ImageService::list(images).await {
        Ok(images) => super::told(say, by_name(images)).await,
        Err(error) => refused(error),
    }
}

pub(super) async fn remove(
    images: &Arc<ImageStore>,
    name: String,
    say: &mpsc::Sender<ControlReply>,
) -> ControlReply {
    let images = images.clone();
    match blocking(move || images.remove_image(&name)).await {
        Ok(removed) => super::told(say, ControlReply::Pruned { removed, freed: 0 }).await,
        Err(ImageError::NotFound(name)) => refused(CriError::NotFound(format!("No such image: {name}"))),
        Err(error) => refused(error),
    }
}

pub(super) fn refused(error: impl std::fmt::Display) -> ControlReply {
    ControlReply::Failed { reason: Refusal::Image, message: error.to_string() }
}

/// A terminal that is slow misses a step of a bar, and never holds up the pull; what came of it is told at the end.
struct ToCaller {
    say: mpsc::Sender<ControlReply>,
    results: Mutex<Vec<String>>,
}

impl ToCaller {
    fn new(say: &mpsc::Sender<ControlReply>) -> Arc<Self> {
        Arc::new(ToCaller { say: say.clone(), results: Mutex::default() })
    }

    fn at_once(&self, reply: ControlReply) {
        let _ = self.say.try_send(reply);
    }

    fn at_the_end(&self, what: String) {
        self.results.lock().push(what);
    }

    async fn tell_results(&self) {
        let results = std::mem::take(&mut *self.results.lock());
        for what in results {
            super::told(&self.say, ControlReply::Told { what }).await;
        }
    }
}

impl Progress for ToCaller {
    fn event(&self, event: PullEvent) {
        match event {
            PullEvent::Layer { digest, status } => {
                self.at_once(ControlReply::Progress(in_words(&digest, &status)))
            }
            PullEvent::Pulling { version, repository } => {
                self.at_once(ControlReply::Told { what: format!("{version}: Pulling from {repository}") });
            }
            PullEvent::Warning(text) => self.at_the_end(format!("WARNING: {text}")),
            PullEvent::Resolved { digest } => self.at_the_end(format!("Digest: {digest}")),
            PullEvent::Done { name, newer: true } => {
                self.at_the_end(format!("Status: Downloaded newer image for {name}"));
            }
            PullEvent::Done { name, newer: false } => {
                self.at_the_end(format!("Status: Image is up to date for {name}"));
            }
        }
    }
}

impl PushProgress for ToCaller {
    fn event(&self, event: PushEvent) {
        match event {
            PushEvent::Layer { diff_id, status } => {
                self.at_once(ControlReply::Progress(pushed_in_words(&diff_id, &status)));
            }
            PushEvent::Repository(name) => {
                self.at_once(ControlReply::Told { what: format!("The push refers to repository [{name}]") })
            }
            PushEvent::Done { tag, digest, size } => {
                self.at_the_end(format!("{tag}: digest: {digest} size: {size}"));
            }
        }
    }
}

fn pushed_in_words(layer: &Digest, status: &PushStatus) -> PullProgress {
    let (state, done, total) = match status {
        PushStatus::Preparing => ("Preparing", 0, 0),
        PushStatus::Waiting => ("Waiting", 0, 0),
        PushStatus::Pushing { current, total } => ("Pushing", *current, *total),
        PushStatus::Retrying { .. } => ("Retrying", 0, 0),
        PushStatus::AlreadyExists => ("Layer already exists", 0, 0),
        PushStatus::Mounted { from } => {
            return PullProgress {
                layer: layer.short().to_owned(),
                state: format!("Mounted from {from}"),
                done: 0,
                total: 0,
            };
        }
        PushStatus::Pushed => ("Pushed", 0, 0),
    };
    PullProgress { layer: layer.short().to_owned(), state: state.to_owned(), done, total }
}

fn in_words(layer: &Digest, status: &LayerStatus) -> PullProgress {
    let (state, done, total) = match status {
        LayerStatus::PullingFsLayer => ("Pulling fs layer", 0, 0),
        LayerStatus::Waiting => ("Waiting", 0, 0),
        LayerStatus::Downloading { current, total } => ("Downloading", *current, *total),
        LayerStatus::Retrying { .. } => ("Retrying", 0, 0),
        LayerStatus::VerifyingChecksum => ("Verifying Checksum", 0, 0),
        LayerStatus::DownloadComplete => ("Download complete", 0, 0),
        LayerStatus::Extracting { current, total } => ("Extracting", *current, *total),
        LayerStatus::PullComplete => ("Pull complete", 0, 0),
        LayerStatus::AlreadyExists => ("Already exists", 0, 0),
    };
    PullProgress { layer: layer.short().to_owned(), state: state.to_owned(), done, total }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_save_does_not_write_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, partial) = (dir.path().join("victim"), dir.path().join("x.tar.partial"));
        std::fs::write(&victim, "as it was").unwrap();
        std::os::unix::fs::symlink(&victim, &partial).unwrap();
        drop(create_anew(&partial).await.unwrap());
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "as it was");
        assert!(partial.symlink_metadata().unwrap().is_file());
    }
}
