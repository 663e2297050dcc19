//! Pipes between the shim, its clients and its containers. Our ends never block, the others' ends do.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::fstat;
use nix::unistd::{pipe2, read, write};
use std::os::fd::{AsFd, OwnedFd};

/// What a slow client of a container may be behind before it is cut off. The kernel holds it, and only what is used.
const CLIENT_BUFFER: i32 = 1 << 20;

pub(crate) fn set_nonblocking(fd: impl AsFd) -> Result<(), Errno> {
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(drop)
}

/// (ours to read, theirs to write)
pub(crate) fn from_them() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    set_nonblocking(&reader)?;
    Ok((reader, writer))
}

/// (theirs to read, ours to write)
pub(crate) fn to_them() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    set_nonblocking(&writer)?;
    Ok((reader, writer))
}

/// Like [`to_them`], with room for a reader that lags.
pub(crate) fn to_client() -> Result<(OwnedFd, OwnedFd), Errno> {
    let ends = to_them()?;
    // refused beyond the machine's quota for pipes: the usual 64 KiB must do then
    let _ = fcntl(&ends.1, FcntlArg::F_SETPIPE_SZ(CLIENT_BUFFER));
    Ok(ends)
}

pub(crate) fn is_pipe(fd: impl AsFd) -> bool {
    fstat(fd).is_ok_and(|found| found.st_mode & libc::S_IFMT == libc::S_IFIFO)
}

pub(crate) enum Input<'a> {
    Bytes(&'a [u8]),
    /// There may come more.
    Nothing,
    /// There comes no more: closed, or a terminal that nobody has open (EIO).
    End,
}

pub(crate) fn take<'a>(fd: impl AsFd, buffer: &'a mut [u8]) -> Input<'a> {
    loop {
        match read(&fd, buffer) {
            Ok(0) => return Input::End,
            Ok(length) => return Input::Bytes(&buffer[..length]),
            Err(Errno::EINTR) => continue,
            Err(Errno::EAGAIN) => return Input::Nothing,
            Err(_) => return Input::End,
        }
    }
}

/// How much of `data` went in without waiting; an error when the other end is closed.
pub(crate) fn give(fd: impl AsFd, data: &[u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < data.len() {
        match write(&fd, &data[done..]) {
            Ok(length) => done += length,
            Err(Errno::EINTR) => continue,
            Err(Errno::EAGAIN) => break,
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}
