//! One HTTP request. Its body is read when it is known who sends it, and that he may.

use crate::audit_trail::AuditTrail;
use crate::body::{self, LARGEST_BODY};
use crate::held_seat::HeldSeat;
use crate::incoming::{BodySeat, IncomingBodies};
use crate::outcome::Outcome;
use crate::peer::Peer;
use crate::stream_seats::{StreamSeat, StreamSeats};
use api::{Reason, Status};
use bytes::{Buf, Bytes, BytesMut};
use cluster::Actor;
use futures::{Stream, StreamExt};
use http::{HeaderMap, Method};
use hyper::upgrade::{OnUpgrade, Upgraded};
use k8s_openapi::Resource;
use listener::Seat;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Of a body that is too large, so much is read and thrown away: a client that is cut off while it sends sees a broken
/// connection and not the answer.
const LARGEST_REFUSED: usize = 64 * 1024 * 1024;
/// The same of a client that may not do what it asks for; Go's server, which such clients are used to, reads as much.
const LARGEST_UNWELCOME: usize = 256 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);
/// Upstream's time for a whole request that is no watch; it says the same words.
const WHOLE_BODY: Duration = Duration::from_secs(60);

pub(crate) type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// Read as far as needed to route it.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Decoded.
    pub(crate) segments: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) raw_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) peer: Arc<Peer>,
    /// Among the requests of strangers.
    pub(crate) stranger: Option<Arc<Seat>>,
    upgrade: Option<Upgrading>,
    /// Who has sent it, and where his streams are counted.
    streams: Option<(StreamSeats, Actor)>,
    /// The same of his bodies.
    incoming: Option<(IncomingBodies, Actor)>,
    pub(crate) trail: AuditTrail,
    pub(crate) outcome: Outcome,
    /// Of the priority level that it belongs to.
    pub(crate) seat: HeldSeat,
    pub(crate) came: Instant,
    /// For its turn.
    pub(crate) waited: Duration,
    /// Cancelled when nobody waits for its answer any more, where the request outlives that.
    pub(crate) client_gone: CancellationToken,
    /// What has been read of the body; only whoever has the request to itself reads, the lock makes the rest shareable.
    chunks: Mutex<Chunks>,
    whole_body: Option<Bytes>,
    /// Where that was read and not worked on yet.
    body_seat: Option<BodySeat>,
}

/// A connection that will speak another protocol when the answer has been sent.
pub(crate) struct Upgrading {
    connection: OnUpgrade,
    trail: AuditTrail,
    /// Among the streams of its user, where those are counted.
    seat: Option<StreamSeat>,
}

impl Upgrading {
    /// Has the connection for `run`, once it is there, until that has done with it or another stream takes its seat. A client that has
    /// gone before takes all of it with it.
    pub(crate) fn carry<F>(self, run: impl FnOnce(Upgraded) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Upgrading { connection, trail, seat } = self;
        tokio::spawn(async move {
            // the request is not over before the stream is
            let _trail = trail;
            let stream = async move {
                if let Ok(upgraded) = connection.await {
                    run(upgraded).await;
                }
            };
            match seat {
                Some(seat) => seat.hold(stream).await,
                None => stream.await,
            }
        });
    }
}

impl Request {
    pub(crate) fn new<B: Buf + 'static, E: std::fmt::Display + 'static>(
        (method, path, query): (Method, String, String),
        headers: HeaderMap,
        peer: Arc<Peer>,
        upgrade: Option<OnUpgrade>,
        body: impl Stream<Item = Result<B, E>> + Send + 'static,
    ) -> Self {
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let segments = path.split('/').filter(|s| !s.is_empty()).map(decode).collect();
        let form = |text: &str| decode(&text.replace('+', " "));
        let raw_query = query;
        let query = raw_query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(key, value)| (form(key), form(value)))
            .collect();
        let chunks = body.map(|chunk| match chunk {
            Ok(mut chunk) => Ok(chunk.copy_to_bytes(chunk.remaining())),
            Err(e) => Err(Status::bad_request(format!("read body: {e}"))),
        });
        let chunks = Mutex::new(Box::pin(chunks) as Chunks);
        let upgrade =
            upgrade.map(|connection| Upgrading { connection, trail: AuditTrail::default(), seat: None });
        Request {
            method,
            path,
            segments,
            query,
            raw_query,
            headers,
            peer,
            stranger: None,
            upgrade,
            streams: None,
            incoming: None,
            trail: AuditTrail::default(),
            outcome: Outcome::default(),
            seat: HeldSeat::default(),
            came: Instant::now(),
            waited: Duration::ZERO,
            client_gone: CancellationToken::new(),
            chunks,
            whole_body: None,
            body_seat: None,
        }
    }

    /// Somebody has shown that it is his.
    pub(crate) fn is_no_strangers(&self) {
        if let Some(seat) = &self.stranger {
            seat.leave();
        }
    }

    /// From now on the audit log hears of it.
    pub(crate) fn follow(&mut self, trail: AuditTrail) {
        if let Some(upgrade) = &mut self.upgrade {
            upgrade.trail = trail.clone();
        }
        self.outcome.follow(&trail);
        self.trail = trail;
    }

    /// Should it become a stream, it is one of the user's.
    pub(crate) fn count_stream(&mut self, seats: &StreamSeats, user: &Actor) {
        self.streams = self.upgrade.is_some().then(|| (seats.clone(), user.clone()));
    }

    /// Should its body be read, it is one of the user's.
    pub(crate) fn count_body(&mut self, incoming: &IncomingBodies, user: &Actor) {
        self.incoming = Some((incoming.clone(), user.clone()));
    }

    /// The connection, for who changes its protocol; `None` where nobody has asked for that.
    ///
    /// # Errors
    /// `TooManyRequests` for a user who has many streams already.
    pub(crate) fn take_upgrade(&mut self) -> Result<Option<Upgrading>, Status> {
        let Some(mut upgrade) = self.upgrade.take() else { return Ok(None) };
        if let Some((seats, user)) = self.streams.take() {
            upgrade.seat = seats.take(&user)?;
        }
        Ok(Some(upgrade))
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

    /// All that it is given, in order.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
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

    /// The body as it comes, for one who passes it on.
    pub(crate) fn take_body(&mut self) -> Chunks {
        let chunks = self.chunks.get_mut();
        std::mem::replace(chunks, Box::pin(futures::stream::empty()))
    }

    /// The whole body, read from the client the first time.
    ///
    /// # Errors
    /// `RequestEntityTooLarge`, `Timeout`, a body that breaks off; `TooManyRequests` for a user who sends many.
    pub(crate) async fn body(&mut self) -> Result<Bytes, Status> {
        if let Some(body) = &self.whole_body {
            return Ok(body.clone());
        }
        let gone = self.client_gone.clone();
        let seat = self.incoming.take().and_then(|(incoming, user)| incoming.take(&user));
        let whole = timeout(WHOLE_BODY, collect(self.chunks.get_mut(), seat.as_ref()));
        let reading = async {
            match &seat {
                Some(seat) => seat.hold(whole).await,
                None => Ok(whole.await),
            }
        };
        let read = tokio::select! {
            read = reading => read?,
            // it was given up: whoever still sends keeps nobody at work
            () = gone.cancelled() => return Err(given_up()),
        };
        let body = read.map_err(|_| {
            let message = "request did not complete within the allotted timeout";
            Status::new(Reason::Timeout, message)
        })??;
        self.whole_body = Some(body.clone());
        self.body_seat = seat;
        Ok(body)
    }

    /// Before something is begun that must be finished.
    ///
    /// # Errors
    /// As [`given_up`].
    pub(crate) fn check_client(&self) -> Result<(), Status> {
        match self.client_gone.is_cancelled() {
            true => Err(given_up()),
            false => Ok(()),
        }
    }

    /// For who works on the body that was read: it is counted no more when it is dropped.
    pub(crate) fn take_body_seat(&mut self) -> Option<BodySeat> {
        self.body_seat.take()
    }

    /// For a client whose request is refused: it may still be sending.
    pub(crate) async fn discard_body(&mut self) {
        let chunks = self.chunks.get_mut();
        let _ = timeout(PATIENCE, throw_away(chunks, LARGEST_UNWELCOME)).await;
    }

    /// Of the body, in small letters and without parameters.
    pub(crate) fn media_type(&self) -> String {
        let content_type = self.header(http::header::CONTENT_TYPE);
        content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The body as JSON; YAML and protobuf are turned into it.
    ///
    /// # Errors
    /// `UnsupportedMediaType`, `BadRequest`, `RequestEntityTooLarge`.
    pub(crate) async fn json_body(&mut self) -> Result<Bytes, Status> {
        let body = self.body().await?;
        body::to_json(&self.media_type(), body)
    }

    /// Keys that stand twice in a body of YAML: of what is read of it only the last of each is left.
    ///
    /// # Errors
    /// As [`Request::json_body`].
    pub(crate) async fn doubled_yaml_keys(&mut self) -> Result<Vec<String>, Status> {
        match self.media_type().as_str() {
            "application/yaml" => body::doubled_keys(&self.body().await?),
            _ => Ok(Vec::new()),
        }
    }

    /// The body as YAML or JSON, whatever its media type.
    ///
    /// # Errors
    /// `BadRequest` for what is neither.
    pub(crate) async fn yaml_body(&mut self) -> Result<serde_json::Value, Status> {
        body::to_value(&self.body().await?)
    }
}

async fn collect(chunks: &mut Chunks, seat: Option<&BodySeat>) -> Result<Bytes, Status> {
    let mut whole = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if whole.len() + chunk.len() > LARGEST_BODY {
            drop(whole);
            let _ = timeout(PATIENCE, throw_away(chunks, LARGEST_REFUSED)).await;
            return Err(body::too_large());
        }
        if let Some(seat) = seat {
            seat.has(whole.len() + chunk.len());
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

/// What upstream's handlers make of a request whose context has ended.
fn given_up() -> Status {
    Status::internal("context canceled")
}

async fn throw_away(chunks: &mut Chunks, most: usize) {
    let mut seen = 0;
    while let Some(Ok(chunk)) = chunks.next().await {
        seen += chunk.len();
        if seen > most {
            return;
        }
    }
}

/// An object that is not stored.
///
/// # Errors
/// `BadRequest` for what does not fit the type.
pub(crate) async fn typed_body<T: Resource + DeserializeOwned>(request: &mut Request) -> Result<T, Status> {
    let body = request.json_body().await?;
    typed(&body).map_err(|e| Status::bad_request(format!("the object provided is unrecognized: {e}")))
}

/// As Go's decoder reads it: a null among values is the zero of its type.
pub(crate) fn typed<T: Resource + DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    let mut value: Value = serde_json::from_slice(json)?;
    let known = schema::table::type_of(T::GROUP, T::VERSION, T::KIND).and_then(schema::table::named);
    if let Some(known) = known {
        schema::zero_nulls(&mut value, known);
    }
    serde_json::from_value(value)
}

#[cfg(test)]
impl Request {
    pub(crate) fn for_tests(method: &str, path: &str, query: &str, body: Vec<Result<Bytes, Status>>) -> Self {
        let line = (method.parse().unwrap(), path.to_owned(), query.to_owned());
        let body = futures::stream::iter(body);
        Request::new(line, HeaderMap::new(), Arc::default(), None, body)
    }
}

#[cfg(test)]
mod tests;
