//! Reads everything, once, and compares it with what was written.

use super::keys::{Keys, parse};
use super::parts::Batch;
use super::state::{Journal, State};
use crate::log::names;
use crate::log::seal::Seal;
use crate::log::stored::{Found, Place, Reader};
use crate::root::Root;
use ::etcd::{Client, Error, Op, Transaction};
use prost::Message;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// For one page of what is there.
const PAGE_PATIENCE: Duration = Duration::from_secs(10);

/// Everything below a prefix.
pub(super) async fn all_below(client: &Client, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Error> {
    let (mut all, mut from) = (BTreeMap::new(), prefix.to_vec());
    loop {
        let (keys, more) = client.page(prefix, &from, Instant::now() + PAGE_PATIENCE).await?;
        if let Some(last) = keys.last() {
            from = [&last.key[..], &[0]].concat();
        }
        let is_last = !more || keys.is_empty();
        all.extend(keys.into_iter().map(|key| (key.key, key.value)));
        if is_last {
            return Ok(all);
        }
    }
}

/// The parts of a journal that counts. `None` where it is not whole.
pub(super) async fn journal(
    client: &Client,
    keys: &Keys,
    journal: &Journal,
) -> Result<Option<Vec<Vec<Op>>>, Error> {
    let parts = all_below(client, &keys.journal(&journal.ticket)).await?;
    let parts: Option<Vec<Vec<Op>>> =
        parts.into_values().map(|part| Some(Transaction::decode(&part[..]).ok()?.then)).collect();
    Ok(parts.filter(|parts| parts.len() == journal.parts))
}

/// What is there.
pub(super) struct Loaded {
    pub(super) root: Root,
    /// Of what could be read.
    pub(super) now: Seal,
    pub(super) reader: Reader,
    /// What can not be read, by its keys.
    unreadable: Vec<Vec<u8>>,
    /// What is read, but is not what was written.
    changed: Vec<Place>,
}

impl Loaded {
    pub(super) fn of(keys: &Keys, mut objects: BTreeMap<Vec<u8>, Vec<u8>>, journal: &[Vec<Op>]) -> Loaded {
        for (key, value) in journal.iter().flatten().filter_map(Op::written) {
            match value {
                Some(value) => drop(objects.insert(key.to_vec(), value.to_vec())),
                None => drop(objects.remove(key)),
            }
        }
        let mut loaded = Loaded {
            root: Root::default(),
            now: Seal::default(),
            reader: Reader::new(keys.encryption()),
            unreadable: Vec::new(),
            changed: Vec::new(),
        };
        for (key, value) in objects {
            if loaded.take(keys, &key, value).is_none() {
                loaded.unreadable.push(key);
            }
        }
        loaded
    }

    fn take(&mut self, keys: &Keys, key: &[u8], value: Vec<u8>) -> Option<()> {
        let place = keys.place(key)?;
        let (revision, on_record, stored) = parse(value)?;
        let Some(Found { sum, object }) = self.reader.read(&place, revision, stored) else { return Some(()) };
        let (object, sum) = (object?, u64::from(sum));
        if on_record != sum {
            self.changed.push(place.clone());
        }
        self.now.objects += 1;
        self.now.sum += sum;
        self.root.revision = self.root.revision.max(revision);
        self.root.insert(place.0, place.1, object);
        Some(())
    }

    /// What was acknowledged and is not there, in words; nothing where all is well. `state` is the record beside the objects,
    /// `sealed` the one on this machine.
    pub(super) fn lost(&self, state: &State, sealed: Option<Seal>) -> Vec<String> {
        let mut lost = Vec::new();
        let written = state.seal;
        if let Some(sealed) = sealed.filter(|sealed| sealed.revision > written.revision) {
            lost.push(format!(
                "what was acknowledged at the revisions {} to {} is not in it: an older snapshot of etcd was put in its place",
                written.revision + 1,
                sealed.revision
            ));
        }
        let is_as_written = (written.objects, written.sum) == (self.now.objects, self.now.sum);
        let is_another =
            sealed.is_some_and(|sealed| sealed.revision == written.revision && sealed.sum != written.sum);
        if is_another && is_as_written {
            lost.push(format!(
                "{} objects are in it, they are not those that were written: some are older than they were",
                self.now.objects
            ));
        }
        if self.unreadable.is_empty() && self.changed.is_empty() && !is_as_written {
            lost.push(format!(
                "{} objects are in it, {} were written: some are missing, or older than they were",
                self.now.objects, written.objects
            ));
        } else if self.now.objects < written.objects {
            // beside what is named below there may be others that nothing is left of
            lost.push(format!(
                "{} objects that can be read are in it, {} were written",
                self.now.objects, written.objects
            ));
        }
        if !self.unreadable.is_empty() {
            let keys = self.unreadable.iter().map(|key| String::from_utf8_lossy(key).into_owned());
            lost.push(format!("can not be read: {}", names(keys)));
        }
        if !self.changed.is_empty() {
            let changed = self.changed.iter().map(|(resource, key)| format!("{resource} {key}"));
            lost.push(format!("not as they were written: {}", names(changed)));
        }
        lost
    }

    /// What makes what is there all that there is: what can not be read goes, and nothing is said of the rest again.
    pub(super) fn mend(&self, keys: &Keys) -> Batch {
        let gone = self.unreadable.iter().map(|key| (key.clone(), None));
        let of = |(resource, key): &Place| {
            let object = self.root.resources.get(resource)?.get(key)?;
            Some((keys.object(resource, key), Some(keys.value(resource, key, object))))
        };
        gone.chain(self.changed.iter().filter_map(of)).collect()
    }
}
