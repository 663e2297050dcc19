//! HTTP/2 as its client, on a connection that somebody else opened.

use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::task::{Context, Poll};
use tonic::body::Body;
use tower_service::Service;

#[derive(Debug, Clone)]
pub(crate) struct Channel(SendRequest<Body>);

impl Channel {
    /// The channel, and a future that carries it and ends with the connection.
    pub(crate) async fn open<C>(
        connection: C,
    ) -> hyper::Result<(Channel, impl Future<Output = ()> + Send + 'static)>
    where
        C: Read + Write + Unpin + Send + 'static,
    {
        let mut builder = Builder::new(TokioExecutor::new());
        let (send, connection) = builder.timer(TokioTimer::new()).handshake(connection).await?;
        let carry = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a client's session broke");
            }
        });
        Ok((Channel(send), async move { drop(carry.await) }))
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, hyper::Result<Response<Incoming>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
