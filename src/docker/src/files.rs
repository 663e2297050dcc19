//! Records on disk: whole or not there.

use cri::Asker;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Replaces the file at once; a crash leaves the old one or the new one.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    private_dir(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    file.as_file().sync_data()?;
    file.persist(path)?;
    Ok(())
}

pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

pub(crate) fn private_dir(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// A directory that a container may change while it is read: no link in it is followed, whatever it is swapped for.
pub(crate) struct Theirs(OwnedFd);

impl Theirs {
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        Ok(Self(cri::subpath::open_base(directory)?))
    }

    /// Where something of it is: a path that holds as long as the directory beside it is open. Its last name alone may be a link.
    pub(crate) fn place(&self, inside: &Path) -> io::Result<(OwnedFd, PathBuf)> {
        let (Some(above), Some(name)) = (inside.parent(), inside.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let above = self.directory(above)?;
        let path = Path::new("/proc/self/fd").join(above.as_raw_fd().to_string()).join(name);
        Ok((above, path))
    }

    pub(crate) fn directory(&self, inside: &Path) -> io::Result<OwnedFd> {
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        Ok(openat2(&self.0, inside, how)?)
    }
}

/// Bytes that a directory tree takes, links not followed; none of one that is not there, and none for a client that has gone.
pub(crate) fn size(dir: &Path, client: &Asker) -> u64 {
    let opened = Theirs::open(dir).and_then(|dir| dir.directory(Path::new("")));
    opened.and_then(|dir| trees::size(dir, || !client.is_gone())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_is_measured() {
        let dir = tempfile::tempdir().unwrap();
        let upper = dir.path().join("upper");
        std::fs::create_dir_all(upper.join("a/b")).unwrap();
        std::fs::create_dir(dir.path().join("host")).unwrap();
        for path in ["upper/one", "upper/a/b/two", "host/three"] {
            std::fs::write(dir.path().join(path), "12345").unwrap();
        }
        std::os::unix::fs::symlink("../host", upper.join("link")).unwrap();
        let length_of_link = "../host".len() as u64;
        let client = Asker::default();
        let size = |dir: &Path| size(dir, &client);
        assert_eq!((size(&upper), size(&dir.path().join("nowhere"))), (10 + length_of_link, 0));
        let theirs = Theirs::open(&upper).unwrap();
        for out in ["link", "../host"] {
            assert!(theirs.directory(Path::new(out)).is_err(), "{out}");
        }
    }
}
