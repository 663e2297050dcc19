//! What the client is shown of a build: vertices, how far they are, what they wrote. Everything is kept in the order in
//! which it happened, so that whoever comes late, or asks for the log of a build that is over, sees the same.

use crate::proto::control::{StatusResponse, Vertex, VertexLog, VertexStatus, VertexWarning};
use crate::proto::now;
use futures::{Stream, stream};
use image::Digest;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;

/// What one step may write; BuildKit's own limit.
const MAX_LOG: usize = 2 << 20;

/// What all steps of a build may write: it is held in memory, as long as the build is in the history.
const MAX_LOGS: usize = 32 << 20;
/// What a piece of a log takes beside its bytes: a command may write them one by one.
const PIECE: usize = 512;

/// A vertex of one build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct VertexId(usize);

/// How many vertices there are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) total: i32,
    pub(crate) completed: i32,
    pub(crate) cached: i32,
    pub(crate) warnings: i32,
}

pub(crate) struct Progress {
    /// Of the build; makes the vertices' digests its own.
    build: String,
    told: Mutex<Told>,
    /// How much was told, and whether that is all.
    length: watch::Sender<(usize, bool)>,
}

#[derive(Default)]
struct Told {
    messages: Vec<Arc<StatusResponse>>,
    vertices: Vec<Vertex>,
    written: HashMap<VertexId, usize>,
    /// Bytes that the logs take in memory, about.
    logs: usize,
    statuses: HashMap<(VertexId, String), VertexStatus>,
    warnings: i32,
}

impl Progress {
    pub(crate) fn new(build: &str) -> Progress {
        Progress { build: build.to_owned(), told: Mutex::default(), length: watch::Sender::new((0, false)) }
    }

    /// Something that will be done.
    pub(crate) fn add(&self, name: &str, inputs: &[VertexId]) -> VertexId {
        self.tell(|told| {
            let id = VertexId(told.vertices.len());
            let digest = Digest::of(format!("{}/{}/{name}", self.build, id.0).as_bytes()).to_string();
            let inputs = inputs.iter().filter_map(|input| Some(told.vertices.get(input.0)?.digest.clone()));
            let vertex =
                Vertex { digest, inputs: inputs.collect(), name: name.to_owned(), ..Vertex::default() };
            told.vertices.push(vertex.clone());
            (StatusResponse { vertexes: vec![vertex], ..StatusResponse::default() }, id)
        })
    }

    /// Something that is done from now on.
    pub(crate) fn begin(&self, name: &str) -> VertexId {
        let id = self.add(name, &[]);
        self.start(id);
        id
    }

    pub(crate) fn start(&self, id: VertexId) {
        self.change(id, |vertex| vertex.started = now());
    }

    pub(crate) fn cached(&self, id: VertexId) {
        self.change(id, |vertex| {
            vertex.started = vertex.started.or_else(now);
            vertex.cached = true;
        });
    }

    pub(crate) fn done(&self, id: VertexId) {
        self.change(id, |vertex| vertex.completed = now());
    }

    pub(crate) fn fail(&self, id: VertexId, why: &str) {
        self.change(id, |vertex| {
            vertex.started = vertex.started.or_else(now);
            vertex.completed = now();
            vertex.error = why.to_owned();
        });
    }

    /// Ends it as the result has it.
    pub(crate) fn end<T>(&self, id: VertexId, result: Result<T, tonic::Status>) -> Result<T, tonic::Status> {
        match &result {
            Ok(_) => self.done(id),
            Err(status) => self.fail(id, status.message()),
        }
        result
    }

    fn change(&self, id: VertexId, change: impl FnOnce(&mut Vertex)) {
        self.tell(|told| {
            let vertex = told.vertices.get_mut(id.0).map(|vertex| {
                change(vertex);
                vertex.clone()
            });
            (StatusResponse { vertexes: vertex.into_iter().collect(), ..StatusResponse::default() }, ())
        });
    }

    /// 1 is standard output, 2 standard error.
    pub(crate) fn log(&self, id: VertexId, stream: i64, bytes: &[u8]) {
        self.tell(|told| {
            let written = told.written.entry(id).or_default();
            let room = if told.logs < MAX_LOGS { MAX_LOG.saturating_sub(*written) } else { 0 };
            *written += bytes.len();
            let mut msg = bytes[..bytes.len().min(room)].to_vec();
            if room > 0 && bytes.len() >= room {
                msg.extend_from_slice(b"\n[output clipped, log limit 2MiB reached]\n");
            }
            if room > 0 {
                told.logs += msg.len() + PIECE;
                if told.logs >= MAX_LOGS {
                    msg.extend_from_slice(b"\n[output clipped, log limit of the build reached]\n");
                }
            }
            let vertex = told.vertices.get(id.0).map(|vertex| vertex.digest.clone()).unwrap_or_default();
            let log = VertexLog { vertex, timestamp: now(), stream, msg };
            let logs = if room > 0 { vec![log] } else { Vec::new() };
            (StatusResponse { logs, ..StatusResponse::default() }, ())
        });
    }

    /// Bytes that the logs take in memory, about.
    pub(crate) fn kept(&self) -> usize {
        self.told.lock().logs
    }

    /// How far a part of a vertex is: `of` is 0 where that is not known. It is done where `is_done` says so.
    pub(crate) fn part(&self, id: VertexId, name: &str, current: u64, of: u64, is_done: bool) {
        self.tell(|told| {
            let vertex = told.vertices.get(id.0).map(|vertex| vertex.digest.clone()).unwrap_or_default();
            let status = told.statuses.entry((id, name.to_owned())).or_insert_with(|| VertexStatus {
                id: name.to_owned(),
                vertex,
                started: now(),
                ..VertexStatus::default()
            });
            let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
            (status.current, status.total, status.timestamp) = (number(current), number(of), now());
            status.completed = if is_done { now() } else { None };
            (StatusResponse { statuses: vec![status.clone()], ..StatusResponse::default() }, ())
        });
    }

    pub(crate) fn warn(&self, id: Option<VertexId>, mut warning: VertexWarning) {
        self.tell(|told| {
            let vertex = id.and_then(|id| told.vertices.get(id.0)).or(told.vertices.first());
            if let (Some(vertex), true) = (vertex, warning.vertex.is_empty()) {
                warning.vertex = vertex.digest.clone();
            }
            told.warnings += 1;
            (StatusResponse { warnings: vec![warning], ..StatusResponse::default() }, ())
        });
    }

    /// Nothing follows; whoever watches is done. What was begun and not ended was cancelled.
    pub(crate) fn close(&self) {
        let open: Vec<VertexId> = {
            let told = self.told.lock();
            let is_open = |vertex: &Vertex| vertex.started.is_some() && vertex.completed.is_none();
            (0..told.vertices.len()).filter(|at| is_open(&told.vertices[*at])).map(VertexId).collect()
        };
        open.into_iter().for_each(|id| self.fail(id, "context canceled"));
        self.length.send_modify(|length| length.1 = true);
    }

    pub(crate) fn count(&self) -> Count {
        let told = self.told.lock();
        let of = |is: fn(&Vertex) -> bool| told.vertices.iter().filter(|vertex| is(vertex)).count() as i32;
        Count {
            total: of(|_| true),
            completed: of(|vertex| vertex.completed.is_some()),
            cached: of(|vertex| vertex.cached),
            warnings: told.warnings,
        }
    }

    fn tell<T>(&self, change: impl FnOnce(&mut Told) -> (StatusResponse, T)) -> T {
        let (length, result) = {
            let mut told = self.told.lock();
            let (message, result) = change(&mut told);
            if message != StatusResponse::default() {
                told.messages.push(Arc::new(message));
            }
            (told.messages.len(), result)
        };
        self.length.send_modify(|told| told.0 = told.0.max(length));
        result
    }

    /// All from the beginning, and what is still to come.
    pub(crate) fn follow(self: &Arc<Self>) -> impl Stream<Item = StatusResponse> + Send + 'static {
        let state = (self.clone(), self.length.subscribe(), 0);
        stream::unfold(state, |(progress, mut length, seen)| async move {
            let (told, _) = *length.wait_for(|(told, is_all)| *told > seen || *is_all).await.ok()?;
            let new: Vec<Arc<StatusResponse>> = progress.told.lock().messages.get(seen..told)?.to_vec();
            (!new.is_empty()).then(|| (merged(&new), (progress, length, told)))
        })
    }
}

/// Several messages as one.
fn merged(messages: &[Arc<StatusResponse>]) -> StatusResponse {
    let mut all = StatusResponse::default();
    for message in messages {
        all.vertexes.extend(message.vertexes.iter().cloned());
        all.statuses.extend(message.statuses.iter().cloned());
        all.logs.extend(message.logs.iter().cloned());
        all.warnings.extend(message.warnings.iter().cloned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;

    async fn all(progress: &Arc<Progress>) -> StatusResponse {
        let messages: Vec<_> = progress.follow().map(Arc::new).collect().await;
        merged(&messages)
    }

    #[tokio::test]
    async fn who_comes_late_sees_everything() {
        let progress = Arc::new(Progress::new("b"));
        let early = tokio::spawn({
            let progress = progress.clone();
            async move { all(&progress).await }
        });
        tokio::task::yield_now().await;
        let first = progress.begin("one");
        let second = progress.add("two", &[first]);
        progress.log(first, 1, b"hello\n");
        progress.done(first);
        progress.start(second);
        progress.cached(second);
        progress.done(second);
        progress.close();
        let (early, late) = (early.await.unwrap(), all(&progress).await);
        assert_eq!(early, late);
        let last = late.vertexes.last().unwrap();
        assert!(last.cached && last.completed.is_some() && last.error.is_empty());
        assert_eq!(last.inputs, [late.vertexes[0].digest.clone()]);
        assert_eq!(progress.count(), Count { total: 2, completed: 2, cached: 1, warnings: 0 });
    }

    #[tokio::test]
    async fn what_was_begun_ends_with_the_build() {
        let progress = Arc::new(Progress::new("b"));
        let (open, _planned) = (progress.begin("open"), progress.add("planned", &[]));
        progress.part(open, "transferring", 5, 0, false);
        progress.close();
        let told = all(&progress).await;
        assert_eq!(told.vertexes.last().unwrap().error, "context canceled");
        assert_eq!(told.statuses[0].current, 5);
        assert_eq!(progress.count().completed, 1);
    }

    #[tokio::test]
    async fn a_step_that_writes_too_much_is_clipped() {
        let progress = Arc::new(Progress::new("b"));
        let (loud, quiet) = (progress.begin("loud"), progress.begin("quiet"));
        for _ in 0..40 {
            progress.log(loud, 1, &vec![b'x'; 100 << 10]);
        }
        progress.log(quiet, 2, b"still heard");
        progress.close();
        let logs = all(&progress).await.logs;
        let written: usize = logs.iter().map(|log| log.msg.len()).sum();
        assert!(written < MAX_LOG + 100, "{written}");
        let clipped = logs.iter().filter(|log| log.msg.ends_with(b"limit 2MiB reached]\n")).count();
        assert_eq!((clipped, &logs.last().unwrap().msg[..]), (1, &b"still heard"[..]));
    }

    /// The attack: as many steps as a Dockerfile may have, each with as much as one may write, byte by byte.
    #[tokio::test]
    async fn all_steps_of_a_build_together_are_clipped() {
        let progress = Arc::new(Progress::new("b"));
        for (name, piece) in [("small", 1), ("large", 64 << 10)] {
            for _ in 0..20 {
                let step = progress.begin(name);
                (0..MAX_LOG / piece.max(64)).for_each(|_| progress.log(step, 1, &vec![b'x'; piece]));
            }
        }
        progress.close();
        assert!(progress.kept() < MAX_LOGS + MAX_LOG, "{}", progress.kept());
        let logs = all(&progress).await.logs;
        let clipped = logs.iter().filter(|log| log.msg.ends_with(b"limit of the build reached]\n")).count();
        assert_eq!(clipped, 1);
        assert!(logs.last().unwrap().msg.ends_with(b"limit of the build reached]\n"));
    }
}
