use crate::control::{ControlReply, PullProgress, Refusal};
use cri::{CriError, ImageInfo, ImageService};
use image::{Digest, ImageStore, LayerStatus, Progress, PullEvent};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;

pub(super) async fn pull(images: &ImageStore, name: &str, say: &mpsc::Sender<ControlReply>) -> ControlReply {
    let progress = Arc::new(ToCaller(say.clone()));
    match images.pull_with(name, &[], progress).await {
        Ok(image) => super::told(say, ControlReply::Images { images: vec![image] }).await,
        Err(error) => ControlReply::Failed { reason: Refusal::Registry, message: error.to_string() },
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

pub(super) async fn remove(images: &ImageStore, name: &str) -> ControlReply {
    match ImageService::status(images, name).await {
        Ok(None) => refused(CriError::NotFound(format!("No such image: {name}"))),
        Ok(Some(_)) => ImageService::remove(images, name).await.map_or_else(refused, |()| ControlReply::Done),
        Err(error) => refused(error),
    }
}

fn refused(error: impl std::fmt::Display) -> ControlReply {
    ControlReply::Failed { reason: Refusal::Image, message: error.to_string() }
}

/// A terminal that is slow misses a step of a bar, and never holds up the pull.
struct ToCaller(mpsc::Sender<ControlReply>);

impl Progress for ToCaller {
    fn event(&self, event: PullEvent) {
        if let PullEvent::Layer { digest, status } = event {
            let _ = self.0.try_send(ControlReply::Progress(in_words(&digest, &status)));
        }
    }
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
