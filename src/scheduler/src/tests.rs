//! The scheduler on a cluster in memory, most of it with a clock that stands still: who waits does not wait in real time.
//! Nobody runs the pods: a test does what a kubelet and a binder of claims would do.

mod writes;

use crate::Profiles;
use crate::cache::Cache;
use crate::plugin::Plugin;
use crate::pod_info::PodInfo;
use crate::preempt::{BY_SCHEDULER, DISRUPTION_TARGET, nominated_node};
use crate::run::USER;
use crate::scheduler::Scheduler;
use api::{LabelSelector, ObjectKey};
use cluster::{Actor, Api, Client, Cluster, DeleteOptions, WorkQueue};
use k8s_openapi::api::core::v1::{Event, Node, PersistentVolume, PersistentVolumeClaim, Pod, ServiceAccount};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::StorageClass;
use kinds::{TypedKind, key_of, pod as ask, volume};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testkit::objects;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// With one node `n` of one CPU, and a class `high` of priority.
struct Lab {
    cluster: Cluster,
}

impl Lab {
    async fn new() -> Self {
        let lab = Lab { cluster: testkit::cluster(testkit::config()).await };
        let account = json!({"metadata": {"name": "default", "namespace": "default"}});
        lab.create::<ServiceAccount>(object(account)).await;
        lab.create::<PriorityClass>(object(json!({"metadata": {"name": "high"}, "value": 100}))).await;
        lab.node(objects::node("n").allocatable("1", "4Gi").build()).await;
        lab
    }

    /// The scheduler works from now on.
    async fn start(&self) {
        self.allow().await;
        self.start_forbidden();
    }

    fn start_forbidden(&self) {
        self.start_with(Profiles::default());
    }

    fn start_with(&self, profiles: Profiles) {
        tokio::spawn(crate::run(self.cluster.clone(), profiles, CancellationToken::new()));
    }

    async fn allow(&self) {
        self.cluster.bootstrap_components([crate::role()]).await.unwrap();
    }

    /// One that does nothing by itself.
    fn scheduler(&self) -> Arc<Scheduler> {
        let client = self.cluster.acting_as(Actor::component(USER));
        Arc::new(Scheduler::new(&client, WorkQueue::new(), Arc::default()))
    }

    fn root(&self) -> Client {
        self.cluster.acting_as(Actor::root())
    }

    fn pods(&self) -> Api<Pod> {
        self.root().api()
    }

    async fn create<K: TypedKind>(&self, object: K) -> K {
        self.root().api().create(object).await.unwrap()
    }

    /// That is ready: nobody else is here to see that.
    async fn node(&self, node: Node) {
        let made = self.create(node).await;
        let ready = |node: &mut Node| {
            node.spec.get_or_insert_default().taints = None;
            Ok(())
        };
        let key = ObjectKey::cluster(made.metadata.name.as_deref().unwrap());
        self.root().api::<Node>().modify(&key, ready).await.unwrap();
    }

    /// That asks for so much.
    async fn pod(&self, name: &str, cpu: &str, spec: Value) -> Pod {
        self.create(objects::pod(name).requests(&json!({"cpu": cpu})).spec(&spec).build()).await
    }

    async fn until<K: TypedKind>(&self, name: &str, wanted: impl Fn(&K) -> bool) -> K {
        let mut changes = self.cluster.informer::<K>().subscribe();
        let waiting = async {
            while let Some(change) = changes.next().await {
                let object = change.object();
                if object.metadata().name.as_deref() == Some(name) && wanted(object) {
                    return K::clone(object);
                }
            }
            panic!("the cluster is gone")
        };
        let came = in_real_time(waiting).await;
        came.unwrap_or_else(|| {
            let stored = self.root().api::<K>().find(&key(name));
            let stored = stored.map(|stored| serde_json::to_value(stored).unwrap());
            panic!("{name} never came there: {stored:#?}\n{:#?}", self.events(name))
        })
    }

    async fn until_placed(&self, pod: &str) -> Pod {
        self.until(pod, |pod: &Pod| node_of(pod) == Some("n")).await
    }

    /// `Reason message`, and how often it was said.
    fn events(&self, pod: &str) -> Vec<(String, i32)> {
        let all: Vec<Event> = self.root().api().list(Some("default"), LabelSelector::default()).unwrap();
        let about = all.into_iter().filter(|event| event.involved_object.name.as_deref() == Some(pod));
        let said = |event: Event| {
            let (reason, message) = (event.reason.unwrap_or_default(), event.message.unwrap_or_default());
            (format!("{reason} {message}"), event.count.unwrap_or(1))
        };
        about.map(said).collect()
    }

    /// What is said comes in order: whatever was said before is there then.
    async fn until_said(&self, pod: &str, event: &str) {
        let about = |said: &Event| said.involved_object.name.as_deref() == Some(pod);
        let mut changes = self.cluster.informer::<Event>().subscribe();
        let waiting = async {
            while let Some(change) = changes.next().await {
                let said = change.object();
                if about(said) && said.reason.as_deref() == Some(event) {
                    return;
                }
            }
            panic!("the cluster is gone")
        };
        let came = in_real_time(waiting).await;
        came.unwrap_or_else(|| panic!("never of {pod}: {event}, but {:#?}", self.events(pod)));
    }

    /// What a kubelet does when the containers have ended.
    async fn end(&self, pod: &Pod) {
        let uid = pod.metadata.uid.as_deref().unwrap();
        self.pods().delete(&key_of(&pod.metadata), DeleteOptions::now(uid)).await.unwrap();
    }
}

/// `None` when it takes longer than any machine needs. Virtual time runs ahead whenever the store's thread works.
async fn in_real_time<T>(work: impl Future<Output = T>) -> Option<T> {
    let (give_up, given_up) = oneshot::channel();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(30));
        let _ = give_up.send(());
    });
    tokio::select! {
        done = work => Some(done),
        _ = given_up => None,
    }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::namespaced("default", name)
}

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

fn stored(name: &str) -> Arc<Pod> {
    Arc::new(objects::pod(name).uid(name).build())
}

#[tokio::test(start_paused = true)]
async fn a_binding_that_fails_is_tried_again_after_a_while() {
    let lab = Lab::new().await;
    lab.pod("a", "1", json!({})).await;
    let started = Instant::now();
    lab.start_forbidden();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(node_of(&lab.pods().get(&key("a")).unwrap()), None, "it may not bind yet");
    lab.allow().await;
    lab.until_placed("a").await;
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_is_more_important_comes_when_the_other_is_gone() {
    let lab = Lab::new().await;
    lab.pod("low", "1", json!({"nodeName": "n"})).await;
    lab.start().await;
    let high = lab.pod("high", "1", json!({"priorityClassName": "high"})).await;
    let low = lab.until("low", ask::is_deleting).await;
    let marked = ask::condition(&low, DISRUPTION_TARGET).unwrap();
    assert_eq!((marked.status.as_str(), marked.reason.as_deref()), ("True", Some(BY_SCHEDULER)));
    let waits = lab.until("high", |pod: &Pod| nominated_node(pod) == Some("n")).await;
    let why = ask::condition(&waits, "PodScheduled").and_then(|condition| condition.message.clone());
    let found = "0/1 nodes are available: 1 Insufficient cpu. preemption: found a potential placement for pod on node n, preempting 1 victims";
    assert_eq!((node_of(&waits), why.as_deref()), (None, Some(found)));
    lab.end(&low).await;
    lab.until_placed("high").await;
    lab.until_said("high", "Scheduled").await;
    let said = format!("Preempted Preempted by pod {} on node n", high.metadata.uid.unwrap());
    assert_eq!(lab.events("low"), [(said, 1)]);
}

#[tokio::test(start_paused = true)]
async fn who_is_on_his_way_out_already_is_not_spoken_of() {
    let lab = Lab::new().await;
    let low = lab.pod("low", "1", json!({"nodeName": "n"})).await;
    lab.pods().delete(&key("low"), DeleteOptions::default()).await.unwrap();
    lab.start().await;
    lab.pod("high", "1", json!({"priorityClassName": "high"})).await;
    lab.until("high", |pod: &Pod| nominated_node(pod) == Some("n")).await;
    lab.end(&low).await;
    lab.until_placed("high").await;
    lab.until_said("high", "Scheduled").await;
    assert!(lab.events("low").is_empty(), "{:?}", lab.events("low"));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_waits_for_its_pod_is_told_the_node_first() {
    let lab = Lab::new().await;
    lab.create::<StorageClass>(object(json!({"metadata": {"name": "later"}, "provisioner": "example.com/p",
        "volumeBindingMode": "WaitForFirstConsumer"})))
        .await;
    let asks = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "later",
        "resources": {"requests": {"storage": "1Gi"}}});
    let claim = json!({"metadata": {"name": "data", "namespace": "default"}, "spec": asks});
    lab.create::<PersistentVolumeClaim>(object(claim)).await;
    lab.start().await;
    let uses = json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]});
    lab.pod("a", "1", uses).await;
    let selected = |claim: &PersistentVolumeClaim| {
        volume::annotation(&claim.metadata, volume::SELECTED_NODE) == Some("n")
    };
    let claim = lab.until("data", selected).await;
    assert_eq!(node_of(&lab.pods().get(&key("a")).unwrap()), None, "it has no volume yet");
    // what a provisioner and the binder do
    lab.create::<PersistentVolume>(object(json!({"metadata": {"name": "v"}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "later",
        "hostPath": {"path": "/volume"},
        "claimRef": {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": "default", "name": "data",
            "uid": claim.metadata.uid}}})))
        .await;
    let bind = |claim: &mut PersistentVolumeClaim| {
        claim.spec.get_or_insert_default().volume_name = Some("v".to_owned());
        volume::annotate(&mut claim.metadata, volume::BIND_COMPLETED, "yes");
        Ok(())
    };
    lab.root().api::<PersistentVolumeClaim>().modify(&key("data"), bind).await.unwrap();
    lab.until_placed("a").await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_of_another_scheduler_is_left_alone() {
    let lab = Lab::new().await;
    lab.start().await;
    let theirs = lab.pod("theirs", "9", json!({"schedulerName": "other"})).await;
    lab.pod("also-theirs", "1", json!({"schedulerName": "other"})).await;
    lab.pod("ours", "1", json!({})).await;
    lab.until_placed("ours").await;
    lab.until_said("ours", "Scheduled").await;
    let stored = lab.pods().get(&key("theirs")).unwrap();
    assert_eq!(stored.metadata.resource_version, theirs.metadata.resource_version);
    assert_eq!(node_of(&lab.pods().get(&key("also-theirs")).unwrap()), None);
    assert!(lab.events("theirs").is_empty() && lab.events("also-theirs").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pod_says_whose_rules_it_is_placed_by() {
    let lab = Lab::new().await;
    let cordoned = objects::node("closed").allocatable("8", "4Gi").spec(&json!({"unschedulable": true}));
    lab.node(cordoned.build()).await;
    lab.allow().await;
    let text = r#"{"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration", "profiles": [
        {"schedulerName": "default-scheduler"}, {"schedulerName": "careless", "plugins": {
            "filter": {"disabled": [{"name": "NodeUnschedulable"}]}, "postFilter": {"disabled": [{"name": "*"}]}}}]}"#;
    lab.start_with(Profiles::parse(text).unwrap());
    let nobody = lab.pod("nobody-s", "1", json!({"schedulerName": "nobody"})).await;
    lab.pod("careful", "4", json!({})).await;
    lab.until_said("careful", "FailedScheduling").await;
    lab.pod("careless", "4", json!({"schedulerName": "careless"})).await;
    lab.until("careless", |pod: &Pod| node_of(pod) == Some("closed")).await;
    lab.until_said("careless", "Scheduled").await;
    // where nobody is sent away, nobody speaks of it
    lab.pod("huge", "9", json!({"schedulerName": "careless"})).await;
    lab.until_said("huge", "FailedScheduling").await;
    let said: Vec<Event> = lab.root().api().list(Some("default"), LabelSelector::default()).unwrap();
    let of = |pod: &str| {
        let about = said.iter().find(|event| event.involved_object.name.as_deref() == Some(pod)).unwrap();
        (about.reporting_component.clone().unwrap_or_default(), about.message.clone().unwrap_or_default())
    };
    let full = "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.";
    assert_eq!(of("careful"), ("default-scheduler".to_owned(), full.to_owned()));
    let placed = "Successfully assigned default/careless to closed";
    assert_eq!(of("careless"), ("careless".to_owned(), placed.to_owned()));
    let alone = "0/2 nodes are available: 2 Insufficient cpu.";
    assert_eq!(of("huge"), ("careless".to_owned(), alone.to_owned()));
    let stored = lab.pods().get(&key("nobody-s")).unwrap();
    assert_eq!(stored.metadata.resource_version, nobody.metadata.resource_version);
    assert!(lab.events("nobody-s").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_panics_is_made_again_after_a_while() {
    let lab = Lab::new().await;
    let (scheduler, now) = (lab.scheduler(), Instant::now());
    let nothing = |_: &mut Cache, _: &Arc<PodInfo>| {};
    let place = |cache: &mut Cache, pod: &Arc<PodInfo>| cache.assume(pod, "n", now);
    let refuse = |cache: &mut Cache, pod: &Arc<PodInfo>| {
        cache.queue.refused(&key_of(&pod.pod.metadata), [Plugin::NodeResourcesFit].into(), now);
    };
    let before: [(&str, &dyn Fn(&mut Cache, &Arc<PodInfo>)); 3] =
        [("at once", &nothing), ("when it was placed", &place), ("when it was refused", &refuse)];
    for (name, before) in before {
        let mut cache = Cache::default();
        cache.node_is(&Arc::new(objects::node("n").build()), now);
        cache.pod_is(&stored("a"), now);
        cache.pod_is(&stored("b"), now);
        let pod = cache.queue.pop(now).unwrap();
        let decided = scheduler.try_decide(&mut cache, &pod, now, |cache| {
            before(cache, &pod);
            panic!("a defect")
        });
        assert!(decided.is_none(), "{name}");
        assert_eq!(cache.snapshot.node("n").unwrap().residents.len(), 0, "{name}");
        assert_eq!(cache.queue.due(), Some(now + Duration::from_secs(1)), "{name}");
        // the others go on
        let other = cache.queue.pop(now).unwrap();
        assert_eq!(other.pod.metadata.name.as_deref(), Some("b"), "{name}");
        assert!(cache.queue.pop(now).is_none(), "{name}");
        let again = cache.queue.pop(now + Duration::from_secs(1)).unwrap();
        assert_eq!(again.pod.metadata.name.as_deref(), Some("a"), "{name}");
    }
}
