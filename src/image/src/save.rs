//! Images into a file, in the form of Docker since version 25: an OCI layout and a docker-archive in one, each layer once.

use crate::digest::Hasher;
use crate::document::ImageDocument;
use crate::error::{ImageError, Result, doing};
use crate::manifest::{Descriptor, Manifest, ManifestIndex, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use crate::store::{ImageStore, Inner, LayerRef, Rootfs};
use crate::tar_split::TarSplitReader;
use crate::{Digest, ImageRef};
use cri::blocking;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::sync::Arc;
use tokio::io::AsyncWrite;
use tokio_util::io::SyncIoBridge;

const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

impl ImageStore {
    /// Writes the images, under the names that were asked for; an id has none.
    pub async fn save(&self, names: &[String], out: impl AsyncWrite + Send + Unpin + 'static) -> Result<()> {
        let (store, names) = (self.inner.clone(), names.to_vec());
        let out = SyncIoBridge::new(out);
        blocking(move || {
            let images = collect(&store, &names)?;
            Saving { store, tar: tar::Builder::new(std::io::BufWriter::new(out)), written: BTreeSet::new() }
                .all(&images)
        })
        .await
    }

    /// One image, under names that it need not have here.
    pub async fn save_as(
        &self,
        id: &str,
        names: &[ImageRef],
        out: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Result<()> {
        let (store, id, tags) = (self.inner.clone(), id.to_owned(), names.to_vec());
        let out = SyncIoBridge::new(out);
        blocking(move || {
            let images =
                collect(&store, &[id])?.into_iter().map(|image| Image { tags: tags.clone(), ..image });
            let images: Vec<Image> = images.collect();
            Saving { store, tar: tar::Builder::new(std::io::BufWriter::new(out)), written: BTreeSet::new() }
                .all(&images)
        })
        .await
    }
}

struct Image {
    rootfs: Rootfs,
    layers: Vec<LayerRef>,
    config: Vec<u8>,
    tags: Vec<ImageRef>,
}

/// Several names of one image make one entry.
fn collect(store: &Arc<Inner>, names: &[String]) -> Result<Vec<Image>> {
    let mut images: Vec<Image> = Vec::new();
    for name in names {
        let rootfs = store.rootfs(name)?;
        let id = Digest::parse(&rootfs.id)?;
        let tag = ImageRef::parse(name).ok().filter(|name| name.tag().is_some());
        let tag = tag.filter(|tag| store.state().index.names.contains_key(&tag.to_string()));
        match images.iter_mut().find(|image| image.rootfs.id == rootfs.id) {
            Some(known) => known.tags.extend(tag),
            None => images.push(Image {
                layers: store.layers_of(&id)?,
                config: store.blobs.read(&id)?,
                rootfs,
                tags: tag.into_iter().collect(),
            }),
        }
    }
    Ok(images)
}

struct Saving<W: Write> {
    store: Arc<Inner>,
    tar: tar::Builder<W>,
    written: BTreeSet<Digest>,
}

impl<W: Write> Saving<W> {
    fn all(mut self, images: &[Image]) -> Result<()> {
        let mut index = Vec::new();
        let mut docker = Vec::new();
        let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for image in images {
            let manifest = self.image(image)?;
            index.extend(named(&manifest, &image.tags));
            docker.push(json!({
                "Config": blob_path(&Digest::of(&image.config)),
                "RepoTags": image.tags.iter().map(ImageRef::familiar).collect::<Vec<_>>(),
                "Layers": image.layers.iter().map(|layer| blob_path(&layer.diff_id)).collect::<Vec<_>>(),
            }));
            for tag in &image.tags {
                let top = image.layers.last().map(|layer| layer.diff_id.hex().to_owned()).unwrap_or_default();
                repositories.entry(tag.familiar_name()).or_default().insert(tag.version().to_owned(), top);
            }
        }
        let index = ManifestIndex { schema_version: 2, media_type: Some(OCI_INDEX.into()), manifests: index };
        self.json("index.json", &index)?;
        self.json("manifest.json", &docker)?;
        self.json("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}))?;
        if !repositories.is_empty() {
            self.json("repositories", &repositories)?;
        }
        self.tar.finish().and_then(|()| self.tar.get_mut().flush()).map_err(doing("write archive"))
    }

    /// Its blobs; gives its manifest.
    fn image(&mut self, image: &Image) -> Result<Descriptor> {
        let mut layers = Vec::new();
        for layer in &image.layers {
            layers.push(descriptor(OCI_LAYER, &layer.diff_id, self.layer(layer)?));
        }
        let config = self.blob(&image.config)?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(OCI_MANIFEST.into()),
            config: descriptor(OCI_CONFIG, &config, image.config.len() as u64),
            layers,
        };
        let bytes = serde_json::to_vec(&manifest).map_err(doing("write manifest"))?;
        Ok(descriptor(OCI_MANIFEST, &self.blob(&bytes)?, bytes.len() as u64))
    }

    fn layer(&mut self, layer: &LayerRef) -> Result<u64> {
        let gone = || ImageError::Refused(format!("layer {} is gone", layer.diff_id));
        let size = self.store.layers.facts(&layer.chain).ok_or_else(gone)?.tar_size;
        if !self.written.insert(layer.diff_id.clone()) {
            return Ok(size);
        }
        let reader = TarSplitReader::open(&self.store.layers.path(&layer.chain))?;
        let mut hashed = Hashed { reader, hasher: Hasher::new() };
        self.entry(&blob_path(&layer.diff_id), size, &mut hashed)?;
        match hashed.hasher.digest() == layer.diff_id {
            true => Ok(size),
            false => Err(ImageError::Refused(format!("layer {} has changed on disk", layer.diff_id))),
        }
    }

    fn blob(&mut self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        if self.written.insert(digest.clone()) {
            self.entry(&blob_path(&digest), bytes.len() as u64, bytes)?;
        }
        Ok(digest)
    }

    fn json(&mut self, name: &str, value: &impl serde::Serialize) -> Result<()> {
        let bytes = serde_json::to_vec(value).map_err(doing(format!("write {name}")))?;
        self.entry(name, bytes.len() as u64, &bytes[..])
    }

    fn entry(&mut self, name: &str, size: u64, content: impl Read) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        self.tar.append_data(&mut header, name, content).map_err(doing(format!("write {name}")))
    }
}

struct Hashed<R> {
    reader: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let got = self.reader.read(buffer)?;
        self.hasher.update(&buffer[..got]);
        Ok(got)
    }
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn descriptor(media_type: &str, digest: &Digest, size: u64) -> Descriptor {
    Descriptor {
        media_type: media_type.into(),
        digest: digest.clone(),
        size,
        platform: None,
        annotations: None,
    }
}

/// One entry a name; an image without a name has one as well.
fn named(manifest: &Descriptor, tags: &[ImageRef]) -> Vec<Descriptor> {
    let annotated = tags.iter().map(|tag| {
        let names = [
            ("io.containerd.image.name".to_owned(), tag.to_string()),
            ("org.opencontainers.image.ref.name".to_owned(), tag.version().to_owned()),
        ];
        Descriptor { annotations: Some(names.into()), ..manifest.clone() }
    });
    let annotated: Vec<Descriptor> = annotated.collect();
    if annotated.is_empty() { vec![manifest.clone()] } else { annotated }
}

/// An exported document parses again.
pub(crate) fn document(bytes: &[u8]) -> Result<ImageDocument> {
    serde_json::from_value(crate::config::read(bytes)?)
        .map_err(|e| ImageError::Refused(format!("broken image configuration: {e}")))
}
