//! Volumes of storage drivers are attached where pods use them, and detached when none does: all controllers on a cluster in memory,
//! with an attacher that the test plays.

mod common;

use api::{LabelSelector, ObjectKey};
use cluster::{Api, Client, DeleteOptions};
use common::{key, object, start, until};
use k8s_openapi::api::core::v1::{Event, Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::{CSIDriver, VolumeAttachment};
use kinds::{TypedKind, csi};
use serde_json::{Value, json};

const DRIVER: &str = "d.example";
const NODE: &str = "n";

async fn create<K: TypedKind>(root: &Client, value: Value) -> K {
    root.api::<K>().create(object(value)).await.unwrap()
}

fn name() -> String {
    csi::attachment_name(DRIVER, "h", NODE)
}

fn attachment(root: &Client) -> Option<VolumeAttachment> {
    root.api::<VolumeAttachment>().find(&ObjectKey::cluster(&name())).unwrap()
}

fn node(root: &Client) -> Node {
    root.api::<Node>().get(&ObjectKey::cluster(NODE)).unwrap()
}

/// What the node is said to have attached.
fn attached(root: &Client) -> Vec<String> {
    let listed = node(root).status.and_then(|status| status.volumes_attached).unwrap_or_default();
    listed.into_iter().map(|volume| volume.name).collect()
}

/// `reason message` of the pod's events.
fn has_event(root: &Client, event: &str) -> bool {
    let all: Vec<Event> = root.api().list(Some("default"), LabelSelector::default()).unwrap();
    let said = |of: &Event| {
        let (reason, message) = (of.reason.as_deref()?, of.message.as_deref()?);
        (of.involved_object.name.as_deref() == Some("p")).then(|| format!("{reason} {message}"))
    };
    all.iter().filter_map(said).any(|said| said == event)
}

async fn says(root: &Client, change: impl Fn(&mut VolumeAttachment) + Send + Sync) {
    let attachments: Api<VolumeAttachment> = root.api();
    let change = |of: &mut VolumeAttachment| {
        change(of);
        Ok(())
    };
    attachments.modify_status(&ObjectKey::cluster(&name()), change).await.unwrap();
}

async fn in_use(root: &Client, volumes: &[String]) {
    let change = |node: &mut Node| {
        node.status.get_or_insert_default().volumes_in_use = Some(volumes.to_vec());
        Ok(())
    };
    root.api::<Node>().modify_status(&ObjectKey::cluster(NODE), change).await.unwrap();
}

/// A node, a volume of a driver that is attached, and the claim that has it.
async fn installed() -> Client {
    let root = start().await;
    create::<Node>(&root, json!({"metadata": {"name": NODE}})).await;
    create::<CSIDriver>(&root, json!({"metadata": {"name": DRIVER}, "spec": {"attachRequired": true}})).await;
    create::<PersistentVolume>(
        &root,
        json!({"metadata": {"name": "pv"}, "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
            "storageClassName": "", "csi": {"driver": DRIVER, "volumeHandle": "h"}}}),
    )
    .await;
    create::<PersistentVolumeClaim>(
        &root,
        json!({"metadata": {"name": "data", "namespace": "default"}, "spec": {"accessModes": ["ReadWriteOnce"],
            "storageClassName": "", "volumeName": "pv", "resources": {"requests": {"storage": "1Gi"}}}}),
    )
    .await;
    until::<PersistentVolumeClaim>(&root, |root| {
        let claim: PersistentVolumeClaim = root.api().get(&key("data")).unwrap();
        kinds::volume::is_fully_bound(&claim)
    })
    .await;
    root
}

async fn run(root: &Client) {
    let volumes = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]);
    create::<Pod>(
        root,
        json!({"metadata": {"name": "p", "namespace": "default"}, "spec": {"nodeName": NODE,
            "automountServiceAccountToken": false, "containers": [{"name": "c", "image": "i"}], "volumes": volumes}}),
    )
    .await;
}

async fn delete(root: &Client) {
    let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    root.api::<Pod>().delete(&key("p"), now).await.unwrap();
}

#[tokio::test]
async fn a_volume_is_attached_for_a_pod_and_detached_when_its_node_has_let_go() {
    let root = installed().await;
    assert!(attachment(&root).is_none(), "nobody uses it");
    run(&root).await;
    until::<VolumeAttachment>(&root, |root| attachment(root).is_some()).await;
    let spec = attachment(&root).unwrap().spec;
    assert_eq!((spec.attacher.as_str(), spec.node_name.as_str()), (DRIVER, NODE));
    assert_eq!(spec.source.persistent_volume_name.as_deref(), Some("pv"));
    let error = json!({"message": "no such disk", "time": "2026-01-01T00:00:00Z"});
    says(&root, |of| of.status.get_or_insert_default().attach_error = object(error.clone())).await;
    let failed = "FailedAttachVolume AttachVolume.Attach failed for volume \"pv\" : no such disk";
    until::<Event>(&root, |root| has_event(root, failed)).await;
    assert!(attached(&root).is_empty());
    says(&root, |of| {
        let status = of.status.get_or_insert_default();
        (status.attached, status.attach_error) = (true, None);
    })
    .await;
    let unique = csi::unique_name(DRIVER, "h");
    until::<Node>(&root, |root| attached(root) == [unique.clone()]).await;
    let done = "SuccessfulAttachVolume AttachVolume.Attach succeeded for volume \"pv\" ";
    until::<Event>(&root, |root| has_event(root, done)).await;
    // the kubelet has it mounted, and then not any more
    in_use(&root, std::slice::from_ref(&unique)).await;
    delete(&root).await;
    until::<Pod>(&root, |root| root.api::<Pod>().find(&key("p")).unwrap().is_none()).await;
    assert!(attachment(&root).is_some(), "it is mounted");
    in_use(&root, &[]).await;
    until::<VolumeAttachment>(&root, |root| attachment(root).is_none()).await;
    until::<Node>(&root, |root| attached(root).is_empty()).await;
}

#[tokio::test]
async fn what_a_driver_says_of_attaching_may_change() {
    let root = installed().await;
    // it may not be changed: it goes, and comes as another
    let attach = async |is_required: bool| {
        let key = ObjectKey::cluster(DRIVER);
        root.api::<CSIDriver>().delete(&key, DeleteOptions::default()).await.unwrap();
        let spec = json!({"attachRequired": is_required});
        create::<CSIDriver>(&root, json!({"metadata": {"name": DRIVER}, "spec": spec})).await;
    };
    attach(false).await;
    run(&root).await;
    attach(true).await;
    until::<VolumeAttachment>(&root, |root| attachment(root).is_some()).await;
    attach(false).await;
    until::<VolumeAttachment>(&root, |root| attachment(root).is_none()).await;
}

#[tokio::test]
async fn what_others_attached_is_theirs() {
    let root = installed().await;
    create::<VolumeAttachment>(
        &root,
        json!({"metadata": {"name": "by-hand"}, "spec": {"attacher": DRIVER, "nodeName": NODE,
            "source": {"persistentVolumeName": "pv"}}}),
    )
    .await;
    run(&root).await;
    until::<VolumeAttachment>(&root, |root| attachment(root).is_some()).await;
    delete(&root).await;
    until::<VolumeAttachment>(&root, |root| attachment(root).is_none()).await;
    let theirs = root.api::<VolumeAttachment>().find(&ObjectKey::cluster("by-hand")).unwrap();
    assert!(theirs.is_some());
}
