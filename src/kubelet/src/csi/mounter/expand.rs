//! A file system, or a device, that grows after its volume: upstream's `NodeExpander`.

use super::{Mount, unless_ended};
use crate::csi::layout::Form;
use crate::csi::volume::Growth;
use crate::pod;
use crate::sources::Sources;
use crate::volumes::VolumeError;
use api::Status;
use cluster::{Api, EventType, unless_gone};
use csi::{CapacityRange, NodeCapabilities, NodeExpandRequest, Rpc};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kinds::volume;
use std::fmt::Display;
use std::path::Path;

const IN_PROGRESS: &str = "NodeResizeInProgress";
const INFEASIBLE: &str = "NodeResizeInfeasible";
/// The condition of a claim.
const FAILED: &str = "NodeResizeError";

/// Whether the pod has the volume already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    SetUp,
    Used,
}

impl Mount<'_> {
    /// Has the driver see to it, and then the claim says so.
    pub(super) async fn grow(
        &self,
        can: &NodeCapabilities,
        target: &Path,
        when: When,
    ) -> Result<(), VolumeError> {
        let Some(growth) = &self.volume.growth else { return Ok(()) };
        let volume = self.volume.spec_name.clone();
        let failed = |why: String| match when {
            When::SetUp if self.volume.form == Form::Block => {
                VolumeError::ExpandMapped { volume: volume.clone(), why }
            }
            When::SetUp => VolumeError::ExpandSetUp { volume: volume.clone(), why },
            When::Used => VolumeError::Expand { volume: volume.clone(), why },
        };
        if can.has(Rpc::ExpandVolume) {
            let secrets = self.find_secret(self.volume.expand_secret.as_ref()).map_err(|(key, why)| {
                failed(format!("expander.NodeExpand failed to get NodeExpandSecretRef {key}: {why}"))
            })?;
            let request = NodeExpandRequest {
                volume_id: self.volume.handle.clone(),
                volume_path: self.told(target),
                capacity_range: Some(CapacityRange { required_bytes: growth.bytes, limit_bytes: 0 }),
                staging_target_path: self.staging(can),
                volume_capability: Some(self.volume.capability(can, pod::fs_group(self.pod))),
                secrets,
            };
            let begun = self.tell(growth, &|claim| set_status(claim, IN_PROGRESS)).await;
            begun.map_err(|status| failed(status.to_string()))?;
            if let Err(error) = unless_ended(self.living, self.driver.calls.expand(request)).await? {
                let is_infeasible = error.is_infeasible();
                let why = words(&error, is_infeasible);
                if error.is_final() {
                    let now = self.shared.clock.now();
                    let mark = |claim: &mut PersistentVolumeClaim| {
                        has_failed(claim, growth, is_infeasible, &why, now)
                    };
                    let told = self.tell(growth, &mark).await;
                    if let Err(status) = told {
                        tracing::warn!(volume, %status, "a claim does not say that its volume can not be expanded");
                    }
                }
                // not while somebody uses it, which is no reason to keep it from the pod
                return if error.is_failed_precondition() { Ok(()) } else { Err(failed(why)) };
            }
            self.tell_of_success(growth);
        }
        let told = self.tell(growth, &|claim| has_grown(claim, growth)).await;
        told.map_err(|status| {
            failed(format!("mountVolume.NodeExpandVolume update pvc status failed: {status}"))
        })
    }

    fn tell_of_success(&self, growth: &Growth) {
        let (name, node) = (&self.volume.spec_name, &self.shared.config.node_name);
        let message = format!("MountVolume.NodeExpandVolume succeeded for volume \"{name}\" {node}");
        self.shared.record_event(
            self.pod,
            None,
            EventType::Normal,
            "FileSystemResizeSuccessful",
            message.clone(),
        );
        if let Some(claim) = self.shared.sources.claim(pod::namespace(self.pod), &growth.claim.name) {
            self.shared.events.normal(&*claim, "FileSystemResizeSuccessful", message);
        }
    }

    /// A claim that is gone need not know.
    async fn tell(
        &self,
        growth: &Growth,
        change: &(dyn Fn(&mut PersistentVolumeClaim) + Send + Sync),
    ) -> Result<(), Status> {
        let claims: Api<PersistentVolumeClaim> = self.shared.client.api();
        let told = claims.modify_status(&growth.claim, |claim| {
            change(claim);
            Ok(())
        });
        unless_gone(told.await).map(drop)
    }
}

/// Upstream writes what can not be had without a colon.
fn words(error: &dyn Display, is_infeasible: bool) -> String {
    let between = if is_infeasible { "" } else { " :" };
    format!("Expander.NodeExpand failed to expand the volume{between} {error}")
}

fn set_status(claim: &mut PersistentVolumeClaim, to: &str) {
    let status = claim.status.get_or_insert_default();
    let all = status.allocated_resource_statuses.get_or_insert_default();
    all.insert("storage".to_owned(), to.to_owned());
}

/// The driver has refused. It is not asked again for what can not be had, nor where it failed before and by now the user wants
/// another size: then it is the resizer's to begin anew.
fn has_failed(
    claim: &mut PersistentVolumeClaim,
    growth: &Growth,
    is_infeasible: bool,
    why: &str,
    now: Timestamp,
) {
    let is_another_size = volume::request(claim).value() != growth.bytes;
    let status = claim.status.get_or_insert_default();
    let conditions = status.conditions.get_or_insert_default();
    let before = conditions.iter().any(|of| of.type_ == FAILED && of.status == "True");
    if !before {
        conditions.retain(|of| of.type_ != FAILED);
        conditions.push(PersistentVolumeClaimCondition {
            type_: FAILED.to_owned(),
            status: "True".to_owned(),
            last_transition_time: Some(Time(now)),
            message: Some(format!("failed to expand pvc with {why}")),
            ..PersistentVolumeClaimCondition::default()
        });
    }
    if is_infeasible || (before && is_another_size) {
        set_status(claim, INFEASIBLE);
    }
}

/// The claim has what its volume has, and nothing more is to be done.
fn has_grown(claim: &mut PersistentVolumeClaim, growth: &Growth) {
    let status = claim.status.get_or_insert_default();
    let size = ("storage".to_owned(), growth.to.clone());
    status.capacity.get_or_insert_default().extend([size]);
    let is_over = |kind: &str| {
        matches!(kind, "Resizing" | "FileSystemResizePending" | "ControllerResizeError" | FAILED)
    };
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| !is_over(&condition.type_));
    }
    status.conditions.take_if(|conditions| conditions.is_empty());
    if let Some(statuses) = &mut status.allocated_resource_statuses {
        statuses.remove("storage");
    }
    status.allocated_resource_statuses.take_if(|statuses| statuses.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn claim(asked: &str, status: Value) -> PersistentVolumeClaim {
        let spec = json!({"resources": {"requests": {"storage": asked}}});
        serde_json::from_value(json!({"metadata": {"name": "data"}, "spec": spec, "status": status})).unwrap()
    }

    fn growth() -> Growth {
        let to = serde_json::from_value(json!("2Gi")).unwrap();
        Growth { claim: api::ObjectKey::namespaced("d", "data"), to, bytes: 2 << 30 }
    }

    fn status(claim: PersistentVolumeClaim) -> Value {
        serde_json::to_value(claim.status).unwrap()
    }

    #[test]
    fn what_has_grown_leaves_nothing_behind() {
        let cases = [
            ("nothing known", json!({}), json!({"capacity": {"storage": "2Gi"}})),
            (
                "all that is over",
                json!({"conditions": [{"type": "Resizing", "status": "True"}, {"type": FAILED, "status": "True"}],
                    "allocatedResourceStatuses": {"storage": IN_PROGRESS}}),
                json!({"capacity": {"storage": "2Gi"}}),
            ),
            (
                "what is another's",
                json!({"conditions": [{"type": "ModifyingVolume", "status": "True"}],
                    "allocatedResourceStatuses": {"example.com/x": "y"}}),
                json!({"conditions": [{"type": "ModifyingVolume", "status": "True"}], "capacity": {"storage": "2Gi"},
                    "allocatedResourceStatuses": {"example.com/x": "y"}}),
            ),
        ];
        for (name, before, want) in cases {
            let mut claim = claim("2Gi", before);
            has_grown(&mut claim, &growth());
            assert_eq!(status(claim), want, "{name}");
        }
    }

    #[test]
    fn what_a_refusal_comes_to() {
        let failed = json!([{"type": FAILED, "status": "True", "message": "before"}]);
        // (name, what the user wants, conditions before, refused for good, status)
        let cases = [
            ("the first time", "2Gi", json!([]), false, IN_PROGRESS),
            ("again", "2Gi", failed.clone(), false, IN_PROGRESS),
            ("again, and another size is wanted", "3Gi", failed, false, INFEASIBLE),
            ("the first time, and another size is wanted", "3Gi", json!([]), false, IN_PROGRESS),
            ("not to be had", "2Gi", json!([]), true, INFEASIBLE),
        ];
        for (name, asked, conditions, is_infeasible, want) in cases {
            let mut claim = claim(
                asked,
                json!({"conditions": conditions, "allocatedResourceStatuses": {"storage": IN_PROGRESS}}),
            );
            has_failed(&mut claim, &growth(), is_infeasible, "why", Timestamp::UNIX_EPOCH);
            let status = claim.status.unwrap();
            assert_eq!(status.allocated_resource_statuses.unwrap()["storage"], want, "{name}");
            let kinds: Vec<String> = status.conditions.unwrap().into_iter().map(|of| of.type_).collect();
            assert_eq!(kinds, [FAILED], "{name}");
        }
    }

    #[test]
    fn words_are_upstreams() {
        let cases = [
            (true, "Expander.NodeExpand failed to expand the volume no such size"),
            (false, "Expander.NodeExpand failed to expand the volume : no such size"),
        ];
        for (is_infeasible, want) in cases {
            assert_eq!(words(&"no such size", is_infeasible), want);
        }
    }
}
