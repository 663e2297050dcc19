//! Clients that see and feed a container's first process while it runs.

use crate::pipes::{self, give};
use cri::wire::StreamFd;
use nix::errno::Errno;
use std::os::fd::OwnedFd;

/// Our ends of one client's pipes. An end that closes does not close the others.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) stdin: Option<OwnedFd>,
    /// stdout and stderr.
    pub(crate) outputs: [Option<OwnedFd>; 2],
}

impl Attachment {
    /// The pipes that are wanted, with the client's ends.
    pub(crate) fn new(
        stdin: bool,
        outputs: [bool; 2],
    ) -> Result<(Attachment, Vec<(StreamFd, OwnedFd)>), Errno> {
        let mut theirs = Vec::new();
        let mut attachment = Attachment { stdin: None, outputs: [None, None] };
        if stdin {
            let (ours, end) = pipes::from_them()?;
            attachment.stdin = Some(ours);
            theirs.push((StreamFd::Stdin, end));
        }
        let names = [StreamFd::Stdout, StreamFd::Stderr];
        for ((wanted, name), ours) in outputs.into_iter().zip(names).zip(&mut attachment.outputs) {
            if wanted {
                let (end, writer) = pipes::to_client()?;
                *ours = Some(writer);
                theirs.push((name, end));
            }
        }
        Ok((attachment, theirs))
    }

    /// A client that is too far behind is cut off: to wait for it would stop the container for everybody, and to leave
    /// something out would show it what never was.
    pub(crate) fn show(&mut self, output: usize, data: &[u8]) {
        if let Some(end) = &self.outputs[output]
            && give(end, data) != Ok(data.len())
        {
            self.outputs[output] = None;
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stdin.is_none() && self.outputs.iter().all(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipes::{Input, take};

    #[test]
    fn a_client_that_reads_nothing_is_cut_off_after_what_it_can_still_read() {
        let (mut attachment, ends) = Attachment::new(false, [true, false]).unwrap();
        let [(StreamFd::Stdout, reader)] = &ends[..] else { panic!("{ends:?}") };
        let block = [b'x'; 32 << 10];
        let mut shown = 0;
        while !attachment.is_over() {
            attachment.show(0, &block);
            shown += block.len();
            assert!(shown < 64 << 20, "never cut off");
        }
        let (mut read, mut buffer) = (0, [0; 32 << 10]);
        while let Input::Bytes(bytes) = take(reader, &mut buffer) {
            read += bytes.len();
        }
        assert!(read > 0 && read <= shown, "{read} of {shown}");
    }
}
