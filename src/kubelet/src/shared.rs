//! What the manager and the pods' workers have in common: handles, caches, and who is to be woken by what. Nothing is decided
//! here.

use crate::admission::brake::Brake;
use crate::admission::{self, Neighbour, Refusal};
use crate::clock::Clock;
use crate::config::KubeletConfig;
use crate::csi::Csi;
use crate::eviction::Limited;
use crate::field_ref::Facts;
use crate::image_manager::ImageManager;
use crate::mailbox::{Mailbox, Message};
use crate::pause::Pauses;
use crate::pod_certificates::PodCertificates;
use crate::probe_counts::ProbeCounts;
use crate::requests::{Pending, Requests};
use crate::resize;
use crate::sources::Cached;
use crate::volumes::devices::Devices;
use crate::work_counts::WorkCounts;
use crate::{node, pod};
use api::ObjectKey;
use cluster::{Api, Client, EventType, Informer, Recorder, subject};
use cri::{Runtime, SandboxId, SandboxStatus};
use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::PodCertificateRequest;
use k8s_openapi::api::core::v1::{Node, Pod};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// What every part of a kubelet works with.
pub(crate) struct Shared {
    pub config: KubeletConfig,
    pub clock: Clock,
    /// The kubelet.
    pub started_at: Timestamp,
    pub client: Client,
    pub pods: Api<Pod>,
    pub known: Informer<Pod>,
    pub sources: Cached,
    pub certificate_requests: Informer<PodCertificateRequest>,
    pub certificates: PodCertificates,
    pub runtime: Arc<dyn Runtime>,
    pub images: ImageManager,
    pub events: Recorder,
    pub sandbox_index: SandboxIndex,
    pub deferred_resizes: DeferredResizes,
    pub admitted: Admitted,
    pub probe_counts: ProbeCounts,
    pub work_counts: WorkCounts,
    pub limited: Limited,
    pub brake: Mutex<Brake>,
    pub pauses: Pauses,
    pub csi: Csi,
    pub devices: Arc<Devices>,
    /// Has every worker look again.
    pub wake_all: watch::Sender<()>,
}

/// Which sandbox belongs to which pod, and who works on it.
#[derive(Default)]
pub(crate) struct SandboxIndex(Mutex<HashMap<SandboxId, Entry>>);

struct Entry {
    uid: String,
    mailbox: Mailbox,
}

impl SandboxIndex {
    pub fn insert(&self, id: &SandboxId, uid: &str, mailbox: &Mailbox) {
        self.locked().insert(id.clone(), Entry { uid: uid.to_owned(), mailbox: mailbox.clone() });
    }

    pub fn remove(&self, id: &SandboxId) {
        self.locked().remove(id);
    }

    /// Wakes the worker of the sandbox's pod.
    pub fn wake(&self, id: &SandboxId) {
        if let Some(entry) = self.locked().get(id) {
            // a worker that has ended needs no waking
            let _ = entry.mailbox.send(Message::Look);
        }
    }

    pub fn wake_all(&self) {
        for entry in self.locked().values() {
            let _ = entry.mailbox.send(Message::Look);
        }
    }

    pub fn sandboxes(&self) -> Vec<SandboxId> {
        self.locked().keys().cloned().collect()
    }

    pub fn sandboxes_of(&self, uid: &str) -> Vec<SandboxId> {
        self.locked().iter().filter(|(_, entry)| entry.uid == uid).map(|(id, _)| id.clone()).collect()
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<SandboxId, Entry>> {
        self.0.lock()
    }
}

/// Pods whose resize is deferred until others need less, by their uid.
#[derive(Default)]
pub(crate) struct DeferredResizes(Mutex<HashMap<String, Mailbox>>);

impl DeferredResizes {
    pub fn insert(&self, uid: &str, mailbox: &Mailbox) {
        self.locked().insert(uid.to_owned(), mailbox.clone());
    }

    pub fn remove(&self, uid: &str) {
        self.locked().remove(uid);
    }

    pub fn wake(&self) {
        for mailbox in self.locked().values() {
            let _ = mailbox.send(Message::Look);
        }
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, Mailbox>> {
        self.0.lock()
    }
}

/// What the node has given to the pods that it has admitted, by their uid: the sum of their requests, without what one of them
/// asks for and waits for.
#[derive(Default)]
pub(crate) struct Admitted(Mutex<HashMap<String, Requests>>);

impl Admitted {
    pub fn insert(&self, uid: &str, requests: Requests) {
        self.locked().insert(uid.to_owned(), requests);
    }

    pub fn remove(&self, uid: &str) {
        self.locked().remove(uid);
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, Requests>> {
        self.0.lock()
    }
}

impl Shared {
    /// Admits a pod, one after the other, or says why this node does not run it.
    pub fn admit(&self, pod: &Pod) -> Option<Refusal> {
        let node = self.client.api::<Node>().find(&ObjectKey::cluster(&self.config.node_name));
        let node = node.ok().flatten().unwrap_or_default();
        let mut admitted = self.admitted.locked();
        let refusal = admission::refusal(pod, &self.config.machine, &node, &self.neighbours(pod, &admitted));
        if refusal.is_none() {
            admitted.insert(pod::uid(pod).to_owned(), kinds::pod::requests(pod::spec(pod)));
        }
        refusal
    }

    /// Gives an admitted pod what it asks for now, or says why it has to wait.
    pub fn give(&self, pod: &Pod) -> Option<Pending> {
        let mut admitted = self.admitted.locked();
        let others = self.neighbours(pod, &admitted);
        let used = others.iter().map(|other| other.requests);
        let pending = resize::no_room(pod, used, &node::allocatable(&self.config));
        if pending.is_none() {
            admitted.insert(pod::uid(pod).to_owned(), kinds::pod::requests(pod::spec(pod)));
        }
        pending
    }

    fn neighbours<'a>(&self, pod: &Pod, admitted: &'a HashMap<String, Requests>) -> Vec<Neighbour<'a>> {
        let others = self.known.list(None).into_iter();
        let others = others.filter(|other| pod::uid(other) != pod::uid(pod) && !pod::is_over(other));
        let given = |pod: Arc<Pod>| admitted.get(pod::uid(&pod)).map(|requests| Neighbour { pod, requests });
        others.filter_map(given).collect()
    }

    /// An event about the pod, or about one of its containers.
    pub fn record_event(
        &self,
        pod: &Pod,
        container: Option<&str>,
        kind: EventType,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        let mut about = subject(pod);
        about.field_path = container.map(|name| field_path(pod, name));
        self.events.event(about, kind, reason, message);
    }

    pub fn normal(&self, pod: &Pod, container: &str, reason: &'static str, message: impl Into<String>) {
        self.record_event(pod, Some(container), EventType::Normal, reason, message);
    }

    pub fn warn(&self, pod: &Pod, container: &str, reason: &'static str, message: impl Into<String>) {
        self.record_event(pod, Some(container), EventType::Warning, reason, message);
    }

    pub fn facts(&self, pod_ip: Option<IpAddr>) -> Facts {
        let machine = &self.config.machine;
        Facts {
            pod_ip: pod_ip.map(|ip| ip.to_string()),
            host_ip: self.config.node_ip.to_string(),
            cpus: machine.cpus,
            memory_bytes: node::allocatable_memory(machine),
            disk_bytes: node::allocatable_disk(machine),
        }
    }

    /// Where the pod is reached: its own address, or the node's where it has none.
    pub fn address_of(&self, sandbox: &SandboxStatus) -> Option<IpAddr> {
        sandbox.ip.or_else(|| sandbox.config.host_network.then_some(self.config.node_ip))
    }

    pub fn is_paused(&self, pod: &Pod) -> bool {
        self.pauses.holds(pod::namespace(pod))
    }

    pub fn pod_dir(&self, pod: &Pod) -> PathBuf {
        self.config.pod_dir(pod::uid(pod))
    }

    /// Its sandboxes, oldest first; those that the runtime no longer knows are left out.
    ///
    /// # Errors
    /// The runtime did not answer.
    pub async fn look_at(&self, ids: &[SandboxId]) -> cri::Result<Vec<SandboxStatus>> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            match self.runtime.sandbox(id).await {
                Ok(sandbox) => found.push(sandbox),
                Err(cri::CriError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        found.sort_by_key(|sandbox: &SandboxStatus| (sandbox.config.attempt, sandbox.created_at));
        Ok(found)
    }
}

/// `spec.containers{web}`, as upstream's events say it.
fn field_path(pod: &Pod, container: &str) -> String {
    let spec = pod::spec(pod);
    let list = match () {
        () if pod::is_init(spec, container) => "initContainers",
        () if pod::is_ephemeral(spec, container) => "ephemeralContainers",
        () => "containers",
    };
    format!("spec.{list}{{{container}}}")
}
