//! `docker cp` and `docker export`.

use crate::archive::{self, Unpack};
use crate::call::{Answer, Call, empty, reader};
use crate::engine::Engine;
use crate::record::Container;
use crate::refusal::{Refusal, Result};
use crate::root::{Place, Root, is_missing, kind};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use nix::sys::stat::{FileStat, SFlag};
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::io::SyncIoBridge;

/// What is written ahead of a reader that is slow.
const PIPE: usize = 256 << 10;
const STAT: &str = "x-docker-container-path-stat";

struct Asked {
    container: Arc<Container>,
    path: PathBuf,
    layers: Vec<PathBuf>,
}

impl Asked {
    fn of(call: &Call) -> Result<Asked> {
        let container = call.engine.container(call.name())?;
        let path = call.query.get("path").ok_or_else(|| Refusal::bad("path cannot be empty"))?;
        let layers = call.engine.images.rootfs(&container.see(|r| r.image.clone()))?.layers;
        Ok(Asked { container, path: Path::new("/").join(path), layers })
    }

    /// A stopped container's root is put together for us alone; to look into one that runs nobody has to wait.
    fn alone(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let runs = || self.container.see(|r| r.running().is_some_and(|running| running.pid > 0));
        if runs() {
            return None;
        }
        let gate = self.container.gate.blocking_lock();
        (!runs()).then_some(gate)
    }

    /// # Errors
    /// Nothing may be written where it is.
    fn is_writable(&self) -> Result<()> {
        let path = crate::root::plain(&self.path);
        self.container.see(|r| {
            let mounts = r.mounts.iter().filter(|m| path.starts_with(&m.target));
            match mounts.max_by_key(|m| m.target.components().count()) {
                Some(mounted) if mounted.read_only => {
                    Err(Refusal::forbidden("mounted volume is marked read-only"))
                }
                None if r.host.readonly_rootfs => {
                    Err(Refusal::forbidden("container rootfs is marked read-only"))
                }
                _ => Ok(()),
            }
        })
    }

    fn tell(&self, engine: &Engine, action: &str) {
        let more = [("path", self.path.display().to_string())];
        engine.events.container(action, &self.container.record(), &more);
    }

    fn root(&self) -> Result<Root> {
        Root::of(&self.container, &self.layers, &self.path)
            .map_err(|e| Refusal::failed("open the root file system", e))
    }

    /// Where it is, what it is, and its name.
    fn find(&self, root: &Root) -> Result<(Place, FileStat)> {
        let place = root.place(&self.path).map_err(|e| self.refuse(e))?;
        let found = place.stat().map_err(|e| self.refuse(e.into()))?;
        let ends_as_folder = self.path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if ends_as_folder && kind(&found) == SFlag::S_IFREG {
            return Err(Refusal::bad(format_args!("lstat {}: not a directory", self.path.display())));
        }
        Ok((place, found))
    }

    fn refuse(&self, error: io::Error) -> Refusal {
        if is_missing(&error) {
            let name = self.container.see(|r| r.name.clone());
            return Refusal::not_found(format_args!(
                "Could not find the file {} in container {name}",
                self.path.display()
            ));
        }
        Refusal::failed(self.path.display(), error)
    }

    /// What it is called in the archive.
    fn name(&self) -> PathBuf {
        crate::root::plain(&self.path).file_name().map_or_else(|| PathBuf::from("/"), PathBuf::from)
    }
}

/// Go's `os.FileMode` has its own bits for what is no permission.
fn go_mode(found: &FileStat) -> u32 {
    let special = match kind(found) {
        SFlag::S_IFDIR => 1 << 31,
        SFlag::S_IFLNK => 1 << 27,
        SFlag::S_IFBLK => 1 << 26,
        SFlag::S_IFCHR => 1 << 26 | 1 << 21,
        SFlag::S_IFIFO => 1 << 25,
        SFlag::S_IFSOCK => 1 << 24,
        _ => 0,
    };
    let bits = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
    let more: u32 = bits.iter().filter(|(bit, _)| found.st_mode & bit != 0).map(|(_, go)| go).sum();
    found.st_mode & 0o777 | special | more
}

fn stat_header(asked: &Asked, place: &Place, found: &FileStat) -> Result<HeaderValue> {
    let target = place.link_target().map(|target| {
        // as seen from the root: what the client asks for next
        crate::root::plain(&asked.path.parent().unwrap_or(Path::new("/")).join(target))
    });
    let time =
        Timestamp::new(found.st_mtime, i32::try_from(found.st_mtime_nsec).unwrap_or(0)).unwrap_or_default();
    let text = json!({
        "name": asked.name(), "size": found.st_size, "mode": go_mode(found), "mtime": time.to_string(),
        "linkTarget": target.unwrap_or_default(),
    });
    let header = HeaderValue::from_str(&BASE64_STANDARD.encode(text.to_string()));
    header.map_err(|e| Refusal::failed("describe the path", e))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(Refusal::failed("the engine's own fault", e)))
}

pub(super) async fn stat(call: Call) -> Answer {
    let asked = Asked::of(&call)?;
    let header = blocking(move || {
        let _alone = asked.alone();
        let root = asked.root()?;
        let (place, found) = asked.find(&root)?;
        stat_header(&asked, &place, &found)
    })
    .await?;
    let mut answer = empty(StatusCode::OK)?;
    answer.headers_mut().insert(STAT, header);
    Ok(answer)
}

pub(super) async fn get(call: Call) -> Answer {
    let asked = Asked::of(&call)?;
    asked.tell(&call.engine, "archive-path");
    let (tell, told) = tokio::sync::oneshot::channel();
    let (from, to) = tokio::io::duplex(PIPE);
    tokio::task::spawn_blocking(move || {
        let _alone = asked.alone();
        let found = asked.root().and_then(|root| {
            let (place, found) = asked.find(&root)?;
            Ok((stat_header(&asked, &place, &found)?, root, place))
        });
        match found {
            Ok((header, _root, place)) => {
                let _ = tell.send(Ok(header));
                let name = asked.name();
                let name = if name == Path::new("/") { PathBuf::from("./") } else { name };
                if let Err(error) = archive::write(&place, &name, io::BufWriter::new(SyncIoBridge::new(to))) {
                    tracing::debug!(%error, "archive");
                }
            }
            Err(refusal) => drop(tell.send(Err(refusal))),
        }
    });
    let header = told.await.map_err(|e| Refusal::failed("archive", e))??;
    let mut answer = reader("application/x-tar", from)?;
    answer.headers_mut().insert(STAT, header);
    Ok(answer)
}

pub(super) async fn put(call: Call) -> Answer {
    let asked = Asked::of(&call)?;
    let how = Unpack {
        keep_kinds: call.query.flag("noOverwriteDirNonDir"),
        keep_owners: call.query.flag("copyUIDGID"),
    };
    asked.is_writable()?;
    asked.tell(&call.engine, "extract-to-dir");
    let body = SyncIoBridge::new(call.into_reader());
    blocking(move || {
        let _alone = asked.alone();
        let root = asked.root()?;
        root.folder(&asked.path).map_err(|e| asked.refuse(e))?;
        archive::unpack(&root, &asked.path, body, how).map_err(Refusal::bad)
    })
    .await?;
    empty(StatusCode::OK)
}

pub(super) async fn export(call: Call) -> Answer {
    let container = call.engine.container(call.name())?;
    call.engine.events.container("export", &container.record(), &[]);
    let layers = call.engine.images.rootfs(&container.see(|r| r.image.clone()))?.layers;
    let asked = Asked { container, path: PathBuf::from("/"), layers };
    let (from, to) = tokio::io::duplex(PIPE);
    tokio::task::spawn_blocking(move || {
        let _alone = asked.alone();
        let written = asked.root().map_err(io::Error::other).and_then(|root| {
            let place = root.place(Path::new("/"))?;
            archive::write(&place, Path::new(""), io::BufWriter::new(SyncIoBridge::new(to)))
        });
        if let Err(error) = written {
            tracing::warn!(%error, "export");
        }
    });
    reader("application/x-tar", from)
}
