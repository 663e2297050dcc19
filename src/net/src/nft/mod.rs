//! What changes often in the table goes to the kernel by nfnetlink, without starting a process.
//!
//! A [`Batch`] is one transaction: it is sent whole, and the kernel takes all of it or nothing. [`Netfilter`] sends it,
//! and reads back what a map holds. Message and attribute numbers are those of `linux/netfilter/nf_tables.h`.

mod attr;
mod batch;
mod conntrack;
mod expression;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod message;
mod set;
mod socket;
mod watch;

pub(crate) use batch::{Batch, Hook, Interval};
pub(crate) use conntrack::Flow;
pub(crate) use expression::{Expression, Register};
pub(crate) use set::{Field, Holds, IntervalSet, Set};
pub(crate) use socket::{Netfilter, OwnPorts};
pub(crate) use watch::Watch;

use crate::{NetError, Result};
use attr::Writer;
use std::collections::{BTreeMap, BTreeSet};

const NFTABLES: u16 = 10; // NFNL_SUBSYS_NFTABLES
const DELETE_TABLE: u16 = 2;
const GET_CHAINS: u16 = 4;
const GET_RULES: u16 = 7;
const GET_SETS: u16 = 10;
const GET_ELEMENTS: u16 = 13;
const KEY_END: u16 = 10; // NFTA_SET_ELEM_KEY_END
/// A dump that others' changes of their own rules cut through is asked for again, but not for ever.
const TRIES: u32 = 20;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Verdict {
    Accept,
    Drop,
    /// Goes on in the chain that this one was jumped to from.
    Return,
    Goto(String),
    Jump(String),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Data {
    None,
    /// The last key of the range that begins with the element's.
    Last(Vec<u8>),
    Value(Vec<u8>),
    Verdict(Verdict),
}

/// One element. Every field of a concatenated key takes four bytes, or a multiple of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Element {
    pub(crate) set: Set,
    pub(crate) key: Vec<u8>,
    pub(crate) data: Data,
}

impl Verdict {
    fn write(&self, data: &mut Writer) {
        let (code, chain) = match self {
            Verdict::Drop => (0, None),
            Verdict::Accept => (1, None),
            Verdict::Return => (-5, None),             // NFT_RETURN
            Verdict::Jump(chain) => (-3, Some(chain)), // NFT_JUMP
            Verdict::Goto(chain) => (-4, Some(chain)), // NFT_GOTO
        };
        data.nested(2, |verdict| {
            verdict.number(1, i32::cast_unsigned(code));
            if let Some(chain) = chain {
                verdict.string(2, chain);
            }
        });
    }

    fn read(verdict: &[u8]) -> Option<Self> {
        let code = i32::from_be_bytes(attr::find(verdict, &[1])?.try_into().ok()?);
        let chain = || text(verdict, &[2]);
        match code {
            0 => Some(Verdict::Drop),
            1 => Some(Verdict::Accept),
            -3 => chain().map(Verdict::Jump),
            -4 => chain().map(Verdict::Goto),
            -5 => Some(Verdict::Return),
            _ => None,
        }
    }
}

impl Netfilter {
    /// Makes the changes; none where there are none.
    ///
    /// # Errors
    /// The first refusal, with what was refused. Nothing was changed then.
    pub(crate) fn commit(&self, batch: Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let (bytes, what) = batch.finish();
        self.transact(&bytes, &what)
    }

    /// All that a set holds now.
    pub(crate) fn elements(&self, table: &str, set: Set) -> Result<Vec<Element>> {
        until_whole(|| self.list(table, set))
    }

    /// The names of the table's chains, of its sets and of its maps.
    pub(crate) fn names(&self, table: &str) -> Result<Names> {
        let sets = self.named(GET_SETS, table, &[2])?.into_iter().collect();
        Ok(Names { chains: self.named(GET_CHAINS, table, &[3])?.into_iter().collect(), sets })
    }

    /// How many rules each chain of the table has; one without rules is not among them.
    pub(crate) fn rules(&self, table: &str) -> Result<BTreeMap<String, usize>> {
        let mut rules = BTreeMap::new();
        for chain in self.named(GET_RULES, table, &[2])? {
            *rules.entry(chain).or_default() += 1;
        }
        Ok(rules)
    }

    /// How many elements a set of this name has.
    pub(crate) fn count(&self, table: &str, set: &str) -> Result<usize> {
        until_whole(|| {
            let mut count = 0;
            self.list_elements(table, set, |_| count += 1)?;
            Ok(count)
        })
    }

    fn named(&self, kind: u16, table: &str, name: &[u16]) -> Result<Vec<String>> {
        let listed = until_whole(|| {
            let mut body = Writer::default();
            body.string(1, table);
            let request = message::encode(NFTABLES << 8 | kind, message::DUMP, 1, 0, &body);
            let mut found = Vec::new();
            self.dump(&request, &format!("list what is in table {table}"), |message| {
                // a kernel that does not know the filter lists those of all tables
                if text(message, &[1]).as_deref() == Some(table) {
                    found.extend(text(message, name));
                }
            })?;
            Ok(found)
        });
        match listed {
            // the table is gone
            Err(NetError::Refused { errno: libc::ENOENT, .. }) => Ok(Vec::new()),
            listed => listed,
        }
    }

    fn list(&self, table: &str, set: Set) -> Result<Vec<Element>> {
        let mut found = Vec::new();
        self.list_elements(table, set.name(), |element| found.extend(decode(set, element)))?;
        Ok(found)
    }

    fn list_elements(&self, table: &str, set: &str, mut each: impl FnMut(&[u8])) -> Result<()> {
        let mut body = Writer::default();
        body.string(1, table).string(2, set);
        let request = message::encode(NFTABLES << 8 | GET_ELEMENTS, message::DUMP, 1, 0, &body);
        self.dump(&request, &format!("list {set}"), |message| {
            let list = attr::find(message, &[3]).unwrap_or_default();
            attr::read(list).for_each(|(_, element)| each(element));
        })
    }
}

/// What there is in a table, by name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) chains: BTreeSet<String>,
    pub(crate) sets: BTreeSet<String>,
}

/// What a dump came to that nobody's change cut through; the kernel says EINTR of one that was.
fn until_whole<T>(mut dump: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 0..TRIES {
        match dump() {
            Err(NetError::Refused { errno: libc::EINTR, .. }) => {}
            done => return done,
        }
    }
    dump()
}

fn text(attributes: &[u8], path: &[u16]) -> Option<String> {
    let name = attr::find(attributes, path)?.split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(name).into_owned())
}

fn decode(set: Set, element: &[u8]) -> Option<Element> {
    let key = attr::find(element, &[1, 1])?.to_vec();
    let data = match (attr::find(element, &[2, 1]), attr::find(element, &[2, 2])) {
        (Some(value), _) => Data::Value(value.to_vec()),
        (None, Some(verdict)) => Data::Verdict(Verdict::read(verdict)?),
        (None, None) => {
            attr::find(element, &[KEY_END, 1]).map_or(Data::None, |last| Data::Last(last.to_vec()))
        }
    };
    Some(Element { set, key, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_that_was_cut_through_is_asked_for_again_but_not_for_ever() {
        let refused = |errno| NetError::Refused { doing: "list".to_owned(), errno };
        for (case, cuts, then, want) in [
            ("whole at once", 0, Ok(7), (Ok(7), 1)),
            ("after some", 3, Ok(7), (Ok(7), 4)),
            ("always cut", TRIES + 1, Ok(7), (Err(libc::EINTR), TRIES + 1)),
            ("another refusal", 1, Err(libc::ENOENT), (Err(libc::ENOENT), 2)),
        ] {
            let mut asked = 0;
            let done = until_whole(|| {
                asked += 1;
                if asked <= cuts { Err(refused(libc::EINTR)) } else { then.map_err(refused) }
            });
            let done = done.map_err(|error| match error {
                NetError::Refused { errno, .. } => errno,
                other => panic!("{case}: {other}"),
            });
            assert_eq!((done, asked), want, "{case}");
        }
    }
}
