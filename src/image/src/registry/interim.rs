//! Interim answers of registries, whose connections are used for one request after the other: they are counted from each request on.

use futures::FutureExt;
use futures::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use listener::Interim;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// Bytes that are looked at at once: a head has no more, mostly, and what comes after it is not looked at.
const PIECE: usize = 8 << 10;

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
        async move { Ok(Heard { io: connecting.await?, said: Interim::default() }) }.boxed()
    }
}

/// A connection, of which is known whether an answer has begun.
pub(super) struct Heard<I> {
    io: I,
    said: Interim,
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
        if self.said.is_over() {
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
        if self.said.is_over() {
            self.said = Interim::default();
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
    use crate::registries::Registries;
    use crate::registry::transport::{Transport, body};
    use http::Request;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";

    #[tokio::test]
    async fn a_registry_that_goes_on_with_them_gets_no_more_of_our_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(INTERIM.repeat(64).as_bytes()).await;
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
