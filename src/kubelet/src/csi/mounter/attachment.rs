//! Whether a volume is attached to this node, which somebody else does, and what the node says of those that it uses.

use super::errors::device;
use crate::csi::records::{self, VolumeData};
use crate::csi::volume::CsiVolume;
use crate::csi::{Csi, reconstruct};
use crate::shared::Shared;
use crate::volumes::VolumeError;
use api::ObjectKey;
use cluster::Api;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::VolumeAttachment;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Upstream's podAttachAndMountTimeout.
const ATTACH_PATIENCE: Duration = Duration::from_secs(123);

impl Csi {
    /// What attaching it came to, when somebody has attached it.
    pub(super) async fn attached(
        &self,
        node: &str,
        volume: &CsiVolume,
    ) -> Result<HashMap<String, String>, VolumeError> {
        let mut changes = self.attachments.subscribe();
        let waiting = async {
            loop {
                if let Some(found) = self.attachment(node, volume) {
                    return Some(found);
                }
                changes.next().await?;
            }
        };
        let found = tokio::time::timeout(ATTACH_PATIENCE, waiting).await.ok().flatten();
        let found = found.ok_or_else(|| VolumeError::NotAttached { volume: volume.name.clone() })?;
        let metadata = found.status.as_ref().and_then(|status| status.attachment_metadata.clone());
        Ok(metadata.unwrap_or_default().into_iter().collect())
    }

    pub(super) fn still_attached(&self, node: &str, volume: &CsiVolume) -> Result<(), VolumeError> {
        let why = || device(volume, "volume attachment is being deleted");
        self.attachment(node, volume).map(|_| ()).ok_or_else(why)
    }

    fn attachment(&self, node: &str, volume: &CsiVolume) -> Option<Arc<VolumeAttachment>> {
        let name = kinds::csi::attachment_name(&volume.driver, &volume.handle, node);
        let found = self.attachments.get(&ObjectKey::cluster(&name))?;
        let is_attached = found.status.as_ref().is_some_and(|status| status.attached);
        (is_attached && found.metadata.deletion_timestamp.is_none()).then_some(found)
    }
}

/// `status.volumesInUse` is what stands in the node's records, of those volumes that are attached.
pub(in crate::csi) async fn report_in_use(shared: &Shared) -> Result<(), String> {
    let _one = shared.csi.reporting.lock().await;
    let mut all = Vec::new();
    for found in records::all_of_node(&shared.csi.root).await.map_err(|e| e.to_string())? {
        // one whose record is lost is in use as before
        all.extend(reconstruct::of_node(shared, found).await);
    }
    let is_attached =
        |data: &VolumeData| kinds::csi::is_attached(shared.csi.object(&data.driver_name).as_deref());
    let all = all.into_iter().filter(is_attached);
    let mut names: Vec<String> =
        all.map(|data| kinds::csi::unique_name(&data.driver_name, &data.volume_handle)).collect();
    names.sort();
    let nodes: Api<Node> = shared.client.api();
    let key = ObjectKey::cluster(&shared.config.node_name);
    let node = nodes.get(&key).map_err(|status| status.to_string())?;
    let told = node.status.and_then(|status| status.volumes_in_use).unwrap_or_default();
    if told == names {
        return Ok(());
    }
    let told = nodes.modify_status(&key, |node| {
        node.status.get_or_insert_default().volumes_in_use = (!names.is_empty()).then(|| names.clone());
        Ok(())
    });
    told.await.map(|_| ()).map_err(|status| status.to_string())
}
