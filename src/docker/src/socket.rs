//! The unix sockets that are listened on: the profile's own, and one at a path that other engines may want as well.

use nix::fcntl::{AtFlags, OFlag};
use nix::unistd::{Gid, fchownat, geteuid};
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// Who else may use a socket at a shared path, where this group exists.
const GROUP: &str = "docker";

#[derive(Debug, thiserror::Error)]
#[error("listen on {}: {why}", path.display())]
pub struct SocketError {
    path: PathBuf,
    why: io::Error,
}

/// One that is bound. Its file goes with it, unless it is somebody else's by then.
#[derive(Debug)]
pub struct Socket {
    pub(crate) listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Socket {
    /// Our own path: what an earlier process left there is replaced. Mode 0660.
    ///
    /// # Errors
    /// What the file system says.
    pub fn own(path: &Path) -> Result<Socket, SocketError> {
        bind(path, None).map_err(|why| SocketError { path: path.to_owned(), why })
    }

    /// A path that others know as well, as Docker's `/var/run/docker.sock`: for root and the group `docker`.
    ///
    /// # Errors
    /// Another engine answers there, or something else than a socket is there.
    pub fn shared(path: &Path) -> Result<Socket, SocketError> {
        let named = |why| SocketError { path: path.to_owned(), why };
        is_free(path).map_err(named)?;
        let group = group(&std::fs::read_to_string("/etc/group").unwrap_or_default());
        bind(path, group).map_err(named)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if inode(&self.path) == Some(self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes what a process that was killed left at a shared path; what is in use, or no socket, stays.
pub fn sweep(path: &Path) {
    if inode(path).is_some() && is_free(path).is_ok() {
        let _ = std::fs::remove_file(path);
    }
}

/// Out of /etc/group: a static program can not ask the C library, which would load other files for it.
fn group(text: &str) -> Option<Gid> {
    let line = text.lines().find(|line| line.split(':').next() == Some(GROUP))?;
    line.split(':').nth(2)?.parse().ok().map(Gid::from_raw)
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::symlink_metadata(path).ok().map(|meta| meta.ino())
}

/// Nothing, or a socket that nobody listens on.
fn is_free(path: &Path) -> io::Result<()> {
    let kind = match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?.file_type(),
    };
    if !kind.is_socket() {
        return Err(io::Error::other("there is something that is no socket"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::Error::other("another engine answers there")),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(e) => Err(e),
    }
}

fn bind(path: &Path, group: Option<Gid>) -> io::Result<Socket> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    let file = bound(path)?;
    if group.is_some() {
        fchownat(&file, "", None, group, AtFlags::AT_EMPTY_PATH)?;
    }
    // fchmod(2) takes no descriptor of a path
    let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::set_permissions(opened, Permissions::from_mode(0o660))?;
    let inode = file.metadata()?.ino();
    Ok(Socket { listener, path: path.to_owned(), inode })
}

/// The file that was just bound. Where others may write its directory, a link to a file of root's may stand there by now, which
/// would become the group's to write by its name.
fn bound(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    let meta = file.metadata()?;
    match meta.file_type().is_socket() && meta.uid() == geteuid().as_raw() {
        true => Ok(file),
        false => Err(io::Error::other("somebody has put something else there")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shared_path_is_taken_only_where_nobody_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/docker.sock");
        let first = Socket::shared(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
        let why = Socket::shared(&path).unwrap_err().to_string();
        assert!(why.ends_with("docker.sock: another engine answers there"), "{why}");
        sweep(&path);
        assert!(path.exists());
        drop(first);
        assert!(!path.exists());
        // a process that was killed leaves its file
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(Socket::shared(&path).unwrap());
        std::fs::write(&path, "").unwrap();
        let why = Socket::shared(&path).unwrap_err().to_string();
        assert!(why.ends_with("there is something that is no socket"), "{why}");
        sweep(&path);
        assert!(path.exists());
    }

    #[test]
    fn only_what_was_bound_gets_a_mode_and_a_group() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("socket"), at("link-to-socket")).unwrap();
        for (name, want) in [("socket", true), ("file", false), ("link", false), ("link-to-socket", false)] {
            let found = bound(&at(name)).map_err(|why| why.to_string());
            assert_eq!(found.is_ok(), want, "{name}: {found:?}");
        }
    }

    #[tokio::test]
    async fn the_group_of_a_socket_is_the_one_that_is_given() {
        if !geteuid().is_root() {
            eprintln!("SKIPPED: to give a file to a group needs root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docker.sock");
        let _socket = bind(&path, Some(Gid::from_raw(4242))).unwrap();
        let meta = std::fs::metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o777), (0, 4242, 0o660));
    }

    #[test]
    fn the_group_of_docker() {
        let text = "root:x:0:\ndockers:x:5:\ndocker:x:998:me,you\n";
        assert_eq!((group(text), group("root:x:0:\n")), (Some(Gid::from_raw(998)), None));
    }

    #[tokio::test]
    async fn what_others_put_in_its_place_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docker.sock");
        let ours = Socket::own(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let theirs = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(ours);
        assert!(path.exists());
        drop(theirs);
        sweep(&path);
        assert!(!path.exists());
    }
}
