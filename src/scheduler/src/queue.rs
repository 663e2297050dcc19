//! The pods that have no node, in upstream's three queues: *active* ones are tried, the most important first; who was
//! refused *waits* until something changes that may help it ([`crate::hints`]), and then *backs off* for a while that doubles
//! with each refusal, so that one who never fits does not hold up the others. Where nobody else is to be tried, nobody backs
//! off (upstream's `SchedulerPopFromBackoffQ`), but for those whose attempt broke. Gated pods are in none of them, nor is one
//! of whom it is still being written what was decided (upstream's "waiting for the preemption for this pod to be finished").
//!
//! Without a clock of its own: who asks says what time it is.

#[cfg(test)]
mod tests;

use crate::Profile;
use crate::config::{Point, Profiles};
use crate::hints::{Event, is_gated, may_help};
use crate::metrics::Pending;
use crate::plugin::Plugin;
use crate::pod_info::PodInfo;
use crate::terms::Namespaces;
use crate::wait_index::WaitIndex;
use api::ObjectKey;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Who has waited so long is tried again, whatever has changed: upstream's `podMaxInUnschedulablePodsDuration`.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub(crate) struct Queue {
    profiles: Arc<Profiles>,
    pods: HashMap<ObjectKey, Entry>,
    active: BTreeSet<Turn>,
    backing_off: BTreeSet<(Instant, ObjectKey)>,
    /// Those that back off because their attempt broke.
    broken: BTreeSet<(Instant, ObjectKey)>,
    waiting: BTreeSet<(Instant, ObjectKey)>,
    writing: BTreeSet<ObjectKey>,
    /// Those that are waiting or writing.
    index: WaitIndex,
    arrivals: u64,
}

/// The most important first, then who has waited longer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    priority: Reverse<i32>,
    arrival: u64,
    key: ObjectKey,
}

#[derive(Debug)]
struct Entry {
    pod: Arc<PodInfo>,
    profile: Arc<Profile>,
    state: State,
    /// Its place among those of the same priority.
    arrival: u64,
    /// Since its last attempt; of one that was never tried, since it came.
    since: Instant,
    refusals: u32,
    /// Attempts that broke, one after the other.
    errors: u32,
    /// Who refused it last.
    refused_by: BTreeSet<Plugin>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Gated,
    Active,
    BackingOff {
        until: Instant,
        is_broken: bool,
    },
    Waiting,
    /// It was refused, and what was decided of it is being written: it is not tried before that is done. What helps it
    /// meanwhile is not forgotten.
    Writing {
        is_helped: bool,
    },
    /// It is being placed, or bound.
    Attempted,
}

impl Entry {
    /// Whether the change may help it against one who has refused it.
    fn is_helped(&self, event: &Event, namespaces: &Namespaces) -> bool {
        let helps = |plugin: &Plugin| may_help(*plugin, &self.pod, event, namespaces, &self.profile);
        self.refused_by.iter().any(helps)
    }
}

impl Queue {
    pub(crate) fn new(profiles: Arc<Profiles>) -> Self {
        Queue { profiles, ..Queue::default() }
    }

    /// A pod that is new or has changed.
    pub(crate) fn set(&mut self, pod: &Arc<PodInfo>, namespaces: &Namespaces, now: Instant) {
        let key = kinds::key_of(&pod.pod.metadata);
        if self.pods.get(&key).is_some_and(|known| known.pod.id != pod.id) {
            self.remove(&key);
        }
        let Some(known) = self.pods.get(&key) else {
            self.arrivals += 1;
            let profile = self.profiles.of(&pod.pod).cloned().unwrap_or_default();
            let waits_at_gates = is_held(pod, &profile);
            let entry = Entry {
                pod: pod.clone(),
                profile,
                state: State::Gated,
                arrival: self.arrivals,
                since: now,
                refusals: 0,
                errors: 0,
                refused_by: BTreeSet::from([Plugin::SchedulingGates]),
            };
            self.pods.insert(key.clone(), entry);
            if !waits_at_gates {
                self.enter(&key, State::Active);
            }
            return;
        };
        let (old, state, profile) = (known.pod.clone(), known.state.clone(), known.profile.clone());
        self.leave(&key);
        if let Some(entry) = self.pods.get_mut(&key) {
            entry.pod = pod.clone();
        }
        let event = Event::Changed { old, new: pod.clone() };
        let helps = self.pods.get(&key).is_some_and(|entry| entry.is_helped(&event, namespaces));
        match state {
            State::Gated if !is_held(pod, &profile) => self.enter(&key, State::Active),
            State::Waiting if helps => self.wake(&key, now),
            State::Writing { .. } if helps => self.enter(&key, State::Writing { is_helped: true }),
            state => self.enter(&key, state),
        }
    }

    /// A pod that is gone, or has its node.
    pub(crate) fn remove(&mut self, key: &ObjectKey) {
        self.leave(key);
        self.pods.remove(key);
    }

    /// The pod of this id has its node.
    pub(crate) fn bound(&mut self, key: &ObjectKey, id: &str) {
        if self.is(key, id) {
            self.remove(key);
        }
    }

    pub(crate) fn pending(&self) -> Pending {
        Pending {
            active: self.active.len(),
            backoff: self.backing_off.len() + self.broken.len(),
            gated: self.pods.values().filter(|entry| entry.state == State::Gated).count(),
            unschedulable: self.waiting.len() + self.writing.len(),
        }
    }

    pub(crate) fn has(&self, key: &ObjectKey) -> bool {
        self.pods.contains_key(key)
    }

    /// As an informer has shown it last.
    pub(crate) fn pod(&self, key: &ObjectKey) -> Option<&Arc<PodInfo>> {
        self.pods.get(key).map(|entry| &entry.pod)
    }

    /// Whether it is this pod, and no other that has its name by now.
    fn is(&self, key: &ObjectKey, id: &str) -> bool {
        self.pods.get(key).is_some_and(|known| known.pod.id == id)
    }

    /// The next to be tried. It is [`Queue::refused`], [`Queue::failed`] or [`Queue::bound`] then.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Arc<PodInfo>> {
        while let Some((_, key)) = self.first_back().filter(|(until, _)| *until <= now).cloned() {
            self.leave(&key);
            self.enter(&key, State::Active);
        }
        while let Some((_, key)) =
            self.waiting.first().filter(|(since, _)| *since + LONGEST_WAIT <= now).cloned()
        {
            self.leave(&key);
            self.wake(&key, now);
        }
        let key = match self.active.first() {
            Some(turn) => turn.key.clone(),
            // who backs off need not where nobody else is to be tried
            None => self.backing_off.first().map(|(_, key)| key.clone())?,
        };
        self.leave(&key);
        self.enter(&key, State::Attempted);
        self.pods.get(&key).map(|entry| entry.pod.clone())
    }

    /// Who has backed off first, of all who do.
    fn first_back(&self) -> Option<&(Instant, ObjectKey)> {
        self.backing_off.first().into_iter().chain(self.broken.first()).min()
    }

    /// No node would do. It waits for what its refusers say may help.
    pub(crate) fn refused(&mut self, key: &ObjectKey, by: BTreeSet<Plugin>, now: Instant) {
        if let Some(entry) = self.attempted(key, now) {
            entry.refusals += 1;
            entry.errors = 0;
            entry.refused_by = by;
            self.enter(key, State::Waiting);
        }
    }

    /// The attempt of the pod of this id broke: nothing else need change.
    pub(crate) fn failed(&mut self, key: &ObjectKey, id: &str, now: Instant) {
        if !self.is(key, id) {
            return;
        }
        let backoff = self.profiles.backoff;
        if let Some(entry) = self.attempted(key, now) {
            entry.errors += 1;
            let until = now + backoff.after(entry.errors);
            self.enter(key, State::BackingOff { until, is_broken: true });
        }
    }

    /// What was decided of one that waits is being written from now on: it is [`Queue::written`] then.
    pub(crate) fn hold(&mut self, key: &ObjectKey) {
        if self.pods.get(key).is_some_and(|entry| entry.state == State::Waiting) {
            self.leave(key);
            self.enter(key, State::Writing { is_helped: false });
        }
    }

    /// What was decided of the pod of this id is written, or (not `is_done`) could not be.
    pub(crate) fn written(&mut self, key: &ObjectKey, id: &str, is_done: bool, now: Instant) {
        let entry = self.pods.get(key).filter(|entry| entry.pod.id == id);
        let Some(State::Writing { is_helped }) = entry.map(|entry| entry.state.clone()) else { return };
        self.leave(key);
        match (is_done, is_helped) {
            (true, true) => self.wake(key, now),
            (true, false) => self.enter(key, State::Waiting),
            (false, _) => {
                self.enter(key, State::Attempted);
                self.failed(key, id, now);
            }
        }
    }

    fn attempted(&mut self, key: &ObjectKey, now: Instant) -> Option<&mut Entry> {
        self.arrivals += 1;
        let arrival = self.arrivals;
        let entry = self.pods.get_mut(key).filter(|entry| entry.state == State::Attempted)?;
        (entry.since, entry.arrival) = (now, arrival);
        Some(entry)
    }

    /// Something has changed: whom it may help is tried again.
    pub(crate) fn notice(&mut self, event: &Event, namespaces: &Namespaces, now: Instant) {
        let mut helped: Vec<ObjectKey> = match event {
            Event::NodeAdded(_) => self.index.without_node().cloned().collect(),
            _ => Vec::new(),
        };
        // what it gives up itself helps nobody
        let is_own = |entry: &Entry| matches!(event, Event::PodGone(gone) if gone.id == entry.pod.id);
        for (plugin, key) in self.index.reached(event) {
            let Some(entry) = self.pods.get(key).filter(|entry| !is_own(entry)) else { continue };
            if may_help(plugin, &entry.pod, event, namespaces, &entry.profile) {
                helped.push(key.clone());
            }
        }
        helped.iter().for_each(|key| self.look_again(key, now));
    }

    /// Something has changed that helps this one, if it waits.
    pub(crate) fn look_again(&mut self, key: &ObjectKey, now: Instant) {
        match self.pods.get(key).map(|entry| entry.state.clone()) {
            Some(State::Waiting) => {
                self.leave(key);
                self.wake(key, now);
            }
            Some(State::Writing { .. }) => self.enter(key, State::Writing { is_helped: true }),
            _ => {}
        }
    }

    fn wake(&mut self, key: &ObjectKey, now: Instant) {
        let Some(entry) = self.pods.get(key) else { return };
        let until = entry.since + self.profiles.backoff.after(entry.refusals);
        match until <= now {
            true => self.enter(key, State::Active),
            false => self.enter(key, State::BackingOff { until, is_broken: false }),
        }
    }

    /// Whether somebody is to be tried now.
    pub(crate) fn is_ready(&self, now: Instant) -> bool {
        !self.active.is_empty() || !self.backing_off.is_empty() || self.due().is_some_and(|due| due <= now)
    }

    /// When somebody is to be tried, if nothing happens until then.
    pub(crate) fn due(&self) -> Option<Instant> {
        let back = self.first_back().map(|(until, _)| *until);
        let waiting = self.waiting.first().map(|(since, _)| *since + LONGEST_WAIT);
        back.into_iter().chain(waiting).min()
    }

    fn enter(&mut self, key: &ObjectKey, state: State) {
        let Some(entry) = self.pods.get_mut(key) else { return };
        entry.state = state;
        match entry.state {
            State::Active => {
                let turn = Turn {
                    priority: Reverse(entry.pod.priority()),
                    arrival: entry.arrival,
                    key: key.clone(),
                };
                self.active.insert(turn);
            }
            State::BackingOff { until, is_broken: false } => {
                self.backing_off.insert((until, key.clone()));
            }
            State::BackingOff { until, is_broken: true } => drop(self.broken.insert((until, key.clone()))),
            State::Waiting => {
                self.waiting.insert((entry.since, key.clone()));
                self.index.insert(key, &entry.pod, &entry.refused_by);
            }
            State::Writing { .. } => {
                self.writing.insert(key.clone());
                self.index.insert(key, &entry.pod, &entry.refused_by);
            }
            State::Gated | State::Attempted => {}
        }
    }

    fn leave(&mut self, key: &ObjectKey) {
        let Some(entry) = self.pods.get(key) else { return };
        match entry.state {
            State::Active => {
                let priority = Reverse(entry.pod.priority());
                self.active.remove(&Turn { priority, arrival: entry.arrival, key: key.clone() });
            }
            State::BackingOff { until, is_broken: false } => {
                self.backing_off.remove(&(until, key.clone()));
            }
            State::BackingOff { until, is_broken: true } => drop(self.broken.remove(&(until, key.clone()))),
            State::Waiting => {
                self.waiting.remove(&(entry.since, key.clone()));
                self.index.remove(key, &entry.pod, &entry.refused_by);
            }
            State::Writing { .. } => {
                self.writing.remove(key);
                self.index.remove(key, &entry.pod, &entry.refused_by);
            }
            State::Gated | State::Attempted => {}
        }
    }
}

/// Whether it is not tried before its gates are gone.
fn is_held(pod: &PodInfo, profile: &Profile) -> bool {
    is_gated(pod) && profile.has(Plugin::SchedulingGates, Point::PreEnqueue)
}
