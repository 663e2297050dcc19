//! Changes to one table that the kernel makes all together or not at all.

use super::attr::Writer;
use super::expression::Expression;
use super::message::{self, APPEND, CREATE};
use super::{Data, Element, NFTABLES, Set};

const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const NEW_SET: u16 = 9;
const NEW_ELEMENTS: u16 = 12;
const DELETE_ELEMENTS: u16 = 14;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

/// An attribute's length is 16 bits wide; the largest element takes less than 140 bytes.
const ELEMENTS_IN_A_MESSAGE: usize = 400;

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

    pub(crate) fn add_chain(&mut self, name: &str) {
        let mut body = Writer::default();
        body.string(1, &self.table).string(3, name);
        self.push(NEW_CHAIN, CREATE, &body, format!("add chain {name}"));
    }

    /// A map to sockets; sets and maps to verdicts are made by `nft`.
    pub(crate) fn add_map(&mut self, set: Set) {
        let mut body = Writer::default();
        set.declare(&self.table, &mut body);
        self.push(NEW_SET, CREATE, &body, format!("add map {}", set.name()));
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

    /// The whole batch, ready to be sent.
    pub(super) fn finish(mut self) -> (Vec<u8>, Vec<String>) {
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
            for some in list.chunks(ELEMENTS_IN_A_MESSAGE) {
                let mut body = Writer::default();
                body.string(1, &self.table).string(2, set.name()).nested(3, |body| {
                    for element in some {
                        body.nested(1, |body| write(body, element));
                    }
                });
                self.push(kind, flags, &body, format!("{verb} {} elements of {}", some.len(), set.name()));
            }
        }
    }

    fn push(&mut self, kind: u16, flags: u16, body: &Writer, what: String) {
        let sequence = self.what.len() as u32;
        self.messages.extend(message::encode(NFTABLES << 8 | kind, flags, sequence, 0, body));
        self.what.push(what);
    }
}

fn write(body: &mut Writer, element: &Element) {
    body.nested(1, |key| {
        key.bytes(1, &element.key);
    });
    match &element.data {
        Data::None => {}
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
