//! Scripts give the engine a query as it stands: `curl -g 'http://d/events?filters={"type":["container"]}'`. Go's server takes that, and
//! an `http::Uri` does not. What may not be in one is encoded on its way in, in the first line that comes over a connection: where
//! a later request of the same begins only the server knows.

use listener::{ReadHalf, ReadThrough};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::UnixStream;

/// Bytes of a line that are looked at; a path that is longer is refused anyway.
const LONGEST: usize = 64 << 10;
/// Bytes that are read at once of it.
const PIECE: usize = 4 << 10;

pub(crate) type RequestLine<I = UnixStream> = ReadThrough<FirstLine, I>;

/// A stream that is read so.
pub(crate) fn encoded<I>(io: I) -> RequestLine<I> {
    ReadThrough::new(FirstLine { come: Some(0), unread: Vec::new() }, io)
}

pub(crate) struct FirstLine {
    /// Bytes of the line that came; `None` when it has ended.
    come: Option<usize>,
    /// Read, and not taken yet.
    unread: Vec<u8>,
}

impl FirstLine {
    /// What was read and nobody took.
    pub(crate) fn into_unread(self) -> Vec<u8> {
        self.unread
    }

    fn took(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match (byte, self.come) {
                (b'"' | b'<' | b'>', Some(_)) => self.unread.extend(format!("%{byte:02X}").into_bytes()),
                _ => self.unread.push(byte),
            }
            self.come = self.come.filter(|come| byte != b'\n' && *come < LONGEST).map(|come| come + 1);
        }
    }
}

impl<I: AsyncRead> ReadHalf<I> for FirstLine {
    fn poll_read(
        &mut self,
        io: Pin<&mut I>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.come.is_none() && self.unread.is_empty() {
            return io.poll_read(cx, buffer);
        }
        if self.unread.is_empty() {
            let mut piece = [0; PIECE];
            let mut read = ReadBuf::new(&mut piece);
            ready!(io.poll_read(cx, &mut read))?;
            self.took(read.filled());
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..count]);
        self.unread.drain(..count);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_no_uri_has_is_encoded_in_the_first_line_alone() {
        let long = format!("GET /{} \"", "x".repeat(LONGEST));
        for (given, want) in [
            (
                "GET /x?f={\"a\":[\"<b>\"]} HTTP/1.1\r\nX: \"y\"\r\n\r\n{\"z\":1}\n\"",
                "GET /x?f={%22a%22:[%22%3Cb%3E%22]} HTTP/1.1\r\nX: \"y\"\r\n\r\n{\"z\":1}\n\"",
            ),
            ("GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"),
            ("", ""),
            (long.as_str(), long.as_str()),
        ] {
            for size in [1, 7, 64 << 10] {
                let (mut client, server) = tokio::io::duplex(256 << 10);
                client.write_all(given.as_bytes()).await.unwrap();
                drop(client);
                let (mut line, mut got) = (encoded(server), Vec::new());
                let mut buffer = vec![0; size];
                loop {
                    match line.read(&mut buffer).await.unwrap() {
                        0 => break,
                        count => got.extend_from_slice(&buffer[..count]),
                    }
                }
                assert_eq!(String::from_utf8(got).unwrap(), want, "{size}");
            }
        }
    }

    /// A client that sends its input with its question.
    #[tokio::test]
    async fn what_was_read_with_the_line_is_not_lost() {
        let (mut client, server) = tokio::io::duplex(1 << 10);
        client.write_all(b"POST / HTTP/1.1\r\nrest").await.unwrap();
        let mut line = encoded(server);
        let mut head = [0; 17];
        line.read_exact(&mut head).await.unwrap();
        assert_eq!(line.into_parts().0.into_unread(), b"rest");
    }
}
