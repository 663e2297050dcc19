//! Archives of Docker before 1.10: no list of images, but a directory for each layer, which says what it stands on.

use super::contents::{Contents, Described};
use crate::document::{HistoryItem, ImageDocument, RootfsList, RunConfig};
use crate::document_bounds::check_values;
use crate::error::{ImageError, Result, doing};
use crate::{Digest, ImageRef};
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) const REPOSITORIES: &str = "repositories";
/// Docker had no more; and a layer may say that it stands on itself.
const MAX_LAYERS: usize = 127;

/// `<id>/json`: one layer, and what a container of it ran with.
#[derive(Deserialize)]
struct Layer {
    parent: Option<String>,
    created: Option<jiff::Timestamp>,
    #[serde(default)]
    author: String,
    #[serde(default)]
    comment: String,
    architecture: Option<String>,
    os: Option<String>,
    config: Option<RunConfig>,
    container_config: Option<RunConfig>,
    /// Of `container_config`, which is not kept.
    #[serde(skip)]
    command: String,
}

pub(super) fn describe(contents: &mut impl Contents) -> Result<Vec<Described>> {
    let bytes = contents.small(REPOSITORIES)?;
    check_values(REPOSITORIES, &bytes)?;
    let repositories: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_slice(&bytes)
        .map_err(|e| ImageError::Refused(format!("broken {REPOSITORIES}: {e}")))?;
    let mut by_layer: BTreeMap<String, Vec<ImageRef>> = BTreeMap::new();
    for (name, tags) in repositories {
        for (tag, id) in tags {
            by_layer.entry(id).or_default().push(ImageRef::parse(&format!("{name}:{tag}"))?);
        }
    }
    by_layer.into_iter().map(|(id, names)| image(contents, id, names)).collect()
}

fn image(contents: &mut impl Contents, top: String, names: Vec<ImageRef>) -> Result<Described> {
    let mut layers: Vec<(String, Layer)> = Vec::new();
    let mut next = Some(top);
    while let Some(id) = next.filter(|id| !id.is_empty()) {
        if layers.len() >= MAX_LAYERS {
            return Err(ImageError::Refused(format!("layer {id}: more than {MAX_LAYERS} layers, or a loop")));
        }
        let mut layer = layer(contents, &id)?;
        if !layers.is_empty() {
            // the image has that of its topmost layer
            layer.config = None;
        }
        next = layer.parent.clone();
        layers.push((format!("{id}/layer.tar"), layer));
    }
    layers.reverse();
    let paths: Vec<String> = layers.iter().map(|(path, _)| path.clone()).collect();
    let diff_ids = paths.iter().map(|path| contents.diff_id(path)).collect::<Result<_>>()?;
    let document = document(layers.into_iter().map(|(_, layer)| layer).collect(), diff_ids);
    let config = serde_json::to_vec(&document).map_err(doing("write the image configuration"))?;
    Ok(Described { names, config, layers: paths, manifest: None })
}

fn layer(contents: &mut impl Contents, id: &str) -> Result<Layer> {
    if !crate::digest::is_hex64(id) {
        return Err(ImageError::Refused(format!("{REPOSITORIES} names the layer {id:?}, which is no id")));
    }
    let path = format!("{id}/json");
    let bytes = contents.small(&path)?;
    check_values("configuration of a layer", &bytes)?;
    let mut layer: Layer =
        serde_json::from_slice(&bytes).map_err(|e| ImageError::Refused(format!("broken {path}: {e}")))?;
    layer.command = layer.container_config.take().and_then(|config| config.cmd).unwrap_or_default().join(" ");
    Ok(layer)
}

/// Bottom first.
fn document(layers: Vec<Layer>, diff_ids: Vec<Digest>) -> ImageDocument {
    let mut document = ImageDocument::scratch();
    for layer in layers {
        document.history.push(HistoryItem {
            created: layer.created,
            created_by: layer.command,
            author: layer.author.clone(),
            comment: layer.comment,
            empty_layer: false,
        });
        document.created = layer.created;
        document.author = Some(layer.author).filter(|author| !author.is_empty());
        document.architecture = layer.architecture.unwrap_or(document.architecture);
        document.os = layer.os.unwrap_or(document.os);
        document.config = layer.config.unwrap_or_default();
    }
    document.rootfs = RootfsList { diff_ids, ..RootfsList::default() };
    document
}
