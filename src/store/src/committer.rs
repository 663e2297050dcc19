//! The one writer: takes what waits in the queue as a group, works it out on a copy of the root, makes it durable with one
//! fsync, and only then shows it, wakes the watchers and answers. Where the log refuses, the copy is thrown away.

use crate::log::{Log, Record};
use crate::root::Root;
use crate::write::{Change, CommitError, Committed, Durability, Priority, Write};
use crate::{Event, EventKind, Resource, Shared};
use api::{Object, ResourceVersion};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The most that a lazy write may be behind.
const LAZY_LAG: Duration = Duration::from_secs(1);

type Answer = oneshot::Sender<Result<Committed, CommitError>>;

pub(crate) enum Request {
    Commit { writes: Vec<Write>, priority: Priority, answer: Answer },
    Close { answer: oneshot::Sender<()> },
}

type Asked = (Vec<Write>, Priority, Answer);

pub(crate) struct Committer {
    log: Box<dyn Log>,
    shared: Arc<Shared>,
    behind: Option<Behind>,
}

/// Lazy writes: shown already, but not yet on disk.
struct Behind {
    records: Vec<Record>,
    due: Instant,
    /// The log refused them. Until it takes them again no write is lazy, so that they do not pile up.
    refused: bool,
}

/// What a group of requests comes to, before it is durable.
#[derive(Default)]
struct Group {
    records: Vec<Record>,
    events: Vec<(Resource, Event)>,
    outcomes: Vec<Outcome>,
    must_sync: bool,
}

struct Outcome {
    answer: Answer,
    result: Result<Committed, CommitError>,
    /// It rests on writes of this group, so it holds only where they become durable.
    tentative: bool,
}

enum Woken {
    Requests(Vec<Asked>, Option<oneshot::Sender<()>>),
    LazyIsDue,
    Closed(Option<oneshot::Sender<()>>),
}

impl Committer {
    pub(crate) fn new(log: Box<dyn Log>, shared: Arc<Shared>) -> Self {
        Committer { log, shared, behind: None }
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
        let first = match &self.behind {
            None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(behind) => queue.recv_timeout(behind.due.saturating_duration_since(Instant::now())),
        };
        let mut group = match first {
            Ok(Request::Commit { writes, priority, answer }) => vec![(writes, priority, answer)],
            Ok(Request::Close { answer }) => return Woken::Closed(Some(answer)),
            Err(RecvTimeoutError::Timeout) => return Woken::LazyIsDue,
            Err(RecvTimeoutError::Disconnected) => return Woken::Closed(None),
        };
        let mut bytes = group.iter().map(|(writes, ..)| bytes_of(writes)).sum::<usize>();
        while group.len() < self.log.largest_group() && bytes < self.log.largest_group_bytes() {
            match queue.try_recv() {
                Ok(Request::Commit { writes, priority, answer }) => {
                    bytes += bytes_of(&writes);
                    group.push((writes, priority, answer));
                }
                // those who asked before the close are served
                Ok(Request::Close { answer }) => return Woken::Requests(group, Some(answer)),
                Err(_) => break,
            }
        }
        Woken::Requests(group, None)
    }

    fn close(mut self, answer: Option<oneshot::Sender<()>>) {
        self.flush_lazy();
        if self.behind.is_none() {
            self.log.close(self.shared.root.load().revision);
        }
        drop(self.log); // the file is free when the caller hears of it
        if let Some(answer) = answer {
            let _ = answer.send(());
        }
    }

    fn commit(&mut self, requests: Vec<Asked>) {
        let mut root = Root::clone(&self.shared.root.load());
        let mut group = Group::default();
        for (writes, priority, answer) in requests {
            let most = self.shared.quota.map(|quota| priority.most(quota));
            let result = match too_large(&writes, self.log.largest_object()) {
                Some(refused) => Err(refused),
                None => apply(&mut root, writes, most, &mut group),
            };
            let is_full = matches!(result, Err(CommitError::OverQuota)) && priority != Priority::Low;
            self.tell_of_room(is_full, root.bytes);
            let tentative = !group.records.is_empty();
            group.outcomes.push(Outcome { answer, result, tentative });
        }
        if group.records.is_empty() {
            return answer_all(group.outcomes);
        }
        if let Err(error) = self.make_durable(&mut group, root.revision) {
            return refuse_all(group.outcomes, &error);
        }
        let revision = root.revision;
        let root = Arc::new(root);
        self.shared.root.store(root.clone());
        // whoever hears of one of them can list what there was at its revision
        self.shared.windows.publish(group.events, revision, || self.shared.published.store(root));
        self.shared.newest.send_replace(revision);
        answer_all(group.outcomes);
    }

    /// Once, until there is clearly more room than when something was refused.
    fn tell_of_room(&self, refused: bool, bytes: usize) {
        let Some(quota) = self.shared.quota else { return };
        let was_full = self.shared.is_full.load(Ordering::Relaxed);
        if refused && !was_full {
            self.shared.is_full.store(true, Ordering::Relaxed);
            tracing::warn!(
                "what is stored takes {} MiB of the {} MiB that it may have of the daemon's memory: until something is deleted nothing is \
                 added (`start --daemon-memory` changes the limit)",
                bytes >> 20,
                quota >> 20
            );
        } else if was_full && bytes < Priority::Low.most(quota) {
            self.shared.is_full.store(false, Ordering::Relaxed);
            tracing::info!("what is stored takes {} MiB: there is room again", bytes >> 20);
        }
    }

    fn make_durable(&mut self, group: &mut Group, newest: ResourceVersion) -> Result<(), CommitError> {
        let overdue =
            self.behind.as_ref().is_some_and(|behind| behind.refused || behind.due <= Instant::now());
        // a lazy write that is lost must not give its revision to another, so beyond the reserve nothing is lazy
        if group.must_sync || overdue || newest > self.log.reserved() {
            return self.append(&group.records, newest);
        }
        let fresh = || Behind { records: Vec::new(), due: Instant::now() + LAZY_LAG, refused: false };
        self.behind.get_or_insert_with(fresh).records.append(&mut group.records);
        Ok(())
    }

    /// What is behind goes first: it has the older revisions.
    fn append(&mut self, records: &[Record], newest: ResourceVersion) -> Result<(), CommitError> {
        let earlier = self.behind.as_ref().map_or(&[][..], |behind| &behind.records);
        let appended = self.log.append(earlier, records, newest);
        if let Err(CommitError::TakenOver(why)) = &appended {
            self.shared.taken_over.send_replace(Some(why.clone()));
        }
        match (&appended, &mut self.behind) {
            (Ok(()), behind) => *behind = None,
            (Err(_), Some(behind)) => behind.refused = true,
            (Err(_), None) => {}
        }
        appended
    }

    fn flush_lazy(&mut self) {
        if self.behind.is_none() {
            return;
        }
        let newest = self.shared.root.load().revision;
        if let Err(error) = self.append(&[], newest) {
            tracing::error!(%error, "lazy writes are not on disk yet, will try again");
            if let Some(behind) = &mut self.behind {
                behind.due = Instant::now() + LAZY_LAG;
            }
        }
    }
}

// One who went away does not hear the answer.
fn answer_all(outcomes: Vec<Outcome>) {
    for Outcome { answer, result, .. } in outcomes {
        let _ = answer.send(result);
    }
}

fn refuse_all(outcomes: Vec<Outcome>, error: &CommitError) {
    for Outcome { answer, result, tentative } in outcomes {
        let _ = answer.send(if tentative { Err(error.clone()) } else { result });
    }
}

/// Of JSON that is to be stored.
fn bytes_of(writes: &[Write]) -> usize {
    let stored = |write: &Write| match &write.change {
        Change::Put(draft) => draft.len(),
        Change::Delete { .. } => 0,
    };
    writes.iter().map(stored).sum()
}

/// Asked of each request by itself, so that it does not take the others of its group with it.
fn too_large(writes: &[Write], most: usize) -> Option<CommitError> {
    writes.iter().find_map(|write| match &write.change {
        Change::Put(draft) if draft.len() > most => Some(CommitError::TooLarge { bytes: draft.len(), most }),
        _ => None,
    })
}

/// Applies one request to the root, all or nothing. What makes it larger than `most` bytes is refused.
fn apply(
    root: &mut Root,
    writes: Vec<Write>,
    most: Option<usize>,
    group: &mut Group,
) -> Result<Committed, CommitError> {
    let (before, bytes, mark) = (root.revision, root.bytes, group.records.len());
    let must_sync = writes.iter().any(|write| write.durability == Durability::Sync);
    let mut objects = Vec::with_capacity(writes.len());
    for (index, write) in writes.into_iter().enumerate() {
        match apply_one(root, write, group) {
            Ok(object) => objects.push(object),
            Err(current) => {
                take_back(root, group, mark);
                root.revision = before;
                return Err(CommitError::Precondition { index, current: current_before(current, before) });
            }
        }
    }
    if root.bytes > bytes && most.is_some_and(|most| root.bytes > most) {
        take_back(root, group, mark);
        root.revision = before;
        return Err(CommitError::OverQuota);
    }
    group.must_sync |= must_sync && !objects.is_empty();
    Ok(Committed { objects, revision: root.revision })
}

/// An object that an earlier write of the same request would have stored never existed for anybody.
fn current_before(current: Option<Object>, before: ResourceVersion) -> Option<Object> {
    current.filter(|object| object.revision() <= before)
}

fn apply_one(root: &mut Root, write: Write, group: &mut Group) -> Result<Object, Option<Object>> {
    let Write { resource, key, precondition, change, .. } = write;
    let current = root.resources.get(&resource).and_then(|objects| objects.get(&key)).cloned();
    let deletes_nothing = matches!(change, Change::Delete { .. }) && current.is_none();
    if deletes_nothing || !precondition.holds(current.as_ref()) {
        return Err(current);
    }
    let revision = ResourceVersion(root.revision.0 + 1);
    let (kind, object, stored) = match change {
        Change::Put(draft) => {
            let object = draft.stamp(revision);
            root.insert(resource.clone(), key.clone(), object.clone());
            let kind = if current.is_some() { EventKind::Modified } else { EventKind::Added };
            (kind, object.clone(), Some(object))
        }
        Change::Delete { last } => {
            root.remove(&resource, &key);
            (EventKind::Deleted, last.stamp(revision), None)
        }
    };
    root.revision = revision;
    let record =
        Record { resource: resource.clone(), key, revision, object: stored, previous: current.clone() };
    group.records.push(record);
    group.events.push((resource, Event { kind, object: object.clone(), previous: current }));
    Ok(object)
}

/// Undoes the writes from `mark` on, the newest first. Records and events go in pairs.
fn take_back(root: &mut Root, group: &mut Group, mark: usize) {
    let undone = group.records.drain(mark..).zip(group.events.drain(mark..)).rev();
    for (record, (resource, event)) in undone {
        match event.previous {
            Some(previous) => root.insert(resource, record.key, previous),
            None => root.remove(&resource, &record.key),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::OpenError;
    use crate::{Options, Precondition, Store};
    use api::{ObjectKey, REVISION_PLACEHOLDER, Unstamped};
    use std::sync::mpsc;

    /// Takes so much at once.
    struct Narrow {
        requests: usize,
        bytes: usize,
    }

    impl Log for Narrow {
        fn reserved(&self) -> ResourceVersion {
            ResourceVersion(u64::MAX)
        }

        fn append(&mut self, _: &[Record], _: &[Record], _: ResourceVersion) -> Result<(), CommitError> {
            Ok(())
        }

        fn largest_group(&self) -> usize {
            self.requests
        }

        fn largest_group_bytes(&self) -> usize {
            self.bytes
        }

        fn renew(&mut self, _: &Root) -> Result<Option<String>, OpenError> {
            Ok(None)
        }

        fn close(&mut self, _: ResourceVersion) {}
    }

    /// Of some more than 1000 bytes.
    fn request() -> Request {
        let json = serde_json::json!({
            "metadata": {"name": "a", "resourceVersion": REVISION_PLACEHOLDER}, "data": {"value": "x".repeat(1000)}
        });
        let put = Write {
            resource: Resource::from("configmaps"),
            key: ObjectKey::namespaced("default", "a"),
            precondition: Precondition::None,
            change: Change::Put(Unstamped::new(json.to_string().into_bytes()).unwrap()),
            durability: Durability::Sync,
        };
        let (answer, _) = oneshot::channel();
        Request::Commit { writes: vec![put], priority: Priority::Normal, answer }
    }

    #[test]
    fn a_group_ends_where_the_log_takes_no_more_at_once() {
        let store = Store::in_memory(Options::default());
        for (name, requests, bytes, want) in [
            ("all that wait", 512, usize::MAX, 5),
            ("so many requests", 3, usize::MAX, 3),
            ("so many bytes", 512, 2500, 3),
            ("one that is larger is alone", 512, 10, 1),
        ] {
            let committer = Committer::new(Box::new(Narrow { requests, bytes }), store.shared.clone());
            let (send, queue) = mpsc::channel();
            (0..5).for_each(|_| send.send(request()).unwrap());
            let Woken::Requests(group, None) = committer.wait(&queue) else { panic!("{name}") };
            assert_eq!(group.len(), want, "{name}");
        }
    }
}
