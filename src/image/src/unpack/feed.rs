//! A channel of bytes as a reader: so a download feeds a decompressor that blocks. One that closes early is an error and not
//! an end.

use bytes::{Buf, Bytes};
use std::io::{self, BufRead, Read};
use tokio::sync::mpsc;

/// What is handed from one stage to the next. A channel that closes without an `End` means that the sender gave up.
pub(crate) enum Feed {
    Data(Bytes),
    End,
}

pub(crate) type FeedSender = mpsc::Sender<Feed>;

/// Reads a channel; `next` gives what arrives, `None` once it is closed.
pub(crate) fn reader<F: FnMut() -> Option<Feed>>(next: F) -> FeedReader<F> {
    FeedReader { next, now: Bytes::new(), ended: false }
}

pub(crate) struct FeedReader<F> {
    next: F,
    now: Bytes,
    ended: bool,
}

impl<F: FnMut() -> Option<Feed>> BufRead for FeedReader<F> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.now.is_empty() && !self.ended {
            match (self.next)() {
                Some(Feed::Data(bytes)) => self.now = bytes,
                Some(Feed::End) => self.ended = true,
                None => return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the transfer was given up")),
            }
        }
        Ok(&self.now)
    }

    fn consume(&mut self, amount: usize) {
        self.now.advance(amount);
    }
}

impl<F: FnMut() -> Option<Feed>> Read for FeedReader<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_filled(self, buffer)
    }
}

/// What `Read` is for whoever fills a buffer of its own.
pub(super) fn read_filled(from: &mut impl BufRead, buffer: &mut [u8]) -> io::Result<usize> {
    let available = from.fill_buf()?;
    let amount = available.len().min(buffer.len());
    buffer[..amount].copy_from_slice(&available[..amount]);
    from.consume(amount);
    Ok(amount)
}
