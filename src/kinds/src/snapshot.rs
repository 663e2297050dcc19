//! Snapshots of volumes: the kinds of `snapshot.storage.k8s.io`, which are custom resources in every cluster, and what the
//! controller of all snapshots and a driver ask of them alike. Names and rules are external-snapshotter's.

use crate::{CustomKind, StoredKind};
use api::{GroupResource, ObjectKey};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub const GROUP: &str = "snapshot.storage.k8s.io";
/// On a class: of its driver's it is the default one.
pub const IS_DEFAULT: &str = "snapshot.storage.kubernetes.io/is-default-class";
/// On a content: its snapshot is on its way out.
pub const BEING_DELETED: &str = "snapshot.storage.kubernetes.io/volumesnapshot-being-deleted";
/// Holds a content until its driver has done what the deletion policy says.
pub const CONTENT_FINALIZER: &str = "snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection";
/// Holds a snapshot until its content is gone.
pub const BOUND_FINALIZER: &str = "snapshot.storage.kubernetes.io/volumesnapshot-bound-protection";
/// Holds a snapshot as long as a claim's volume is made of it.
pub const SOURCE_FINALIZER: &str = "snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection";
/// Holds a claim until the snapshot of it is made.
pub const CLAIM_FINALIZER: &str = "snapshot.storage.kubernetes.io/pvc-as-source-protection";
pub const KIND: &str = "VolumeSnapshot";
pub const DELETE: &str = "Delete";

/// A user's wish for a snapshot of a claim's volume, or for one that is there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSnapshot {
    pub metadata: ObjectMeta,
    pub spec: VolumeSnapshotSpec,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<VolumeSnapshotStatus>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSnapshotSpec {
    pub source: VolumeSnapshotSource,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_snapshot_class_name: Option<String>,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// One of the two.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSnapshotSource {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_snapshot_content_name: Option<String>,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSnapshotStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_volume_snapshot_content_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_time: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_to_use: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_size: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<SnapshotError>,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SnapshotError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
}

/// A snapshot as its driver has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSnapshotContent {
    pub metadata: ObjectMeta,
    pub spec: VolumeSnapshotContentSpec,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<VolumeSnapshotContentStatus>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSnapshotContentSpec {
    pub deletion_policy: String,
    pub driver: String,
    pub source: VolumeSnapshotContentSource,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_volume_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_snapshot_class_name: Option<String>,
    pub volume_snapshot_ref: ObjectReference,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// One of the two: a volume that a snapshot is made of, or a snapshot that is there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSnapshotContentSource {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_handle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_handle: Option<String>,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSnapshotContentStatus {
    /// Nanoseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_to_use: Option<bool>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_size: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_handle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<SnapshotError>,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSnapshotClass {
    pub metadata: ObjectMeta,
    pub deletion_policy: String,
    pub driver: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

macro_rules! custom_kind {
    ($kind:ident, $plural:literal, $scope:ty) => {
        impl k8s_openapi::Resource for $kind {
            const API_VERSION: &'static str = "snapshot.storage.k8s.io/v1";
            const GROUP: &'static str = GROUP;
            const KIND: &'static str = stringify!($kind);
            const VERSION: &'static str = "v1";
            const URL_PATH_SEGMENT: &'static str = $plural;
            type Scope = $scope;
        }
        impl k8s_openapi::Metadata for $kind {
            type Ty = ObjectMeta;
            fn metadata(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn metadata_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
        impl StoredKind for $kind {
            fn storage() -> GroupResource {
                <$kind as CustomKind>::gvr().group_resource()
            }
        }
        impl CustomKind for $kind {
            const PLURAL: &'static str = $plural;
        }
    };
}

custom_kind!(VolumeSnapshot, "volumesnapshots", NamespaceResourceScope);
custom_kind!(VolumeSnapshotContent, "volumesnapshotcontents", ClusterResourceScope);
custom_kind!(VolumeSnapshotClass, "volumesnapshotclasses", ClusterResourceScope);

impl VolumeSnapshot {
    /// The claim that it is to be made of.
    pub fn claim(&self) -> Option<ObjectKey> {
        let name = self.spec.source.persistent_volume_claim_name.as_deref()?;
        Some(ObjectKey::new(self.metadata.namespace.as_deref(), name))
    }

    /// The content that is, or will be, its own: the one that it names, or the one that is made for it.
    pub fn content_name(&self) -> Option<String> {
        let named = self.spec.source.volume_snapshot_content_name.clone();
        named.or_else(|| self.metadata.uid.as_ref().map(|uid| format!("snapcontent-{uid}")))
    }

    pub fn bound_content(&self) -> Option<&str> {
        self.status.as_ref()?.bound_volume_snapshot_content_name.as_deref()
    }

    pub fn is_ready(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.ready_to_use == Some(true))
    }
}

impl VolumeSnapshotContent {
    /// The snapshot that it is for.
    pub fn snapshot(&self) -> ObjectKey {
        let of = &self.spec.volume_snapshot_ref;
        ObjectKey::new(of.namespace.as_deref(), of.name.as_deref().unwrap_or_default())
    }

    /// Whether it is for this very snapshot, and not for one of the same name.
    pub fn is_of(&self, snapshot: &VolumeSnapshot) -> bool {
        let of = &self.spec.volume_snapshot_ref;
        let meta = &snapshot.metadata;
        of.name == meta.name && of.namespace == meta.namespace && of.uid == meta.uid
    }

    pub fn handle(&self) -> Option<&str> {
        self.status.as_ref()?.snapshot_handle.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_it_does_not_know_it_keeps() {
        let content = json!({"metadata": {"name": "c"},
            "spec": {"deletionPolicy": "Delete", "driver": "d", "source": {"volumeHandle": "v", "later": 1},
                "volumeSnapshotRef": {"name": "s", "namespace": "n"}, "later": {"a": []}},
            "status": {"creationTime": 1, "volumeGroupSnapshotHandle": "g"}});
        let typed: VolumeSnapshotContent = serde_json::from_value(content.clone()).unwrap();
        assert_eq!(serde_json::to_value(&typed).unwrap(), content);
        assert_eq!(typed.snapshot(), ObjectKey::namespaced("n", "s"));
        let class =
            json!({"metadata": {}, "driver": "d", "deletionPolicy": "Retain", "allowedTopologies": []});
        let typed: VolumeSnapshotClass = serde_json::from_value(class.clone()).unwrap();
        assert_eq!(serde_json::to_value(&typed).unwrap(), class);
    }

    #[test]
    fn a_content_is_of_one_snapshot_only() {
        let snapshot: VolumeSnapshot =
            serde_json::from_value(json!({"metadata": {"name": "s", "namespace": "n", "uid": "u"}})).unwrap();
        let cases = [
            ("its own", json!({"name": "s", "namespace": "n", "uid": "u"}), true),
            ("of one before it", json!({"name": "s", "namespace": "n", "uid": "v"}), false),
            ("of any of the name", json!({"name": "s", "namespace": "n"}), false),
            ("of another namespace's", json!({"name": "s", "namespace": "m", "uid": "u"}), false),
        ];
        for (name, of, want) in cases {
            let content: VolumeSnapshotContent =
                serde_json::from_value(json!({"metadata": {}, "spec": {"volumeSnapshotRef": of}})).unwrap();
            assert_eq!(content.is_of(&snapshot), want, "{name}");
        }
    }
}
