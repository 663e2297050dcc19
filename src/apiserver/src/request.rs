use crate::authentication::Peer;
use api::{Reason, Status};
use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use http::{HeaderMap, Method};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Of a body that is too large, so much is read and thrown away: a client that is cut off while it sends sees a broken
/// connection and not the answer.
const LARGEST_REFUSED: usize = 64 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);
/// Upstream's limit on a request's body.
const LARGEST_BODY: usize = 3 * 1024 * 1024;

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// One HTTP request, read as far as needed to route it.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Decoded.
    pub(crate) segments: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) peer: Arc<Peer>,
    pub(crate) upgrade: Option<hyper::upgrade::OnUpgrade>,
    /// Only whoever has the request to itself reads it; the lock makes the rest of the request shareable.
    body: Mutex<Chunks>,
}

impl Request {
    pub(crate) fn new<B: Buf + 'static, E: std::fmt::Display + 'static>(
        (method, path, query): (Method, String, String),
        headers: HeaderMap,
        peer: Arc<Peer>,
        upgrade: Option<hyper::upgrade::OnUpgrade>,
        body: impl Stream<Item = Result<B, E>> + Send + 'static,
    ) -> Self {
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let segments = path.split('/').filter(|s| !s.is_empty()).map(decode).collect();
        let form = |text: &str| decode(&text.replace('+', " "));
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(key, value)| (form(key), form(value)))
            .collect();
        let body = body.map(|chunk| match chunk {
            Ok(mut chunk) => Ok(chunk.copy_to_bytes(chunk.remaining())),
            Err(e) => Err(Status::bad_request(format!("read body: {e}"))),
        });
        Request { method, path, segments, query, headers, peer, upgrade, body: Mutex::new(Box::pin(body)) }
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// # Errors
    /// `BadRequest` for what is no boolean.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Status> {
        match self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()) {
            None | Some("false" | "0" | "False") => Ok(false),
            Some("true" | "1" | "True" | "") => Ok(true),
            Some(other) => Err(Status::bad_request(format!("parameter {name}: {other:?} is no boolean"))),
        }
    }

    /// # Errors
    /// `BadRequest` for what is no number.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Status> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|_| Status::bad_request(format!("parameter {name}: {text:?} is no such number")))
        };
        self.parameter(name).map(parse).transpose()
    }

    pub(crate) fn header(&self, name: http::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The whole body.
    ///
    /// # Errors
    /// `RequestEntityTooLarge`, a body that breaks off.
    pub(crate) async fn body(&mut self) -> Result<Bytes, Status> {
        let mut whole = BytesMut::new();
        let chunks = self.body.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            if whole.len() + chunk.len() > LARGEST_BODY {
                let _ = tokio::time::timeout(PATIENCE, throw_away(chunks)).await;
                let message = format!("Request entity too large: limit is {LARGEST_BODY}");
                return Err(Status::new(Reason::RequestEntityTooLarge, message));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// The body as JSON; YAML is turned into it.
    ///
    /// # Errors
    /// `UnsupportedMediaType`, `BadRequest`.
    pub(crate) async fn json_body(&mut self) -> Result<Bytes, Status> {
        let content_type = self.header(http::header::CONTENT_TYPE);
        let media = content_type.split(';').next().unwrap_or_default().trim().to_owned();
        let body = self.body().await?;
        match media.as_str() {
            "" | "application/json" | "*/*" => Ok(body),
            "application/yaml" => yaml_to_json(&body),
            protobuf::MEDIA_TYPE => protobuf_to_json(&body),
            other => Err(Status::new(
                Reason::UnsupportedMediaType,
                format!(
                    "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf (got {other})"
                ),
            )),
        }
    }

    /// The body as YAML or JSON, whatever its media type.
    ///
    /// # Errors
    /// `BadRequest` for what is neither.
    pub(crate) async fn yaml_body(&mut self) -> Result<serde_json::Value, Status> {
        let body = self.body().await?;
        serde_json::from_slice(&body).or_else(|_| yaml_value(&body))
    }
}

async fn throw_away(chunks: &mut Chunks) {
    let mut seen = 0;
    while let Some(Ok(chunk)) = chunks.next().await {
        seen += chunk.len();
        if seen > LARGEST_REFUSED {
            return;
        }
    }
}

fn yaml_to_json(body: &[u8]) -> Result<Bytes, Status> {
    serde_json::to_vec(&yaml_value(body)?).map(Bytes::from).map_err(Status::internal)
}

fn yaml_value(body: &[u8]) -> Result<serde_json::Value, Status> {
    serde_norway::from_slice(body).map_err(|e| Status::bad_request(format!("error decoding YAML: {e}")))
}

/// # Errors
/// `UnsupportedMediaType` for kinds that are in JSON only, as custom ones are; `BadRequest` for what is no message.
fn protobuf_to_json(body: &[u8]) -> Result<Bytes, Status> {
    if body.is_empty() {
        return Ok(Bytes::new());
    }
    let object = protobuf::decode(body).map_err(|e| match e {
        protobuf::ProtobufError::UnknownKind { .. } => {
            Status::new(Reason::UnsupportedMediaType, e.to_string())
        }
        e => Status::bad_request(e.to_string()),
    })?;
    serde_json::to_vec(&object).map(Bytes::from).map_err(Status::internal)
}

#[cfg(test)]
impl Request {
    pub(crate) fn for_tests(method: &str, path: &str, query: &str, body: Vec<Result<Bytes, Status>>) -> Self {
        let line = (method.parse().unwrap(), path.to_owned(), query.to_owned());
        let body = futures::stream::iter(body);
        Request::new(line, HeaderMap::new(), Arc::new(Peer { certified: None }), None, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_is_too_large_is_read_to_its_end_before_it_is_refused() {
        let read = Arc::new(Mutex::new(0));
        let seen = read.clone();
        let chunks = futures::stream::iter(0..5).map(move |_| {
            *seen.lock().unwrap() += 1;
            Ok::<_, Status>(Bytes::from(vec![b'x'; 1024 * 1024]))
        });
        let mut request = Request::for_tests("POST", "/", "", Vec::new());
        request.body = Mutex::new(Box::pin(chunks));
        assert_eq!(request.body().await.unwrap_err().code, 413);
        assert_eq!(*read.lock().unwrap(), 5, "a client that is cut off never reads the answer");
    }
}
