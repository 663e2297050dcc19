use super::ignore::Ignore;
use super::view::View;
use super::{BuildContext, BuildError};
use crate::error::{Result, doing};
use crate::load::Unpacking;
use crate::store::Inner;
use crate::upper;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// Longer Dockerfiles are something else.
const MAX_DOCKERFILE: u64 = 16 << 20;

/// The build context in a folder of its own, which goes with it.
#[derive(Debug)]
pub(super) struct Context {
    _folder: TempDir,
    root: PathBuf,
}

impl Context {
    pub(super) fn open(store: &Arc<Inner>, context: BuildContext) -> Result<Context> {
        match context {
            BuildContext::Tar(tar) => Context::unpack(store, tokio_util::io::SyncIoBridge::new(tar)),
            BuildContext::Folder(folder) => Context::copy(store, &folder),
            BuildContext::Owned(folder) => Ok(Context { root: folder.path().to_owned(), _folder: folder }),
            BuildContext::Empty => {
                let folder = store.layers.temporary()?;
                Ok(Context { root: folder.path().to_owned(), _folder: folder })
            }
        }
    }

    /// As safe as a layer: nothing in it leads out.
    fn unpack(store: &Arc<Inner>, reader: impl Read) -> Result<Context> {
        let mut unpacking = Unpacking::start(store)?;
        unpacking.feed(reader).map_err(|e| e.within("build context"))?;
        Context::unpacked(unpacking)
    }

    /// A copy, so that all steps see the same files whatever happens to the folder meanwhile.
    fn copy(store: &Arc<Inner>, folder: &Path) -> Result<Context> {
        let unpacking = Unpacking::start(store)?;
        let written = unpacking.write(|sink| upper::write_tar(folder, sink));
        Context::unpacked(written.map_err(doing(format!("read {}", folder.display())))?)
    }

    fn unpacked(unpacking: Unpacking) -> Result<Context> {
        let unpacked = unpacking.wait().map_err(|e| e.within("build context"))?;
        Ok(Context { root: unpacked.folder.path().join("diff"), _folder: unpacked.folder })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn view(&self) -> View {
        View { layers: vec![self.root.clone()] }
    }

    pub(super) fn dockerfile(&self, name: &str) -> Result<String, BuildError> {
        let name = if name.is_empty() { "Dockerfile" } else { name };
        self.read(name)
            .ok_or_else(|| BuildError::Failed(format!("Cannot locate specified Dockerfile: {name}")))
    }

    fn read(&self, name: &str) -> Option<String> {
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let root = std::fs::File::open(self.root()).ok()?;
        let file =
            rustix::fs::openat2(&root, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), inside).ok()?;
        let mut bytes = Vec::new();
        std::fs::File::from(file).take(MAX_DOCKERFILE).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Takes away what `.dockerignore` (or the Dockerfile's own) names.
    pub(super) fn without_ignored(self, dockerfile: &str) -> Result<Context> {
        let own = format!("{}.dockerignore", if dockerfile.is_empty() { "Dockerfile" } else { dockerfile });
        let text = self.read(&own).or_else(|| self.read(".dockerignore")).unwrap_or_default();
        let ignore = Ignore::parse(&text);
        if !ignore.is_empty() {
            remove_ignored(&ignore, self.root(), "").map_err(doing("apply .dockerignore"))?;
        }
        Ok(self)
    }
}

/// A folder that is ignored may hold something that is not.
fn remove_ignored(ignore: &Ignore, folder: &Path, inside: &str) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let path = if inside.is_empty() {
            name.to_string_lossy().into_owned()
        } else {
            format!("{inside}/{}", name.to_string_lossy())
        };
        if entry.file_type()?.is_dir() {
            remove_ignored(ignore, &entry.path(), &path)?;
            if ignore.ignores(&path) {
                // only where nothing was kept in it
                _ = std::fs::remove_dir(entry.path());
            }
        } else if ignore.ignores(&path) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
