//! What tests are made of: archives, whatever they hold, and images.

pub(crate) mod registry;

use crate::unpack::{Feed, Unpacked};
use crate::{Digest, ImageError, ImageStore, Registries};
use bytes::Bytes;
use std::io::Write;
use std::sync::Arc;
use tar::{EntryType, Header};
use tempfile::TempDir;

/// Writes archives that no honest tool would write.
#[derive(Default)]
pub(crate) struct Tar(Vec<u8>);

impl Tar {
    pub(crate) fn new() -> Tar {
        Tar::default()
    }

    pub(crate) fn entry(self, kind: EntryType, path: &str, link: &str, content: &[u8]) -> Tar {
        self.with(kind, path, link, content, |_| {})
    }

    pub(crate) fn with(
        mut self,
        kind: EntryType,
        path: &str,
        link: &str,
        content: &[u8],
        change: impl FnOnce(&mut Header),
    ) -> Tar {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_600_000_000);
        // not through set_path, which refuses what must be tested
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        change(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Tar {
        self.entry(EntryType::Regular, path, "", content.as_ref())
    }

    pub(crate) fn directory(self, path: &str) -> Tar {
        self.entry(EntryType::Directory, path, "", b"")
    }

    /// Attributes of the next entry.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Tar {
        let mut text = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length =
                (1..6).map(|digits| rest + digits).find(|l| l.to_string().len() + rest == *l).unwrap();
            text.extend_from_slice(format!("{length} {key}=").as_bytes());
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        self.entry(EntryType::XHeader, "pax", "", &text)
    }

    pub(crate) fn bytes(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    /// Without the end.
    pub(crate) fn torn(self) -> Vec<u8> {
        self.0
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Unpacks as a pull does, the input cut into pieces.
pub(crate) fn unpack(bytes: &[u8]) -> Result<Unpacked, ImageError> {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let pieces: Vec<Bytes> = bytes.chunks(1000).map(Bytes::copy_from_slice).collect();
    let feeder = std::thread::spawn(move || {
        let feeds = pieces.into_iter().map(Feed::Data).chain([Feed::End]);
        feeds.map(|feed| sender.blocking_send(feed)).all(|sent| sent.is_ok())
    });
    let unpacked = crate::unpack::unpack(trees::TempDir::new().unwrap(), receiver, |_| {});
    feeder.join().unwrap();
    unpacked
}

/// A store in a directory of its own.
pub(crate) struct TestStore {
    pub(crate) store: Arc<ImageStore>,
    pub(crate) dir: TempDir,
}

pub(crate) fn store() -> TestStore {
    let dir = TempDir::new().unwrap();
    TestStore { store: ImageStore::open(dir.path(), Registries::default()).unwrap(), dir }
}

/// An image's configuration over these layers.
pub(crate) fn config(layers: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<Digest> = layers.iter().map(|tar| Digest::of(tar)).collect();
    let config = serde_json::json!({
        "architecture": crate::manifest::architecture(), "os": "linux",
        "config": {"User": "1000:1000", "Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}
    });
    serde_json::to_vec(&config).unwrap()
}

/// As `docker save` before version 25 wrote it.
pub(crate) fn docker_archive(tags: &[&str], layers: &[Vec<u8>]) -> Vec<u8> {
    let config = config(layers);
    let config_name = format!("{}.json", Digest::of(&config).hex());
    let names: Vec<String> = (0..layers.len()).map(|n| format!("{n}/layer.tar")).collect();
    let manifest = serde_json::json!([{"Config": config_name, "RepoTags": tags, "Layers": names}]);
    let mut tar = Tar::new();
    for (name, layer) in names.iter().zip(layers) {
        tar = tar.file(name, layer);
    }
    tar.file(&config_name, config).file("manifest.json", manifest.to_string()).bytes()
}
