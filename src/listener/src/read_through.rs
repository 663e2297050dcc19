//! A stream whose reading goes through something, and whose writing is its own.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is read from `io`, and what becomes of it.
pub trait ReadHalf<I> {
    /// # Errors
    /// Those of `io`, and of who does not take what came.
    fn poll_read(
        &mut self,
        io: Pin<&mut I>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>>;
}

pub struct ReadThrough<R, I> {
    half: R,
    io: I,
}

impl<R, I> ReadThrough<R, I> {
    pub fn new(half: R, io: I) -> Self {
        ReadThrough { half, io }
    }

    pub fn into_parts(self) -> (R, I) {
        (self.half, self.io)
    }
}

impl<R: ReadHalf<I> + Unpin, I: AsyncRead + Unpin> AsyncRead for ReadThrough<R, I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.half.poll_read(Pin::new(&mut this.io), cx, buffer)
    }
}

impl<R: Unpin, I: AsyncWrite + Unpin> AsyncWrite for ReadThrough<R, I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
