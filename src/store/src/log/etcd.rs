//! The log as keys of an etcd cluster, below a prefix of the profile's own.
//!
//! `objects/RESOURCE/NAMESPACE/NAME` is the newest version of each object, `state` the record of all of them, as `meta` is in the
//! file: revisions, whether the last run ended in order, number and sum of the objects. `holder` is who writes: it hangs on a lease,
//! and every transaction compares it, so that one that has lost it changes nothing. `journal/` is what is too large for one
//! transaction. How all that is written exactly once is in `writer.rs`. The record beside it on this machine (`etcd.seal`) tells of
//! an etcd that has been set back.

mod keeper;
mod keys;
mod load;
mod opening;
mod parts;
mod session;
mod state;
mod writer;

use super::seal::{OF_ETCD, Seal, Sealer};
use super::stored::{self, Place};
use super::{Log, OpenError, Record, Recovery, row_sum};
use crate::copy_error::CopyError;
use crate::root::Root;
use crate::write::CommitError;
use crate::{Etcd, Options};
use ::etcd::Error;
use api::ResourceVersion;
use encryption::Encryption;
use keys::Keys;
use opening::{Opening, explain_trouble, full};
use parts::{Batch, LARGEST_OBJECT, MOST_OPS};
use state::State;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use writer::{Trouble, Writer};

/// Revisions are reserved so many at a time. The log is not touched for a lazy write within them.
const RESERVE: u64 = 10_000;
/// For one append: an etcd of three members elects a leader in less.
const APPEND_PATIENCE: Duration = Duration::from_secs(10);
/// Until the next ones find out that it answers again: those who wait in line would wait for each other.
const PATIENCE_WHILE_AWAY: Duration = Duration::from_secs(2);
/// Bytes of JSON: a journal of so much is written and applied well within [`APPEND_PATIENCE`], also by a slow disk.
const LARGEST_GROUP: usize = 16 << 20;
/// Who stops the daemon waits for it; what it did not write in order, the next start mends.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

pub(crate) struct EtcdLog {
    runtime: Background,
    /// Until it is closed.
    writer: Option<Writer>,
    keys: Keys,
    reserved: u64,
    /// The last append had no answer.
    away: bool,
    sealer: Sealer,
    /// What is stored in another form than the configuration has it.
    stale: Vec<Place>,
    place: String,
    /// Held for as long as the store is open.
    _lock: File,
}

/// Where the connections and the lease live. It is let go of where waiting is not allowed.
struct Background(Option<Runtime>);

impl Background {
    fn new() -> std::io::Result<Background> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder
            .worker_threads(1)
            .thread_name("etcd")
            .enable_all()
            .build()
            .map(|runtime| Background(Some(runtime)))
    }

    fn wait<T: Send>(&self, future: impl Future<Output = T> + Send) -> T {
        let runtime = self.0.as_ref().expect("it is there until it is dropped");
        if tokio::runtime::Handle::try_current().is_err() {
            return runtime.block_on(future); // on the committer's thread
        }
        // whoever opens a store may be within another runtime
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| runtime.block_on(future));
            waiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Display for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints: Vec<String> = self.endpoints.iter().map(ToString::to_string).collect();
        write!(f, "etcd at {} ({})", endpoints.join(","), self.prefix)
    }
}

impl EtcdLog {
    pub(crate) fn open(
        dir: &Path,
        etcd: &Etcd,
        options: &Options,
    ) -> Result<(Self, Root, Recovery), OpenError> {
        let opening = Opening::new(dir, etcd, &options.encryption)?;
        let runtime = background(&opening.place)?;
        let (writer, loaded, recovery) = runtime.wait(opening.open(options))?;
        let sealer = Sealer::open(dir, OF_ETCD, writer.state().seal);
        let Opening { keys, place, lock, .. } = opening;
        let log = EtcdLog {
            runtime,
            writer: Some(writer),
            keys,
            reserved: 0,
            away: false,
            sealer,
            stale: loaded.reader.stale,
            place,
            _lock: lock,
        };
        Ok((log, loaded.root, recovery))
    }

    /// Everything that is there, of who has stopped: nothing is written.
    pub(crate) fn read(dir: &Path, etcd: &Etcd, encryption: &Arc<Encryption>) -> Result<Root, CopyError> {
        let opening = Opening::new(dir, etcd, encryption)?;
        background(&opening.place)?.wait(opening.read())
    }

    /// Writes all of this there, and reads it again.
    pub(crate) fn fill(
        dir: &Path,
        etcd: &Etcd,
        root: &Root,
        overwrite: bool,
        encryption: &Arc<Encryption>,
    ) -> Result<(), CopyError> {
        let opening = Opening::new(dir, etcd, encryption)?;
        let seal = background(&opening.place)?.wait(opening.fill(root, overwrite))?;
        Sealer::open(dir, OF_ETCD, seal).write(seal, true);
        Ok(())
    }

    /// Removes what the profile of this directory has there. Returns what there was to remove.
    pub(crate) fn remove(dir: &Path, etcd: &Etcd) -> Result<bool, OpenError> {
        let opening = Opening::new(dir, etcd, &Arc::default())?;
        background(&opening.place)?.wait(opening.remove())
    }

    fn write(&mut self, earlier: &[Record], records: &[Record], newest: u64) -> Result<(), Trouble> {
        let Some(writer) = &mut self.writer else {
            return Err(Trouble::TakenOver("the store is closed".to_owned()));
        };
        let (mut batch, mut before) = (Batch::new(), Batch::new());
        let mut seal = Seal { revision: newest, ..writer.state().seal };
        for record in earlier.iter().chain(records) {
            let (resource, key) = (&record.resource, &record.key);
            let sum =
                |object: &api::Object| u64::from(row_sum(resource, key, object.revision(), object.bytes()));
            if let Some(previous) = &record.previous {
                seal.objects -= 1;
                seal.sum -= sum(previous);
            }
            if let Some(object) = &record.object {
                seal.objects += 1;
                seal.sum += sum(object);
            }
            let value = |object: &api::Object| self.keys.value(resource, key, object);
            let at = self.keys.object(resource, key);
            // the first of several about one object knows what was there, and the last what is to be
            before.entry(at.clone()).or_insert_with(|| record.previous.as_ref().map(value));
            batch.insert(at, record.object.as_ref().map(value));
        }
        let reserves = newest + RESERVE / 2 > self.reserved;
        if reserves {
            seal.reserved = newest + RESERVE;
        }
        let next = State { seal, clean: false, ..writer.state().clone() };
        let until = Instant::now() + APPEND_PATIENCE;
        let settled_by = if self.away { Instant::now() + PATIENCE_WHILE_AWAY } else { until };
        let written = self.runtime.wait(async {
            // an etcd that answers again has the usual time for what it is given
            writer.settle(settled_by).await?;
            writer.write(batch, before, next, until).await
        });
        self.away = matches!(written, Err(Trouble::Etcd(Error::NoAnswer(_))));
        written?;
        self.reserved = seal.reserved;
        // after etcd has it, and before anybody is told
        self.sealer.write(seal, reserves);
        Ok(())
    }

    fn end_in_order(&mut self, newest: u64) -> Result<(), Trouble> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        if self.reserved > 0 {
            let seal = Seal { revision: newest, ..writer.state().seal };
            let next = State { seal, clean: true, ..writer.state().clone() };
            let nothing = Batch::new();
            let until = Instant::now() + CLOSE_PATIENCE;
            self.runtime.wait(writer.write(nothing.clone(), nothing, next, until))?;
        }
        self.sealer.write(writer.state().seal, true);
        Ok(())
    }

    fn in_words(&self, trouble: Trouble) -> CommitError {
        let place = &self.place;
        match trouble {
            Trouble::TakenOver(why) => CommitError::TakenOver(format!("{place}: {why}")),
            Trouble::Etcd(Error::Full(why)) => CommitError::Log(format!("{place}: {}", full(&why))),
            Trouble::Etcd(error) => CommitError::Log(format!("{place}: {error}")),
        }
    }
}

impl Log for EtcdLog {
    fn reserved(&self) -> ResourceVersion {
        ResourceVersion(self.reserved)
    }

    /// Nearly all requests write one object: so a group goes into one transaction, and needs no journal.
    fn largest_group(&self) -> usize {
        MOST_OPS
    }

    fn largest_group_bytes(&self) -> usize {
        LARGEST_GROUP
    }

    fn largest_object(&self) -> usize {
        LARGEST_OBJECT
    }

    fn append(
        &mut self,
        earlier: &[Record],
        records: &[Record],
        newest: ResourceVersion,
    ) -> Result<(), CommitError> {
        self.write(earlier, records, newest.0).map_err(|trouble| self.in_words(trouble))
    }

    fn renew(&mut self, root: &Root) -> Result<Option<String>, OpenError> {
        let stale = stored::records_at(root, std::mem::take(&mut self.stale));
        if !stale.is_empty() {
            self.write(&[], &stale, root.revision.0)
                .map_err(|trouble| explain_trouble(&self.place, trouble))?;
        }
        Ok(stored::note(&self.place, stale.len()))
    }

    fn close(&mut self, newest: ResourceVersion) {
        if let Err(error) = self.end_in_order(newest.0) {
            tracing::warn!(%error, place = self.place, "store not closed in order; the next start mends it");
        }
    }
}

impl Drop for EtcdLog {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.runtime.wait(writer.release(Instant::now() + CLOSE_PATIENCE));
        }
    }
}

pub(crate) fn etcd_was_used(dir: &Path) -> bool {
    dir.join(OF_ETCD.file).exists()
}

fn background(place: &str) -> Result<Background, OpenError> {
    Background::new().map_err(|e| OpenError::Failed { place: place.to_owned(), why: e.to_string() })
}
