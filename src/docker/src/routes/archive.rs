//! `docker cp` and `docker export`.

use crate::archive::{self, Unpack};
use crate::engine::Engine;
use crate::error::{ApiError, Result};
use crate::record::{Container, MountKind};
use crate::request::{ApiRequest, ApiResponse, empty, reader_until};
use crate::root::{self, Images, Place, Root, kind, plain};
use crate::{owner, plan};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cri::{Mount, blocking};
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use nix::errno::Errno;
use nix::sys::stat::{FileStat, SFlag};
use serde_json::json;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::io::SyncIoBridge;

/// What is written ahead of a reader that is slow.
const PIPE: usize = 256 << 10;
const STAT: &str = "x-docker-container-path-stat";
/// Of an archive that is refused: a client that still sends when the connection ends may not come to read why.
const MOST_READ_AWAY: u64 = 256 << 20;

/// A path as a client writes it. How it ends matters, as it does for cp(1).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    /// As it came.
    text: String,
    /// Absolute, without dots.
    path: PathBuf,
    /// `dir/` and `dir/.` are what a link leads to, and always a directory.
    is_directory: bool,
    /// `dir/.` is what is in it: names in an archive begin with `.`.
    is_content: bool,
}

impl Asked {
    fn parse(text: &str) -> Asked {
        let bare = text.trim_end_matches('/');
        Asked {
            text: text.to_owned(),
            path: plain(&Path::new("/").join(text)),
            is_directory: text.ends_with('/') || bare == "." || bare.ends_with("/."),
            is_content: bare == "." || bare.ends_with("/."),
        }
    }

    /// As Docker would write it in a message.
    fn shown(&self) -> String {
        let mut shown = self.path.display().to_string();
        if self.is_directory && !shown.ends_with('/') {
            shown.push('/');
        }
        if self.is_content {
            shown.push('.');
        }
        shown
    }

    /// The last name of it, with which an archive's names begin.
    fn name(&self) -> OsString {
        match (self.is_content, self.path.file_name()) {
            (true, _) => ".".into(),
            (false, Some(name)) => name.to_owned(),
            (false, None) => "/".into(),
        }
    }

    fn find(&self, root: &Root) -> io::Result<(Place, FileStat)> {
        let place = if self.is_directory { root.inside(&self.path)? } else { root.place(&self.path)? };
        let found = place.stat()?;
        Ok((place, found))
    }
}

/// A container to be looked into.
struct Subject {
    engine: Arc<Engine>,
    container: Arc<Container>,
    /// As the client calls it.
    name: String,
    layers: Vec<PathBuf>,
    /// What is seen in its root.
    mounts: Vec<Mount>,
    images: Images,
}

impl Subject {
    /// With its volumes, binds and own files, as Docker shows a container to cp: what the kernel mounts in it, and every
    /// tmpfs, is not seen.
    fn whole(request: &ApiRequest) -> Result<Subject> {
        let mut subject = Subject::bare(request)?;
        let volumes = subject.container.see(|r| {
            r.mounts.iter().filter(|m| m.kind != MountKind::Tmpfs).map(plan::seen).collect::<Vec<_>>()
        });
        // one that was removed by force has no layers any more
        let images =
            volumes.iter().filter_map(|mount| request.engine.images.rootfs(mount.image.as_ref()?).ok());
        subject.images = images.map(|image| (image.id, image.layers)).collect();
        subject.mounts = volumes.into_iter().chain(request.engine.own_files(&subject.container)).collect();
        Ok(subject)
    }

    /// Its own file system alone.
    fn bare(request: &ApiRequest) -> Result<Subject> {
        let container = request.engine.container(request.name())?;
        let layers = request.engine.images.rootfs(&container.see(|r| r.image.clone()))?.layers;
        let (engine, name) = (request.engine.clone(), request.name().to_owned());
        Ok(Subject { engine, container, name, layers, mounts: Vec::new(), images: Images::new() })
    }

    /// A stopped container's root is put together for us alone; to look into one that runs nobody has to wait.
    fn alone(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let runs = || self.container.see(|r| r.process().is_some());
        if runs() {
            return None;
        }
        let gate = self.container.gate.blocking_lock();
        (!runs()).then_some(gate)
    }

    fn look<T: Send>(&self, work: impl FnOnce(&Root) -> Result<T> + Send) -> Result<T> {
        let _alone = self.alone();
        let volumes = || self.engine.look_at_volumes(&self.container.record());
        let _volumes = (!self.mounts.is_empty()).then(volumes).transpose()?;
        root::look(&self.container, &self.layers, &self.mounts, &self.images, work)
            .map_err(|e| ApiError::failed("open the root file system", e))?
    }

    fn tell(&self, engine: &Engine, action: &str, asked: &Asked) {
        let more = [("path", asked.text.clone())];
        engine.events.container(action, &self.container.record(), &more);
    }

    fn refuse(&self, asked: &Asked, error: &io::Error) -> ApiError {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT) => ApiError::not_found(format_args!(
                "Could not find the file {} in container {}",
                asked.text, self.name
            )),
            Some(errno) => {
                ApiError::failed(format_args!("lstat {}", asked.shown()), errno.desc().to_lowercase())
            }
            None => ApiError::failed(asked.shown(), error),
        }
    }

    /// # Errors
    /// Nothing may be written at `path`, of which no link is left.
    fn is_writable(&self, path: &Path) -> Result<()> {
        self.container.see(|r| {
            let mounts = r.mounts.iter().filter(|m| path.starts_with(&m.target));
            match mounts.max_by_key(|m| m.target.components().count()) {
                Some(mounted) if mounted.read_only => {
                    Err(ApiError::bad("mounted volume is marked read-only"))
                }
                None if r.host.readonly_rootfs => Err(ApiError::bad("container rootfs is marked read-only")),
                _ => Ok(()),
            }
        })
    }

    /// Whose everything becomes that `cp -a` brings: the container's user's.
    fn owner(&self, root: &Root) -> Result<Option<(u32, u32)>> {
        let read = |path: &str| root.read_text(Path::new(path));
        let user = self.container.see(|r| r.config.user.clone());
        owner::resolve(&user, &read("/etc/passwd"), &read("/etc/group")).map_err(ApiError::bad)
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

fn stat_header(asked: &Asked, root: &Root, place: &Place, found: &FileStat) -> Result<HeaderValue> {
    let target = place.link_target().map(|target| {
        // as seen from the root: what the client asks for next
        let whole = root.at(&asked.path).and_then(|end| root.path_of(&end));
        whole.unwrap_or_else(|_| plain(&asked.path.parent().unwrap_or(Path::new("/")).join(target)))
    });
    let time =
        Timestamp::new(found.st_mtime, i32::try_from(found.st_mtime_nsec).unwrap_or(0)).unwrap_or_default();
    let text = json!({
        "name": asked.name().to_string_lossy(), "size": found.st_size, "mode": go_mode(found), "mtime": time.to_string(),
        "linkTarget": target.unwrap_or_default(),
    });
    let header = HeaderValue::from_str(&BASE64_STANDARD.encode(text.to_string()));
    header.map_err(|e| ApiError::failed("describe the path", e))
}

fn asked(request: &ApiRequest) -> Result<Asked> {
    // as Docker's own form parser says it
    request
        .query
        .get("path")
        .map(Asked::parse)
        .ok_or_else(|| ApiError::bad("bad parameter: 'path' cannot be empty"))
}

pub(super) async fn stat(request: ApiRequest) -> ApiResponse {
    let (asked, subject) = (asked(&request)?, Subject::whole(&request)?);
    let header = blocking(move || {
        subject.look(|root| {
            let (place, found) = asked.find(root).map_err(|e| subject.refuse(&asked, &e))?;
            stat_header(&asked, root, &place, &found)
        })
    })
    .await?;
    let mut answer = empty(StatusCode::OK)?;
    answer.headers_mut().insert(STAT, header);
    Ok(answer)
}

pub(super) async fn get(request: ApiRequest) -> ApiResponse {
    let (asked, subject) = (asked(&request)?, Subject::whole(&request)?);
    subject.tell(&request.engine, "archive-path", &asked);
    let (tell, told) = tokio::sync::oneshot::channel();
    let (from, to) = tokio::io::duplex(PIPE);
    let to = SyncIoBridge::new(to);
    let written = tokio::task::spawn_blocking(move || {
        let mut tell = Some(tell);
        let done = subject.look(|root| {
            let (place, found) = asked.find(root).map_err(|e| subject.refuse(&asked, &e))?;
            let header = stat_header(&asked, root, &place, &found)?;
            let _ = tell.take().map(|tell| tell.send(Ok(header)));
            archive::write(&place, &asked.name(), io::BufWriter::new(to))
                .map_err(|e| ApiError::failed("archive", e))
        });
        match (done, tell) {
            (Err(refusal), Some(tell)) => {
                drop(tell.send(Err(refusal)));
                Ok(())
            }
            (done, _) => done.map_err(io::Error::other),
        }
    });
    let header = told.await.map_err(|e| ApiError::failed("archive", e))??;
    let mut answer = reader_until("application/x-tar", from, written)?;
    answer.headers_mut().insert(STAT, header);
    Ok(answer)
}

pub(super) async fn put(request: ApiRequest) -> ApiResponse {
    let (asked, subject) = (asked(&request)?, Subject::whole(&request)?);
    let (keep_kinds, keep_owners) =
        (request.query.flag("noOverwriteDirNonDir"), request.query.flag("copyUIDGID"));
    let engine = request.engine.clone();
    let mut body = SyncIoBridge::new(request.into_reader());
    blocking(move || {
        let unpacked = subject.look(|root| {
            let found = root.at(&asked.path).map_err(|e| subject.refuse(&asked, &e))?;
            if kind(&nix::sys::stat::fstat(&found).map_err(|e| ApiError::failed("stat", e))?)
                != SFlag::S_IFDIR
            {
                return Err(match asked.is_directory {
                    true => subject.refuse(&asked, &Errno::ENOTDIR.into()),
                    false => ApiError::bad("extraction point is not a directory"),
                });
            }
            let target = root.path_of(&found).map_err(|e| subject.refuse(&asked, &e))?;
            subject.is_writable(&target)?;
            let owner = if keep_owners { subject.owner(root)? } else { None };
            archive::unpack(root, &target, &mut body, Unpack { keep_kinds, owner })
                .map_err(ApiError::internal)
        });
        unpacked.inspect_err(|_| read_away(&mut body))?;
        subject.tell(&engine, "extract-to-dir", &asked);
        Ok::<_, ApiError>(())
    })
    .await?;
    empty(StatusCode::OK)
}

fn read_away(rest: &mut impl Read) {
    let _ = io::copy(&mut rest.take(MOST_READ_AWAY), &mut io::sink());
}

pub(super) async fn export(request: ApiRequest) -> ApiResponse {
    let subject = Subject::bare(&request)?;
    request.engine.events.container("export", &subject.container.record(), &[]);
    let (from, to) = tokio::io::duplex(PIPE);
    let to = SyncIoBridge::new(to);
    let written = tokio::task::spawn_blocking(move || {
        let done = subject.look(|root| {
            let whole = root.inside(Path::new("/")).map_err(|e| ApiError::failed("export", e))?;
            archive::write(&whole, "".as_ref(), io::BufWriter::new(to))
                .map_err(|e| ApiError::failed("export", e))
        });
        done.map_err(io::Error::other)
    });
    reader_until("application/x-tar", from, written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_path_ends_says_what_is_meant() {
        for (text, shown, name, is_directory) in [
            ("/", "/", "/", true),
            (".", "/.", ".", true),
            ("/.", "/.", ".", true),
            ("./", "/.", ".", true),
            ("/./", "/.", ".", true),
            ("bar/quux", "/bar/quux", "quux", false),
            ("/bar/quux/", "/bar/quux/", "quux", true),
            ("/bar/quux/.", "/bar/quux/.", ".", true),
            ("/bar/../etc/passwd", "/etc/passwd", "passwd", false),
            ("/bar/..", "/", "/", false),
            ("/a.", "/a.", "a.", false),
        ] {
            let asked = Asked::parse(text);
            assert_eq!(
                (asked.shown().as_str(), asked.name().to_str().unwrap(), asked.is_directory),
                (shown, name, is_directory),
                "{text}"
            );
        }
    }
}
