use crate::admission::brake::Brake;
use crate::clock::Clock;
use crate::config::KubeletConfig;
use crate::field_ref::Facts;
use crate::image_manager::ImageManager;
use crate::mailbox::{Mailbox, Message};
use crate::pause::Pauses;
use crate::pod;
use crate::sources::Cached;
use cluster::{Api, Client, EventType, Informer, Recorder, subject};
use cri::{Runtime, SandboxId, SandboxStatus};
use k8s_openapi::api::core::v1::Pod;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What every part of a kubelet works with.
pub(crate) struct Shared {
    pub config: KubeletConfig,
    pub clock: Clock,
    pub client: Client,
    pub pods: Api<Pod>,
    pub known: Informer<Pod>,
    pub sources: Cached,
    pub runtime: Arc<dyn Runtime>,
    pub images: ImageManager,
    pub events: Recorder,
    pub sandbox_index: SandboxIndex,
    pub brake: Mutex<Brake>,
    pub pauses: Pauses,
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
    pub fn enter(&self, id: &SandboxId, uid: &str, mailbox: &Mailbox) {
        self.locked().insert(id.clone(), Entry { uid: uid.to_owned(), mailbox: mailbox.clone() });
    }

    pub fn strike(&self, id: &SandboxId) {
        self.locked().remove(id);
    }

    /// Wakes the worker of the sandbox's pod.
    pub fn ring(&self, id: &SandboxId) {
        if let Some(entry) = self.locked().get(id) {
            // a worker that has ended needs no waking
            let _ = entry.mailbox.send(Message::Look);
        }
    }

    pub fn ring_all(&self) {
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// An event about the pod, or about one of its containers.
    pub fn say(
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
        self.say(pod, Some(container), EventType::Normal, reason, message);
    }

    pub fn warn(&self, pod: &Pod, container: &str, reason: &'static str, message: impl Into<String>) {
        self.say(pod, Some(container), EventType::Warning, reason, message);
    }

    pub fn facts(&self, pod_ip: Option<IpAddr>) -> Facts {
        let machine = &self.config.machine;
        Facts {
            pod_ip: pod_ip.map(|ip| ip.to_string()),
            host_ip: self.config.node_ip.to_string(),
            cpus: machine.cpus,
            memory_bytes: machine.memory_bytes,
            disk_bytes: machine.disk_bytes,
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
