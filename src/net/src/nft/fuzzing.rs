//! The readers of this directory, for [`crate::fuzzing`].

use super::message::{Answer, HEADER};
use super::{Element, Set, attr, conntrack, decode, message, text, watch};

/// The elements of sets in what one receive gave, of whatever set.
///
/// # Panics
/// Where the request to forget a flow is none.
pub(crate) fn messages(bytes: &[u8]) -> Vec<Element> {
    watch::deletes(bytes, "monopod", |port| port == 0);
    let mut found = Vec::new();
    for answer in message::decode(bytes) {
        let Answer::Data(attributes) = answer else { continue };
        text(attributes, &[1]);
        if conntrack::read(attributes).is_some() {
            let request = conntrack::deletion(attributes);
            assert_eq!(request.len() % 4, 0);
            assert_eq!(request[..4], u32::try_from(request.len()).expect("a short one").to_ne_bytes());
            assert!(attr::read(&request[HEADER + 4..]).count() > 0, "a flow is named by something");
        }
        let list = attr::find(attributes, &[3]).unwrap_or_default();
        let elements = attr::read(list).zip(Set::ALL.iter().cycle());
        found.extend(elements.filter_map(|((_, element), set)| decode(*set, element)));
    }
    found
}
