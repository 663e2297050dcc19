//! A server of calls with one message each way, for tests that play a driver.

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::future::ready;
use tokio::net::UnixListener;

/// What a call is answered instead of a message: gRPC's code and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: u16,
    pub message: String,
}

/// The length and the flag before each message.
const PREFIX: usize = 5;

/// Answers each call by its path and the bytes of its message, until the task is dropped.
pub async fn serve(
    listener: UnixListener,
    answer: impl Fn(&str, &[u8]) -> Result<Vec<u8>, Refused> + Clone + Send + Sync + 'static,
) {
    serve_slowly(listener, move |path: String, body: Bytes| ready(answer(&path, &body))).await;
}

/// The same, by who takes his time.
pub async fn serve_slowly<A, F>(listener: UnixListener, answer: A)
where
    A: Fn(String, Bytes) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Vec<u8>, Refused>> + Send + 'static,
{
    while let Ok((stream, _)) = listener.accept().await {
        let answer = answer.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer.clone();
                async move {
                    let path = request.uri().path().to_owned();
                    let body = request.into_body().collect().await.map(|body| body.to_bytes());
                    let body = body.unwrap_or_default();
                    let body = body.slice(PREFIX.min(body.len())..);
                    Ok::<_, Infallible>(response(answer(path, body).await))
                }
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            // the client may go at any time
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Body = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

fn response(answer: Result<Vec<u8>, Refused>) -> Response<Body> {
    let mut frames = Vec::new();
    let mut trailers = HeaderMap::new();
    match answer {
        Ok(message) => {
            let length = u32::try_from(message.len()).unwrap_or_default().to_be_bytes();
            let whole = [&[0][..], &length, &message].concat();
            frames.push(Ok(Frame::data(Bytes::from(whole))));
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
        }
        Err(refused) => {
            trailers.insert("grpc-status", HeaderValue::from(refused.code));
            if let Ok(message) = HeaderValue::from_str(&refused.message) {
                trailers.insert("grpc-message", message);
            }
        }
    }
    frames.push(Ok(Frame::trailers(trailers)));
    let mut response = Response::new(StreamBody::new(stream::iter(frames)));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}
