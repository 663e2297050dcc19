//! `docker events`: what happened lately, and what happens from now on.

use crate::label_budget;
use crate::names::familiar;
use crate::record::Record;
use image::ImageStore;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::watch;

/// As many as Docker remembers.
const REMEMBERED: usize = 256;
/// Bytes of those in memory, or fewer are remembered: an event tells all labels of its container, which are as long as whoever
/// made the image likes. A hundred times what 256 usual ones of compose take.
const MOST_BYTES: usize = 32 << 20;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Event {
    #[serde(skip_serializing_if = "String::is_empty")]
    status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    from: String,
    #[serde(rename = "Type")]
    pub(crate) kind: &'static str,
    #[serde(rename = "Action")]
    pub(crate) action: String,
    #[serde(rename = "Actor")]
    pub(crate) actor: Actor,
    scope: &'static str,
    time: i64,
    #[serde(rename = "timeNano")]
    pub(crate) time_nano: i128,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Actor {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// What an image says of itself; nothing where there is none.
pub(crate) fn labels_of(images: &ImageStore, name_or_id: &str) -> BTreeMap<String, String> {
    images.details(name_or_id).map(|details| details.document.config.labels).unwrap_or_default()
}

/// The last events. Each has a number, so that who reads them needs no copy of his own: however many read, and however slowly, no
/// more is kept than this.
#[derive(Default)]
struct Backlog {
    kept: VecDeque<Arc<Event>>,
    /// The number of the first that is kept.
    first: u64,
    /// That those which are kept take in memory.
    bytes: usize,
}

impl Event {
    /// Bytes in memory, about.
    fn size(&self) -> usize {
        let attributes = self.actor.attributes.iter();
        let attributes: usize = attributes.map(|(name, value)| label_budget::size(name, value)).sum();
        size_of::<Event>() + self.action.len() + self.actor.id.len() + attributes
    }
}

impl Backlog {
    /// The number of the next event.
    fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    fn push(&mut self, event: Event) {
        self.bytes += event.size();
        self.kept.push_back(Arc::new(event));
        while self.kept.len() > REMEMBERED || self.bytes > MOST_BYTES && self.kept.len() > 1 {
            let gone = self.kept.pop_front();
            self.bytes -= gone.map_or(0, |gone| gone.size());
            self.first += 1;
        }
    }

    /// The first one from this number on that is still kept, and its number.
    fn at_or_after(&self, number: u64) -> Option<(u64, Arc<Event>)> {
        let number = number.max(self.first);
        let place = usize::try_from(number - self.first).ok()?;
        self.kept.get(place).map(|event| (number, event.clone()))
    }
}

pub(crate) struct Events {
    backlog: Mutex<Backlog>,
    /// The number of the next event.
    end: watch::Sender<u64>,
}

impl Default for Events {
    fn default() -> Self {
        Events { backlog: Mutex::default(), end: watch::Sender::new(0) }
    }
}

/// Where somebody is who reads what has happened. What goes before he has read it he misses.
pub(crate) struct Past {
    events: Arc<Events>,
    next: u64,
    end: u64,
}

impl Iterator for Past {
    type Item = Arc<Event>;

    fn next(&mut self) -> Option<Arc<Event>> {
        let (number, event) =
            self.events.backlog.lock().at_or_after(self.next).filter(|(n, _)| *n < self.end)?;
        self.next = number + 1;
        Some(event)
    }
}

/// The same of what happens from now on.
pub(crate) struct Following {
    events: Arc<Events>,
    next: u64,
    told: watch::Receiver<u64>,
}

impl Following {
    /// Waits for it; `None` when there will be no more.
    pub(crate) async fn next(&mut self) -> Option<Arc<Event>> {
        loop {
            let known = self.events.backlog.lock().at_or_after(self.next);
            if let Some((number, event)) = known {
                self.next = number + 1;
                return Some(event);
            }
            self.told.changed().await.ok()?;
        }
    }
}

impl Events {
    pub(crate) fn tell(
        &self,
        kind: &'static str,
        action: &str,
        id: &str,
        attributes: BTreeMap<String, String>,
    ) {
        let now = Timestamp::now();
        // the old form beside the new one, as the engine sends it
        let old = |wanted: bool, text: &str| if wanted { text.to_owned() } else { String::new() };
        let has_status = matches!(kind, "container" | "image");
        let event = Event {
            status: old(has_status, action),
            id: old(has_status, id),
            from: attributes.get("image").cloned().unwrap_or_default(),
            kind,
            action: action.to_owned(),
            actor: Actor { id: id.to_owned(), attributes },
            scope: "local",
            time: now.as_second(),
            time_nano: now.as_nanosecond(),
        };
        let mut backlog = self.backlog.lock();
        backlog.push(event);
        self.end.send_replace(backlog.end());
    }

    pub(crate) fn container(&self, action: &str, record: &Record, more: &[(&str, String)]) {
        let mut attributes = record.config.labels.clone();
        attributes.insert("image".to_owned(), record.config.image.clone());
        attributes.insert("name".to_owned(), record.name.clone());
        attributes.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        self.tell("container", action, &record.id, attributes);
    }

    /// Who follows.
    pub(crate) fn listeners(&self) -> usize {
        self.end.receiver_count()
    }

    /// A container's volumes come into use, or go out of it.
    pub(crate) fn volumes(&self, action: &str, record: &Record) {
        for mounted in record.mounts.iter().filter(|m| !m.name.is_empty()) {
            let mut attributes: BTreeMap<String, String> =
                [("driver".to_owned(), "local".to_owned()), ("container".to_owned(), record.id.clone())]
                    .into();
            if action == "mount" {
                attributes.insert("destination".to_owned(), mounted.target.display().to_string());
                attributes.insert("read/write".to_owned(), (!mounted.read_only).to_string());
                attributes.insert("propagation".to_owned(), mounted.propagation.clone());
            }
            self.tell("volume", action, &mounted.name, attributes);
        }
    }

    /// An image that was built, by whichever builder.
    pub(crate) fn built(&self, images: &ImageStore, id: &str, names: &[String]) {
        let labels = labels_of(images, id);
        self.image("create", id, id, labels.clone());
        names.iter().for_each(|name| self.image("tag", id, &familiar(name), labels.clone()));
    }

    /// Of an image by its id, or what it was asked for by, under this name.
    pub(crate) fn image(&self, action: &str, id: &str, name: &str, labels: BTreeMap<String, String>) {
        let mut attributes = labels;
        attributes.insert("name".to_owned(), name.to_owned());
        self.tell("image", action, id, attributes);
    }

    /// What a prune has freed.
    pub(crate) fn pruned(&self, kind: &'static str, freed: u64) {
        self.tell(kind, "prune", "", [("reclaimed".to_owned(), freed.to_string())].into());
    }

    /// The past and the future without a gap between them.
    pub(crate) fn follow(self: &Arc<Self>) -> (Past, Following) {
        let backlog = self.backlog.lock();
        let (first, end) = (backlog.first, backlog.end());
        let past = Past { events: self.clone(), next: first, end };
        (past, Following { events: self.clone(), next: end, told: self.end.subscribe() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    fn tag(events: &Events, id: &str) {
        events.image("tag", id, "x", BTreeMap::new());
    }

    fn events_of(count: usize) -> Arc<Events> {
        let events = Arc::new(Events::default());
        (0..count).for_each(|number| tag(&events, &number.to_string()));
        events
    }

    fn ids(events: impl Iterator<Item = Arc<Event>>) -> Vec<String> {
        events.map(|event| event.actor.id.clone()).collect()
    }

    #[test]
    fn all_labels_are_told_and_many_of_them_fill_no_memory() {
        let events = Arc::new(Events::default());
        let mut web = record("web");
        let long = MOST_BYTES / 4;
        web.config.labels = [
            ("com.docker.compose.project".to_owned(), "shop".to_owned()),
            ("z".to_owned(), "x".repeat(long)),
        ]
        .into();
        (0..8).for_each(|_| events.container("start", &web, &[("more", "y".to_owned())]));
        let past: Vec<_> = events.follow().0.collect();
        assert_eq!(past.len(), 3, "as many as have room");
        for event in past {
            let attributes = &event.actor.attributes;
            assert_eq!(
                (attributes["com.docker.compose.project"].as_str(), attributes["z"].len()),
                ("shop", long)
            );
            assert_eq!((attributes["name"].as_str(), attributes["more"].as_str()), ("web", "y"));
        }
        web.config.labels.insert("z".to_owned(), "x".repeat(2 * MOST_BYTES));
        events.container("die", &web, &[]);
        let last: Vec<_> = events.follow().0.collect();
        assert_eq!(
            (last.len(), last[0].actor.attributes["z"].len()),
            (1, 2 * MOST_BYTES),
            "the last one always"
        );
        (0..2 * REMEMBERED).for_each(|_| tag(&events, "1"));
        let backlog = events.backlog.lock();
        assert_eq!(backlog.kept.len(), REMEMBERED);
        assert_eq!(backlog.bytes, backlog.kept.iter().map(|event| event.size()).sum::<usize>());
    }

    #[test]
    fn an_image_is_told_with_its_labels() {
        let events = Arc::new(Events::default());
        let labels = [("maintainer", "us"), ("name", "a label")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        events.image("pull", "app:1", "app", labels.into());
        let told = events.follow().0.next().unwrap();
        let of = |name: &str| told.actor.attributes[name].as_str();
        assert_eq!((of("maintainer"), of("name"), told.actor.attributes.len()), ("us", "app", 2));
    }

    #[tokio::test]
    async fn past_and_future_have_no_gap_and_who_is_slow_misses_the_oldest() {
        let events = events_of(3);
        let (past, mut future) = events.follow();
        tag(&events, "3");
        assert_eq!(ids(past), ["0", "1", "2"]);
        assert_eq!(future.next().await.unwrap().actor.id, "3");
        let told = tokio::spawn(async move { (future.next().await.unwrap().actor.id.clone(), future) });
        tokio::task::yield_now().await;
        tag(&events, "4");
        let (id, mut future) = told.await.unwrap();
        assert_eq!((id.as_str(), events.listeners()), ("4", 1));

        let (past, _) = events.follow();
        (5..5 + REMEMBERED).for_each(|number| tag(&events, &number.to_string()));
        assert_eq!(ids(past), Vec::<String>::new(), "all that had happened is gone");
        tag(&events, "last");
        assert_eq!(future.next().await.unwrap().actor.id, "6");
    }
}
