//! What is done once with a state in etcd: it is opened and held, read or written for a copy ([`copying`]), or removed. Whose it is
//! is looked at first, and nothing is changed where something is lost or somebody else's.

mod copying;

use super::keys::Keys;
use super::load::{self, Loaded};
use super::parts::Batch;
use super::session::{Holder, Session};
use super::state::{NoState, State};
use super::writer::{self, Held, Trouble, Writer};
use super::{APPEND_PATIENCE, CLOSE_PATIENCE};
use crate::log::seal::{self, OF_ETCD, Seal};
use crate::log::{OpenError, Recovery, disorder, lock};
use crate::{Etcd, Options};
use ::etcd::{Client, Error, KeyValue, Op, Transaction};
use api::ResourceVersion;
use encryption::Encryption;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// For each thing that opening asks.
const OPEN_PATIENCE: Duration = Duration::from_secs(5);
/// Of who is let in when a machine has restarted faster than its lease has run out.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What is needed until there is a log.
pub(super) struct Opening {
    client: Arc<Client>,
    pub(super) keys: Keys,
    session: Session,
    /// Of the last run of this directory.
    sealed: Result<Option<Seal>, String>,
    pub(super) place: String,
    pub(super) lock: File,
}

/// The two keys that say whose it is.
struct Seen {
    holder: Option<KeyValue>,
    state: Option<KeyValue>,
}

impl Opening {
    pub(super) fn new(dir: &Path, etcd: &Etcd, encryption: &Arc<Encryption>) -> Result<Opening, OpenError> {
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

    pub(super) async fn open(&self, options: &Options) -> Result<(Writer, Loaded, Recovery), OpenError> {
        let mut recovery = Recovery::default();
        let seen = self.read_keys().await?;
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

    async fn read_keys(&self) -> Result<Seen, OpenError> {
        let read = Transaction {
            then: vec![Op::get(&self.keys.holder()), Op::get(&self.keys.state())],
            ..Transaction::default()
        };
        let reply = self.client.transact(read, Instant::now() + OPEN_PATIENCE).await;
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
                    seen = self.read_keys().await?;
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
            lost.extend(what_is_missing(sealed, options));
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

    /// An earlier run of this directory.
    fn is_ours(&self, holder: &KeyValue) -> bool {
        Holder::decode(&holder.value).has_ended(&self.session)
    }

    pub(super) async fn remove(&self) -> Result<bool, OpenError> {
        let seen = self.read_keys().await?;
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

/// Where there is no state: what is known to have been there.
fn what_is_missing(sealed: Option<Seal>, options: &Options) -> Option<String> {
    Some(match sealed.or(options.must_exist.then(Seal::default))? {
        Seal { revision: 0, .. } => "there is no state in it, though the cluster had one".to_owned(),
        Seal { revision, objects, .. } => {
            format!("there is no state in it, though it held {objects} objects at revision {revision}")
        }
    })
}

pub(super) fn explain_trouble(place: &str, trouble: Trouble) -> OpenError {
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

pub(super) fn full(why: &str) -> String {
    format!(
        "the quota of its database is used up: defragment it and disarm its alarm NOSPACE (`etcdctl defrag`, `etcdctl alarm \
         disarm`), or raise --quota-backend-bytes: {why}"
    )
}
