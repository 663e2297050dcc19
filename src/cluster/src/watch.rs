//! Watches: the events of a selection of objects, from a revision on or with what is there first. An object that a change brings
//! into the selection is told as added, and one that it takes out of it as deleted, as upstream does.

use crate::conversion::{MOST_OBJECTS, batch};
use crate::read::{Selection, too_large};
use crate::{Actor, Attributes, Cluster, Target};
use ::api::{FieldSelector, LabelSelector, Object, ResourceVersion, Status};
use std::collections::VecDeque;
use store::{Event, EventKind, Watch};

#[derive(Debug, Clone, Default)]
pub struct WatchParams {
    pub labels: LabelSelector,
    pub fields: FieldSelector,
    /// Events after it; `None` and 0 begin with what exists.
    pub resource_version: Option<ResourceVersion>,
    /// `sendInitialEvents`: what exists first, then a bookmark that says so.
    pub send_initial_events: bool,
    /// `sendInitialEvents=false`: nothing of what exists, also where no revision is named.
    pub from_now: bool,
}

#[derive(Debug, Clone)]
pub enum WatchEvent {
    Added(Object),
    Modified(Object),
    Deleted(Object),
    /// All that existed at the start has been sent; `revision` is as of then.
    InitialEventsEnd(ResourceVersion),
}

/// What happens to a selection of objects.
pub struct WatchStream {
    /// What exists at the start, and what has happened since as far as it was looked for, in their order: not selected yet.
    unseen: VecDeque<Event>,
    /// Where all that exists at the start is told, it is said once.
    initial_end: Option<ResourceVersion>,
    /// Not handed out yet.
    selected: VecDeque<WatchEvent>,
    watch: Watch,
    selection: Selection,
    /// Asks the webhook that converts, where there is one and the objects are wanted in its version.
    converter: Option<Cluster>,
}

impl Cluster {
    /// Objects as they are stored, and selected as they are stored: for the process itself.
    ///
    /// # Errors
    /// `Forbidden`, `BadRequest` for selectors that the kind does not support, `Expired` where the revision is too old, `Timeout`
    /// where what exists is asked for as of one that is not there yet.
    pub fn watch(&self, actor: &Actor, target: &Target, params: &WatchParams) -> Result<WatchStream, Status> {
        let mut attributes = Attributes::of("watch", target).selecting(&params.labels, &params.fields);
        if attributes.name.is_none() {
            attributes.name = params.fields.exact_name().map(str::to_owned);
        }
        self.authorize(actor, &attributes)?;
        let selection = Selection::new(target, params.labels.clone(), params.fields.clone())?;
        let selection = selection.of_watch(&self.0.recent_fields);
        let from = params.resource_version.filter(|v| v.0 != 0);
        let (unseen, after) = match from {
            Some(after) if !params.send_initial_events => (VecDeque::new(), after),
            Some(wanted) if wanted > self.store().revision() => {
                return Err(too_large(wanted, self.store().revision()));
            }
            _ if params.from_now => (VecDeque::new(), self.store().revision()),
            _ => self.existing(target, &selection),
        };
        let initial_end = params.send_initial_events.then_some(after);
        let watch = self.store().watch(&target.stored_in(), after).map_err(|e| too_old(&e))?;
        Ok(WatchStream { unseen, initial_end, selected: VecDeque::new(), watch, selection, converter: None })
    }

    /// Objects in the version that is asked for, and selected by its labels and fields.
    ///
    /// # Errors
    /// As [`Cluster::watch`].
    pub fn watch_in_version(
        &self,
        actor: &Actor,
        target: &Target,
        params: &WatchParams,
    ) -> Result<WatchStream, Status> {
        let converter = target.version.conversion().map(|_| self.clone());
        Ok(WatchStream { converter, ..self.watch(actor, target, params)? })
    }

    /// As if it were just made.
    fn existing(&self, target: &Target, selection: &Selection) -> (VecDeque<Event>, ResourceVersion) {
        let snapshot = self.store().snapshot();
        let objects = snapshot.list(&target.stored_in(), target.namespace.as_deref(), None);
        let objects = objects.filter(|object| selection.may_match(object)).cloned();
        let made = |object| Event { kind: EventKind::Added, object, previous: None };
        (objects.map(made).collect(), snapshot.revision())
    }
}

pub(crate) fn too_old(error: &store::TooOld) -> Status {
    Status::expired(error.to_string())
}

impl WatchStream {
    /// May be dropped at any point without losing an event.
    ///
    /// # Errors
    /// `Expired` when the reader was too slow: it must list again. `InternalError` where a webhook that converts fails.
    pub async fn next(&mut self) -> Result<WatchEvent, Status> {
        loop {
            if let Some(event) = self.try_next()? {
                return Ok(event);
            }
            if self.unseen.is_empty() {
                let event = self.watch.next().await.map_err(|e| too_old(&e))?;
                self.unseen.push_back(event);
            }
            if let Some(cluster) = self.converter.clone() {
                self.select_converted(&cluster).await?;
            }
        }
    }

    /// What is there already, without waiting: several events go out in one write. What must be converted first is not.
    ///
    /// # Errors
    /// As [`WatchStream::next`].
    pub fn try_next(&mut self) -> Result<Option<WatchEvent>, Status> {
        loop {
            if let Some(event) = self.selected.pop_front() {
                return Ok(Some(event));
            }
            if let Some(revision) = self.initial_end.take_if(|_| self.unseen.is_empty()) {
                return Ok(Some(WatchEvent::InitialEventsEnd(revision)));
            }
            if self.converter.is_some() {
                return Ok(None);
            }
            let next = match self.unseen.pop_front() {
                None => self.watch.try_next().map_err(|e| too_old(&e))?,
                known => known,
            };
            let Some(event) = next else { return Ok(None) };
            self.selected.extend(self.selection.see(&event, &event.object, event.previous.as_ref()));
        }
    }

    /// For a bookmark: everything up to this revision has been told. `None` while something waits for being converted.
    pub fn progress(&self) -> Option<ResourceVersion> {
        let all_told = self.unseen.is_empty() && self.selected.is_empty() && self.initial_end.is_none();
        all_told.then(|| self.watch.progress())
    }

    /// One batch. It stays unseen until the webhook has answered.
    async fn select_converted(&mut self, cluster: &Cluster) -> Result<(), Status> {
        while self.unseen.len() < MOST_OBJECTS
            // what is wrong is said by the next wait
            && let Ok(Some(event)) = self.watch.try_next()
        {
            self.unseen.push_back(event);
        }
        let selection = &self.selection;
        let batch = batch(self.unseen.iter().map(size)).min(self.unseen.len());
        let asked = self.unseen.range(..batch).flat_map(|event| selection.to_convert(event)).flatten();
        let asked = asked.cloned().collect();
        let mut converted = cluster.in_version(selection.version(), asked).await?.into_iter();
        for event in self.unseen.drain(..batch) {
            let [object, previous] =
                selection.to_convert(&event).map(|asked| asked.and_then(|_| converted.next()));
            let Some(object) = object else { continue };
            let previous = previous.as_ref().or(event.previous.as_ref());
            self.selected.extend(selection.see(&event, &object, previous));
        }
        Ok(())
    }
}

fn size(event: &Event) -> usize {
    event.object.bytes().len() + event.previous.as_ref().map_or(0, |previous| previous.bytes().len())
}

impl Selection {
    /// The event as a watcher of this selection sees it: an object that comes into the selection is added, one that leaves
    /// it is deleted. What is looked at, and handed out, is `object` and `previous`: the event's own, or converted.
    fn see(&self, event: &Event, object: &Object, previous: Option<&Object>) -> Option<WatchEvent> {
        let is_in = self.matches(object);
        let was_in = previous.is_some_and(|previous| self.matches(previous));
        let object = || object.clone();
        match (event.kind, was_in, is_in) {
            (EventKind::Deleted, true, _) => Some(WatchEvent::Deleted(object())),
            (EventKind::Deleted, false, is_in) => is_in.then(|| WatchEvent::Deleted(object())),
            (_, false, true) => Some(WatchEvent::Added(object())),
            (_, true, true) => Some(WatchEvent::Modified(object())),
            (_, true, false) => Some(WatchEvent::Deleted(object())),
            (_, false, false) => None,
        }
    }

    /// The object and the previous one, as far as they must be converted to see the event.
    fn to_convert<'a>(&self, event: &'a Event) -> [Option<&'a Object>; 2] {
        let before = event.previous.as_ref().filter(|previous| self.may_match(previous));
        let concerned = before.is_some() || self.may_match(&event.object);
        [concerned.then_some(&event.object), before.filter(|_| self.is_of_converted())]
    }
}
