//! Volumes of storage drivers are attached to the nodes whose pods use them, and detached when no pod does: upstream's attach/detach
//! controller, as far as volumes of drivers are concerned.
//!
//! It only asks, by a VolumeAttachment: the driver's own attacher does it and says so in its status. What a node still has
//! mounted is not detached (`status.volumesInUse`, which the kubelet writes). `plan.rs` decides; a key is a volume.

mod plan;

use crate::out_of_service::is_out_of_service;
use api::{ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{
    Actor, Api, Change, Cluster, Controller, DeleteOptions, EventType, Recorder, WorkQueue, subject,
    unless_gone,
};
use k8s_openapi::api::core::v1::{AttachedVolume, Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::{
    CSIDriver, VolumeAttachment, VolumeAttachmentSource, VolumeAttachmentSpec, VolumeError,
};
use kinds::{csi, key_of, pod as ask, volume};
use parking_lot::Mutex;
use plan::{Seen, Step};
use std::collections::HashMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "attachdetach-controller";

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(READ, &[""], &["persistentvolumeclaims", "persistentvolumes", "pods"]),
            rule(READ, &[""], &["nodes"]),
            rule(&["patch", "update"], &[""], &["nodes/status"]),
            rule(&["create", "delete", "get", "list", "watch"], &["storage.k8s.io"], &["volumeattachments"]),
            rule(READ, &["storage.k8s.io"], &["csidrivers", "csinodes"]),
            rule(&["create", "patch", "update"], &[""], &["events"]),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let (claims, attachments) = (cluster.informer(), cluster.informer());
    let (of_nodes, volumes) = (cluster.informer(), cluster.informer::<PersistentVolume>());
    let controller = Controller::new(NAME, &cluster)
        .one_at_a_time()
        .watches::<PersistentVolume>(|queue, change| {
            if csi::source(change.object()).is_some() {
                queue.add(key_of(&change.object().metadata));
            }
        })
        .watches::<PersistentVolumeClaim>(|queue, change| {
            change.versions().for_each(|claim| add(queue, volume::volume_name(claim)));
        })
        .watches::<Pod>(move |queue, change| pod_changed(queue, change, &claims, &attachments))
        .watches::<VolumeAttachment>(|queue, change| {
            if let Some(name) = volume_of(change.object()) {
                add(queue, name);
            }
        })
        .watches::<Node>(move |queue, change| node_changed(queue, change, &of_nodes))
        .watches::<CSIDriver>(move |queue, change| {
            let driver = change.object().metadata.name.clone().unwrap_or_default();
            let is_its = |of: &&Arc<PersistentVolume>| csi::source(of).is_some_and(|of| of.driver == driver);
            volumes.list(None).iter().filter(is_its).for_each(|of| queue.add(key_of(&of.metadata)));
        });
    let attacher = Arc::new(Attacher {
        cluster,
        attachments: client.api(),
        nodes: client.api(),
        events: client.recorder(NAME, None),
        told: Mutex::default(),
    });
    controller.run(stop, attacher, |attacher, key| async move { attacher.volume(&key).await }).await;
}

fn add(queue: &WorkQueue<ObjectKey>, volume: &str) {
    if !volume.is_empty() {
        queue.add(ObjectKey::cluster(volume));
    }
}

fn volume_of(attachment: &VolumeAttachment) -> Option<&str> {
    attachment.spec.source.persistent_volume_name.as_deref()
}

fn pod_changed(
    queue: &WorkQueue<ObjectKey>,
    change: &Change<Pod>,
    claims: &cluster::Informer<PersistentVolumeClaim>,
    attachments: &cluster::Informer<VolumeAttachment>,
) {
    let pod = change.object();
    for used in volume::claims_of(pod) {
        match claims.get(&ObjectKey::new(pod.metadata.namespace.as_deref(), &used.name)) {
            Some(claim) => add(queue, volume::volume_name(&claim)),
            // it went with the pod: which volume it had is not known any more
            None => attachments.list(None).iter().filter_map(|of| volume_of(of)).for_each(|v| add(queue, v)),
        }
    }
}

/// Only what it has in use matters, and whether it is there and can say so.
fn node_changed(
    queue: &WorkQueue<ObjectKey>,
    change: &Change<Node>,
    attachments: &cluster::Informer<VolumeAttachment>,
) {
    let in_use = |node: &Node| node.status.as_ref().and_then(|status| status.volumes_in_use.clone());
    if let Change::Modified { old, new } = change
        && in_use(old) == in_use(new)
        && is_out_of_service(old) == is_out_of_service(new)
    {
        return;
    }
    let name = change.object().metadata.name.as_deref().unwrap_or_default();
    let all = attachments.list(None);
    let its = all.iter().filter(|of| of.spec.node_name == name);
    its.filter_map(|of| volume_of(of)).for_each(|of| add(queue, of));
}

struct Attacher {
    cluster: Cluster,
    attachments: Api<VolumeAttachment>,
    nodes: Api<Node>,
    events: Recorder,
    /// What was told of each attachment, by its name.
    told: Mutex<HashMap<String, Told>>,
}

#[derive(Clone, PartialEq)]
struct Told {
    attached: bool,
    error: Option<VolumeError>,
}

impl Attacher {
    async fn volume(&self, key: &ObjectKey) -> Result<(), Status> {
        let of = self.cluster.informer::<PersistentVolume>().get(key);
        let source = of.as_deref().and_then(csi::source);
        let driver = source
            .and_then(|source| self.cluster.informer::<CSIDriver>().get(&ObjectKey::cluster(&source.driver)));
        let pods = of.as_deref().map(|of| self.pods_of(of)).unwrap_or_default();
        let all = self.cluster.informer::<VolumeAttachment>().list(None);
        let attachments: Vec<Arc<VolumeAttachment>> =
            all.into_iter().filter(|attachment| volume_of(attachment) == Some(&*key.name)).collect();
        let nodes = self.cluster.informer::<Node>().list(None);
        let seen = Seen {
            volume: of.as_deref(),
            is_attached: csi::is_attached(driver.as_deref()),
            pods: &pods,
            attachments: &attachments,
            nodes: &nodes,
        };
        for step in plan::plan(&seen) {
            match step {
                Step::Attach { name, driver, node } => self.attach(key, name, driver, node).await?,
                Step::Detach(name) => {
                    let of = ObjectKey::cluster(&name);
                    let gone = self.attachments.delete(&of, DeleteOptions::default());
                    unless_gone(gone.await)?;
                }
            }
        }
        for attachment in &attachments {
            self.tell(key, attachment, &pods);
        }
        if attachments.is_empty() {
            self.forget();
        }
        for node in &nodes {
            self.list_attached(node).await?;
        }
        Ok(())
    }

    /// Those that use the volume and are on a node.
    fn pods_of(&self, of: &PersistentVolume) -> Vec<Arc<Pod>> {
        let Some(reference) = of.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) else {
            return Vec::new();
        };
        let namespace = reference.namespace.as_deref();
        let name = reference.name.as_deref().unwrap_or_default();
        let claim = self.cluster.informer::<PersistentVolumeClaim>().get(&ObjectKey::new(namespace, name));
        let Some(claim) = claim else { return Vec::new() };
        let all = self.cluster.informer::<Pod>().list(namespace);
        let is_there = |pod: &Arc<Pod>| !ask::is_terminal(pod) && csi::uses(pod, &claim, of);
        all.into_iter().filter(is_there).collect()
    }

    async fn attach(&self, of: &ObjectKey, name: String, driver: String, node: String) -> Result<(), Status> {
        let mut wanted = VolumeAttachment::default();
        wanted.metadata.name = Some(name.clone());
        wanted.spec = VolumeAttachmentSpec {
            attacher: driver,
            node_name: node,
            source: VolumeAttachmentSource {
                persistent_volume_name: Some(of.name.to_string()),
                inline_volume_spec: None,
            },
        };
        match self.attachments.create(wanted).await {
            Ok(_) => {
                // who attaches it at once is told of too
                let mut told = self.told.lock();
                told.insert(name, Told { attached: false, error: None });
                Ok(())
            }
            Err(status) if status.is(Reason::AlreadyExists) => Ok(()),
            Err(status) => Err(status),
        }
    }

    /// What became of it, to the pods that wait for it; once.
    fn tell(&self, key: &ObjectKey, attachment: &VolumeAttachment, pods: &[Arc<Pod>]) {
        let status = attachment.status.clone().unwrap_or_default();
        let now = Told { attached: status.attached, error: status.attach_error };
        let name = attachment.metadata.name.clone().unwrap_or_default();
        let before = {
            let mut told = self.told.lock();
            told.insert(name, now.clone())
        };
        if before.as_ref() == Some(&now) {
            return;
        }
        let waiting = pods.iter().filter(|pod| node_of(pod) == attachment.spec.node_name);
        for pod in waiting {
            let volume = &key.name;
            if now.attached {
                // it was attached before this program knew of it
                if before.as_ref().is_some_and(|before| !before.attached) {
                    let message = format!("AttachVolume.Attach succeeded for volume \"{volume}\" ");
                    self.events.event(subject(&**pod), EventType::Normal, "SuccessfulAttachVolume", message);
                }
            } else if let Some(error) = &now.error {
                let why = error.message.as_deref().unwrap_or_default();
                let message = format!("AttachVolume.Attach failed for volume \"{volume}\" : {why}");
                self.events.event(subject(&**pod), EventType::Warning, "FailedAttachVolume", message);
            }
        }
    }

    /// What is gone need not be told of.
    fn forget(&self) {
        let known = self.cluster.informer::<VolumeAttachment>();
        let mut told = self.told.lock();
        told.retain(|name, _| known.get(&ObjectKey::cluster(name)).is_some());
    }

    /// `status.volumesAttached` of the node.
    async fn list_attached(&self, node: &Node) -> Result<(), Status> {
        let key = key_of(&node.metadata);
        let volumes = self.cluster.informer::<PersistentVolume>();
        let all = self.cluster.informer::<VolumeAttachment>().list(None);
        let attached = all.iter().filter(|of| {
            of.spec.node_name == *key.name && of.status.as_ref().is_some_and(|status| status.attached)
        });
        let attached = attached.filter_map(|of| volumes.get(&ObjectKey::cluster(volume_of(of)?)));
        let attached: Vec<AttachedVolume> = attached
            .filter_map(|of| csi::source(&of).map(|of| csi::unique_name(&of.driver, &of.volume_handle)))
            // which device it is only the driver knows
            .map(|name| AttachedVolume { name, device_path: String::new() })
            .collect();
        let told = node.status.as_ref().and_then(|status| status.volumes_attached.clone());
        if told.unwrap_or_default() == attached {
            return Ok(());
        }
        let told = self.nodes.modify_status(&key, |node| {
            let status = node.status.get_or_insert_default();
            status.volumes_attached = (!attached.is_empty()).then(|| attached.clone());
            Ok(())
        });
        unless_gone(told.await).map(|_| ())
    }
}

fn node_of(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}
