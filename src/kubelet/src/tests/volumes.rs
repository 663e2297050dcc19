//! Volumes that are made of objects, and follow them: secrets, settings, labels, tokens.

use super::rig::{Rig, key, phase, rig, waiting, web};
use cri::Mount;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_changed_secret_reaches_its_volume_and_a_missing_one_is_waited_for() {
    let rig = rig().await;
    let secret = |value: &str| -> Secret {
        serde_json::from_value(json!({"metadata": {"name": "login", "namespace": "default"},
            "data": {"password": value}}))
        .unwrap()
    };
    let spec = json!({"volumes": [{"name": "s", "secret": {"secretName": "login"}}],
        "containers": [{"name": "web", "image": "web:1", "volumeMounts": [{"name": "s", "mountPath": "/s"}]}]});
    let pod = rig.run("p", spec).await;
    rig.until_event(
        "p",
        "FailedMount MountVolume.SetUp failed for volume \"s\" : secret \"login\" not found",
    )
    .await;
    assert_eq!(waiting(&rig.pods().get(&key("p")).unwrap(), "web"), "ContainerCreating");
    let created = rig.root().api().create(secret("b25l")).await.unwrap();
    rig.until("p", |p| phase(p) == "Running").await;
    let file = rig
        .dir
        .path()
        .join("pods")
        .join(pod.metadata.uid.unwrap())
        .join("volumes/kubernetes.io~secret/s/password");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "one");
    let mut changed: Secret = secret("dHdv");
    changed.metadata.resource_version = created.metadata.resource_version;
    rig.root().api().update(changed).await.unwrap();
    rig.eventually("the new value", || std::fs::read_to_string(&file).is_ok_and(|text| text == "two")).await;
}

#[tokio::test(start_paused = true)]
async fn files_that_show_labels_and_annotations_follow_them() {
    let rig = rig().await;
    let items = |path: &str, field: &str| json!([{"path": path, "fieldRef": {"fieldPath": field}}]);
    let spec = json!({"volumes": [
            {"name": "own", "downwardAPI": {"items": items("labels", "metadata.labels")}},
            {"name": "among", "projected": {"sources": [{"downwardAPI": {"items": items("build", "metadata.annotations['build']")}}]}}],
        "containers": [{"name": "web", "image": "web:1", "volumeMounts": [
            {"name": "own", "mountPath": "/own"}, {"name": "among", "mountPath": "/among"}]}]});
    rig.running("p", spec).await;
    let mounts = rig.runtime.config(&rig.runtime.containers()[0].id.clone()).mounts;
    let read = |at: &str, file: &str| {
        let mount = mounts.iter().find(|m| m.target == std::path::Path::new(at)).unwrap();
        std::fs::read_to_string(mount.source.clone().unwrap().join(file)).unwrap_or_default()
    };
    assert_eq!((read("/own", "labels").as_str(), read("/among", "build").as_str()), ("", ""));
    let change = |pod: &mut k8s_openapi::api::core::v1::Pod| {
        pod.metadata.labels = Some([("tier".to_owned(), "front".to_owned())].into());
        pod.metadata.annotations = Some([("build".to_owned(), "two".to_owned())].into());
        Ok(())
    };
    rig.pods().modify(&key("p"), change).await.unwrap();
    rig.eventually("the new label", || read("/own", "labels") == "tier=\"front\"").await;
    rig.eventually("the new annotation", || read("/among", "build") == "two").await;
}

/// What is mounted into the container of a pod that has its account's token, and runs.
async fn mounts_of_pod_with_token(rig: &Rig) -> Vec<Mount> {
    let map = testkit::objects::config_map("kube-root-ca.crt").entry("ca.crt", "CA");
    rig.root().api().create(map.build()).await.unwrap();
    rig.running("p", json!({"automountServiceAccountToken": true, "containers": [web()]})).await;
    let id = rig.runtime.containers()[0].id.clone();
    rig.runtime.config(&id).mounts
}

fn token_of(mounts: &[Mount]) -> &Mount {
    let at = std::path::Path::new("/var/run/secrets/kubernetes.io/serviceaccount");
    mounts.iter().find(|m| m.target == at).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_service_accounts_token_is_mounted_and_renewed() {
    let rig = rig().await;
    let mounts = mounts_of_pod_with_token(&rig).await;
    let mount = token_of(&mounts);
    let source = mount.source.clone().unwrap();
    let read = |name: &str| std::fs::read_to_string(source.join(name)).unwrap();
    assert_eq!(
        (read("ca.crt").as_str(), read("namespace").as_str(), mount.read_only),
        ("CA", "default", true)
    );
    let first = read("token");
    let who = rig.cluster.authenticate_token(&first).unwrap();
    assert_eq!(who.name, "system:serviceaccount:default:default");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    rig.eventually("another token", || read("token") != first).await;
    assert!(mounts.iter().any(|m| m.target == std::path::Path::new("/etc/hosts")));
    assert!(mounts.iter().any(|m| m.target == std::path::Path::new("/dev/termination-log")));
}

/// A machine that slept for a night had pods with tokens that had ended, for most of an hour.
#[tokio::test(start_paused = true)]
async fn tokens_are_renewed_at_once_when_the_clock_was_set() {
    let rig = rig().await;
    let source = token_of(&mounts_of_pod_with_token(&rig).await).source.clone().unwrap();
    let read = || std::fs::read_to_string(source.join("token")).unwrap();
    let (first, began) = (read(), rig.clock.now());
    rig.cluster.clock_was_set();
    rig.eventually("another token", || read() != first).await;
    let took = crate::clock::since(rig.clock.now(), began);
    assert!(took < Duration::from_secs(600), "it waited for the timer: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_volumes_are_brought_up_to_date() {
    let mut rig = rig().await;
    let map = |value: &str| testkit::objects::config_map("settings").entry("colour", value).build();
    rig.root().api().create(map("blue")).await.unwrap();
    let spec = json!({"volumes": [{"name": "s", "configMap": {"name": "settings"}}],
        "containers": [{"name": "web", "image": "web:1", "volumeMounts": [{"name": "s", "mountPath": "/s"}]}]});
    rig.running("p", spec).await;
    let id = rig.runtime.containers()[0].id.clone();
    let file = rig.runtime.config(&id).mounts[0].source.clone().unwrap().join("colour");
    rig.stop().await;
    rig.root().api().update(map("red")).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "blue");
    rig.start().await;
    rig.eventually("the new value", || std::fs::read_to_string(&file).is_ok_and(|text| text == "red")).await;
    assert_eq!(rig.runtime.containers().len(), 1);
}
