//! One request as a handler sees it, and the answers that it may give.

use crate::api_version::Version;
use crate::engine::Engine;
use crate::error::{ApiError, Result};
use crate::upload::Upload;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::Frame;
use hyper::upgrade::OnUpgrade;
use image::printable;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use tokio::io::AsyncRead;
use tokio::sync::oneshot;
use tokio_util::io::{ReaderStream, StreamReader, SyncIoBridge};

pub(crate) type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, io::Error>;
pub(crate) type ApiResponse = Result<Response<Body>>;

/// No JSON that a client sends is larger.
const MAX_JSON: usize = 4 << 20;
/// Of an answer that is written as it comes: what fails within it fails as a whole.
const HELD_BACK: usize = 256 << 10;

/// What was asked, and of whom.
pub(crate) struct ApiRequest {
    pub(crate) engine: Arc<Engine>,
    /// What stood for the `{…}` of the route, in order.
    pub(crate) path: Vec<String>,
    pub(crate) version: Version,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Upload,
    pub(crate) upgrade: Option<OnUpgrade>,
}

impl ApiRequest {
    /// The route's first placeholder: a container, an image, a network or a volume.
    pub(crate) fn name(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// There is none; it is something else, or more than one document.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        let given = self.json_if_any().await?;
        given.ok_or_else(|| ApiError::bad("invalid JSON: got EOF while reading request body"))
    }

    /// The same, where a client may send no body at all.
    pub(crate) async fn json_if_any<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let bytes = Limited::new(&mut self.body, MAX_JSON).collect().await.map_err(ApiError::bad)?.to_bytes();
        check_kind(self.headers.get(CONTENT_TYPE), bytes.is_empty())?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let bad = |e| ApiError::bad(format_args!("invalid JSON: {e}"));
        let mut value = serde_json::from_slice(&bytes).map_err(bad)?;
        leave_out_nulls(&mut value);
        serde_json::from_value(value).map(Some).map_err(bad)
    }

    /// The body as it comes in, and what else was asked.
    pub(crate) fn into_reader(self) -> impl AsyncRead + Send + Unpin + 'static {
        StreamReader::new(self.into_pieces())
    }

    /// The same, as it comes off the wire.
    pub(crate) fn into_pieces(self) -> BoxStream<'static, io::Result<Bytes>> {
        self.body.into_data_stream().map_err(io::Error::other).boxed()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What is no JSON by its own word is not read as such: a page of another site can send a form or plain text to a socket that
/// is reached by TCP, but no JSON.
fn check_kind(said: Option<&http::HeaderValue>, is_empty: bool) -> Result<()> {
    let said = said.map_or("", |kind| kind.to_str().unwrap_or("?"));
    let bare = said.split(';').next().unwrap_or_default().trim();
    match bare.eq_ignore_ascii_case("application/json") || (said.is_empty() && is_empty) {
        true => Ok(()),
        false => Err(ApiError::bad(format_args!(
            "unsupported Content-Type header ({said}): must be 'application/json'"
        ))),
    }
}

/// Maps whose keys are the client's own: what is null there is still said.
const MAPS: [&str; 5] = ["EndpointsConfig", "ExposedPorts", "Labels", "PortBindings", "Volumes"];

/// Go's decoder, for which clients were written, takes null for any field that is not said.
fn leave_out_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            for (name, member) in members {
                match member {
                    Value::Object(entries) if MAPS.contains(&name.as_str()) => {
                        entries.values_mut().for_each(leave_out_nulls);
                    }
                    member => leave_out_nulls(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_nulls),
        _ => {}
    }
}

/// The parameters behind the question mark, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Query {
        let decode =
            |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Query(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(n, v)| (decode(n), decode(v)))
                .collect(),
        )
    }

    /// Not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(n, value)| n == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// As Go's engine reads a flag: anything but nothing, `0`, `no`, `false` and `none`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|v| !["0", "no", "false", "none"].contains(&v.to_ascii_lowercase().as_str()))
    }

    /// A number; what is none is refused.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let bad = |text| ApiError::bad(format_args!("invalid value {text:?} for {name}"));
        self.get(name).map(|text| text.parse().map_err(|_| bad(text))).transpose()
    }

    /// A parameter that is JSON itself; older clients say `null` for what they have nothing of.
    pub(crate) fn json<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T> {
        let bad = |e| ApiError::bad(format_args!("invalid {name}: {e}"));
        let given: Option<T> = self.get(name).map_or(Ok(None), serde_json::from_str).map_err(bad)?;
        Ok(given.unwrap_or_default())
    }
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

fn respond(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}

pub(crate) fn json(value: &impl Serialize) -> ApiResponse {
    with_status(StatusCode::OK, value)
}

pub(crate) fn with_status(status: StatusCode, value: &impl Serialize) -> ApiResponse {
    let text = serde_json::to_vec(value).map_err(|e| ApiError::failed("write the answer", e))?;
    Ok(respond(status, "application/json", full(text)))
}

/// 204, or whatever has no body.
pub(crate) fn empty(status: StatusCode) -> ApiResponse {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = status;
    Ok(response)
}

pub(crate) fn text(text: &'static str) -> ApiResponse {
    Ok(respond(StatusCode::OK, "text/plain; charset=utf-8", full(text)))
}

/// Each item goes out as it comes; the head of the answer at once.
pub(crate) fn stream(
    kind: &'static str,
    items: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> ApiResponse {
    let body = BodyExt::boxed_unsync(StreamBody::new(items.map(|item| item.map(Frame::data))));
    Ok(respond(StatusCode::OK, kind, body))
}

/// What comes out of `from` is all there is only if `written` says so: else the answer is cut, and its reader learns that
/// something is missing.
pub(crate) fn reader_until(
    kind: &'static str,
    from: impl AsyncRead + Send + 'static,
    written: tokio::task::JoinHandle<io::Result<()>>,
) -> ApiResponse {
    let end = futures::stream::once(async move {
        let done = written.await.unwrap_or_else(|e| Err(io::Error::other(e)));
        done.inspect_err(|error| tracing::warn!(%error, "an answer ends before its end"))
    });
    let end = end.filter_map(|done| std::future::ready(done.err().map(Err)));
    stream(kind, ReaderStream::new(from).chain(end))
}

/// What `write` writes, however much it is. What goes wrong early is the answer; later it is cut, as that of [`reader_until`].
pub(crate) async fn written(
    kind: &'static str,
    doing: &'static str,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> ApiResponse {
    let (tell, begun) = oneshot::channel();
    let (from, to) = tokio::io::duplex(HELD_BACK);
    let to = Begun { to: SyncIoBridge::new(to), tell: Some(tell) };
    let written = tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(HELD_BACK, to);
        let done = write(&mut out).and_then(|()| out.flush());
        // what is held back of an answer that failed is none of it
        drop(out.into_parts());
        done
    });
    if begun.await.is_ok() {
        return reader_until(kind, from, written);
    }
    let done = written.await.unwrap_or_else(|e| Err(io::Error::other(e)));
    done.map_err(|e| ApiError::failed(doing, e))?;
    Ok(respond(StatusCode::OK, kind, full(Bytes::new())))
}

/// Tells when the first of it is written.
struct Begun<W> {
    to: W,
    tell: Option<oneshot::Sender<()>>,
}

impl<W: Write> Write for Begun<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // nobody listens where the client has gone
        let _ = self.tell.take().map(|tell| tell.send(()));
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// One JSON document and a newline for the stream of many.
pub(crate) fn line(value: &impl Serialize) -> io::Result<Bytes> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    Ok(text.into())
}

impl From<ApiError> for Response<Body> {
    fn from(refusal: ApiError) -> Self {
        let text = serde_json::json!({ "message": printable(&refusal.message) }).to_string();
        respond(refusal.status, "application/json", full(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_fails_early_is_the_answer_and_later_cuts_it() {
        let answer = async |bytes: usize, fails: bool| {
            let answer = written("text/plain", "write", move |out| {
                out.write_all(&vec![b'x'; bytes])?;
                if fails { Err(io::Error::other("no more")) } else { Ok(()) }
            });
            let body = match answer.await {
                Ok(answer) => answer.into_body(),
                Err(refusal) => return Err(refusal.message),
            };
            Ok(body.collect().await.map(|body| body.to_bytes().len()).map_err(|e| e.to_string()))
        };
        for (name, bytes, fails, want) in [
            ("nothing", 0, false, Ok(Ok(0))),
            ("little", 10, false, Ok(Ok(10))),
            ("much", 4 * HELD_BACK, false, Ok(Ok(4 * HELD_BACK))),
            ("a failure at once", 10, true, Err("write: no more".to_owned())),
            ("a failure later", 4 * HELD_BACK, true, Ok(Err("no more".to_owned()))),
        ] {
            assert_eq!(answer(bytes, fails).await, want, "{name}");
        }
    }

    #[test]
    fn nulls() {
        let mut said = serde_json::json!({
            "Healthcheck": {"Test": ["CMD", "a"], "Interval": null}, "Cmd": null, "ExposedPorts": {"80/tcp": null},
            "HostConfig": {"Mounts": [{"Source": null, "Target": "/a"}]},
            "NetworkingConfig": {"EndpointsConfig": {"a": null, "b": {"Aliases": null}}},
        });
        leave_out_nulls(&mut said);
        let want = serde_json::json!({
            "Healthcheck": {"Test": ["CMD", "a"]}, "ExposedPorts": {"80/tcp": null},
            "HostConfig": {"Mounts": [{"Target": "/a"}]},
            "NetworkingConfig": {"EndpointsConfig": {"a": null, "b": {}}},
        });
        assert_eq!(said, want);
    }

    #[test]
    fn what_says_that_it_is_json() {
        for (kind, is_empty, want) in [
            (Some("application/json"), false, true),
            (Some("application/json; charset=utf-8"), false, true),
            (Some("Application/JSON"), false, true),
            (None, true, true),
            (None, false, false),
            (Some("text/plain"), false, false),
            (Some("text/plain"), true, false),
            (Some("application/jsonp"), false, false),
        ] {
            let kind = kind.map(http::HeaderValue::from_static);
            assert_eq!(check_kind(kind.as_ref(), is_empty).is_ok(), want, "{kind:?} {is_empty}");
        }
        let why = check_kind(Some(&http::HeaderValue::from_static("text/plain")), false).unwrap_err();
        assert_eq!(why.message, "unsupported Content-Type header (text/plain): must be 'application/json'");
    }

    #[test]
    fn parameters() {
        let query = Query::parse("a=1&b=x%20y+z&c&a=2&off=False&filters=%7B%22a%22%3A1%7D");
        assert_eq!((query.get("a"), query.get("b"), query.get("c")), (Some("1"), Some("x y z"), None));
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(
            (query.flag("a"), query.flag("off"), query.flag("c"), query.flag("none")),
            (true, false, false, false)
        );
        assert!(query.number::<u16>("b").is_err());
        assert_eq!(query.json::<serde_json::Value>("filters").unwrap()["a"], 1);
        let nothing = Query::parse("ulimits=null");
        assert_eq!(nothing.json::<Vec<u8>>("ulimits").unwrap(), [0; 0]);
    }
}
