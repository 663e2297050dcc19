//! What is frozen is left alone, and what is deleted goes all the same.

use super::rig::{Rig, container, is_ready, key, phase, rig, web};
use cluster::DeleteOptions;
use cri::{CriError, ExecConfig, PodContainer};
use serde_json::json;
use std::time::Duration;

fn calls(rig: &Rig, what: &str) -> usize {
    rig.runtime.calls().iter().filter(|call| *call == what).count()
}

#[tokio::test(start_paused = true)]
async fn a_paused_pod_is_neither_probed_nor_restarted_nor_started() {
    let rig = rig().await;
    let probe = json!({"exec": {"command": ["alive"]}, "periodSeconds": 1, "failureThreshold": 1});
    rig.run("p", json!({"containers": [{"name": "web", "image": "web:1", "livenessProbe": probe}]})).await;
    rig.until("p", is_ready).await;
    assert_eq!(rig.kubelet.pauser.pause(None).await.unwrap(), 1);
    assert!(calls(&rig, "freeze web") >= 1);

    rig.runtime.command("alive", 1);
    rig.run("late", json!({"containers": [web()]})).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let pod = rig.pods().get(&key("p")).unwrap();
    assert_eq!((container(&pod, "web").restart_count, is_ready(&pod)), (0, true));
    assert_eq!(rig.runtime.sandboxes().len(), 1, "nothing new is begun");
    let exec = ExecConfig { command: vec!["true".into()], ..ExecConfig::default() };
    let at = PodContainer { namespace: "default".into(), pod: "p".into(), container: "web".into() };
    match rig.kubelet.access.exec(&at, exec).await.map(drop) {
        Err(CriError::Invalid(why)) => assert!(why.contains("is paused"), "{why}"),
        other => panic!("{other:?}"),
    }
    let id = rig.runtime.containers()[0].id.clone();
    rig.runtime.end(&id, 1);
    rig.until("p", |p| !is_ready(p)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(calls(&rig, "start web"), 1, "what ended stays so");

    rig.runtime.command("alive", 0);
    rig.kubelet.pauser.unpause(None).await.unwrap();
    assert!(rig.kubelet.pauser.paused().is_nothing());
    rig.until("p", |p| container(p, "web").restart_count == 1 && is_ready(p)).await;
    rig.until("late", |p| phase(p) == "Running").await;
}

#[tokio::test(start_paused = true)]
async fn other_namespaces_go_on_and_a_deleted_pod_is_thawed_first() {
    let rig = rig().await;
    rig.running("p", json!({"containers": [web()]})).await;
    let other = ["kube-system".to_owned()].into();
    assert_eq!(rig.kubelet.pauser.pause(Some(&other)).await.unwrap(), 0);
    let own = ["default".to_owned()].into();
    assert_eq!(rig.kubelet.pauser.pause(Some(&own)).await.unwrap(), 1);
    rig.pods().delete(&key("p"), DeleteOptions::default()).await.unwrap();
    rig.until_gone("p").await;
    let calls = rig.runtime.calls();
    // of its grace the paused clock may have taken some
    let at = |what: &str| calls.iter().rposition(|call| call.starts_with(what));
    assert!(at("thaw web") > at("freeze web") && at("thaw web") < at("stop web "), "{calls:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_daemon_keeps_the_pause() {
    let mut rig = rig().await;
    rig.running("p", json!({"containers": [web()]})).await;
    rig.kubelet.pauser.pause(None).await.unwrap();
    rig.stop().await;
    let before = calls(&rig, "freeze web");
    rig.start().await;
    assert!(rig.kubelet.pauser.paused().holds("default"));
    assert!(calls(&rig, "freeze web") > before, "what was half paused is paused");
    assert_eq!(rig.kubelet.pauser.unpause(None).await.unwrap(), 1);
    assert!(calls(&rig, "thaw web") == 1);
}

#[tokio::test(start_paused = true)]
async fn what_would_not_thaw_is_still_paused() {
    let rig = rig().await;
    rig.running("p", json!({"containers": [web()]})).await;
    rig.kubelet.pauser.pause(None).await.unwrap();
    rig.runtime.refuse("thaw", "no");
    rig.kubelet.pauser.unpause(None).await.unwrap_err();
    assert!(rig.kubelet.pauser.paused().holds("default"));
}
