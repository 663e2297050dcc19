//! The answers to `addons`: manifests are read from a path, a URL or the program itself, and applied or removed together.

use crate::addons::{AddonError, EnabledAddons, bundled, disable, enable, parse, read};
use crate::control::{ControlReply, Refusal};
use cluster::Cluster;
use image::ImageStore;
use std::path::Path;
use tokio::io::AsyncReadExt;

/// Of what a URL gives.
const LARGEST: u64 = 8 << 20;

/// The source is an absolute path, a URL, or the name of what comes with the program.
pub(super) async fn turn_on(
    cluster: &Cluster,
    images: &ImageStore,
    enabled: &EnabledAddons,
    name: &str,
    source: &str,
) -> ControlReply {
    let manifests = if let Some(text) = bundled(source) {
        parse(source, text)
    } else if source.starts_with("http://") || source.starts_with("https://") {
        match fetch(images, source).await {
            Ok(text) => parse(source, &text),
            Err(why) => Err(vec![why]),
        }
    } else {
        let path = Path::new(source).to_owned();
        tokio::task::spawn_blocking(move || read(&path)).await.unwrap_or_else(|e| Err(vec![e.to_string()]))
    };
    let done = match manifests {
        Ok(manifests) => enable(cluster, enabled, name, source, manifests).await,
        Err(faults) => Err(AddonError::Faults(faults)),
    };
    reply(done)
}

pub(super) async fn turn_off(cluster: &Cluster, enabled: &EnabledAddons, name: &str) -> ControlReply {
    reply(disable(cluster, enabled, name).await)
}

fn reply(done: Result<Vec<crate::addons::AddonObject>, AddonError>) -> ControlReply {
    match done {
        Ok(objects) => ControlReply::Objects { objects },
        Err(error) => ControlReply::Failed { reason: Refusal::Manifest, message: error.to_string() },
    }
}

async fn fetch(images: &ImageStore, url: &str) -> Result<String, String> {
    let file = images.download(url).await.map_err(|e| e.to_string())?;
    let mut text = String::new();
    let read = file.take(LARGEST).read_to_string(&mut text).await;
    read.map(|_| text).map_err(|e| format!("{url}: {e}"))
}
