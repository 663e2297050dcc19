use super::fake::{FakeImages, FakeRuntime, Handle};
use crate::clock::Clock;
use crate::config::{KubeletConfig, OwnPort};
use crate::start::start_at;
use crate::{Kubelet, Machine};
use api::{LabelSelector, ObjectKey};
use cluster::{Actor, Api, Client, Cluster};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod, ServiceAccount};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub const NODE: &str = "n1";

/// A cluster, a kubelet, and what they work on.
pub struct Rig {
    pub cluster: Cluster,
    pub clock: Clock,
    pub runtime: Arc<FakeRuntime>,
    pub images: Arc<FakeImages>,
    pub dir: tempfile::TempDir,
    pub kubelet: Kubelet,
    /// Of the next start.
    pub max_pods: u32,
    stop: CancellationToken,
}

pub async fn rig() -> Rig {
    let cluster = testkit::cluster(testkit::config()).await;
    cluster.bootstrap_components([crate::role()]).await.unwrap();
    let account = json!({"metadata": {"name": "default", "namespace": "default"}});
    let account: ServiceAccount = serde_json::from_value(account).unwrap();
    cluster.acting_as(Actor::root()).api().create(account).await.unwrap();
    let clock = Clock::paused();
    let runtime = FakeRuntime::new(clock);
    let images = FakeImages::with(&["web:1", "init:1"]);
    let dir = tempfile::tempdir().unwrap();
    let max_pods = 110;
    let (kubelet, stop) = start(&cluster, clock, &runtime, &images, &dir, max_pods).await;
    Rig { cluster, clock, runtime, images, dir, kubelet, max_pods, stop }
}

async fn start(
    cluster: &Cluster,
    clock: Clock,
    runtime: &Arc<FakeRuntime>,
    images: &Arc<FakeImages>,
    dir: &tempfile::TempDir,
    max_pods: u32,
) -> (Kubelet, CancellationToken) {
    let ip = "192.0.2.1".parse().unwrap();
    let mut config = KubeletConfig::new(NODE, ip, dir.path().to_owned(), "10.96.0.10".parse().unwrap());
    config.machine = Machine { cpus: 2, memory_bytes: 1 << 30, disk_bytes: 1 << 40, ..Machine::default() };
    config.max_pods = max_pods;
    config.own_ports =
        vec![OwnPort { protocol: cri::Protocol::Tcp, address: None, port: 8443, of: "the API server" }];
    let stop = CancellationToken::new();
    let handle = Arc::new(Handle(runtime.clone()));
    let kubelet =
        start_at(clock, cluster.clone(), config, handle, images.clone(), stop.clone()).await.unwrap();
    (kubelet, stop)
}

impl Rig {
    pub fn root(&self) -> Client {
        self.cluster.acting_as(Actor::root())
    }

    pub fn pods(&self) -> Api<Pod> {
        self.root().api()
    }

    /// The daemon goes; its containers do not.
    pub async fn stop(&mut self) {
        self.stop.cancel();
        (&mut self.kubelet.task).await.unwrap();
    }

    pub async fn start(&mut self) {
        let again =
            start(&self.cluster, self.clock, &self.runtime, &self.images, &self.dir, self.max_pods).await;
        (self.kubelet, self.stop) = again;
    }

    /// A pod on our node, in the namespace `default`.
    pub async fn run(&self, name: &str, mut spec: Value) -> Pod {
        spec["nodeName"] = NODE.into();
        spec["automountServiceAccountToken"] =
            spec.get("automountServiceAccountToken").cloned().unwrap_or(false.into());
        let pod = json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec});
        self.pods().create(serde_json::from_value(pod).unwrap()).await.unwrap()
    }

    /// A pod that runs.
    pub async fn running(&self, name: &str, spec: Value) -> Pod {
        self.at_first(name, spec, |pod| phase(pod) == "Running").await
    }

    /// A pod that has come so far. In real time: on a busy machine a deadline was over before that, what ends after a while had ended,
    /// or probes had failed a hundred times.
    pub async fn at_first(&self, name: &str, spec: Value, wanted: impl Fn(&Pod) -> bool) -> Pod {
        tokio::time::resume();
        self.run(name, spec).await;
        let pod = self.until(name, wanted).await;
        tokio::time::pause();
        pod
    }

    /// Waits until the pod is as wanted; virtual time is no matter.
    pub async fn until(&self, name: &str, wanted: impl Fn(&Pod) -> bool) -> Pod {
        let mut changes = self.cluster.informer::<Pod>().subscribe();
        let waiting = async {
            while let Some(change) = changes.next().await {
                let pod = change.object();
                if pod.metadata.name.as_deref() == Some(name) && wanted(pod) {
                    return Pod::clone(pod);
                }
            }
            panic!("the cluster is gone")
        };
        match in_real_time(waiting).await {
            Some(pod) => pod,
            None => panic!(
                "{name} never came there: {:#?}\n{:#?}\n{:#?}",
                self.pods().find(&key(name)),
                self.events(name),
                self.runtime.calls()
            ),
        }
    }

    pub async fn until_gone(&self, name: &str) {
        let mut changes = self.cluster.informer::<Pod>().subscribe();
        let waiting = async {
            while self.pods().find(&key(name)).unwrap().is_some() {
                changes.next().await;
            }
        };
        let waited = in_real_time(waiting).await;
        waited.unwrap_or_else(|| panic!("{name} stays: {:#?}", self.runtime.calls()));
    }

    /// Until something outside the cluster is so.
    pub async fn eventually(&self, what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..5000 {
            if is_so() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            // threads of the store and of the file system need real time
            tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_micros(200))).await.unwrap();
        }
        panic!("never: {what}\n{:#?}", self.runtime.calls());
    }

    /// `Reason message` of the pod's events as they happened, each once.
    pub fn events(&self, pod: &str) -> Vec<String> {
        let all: Vec<Event> = self.root().api().list(Some("default"), LabelSelector::default()).unwrap();
        let mut about: Vec<Event> =
            all.into_iter().filter(|e| e.involved_object.name.as_deref() == Some(pod)).collect();
        // the name ends with the time of the first one
        about.sort_by_key(|e| e.metadata.name.clone());
        about
            .iter()
            .map(|e| format!("{} {}", e.reason.as_deref().unwrap(), e.message.as_deref().unwrap()))
            .collect()
    }

    pub async fn until_event(&self, pod: &str, event: &str) {
        self.eventually(event, || self.events(pod).iter().any(|e| e.starts_with(event))).await;
    }
}

/// `None` when it takes longer than any machine needs. Virtual time runs ahead whenever the store's thread works.
async fn in_real_time<T>(work: impl Future<Output = T>) -> Option<T> {
    let (give_up, given_up) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(30));
        let _ = give_up.send(());
    });
    tokio::select! {
        done = work => Some(done),
        _ = given_up => None,
    }
}

pub fn key(name: &str) -> ObjectKey {
    ObjectKey::namespaced("default", name)
}

pub fn web() -> Value {
    json!({"name": "web", "image": "web:1"})
}

pub fn phase(pod: &Pod) -> &str {
    crate::pod::phase(pod)
}

pub fn is_ready(pod: &Pod) -> bool {
    kinds::pod::is_ready(pod)
}

pub fn container(pod: &Pod, name: &str) -> ContainerStatus {
    let status = pod.status.clone().unwrap_or_default();
    let mut all = status
        .init_container_statuses
        .into_iter()
        .flatten()
        .chain(status.container_statuses.into_iter().flatten());
    all.find(|c| c.name == name).unwrap_or_default()
}

pub fn waiting(pod: &Pod, name: &str) -> String {
    container(pod, name).state.and_then(|s| s.waiting).and_then(|w| w.reason).unwrap_or_default()
}
