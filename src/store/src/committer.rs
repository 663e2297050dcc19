use crate::log::Log;
use crate::root::Root;
use crate::{Event, EventKind, Resource, Shared};
use api::{Object, ObjectKey, ResourceVersion, Unstamped};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The most that a lazy write may be behind.
const LAZY_LAG: Duration = Duration::from_secs(1);
/// Requests that share one fsync; bounds how long the first of them waits.
const LARGEST_GROUP: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On disk before it is acknowledged.
    Sync,
    /// Acknowledged and seen at once, on disk within a second.
    Lazy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    None,
    Absent,
    Exists,
    /// It exists, and this is its newest revision.
    At(ResourceVersion),
}

#[derive(Debug, Clone)]
pub enum Change {
    Put(Unstamped),
    /// `last` is what watchers are shown, stamped with the deletion's revision.
    Delete { last: Unstamped },
}

#[derive(Debug, Clone)]
pub struct Write {
    pub resource: Resource,
    pub key: ObjectKey,
    pub precondition: Precondition,
    pub change: Change,
    pub durability: Durability,
}

/// The objects in the order of the writes: as stored, or as last shown where they were deleted.
#[derive(Debug, Clone)]
pub struct Committed {
    pub objects: Vec<Object>,
    pub revision: ResourceVersion,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    #[error("precondition of write {index} does not hold")]
    Precondition { index: usize, current: Option<Object> },
    #[error("no space left on the device that holds the store")]
    Full,
    #[error("write to the store: {0}")]
    Log(String),
    #[error("the store is closed")]
    Closed,
}

type Answer = oneshot::Sender<Result<Committed, CommitError>>;

pub(crate) enum Request {
    Commit { writes: Vec<Write>, answer: Answer },
    Close { answer: oneshot::Sender<()> },
}

/// One line of the log: an object stored, or a key that is gone.
pub(crate) struct Record {
    pub(crate) resource: Resource,
    pub(crate) key: ObjectKey,
    pub(crate) revision: ResourceVersion,
    pub(crate) object: Option<Object>,
}

pub(crate) struct Committer {
    log: Box<dyn Log>,
    shared: Arc<Shared>,
    /// Shown already, but not yet on disk.
    lazy: Vec<Record>,
    lazy_since: Option<Instant>,
}

/// What a group of requests comes to, before it is durable.
#[derive(Default)]
struct Group {
    records: Vec<Record>,
    events: Vec<(Resource, Event)>,
    answers: Vec<(Answer, Committed)>,
    must_sync: bool,
}

enum Woken {
    Requests(Vec<(Vec<Write>, Answer)>, Option<oneshot::Sender<()>>),
    LazyIsDue,
    Closed(Option<oneshot::Sender<()>>),
}

impl Committer {
    pub(crate) fn new(log: Box<dyn Log>, shared: Arc<Shared>) -> Self {
        Committer { log, shared, lazy: Vec::new(), lazy_since: None }
    }

    pub(crate) fn run(mut self, queue: &Receiver<Request>) {
        loop {
            match self.wait(queue) {
                Woken::Requests(requests, None) => self.commit(requests),
                Woken::Requests(requests, Some(close)) => {
                    self.commit(requests);
                    return self.close(Some(close));
                }
                Woken::LazyIsDue => self.flush_lazy(),
                Woken::Closed(answer) => return self.close(answer),
            }
        }
    }

    fn wait(&self, queue: &Receiver<Request>) -> Woken {
        let first = match self.lazy_since {
            None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) => queue.recv_timeout((since + LAZY_LAG).saturating_duration_since(Instant::now())),
        };
        let mut group = match first {
            Ok(Request::Commit { writes, answer }) => vec![(writes, answer)],
            Ok(Request::Close { answer }) => return Woken::Closed(Some(answer)),
            Err(RecvTimeoutError::Timeout) => return Woken::LazyIsDue,
            Err(RecvTimeoutError::Disconnected) => return Woken::Closed(None),
        };
        while group.len() < LARGEST_GROUP {
            match queue.try_recv() {
                Ok(Request::Commit { writes, answer }) => group.push((writes, answer)),
                // those who asked before the close are served
                Ok(Request::Close { answer }) => return Woken::Requests(group, Some(answer)),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        Woken::Requests(group, None)
    }

    fn close(mut self, answer: Option<oneshot::Sender<()>>) {
        self.flush_lazy();
        self.log.close();
        answer.map(|answer| answer.send(()));
    }

    fn commit(&mut self, requests: Vec<(Vec<Write>, Answer)>) {
        let mut root = Root::clone(&self.shared.root.load());
        let mut group = Group::default();
        for (writes, answer) in requests {
            let before = root.clone();
            match apply(&mut root, &writes, &mut group) {
                Ok(committed) => group.answers.push((answer, committed)),
                Err(refused) => {
                    root = before;
                    let _ = answer.send(Err(refused));
                }
            }
        }
        if group.answers.is_empty() {
            return;
        }
        if group.must_sync {
            if let Err(error) = self.log.append(&self.lazy, &group.records) {
                for (answer, _) in group.answers {
                    let _ = answer.send(Err(error.clone()));
                }
                return;
            }
            self.lazy.clear();
            self.lazy_since = None;
        } else {
            self.lazy.append(&mut group.records);
            self.lazy_since.get_or_insert_with(Instant::now);
        }
        self.shared.root.store(Arc::new(root));
        self.shared.windows.publish(group.events);
        for (answer, committed) in group.answers {
            let _ = answer.send(Ok(committed));
        }
    }

    fn flush_lazy(&mut self) {
        self.lazy_since = None;
        if self.lazy.is_empty() {
            return;
        }
        match self.log.append(&self.lazy, &[]) {
            Ok(()) => self.lazy.clear(),
            Err(error) => {
                tracing::error!(%error, "events and leases could not be written, will try again");
                self.lazy_since = Some(Instant::now());
            }
        }
    }
}

/// Applies one request to the root, all or nothing; what it adds to the group is taken back where it fails.
fn apply(root: &mut Root, writes: &[Write], group: &mut Group) -> Result<Committed, CommitError> {
    let marks = (group.records.len(), group.events.len());
    let mut objects = Vec::with_capacity(writes.len());
    for (index, write) in writes.iter().enumerate() {
        match apply_one(root, write, group) {
            Ok(object) => objects.push(object),
            Err(current) => {
                group.records.truncate(marks.0);
                group.events.truncate(marks.1);
                return Err(CommitError::Precondition { index, current });
            }
        }
    }
    group.must_sync |= writes.iter().any(|write| write.durability == Durability::Sync);
    Ok(Committed { objects, revision: root.revision })
}

fn apply_one(root: &mut Root, write: &Write, group: &mut Group) -> Result<Object, Option<Object>> {
    let objects = root.resources.entry(write.resource.clone()).or_default();
    let current = objects.get(&write.key).cloned();
    let holds = match (write.precondition, &current) {
        (Precondition::None, _) | (Precondition::Absent, None) | (Precondition::Exists, Some(_)) => true,
        (Precondition::At(at), Some(object)) => object.revision() == at,
        _ => false,
    };
    if !holds {
        return Err(current);
    }
    let revision = ResourceVersion(root.revision.0 + 1);
    let (kind, object, stored) = match &write.change {
        Change::Put(draft) => {
            let object = draft.clone().stamp(revision);
            objects.insert(write.key.clone(), object.clone());
            let kind = if current.is_some() { EventKind::Modified } else { EventKind::Added };
            (kind, object.clone(), Some(object))
        }
        Change::Delete { last } => {
            if objects.remove(&write.key).is_none() {
                return Err(None);
            }
            (EventKind::Deleted, last.clone().stamp(revision), None)
        }
    };
    root.revision = revision;
    let record = Record { resource: write.resource.clone(), key: write.key.clone(), revision, object: stored };
    group.records.push(record);
    group.events.push((write.resource.clone(), Event { kind, object: object.clone(), previous: current }));
    Ok(object)
}
