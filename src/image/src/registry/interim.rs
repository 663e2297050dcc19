//! Interim answers (RFC 9110, 15.2). A server may send any number of them before its answer, and the library looks at all that have come
//! without a break: four pulls from a registry that went on with them held every other part of the process up.

use futures::FutureExt;
use futures::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// For one request; Go's clients take five.
const MOST: usize = 32;
/// Bytes that are looked at at once: a head has no more, mostly, and what comes after it is not looked at.
const PIECE: usize = 8 << 10;
/// How the first line of one begins, as far as its status tells that it is one.
const BEGINNING: usize = b"HTTP/1.1 1".len();

/// Connects as another does.
#[derive(Clone)]
pub(super) struct Patient<C>(pub(super) C);

impl<C> Service<Uri> for Patient<C>
where
    C: Service<Uri> + 'static,
    C::Future: Send + 'static,
{
    type Response = Heard<C::Response>;
    type Error = C::Error;
    type Future = BoxFuture<'static, Result<Heard<C::Response>, C::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = self.0.call(to);
        async move { Ok(Heard { io: connecting.await?, said: Said::default() }) }.boxed()
    }
}

/// A connection, of which is known whether an answer has begun.
pub(super) struct Heard<I> {
    io: I,
    said: Said,
}

/// What a server has said to the last request.
#[derive(Default)]
struct Said {
    interim: usize,
    at: At,
}

enum At {
    /// In a line, of whose beginning this has come. Of which head a line is does not count: what is left of an answer that came before all
    /// was sent may stand in front. No field has a `/` in its name, so none begins as an answer does.
    Line(Vec<u8>),
    /// From here on the server may say as much as it likes.
    Answer,
}

impl Default for At {
    fn default() -> Self {
        At::Line(Vec::with_capacity(BEGINNING))
    }
}

impl Said {
    fn is_answer(&self) -> bool {
        matches!(self.at, At::Answer)
    }

    fn hear(&mut self, bytes: &[u8]) -> io::Result<()> {
        for &byte in bytes {
            match (&mut self.at, byte) {
                (At::Answer, _) => return Ok(()),
                (At::Line(line), b'\n') => line.clear(),
                (At::Line(line), _) if line.len() < BEGINNING => {
                    line.push(byte);
                    if line.len() == BEGINNING && line.starts_with(b"HTTP/1.") {
                        match line.ends_with(b" 1") {
                            true => self.interim += 1,
                            false => self.at = At::Answer,
                        }
                    }
                }
                (At::Line(_), _) => {}
            }
            if self.interim > MOST {
                return Err(io::Error::other("it says too much before it answers"));
            }
        }
        Ok(())
    }
}

impl<I: Connection> Connection for Heard<I> {
    fn connected(&self) -> Connected {
        self.io.connected()
    }
}

impl<I: Read + Unpin> Read for Heard<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.said.is_answer() {
            return Pin::new(&mut self.io).poll_read(context, buffer);
        }
        let mut piece = [0; PIECE];
        let most = buffer.remaining().min(PIECE);
        let mut read = ReadBuf::new(&mut piece[..most]);
        ready!(Pin::new(&mut self.io).poll_read(context, read.unfilled()))?;
        self.said.hear(read.filled())?;
        buffer.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl<I: Write + Unpin> Heard<I> {
    /// What is written behind an answer is the next request, or the rest of one whose answer came early.
    fn asking(mut self: Pin<&mut Self>) -> Pin<&mut I> {
        if self.said.is_answer() {
            self.said = Said::default();
        }
        Pin::new(&mut self.get_mut().io)
    }
}

impl<I: Write + Unpin> Write for Heard<I> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.asking().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.asking().poll_write_vectored(context, parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registries::Registries;
    use crate::registry::transport::{Transport, body};
    use http::Request;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";

    #[test]
    fn interim_answers_are_counted_until_there_is_one() {
        let few = INTERIM.repeat(MOST);
        for (name, said, want) in [
            ("at once", ANSWER.to_owned(), Some(true)),
            ("nothing", String::new(), Some(false)),
            ("after a few", format!("{few}{ANSWER}"), Some(true)),
            ("after too many", format!("{few}{INTERIM}{ANSWER}"), None),
            ("without fields", "HTTP/1.0 100 \n\n".repeat(MOST + 1), None),
            ("with empty lines between", format!("{INTERIM}\r\n").repeat(MOST + 1), None),
            ("what only looks like some", format!("{ANSWER}{}", INTERIM.repeat(MOST * 2)), Some(true)),
            ("what is no answer", "hello, there\r\n".repeat(MOST * 2), Some(false)),
            ("behind what is left of an answer", format!("H{}", INTERIM.repeat(MOST + 2)), None),
            ("an answer behind it", format!("H\r\n{few}{ANSWER}"), Some(true)),
        ] {
            for size in [1, 7, 1000] {
                let mut heard = Said::default();
                let all = said.as_bytes().chunks(size).try_for_each(|piece| heard.hear(piece));
                assert_eq!(all.ok().map(|()| heard.is_answer()), want, "{name} by {size}");
            }
        }
    }

    #[tokio::test]
    async fn a_registry_that_goes_on_with_them_gets_no_more_of_our_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(INTERIM.repeat(MOST * 2).as_bytes()).await;
                // until the client has gone
                let _ = stream.read(&mut head).await;
            }
        });
        let transport = Transport::new(Registries::default());
        let request = Request::get(format!("http://127.0.0.1:{port}/v2/")).body(body("")).unwrap();
        let why = transport.send(request, "localhost:5000").await.unwrap_err().to_string();
        assert!(why.contains("it says too much"), "{why}");
    }
}
