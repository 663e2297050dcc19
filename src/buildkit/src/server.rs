//! gRPC on a connection that the client opened: one line for each call.

use crate::BuildKit;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncWriteExt, DuplexStream, WriteHalf};
use tokio_util::io::ReaderStream;
use tonic::body::Body;
use tonic::server::{Grpc, ServerStreamingService, StreamingService, UnaryService};
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

use crate::proto::control::BytesMessage;
use crate::session::MAX_MESSAGE;

type Future<T> = BoxFuture<'static, Result<T, Status>>;
type Answered<T> = futures::stream::BoxStream<'static, Result<T, Status>>;

/// Serves until the client ends the connection. What it asked for and did not wait for ends with it.
pub(crate) async fn serve<C>(kit: Arc<BuildKit>, connection: C) -> hyper::Result<()>
where
    C: Read + Write + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let kit = kit.clone();
        async move { Ok::<_, Infallible>(answer(kit, request).await) }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).serve_connection(connection, service).await
}

macro_rules! calls {
    ($kit:ident $request:ident { $($kind:ident $path:literal $handler:ident;)* }) => {
        match $request.uri().path() {
            $($path => $kind($request, move |asked| Box::pin($kit.clone().$handler(asked))).await,)*
            _ => Status::unimplemented(format!("unknown method {}", $request.uri().path())).into_http(),
        }
    };
}

async fn answer(kit: Arc<BuildKit>, request: Request<Incoming>) -> Response<Body> {
    calls!(kit request {
        unary "/moby.buildkit.v1.Control/Solve" solve;
        many "/moby.buildkit.v1.Control/Status" status;
        both "/moby.buildkit.v1.Control/Session" session;
        unary "/moby.buildkit.v1.Control/ListWorkers" list_workers;
        unary "/moby.buildkit.v1.Control/Info" info;
        unary "/moby.buildkit.v1.Control/DiskUsage" disk_usage;
        many "/moby.buildkit.v1.Control/Prune" prune;
        many "/moby.buildkit.v1.Control/ListenBuildHistory" listen_build_history;
        unary "/moby.buildkit.v1.Control/UpdateBuildHistory" update_build_history;
        unary "/moby.buildkit.v1.frontend.LLBBridge/Ping" ping;
        unary "/moby.buildkit.v1.frontend.LLBBridge/Solve" bridge_solve;
        unary "/moby.buildkit.v1.frontend.LLBBridge/Return" give_back;
        unary "/moby.buildkit.v1.frontend.LLBBridge/Evaluate" evaluate;
        unary "/moby.buildkit.v1.frontend.LLBBridge/ReadFile" read_file;
        unary "/moby.buildkit.v1.frontend.LLBBridge/ReadDir" read_dir;
        unary "/moby.buildkit.v1.frontend.LLBBridge/StatFile" stat_file;
        unary "/moby.buildkit.v1.frontend.LLBBridge/Inputs" inputs;
        unary "/moby.buildkit.v1.frontend.LLBBridge/Warn" warn;
        unary "/moby.buildkit.v1.frontend.LLBBridge/ResolveImageConfig" resolve_image_config;
    })
}

struct Handler<F>(F);

impl<F, Q, A> UnaryService<Q> for Handler<F>
where
    F: FnMut(tonic::Request<Q>) -> Future<A>,
    A: Send + 'static,
{
    type Response = A;
    type Future = Future<tonic::Response<A>>;

    fn call(&mut self, request: tonic::Request<Q>) -> Self::Future {
        let answer = (self.0)(request);
        Box::pin(async move { answer.await.map(tonic::Response::new) })
    }
}

struct StreamHandler<F>(F);

impl<F, Q, A> ServerStreamingService<Q> for StreamHandler<F>
where
    F: FnMut(tonic::Request<Q>) -> Future<tonic::Response<Answered<A>>>,
    A: Send + 'static,
{
    type Response = A;
    type ResponseStream = Answered<A>;
    type Future = Future<tonic::Response<Answered<A>>>;

    fn call(&mut self, request: tonic::Request<Q>) -> Self::Future {
        (self.0)(request)
    }
}

impl<F, Q, A> StreamingService<Q> for StreamHandler<F>
where
    F: FnMut(tonic::Request<Streaming<Q>>) -> Future<tonic::Response<Answered<A>>>,
    A: Send + 'static,
{
    type Response = A;
    type ResponseStream = Answered<A>;
    type Future = Future<tonic::Response<Answered<A>>>;

    fn call(&mut self, request: tonic::Request<Streaming<Q>>) -> Self::Future {
        (self.0)(request)
    }
}

fn grpc<A, Q>() -> Grpc<ProstCodec<A, Q>>
where
    A: Message + Send + 'static,
    Q: Message + Default + Send + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(MAX_MESSAGE)
}

fn unary<Q, A, F>(request: Request<Incoming>, handler: F) -> BoxFuture<'static, Response<Body>>
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
    F: FnMut(tonic::Request<Q>) -> Future<A> + Send + 'static,
{
    Box::pin(async move { grpc().unary(Handler(handler), request).await })
}

fn many<Q, A, F>(request: Request<Incoming>, handler: F) -> BoxFuture<'static, Response<Body>>
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
    F: FnMut(tonic::Request<Q>) -> Future<tonic::Response<Answered<A>>> + Send + 'static,
{
    Box::pin(async move { grpc().server_streaming(StreamHandler(handler), request).await })
}

fn both<Q, A, F>(request: Request<Incoming>, handler: F) -> BoxFuture<'static, Response<Body>>
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
    F: FnMut(tonic::Request<Streaming<Q>>) -> Future<tonic::Response<Answered<A>>> + Send + 'static,
{
    Box::pin(async move { grpc().streaming(StreamHandler(handler), request).await })
}

/// What a session that comes inside of a call may have under way.
const TUNNEL: usize = 256 << 10;

impl BuildKit {
    /// A session inside of a call, for clients that have no other connection.
    async fn session(
        self: Arc<Self>,
        request: tonic::Request<Streaming<BytesMessage>>,
    ) -> Result<tonic::Response<Answered<BytesMessage>>, Status> {
        let (metadata, _, incoming) = request.into_parts();
        let headers: HeaderMap = metadata.into_headers();
        let (here, there) = tokio::io::duplex(TUNNEL);
        let (from, to) = tokio::io::split(there);
        tokio::spawn(pour(incoming, to));
        tokio::spawn(async move {
            if let Err(status) = self.sessions.hold(&headers, TokioIo::new(here)).await {
                tracing::debug!(%status, "a session was refused");
            }
        });
        let pieces = ReaderStream::new(from).map(|read: io::Result<Bytes>| {
            read.map(|data| BytesMessage { data: data.to_vec() })
                .map_err(|e| Status::unavailable(e.to_string()))
        });
        Ok(tonic::Response::new(pieces.boxed()))
    }
}

async fn pour(
    mut incoming: impl Stream<Item = Result<BytesMessage, Status>> + Unpin,
    mut to: WriteHalf<DuplexStream>,
) {
    while let Some(Ok(piece)) = incoming.next().await {
        if to.write_all(&piece.data).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BuildKitConfig;
    use crate::proto::control::{
        InfoRequest, InfoResponse, ListWorkersRequest, ListWorkersResponse, SolveRequest,
    };
    use crate::session::channel::Channel;
    use async_trait::async_trait;
    use http::uri::{PathAndQuery, Uri};
    use image::{BuildOutput, BuildRunner, ImageStore, Registries, RunSpec};

    struct NoRunner;

    #[async_trait]
    impl BuildRunner for NoRunner {
        async fn run(&self, _: RunSpec, _: &dyn BuildOutput) -> cri::Result<i32> {
            Err(cri::CriError::Failed("nothing runs here".to_owned()))
        }
    }

    async fn ask<Q, A>(channel: &Channel, path: &'static str, question: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = tonic::client::Grpc::with_origin(channel.clone(), Uri::from_static("http://x"));
        grpc.ready().await.unwrap();
        let codec = ProstCodec::<Q, A>::default();
        let answer =
            grpc.unary(tonic::Request::new(question), PathAndQuery::from_static(path), codec).await?;
        Ok(answer.into_inner())
    }

    #[tokio::test]
    async fn calls_come_over_any_connection() {
        let dir = tempfile::tempdir().unwrap();
        let images = ImageStore::open(&dir.path().join("images"), Registries::default()).unwrap();
        let config = BuildKitConfig {
            name: "here".into(),
            state_dir: dir.path().join("buildkit"),
            gateway: [10, 0, 0, 1].into(),
        };
        let kit = BuildKit::new(config, images, Arc::new(NoRunner), |_, _| {});
        let (client, server) = tokio::io::duplex(64 << 10);
        tokio::spawn(serve(kit, TokioIo::new(server)));
        let (channel, _end) = Channel::open(TokioIo::new(client)).await.unwrap();

        let info: InfoResponse =
            ask(&channel, "/moby.buildkit.v1.Control/Info", InfoRequest {}).await.unwrap();
        assert!(info.buildkit_version.unwrap().version.starts_with('v'));
        let path = "/moby.buildkit.v1.Control/ListWorkers";
        let workers: ListWorkersResponse = ask(&channel, path, ListWorkersRequest::default()).await.unwrap();
        assert_eq!(workers.record[0].id, "here");
        let unknown =
            ask::<_, InfoResponse>(&channel, "/moby.buildkit.v1.Control/Nothing", InfoRequest {}).await;
        assert_eq!(unknown.unwrap_err().code(), tonic::Code::Unimplemented);
        let attrs = [("platform".to_owned(), "linux/amd64,linux/arm64".to_owned())].into();
        let solve = SolveRequest {
            r#ref: "a".into(),
            frontend: "dockerfile.v0".into(),
            frontend_attrs: attrs,
            ..SolveRequest::default()
        };
        let refused = ask::<_, InfoResponse>(&channel, "/moby.buildkit.v1.Control/Solve", solve).await;
        assert!(refused.unwrap_err().message().contains("several platforms"));
    }
}
