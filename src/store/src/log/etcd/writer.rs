//! How something is written exactly once, by one writer, over connections that break.
//!
//! Each transaction compares two keys: that of the holder, which is ours as long as nobody else took it, and the record of the
//! state, which nobody has written since we did; and it writes that record anew with a ticket of its own. So a transaction whose
//! answer was lost can be sent again: where it took place the first time, the second finds its own ticket. One that was given up
//! may still arrive late. So before anything else is written the record is written alone (`settle`): what arrives after that changes
//! nothing any more, and where it came before, its ticket is found, and what it has changed is put right by the batch that comes next
//! (`owed`). However long etcd was away, and whatever was refused meanwhile, no more than one batch is put right.
//!
//! Tickets are numbered. A record with a ticket of ours that is older than the one that was acknowledged last is of an etcd that has
//! been set back to a snapshot: objects that were acknowledged are missing in it, so nothing more is written there.
//!
//! A batch that is too large for one transaction is written into a journal, part by part. The transaction that names the journal
//! in the record of the state makes all of it count; the parts are applied after it, by who comes next if need be.

use super::keeper::keep;
use super::keys::Keys;
use super::parts::{Batch, fits, in_parts, op};
use super::session::{Holder, Session};
use super::state::{Journal, State};
use ::etcd::{Client, Compare, Error, KeyValue, Op, Reply, Transaction, TransactionReply};
use prost::Message;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A holder that does not say that he lives for so long has lost what he held.
pub(super) const LEASE: Duration = Duration::from_secs(15);

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// Whether it took place is known only where etcd refused it.
    #[error("{0}")]
    Etcd(#[from] Error),
    /// We are not the one writer any more.
    #[error("{0}")]
    TakenOver(String),
}

/// The key of the holder that is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// etcd's revision at which it was written.
    pub(super) since: i64,
    pub(super) lease: i64,
}

/// A transaction that changes objects.
struct GivenUp {
    ticket: String,
    /// What its keys were.
    before: Batch,
}

pub(super) struct Writer {
    client: Arc<Client>,
    keys: Keys,
    session: Session,
    held: Held,
    /// Tells the keeper which lease to keep.
    lease: watch::Sender<i64>,
    keeper: JoinHandle<()>,
    /// As it was acknowledged last.
    state: State,
    /// etcd's revision of the record of the state; 0 where there is none.
    known: i64,
    tickets: u64,
    /// It was sent, and there was no answer: it may take place yet.
    given_up: Option<GivenUp>,
    /// What was asked last had no answer, or another one than that it is done.
    unsettled: bool,
    /// What keys must be again, since one that was given up took place after all.
    owed: Batch,
    /// Parts of a journal that counts, which are not applied yet.
    rest: VecDeque<Vec<Op>>,
    /// A journal may lie about that does not count.
    litter: bool,
}

impl Writer {
    /// For who has just become the holder. Must be called within a runtime.
    pub(super) fn new(
        client: Arc<Client>,
        keys: Keys,
        session: Session,
        held: Held,
        state: State,
        known: i64,
    ) -> Writer {
        let (lease, follow) = watch::channel(held.lease);
        let keeper = tokio::spawn(keep(client.clone(), follow));
        Writer {
            client,
            keys,
            session,
            held,
            lease,
            keeper,
            state,
            known,
            tickets: 0,
            given_up: None,
            unsettled: false,
            owed: Batch::new(),
            rest: VecDeque::new(),
            litter: false,
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// What was read of a journal that an earlier run left.
    pub(super) fn take_up(&mut self, parts: Vec<Vec<Op>>) {
        self.litter = parts.is_empty() && self.state.journal.is_some();
        self.rest = parts.into();
    }

    /// All of the batch or nothing, and `next` with it.
    ///
    /// # Errors
    /// [`Trouble`]. `before` is what the keys of the batch were: they are that again before anything else is written.
    pub(super) async fn write(
        &mut self,
        batch: Batch,
        before: Batch,
        next: State,
        until: Instant,
    ) -> Result<(), Trouble> {
        self.settle(until).await?;
        let mut whole = self.owed.clone();
        whole.extend(batch);
        let ops: Vec<Op> = whole.into_iter().map(op).collect();
        let written = match fits(&ops) {
            true => self.write_at_once(ops, before, next, until).await,
            // where it is given up it is a journal that does not count, as soon as the record is written again
            false => self.write_by_journal(ops, next, until).await,
        };
        match written {
            Ok(()) => self.owed.clear(),
            Err(_) => self.unsettled = true,
        }
        written
    }

    /// Does what is left of earlier writes. Nothing that was given up takes place after this; what took place is owed.
    ///
    /// # Errors
    /// [`Trouble`]; what is left stays to be done.
    pub(super) async fn settle(&mut self, until: Instant) -> Result<(), Trouble> {
        self.finish(until).await?;
        if self.unsettled {
            let unchanged = State { journal: None, ..self.state.clone() };
            self.step(Vec::new(), unchanged, until).await?;
            (self.unsettled, self.given_up) = (false, None);
        }
        Ok(())
    }

    async fn write_at_once(
        &mut self,
        mut ops: Vec<Op>,
        before: Batch,
        next: State,
        until: Instant,
    ) -> Result<(), Trouble> {
        if self.litter {
            ops.push(Op::delete_prefix(&self.keys.journals()));
        }
        let written = self.step(ops, State { journal: None, ..next }, until).await;
        match written {
            Ok(()) => self.litter = false,
            Err(_) => self.given_up = Some(GivenUp { ticket: self.last_ticket(), before }),
        }
        written
    }

    async fn write_by_journal(&mut self, ops: Vec<Op>, next: State, until: Instant) -> Result<(), Trouble> {
        let ticket = self.ticket();
        let parts = in_parts(ops);
        let unchanged = State { journal: None, ..self.state.clone() };
        if self.litter {
            let sweep = vec![Op::delete_prefix(&self.keys.journals())];
            self.step(sweep, unchanged.clone(), until).await?;
        }
        self.litter = true;
        for (number, part) in parts.iter().enumerate() {
            let value = Transaction { then: part.clone(), ..Transaction::default() }.encode_to_vec();
            let put = Op::put(self.keys.part(&ticket, number), value);
            self.step(vec![put], unchanged.clone(), until).await?;
        }
        let journal = Some(Journal { ticket, parts: parts.len() });
        self.step(Vec::new(), State { journal, ..next }, until).await?;
        self.litter = false;
        self.rest = parts.into();
        // from here on it is as good as done: who comes next does the rest
        match self.finish(until).await {
            Err(Trouble::Etcd(error)) => {
                tracing::warn!(%error, "a large write is in etcd's journal; its objects follow with the next one");
                Ok(())
            }
            finished => finished,
        }
    }

    /// Applies what is left of a journal.
    async fn finish(&mut self, until: Instant) -> Result<(), Trouble> {
        while let Some(part) = self.rest.front() {
            let (mut part, mut state) = (part.clone(), self.state.clone());
            if self.rest.len() == 1 {
                state.journal = None;
                part.push(Op::delete_prefix(&self.keys.journals()));
            }
            self.step(part, state, until).await?;
            self.rest.pop_front();
        }
        Ok(())
    }

    /// Removes all objects and journals, for who is about to write others. What is there is no state then.
    pub(super) async fn clear(&mut self, next: State, until: Instant) -> Result<(), Trouble> {
        (self.unsettled, self.given_up, self.owed) = (false, None, Batch::new());
        self.rest.clear();
        let ops = vec![Op::delete_prefix(&self.keys.objects()), Op::delete_prefix(&self.keys.journals())];
        self.step(ops, next, until).await
    }

    /// What is one transaction, for who fills an empty place.
    pub(super) async fn add(&mut self, part: Vec<Op>, next: State, until: Instant) -> Result<(), Trouble> {
        self.step(part, next, until).await
    }

    fn ticket(&mut self) -> String {
        self.tickets += 1;
        self.last_ticket()
    }

    fn last_ticket(&self) -> String {
        format!("{}.{}", self.session.id, self.tickets)
    }

    /// Of a ticket of ours.
    fn number(&self, ticket: &str) -> Option<u64> {
        ticket.strip_prefix(self.session.id.as_str())?.strip_prefix('.')?.parse().ok()
    }

    /// One transaction, exactly once.
    async fn step(&mut self, ops: Vec<Op>, next: State, until: Instant) -> Result<(), Trouble> {
        let next = State { ticket: self.ticket(), ..next };
        let (holder, state) = (self.keys.holder(), self.keys.state());
        loop {
            let mut then = ops.clone();
            then.push(Op::put(state.clone(), next.encode()));
            let transaction = Transaction {
                when: vec![
                    Compare::changed_at(&holder, self.held.since),
                    Compare::changed_at(&state, self.known),
                ],
                then,
                otherwise: vec![Op::get(&holder), Op::get(&state)],
            };
            let reply = self.client.transact(transaction, until).await?;
            if reply.succeeded {
                self.known = reply.revision;
                self.state = next;
                return Ok(());
            }
            let [holder, state] = found(reply);
            if self.took_place(state, &next.ticket)? {
                self.state = next;
                return Ok(());
            }
            self.still_hold(holder, until).await?;
        }
    }

    /// Whether the transaction of this ticket did. Goes on from one of ours that had been given up.
    fn took_place(&mut self, state: Option<KeyValue>, ticket: &str) -> Result<bool, Trouble> {
        let revision = state.as_ref().map_or(0, |state| state.mod_revision);
        if revision == self.known {
            return Ok(false);
        }
        let gone = || Trouble::TakenOver("another program has removed the state from etcd".to_owned());
        let value = state.ok_or_else(gone)?.value;
        let set_back =
            || Err(Trouble::TakenOver("an older snapshot of etcd was put in its place".to_owned()));
        if revision < self.known {
            return set_back();
        }
        let written = State::decode(&value)
            .map_err(|_| Trouble::TakenOver("another program has written to etcd meanwhile".to_owned()))?;
        let Some(number) = self.number(&written.ticket) else {
            return Err(Trouble::TakenOver(format!(
                "another process, on {}, has written to etcd meanwhile",
                written.host
            )));
        };
        // a snapshot may be restored so that revisions go on (`--bump-revision`)
        if self.number(&self.state.ticket).is_some_and(|acknowledged| number <= acknowledged) {
            return set_back();
        }
        self.known = revision;
        if let Some(given_up) = self.given_up.take_if(|given_up| given_up.ticket == written.ticket) {
            self.owed.extend(given_up.before);
        }
        Ok(written.ticket == ticket)
    }

    /// A lease that ran out while etcd could not be reached is taken anew, where nobody else came.
    async fn still_hold(&mut self, holder: Option<KeyValue>, until: Instant) -> Result<(), Trouble> {
        match holder {
            Some(key) if key.mod_revision == self.held.since => Ok(()),
            Some(key) => {
                let holder = Holder::decode(&key.value);
                if holder.session != self.session.id {
                    let why = format!("{} has taken over what is in etcd", holder.words);
                    return Err(Trouble::TakenOver(why));
                }
                self.now_holds(Held { since: key.mod_revision, lease: key.lease });
                Ok(())
            }
            None => {
                let lease = self.client.grant(LEASE, until).await?;
                let hold = hold(&self.keys, &self.session, lease, 0, self.known);
                let reply = self.client.transact(hold, until).await?;
                // else the next round finds out who was faster: it may have been ourselves
                if reply.succeeded {
                    tracing::warn!("the lease in etcd had run out, and is taken anew");
                    self.now_holds(Held { since: reply.revision, lease });
                }
                Ok(())
            }
        }
    }

    fn now_holds(&mut self, held: Held) {
        self.held = held;
        self.lease.send_replace(held.lease);
    }

    /// Lets others in.
    pub(super) async fn release(self, until: Instant) {
        self.keeper.abort();
        if let Err(error) = self.client.revoke(self.held.lease, until).await {
            tracing::debug!(%error, "the lease in etcd runs out by itself");
        }
    }
}

/// Takes the key of the holder: `seen` is when the one that is there was written, 0 for none; `known` the same of the state.
pub(super) fn hold(keys: &Keys, session: &Session, lease: i64, seen: i64, known: i64) -> Transaction {
    let (holder, state) = (keys.holder(), keys.state());
    Transaction {
        when: vec![Compare::changed_at(&holder, seen), Compare::changed_at(&state, known)],
        then: vec![Op::put_leased(holder.clone(), session.holder().encode(), lease)],
        otherwise: vec![Op::get(&holder), Op::get(&state)],
    }
}

/// Everything that is there, and the key of the holder with it.
pub(super) fn remove(keys: &Keys, since: i64, known: i64) -> Transaction {
    let (holder, state) = (keys.holder(), keys.state());
    Transaction {
        when: vec![Compare::changed_at(&holder, since), Compare::changed_at(&state, known)],
        then: vec![Op::delete_prefix(&keys.everything())],
        otherwise: Vec::new(),
    }
}

/// The keys that a transaction looked at.
pub(super) fn found<const COUNT: usize>(reply: TransactionReply) -> [Option<KeyValue>; COUNT] {
    let mut replies = reply.replies.into_iter();
    std::array::from_fn(|_| match replies.next() {
        Some(Reply::Found(keys)) => keys.into_iter().next(),
        _ => None,
    })
}
