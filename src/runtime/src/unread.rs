//! What the other end of a socket has not read yet.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

nix::ioctl_read_bad!(out_queue, libc::TIOCOUTQ, libc::c_int);

/// The memory of what was written to a unix socket and is not read yet, or one byte while the kernel is just telling that it is;
/// unix(7), `SIOCOUTQ`. Whoever polls the socket for room hears of each piece that was read whole.
///
/// # Errors
/// It is no socket.
pub fn unread(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes = 0;
    // SAFETY: the descriptor is open, and the kernel writes an int that lives through the call.
    unsafe { out_queue(socket.as_raw_fd(), &raw mut bytes) }?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_was_read_is_no_longer_counted() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        assert_eq!(unread(one.as_fd()).unwrap(), 0);
        one.write_all(&[7; 100]).unwrap();
        assert!(unread(one.as_fd()).unwrap() >= 100);
        other.read_exact(&mut [0; 60]).unwrap();
        assert!(unread(one.as_fd()).unwrap() > 1, "a part of it is left");
        other.read_exact(&mut [0; 40]).unwrap();
        assert_eq!(unread(one.as_fd()).unwrap(), 0);
    }
}
