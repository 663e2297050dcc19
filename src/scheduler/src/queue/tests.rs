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
    let mut tried = Tried::with(&[pod("b", 0, json!({})), pod("a", 0, json!({})), pod("c", 9, json!({}))]);
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
