//! This program as shims run it: from a read-only mount that is nowhere. A container whose first program is
//! `/proc/self/exe` becomes this program, and then shows it to its other processes, which may keep it open and, as root
//! of the host, overwrite it when nothing runs from it any more (CVE-2019-5736). Through this mount nobody writes.

use nix::errno::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

pub struct Program {
    path: PathBuf,
    mount: Option<OwnedFd>,
    /// It is the program of this process.
    runs: bool,
}

const THIS: &str = "/proc/self/exe";

impl Program {
    /// Where the kernel can not do it (before 5.12) the program is run as it is.
    pub fn protect(path: &Path) -> Program {
        // by what runs, where it is this program: its file may be replaced just now, and have no name any more
        let runs = std::env::current_exe().is_ok_and(|own| own == path);
        let mount = read_only(if runs { Path::new(THIS) } else { path })
            .inspect_err(|error| {
                let path = path.display();
                tracing::warn!(%path, %error, "containers that run as root may overwrite the program: no read-only mount of it");
            })
            .ok();
        Program { path: path.to_owned(), mount, runs }
    }

    /// A script's interpreter would look for it by its descriptor.
    #[cfg(test)]
    pub fn as_it_is(path: &Path) -> Program {
        Program { path: path.to_owned(), mount: None, runs: false }
    }

    /// How it is called,
    pub fn name(&self) -> &Path {
        &self.path
    }

    /// and what is run, by a child of this process.
    pub fn executable(&self) -> PathBuf {
        match &self.mount {
            Some(mount) => PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd())),
            None if self.runs => PathBuf::from(THIS),
            None => self.path.clone(),
        }
    }
}

fn read_only(path: &Path) -> Result<OwnedFd, Errno> {
    const READ_ONLY: u64 = 1; // MOUNT_ATTR_RDONLY
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(rustix::fs::CWD, path, flags).map_err(|e| Errno::from_raw(e.raw_os_error()))?;
    // linux/mount.h: attributes to set, to clear, propagation, a user namespace
    let attributes = [READ_ONLY, 0, 0, 0];
    // SAFETY: the kernel reads a struct of this layout and size, and an empty path; both live through the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            attributes.as_ptr(),
            size_of_val(&attributes),
        )
    };
    Errno::result(done).map(|_| mount)
}
