//! A pod stays looked after, whatever numbers it has and whatever goes wrong.

use super::rig::{container, key, phase, rig, web};
use cluster::DeleteOptions;
use serde_json::{Value, json};

// in real time: a deletion's time is the cluster's
#[tokio::test]
async fn numbers_beyond_all_time_do_not_hold_a_pod() {
    let rig = rig().await;
    let most = i64::MAX;
    let of_web = |key: &str, value: Value| json!({"name": "web", "image": "web:1", key: value});
    let probe = json!({"exec": {"command": ["ok"]}, "periodSeconds": i32::MAX, "timeoutSeconds": i32::MAX,
        "initialDelaySeconds": i32::MAX, "terminationGracePeriodSeconds": most});
    let token = json!({"projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 1_i64 << 32}}]}});
    let cases = [
        ("grace", json!({"terminationGracePeriodSeconds": most, "containers": [web()]})),
        ("deadline", json!({"activeDeadlineSeconds": i32::MAX, "containers": [web()]})),
        ("probe", json!({"containers": [of_web("livenessProbe", probe)]})),
        (
            "hook",
            json!({"containers": [of_web("lifecycle", json!({"preStop": {"sleep": {"seconds": most}}}))],
            "terminationGracePeriodSeconds": most}),
        ),
        (
            "token",
            json!({"volumes": [{"name": "v", "projected": token["projected"]}], "containers": [web()]}),
        ),
    ];
    for (name, spec) in cases {
        rig.run(name, spec).await;
        rig.until(name, |p| phase(p) == "Running").await;
        // a hook that sleeps for ever is cut off by the deletion's own grace
        let grace_period_seconds = (name == "hook").then_some(1);
        let options = DeleteOptions { grace_period_seconds, ..DeleteOptions::default() };
        rig.pods().delete(&key(name), options).await.unwrap();
        rig.until_gone(name).await;
        assert!(
            !rig.events(name).iter().any(|e| e.starts_with("FailedSync")),
            "{name}: {:?}",
            rig.events(name)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_begins_anew_and_its_pod_is_not_abandoned() {
    let rig = rig().await;
    rig.running("p", json!({"containers": [web()]})).await;
    rig.runtime.break_next_look();
    rig.runtime.end(&rig.runtime.containers()[0].id.clone(), 1);
    rig.until_event("p", "FailedSync error syncing pod: the kubelet's worker panicked: broken as told").await;
    rig.until("p", |p| container(p, "web").restart_count == 1 && phase(p) == "Running").await;
    let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    rig.pods().delete(&key("p"), now).await.unwrap();
    rig.eventually("nothing is left of it", || rig.runtime.sandboxes().is_empty()).await;
}
