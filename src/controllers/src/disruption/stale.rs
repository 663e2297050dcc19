//! Takes back that a pod is to be disrupted, where two minutes later it is still there and nobody has deleted it: upstream's
//! `stalePodDisruption`. Who wrote it has failed, or has thought better of it, and others would go by it.

use crate::owner::is_still;
use api::{ObjectKey, Status};
use cluster::{Api, Change, Client, Controller, WorkQueue, unless_gone};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use kinds::{key_of, pod as ask};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Upstream's name of the queue.
const NAME: &str = "stale_pod_disruption";
const CONDITION: &str = "DisruptionTarget";
const TIMEOUT: Duration = Duration::from_secs(2 * 60); // upstream's stalePodDisruptionTimeout

pub(super) async fn run(client: Client, stop: CancellationToken) {
    let controller = Controller::new(NAME, client.cluster()).watches::<Pod>(|queue, change| {
        let pod = change.object();
        if let (Change::Added(_) | Change::Modified { .. }, Some(left)) =
            (change, left(pod, Timestamp::now()))
        {
            queue.add_after(key_of(&pod.metadata), left);
        }
    });
    let reconciler = (client.api::<Pod>(), controller.queue());
    controller
        .run(stop, reconciler, |(pods, queue), key| async move { reconcile(&pods, &queue, key).await })
        .await;
}

async fn reconcile(pods: &Api<Pod>, queue: &WorkQueue<ObjectKey>, key: ObjectKey) -> Result<(), Status> {
    // from the store: it may have been taken back, or said again
    let Some(pod) = pods.find(&key)? else { return Ok(()) };
    let Some(left) = left(&pod, Timestamp::now()) else { return Ok(()) };
    if !left.is_zero() {
        queue.add_after(key, left);
        return Ok(());
    }
    let taken_back = PodCondition {
        type_: CONDITION.to_owned(),
        status: "False".to_owned(),
        observed_generation: pod.metadata.generation,
        ..PodCondition::default()
    };
    let written = pods.modify_status(&key, |now| {
        is_still(now, &pod.metadata)?;
        if self::left(now, Timestamp::now()).is_some_and(|left| left.is_zero()) {
            ask::set_condition(now.status.get_or_insert_default(), taken_back.clone(), Timestamp::now());
        }
        Ok(())
    });
    unless_gone(written.await).map(drop)
}

/// For how long it still may be that the pod goes. `None` where nobody says that it does, or it has; what the kubelet says it has
/// done, however long it takes.
fn left(pod: &Pod, now: Timestamp) -> Option<Duration> {
    let said = ask::condition(pod, CONDITION).filter(|said| said.status == "True")?;
    let is_going = ask::is_deleting(pod) || ask::is_terminal(pod);
    if is_going || said.reason.as_deref() == Some("TerminationByKubelet") {
        return None;
    }
    let since = said.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |at| at.0);
    let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    Some(TIMEOUT.saturating_sub(passed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn how_long_it_is_believed_that_a_pod_goes() {
        let at = "2026-01-01T00:00:00Z";
        let said = |status: &str, reason: &str| {
            json!({"conditions": [
            {"type": "DisruptionTarget", "status": status, "reason": reason, "lastTransitionTime": at}]})
        };
        let going = json!({"deletionTimestamp": at});
        let mut failed = said("True", "DeletionByTaintManager");
        failed["phase"] = "Failed".into();
        let cases: [(&str, Value, Value, Option<u64>); 6] = [
            ("nothing is said", json!({}), json!({}), None),
            ("it is to go", json!({}), said("True", "PreemptionByScheduler"), Some(30)),
            ("it was to go", json!({}), said("False", "PreemptionByScheduler"), None),
            ("it goes", going, said("True", "EvictionByEvictionAPI"), None),
            ("it has ended", json!({}), failed, None),
            ("the kubelet ends it", json!({}), said("True", "TerminationByKubelet"), None),
        ];
        let now = at.parse::<Timestamp>().unwrap() + Duration::from_secs(90);
        for (name, metadata, status, want) in cases {
            let pod: Pod = serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap();
            assert_eq!(left(&pod, now), want.map(Duration::from_secs), "{name}");
        }
        let pod: Pod =
            serde_json::from_value(json!({"metadata": {}, "status": said("True", "EvictionByEvictionAPI")}))
                .unwrap();
        assert_eq!(left(&pod, now + Duration::from_secs(600)), Some(Duration::ZERO));
    }

    #[tokio::test]
    async fn what_nobody_has_done_in_time_is_taken_back() {
        let cluster = testkit::cluster(testkit::config()).await;
        cluster.bootstrap_components([super::super::role()]).await.unwrap();
        let root = cluster.acting_as(cluster::Actor::root());
        let account = json!({"metadata": {"name": "default", "namespace": "default"}});
        let account: k8s_openapi::api::core::v1::ServiceAccount = serde_json::from_value(account).unwrap();
        root.api().create(account).await.unwrap();
        let pods = cluster.acting_as(cluster::Actor::controller(super::super::NAME)).api::<Pod>();
        let queue = WorkQueue::new();
        for (name, since, want) in [("old", -600, "False"), ("new", 0, "True")] {
            root.api::<Pod>().create(testkit::objects::pod(name).on("n").build()).await.unwrap();
            let key = ObjectKey::namespaced("default", name);
            let at = (Timestamp::now() + jiff::SignedDuration::from_secs(since)).to_string();
            let said: PodCondition = serde_json::from_value(json!({"type": CONDITION, "status": "True",
                "reason": "EvictionByEvictionAPI", "lastTransitionTime": at}))
            .unwrap();
            let tell = |pod: &mut Pod| {
                pod.status.get_or_insert_default().conditions = Some(vec![said.clone()]);
                Ok(())
            };
            root.api::<Pod>().modify_status(&key, tell).await.unwrap();
            reconcile(&pods, &queue, key.clone()).await.unwrap();
            let condition = ask::condition(&pods.get(&key).unwrap(), CONDITION).cloned().unwrap();
            assert_eq!(condition.status, want, "{name}");
            assert_eq!(condition.reason.is_none(), want == "False", "{name}");
        }
    }
}
