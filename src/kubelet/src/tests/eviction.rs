//! Pods that have more on the disk than they may.

use super::rig::{Rig, container, is_ready, phase, rig, web};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use std::fs;
use std::path::PathBuf;

fn volume(rig: &Rig, pod: &Pod, name: &str) -> PathBuf {
    let pods = rig.dir.path().join("pods").join(pod.metadata.uid.as_deref().unwrap());
    pods.join("volumes/kubernetes.io~empty-dir").join(name)
}

fn fill(directory: PathBuf, bytes: usize) {
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("file"), vec![1; bytes]).unwrap();
    fs::File::open(directory.join("file")).unwrap().sync_all().unwrap();
}

async fn until_evicted(rig: &Rig, pod: &str, why: &str) {
    let evicted = rig.until(pod, |p| phase(p) == "Failed").await;
    let status = evicted.status.clone().unwrap();
    assert_eq!((status.reason.as_deref(), status.message.as_deref()), (Some("Evicted"), Some(why)));
    // it was the pod's own doing, and no disruption
    assert!(kinds::pod::condition(&evicted, "DisruptionTarget").is_none());
    let ended = container(&evicted, "web").state.and_then(|state| state.terminated);
    assert_eq!(ended.map(|ended| ended.exit_code), Some(143), "what its containers came to is told");
    rig.until_event(pod, &format!("Evicted {}", why.trim_end())).await;
    rig.eventually("what it had on the disk is gone", || rig.runtime.sandboxes().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_grows_beyond_its_limit_ends_its_pod() {
    let rig = rig().await;
    let cache = json!([{"name": "cache", "emptyDir": {"sizeLimit": "1Mi"}}]);
    let pod = rig.run("p", json!({"containers": [web()], "volumes": cache})).await;
    rig.until("p", is_ready).await;
    fill(volume(&rig, &pod, "cache"), 64 << 10);
    // upstream looks each ten seconds
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert!(rig.events("p").iter().all(|event| !event.starts_with("Evicted")));
    fill(volume(&rig, &pod, "cache"), 2 << 20);
    until_evicted(&rig, "p", "Usage of EmptyDir volume \"cache\" exceeds the limit \"1Mi\". ").await;
    assert!(rig.runtime.calls().contains(&"stop web 1s".to_owned()), "{:#?}", rig.runtime.calls());
    rig.eventually("its volume is gone", || !volume(&rig, &pod, "cache").exists()).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_container_writes_and_says_counts_also_after_a_restart_of_the_daemon() {
    let mut rig = rig().await;
    let limited = |name: &str, limit: &str| json!({"name": name, "image": "web:1", "resources": {"limits": {"ephemeral-storage": limit}}});
    rig.run("p", json!({"containers": [limited("web", "1Mi"), limited("other", "8Mi")]})).await;
    rig.until("p", is_ready).await;
    rig.stop().await;
    rig.start().await;
    let web = rig.runtime.containers().into_iter().find(|c| c.name == "web").unwrap();
    let of_pod = web.log_path.ancestors().nth(2).unwrap();
    // neither of them alone
    fill(of_pod.join(format!("layer-{}", web.id)), 700 << 10);
    fill(web.log_path.parent().unwrap().to_owned(), 700 << 10);
    until_evicted(&rig, "p", "Container web exceeded its local ephemeral storage limit \"1Mi\". ").await;
}

#[tokio::test(start_paused = true)]
async fn all_containers_and_volumes_of_a_pod_share_what_its_containers_may_have() {
    let rig = rig().await;
    let limits = json!({"limits": {"ephemeral-storage": "1Mi"}});
    let spec = json!({"containers": [{"name": "web", "image": "web:1", "resources": limits}],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "memory", "emptyDir": {}}]});
    let pod = rig.run("p", spec).await;
    rig.until("p", is_ready).await;
    fill(volume(&rig, &pod, "v"), 2 << 20);
    let why = "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ";
    until_evicted(&rig, "p", why).await;
}
