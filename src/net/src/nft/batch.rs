//! Changes to one table that the kernel makes all together or not at all.

use super::attr::Writer;
use super::expression::Expression;
use super::message::{self, APPEND, CREATE};
use super::{DELETE_TABLE, Data, Element, IntervalSet, KEY_END, NFTABLES, Set};

const NEW_TABLE: u16 = 0;
const NEW_CHAIN: u16 = 3;
pub(super) const DELETE_CHAIN: u16 = 5;
const NEW_RULE: u16 = 6;
pub(super) const DELETE_RULE: u16 = 8;
const NEW_SET: u16 = 9;
pub(super) const DELETE_SET: u16 = 11;
const NEW_ELEMENTS: u16 = 12;
pub(super) const DELETE_ELEMENTS: u16 = 14;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

const LOCAL_OUT: u32 = 3; // NF_INET_LOCAL_OUT
const DESTINATION_NAT: i32 = -100; // NF_IP_PRI_NAT_DST

/// The first number of a set that has none of its own, see [`Set::declare`].
const FIRST_NUMBER: u32 = 1000;

/// An attribute's length is 16 bits wide; the largest element takes less than 140 bytes.
const ELEMENTS_IN_A_MESSAGE: usize = 400;

/// Where packets are filtered, by netfilter's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    Input = 1,
    Forward = 2,
}

/// From one key to another, both within.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Interval {
    pub(crate) first: Vec<u8>,
    pub(crate) last: Vec<u8>,
}

pub(crate) struct Batch {
    table: String,
    messages: Vec<u8>,
    /// What each message says, for the refusal: the kernel names it by number.
    pub(super) what: Vec<String>,
}

impl Batch {
    pub(crate) fn new(table: &str) -> Self {
        let messages = message::encode(BATCH_BEGIN, 0, 0, NFTABLES, &Writer::default());
        Batch { table: table.to_owned(), messages, what: vec!["begin".into()] }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.what.len() == 1
    }

    /// Succeeds where it is there already.
    pub(crate) fn add_table(&mut self) {
        let mut body = Writer::default();
        body.string(1, &self.table);
        self.push(NEW_TABLE, CREATE, &body, format!("add table {}", self.table));
    }

    /// With all that is in it.
    pub(crate) fn delete_table(&mut self) {
        let mut body = Writer::default();
        body.string(1, &self.table);
        self.push(DELETE_TABLE, 0, &body, format!("delete table {}", self.table));
    }

    pub(crate) fn add_chain(&mut self, name: &str) {
        let mut body = Writer::default();
        body.string(1, &self.table).string(3, name);
        self.push(NEW_CHAIN, CREATE, &body, format!("add chain {name}"));
    }

    pub(crate) fn add_filter_chain(&mut self, name: &str, hook: Hook, priority: i32) {
        let mut body = Writer::default();
        body.string(1, &self.table).string(3, name).nested(4, |attributes| {
            attributes.number(1, hook as u32).number(2, i32::cast_unsigned(priority));
        });
        body.string(7, "filter");
        self.push(NEW_CHAIN, CREATE, &body, format!("add chain {name}"));
    }

    /// Nothing may lead to it any more.
    pub(crate) fn delete_chain(&mut self, name: &str) {
        let mut body = Writer::default();
        body.string(1, &self.table).string(3, name);
        self.push(DELETE_CHAIN, 0, &body, format!("delete chain {name}"));
    }

    /// Deletes the chain's rules.
    pub(crate) fn flush_chain(&mut self, name: &str) {
        let mut body = Writer::default();
        body.string(1, &self.table).string(2, name);
        self.push(DELETE_RULE, 0, &body, format!("flush chain {name}"));
    }

    /// Translates destinations of the packets that this namespace's own processes send.
    pub(crate) fn add_output_chain(&mut self, name: &str) {
        let mut body = Writer::default();
        body.string(1, &self.table).string(3, name).nested(4, |hook| {
            hook.number(1, LOCAL_OUT).number(2, i32::cast_unsigned(DESTINATION_NAT));
        });
        body.string(7, "nat");
        self.push(NEW_CHAIN, CREATE, &body, format!("add chain {name}"));
    }

    /// A map to sockets; sets and maps to verdicts are made by `nft`.
    pub(crate) fn add_map(&mut self, set: Set) {
        let mut body = Writer::default();
        set.declare(&self.table, &mut body);
        self.push(NEW_SET, CREATE, &body, format!("add map {}", set.name()));
    }

    pub(crate) fn add_interval_set(&mut self, set: &IntervalSet) {
        let mut body = Writer::default();
        set.declare(&self.table, FIRST_NUMBER + self.what.len() as u32, &mut body);
        self.push(NEW_SET, CREATE, &body, format!("add set {}", set.name));
    }

    /// No rule may name it any more.
    pub(crate) fn delete_set(&mut self, name: &str) {
        let mut body = Writer::default();
        body.string(1, &self.table).string(2, name);
        self.push(DELETE_SET, 0, &body, format!("delete set {name}"));
    }

    /// Deletes all elements.
    pub(crate) fn flush_set(&mut self, set: Set) {
        let mut body = Writer::default();
        body.string(1, &self.table).string(2, set.name());
        self.push(DELETE_ELEMENTS, 0, &body, format!("flush {}", set.name()));
    }

    pub(crate) fn add_rule(&mut self, chain: &str, expressions: &[Expression]) {
        let mut body = Writer::default();
        body.string(1, &self.table).string(2, chain).nested(4, |list| {
            for expression in expressions {
                list.nested(1, |element| expression.write(element));
            }
        });
        self.push(NEW_RULE, CREATE | APPEND, &body, format!("add a rule to chain {chain}"));
    }

    pub(crate) fn add<'a>(&mut self, elements: impl IntoIterator<Item = &'a Element>) {
        self.elements(NEW_ELEMENTS, CREATE, "add", elements);
    }

    pub(crate) fn delete<'a>(&mut self, elements: impl IntoIterator<Item = &'a Element>) {
        self.elements(DELETE_ELEMENTS, 0, "delete", elements);
    }

    pub(crate) fn add_intervals<'a>(&mut self, set: &str, intervals: impl IntoIterator<Item = &'a Interval>) {
        self.members(NEW_ELEMENTS, CREATE, "add", set, intervals.into_iter().collect(), write_interval);
    }

    /// The whole batch, ready to be sent.
    pub(crate) fn finish(mut self) -> (Vec<u8>, Vec<String>) {
        let end = message::encode(BATCH_END, 0, self.what.len() as u32, NFTABLES, &Writer::default());
        self.messages.extend(end);
        self.what.push("commit".into());
        (self.messages, self.what)
    }

    fn elements<'a>(
        &mut self,
        kind: u16,
        flags: u16,
        verb: &str,
        elements: impl IntoIterator<Item = &'a Element>,
    ) {
        let mut by_set: Vec<(Set, Vec<&Element>)> = Vec::new();
        for element in elements {
            match by_set.iter_mut().find(|(set, _)| *set == element.set) {
                Some((_, list)) => list.push(element),
                None => by_set.push((element.set, vec![element])),
            }
        }
        for (set, list) in by_set {
            self.members(kind, flags, verb, set.name(), list, write);
        }
    }

    fn members<T>(
        &mut self,
        kind: u16,
        flags: u16,
        verb: &str,
        set: &str,
        members: Vec<&T>,
        write: fn(&mut Writer, &T),
    ) {
        for some in members.chunks(ELEMENTS_IN_A_MESSAGE) {
            let mut body = Writer::default();
            body.string(1, &self.table).string(2, set).nested(3, |body| {
                for member in some {
                    body.nested(1, |body| write(body, member));
                }
            });
            self.push(kind, flags, &body, format!("{verb} {} elements of {set}", some.len()));
        }
    }

    fn push(&mut self, kind: u16, flags: u16, body: &Writer, what: String) {
        let sequence = self.what.len() as u32;
        self.messages.extend(message::encode(NFTABLES << 8 | kind, flags, sequence, 0, body));
        self.what.push(what);
    }
}

fn write_interval(body: &mut Writer, interval: &Interval) {
    for (attribute, key) in [(1, &interval.first), (KEY_END, &interval.last)] {
        body.nested(attribute, |body| {
            body.bytes(1, key);
        });
    }
}

fn write(body: &mut Writer, element: &Element) {
    body.nested(1, |key| {
        key.bytes(1, &element.key);
    });
    match &element.data {
        Data::None => {}
        Data::Last(last) => {
            body.nested(KEY_END, |key| {
                key.bytes(1, last);
            });
        }
        Data::Value(value) => {
            body.nested(2, |data| {
                data.bytes(1, value);
            });
        }
        Data::Verdict(verdict) => {
            body.nested(2, |data| verdict.write(data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::attr::{find, read};
    use super::super::{Verdict, decode};
    use super::*;

    fn element(set: Set, number: u32) -> Element {
        let data = match set.holds() {
            super::super::Holds::Nothing => Data::None,
            super::super::Holds::Ranges => Data::Last(vec![255; 8]),
            super::super::Holds::Verdict => Data::Verdict(Verdict::Goto("service-of-2".into())),
            super::super::Holds::Socket => Data::Value(vec![10, 244, 0, 5, 0, 80, 0, 0]),
        };
        Element { set, key: number.to_be_bytes().repeat(set.key().len()), data }
    }

    /// Kind, flags, sequence number and attributes of each message.
    fn messages(mut bytes: &[u8]) -> Vec<(u16, u16, u32, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some(head) = bytes.first_chunk::<20>() {
            let number = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().unwrap());
            let half = |at: usize| u16::from_ne_bytes(head[at..at + 2].try_into().unwrap());
            let length = number(0) as usize;
            assert_eq!(length % 4, 0, "messages are aligned");
            all.push((half(4), half(6), number(8), bytes[20..length].to_vec()));
            bytes = &bytes[length..];
        }
        assert!(bytes.is_empty());
        all
    }

    #[test]
    fn a_batch_is_numbered_and_enclosed() {
        let mut batch = Batch::new("t");
        batch.delete([&element(Set::Hairpin, 1)]);
        batch.add([&element(Set::Services, 2), &element(Set::Endpoints, 2)]);
        let (bytes, what) = batch.finish();
        let kinds: Vec<(u16, u32)> =
            messages(&bytes).into_iter().map(|(kind, _, number, _)| (kind, number)).collect();
        assert_eq!(kinds, [(0x10, 0), (0xa0e, 1), (0xa0c, 2), (0xa0c, 3), (0x11, 4)]);
        let want = [
            "begin",
            "delete 1 elements of hairpin",
            "add 1 elements of services",
            "add 1 elements of endpoints",
            "commit",
        ];
        assert_eq!(what, want);
    }

    #[test]
    fn elements_are_read_back_as_they_were_written() {
        for set in Set::ALL {
            // more than one message takes
            let elements: Vec<Element> = (0..1000).map(|number| element(set, number)).collect();
            let mut batch = Batch::new("t");
            batch.add(&elements);
            let mut found = Vec::new();
            for (kind, _, _, body) in messages(&batch.finish().0) {
                if kind == NFTABLES << 8 | NEW_ELEMENTS {
                    assert_eq!(find(&body, &[2]), Some([set.name().as_bytes(), &[0]].concat().as_slice()));
                    found.extend(read(find(&body, &[3]).unwrap()).filter_map(|(_, one)| decode(set, one)));
                }
            }
            assert_eq!(found, elements, "{set:?}");
        }
    }
}
