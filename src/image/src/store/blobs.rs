//! Manifests and configurations on the disk.

use crate::Digest;
use crate::error::{ImageError, Result, doing};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Manifests and configurations by their digest: small, immutable, each written whole.
pub(crate) struct Blobs {
    dir: PathBuf,
    tmp: PathBuf,
}

impl Blobs {
    pub(super) fn open(dir: PathBuf, tmp: PathBuf) -> Result<Blobs> {
        let dir = dir.join("sha256");
        std::fs::create_dir_all(&dir).map_err(doing(format!("create {}", dir.display())))?;
        Ok(Blobs { dir, tmp })
    }

    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(digest.hex())
    }

    /// Verified: a blob that changed on disk is an error, not an answer.
    pub(crate) fn read(&self, digest: &Digest) -> Result<Vec<u8>> {
        let bytes = std::fs::read(self.path(digest)).map_err(doing(format!("read blob {digest}")))?;
        if Digest::of(&bytes) != *digest {
            return Err(ImageError::Refused(format!("blob {digest} has changed on disk")));
        }
        Ok(bytes)
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        if !path.exists() {
            write_durably(&self.tmp, &path, bytes).map_err(doing(format!("write blob {digest}")))?;
        }
        Ok(digest)
    }

    pub(super) fn all(&self) -> Vec<Digest> {
        digests_in(&self.dir)
    }
}

/// The digests that are names in a directory; anything else there is not ours.
pub(super) fn digests_in(dir: &Path) -> Vec<Digest> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|e| Digest::parse(&format!("sha256:{}", e.file_name().to_str()?)).ok()).collect()
}

/// Whole and on the disk, or not there at all.
pub(super) fn write_durably(tmp: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(tmp)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
