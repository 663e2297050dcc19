//! What a helper process and the processes that come out of it tell the shim: packets on one socket, which closes by
//! itself when the last of them has become the container's program or has ended. The kernel says of each packet who sent it:
//! which process exists is the helper's alone to tell, for what is inside of a container already could name one of the machine's.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    UnixCredentials, recvmsg, sendmsg, setsockopt, socketpair, sockopt,
};
use nix::unistd::Pid;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A text is cut to it, so that a packet always fits in the socket's buffer.
const TEXT_LIMIT: usize = 4 << 10;

#[derive(Debug)]
pub(crate) enum Report {
    /// The process exists.
    Made(i32),
    /// It does not come to be, in the user's words.
    Failed(String),
    /// What libcontainer logged as an error: the reason behind a failure that it only names.
    Detail(String),
    Terminal(OwnedFd),
    Closed,
}

/// The shim's end, and the helper's.
pub(crate) fn channel() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    setsockopt(&ours, sockopt::PassCred, &true)?;
    Ok((ours, theirs))
}

/// The sending end, by number: it is shared by forks, none of which closes it early.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reporter(pub(crate) RawFd);

impl Reporter {
    pub(crate) fn made(self, pid: i32) {
        self.send(b'M', &pid.to_string(), &[]);
    }

    pub(crate) fn failed(self, why: &str) {
        self.send(b'F', why, &[]);
    }

    pub(crate) fn detail(self, text: &str) {
        self.send(b'D', text, &[]);
    }

    pub(crate) fn terminal(self, master: &OwnedFd) {
        self.send(b'T', "", &[master.as_raw_fd()]);
    }

    fn send(self, tag: u8, text: &str, fds: &[RawFd]) {
        let mut end = text.len().min(TEXT_LIMIT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let rights = [ControlMessage::ScmRights(fds)];
        let rights = if fds.is_empty() { &rights[..0] } else { &rights[..] };
        let parts = [IoSlice::new(std::slice::from_ref(&tag)), IoSlice::new(&text.as_bytes()[..end])];
        // a shim that listens no more has given up on this process
        let _ = sendmsg::<UnixAddr>(
            self.0,
            &parts,
            rights,
            MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT,
            None,
        );
    }
}

/// The next packet; `None` while there is none.
pub(crate) fn receive(socket: &OwnedFd) -> Option<Report> {
    receive_with_sender(socket).map(|(report, _)| report)
}

/// The same, and who sent it, where [`channel`] made the socket.
pub(crate) fn receive_with_sender(socket: &OwnedFd) -> Option<(Report, Option<Pid>)> {
    let mut text = [0; TEXT_LIMIT + 1];
    let mut space = nix::cmsg_space!([RawFd; 1], UnixCredentials);
    let mut parts = [IoSliceMut::new(&mut text)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = match recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags) {
        Ok(message) => message,
        Err(Errno::EAGAIN | Errno::EINTR) => return None,
        Err(_) => return Some((Report::Closed, None)),
    };
    let length = message.bytes;
    let (mut fd, mut sender) = (None, None);
    for one in message.cmsgs().into_iter().flatten() {
        match one {
            ControlMessageOwned::ScmRights(fds) => fd = fds.first().copied(),
            ControlMessageOwned::ScmCredentials(of) => sender = Some(Pid::from_raw(of.pid())),
            _ => {}
        }
    }
    if let Some(fd) = fd {
        // SAFETY: the kernel just made this descriptor for us.
        return Some((Report::Terminal(unsafe { OwnedFd::from_raw_fd(fd) }), sender));
    }
    let (tag, rest) = text[..length].split_first().map_or((0, &[][..]), |(tag, rest)| (*tag, rest));
    let rest = String::from_utf8_lossy(rest).into_owned();
    let report = match tag {
        b'M' => Report::Made(rest.parse().unwrap_or(0)),
        b'F' => Report::Failed(rest),
        b'D' => Report::Detail(rest),
        _ => Report::Closed,
    };
    Some((report, sender))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::waitpid;
    use nix::unistd::{ForkResult, fork, getpid};

    #[test]
    fn who_sent_a_packet_is_known() {
        let (ours, theirs) = channel().unwrap();
        let reporter = Reporter(theirs.as_raw_fd());
        reporter.made(7);
        // SAFETY: the child does nothing but to send a packet that was put together before, and ends.
        let child = match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                let packet = *b"M1";
                // SAFETY: the descriptor is open, and so many bytes are there.
                unsafe { libc::send(theirs.as_raw_fd(), packet.as_ptr().cast(), packet.len(), 0) };
                // SAFETY: ends the fork without what the test would do at its own end.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => child,
        };
        waitpid(child, None).unwrap();
        for (want, by) in [(7, getpid()), (1, child)] {
            let (report, sender) = receive_with_sender(&ours).unwrap();
            assert!(matches!(report, Report::Made(pid) if pid == want), "{report:?}");
            assert_eq!(sender, Some(by), "{want}");
        }
    }

    #[test]
    fn packets_arrive_whole_and_in_order_and_the_last_close_is_seen() {
        let (ours, theirs) = channel().unwrap();
        let reporter = Reporter(theirs.as_raw_fd());
        reporter.made(7);
        reporter.detail(&"ä".repeat(TEXT_LIMIT));
        reporter.terminal(&theirs.try_clone().unwrap());
        reporter.failed("no");
        assert!(matches!(receive(&ours), Some(Report::Made(7))));
        assert!(matches!(receive(&ours), Some(Report::Detail(text)) if text == "ä".repeat(TEXT_LIMIT / 2)));
        let terminal = receive(&ours);
        assert!(matches!(terminal, Some(Report::Terminal(_))));
        assert!(matches!(receive(&ours), Some(Report::Failed(text)) if text == "no"));
        assert!(receive(&ours).is_none());
        drop((theirs, terminal));
        assert!(matches!(receive(&ours), Some(Report::Closed)));
    }
}
