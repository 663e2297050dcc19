//! `docker events`: what happened lately, and what happens from now on.

use crate::label_budget::LabelBudget;
use crate::names::familiar;
use crate::record::Record;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use tokio::sync::broadcast;

/// As many as Docker remembers.
const REMEMBERED: usize = 256;
/// Bytes of a container's labels that one event tells: those of compose and of dev containers are a tenth of it.
const MOST_LABELS: usize = 64 << 10;

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

pub(crate) struct Events {
    tell: broadcast::Sender<Event>,
    past: Mutex<VecDeque<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        Events { tell: broadcast::Sender::new(REMEMBERED), past: Mutex::default() }
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
        let mut past = self.past.lock();
        past.push_back(event.clone());
        if past.len() > REMEMBERED {
            past.pop_front();
        }
        let _ = self.tell.send(event);
    }

    pub(crate) fn container(&self, action: &str, record: &Record, more: &[(&str, String)]) {
        let mut budget = LabelBudget::of(MOST_LABELS);
        let labels = record.config.labels.iter().filter(|(name, value)| budget.takes(name, value));
        let mut attributes: BTreeMap<String, String> =
            labels.map(|(name, value)| (name.clone(), value.clone())).collect();
        attributes.insert("image".to_owned(), record.config.image.clone());
        attributes.insert("name".to_owned(), record.name.clone());
        attributes.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        self.tell("container", action, &record.id, attributes);
    }

    /// Who follows.
    pub(crate) fn listeners(&self) -> usize {
        self.tell.receiver_count()
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
    pub(crate) fn built(&self, id: &str, names: &[String]) {
        self.image("create", id, id);
        names.iter().for_each(|name| self.image("tag", id, &familiar(name)));
    }

    /// Of an image by its id, under this name.
    pub(crate) fn image(&self, action: &str, id: &str, name: &str) {
        self.tell("image", action, id, [("name".to_owned(), name.to_owned())].into());
    }

    /// What a prune has freed.
    pub(crate) fn pruned(&self, kind: &'static str, freed: u64) {
        self.tell(kind, "prune", "", [("reclaimed".to_owned(), freed.to_string())].into());
    }

    /// The past and the future without a gap between them.
    pub(crate) fn follow(&self) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let past = self.past.lock();
        (past.iter().cloned().collect(), self.tell.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    #[test]
    fn an_image_of_a_million_labels_fills_no_events() {
        let events = Events::default();
        let mut web = record("web");
        web.config.labels = (0..100_000).map(|n| (format!("{n:05}"), String::new())).collect();
        (0..2 * REMEMBERED).for_each(|_| events.container("start", &web, &[("more", "x".to_owned())]));
        let (past, _) = events.follow();
        assert_eq!(past.len(), REMEMBERED);
        for event in past {
            let attributes = event.actor.attributes;
            assert!(attributes.contains_key("00000") && attributes.len() < 1000, "{}", attributes.len());
            assert_eq!((&attributes["name"], &attributes["more"]), (&"web".to_owned(), &"x".to_owned()));
        }
    }
}
