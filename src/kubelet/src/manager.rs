//! Hands out what happens to the workers: changes of pods, of what they refer to, and events of the runtime.

use crate::mailbox::{Mailbox, Message};
use crate::shared::Shared;
use crate::sources::{Source, references};
use crate::worker::{Worker, supervise};
use crate::{container_config, csi, labels, pod};
use cluster::{Change, Subscription};
use cri::{RuntimeEvent, SandboxStatus};
use k8s_openapi::api::certificates::v1::{ClusterTrustBundle, PodCertificateRequest};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolume, PersistentVolumeClaim, Pod, PodSpec, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::TypedKind;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) struct Manager {
    shared: Arc<Shared>,
    workers: HashMap<String, Handle>,
    tasks: JoinSet<String>,
    stop: CancellationToken,
    events: broadcast::Receiver<RuntimeEvent>,
    pods: Subscription<Pod>,
    config_maps: Subscription<ConfigMap>,
    secrets: Subscription<Secret>,
    wake_all: watch::Receiver<()>,
    clock_set: watch::Receiver<()>,
    drivers: watch::Receiver<()>,
    claims: Subscription<PersistentVolumeClaim>,
    volumes: Subscription<PersistentVolume>,
    trust_bundles: Subscription<ClusterTrustBundle>,
    certificate_requests: Subscription<PodCertificateRequest>,
}

struct Handle {
    mailbox: Mailbox,
    namespace: String,
    references: BTreeSet<Source>,
    wants_host_ports: bool,
}

impl Manager {
    /// Takes over what runs, and ends what nobody wants any more.
    ///
    /// # Errors
    /// The runtime does not answer.
    pub async fn start(shared: Arc<Shared>, stop: CancellationToken) -> cri::Result<Self> {
        let events = shared.runtime.events();
        let mut running = by_pod(shared.runtime.list().await?);
        let mut manager = Manager {
            workers: HashMap::new(),
            tasks: JoinSet::new(),
            stop,
            events,
            pods: shared.known.subscribe(),
            config_maps: shared.sources.config_maps.subscribe(),
            secrets: shared.sources.secrets.subscribe(),
            wake_all: shared.wake_all.subscribe(),
            clock_set: shared.client.cluster().clock_set(),
            drivers: shared.csi.registered.subscribe(),
            claims: shared.sources.claims.subscribe(),
            volumes: shared.sources.volumes.subscribe(),
            trust_bundles: shared.sources.trust_bundles.subscribe(),
            certificate_requests: shared.certificate_requests.subscribe(),
            shared,
        };
        let mut pods = Vec::new();
        for pod in manager.shared.known.list(None) {
            if manager.is_ours(&pod) {
                let sandboxes = running.remove(pod::uid(&pod)).unwrap_or_default();
                pods.push((pod, sandboxes));
            }
        }
        for (uid, sandboxes) in running {
            if let Some(pod) = pod_from_sandbox(&uid, &sandboxes) {
                pods.push((Arc::new(pod), sandboxes));
            }
        }
        // what each of them was given is known before one of them is given more
        let workers: Vec<_> =
            pods.into_iter().map(|(pod, sandboxes)| manager.worker(pod, sandboxes)).collect();
        workers.into_iter().for_each(|(pod, worker)| manager.begin(&pod, worker));
        manager.sweep().await;
        Ok(manager)
    }

    pub async fn run(mut self) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(change) = self.pods.next() => self.pod_changed(&change),
                Some(change) = self.config_maps.next() => {
                    self.source_changed(&change, Source::ConfigMap);
                }
                Some(change) = self.secrets.next() => self.source_changed(&change, Source::Secret),
                Ok(()) = self.wake_all.changed() => self.look_all(),
                Ok(()) = self.clock_set.changed() => self.clock_was_set(),
                Ok(()) = self.drivers.changed() => self.driver_registered(),
                Some(change) = self.claims.next() => self.source_changed(&change, Source::Claim),
                Some(change) = self.volumes.next() => self.volume_changed(&change),
                Some(_) = self.trust_bundles.next() => self.wake(None, &Source::TrustBundles),
                Some(change) = self.certificate_requests.next() => {
                    self.request_changed(&change.object().spec.pod_uid);
                }
                event = self.events.recv() => match event {
                    Ok(event) => self.happened(&event),
                    Err(RecvError::Lagged(_)) => {
                        self.shared.sandbox_index.wake_all();
                        self.ports_freed();
                    }
                    Err(RecvError::Closed) => break,
                },
                Some(ended) = self.tasks.join_next() => self.ended(ended),
            }
        }
        while self.tasks.join_next().await.is_some() {}
    }

    fn is_ours(&self, pod: &Pod) -> bool {
        pod::spec(pod).node_name.as_deref() == Some(&self.shared.config.node_name)
    }

    fn worker(&self, pod: Arc<Pod>, sandboxes: Vec<SandboxStatus>) -> (Arc<Pod>, Worker) {
        (pod.clone(), Worker::new(self.shared.clone(), pod, sandboxes))
    }

    fn begin(&mut self, pod: &Arc<Pod>, worker: Worker) {
        let handle = Handle {
            mailbox: worker.mailbox(),
            namespace: pod::namespace(pod).to_owned(),
            references: references(pod),
            wants_host_ports: !container_config::host_ports(pod).is_empty(),
        };
        self.workers.insert(pod::uid(pod).to_owned(), handle);
        self.tasks.spawn(supervise(worker, self.stop.clone()));
    }

    fn spawn(&mut self, pod: Arc<Pod>, sandboxes: Vec<SandboxStatus>) {
        let (pod, worker) = self.worker(pod, sandboxes);
        self.begin(&pod, worker);
    }

    fn pod_changed(&mut self, change: &Change<Pod>) {
        let pod = change.object();
        if matches!(change, Change::Deleted(_)) || pod::is_over(pod) {
            self.shared.deferred_resizes.wake();
        }
        let message = match change {
            Change::Deleted(pod) => Message::Gone(pod.clone()),
            _ => Message::Look,
        };
        match self.workers.get(pod::uid(pod)) {
            // a worker that has just ended needs no waking
            Some(handle) => drop(handle.mailbox.send(message)),
            None if matches!(change, Change::Deleted(_)) || !self.is_ours(pod) => {}
            None => self.spawn(pod.clone(), Vec::new()),
        }
    }

    fn happened(&self, event: &RuntimeEvent) {
        self.shared.sandbox_index.wake(sandbox_of(event));
        if matches!(event, RuntimeEvent::SandboxStopped { .. }) {
            self.ports_freed();
        }
    }

    fn look_all(&self) {
        for handle in self.workers.values() {
            let _ = handle.mailbox.send(Message::Look);
        }
    }

    /// Timers of workers do not see it.
    fn clock_was_set(&self) {
        for handle in self.workers.values() {
            let _ = handle.mailbox.send(Message::ClockSet);
        }
    }

    /// Whoever waits for it need wait no longer.
    fn driver_registered(&self) {
        for handle in self.workers.values() {
            let _ = handle.mailbox.send(Message::DriverRegistered);
        }
    }

    /// Somebody may wait for one of them.
    fn ports_freed(&self) {
        for handle in self.workers.values().filter(|handle| handle.wants_host_ports) {
            let _ = handle.mailbox.send(Message::PortsFreed);
        }
    }

    fn source_changed<K: TypedKind>(&self, change: &Change<K>, source: impl Fn(String) -> Source) {
        let meta = change.object().metadata();
        let (namespace, name) =
            (meta.namespace.as_deref().unwrap_or_default(), meta.name.clone().unwrap_or_default());
        self.wake(Some(namespace), &source(name));
    }

    /// The signer may have answered.
    fn request_changed(&self, uid: &str) {
        if let Some(handle) = self.workers.get(uid) {
            let _ = handle.mailbox.send(Message::Look);
        }
    }

    /// It concerns the pods that use the claim which it is bound to.
    fn volume_changed(&self, change: &Change<PersistentVolume>) {
        let claim = change.object().spec.as_ref().and_then(|spec| spec.claim_ref.clone());
        if let Some(claim) = claim {
            let namespace = claim.namespace.unwrap_or_default();
            self.wake(Some(&namespace), &Source::Claim(claim.name.unwrap_or_default()));
        }
    }

    /// Pods of the namespace, or of all, that refer to it.
    fn wake(&self, namespace: Option<&str>, changed: &Source) {
        for handle in self.workers.values() {
            let is_there = namespace.is_none_or(|namespace| handle.namespace == namespace);
            if is_there && handle.references.contains(changed) {
                let _ = handle.mailbox.send(Message::SourcesChanged);
            }
        }
    }

    fn ended(&mut self, ended: Result<String, tokio::task::JoinError>) {
        match ended {
            Ok(uid) => drop(self.workers.remove(&uid)),
            Err(error) => {
                tracing::error!(%error, "a pod's worker is gone; the pod is left alone until the next start")
            }
        }
    }

    /// Directories of pods that nobody knows any more.
    async fn sweep(&self) {
        let known: BTreeSet<String> = self.workers.keys().cloned().collect();
        let (pods, logs) = (self.shared.config.pods_dir(), self.shared.config.logs_dir());
        let shared = self.shared.clone();
        let swept = tokio::task::spawn_blocking(move || {
            for dir in orphaned_dirs(&pods, |name| known.contains(name)) {
                // what drivers have mounted only they take back, when they have come
                if csi::has_volumes(&dir) {
                    shared.csi.orphaned(dir);
                    continue;
                }
                if let Err(error) = crate::volumes::tear_down(&dir, &shared.devices) {
                    tracing::warn!(dir = %dir.display(), %error, "garbage collection of volumes: the directory of a pod that is gone could not be removed");
                }
            }
            let of_known = |name: &str| name.rsplit('_').next().is_some_and(|uid| known.contains(uid));
            for dir in orphaned_dirs(&logs, of_known) {
                if let Err(error) = trees::remove(&dir) {
                    tracing::warn!(dir = %dir.display(), %error, "logs of a pod that is gone stay");
                }
            }
        });
        if let Err(error) = swept.await {
            tracing::error!(%error, "garbage collection of volumes failed");
        }
    }
}

fn orphaned_dirs(dir: &Path, is_known: impl Fn(&str) -> bool) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|e| !is_known(&e.file_name().to_string_lossy())).map(|e| e.path()).collect()
}

/// Others make sandboxes too, without a pod's label: they are not looked at.
fn by_pod(sandboxes: Vec<SandboxStatus>) -> HashMap<String, Vec<SandboxStatus>> {
    let mut pods: HashMap<String, Vec<SandboxStatus>> = HashMap::new();
    for sandbox in sandboxes {
        if let Some(uid) = sandbox.config.labels.get(labels::POD_UID).filter(|uid| !uid.is_empty()) {
            pods.entry(uid.clone()).or_default().push(sandbox);
        }
    }
    pods
}

/// As much of a pod as its sandbox remembers: enough to end it.
fn pod_from_sandbox(uid: &str, sandboxes: &[SandboxStatus]) -> Option<Pod> {
    let config = &sandboxes.last()?.config;
    let grace = config.annotations.get(labels::GRACE).and_then(|g| g.parse::<i64>().ok()).unwrap_or(30);
    Some(Pod {
        metadata: ObjectMeta {
            name: Some(config.name.clone()),
            namespace: Some(config.namespace.clone()),
            uid: Some(uid.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec { termination_grace_period_seconds: Some(grace), ..PodSpec::default() }),
        status: None,
    })
}

fn sandbox_of(event: &RuntimeEvent) -> &cri::SandboxId {
    match event {
        RuntimeEvent::Started { sandbox, .. }
        | RuntimeEvent::Exited { sandbox, .. }
        | RuntimeEvent::OutOfMemory { sandbox, .. }
        | RuntimeEvent::SandboxStopped { sandbox }
        | RuntimeEvent::SandboxLost { sandbox } => sandbox,
    }
}
