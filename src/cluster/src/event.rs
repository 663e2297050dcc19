//! What is told of an object, before it is an Event.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kinds::StoredKind;
use std::fmt;

/// In bytes, upstream's limit of an event's note: what a message quotes may be as large as an object.
const LONGEST_MESSAGE: usize = 1024;
const CUT: &str = "...";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    Normal,
    Warning,
}

/// Whom an event is about.
pub type Subject = ObjectReference;

/// What somebody has told.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) about: Subject,
    pub(crate) kind: EventType,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) at: Timestamp,
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A reference to an object, as events carry it.
pub fn subject<K: StoredKind>(object: &K) -> Subject {
    let meta = object.metadata();
    ObjectReference {
        api_version: Some(K::API_VERSION.to_owned()),
        kind: Some(K::KIND.to_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    }
}

pub(crate) fn shortened(message: String) -> String {
    if message.len() <= LONGEST_MESSAGE {
        return message;
    }
    let most = LONGEST_MESSAGE - CUT.len();
    let end = (0..=most).rev().find(|at| message.is_char_boundary(*at)).unwrap_or_default();
    format!("{}{CUT}", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_where_an_event_takes_no_more() {
        for whole in
            ["Started container web".to_owned(), "x".repeat(LONGEST_MESSAGE), "é".repeat(LONGEST_MESSAGE / 2)]
        {
            assert_eq!(shortened(whole.clone()), whole);
        }
        assert_eq!(shortened("x".repeat(1 << 20)), "x".repeat(LONGEST_MESSAGE - 3) + "...");
        assert_eq!(shortened("é".repeat(1 << 20)), "é".repeat(510) + "...");
    }
}
