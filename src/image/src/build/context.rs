//! The build context: an archive, a directory, a git repository or what a URL gives becomes a directory of the build's own.

use super::git::{self, Repository};
use super::ignore::Ignore;
use super::options::BuildSsh;
use super::remote::is_http;
use super::view::View;
use super::{BuildContext, BuildError, GIVEN_UP, archive, directory};
use crate::error::{ImageError, Result, doing};
use crate::load::Unpacking;
use crate::store::Inner;
use crate::unpack::Compression;
use cri::blocking;
use rustix::fs::OFlags;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use trees::TempDir;

/// Longer Dockerfiles are something else.
const MAX_DOCKERFILE: u64 = 16 << 20;

/// The build context in a directory of its own, which goes with it.
#[derive(Debug)]
pub(super) struct Context {
    _directory: TempDir,
    root: PathBuf,
    /// A context that is no more than this.
    dockerfile: Option<String>,
}

impl Context {
    pub(super) async fn open(
        store: &Arc<Inner>,
        context: BuildContext,
        dockerfile: &str,
        ssh: Option<&dyn BuildSsh>,
        gone: &CancellationToken,
    ) -> Result<Context, BuildError> {
        let (dockerfile, gone) = (dockerfile.to_owned(), gone.clone());
        let store = store.clone();
        let opened = match context {
            BuildContext::Tar(tar) => {
                let reader = tokio_util::io::SyncIoBridge::new(tar);
                blocking(move || Context::unpack(&store, reader)).await
            }
            BuildContext::Directory(directory) => {
                blocking(move || Context::copy(&store, &directory, &dockerfile, &gone)).await
            }
            BuildContext::Owned(directory) => Ok(Context::owned(directory)),
            BuildContext::Empty => store.layers.temporary().map(Context::owned),
            BuildContext::Url(url) if git::is_repository(&url) => {
                return Context::clone(&store, &url, ssh).await;
            }
            BuildContext::Url(url) => return Context::download(&store, &url).await,
        };
        Ok(opened?)
    }

    fn owned(directory: TempDir) -> Context {
        Context { root: directory.path().to_owned(), _directory: directory, dockerfile: None }
    }

    async fn clone(store: &Arc<Inner>, url: &str, ssh: Option<&dyn BuildSsh>) -> Result<Context, BuildError> {
        let repository = Repository::parse(url).map_err(BuildError::Failed)?;
        let directory = store.layers.temporary()?;
        let agent = git::agent(ssh).await.map_err(BuildError::Failed)?;
        let place = directory.path().join("context");
        let root = repository.clone_into(&place, false, agent.as_deref()).await;
        let root = root.map_err(|e| BuildError::Failed(format!("unable to prepare context: {e}")))?;
        Ok(Context { root, _directory: directory, dockerfile: None })
    }

    /// An archive, or else a Dockerfile.
    async fn download(store: &Arc<Inner>, url: &str) -> Result<Context, BuildError> {
        if !is_http(url) {
            return Err(BuildError::Failed(format!(
                "unable to prepare context: {url:?} is no address of one"
            )));
        }
        let directory = store.layers.temporary()?;
        let file = directory.path().join("context");
        crate::registry::fetch(&store.transport, url, &file).await?;
        let store = store.clone();
        let opened = blocking(move || {
            let name = file.display().to_string();
            if archive::is_one(&file).map_err(ImageError::Refused)? {
                let reader = std::fs::File::open(&file).map_err(doing(format!("open {name}")))?;
                return Context::unpack(&store, reader);
            }
            let text = std::fs::File::open(&file).and_then(|file| read_text(&file, MAX_DOCKERFILE));
            let text = text.map_err(|e| ImageError::Refused(format!("failed to read Dockerfile: {e}")))?;
            std::fs::remove_file(&file).map_err(doing(format!("remove {name}")))?;
            Ok(Context { dockerfile: Some(text), ..Context::owned(directory) })
        });
        Ok(opened.await?)
    }

    /// As safe as a layer: nothing in it leads out.
    fn unpack(store: &Arc<Inner>, reader: impl Read) -> Result<Context> {
        let mut unpacking = Unpacking::start(store)?;
        unpacking.feed(Padded::new(reader)).map_err(|e| e.within("build context"))?;
        Context::unpacked(unpacking)
    }

    fn copy(
        store: &Arc<Inner>,
        directory: &Path,
        dockerfile: &str,
        gone: &CancellationToken,
    ) -> Result<Context> {
        let ignore = ignored(directory, dockerfile)?;
        let needed = [if dockerfile.is_empty() { "Dockerfile" } else { dockerfile }, ".dockerignore"];
        let own = format!("{}.dockerignore", needed[0]);
        let needed: Vec<String> = needed.iter().map(|name| clean(name)).chain([clean(&own)]).collect();
        Ok(Context::owned(directory::copy(store, directory, &ignore, &needed, gone)?))
    }

    fn unpacked(unpacking: Unpacking) -> Result<Context> {
        let unpacked = unpacking.wait().map_err(|e| e.within("build context"))?;
        Ok(Context {
            root: unpacked.directory.path().join("diff"),
            _directory: unpacked.directory,
            dockerfile: None,
        })
    }

    /// Its files alone. What was no archive, but a single file, is none that could be copied of.
    pub(super) fn into_directory(self, store: &Inner) -> Result<TempDir> {
        if self.dockerfile.is_some() {
            return Err(ImageError::Refused("build context: neither an archive nor a repository".to_owned()));
        }
        let directory = store.layers.temporary()?;
        std::fs::rename(&self.root, directory.path()).map_err(doing("keep the build context"))?;
        Ok(directory)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn view(&self) -> View {
        View { layers: vec![self.root.clone()] }
    }

    pub(super) fn dockerfile(&self, name: &str) -> Result<String, BuildError> {
        if let Some(text) = &self.dockerfile {
            return Ok(text.clone());
        }
        let name = if name.is_empty() { "Dockerfile" } else { name };
        match read_inside(&self.root, name)? {
            None => Err(BuildError::Failed(format!("Cannot locate specified Dockerfile: {name}"))),
            Some(text) if text.is_empty() => {
                Err(BuildError::Failed(format!("The Dockerfile ({name}) cannot be empty")))
            }
            Some(text) => Ok(text),
        }
    }

    /// Takes away what `.dockerignore` (or the Dockerfile's own) names.
    pub(super) fn without_ignored(self, dockerfile: &str, gone: &CancellationToken) -> Result<Context> {
        if self.dockerfile.is_some() {
            return Ok(self);
        }
        let ignore = ignored(&self.root, dockerfile)?;
        if !ignore.is_empty() {
            remove_ignored(&ignore, self.root(), "", gone).map_err(doing("apply .dockerignore"))?;
        }
        Ok(self)
    }
}

/// What docker sends with `-f` from outside of the context ends without the last file's padding.
struct Padded<R> {
    inner: R,
    head: Vec<u8>,
    length: usize,
    is_over: bool,
}

/// Of a tar.
const BLOCK: usize = 512;

impl<R: Read> Padded<R> {
    fn new(inner: R) -> Padded<R> {
        Padded { inner, head: Vec::new(), length: 0, is_over: false }
    }
}

impl<R: Read> Read for Padded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if !self.is_over {
            let got = self.inner.read(buffer)?;
            self.length += got;
            let missing = BLOCK.saturating_sub(self.head.len()).min(got);
            self.head.extend_from_slice(&buffer[..missing]);
            if got > 0 || buffer.is_empty() {
                return Ok(got);
            }
            self.is_over = true;
        }
        if self.length.is_multiple_of(BLOCK) || Compression::sniff(&self.head) != Compression::None {
            return Ok(0);
        }
        let zeros = (BLOCK - self.length % BLOCK).min(buffer.len());
        buffer[..zeros].fill(0);
        self.length += zeros;
        Ok(zeros)
    }
}

/// What the Dockerfile's own ignore file says, or the one of the context.
fn ignored(root: &Path, dockerfile: &str) -> Result<Ignore> {
    let own = format!("{}.dockerignore", if dockerfile.is_empty() { "Dockerfile" } else { dockerfile });
    let text = match read_inside(root, &own)? {
        None => read_inside(root, ".dockerignore")?,
        own => own,
    };
    Ignore::parse(&text.unwrap_or_default()).map_err(|e| ImageError::Refused(format!(".dockerignore: {e}")))
}

/// Without `./` in front, as names in a context are.
fn clean(name: &str) -> String {
    let names = name.split('/').filter(|name| !name.is_empty() && *name != ".");
    names.collect::<Vec<_>>().join("/")
}

/// A link is followed inside of the context only; what is no file is none.
fn read_inside(root: &Path, name: &str) -> Result<Option<String>> {
    // a device or a pipe in its place must not be opened
    let Some(file) = find_inside(root, name).and_then(|found| trees::read_regular(found).ok()?) else {
        return Ok(None);
    };
    let text = read_text(&file, MAX_DOCKERFILE);
    text.map(Some).map_err(|e| ImageError::Refused(format!("failed to read {name}: {e}")))
}

fn find_inside(root: &Path, name: &str) -> Option<OwnedFd> {
    let root = std::fs::File::open(root).ok()?;
    trees::open_in_root(&root, Path::new(name), OFlags::PATH).ok()
}

/// A part of it would be another Dockerfile: one that is longer than `most` bytes is none.
fn read_text(file: &std::fs::File, most: u64) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(std::io::Error::other(format!("it has more than {most} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A directory that is ignored may hold something that is not.
fn remove_ignored(
    ignore: &Ignore,
    directory: &Path,
    inside: &str,
    gone: &CancellationToken,
) -> std::io::Result<()> {
    trees::check_depth(inside.matches('/').count())?;
    for entry in std::fs::read_dir(directory)? {
        if gone.is_cancelled() {
            return Err(std::io::Error::other(GIVEN_UP));
        }
        let entry = entry?;
        let name = entry.file_name();
        let path = if inside.is_empty() {
            name.to_string_lossy().into_owned()
        } else {
            format!("{inside}/{}", name.to_string_lossy())
        };
        if entry.file_type()?.is_dir() {
            remove_ignored(ignore, &entry.path(), &path, gone)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerfile_is_read_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: u64| {
            std::fs::File::create(dir.path().join(name)).unwrap().set_len(bytes).unwrap();
        };
        put("fits", MAX_DOCKERFILE);
        put("long", MAX_DOCKERFILE + 1);
        put("long.dockerignore", MAX_DOCKERFILE + 1);
        let read = |name: &str| read_inside(dir.path(), name).map(|text| text.map(|text| text.len() as u64));
        assert_eq!(read("fits"), Ok(Some(MAX_DOCKERFILE)));
        assert_eq!(read("none"), Ok(None));
        let refused = read("long").unwrap_err().to_string();
        assert_eq!(refused, "failed to read long: it has more than 16777216 bytes");
        let refused = ignored(dir.path(), "long").err().unwrap().to_string();
        assert_eq!(refused, "failed to read long.dockerignore: it has more than 16777216 bytes");
    }
}
