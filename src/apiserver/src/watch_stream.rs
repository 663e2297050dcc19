//! A watch as a stream of JSON lines, or of protobuf messages, each led by its length.

use crate::metrics::Watching;
use crate::negotiate::{self, Chosen, Format, View};
use crate::parse_budget::ParseBudget;
use crate::recent_views::{Form, RecentViews};
use crate::request::Request;
use crate::server_state::ServerState;
use crate::table::Include;
use crate::unread::PIECE_WITHIN;
use crate::{params, responses, watch_socket};
use api::{Object, Reason, ResourceVersion, Status};
use bytes::{BufMut, Bytes, BytesMut};
use cluster::{Actor, Target, WatchEvent, WatchStream};
use futures::StreamExt;
use kinds::Version;
use listener::{LARGE_PIECE, TakenWithin};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use warp::reply::Response;

/// Upstream ends a watch after a random time of at least half an hour, so that clients spread.
const SHORTEST_LIFE: Duration = Duration::from_secs(30 * 60);
/// A client may ask for more than a clock can count.
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf;stream=watch";
const END_OF_LINE: &[u8] = b"}\n";
/// Events that go out in one write.
const LARGEST_WRITE: usize = 64 * 1024;

/// How one event is told from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Lines,
    Protobuf,
}

impl Framing {
    fn content_type(self) -> &'static str {
        match self {
            Framing::Lines => "application/json",
            Framing::Protobuf => PROTOBUF,
        }
    }

    /// An object that is in JSON.
    fn put(self, out: &mut BytesMut, kind: &str, object: &[u8]) {
        match self {
            Framing::Lines => self.put_encoded(out, kind, object),
            Framing::Protobuf => match message(object) {
                Ok(message) => self.put_encoded(out, kind, &message),
                // what was stored is of its kind, and a refusal always is one
                Err(error) => tracing::error!(%error, "an event has no protobuf form and is left out"),
            },
        }
    }

    /// An object as this framing has it.
    fn put_encoded(self, out: &mut BytesMut, kind: &str, object: &[u8]) {
        self.begin(out, kind, object.len());
        out.put_slice(object);
        self.end(out);
    }

    /// What stands before an object of so many bytes.
    fn begin(self, out: &mut BytesMut, kind: &str, object: usize) {
        match self {
            Framing::Lines => {
                out.put_slice(br#"{"type":""#);
                out.put_slice(kind.as_bytes());
                out.put_slice(br#"","object":"#);
            }
            Framing::Protobuf => out.put_slice(&protobuf::watch_event_head(kind, object)),
        }
    }

    fn end(self, out: &mut BytesMut) {
        match self {
            Framing::Lines => out.put_slice(END_OF_LINE),
            Framing::Protobuf => {}
        }
    }
}

/// What goes out next.
#[derive(Default)]
struct Writes {
    done: Vec<Bytes>,
    open: BytesMut,
}

impl Writes {
    /// A large object, of [`LARGEST_WRITE`] at least, is not copied: a thousand watchers that do not read have it in memory once. Each
    /// piece that holds it, and the one that it waits behind, is large enough to have its time ([`LARGE_PIECE`]).
    fn share(&mut self, framing: Framing, kind: &str, object: &Bytes) {
        framing.begin(&mut self.open, kind, object.len());
        self.open.put_slice(&object[..LARGE_PIECE]);
        self.done.push(self.open.split().freeze());
        let mut rest = object.slice(LARGE_PIECE..);
        let count = rest.len().div_ceil(LARGEST_WRITE).max(1);
        let size = rest.len().div_ceil(count);
        while !rest.is_empty() {
            self.done.push(rest.split_to(size.min(rest.len())));
        }
        framing.end(&mut self.open);
    }

    fn finish(mut self) -> Vec<Bytes> {
        if !self.open.is_empty() {
            self.done.push(self.open.freeze());
        }
        self.done
    }
}

struct Lines {
    events: WatchStream,
    framing: Framing,
    version: Arc<Version>,
    view: View,
    include: Include,
    /// Where objects are shown otherwise than they are stored.
    views: Arc<RecentViews>,
    turns: ParseBudget,
    bookmarks: bool,
    ends: Instant,
    next_bookmark: Instant,
    over: bool,
    _watching: Watching,
}

pub(crate) fn answer(
    state: &ServerState,
    actor: &Actor,
    target: &Target,
    chosen: Chosen,
    request: &Request,
) -> Result<Response, Status> {
    let framing = framing(chosen.format, request)?;
    let seat = state.watches.take(actor, request.raw_query.len())?;
    let events = match state.cluster.watch_in_version(actor, target, &params::watch(request)?) {
        Err(status) if status.is(Reason::Expired) => return Ok(expired(framing, &status)),
        events => events?,
    };
    let life = request.number("timeoutSeconds")?.map_or(SHORTEST_LIFE, Duration::from_secs);
    let now = Instant::now();
    let lines = Lines {
        events,
        framing,
        version: target.version.clone(),
        view: chosen.view,
        include: params::include(request, chosen.view)?,
        views: state.views.clone(),
        turns: state.parsing.clone(),
        bookmarks: request.flag("allowWatchBookmarks")?,
        ends: now + life.min(LONGEST_LIFE),
        next_bookmark: now + BOOKMARK_EVERY,
        over: false,
        _watching: state.metrics.requests.watching(target),
    };
    let chunks = futures::stream::unfold(lines, |mut lines| async move {
        lines.next().await.map(|writes| (writes, lines))
    });
    let lost = async move {
        match seat {
            Some(seat) => seat.lost().await,
            None => std::future::pending().await,
        }
    };
    let chunks = chunks.take_until(lost);
    let chunks = chunks.flat_map(|writes| futures::stream::iter(writes.into_iter().map(Ok::<_, Infallible>)));
    let mut response = responses::stream(framing.content_type(), chunks);
    response
        .extensions_mut()
        .insert(TakenWithin { large_piece: Some(PIECE_WITHIN), ..TakenWithin::default() });
    Ok(response)
}

/// That the revision is too old is the stream's only event, and no refusal: upstream's watch cache tells it so (`newErrWatcher`), and
/// there are clients (kube-rs) that begin with a new list after such an event, and after nothing else.
fn expired(framing: Framing, status: &Status) -> Response {
    let mut event = BytesMut::new();
    framing.put(&mut event, "ERROR", status.to_json().to_string().as_bytes());
    let only = futures::stream::iter([Ok::<_, Infallible>(event.freeze())]);
    responses::stream(framing.content_type(), only)
}

/// A socket carries texts: there, who takes JSON too gets it.
///
/// # Errors
/// `NotAcceptable`.
fn framing(format: Format, request: &Request) -> Result<Framing, Status> {
    if format != Format::Protobuf {
        return Ok(Framing::Lines);
    }
    match watch_socket::is_asked(request)? {
        false => Ok(Framing::Protobuf),
        true if negotiate::takes_json(request.header(http::header::ACCEPT)) => Ok(Framing::Lines),
        true => Err(Status::new(
            Reason::NotAcceptable,
            "only the following media types are accepted: application/json;stream=watch",
        )),
    }
}

impl Lines {
    /// The next write: all events that are there, up to a size.
    async fn next(&mut self) -> Option<Vec<Bytes>> {
        if self.over {
            return None;
        }
        let mut out = Writes::default();
        let until = if self.bookmarks { self.ends.min(self.next_bookmark) } else { self.ends };
        match tokio::time::timeout_at(until, self.events.next()).await {
            Ok(first) => {
                for event in self.there(first) {
                    self.put(&mut out, event).await;
                    if self.over {
                        break;
                    }
                }
            }
            Err(_) if Instant::now() >= self.ends => {
                // who watches again begins here, and not at the last event that he had
                self.over = true;
                let last = self.events.progress().filter(|_| self.bookmarks)?;
                self.put_bookmark(&mut out, last, false);
            }
            Err(_) => {
                self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                if let Some(revision) = self.events.progress() {
                    self.put_bookmark(&mut out, revision, false);
                }
            }
        }
        Some(out.finish())
    }

    /// The first event and all that are there by now, up to a size.
    fn there(&mut self, first: Result<WatchEvent, Status>) -> Vec<Result<WatchEvent, Status>> {
        let mut size = size_of(&first);
        let mut events = vec![first];
        while size < LARGEST_WRITE && events.last().is_some_and(Result::is_ok) {
            match self.events.try_next() {
                Ok(Some(event)) => events.push(Ok(event)),
                Ok(None) => break,
                Err(status) => events.push(Err(status)),
            }
            size += events.last().map_or(0, size_of);
        }
        events
    }

    async fn put(&mut self, out: &mut Writes, event: Result<WatchEvent, Status>) {
        let (kind, object) = match event {
            Ok(WatchEvent::Added(object)) => ("ADDED", object),
            Ok(WatchEvent::Modified(object)) => ("MODIFIED", object),
            Ok(WatchEvent::Deleted(object)) => ("DELETED", object),
            Ok(WatchEvent::InitialEventsEnd(revision)) if self.bookmarks => {
                return self.put_bookmark(out, revision, true);
            }
            // who takes no bookmarks can not be told
            Ok(WatchEvent::InitialEventsEnd(_)) => return,
            Err(status) => return self.put_error(out, &status),
        };
        match self.shown(&object).await {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) if bytes.len() >= LARGEST_WRITE => out.share(self.framing, kind, &bytes),
            Ok(bytes) => self.framing.put_encoded(&mut out.open, kind, &bytes),
            Err(status) => self.put_error(out, &status),
        }
    }

    /// By `&mut self`: the events can not be shared between threads.
    async fn shown(&mut self, object: &Object) -> Result<Bytes, Status> {
        let is_protobuf = self.framing == Framing::Protobuf;
        if self.view == View::Objects && !is_protobuf {
            return Ok(self.version.present(object.bytes()));
        }
        let form = Form { view: self.view, include: self.include, is_protobuf };
        self.views.of(&self.turns, &self.version, object, form).await
    }

    fn put_error(&mut self, out: &mut Writes, status: &Status) {
        self.over = true;
        self.framing.put(&mut out.open, "ERROR", status.to_json().to_string().as_bytes());
    }

    fn put_bookmark(&self, out: &mut Writes, revision: ResourceVersion, initial_end: bool) {
        let mut meta = json!({"resourceVersion": revision.to_string()});
        if initial_end {
            meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let gvk = &self.version.info().gvk;
        let mark: Value = match self.view {
            View::Table => json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": revision.to_string()}, "columnDefinitions": null,
                "rows": [{"cells": [], "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}}],
            }),
            View::Partial => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta})
            }
            View::Objects => json!({"kind": gvk.kind, "apiVersion": gvk.api_version(), "metadata": meta}),
        };
        self.framing.put(&mut out.open, "BOOKMARK", mark.to_string().as_bytes());
    }
}

fn message(object: &[u8]) -> Result<Vec<u8>, String> {
    let object = serde_json::from_slice(object).map_err(|e| e.to_string())?;
    protobuf::encode(&object).map_err(|e| e.to_string())
}

fn size_of(event: &Result<WatchEvent, Status>) -> usize {
    match event {
        Ok(WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object)) => {
            object.bytes().len()
        }
        Ok(WatchEvent::InitialEventsEnd(_)) | Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_object_is_told_and_not_copied() {
        for framing in [Framing::Lines, Framing::Protobuf] {
            for size in [LARGEST_WRITE, LARGEST_WRITE + LARGE_PIECE + 1, 10 * LARGEST_WRITE + 7] {
                let (mut copied, mut shared) = (BytesMut::new(), Writes::default());
                let objects = [Bytes::from_static(b"{}"), Bytes::from(vec![b'x'; size])];
                for object in &objects {
                    framing.put_encoded(&mut copied, "ADDED", object);
                }
                framing.put_encoded(&mut shared.open, "ADDED", &objects[0]);
                shared.share(framing, "ADDED", &objects[1]);
                let writes = shared.finish();
                assert_eq!(writes.concat(), copied, "{framing:?} of {size} bytes");
                let memory = objects[1].as_ptr_range();
                let is_shared = |write: &&Bytes| memory.contains(&write.as_ptr());
                let held: Vec<&Bytes> = writes.iter().filter(is_shared).collect();
                let bytes: usize = held.iter().map(|write| write.len()).sum();
                assert_eq!(bytes, size - LARGE_PIECE, "{framing:?} of {size} bytes: it is the same memory");
                let has_time = |write: &Bytes| write.len() >= LARGE_PIECE;
                assert!(has_time(&writes[0]) && held.into_iter().all(has_time));
            }
        }
        assert!(Writes::default().finish().is_empty());
    }
}
