use crate::read::Selection;
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
    initial: VecDeque<WatchEvent>,
    watch: Watch,
    selection: Selection,
}

impl Cluster {
    /// # Errors
    /// `Forbidden`, `BadRequest` for selectors that the kind does not support, `Expired` where the revision is too old.
    pub fn watch(&self, actor: &Actor, target: &Target, params: &WatchParams) -> Result<WatchStream, Status> {
        let mut attributes = Attributes::of("watch", target);
        if attributes.name.is_none() {
            attributes.name = params.fields.exact_name().map(str::to_owned);
        }
        self.authorize(actor, &attributes)?;
        let selection = Selection::new(target, params.labels.clone(), params.fields.clone())?;
        let from = params.resource_version.filter(|v| v.0 != 0);
        let (initial, after) = match from {
            Some(after) if !params.send_initial_events => (VecDeque::new(), after),
            _ => self.existing(target, &selection, params.send_initial_events),
        };
        let watch = self.store().watch(&target.stored_in(), after).map_err(|e| too_old(&e))?;
        Ok(WatchStream { initial, watch, selection })
    }

    fn existing(
        &self,
        target: &Target,
        selection: &Selection,
        mark_end: bool,
    ) -> (VecDeque<WatchEvent>, ResourceVersion) {
        let snapshot = self.store().snapshot();
        let resource = target.stored_in();
        let objects =
            snapshot.list(&resource, target.namespace.as_deref(), None).filter(|o| selection.matches(o));
        let mut initial: VecDeque<WatchEvent> = objects.cloned().map(WatchEvent::Added).collect();
        if mark_end {
            initial.push_back(WatchEvent::InitialEventsEnd(snapshot.revision()));
        }
        (initial, snapshot.revision())
    }
}

pub(crate) fn too_old(error: &store::TooOld) -> Status {
    Status::expired(error.to_string())
}

impl WatchStream {
    /// # Errors
    /// `Expired` when the reader was too slow: it must list again.
    pub async fn next(&mut self) -> Result<WatchEvent, Status> {
        if let Some(event) = self.initial.pop_front() {
            return Ok(event);
        }
        loop {
            let event = self.watch.next().await.map_err(|e| too_old(&e))?;
            if let Some(event) = self.selection.see(&event) {
                return Ok(event);
            }
        }
    }

    /// What is there already, without waiting: several events go out in one write.
    ///
    /// # Errors
    /// As [`WatchStream::next`].
    pub fn try_next(&mut self) -> Result<Option<WatchEvent>, Status> {
        if let Some(event) = self.initial.pop_front() {
            return Ok(Some(event));
        }
        while let Some(event) = self.watch.try_next().map_err(|e| too_old(&e))? {
            if let Some(event) = self.selection.see(&event) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// For a bookmark: everything up to this revision has been seen.
    pub fn progress(&self) -> ResourceVersion {
        self.watch.progress()
    }
}

impl Selection {
    /// The event as a watcher of this selection sees it: an object that comes into the selection is added, one that leaves
    /// it is deleted.
    fn see(&self, event: &Event) -> Option<WatchEvent> {
        let is_in = self.matches(&event.object);
        let was_in = event.previous.as_ref().is_some_and(|previous| self.matches(previous));
        let object = event.object.clone();
        match (event.kind, was_in, is_in) {
            (EventKind::Deleted, true, _) => Some(WatchEvent::Deleted(object)),
            (EventKind::Deleted, false, is_in) => is_in.then_some(WatchEvent::Deleted(object)),
            (_, false, true) => Some(WatchEvent::Added(object)),
            (_, true, true) => Some(WatchEvent::Modified(object)),
            (_, true, false) => Some(WatchEvent::Deleted(object)),
            (_, false, false) => None,
        }
    }
}
