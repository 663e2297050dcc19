//! Answers: JSON, streams, refusals.

use crate::body::values_in;
use crate::parse_budget::{MOST_ANSWERED, ParseBudget};
use crate::{rendering, warnings, yaml};
use api::{Reason, Status};
use bytes::Bytes;
use futures::Stream;
use http::response::Parts;
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::OwnedSemaphorePermit;
use warp::reply::{Reply, Response};

/// In an answer's extensions: it is a backend's, and nobody turns it into another form.
#[derive(Clone, Copy)]
pub(crate) struct Verbatim;

pub(crate) fn not_found() -> Status {
    Status::new(Reason::NotFound, "the server could not find the requested resource")
}

pub(crate) fn method_not_allowed() -> Status {
    Status::new(Reason::MethodNotAllowed, "the server does not allow this method on the requested resource")
}

pub(crate) fn json_bytes(code: u16, body: impl Into<Bytes>) -> Response {
    typed(code, "application/json", body)
}

pub(crate) fn json(code: u16, body: &serde_json::Value) -> Response {
    json_bytes(code, body.to_string())
}

pub(crate) fn text(code: u16, body: impl Into<Bytes>) -> Response {
    typed(code, "text/plain; charset=utf-8", body)
}

/// Of a kubelet's pages, in a kubelet's words.
pub(crate) fn page_not_found() -> Response {
    text(404, "404 page not found\n")
}

/// An answer of these very bytes: what is stored, or kept as a document, is in memory once, however many are sent it and read it
/// slowly.
pub(crate) fn whole(body: impl Into<Bytes>) -> Response {
    http::Response::new(body.into()).into_response()
}

pub(crate) fn typed(code: u16, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = whole(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // what a proxy may keep is nobody's business but the API server's
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// What was asked for by its kind (`as`), which the content type repeats: group, version, kind.
pub(crate) fn of_kind(
    code: u16,
    format: &'static str,
    kind: (&str, &str, &str),
    body: impl Into<Bytes>,
) -> Response {
    let (group, version, kind) = kind;
    let mut response = typed(code, format, body);
    if let Ok(media) = HeaderValue::from_str(&format!("{format};g={group};v={version};as={kind}")) {
        response.headers_mut().insert(header::CONTENT_TYPE, media);
    }
    response
}

/// What is larger is not made into another form: a tree of values takes many times the bytes, and any client may ask for it.
const LARGEST_TO_CONVERT: u64 = 16 << 20;

/// Its size, where it is.
fn too_large_to_convert(response: &Response) -> Option<u64> {
    let size = hyper::body::Body::size_hint(response.body()).exact()?;
    (size > LARGEST_TO_CONVERT).then_some(size)
}

/// Itself, for who takes JSON too.
fn unconverted(response: Response, takes_json: bool, (has, most, what): (u64, u64, &str)) -> Response {
    if takes_json {
        return response;
    }
    let message = format!(
        "the answer has {has} {what}, and only JSON is given of more than {most}: accept application/json, or ask for pages (limit)"
    );
    refusal(&Status::new(Reason::RequestEntityTooLarge, message))
}

/// An answer that can be made into another form: its head, and its whole body; and the turn to do so. What can not is answered as it
/// is, or refused.
async fn convertible(
    response: Response,
    takes_json: bool,
    turns: &ParseBudget,
) -> Result<(Parts, Bytes, OwnedSemaphorePermit), Response> {
    if !is_json(&response) {
        return Err(response);
    }
    if let Some(size) = too_large_to_convert(&response) {
        return Err(unconverted(response, takes_json, (size, LARGEST_TO_CONVERT, "bytes")));
    }
    let (head, body) = response.into_parts();
    let failed = |error: &dyn std::fmt::Display| refusal(&Status::internal(error));
    let body = body.collect().await.map_err(|error| failed(&error))?.to_bytes();
    let values = match body.len() < LEAST_TO_HAND_OVER {
        true => values_in(&body),
        false => {
            let body = body.clone();
            rendering::run(&head, move |_| values_in(&body)).await.map_err(|error| failed(&error))?
        }
    };
    match turns.of_answer(values).await {
        Some(turn) => Ok((head, body, turn)),
        None => {
            let response = Response::from_parts(head, whole(body).into_body());
            let count = (values as u64, MOST_ANSWERED as u64, "values");
            Err(unconverted(response, takes_json, count))
        }
    }
}

/// The answer in its other form.
fn converted(mut head: Parts, media_type: &'static str, body: impl Reply) -> Response {
    head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, body.into_response().into_body())
}

/// An object's JSON as YAML; other answers as they are.
pub(crate) async fn as_yaml(response: Response, takes_json: bool, turns: &ParseBudget) -> Response {
    let (head, body, turn) = match convertible(response, takes_json, turns).await {
        Ok(parts) => parts,
        Err(response) => return response,
    };
    // of a large list it is work for a while
    let writing = rendering::run(&head, move |client| {
        let _turn = turn;
        let object: serde_json::Value = serde_json::from_slice(&body).map_err(Status::internal)?;
        Ok::<_, Status>(if client.is_gone() { String::new() } else { yaml::text(&object) })
    });
    let text = match writing.await.map_err(Status::internal).and_then(|text| text) {
        Ok(text) => text,
        Err(status) => return refusal(&status),
    };
    converted(head, yaml::MEDIA_TYPE, text)
}

/// A whole one: a stream has no end to wait for.
fn is_json(response: &Response) -> bool {
    let is_whole = hyper::body::Body::size_hint(response.body()).exact().is_some();
    let media = response.headers().get(header::CONTENT_TYPE);
    is_whole && media.is_some_and(|media| media.as_bytes() == b"application/json")
}

/// What is smaller is made into another form on the spot.
const LEAST_TO_HAND_OVER: usize = 64 * 1024;

/// An object's JSON as protobuf; other answers as they are. An object that has no such form is not acceptable to who takes no JSON.
pub(crate) async fn as_protobuf(response: Response, takes_json: bool, turns: &ParseBudget) -> Response {
    let (head, body, turn) = match convertible(response, takes_json, turns).await {
        Ok(parts) => parts,
        Err(response) => return response,
    };
    let encode = |body: &[u8]| {
        let object: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        protobuf::encode(&object).ok()
    };
    let encoded = match body.len() < LEAST_TO_HAND_OVER {
        true => Ok(encode(&body)),
        // of a large list it is work for a while
        false => {
            let body = body.clone();
            let encoding = rendering::run(&head, move |client| {
                let _turn = turn;
                let object: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                if client.is_gone() { None } else { protobuf::encode(&object).ok() }
            });
            encoding.await
        }
    };
    let encoded = match encoded {
        Ok(Some(encoded)) => encoded,
        Ok(None) if takes_json => {
            return Response::from_parts(head, whole(body).into_body());
        }
        Ok(None) => {
            let message = "only the following media types are accepted: application/json, application/yaml";
            return refusal(&Status::new(Reason::NotAcceptable, message));
        }
        Err(error) => return refusal(&Status::internal(error)),
    };
    converted(head, protobuf::MEDIA_TYPE, encoded)
}

/// Upstream packs what is larger, and as quickly as it can.
const LEAST_TO_PACK: u64 = 128 * 1024;

/// For a client that takes gzip: an object or a list that is large, packed; other answers, and streams, as they are.
pub(crate) async fn packed(response: Response) -> Response {
    let headers = response.headers();
    let is_objects = headers.get(header::CONTENT_TYPE).is_some_and(|media| {
        let media = media.as_bytes();
        [b"application/json", yaml::MEDIA_TYPE.as_bytes(), protobuf::MEDIA_TYPE.as_bytes()].contains(&media)
    });
    let size = hyper::body::Body::size_hint(response.body()).exact();
    let is_large = size.is_some_and(|size| size > LEAST_TO_PACK);
    if !is_objects || !is_large || headers.contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return refusal(&Status::internal(error)),
    };
    // milliseconds of work for each megabyte
    let packing = rendering::run(&head, move |client| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for piece in body.chunks(rendering::PIECE) {
            if client.is_gone() {
                break;
            }
            encoder.write_all(piece)?;
        }
        encoder.finish()
    });
    let packed = match packing.await {
        Ok(Ok(packed)) => packed,
        Ok(Err(error)) => return refusal(&Status::internal(error)),
        Err(error) => return refusal(&Status::internal(error)),
    };
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    head.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    Response::from_parts(head, packed.into_response().into_body())
}

pub(crate) fn refusal(status: &Status) -> Response {
    with_retry_after(json(status.code, &status.to_json()), status)
}

/// As a kubelet refuses: the message alone.
pub(crate) fn refusal_in_words(status: &Status) -> Response {
    with_retry_after(text(status.code, status.message.clone()), status)
}

fn with_retry_after(mut response: Response, status: &Status) -> Response {
    if let Some(seconds) = status.retry_after_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// As `Warning` headers (RFC 7234, 5.5), for refusals too.
pub(crate) fn with_warnings(mut response: Response, warnings: &[String]) -> Response {
    for warning in warnings::fitting(warnings) {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        // more than ASCII is taken as it is, as upstream does
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

/// A body that is written as it comes.
pub(crate) fn stream<S, E>(content_type: &'static str, chunks: S) -> Response
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    let mut response = body(chunks);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// That something was done which leaves nothing to show.
pub(crate) fn success(code: u16) -> Response {
    json(
        code,
        &serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}),
    )
}

/// An answer of nothing but a body.
pub(crate) fn body<S, E>(chunks: S) -> Response
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    warp::reply::stream(Shared(Mutex::new(Box::pin(chunks)))).into_response()
}

/// warp wants a body to be `Sync`, which no stream of ours needs: only one task ever polls it.
struct Shared<S: ?Sized>(Mutex<Pin<Box<S>>>);

impl<S: Stream + ?Sized> Stream for Shared<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let inner = self.get_mut().0.get_mut();
        inner.as_mut().poll_next(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_stored_is_not_copied_for_each_who_reads_it() {
        let stored = Bytes::from(vec![b'x'; 1 << 20]);
        let mut body = json_bytes(200, stored.clone()).into_body();
        let sent = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((sent.as_ptr(), sent.len()), (stored.as_ptr(), stored.len()));
    }
}
