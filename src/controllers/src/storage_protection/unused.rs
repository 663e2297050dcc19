//! Whether a claim is used, as its condition `Unused` says (KEP-5541): by a pod that has a node or waits for one, and has not ended.
//! The time of the condition is since when. Who is asked whether a claim may go asks more strictly, and is no part of this.

use api::Status;
use cluster::{Api, unless_gone};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerStatus, PersistentVolumeClaim, PersistentVolumeClaimCondition, Pod,
};
use kinds::{key_of, pod as ask, volume};
use std::sync::Arc;

const UNUSED: &str = "Unused";

/// Writes the condition where it says something else. A claim that has no volume yet, or is on its way out, is left alone.
pub(super) async fn tell(
    claims: &Api<PersistentVolumeClaim>,
    claim: &PersistentVolumeClaim,
    pods: &[Arc<Pod>],
) -> Result<(), Status> {
    if claim.metadata.deletion_timestamp.is_some() || volume::phase(claim) != "Bound" {
        return Ok(());
    }
    let used = pods.iter().any(|pod| !has_ended(pod) && volume::is_used_by(claim, pod));
    if says(claim, used) {
        return Ok(());
    }
    let now = Timestamp::now();
    let key = key_of(&claim.metadata);
    let changed = claims.modify_status(&key, |claim| {
        if !says(claim, used) {
            put(claim, condition(used, now));
        }
        Ok(())
    });
    unless_gone(changed.await).map(drop)
}

fn says(claim: &PersistentVolumeClaim, used: bool) -> bool {
    let conditions = claim.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut known = conditions.filter(|condition| condition.type_ == UNUSED);
    known.any(|condition| condition.status == if used { "False" } else { "True" })
}

fn put(claim: &mut PersistentVolumeClaim, condition: PersistentVolumeClaimCondition) {
    let all = claim.status.get_or_insert_default().conditions.get_or_insert_default();
    match all.iter_mut().find(|known| known.type_ == UNUSED) {
        Some(known) => *known = condition,
        None => all.push(condition),
    }
}

fn condition(used: bool, now: Timestamp) -> PersistentVolumeClaimCondition {
    let (status, reason, message) = match used {
        true => ("False", "PodUsingPVC", "A pod is currently referencing this PVC"),
        false => ("True", "NoPodsUsingPVC", "No pods are currently referencing this PVC"),
    };
    PersistentVolumeClaimCondition {
        last_probe_time: None,
        last_transition_time: Some(kinds::whole_second(now)),
        message: Some(message.to_owned()),
        reason: Some(reason.to_owned()),
        status: status.to_owned(),
        type_: UNUSED.to_owned(),
    }
}

/// Upstream's `IsPodTerminated`: nothing of a pod that is on its way out runs any more, or the pod says that it has ended.
fn has_ended(pod: &Pod) -> bool {
    let mut statuses = pod.status.iter().flat_map(|status| {
        let lists = [
            &status.init_container_statuses,
            &status.container_statuses,
            &status.ephemeral_container_statuses,
        ];
        lists.into_iter().flat_map(|list| list.iter().flatten())
    });
    let rests = |status: &ContainerStatus| {
        status.state.as_ref().is_some_and(|state| state.waiting.is_some() || state.terminated.is_some())
    };
    ask::is_terminal(pod) || (ask::is_deleting(pod) && statuses.all(rests))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn claim(more: &Value) -> PersistentVolumeClaim {
        let mut made = json!({"metadata": {"name": "p-own", "namespace": "d"}, "status": {"phase": "Bound"}});
        made["metadata"]["ownerReferences"] = more.clone();
        serde_json::from_value(made).unwrap()
    }

    #[test]
    fn who_uses_a_claim() {
        let by_name = json!({"name": "v", "persistentVolumeClaim": {"claimName": "p-own"}});
        let own = json!({"name": "own", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}});
        let of_pod =
            json!([{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": true}]);
        let nobody = json!([]);
        let running = json!({"containerStatuses": [{"name": "c", "image": "", "imageID": "", "ready": true,
            "restartCount": 0, "state": {"running": {}}}]});
        let ended = json!({"containerStatuses": [{"name": "c", "image": "", "imageID": "", "ready": false,
            "restartCount": 0, "state": {"terminated": {"exitCode": 0}}}]});
        let going = json!("2026-01-01T00:00:00Z");
        let cases = [
            ("one without a node", &by_name, &nobody, json!({}), Value::Null, true),
            ("one that has ended", &by_name, &nobody, json!({"phase": "Succeeded"}), Value::Null, false),
            ("of another name", &json!({"name": "v"}), &nobody, json!({}), Value::Null, false),
            ("its own", &own, &of_pod, json!({}), Value::Null, true),
            ("one of the name of its own", &own, &nobody, json!({}), Value::Null, false),
            ("one that runs on its way out", &by_name, &nobody, running, going.clone(), true),
            ("one that ended on its way out", &by_name, &nobody, ended.clone(), going.clone(), false),
            ("one that never ran, on its way out", &by_name, &nobody, json!({}), going, false),
            ("one whose container starts again", &by_name, &nobody, ended, Value::Null, true),
        ];
        for (name, volume, owners, status, deleted, want) in cases {
            let pod = json!({"metadata": {"name": "p", "namespace": "d", "uid": "u", "deletionTimestamp": deleted},
                "spec": {"containers": [], "volumes": [volume]}, "status": status});
            let pod: Pod = serde_json::from_value(pod).unwrap();
            assert_eq!(!has_ended(&pod) && volume::is_used_by(&claim(owners), &pod), want, "{name}");
        }
    }

    #[test]
    fn a_condition_is_written_once_for_each_turn() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let mut claim = claim(&json!([]));
        assert!(!says(&claim, true) && !says(&claim, false), "nothing is known yet");
        put(&mut claim, condition(false, at(1)));
        assert!(says(&claim, false) && !says(&claim, true));
        put(&mut claim, condition(true, at(2)));
        let all = claim.status.unwrap().conditions.unwrap();
        let told = &all[0];
        assert_eq!(all.len(), 1);
        assert_eq!(
            (told.status.as_str(), told.reason.as_deref(), told.last_transition_time.clone()),
            ("False", Some("PodUsingPVC"), Some(kinds::whole_second(at(2)))),
        );
    }
}
