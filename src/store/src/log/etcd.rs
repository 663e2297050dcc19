//! The log as keys of an etcd cluster, below a prefix of the profile's own.
//!
//! `objects/RESOURCE/NAMESPACE/NAME` is the newest version of each object, `state` the record of all of them, as `meta` is in the
//! file: revisions, whether the last run ended in order, number and sum of the objects. `holder` is who writes: it hangs on a lease,
//! and every transaction compares it, so that one that has lost it changes nothing. `journal/` is what is too large for one
//! transaction. How all that is written exactly once is in `writer.rs`. The record beside it on this machine (`etcd.seal`) tells of
//! an etcd that has been set back.

mod keys;
mod load;
mod session;
mod state;
mod writer;

use super::seal::{self, OF_ETCD, Seal, Sealer};
use super::stored::{self, Place};
use super::{Log, OpenError, Record, Recovery, disorder, lock, row_sum};
use crate::copy_error::{CopyError, compare};
use crate::root::Root;
use crate::write::CommitError;
use crate::{Etcd, Options};
use ::etcd::{Client, Error, KeyValue, Op, Transaction};
use api::ResourceVersion;
use encryption::Encryption;
use keys::Keys;
use load::Loaded;
use session::{Holder, Session};
use state::{NoState, State};
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use writer::{Batch, Held, Trouble, Writer};

/// Revisions are reserved so many at a time. The log is not touched for a lazy write within them.
const RESERVE: u64 = 10_000;
/// For each thing that opening asks.
const OPEN_PATIENCE: Duration = Duration::from_secs(5);
/// For one append: an etcd of three members elects a leader in less.
const APPEND_PATIENCE: Duration = Duration::from_secs(10);
/// For the next ones, where there was no answer: those who wait in line would wait for each other.
const PATIENCE_WHILE_AWAY: Duration = Duration::from_secs(2);
/// Who stops the daemon waits for it; what it did not write in order, the next start mends.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
/// Of who is let in when a machine has restarted faster than its lease has run out.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

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
        let patience = if self.away { PATIENCE_WHILE_AWAY } else { APPEND_PATIENCE };
        let written = self.runtime.wait(writer.write(batch, before, next, Instant::now() + patience));
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
        writer::MOST_OPS
    }

    fn largest_object(&self) -> usize {
        writer::LARGEST_OBJECT
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

fn full(why: &str) -> String {
    format!(
        "the quota of its database is used up: defragment it and disarm its alarm NOSPACE (`etcdctl defrag`, `etcdctl alarm \
         disarm`), or raise --quota-backend-bytes: {why}"
    )
}

/// What is needed until there is a log.
struct Opening {
    client: Arc<Client>,
    keys: Keys,
    session: Session,
    /// Of the last run of this directory.
    sealed: Result<Option<Seal>, String>,
    place: String,
    lock: File,
}

/// The two keys that say whose it is.
struct Seen {
    holder: Option<KeyValue>,
    state: Option<KeyValue>,
}

impl Opening {
    fn new(dir: &Path, etcd: &Etcd, encryption: &Arc<Encryption>) -> Result<Opening, OpenError> {
        let place = etcd.to_string();
        let lock = lock::lock(dir, &place)?;
        let failed = |e: std::io::Error| OpenError::Failed { place: place.clone(), why: e.to_string() };
        Ok(Opening {
            client: Arc::new(Client::new(etcd.endpoints.clone(), etcd.credentials.clone())),
            keys: Keys::new(&etcd.prefix, encryption),
            session: Session::begin(dir).map_err(failed)?,
            sealed: seal::read(dir, OF_ETCD),
            place,
            lock,
        })
    }

    async fn open(&self, options: &Options) -> Result<(Writer, Loaded, Recovery), OpenError> {
        let mut recovery = Recovery::default();
        let seen = self.look().await?;
        let state = self.state_of(&seen, options)?;
        let (held, seen) = self.hold(seen).await?;
        let known = seen.state.as_ref().map_or(0, |state| state.mod_revision);
        let was_there = state.is_some();
        let state = state.unwrap_or_default();
        let mut writer =
            Writer::new(self.client.clone(), self.keys.clone(), self.session.clone(), held, state, known);
        match self.take_up(&mut writer, was_there, options, &mut recovery).await {
            Ok(loaded) => Ok((writer, loaded, recovery)),
            Err(error) => {
                writer.release(Instant::now() + CLOSE_PATIENCE).await;
                Err(error)
            }
        }
    }

    async fn look(&self) -> Result<Seen, OpenError> {
        let look = Transaction {
            then: vec![Op::get(&self.keys.holder()), Op::get(&self.keys.state())],
            ..Transaction::default()
        };
        let reply = self.client.transact(look, Instant::now() + OPEN_PATIENCE).await;
        let [holder, state] = writer::found(reply.map_err(|e| self.explain(e))?);
        Ok(Seen { holder, state })
    }

    /// The state that is there, if this profile may go on with it.
    fn state_of(&self, seen: &Seen, options: &Options) -> Result<Option<State>, OpenError> {
        let place = || self.place.clone();
        let Some(key) = &seen.state else { return Ok(None) };
        let state = match State::decode(&key.value) {
            Ok(state) => state,
            Err(NoState::Newer(found)) => {
                let found = i64::try_from(found).unwrap_or(i64::MAX);
                return Err(OpenError::Newer { place: place(), found, known: 1 });
            }
            Err(NoState::Damaged) if options.accept_loss => return Ok(None),
            Err(NoState::Damaged) => {
                let what = "the record of what was written can not be read".to_owned();
                return Err(OpenError::Lost { place: place(), what });
            }
        };
        if state.copying {
            return Err(OpenError::HalfCopied { place: place() });
        }
        if state.owner != self.session.owner && !options.take_over {
            let Seal { revision, objects, .. } = state.seal;
            let whose =
                format!("a profile of this name on {} ({objects} objects, revision {revision})", state.host);
            return Err(OpenError::Another { place: place(), whose });
        }
        Ok(Some(state))
    }

    /// Becomes the one who writes. An earlier run of ours that was killed stands in nobody's way.
    async fn hold(&self, mut seen: Seen) -> Result<(Held, Seen), OpenError> {
        let failed = |e: Error| self.explain(e);
        let began = Instant::now();
        let soon = || Instant::now() + OPEN_PATIENCE;
        let in_use = |holder: String| Err(OpenError::InUse { place: self.place.clone(), holder });
        loop {
            match self.in_the_way(&seen, soon()).await? {
                // this machine has restarted: that run is over, and nobody keeps its lease alive
                Some((holder, _))
                    if holder.owner == self.session.owner && began.elapsed() < writer::LEASE * 2 =>
                {
                    tokio::time::sleep(LOOK_AGAIN).await;
                    seen = self.look().await?;
                    continue;
                }
                Some((holder, left)) => {
                    let (words, left) = (holder.words, left.as_secs());
                    return in_use(format!(
                        "{words} (if that is gone, its lease runs out in {left} seconds)"
                    ));
                }
                None => {}
            }
            let since = seen.holder.as_ref().map_or(0, |holder| holder.mod_revision);
            let known = seen.state.as_ref().map_or(0, |state| state.mod_revision);
            let lease = self.client.grant(writer::LEASE, soon()).await.map_err(failed)?;
            let hold = writer::hold(&self.keys, &self.session, lease, since, known);
            let reply = self.client.transact(hold, soon()).await.map_err(failed)?;
            if reply.succeeded {
                return Ok((Held { since: reply.revision, lease }, seen));
            }
            let [holder, state] = writer::found(reply);
            let is_unchanged = state.as_ref().map_or(0, |state| state.mod_revision) == known;
            match &holder {
                // the answer to the first try was lost
                Some(key) if self.session.id == Holder::decode(&key.value).session && is_unchanged => {
                    return Ok((Held { since: key.mod_revision, lease: key.lease }, seen));
                }
                _ => drop(self.client.revoke(lease, soon()).await),
            }
            if !is_unchanged {
                return in_use("another process, which wrote to it just now".to_owned());
            }
            seen = Seen { holder, state };
        }
    }

    /// Who holds it and may be alive, and how long at least.
    async fn in_the_way(&self, seen: &Seen, until: Instant) -> Result<Option<(Holder, Duration)>, OpenError> {
        let Some(key) = seen.holder.as_ref().filter(|holder| !self.is_ours(holder)) else { return Ok(None) };
        let left = self.client.left_of(key.lease, until).await.map_err(|e| self.explain(e))?;
        Ok(left.map(|left| (Holder::decode(&key.value), left)))
    }

    /// Reads what is there, and finds out what is lost. Nothing is changed where something is.
    async fn take_up(
        &self,
        writer: &mut Writer,
        was_there: bool,
        options: &Options,
        recovery: &mut Recovery,
    ) -> Result<Loaded, OpenError> {
        let place = &self.place;
        let state = writer.state().clone();
        let sealed = self.sealed.as_ref().ok().copied().flatten();
        if let Err(why) = &self.sealed {
            let note = format!("{why}: whether {place} holds all that was acknowledged can not be told");
            recovery.notes.push(note);
        }
        let (mut loaded, journal, mut lost) = self.load(writer.client(), &state).await?;
        if !was_there {
            let must = sealed.or(options.must_exist.then(Seal::default));
            match must {
                Some(Seal { revision: 0, .. }) => {
                    lost.push("there is no state in it, though the cluster had one".to_owned());
                }
                Some(Seal { revision, objects, .. }) => lost.push(format!(
                    "there is no state in it, though it held {objects} objects at revision {revision}"
                )),
                None => {}
            }
        }
        lost.extend(loaded.lost(&state, sealed.filter(|_| was_there)));
        if !lost.is_empty() && !options.accept_loss {
            return Err(OpenError::Lost { place: place.clone(), what: lost.join("; ") });
        }
        let went_on = |what: &String| format!("{place}: went on without what was lost: {what}");
        recovery.notes.extend(lost.iter().map(went_on));
        if was_there && state.owner != self.session.owner {
            let Seal { revision, objects, .. } = state.seal;
            recovery.notes.push(format!(
                "{place}: took over {objects} objects at revision {revision} from {}",
                state.host
            ));
        }
        let mut next =
            State { owner: self.session.owner.clone(), host: self.session.host.clone(), ..state.clone() };
        let mut mended = Batch::new();
        if !was_there {
            next.clean = true;
        }
        if !lost.is_empty() {
            // numbers that were given out stay so, also where what they stood for is lost
            let reserved = sealed.map_or(0, |sealed| sealed.reserved).max(state.seal.reserved);
            let revision = loaded.root.revision.0.max(state.seal.revision);
            next.seal = Seal { revision, reserved: reserved.max(revision), ..loaded.now };
            next.clean = false;
            mended = loaded.mend(&self.keys);
        }
        writer.take_up(journal);
        // a start that changes nothing writes nothing
        if next != state {
            let until = Instant::now() + OPEN_PATIENCE;
            let written = writer.write(mended, Batch::new(), next, until).await;
            written.map_err(|trouble| self.explain_trouble(trouble))?;
        }
        let seal = writer.state().seal;
        let root = &mut loaded.root;
        root.revision = root.revision.max(ResourceVersion(seal.revision));
        if !writer.state().clean {
            root.revision = root.revision.max(ResourceVersion(seal.reserved));
            if lost.is_empty() {
                recovery.notes.push(disorder(place, root.revision));
            }
        }
        Ok(loaded)
    }

    /// What is there, with what a journal adds that counts.
    async fn load(
        &self,
        client: &Client,
        state: &State,
    ) -> Result<(Loaded, Vec<Vec<Op>>, Vec<String>), OpenError> {
        let mut lost = Vec::new();
        let journal = match &state.journal {
            None => Vec::new(),
            Some(journal) => {
                let parts = load::journal(client, &self.keys, journal).await.map_err(|e| self.explain(e))?;
                parts.unwrap_or_else(|| {
                    lost.push("the journal of the last large write is not whole".to_owned());
                    Vec::new()
                })
            }
        };
        let objects = load::all_below(client, &self.keys.objects()).await.map_err(|e| self.explain(e))?;
        let loaded = Loaded::of(&self.keys, objects, &journal);
        loaded.reader.refusal(&self.place)?;
        Ok((loaded, journal, lost))
    }

    /// For a copy of it.
    async fn read(&self) -> Result<Root, CopyError> {
        let place = || self.place.clone();
        let seen = self.look().await?;
        self.nobody_writes(&seen).await?;
        let options = Options { take_over: true, ..Options::default() };
        let Some(state) = self.state_of(&seen, &options)? else {
            return Err(CopyError::Nothing { place: place() });
        };
        let (mut loaded, _, mut lost) = self.load(&self.client, &state).await?;
        lost.extend(loaded.lost(&state, None));
        if !lost.is_empty() {
            return Err(OpenError::Lost { place: place(), what: lost.join("; ") }.into());
        }
        let again = self.look().await?;
        let at = |seen: &Seen| seen.state.as_ref().map(|state| state.mod_revision);
        if at(&seen) != at(&again) || again.holder.is_some_and(|holder| !self.is_ours(&holder)) {
            let holder = "a process that began to write while it was read".to_owned();
            return Err(OpenError::InUse { place: place(), holder }.into());
        }
        let revision = if state.clean { state.seal.revision } else { state.seal.reserved };
        loaded.root.revision = loaded.root.revision.max(ResourceVersion(revision));
        Ok(loaded.root)
    }

    async fn nobody_writes(&self, seen: &Seen) -> Result<(), OpenError> {
        let Some(key) = seen.holder.as_ref().filter(|holder| !self.is_ours(holder)) else { return Ok(()) };
        let holder = Holder::decode(&key.value).words;
        Err(OpenError::InUse { place: self.place.clone(), holder })
    }

    /// An earlier run of this directory.
    fn is_ours(&self, holder: &KeyValue) -> bool {
        Holder::decode(&holder.value).has_ended(&self.session)
    }

    async fn fill(&self, root: &Root, overwrite: bool) -> Result<Seal, CopyError> {
        let place = || self.place.clone();
        let mut seal = Seal { revision: root.revision.0, reserved: root.revision.0, ..Seal::default() };
        for (resource, key, object) in root.objects() {
            let (bytes, most) = (object.bytes().len(), writer::LARGEST_OBJECT);
            if bytes > most {
                let object = format!("{resource} {key}");
                return Err(CopyError::TooLarge { place: place(), object, bytes, most });
            }
            seal.objects += 1;
            seal.sum += u64::from(row_sum(resource, key, object.revision(), object.bytes()));
        }
        let seen = self.look().await?;
        if let (Some(key), false) = (&seen.state, overwrite) {
            let what = match State::decode(&key.value) {
                Ok(State { copying: true, .. }) => "a copy that was cut short".to_owned(),
                Ok(State { seal: Seal { objects, revision, .. }, host, .. }) => {
                    format!("a state of {host} ({objects} objects, revision {revision})")
                }
                Err(_) => "something that can not be read".to_owned(),
            };
            return Err(CopyError::Occupied { place: place(), what });
        }
        let (held, seen) = self.hold(seen).await?;
        let known = seen.state.as_ref().map_or(0, |state| state.mod_revision);
        let session = &self.session;
        let unfinished = State {
            owner: session.owner.clone(),
            host: session.host.clone(),
            copying: true,
            ..State::default()
        };
        let (client, keys) = (self.client.clone(), self.keys.clone());
        let mut writer = Writer::new(client, keys, session.clone(), held, unfinished.clone(), known);
        let filled = self.fill_with(&mut writer, root, seal, unfinished).await;
        writer.release(Instant::now() + CLOSE_PATIENCE).await;
        filled?;
        compare(&self.place, root, &self.read().await?)?;
        Ok(seal)
    }

    async fn fill_with(
        &self,
        writer: &mut Writer,
        root: &Root,
        seal: Seal,
        unfinished: State,
    ) -> Result<(), CopyError> {
        let until = || Instant::now() + APPEND_PATIENCE;
        let failed =
            |trouble: Trouble| CopyError::Write { place: self.place.clone(), why: trouble.to_string() };
        writer.clear(unfinished.clone(), until()).await.map_err(failed)?;
        let put = |(resource, key, object): (&crate::Resource, &api::ObjectKey, &api::Object)| {
            Op::put(self.keys.object(resource, key), self.keys.value(resource, key, object))
        };
        for part in writer::in_parts(root.objects().map(put)) {
            writer.add(part, unfinished.clone(), until()).await.map_err(failed)?;
        }
        let whole = State { seal, clean: true, copying: false, ..unfinished };
        writer.add(Vec::new(), whole, until()).await.map_err(failed)
    }

    async fn remove(&self) -> Result<bool, OpenError> {
        let seen = self.look().await?;
        let Some(key) = &seen.state else { return Ok(false) };
        let place = || self.place.clone();
        if let Ok(state) = State::decode(&key.value)
            && state.owner != self.session.owner
        {
            let whose = format!("a profile of this name on {}", state.host);
            return Err(OpenError::Another { place: place(), whose });
        }
        let (held, seen) = self.hold(seen).await?;
        let known = seen.state.as_ref().map_or(0, |state| state.mod_revision);
        let until = Instant::now() + APPEND_PATIENCE;
        let all = writer::remove(&self.keys, held.since, known);
        let removed = self.client.transact(all, until).await;
        let _ = self.client.revoke(held.lease, until).await;
        match removed.map_err(|e| self.explain(e))?.succeeded {
            true => Ok(true),
            false => Err(OpenError::InUse { place: place(), holder: "another process".to_owned() }),
        }
    }

    fn explain(&self, error: Error) -> OpenError {
        explain(&self.place, error)
    }

    fn explain_trouble(&self, trouble: Trouble) -> OpenError {
        explain_trouble(&self.place, trouble)
    }
}

fn explain_trouble(place: &str, trouble: Trouble) -> OpenError {
    match trouble {
        Trouble::Etcd(error) => explain(place, error),
        Trouble::TakenOver(why) => OpenError::InUse { place: place.to_owned(), holder: why },
    }
}

fn explain(place: &str, error: Error) -> OpenError {
    let place = place.to_owned();
    match error {
        Error::NoAnswer(why) => OpenError::Unreachable { place, why },
        Error::Full(why) => OpenError::Failed { place, why: full(&why) },
        Error::Refused(why) => OpenError::Failed { place, why },
    }
}
