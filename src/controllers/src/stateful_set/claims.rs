//! The claims of a StatefulSet's pods: they outlive the pods, and go with them or with the set where the policy says so
//! (KEP-1847). Whom a claim belongs to is all that is written: the garbage collector does the rest.

use super::{Reconciler, pods};
use crate::owner::{controller_of, controller_reference};
use api::{Reason, Status};
use cluster::unless_gone;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kinds::{key_of, pod as ask};
use std::sync::Arc;

/// With whom a claim goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heir {
    Nobody,
    Set,
    Pod,
}

/// `is_condemned`: the set has shrunk, and the pod's number is not one of its own any more.
pub(super) fn heir(set: &StatefulSet, is_condemned: bool) -> Heir {
    let policy = set.spec.persistent_volume_claim_retention_policy.clone();
    let policy = policy.unwrap_or_default();
    let deletes = |field: &Option<String>| field.as_deref() == Some("Delete");
    match (deletes(&policy.when_deleted), deletes(&policy.when_scaled)) {
        (_, true) if is_condemned => Heir::Pod,
        (true, _) => Heir::Set,
        _ => Heir::Nobody,
    }
}

/// Its owners as they should be; `None` where they are, or where somebody else controls the claim.
pub(super) fn owners(
    claim: &PersistentVolumeClaim,
    set: &StatefulSet,
    pod: &Pod,
    heir: Heir,
) -> Option<Vec<OwnerReference>> {
    let ours = [set.metadata.uid.as_deref(), pod.metadata.uid.as_deref()];
    // a pod of the same name that came before is as good as gone
    let is_old_pod = |owner: &OwnerReference| {
        owner.kind == "Pod"
            && Some(&owner.name) == pod.metadata.name.as_ref()
            && owner.controller == Some(true)
    };
    let is_ours = |owner: &OwnerReference| ours.contains(&Some(owner.uid.as_str())) || is_old_pod(owner);
    if controller_of(&claim.metadata).is_some_and(|owner| !is_ours(owner)) {
        return None;
    }
    let before = claim.metadata.owner_references.clone().unwrap_or_default();
    let wanted = match heir {
        Heir::Nobody => None,
        Heir::Set => Some(controller_reference(set)),
        Heir::Pod => Some(controller_reference(pod)),
    };
    let stays = |owner: &&OwnerReference| !is_ours(owner);
    let after: Vec<OwnerReference> = before.iter().filter(stays).cloned().chain(wanted).collect();
    (after != before).then_some(after)
}

impl Reconciler {
    /// Of the pods that there are: their claims belong to whom the policy says; one that waits for a claim that is gone gets
    /// it again.
    pub(super) async fn keep_claims(&self, set: &Arc<StatefulSet>, all: &[Arc<Pod>]) -> Result<(), Status> {
        if pods::claim_templates(set).is_empty() {
            return Ok(());
        }
        for pod in all {
            let Some(ordinal) = pods::ordinal(set, pod) else { continue };
            let first = pods::start(set);
            let is_condemned = !(first..first.saturating_add(pods::wanted(set))).contains(&ordinal);
            for claim in pods::claims(set, ordinal) {
                match self.claims.find(&key_of(&claim.metadata))? {
                    Some(stored) => self.give(set, pod, &stored, heir(set, is_condemned)).await?,
                    None if ask::phase(pod) == "Pending" && !is_condemned && ask::is_active(pod) => {
                        self.create_claim(set, &claim, ordinal).await?;
                    }
                    None => {}
                }
            }
        }
        Ok(())
    }

    async fn give(
        &self,
        set: &StatefulSet,
        pod: &Pod,
        claim: &PersistentVolumeClaim,
        heir: Heir,
    ) -> Result<(), Status> {
        if owners(claim, set, pod, heir).is_none() {
            return Ok(());
        }
        let key = key_of(&claim.metadata);
        let given = self.claims.modify(&key, |claim| {
            if let Some(owners) = owners(claim, set, pod, heir) {
                claim.metadata.owner_references = Some(owners);
            }
            Ok(())
        });
        unless_gone(given.await).map(|_| ())
    }

    /// A claim outlives its pod: one that is there already is the one, unless it is on its way out.
    pub(super) async fn create_claim(
        &self,
        set: &Arc<StatefulSet>,
        claim: &PersistentVolumeClaim,
        ordinal: i32,
    ) -> Result<(), Status> {
        let own = set.metadata.name.as_deref().unwrap_or_default();
        let name = claim.metadata.name.as_deref().unwrap_or_default();
        let what = format!("create Claim {name} Pod {} in StatefulSet {own}", pods::pod_name(set, ordinal));
        if let Some(stored) = self.claims.find(&key_of(&claim.metadata))? {
            return match stored.metadata.deletion_timestamp {
                Some(_) => Err(Status::new(Reason::Conflict, format!("pvc {name} is being deleted"))),
                None => Ok(()),
            };
        }
        let mut new = claim.clone();
        if heir(set, false) == Heir::Set {
            new.metadata.owner_references.get_or_insert_default().push(controller_reference(&**set));
        }
        match self.claims.create(new).await {
            Ok(_) => {
                self.events.normal(&**set, "SuccessfulCreate", format!("{what} success"));
                Ok(())
            }
            Err(status) if status.is(Reason::AlreadyExists) => Ok(()),
            Err(status) => {
                self.events.warning(&**set, "FailedCreate", format!("{what} failed error: {status}"));
                Err(status)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn set(deleted: &str, scaled: &str) -> StatefulSet {
        serde_json::from_value(json!({"metadata": {"name": "db", "namespace": "d", "uid": "set"}, "spec": {
            "selector": {}, "serviceName": "", "template": {},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": deleted, "whenScaled": scaled}}}))
        .unwrap()
    }

    #[test]
    fn with_whom_a_claim_goes() {
        for (deleted, scaled, is_condemned, want) in [
            ("Retain", "Retain", false, Heir::Nobody),
            ("Retain", "Retain", true, Heir::Nobody),
            ("Delete", "Retain", false, Heir::Set),
            ("Delete", "Retain", true, Heir::Set),
            ("Retain", "Delete", false, Heir::Nobody),
            ("Retain", "Delete", true, Heir::Pod),
            ("Delete", "Delete", false, Heir::Set),
            ("Delete", "Delete", true, Heir::Pod),
        ] {
            assert_eq!(heir(&set(deleted, scaled), is_condemned), want, "{deleted} {scaled} {is_condemned}");
        }
    }

    #[test]
    fn owners_are_changed_and_others_left_alone() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "db-0", "uid": "pod"}})).unwrap();
        let owner = |kind: &str, name: &str, uid: &str, controls: bool| json!({"apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "controller": controls});
        let of = |owners: Vec<Value>| -> PersistentVolumeClaim {
            serde_json::from_value(json!({"metadata": {"name": "c", "ownerReferences": owners}})).unwrap()
        };
        let cases = [
            ("nobody's stays nobody's", vec![], Heir::Nobody, None),
            ("the set's", vec![], Heir::Set, Some("set")),
            ("the set's no more", vec![owner("StatefulSet", "db", "set", true)], Heir::Nobody, Some("")),
            (
                "from the set to the pod",
                vec![owner("StatefulSet", "db", "set", true)],
                Heir::Pod,
                Some("pod"),
            ),
            ("a pod before it", vec![owner("Pod", "db-0", "before", true)], Heir::Set, Some("set")),
            ("a label of others", vec![owner("App", "a", "app", false)], Heir::Set, Some("app set")),
            ("another's", vec![owner("App", "a", "app", true)], Heir::Set, None),
        ];
        for (name, before, heir, want) in cases {
            let got = owners(&of(before), &set("Delete", "Delete"), &pod, heir);
            let got = got.map(|all| all.into_iter().map(|owner| owner.uid).collect::<Vec<_>>().join(" "));
            assert_eq!(got.as_deref(), want, "{name}");
        }
    }
}
