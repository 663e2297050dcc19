//! The pods that have no node, in upstream's three queues: *active* ones are tried, the most important first; who was
//! refused *waits* until something changes that may help it ([`crate::hints`]), and then *backs off* for a while that doubles
//! with each refusal, so that one who never fits does not hold up the others. Where nobody else is to be tried, nobody backs
//! off (upstream's `SchedulerPopFromBackoffQ`), but for those whose attempt broke. Gated pods are in none of them, nor is one
//! of whom it is still being written what was decided (upstream's "waiting for the preemption for this pod to be finished").
//!
//! Without a clock of its own: who asks says what time it is.

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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use testkit::objects;

    fn pod(name: &str, priority: i32, more: Value) -> Arc<PodInfo> {
        let made = objects::pod(name).uid(name).spec(&json!({"priority": priority})).spec(&more);
        Arc::new(PodInfo::of(Arc::new(made.build())))
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey::namespaced("default", name)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    struct Tried {
        queue: Queue,
        now: Instant,
    }

    impl Tried {
        fn with(pods: &[Arc<PodInfo>]) -> Self {
            let mut tried = Tried { queue: Queue::default(), now: Instant::now() };
            pods.iter().for_each(|pod| tried.set(pod));
            tried
        }

        fn set(&mut self, pod: &Arc<PodInfo>) {
            self.queue.set(pod, &Namespaces::new(), self.now);
        }

        fn next(&mut self) -> Option<String> {
            self.queue.pop(self.now).and_then(|pod| pod.pod.metadata.name.clone())
        }

        fn refused(&mut self, name: &str, by: Plugin) {
            self.queue.refused(&key(name), BTreeSet::from([by]), self.now);
        }

        fn notice(&mut self, event: &Event) {
            self.queue.notice(event, &Namespaces::new(), self.now);
        }
    }

    #[test]
    fn the_most_important_first_then_who_came_first() {
        let mut tried =
            Tried::with(&[pod("b", 0, json!({})), pod("a", 0, json!({})), pod("c", 9, json!({}))]);
        let order: Vec<Option<String>> = (0..4).map(|_| tried.next()).collect();
        assert_eq!(order, [Some("c".to_owned()), Some("b".to_owned()), Some("a".to_owned()), None]);
        // who is on the way to a node is not tried again, whatever happens to it
        tried.set(&pod("a", 5, json!({})));
        assert_eq!(tried.next(), None);
        // who was made anew under its name is another
        let anew = objects::pod("a").uid("anew").build();
        tried.set(&Arc::new(PodInfo::of(Arc::new(anew))));
        tried.queue.bound(&key("a"), "a");
        assert_eq!(tried.next().as_deref(), Some("a"));
        // what becomes of the one before it is not its
        tried.queue.failed(&key("a"), "a", tried.now);
        assert_eq!(tried.queue.due(), None);
        tried.queue.failed(&key("a"), "anew", tried.now);
        assert_eq!(tried.queue.due(), Some(tried.now + seconds(1)));
    }

    #[test]
    fn who_was_refused_waits_for_what_may_help() {
        let gone = Event::PodGone(pod("other", 0, json!({})));
        let mut tried = Tried::with(&[pod("a", 0, json!({})), pod("b", 0, json!({}))]);
        tried.next();
        tried.next();
        tried.refused("a", Plugin::NodeResourcesFit);
        tried.refused("b", Plugin::TaintToleration);
        assert_eq!((tried.next(), tried.queue.is_ready(tried.now)), (None, false));
        let pending = |tried: &Tried| {
            let Pending { active, backoff, gated, unschedulable } = tried.queue.pending();
            [active, backoff, gated, unschedulable]
        };
        assert_eq!(pending(&tried), [0, 0, 0, 2]);
        tried.notice(&gone);
        assert!(tried.queue.is_ready(tried.now));
        assert_eq!(pending(&tried), [0, 1, 0, 1]);
        assert_eq!((tried.next().as_deref(), tried.next()), (Some("a"), None));
        // the other is tried after five minutes, whatever happens
        assert_eq!(tried.queue.due(), Some(tried.now + LONGEST_WAIT));
        tried.now += LONGEST_WAIT;
        assert_eq!(tried.next().as_deref(), Some("b"));
    }

    #[test]
    fn who_was_refused_often_backs_off_behind_the_others() {
        let gone = Event::PodGone(pod("other", 0, json!({})));
        let mut tried = Tried::with(&[pod("often", 9, json!({}))]);
        for (times, want) in [1, 2, 4, 8, 10, 10].into_iter().enumerate() {
            assert_eq!(tried.next().as_deref(), Some("often"), "{times}");
            tried.refused("often", Plugin::NodeResourcesFit);
            tried.notice(&gone);
            assert_eq!(tried.queue.due(), Some(tried.now + seconds(want)), "{times}");
            // it is less important, and does not back off
            tried.set(&pod("new", 0, json!({})));
            assert_eq!(tried.next().as_deref(), Some("new"), "{times}");
            tried.queue.remove(&key("new"));
            tried.now += seconds(want);
        }
    }

    #[test]
    fn where_nobody_else_is_tried_nobody_backs_off() {
        let gone = Event::PodGone(pod("other", 0, json!({})));
        let mut tried = Tried::with(&[pod("a", 0, json!({}))]);
        for _ in 0..3 {
            assert_eq!(tried.next().as_deref(), Some("a"));
            tried.refused("a", Plugin::NodeResourcesFit);
            tried.notice(&gone);
        }
        // one whose attempt broke does: it would break again
        tried.next();
        tried.queue.failed(&key("a"), "a", tried.now);
        assert_eq!((tried.next(), tried.queue.due()), (None, Some(tried.now + seconds(1))));
        tried.now += seconds(1);
        assert_eq!(tried.next().as_deref(), Some("a"));
    }

    #[test]
    fn those_that_broke_back_off_beside_those_that_were_refused() {
        let gone = Event::PodGone(pod("other", 0, json!({})));
        let mut tried = Tried::with(&[pod("broken", 9, json!({})), pod("refused", 0, json!({}))]);
        assert_eq!(tried.next().as_deref(), Some("broken"));
        assert_eq!(tried.next().as_deref(), Some("refused"));
        tried.queue.failed(&key("broken"), "broken", tried.now);
        assert!(!tried.queue.is_ready(tried.now));
        tried.now += Duration::from_millis(500);
        tried.refused("refused", Plugin::NodeResourcesFit);
        tried.notice(&gone);
        // the one that was refused is tried before its time, the other is not
        assert_eq!((tried.next().as_deref(), tried.next()), (Some("refused"), None));
        assert_eq!(tried.queue.due(), Some(tried.now + Duration::from_millis(500)));
        tried.now += Duration::from_millis(500);
        assert!(tried.queue.is_ready(tried.now));
        assert_eq!(tried.next().as_deref(), Some("broken"));
    }

    #[test]
    fn nobody_is_tried_while_it_is_written_what_was_decided_of_it() {
        let gone = Event::PodGone(pod("other", 0, json!({})));
        for (name, is_helped, is_done, back_after) in [
            ("nothing helps", false, true, None),
            ("something helped meanwhile", true, true, Some(0)),
            ("it could not be written", false, false, Some(1)),
            ("neither does what helped hurry it then", true, false, Some(1)),
        ] {
            let mut tried = Tried::with(&[pod("a", 0, json!({}))]);
            tried.next();
            tried.refused("a", Plugin::NodeResourcesFit);
            tried.queue.hold(&key("a"));
            if is_helped {
                tried.notice(&gone);
            }
            tried.set(&pod("a", 0, json!({"activeDeadlineSeconds": 5})));
            assert_eq!((tried.next(), tried.queue.due()), (None, None), "{name}");
            // of one that had its name before
            tried.queue.written(&key("a"), "another", true, tried.now);
            assert_eq!((tried.next(), tried.queue.due()), (None, None), "{name}");
            tried.queue.written(&key("a"), "a", is_done, tried.now);
            assert_eq!(tried.queue.is_ready(tried.now), back_after == Some(0), "{name}");
            tried.now += seconds(back_after.unwrap_or(1));
            assert_eq!(tried.next().is_some(), back_after.is_some(), "{name}");
        }
    }

    #[test]
    fn how_long_one_backs_off_is_configured() {
        let text = "{apiVersion: kubescheduler.config.k8s.io/v1, kind: KubeSchedulerConfiguration, podInitialBackoffSeconds: 3, podMaxBackoffSeconds: 7}";
        let mut tried = Tried::with(&[]);
        tried.queue = Queue::new(Arc::new(Profiles::parse(text).unwrap()));
        tried.set(&pod("a", 0, json!({})));
        for want in [3, 6, 7, 7] {
            assert_eq!(tried.next().as_deref(), Some("a"));
            tried.queue.failed(&key("a"), "a", tried.now);
            assert_eq!(tried.queue.due(), Some(tried.now + seconds(want)), "{want}");
            tried.now += seconds(want);
        }
    }

    #[test]
    fn gates_hold_nobody_back_where_a_profile_has_them_disabled() {
        let text = "{apiVersion: kubescheduler.config.k8s.io/v1, kind: KubeSchedulerConfiguration, profiles: [{plugins: {preEnqueue: {disabled: [{name: SchedulingGates}]}}}]}";
        let mut tried = Tried::with(&[]);
        tried.queue = Queue::new(Arc::new(Profiles::parse(text).unwrap()));
        tried.set(&pod("a", 0, json!({"schedulingGates": [{"name": "example.com/wait"}]})));
        assert_eq!(tried.next().as_deref(), Some("a"));
    }

    #[test]
    fn a_gated_pod_is_not_tried_until_its_gates_are_gone() {
        let gated = json!({"schedulingGates": [{"name": "example.com/wait"}]});
        let mut tried = Tried::with(&[pod("a", 0, gated)]);
        tried.notice(&Event::PodGone(pod("other", 0, json!({}))));
        assert_eq!((tried.next(), tried.queue.due()), (None, None));
        tried.set(&pod("a", 0, json!({})));
        assert_eq!(tried.next().as_deref(), Some("a"));
    }

    #[test]
    fn its_own_change_may_help_it() {
        let mut tried = Tried::with(&[pod("a", 0, json!({}))]);
        tried.next();
        tried.refused("a", Plugin::TaintToleration);
        tried.set(&pod("a", 0, json!({"activeDeadlineSeconds": 5})));
        assert_eq!(tried.next(), None);
        tried.set(&pod("a", 0, json!({"tolerations": [{"operator": "Exists"}]})));
        assert_eq!(tried.next().as_deref(), Some("a"));
    }

    #[test]
    fn where_there_was_no_node_one_that_comes_helps() {
        let mut tried = Tried::with(&[pod("a", 0, json!({}))]);
        tried.next();
        tried.queue.refused(&key("a"), BTreeSet::new(), tried.now);
        tried.notice(&Event::Volume);
        assert_eq!(tried.next(), None);
        tried.notice(&Event::NodeAdded(Arc::new(objects::node("n").build())));
        assert_eq!(tried.next().as_deref(), Some("a"));
    }
}
