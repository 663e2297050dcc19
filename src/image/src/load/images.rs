//! What images an archive or a layout holds, by docker's `manifest.json`, by the OCI's `index.json`, or as Docker before 1.10
//! wrote it.

use super::archive::plain;
use super::contents::{Bounded, Contents, Described};
use super::legacy;
use crate::document_bounds::check_values;
use crate::error::{ImageError, Result};
use crate::manifest::{self, Descriptor, Document, ManifestIndex};
use crate::resolve::MAX_DEPTH;
use crate::{Digest, ImageRef, Platform};
use serde::Deserialize;
use std::collections::BTreeMap;

/// An entry of docker's `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

const DOCKER_MANIFEST: &str = "manifest.json";
const OCI_INDEX: &str = "index.json";
/// What containerd and Docker call the whole reference, and what the OCI calls a reference, often only a tag.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// What images there are. Archives of today's Docker are both: then docker's own list counts, it has all the names.
pub(super) fn describe(contents: &mut impl Contents, platform: Option<&Platform>) -> Result<Vec<Described>> {
    let contents = &mut Bounded::new(contents);
    if contents.has(DOCKER_MANIFEST) {
        return docker(contents);
    }
    if contents.has(OCI_INDEX) {
        return oci(contents, &platform.cloned().unwrap_or_else(Platform::of_this_machine));
    }
    if contents.has(legacy::REPOSITORIES) {
        return legacy::describe(contents);
    }
    Err(ImageError::Refused(
        "neither a docker-archive (no manifest.json) nor an OCI archive (no index.json)".into(),
    ))
}

fn docker(contents: &mut impl Contents) -> Result<Vec<Described>> {
    let bytes = contents.small(DOCKER_MANIFEST)?;
    check_values(DOCKER_MANIFEST, &bytes)?;
    let images: Vec<DockerImage> = serde_json::from_slice(&bytes)
        .map_err(|e| ImageError::Refused(format!("broken manifest.json: {e}")))?;
    images.into_iter().map(|image| docker_image(contents, image)).collect()
}

fn docker_image(contents: &mut impl Contents, image: DockerImage) -> Result<Described> {
    let path = |text: &str| {
        plain(text.as_bytes()).ok_or_else(|| {
            ImageError::Refused(format!("manifest.json names {text:?}: a path that leads out"))
        })
    };
    let names = image.repo_tags.iter().flatten().map(|tag| ImageRef::parse(tag)).collect::<Result<_>>()?;
    let layers = image.layers.iter().flatten().map(|layer| path(layer)).collect::<Result<_>>()?;
    Ok(Described { names, config: contents.small(&path(&image.config)?)?, layers, manifest: None })
}

fn oci(contents: &mut impl Contents, platform: &Platform) -> Result<Vec<Described>> {
    let bytes = contents.small(OCI_INDEX)?;
    check_values(OCI_INDEX, &bytes)?;
    let index: ManifestIndex =
        serde_json::from_slice(&bytes).map_err(|e| ImageError::Refused(format!("broken index.json: {e}")))?;
    // what BuildKit says about an image lies beside it, and is none
    let is_attestation = |d: &&Descriptor| d.platform.as_ref().is_some_and(|p| p.os == "unknown");
    let images = index.manifests.iter().filter(|d| !is_attestation(d));
    images.map(|descriptor| oci_image(contents, descriptor, platform)).collect()
}

fn oci_image(
    contents: &mut impl Contents,
    descriptor: &Descriptor,
    platform: &Platform,
) -> Result<Described> {
    let (mut bytes, mut media_type) =
        (blob(contents, &descriptor.digest)?, Some(descriptor.media_type.as_str()));
    for _ in 0..=MAX_DEPTH {
        let manifest = match manifest::parse(&bytes, media_type)? {
            Document::Manifest(manifest) => manifest,
            Document::Index(index) => {
                (bytes, media_type) = (blob(contents, &index.serving(platform)?.digest)?, None);
                continue;
            }
        };
        return Ok(Described {
            names: named(descriptor.annotations.as_ref()).into_iter().collect(),
            config: blob(contents, &manifest.config.digest)?,
            layers: manifest.layers.iter().map(|layer| path(&layer.digest)).collect(),
            manifest: Some(bytes),
        });
    }
    Err(ImageError::Refused(format!("more than {MAX_DEPTH} indexes inside of each other")))
}

/// A bare tag is no name: the image then has its id only.
fn named(annotations: Option<&BTreeMap<String, String>>) -> Option<ImageRef> {
    let values = NAMES.iter().filter_map(|key| annotations?.get(*key));
    values.filter(|value| value.contains([':', '/'])).find_map(|value| ImageRef::parse(value).ok())
}

fn path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn blob(contents: &mut impl Contents, digest: &Digest) -> Result<Vec<u8>> {
    let bytes = contents.small(&path(digest))?;
    let got = Digest::of(&bytes);
    if got == *digest {
        Ok(bytes)
    } else {
        Err(ImageError::Refused(format!("blob {digest} is in truth {got}")))
    }
}
