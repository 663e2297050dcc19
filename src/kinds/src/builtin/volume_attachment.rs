//! VolumeAttachments: a volume that is to be attached to a node by a driver.

use super::checks::{IMMUTABLE, required, text};
use super::csi_driver::driver_name;
use super::{name_of, names};
use crate::{Cell, Column, ErrorList, Scope, Subresource, TypedKind, age};
use k8s_openapi::api::storage::v1::{VolumeAttachment, VolumeAttachmentStatus};
use serde_json::json;

impl TypedKind for VolumeAttachment {
    const SINGULAR: &'static str = "volumeattachment";
    const PLURAL: &'static str = "volumeattachments";
    const UPDATED_UNCONDITIONALLY: bool = false;
    const SCOPE: Scope = Scope::Cluster;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Attacher", "string", "The driver that attaches it"),
        Column::new("PV", "string", "The volume"),
        Column::new("Node", "string", "The node"),
        Column::new("Attached", "boolean", "Whether it is attached"),
        Column::AGE,
    ];

    fn prepare_create(&mut self) {
        self.status = Some(VolumeAttachmentStatus::default());
    }
    fn prepare_update(&mut self, old: &Self) {
        self.status.clone_from(&old.status);
    }
    fn prepare_status_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
    }
    fn validate(&self, errors: &mut ErrorList) {
        driver_name(&self.spec.attacher, "spec.attacher", errors);
        let source = &self.spec.source;
        let one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
        match (&source.inline_volume_spec, &source.persistent_volume_name) {
            (None, None) => errors.required("spec.source", one),
            (Some(_), Some(_)) => errors.forbidden("spec.source", one),
            (None, Some(name)) if name.is_empty() => {
                errors.required(
                    "spec.source.persistentVolumeName",
                    "must specify non empty persistentVolumeName",
                );
            }
            (None, Some(_)) => {}
            (Some(spec), None) => {
                super::persistent_volume::spec(spec, "spec.source.inlineVolumeSpec", errors);
            }
        }
        required(names::dns_subdomain, &self.spec.node_name, "spec.nodeName", errors);
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        if self.spec != old.spec {
            errors.invalid("spec", json!(self.spec), IMMUTABLE);
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        vec![
            name_of(&self.metadata),
            self.spec.attacher.clone().into(),
            text(&self.spec.source.persistent_volume_name).into(),
            self.spec.node_name.clone().into(),
            self.status.as_ref().is_some_and(|status| status.attached).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}
