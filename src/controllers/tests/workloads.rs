//! Jobs, DaemonSets and StatefulSets on a cluster in memory. Nothing runs their pods: the test says how they fare.

mod common;

use api::{LabelSelector, ObjectKey};
use cluster::{Client, DeleteOptions, Propagation};
use common::{key, object, start, until};
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use kinds::volume;
use serde_json::{Value, json};

fn pods(client: &Client) -> Vec<Pod> {
    client.api::<Pod>().list(Some("default"), LabelSelector::default()).unwrap()
}

fn names(client: &Client) -> String {
    let mut names: Vec<String> = pods(client).into_iter().filter_map(|pod| pod.metadata.name).collect();
    names.sort();
    names.join(" ")
}

async fn fares(client: &Client, pod: &str, phase: &str) {
    let ready = json!([{"type": "Ready", "status": if phase == "Running" { "True" } else { "False" }}]);
    let fares = |pod: &mut Pod| {
        let status = pod.status.get_or_insert_default();
        status.phase = Some(phase.to_owned());
        status.conditions = Some(object(ready.clone()));
        Ok(())
    };
    client.api::<Pod>().modify_status(&key(pod), fares).await.unwrap();
}

fn template(labels: Value, restart: &str) -> Value {
    json!({"metadata": {"labels": labels}, "spec": {"restartPolicy": restart, "containers": [{"name": "c", "image": "i"}]}})
}

fn job(name: &str, more: Value) -> Job {
    let mut spec = json!({"template": template(json!({}), "Never")});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object(json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec}))
}

fn condition(client: &Client, name: &str) -> String {
    let status = client.api::<Job>().get(&key(name)).unwrap().status.unwrap_or_default();
    let last = status.conditions.into_iter().flatten().last();
    last.map(|condition| condition.type_).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_counts_its_pods_and_lets_go_of_them() {
    let client = start().await;
    let jobs = client.api::<Job>();
    jobs.create(job("sum", json!({"completions": 2, "parallelism": 2}))).await.unwrap();
    until::<Pod>(&client, |c| pods(c).len() == 2).await;
    for pod in pods(&client) {
        let labels = pod.metadata.labels.clone().unwrap();
        assert_eq!(labels["batch.kubernetes.io/job-name"], "sum");
        fares(&client, pod.metadata.name.as_deref().unwrap(), "Succeeded").await;
    }
    until::<Job>(&client, |c| condition(c, "sum") == "Complete").await;
    let status = jobs.get(&key("sum")).unwrap().status.unwrap();
    assert_eq!((status.succeeded, status.failed, status.active), (Some(2), None, None));
    assert!(pods(&client).iter().all(|pod| pod.metadata.finalizers.is_none()));
    let foreground = DeleteOptions { propagation: Some(Propagation::Foreground), ..DeleteOptions::default() };
    jobs.delete(&key("sum"), foreground).await.unwrap();
    until::<Job>(&client, |c| c.api::<Job>().find(&key("sum")).unwrap().is_none()).await;
    assert_eq!(names(&client), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pods_of_a_job_that_is_gone_are_held_by_nobody() {
    let client = start().await;
    let jobs = client.api::<Job>();
    for (name, propagation) in [("gone", Propagation::Background), ("left", Propagation::Orphan)] {
        jobs.create(job(name, json!({}))).await.unwrap();
        until::<Pod>(&client, |c| names(c).contains(name)).await;
        let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
        jobs.delete(&key(name), options).await.unwrap();
    }
    until::<Pod>(&client, |c| {
        let left = pods(c);
        left.len() == 1
            && left[0].metadata.finalizers.is_none()
            && left[0].metadata.owner_references.is_none()
    })
    .await;
    assert!(names(&client).starts_with("left-"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_job_goes_when_its_time_is_over() {
    let client = start().await;
    client.api::<Job>().create(job("brief", json!({"ttlSecondsAfterFinished": 0}))).await.unwrap();
    until::<Pod>(&client, |c| pods(c).len() == 1).await;
    fares(&client, &names(&client), "Succeeded").await;
    until::<Job>(&client, |c| c.api::<Job>().find(&key("brief")).unwrap().is_none()).await;
    until::<Pod>(&client, |c| pods(c).is_empty()).await;
}

fn daemon(image: &str) -> DaemonSet {
    let mut template = template(json!({"app": "agent"}), "Always");
    template["spec"]["containers"][0]["image"] = image.into();
    object(json!({
        "metadata": {"name": "agent", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template},
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_set_follows_the_nodes_and_its_template() {
    let client = start().await;
    let node = |name: &str| -> Node { object(json!({"metadata": {"name": name}})) };
    client.api::<Node>().create(node("a")).await.unwrap();
    let sets = client.api::<DaemonSet>();
    sets.create(daemon("one")).await.unwrap();
    until::<Pod>(&client, |c| pods(c).len() == 1).await;
    client.api::<Node>().create(node("b")).await.unwrap();
    until::<Pod>(&client, |c| pods(c).len() == 2).await;
    let counted = |c: &Client| {
        let status = c.api::<DaemonSet>().get(&key("agent")).unwrap().status.unwrap_or_default();
        status.desired_number_scheduled == 2 && status.current_number_scheduled == 2
    };
    until::<DaemonSet>(&client, counted).await;
    let change = |set: &mut DaemonSet| {
        set.spec = daemon("two").spec;
        Ok(())
    };
    sets.modify(&key("agent"), change).await.unwrap();
    let image = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.containers[0].image.clone());
    // none of them answers, so that none is missed
    until::<Pod>(&client, |c| {
        let all = pods(c);
        all.len() == 2 && all.iter().all(|pod| image(pod).as_deref() == Some("two"))
    })
    .await;
    let revisions =
        client.api::<ControllerRevision>().list(Some("default"), LabelSelector::default()).unwrap();
    let mut numbers: Vec<i64> = revisions.iter().filter_map(|revision| revision.revision).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2]);
    let generation = sets.get(&key("agent")).unwrap().metadata.annotations.unwrap();
    assert_eq!(generation["deprecated.daemonset.template.generation"], "2");
    client.api::<Node>().delete(&ObjectKey::cluster("b"), DeleteOptions::default()).await.unwrap();
    until::<Pod>(&client, |c| pods(c).len() == 1).await;
}

fn numbered(replicas: i32, more: Value) -> StatefulSet {
    let mut spec = json!({
        "replicas": replicas, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
        "template": template(json!({"app": "db"}), "Always"),
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object(json!({"metadata": {"name": "db", "namespace": "default"}, "spec": spec}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stateful_set_grows_in_order_and_is_rolled_out_backwards() {
    let client = start().await;
    let sets = client.api::<StatefulSet>();
    sets.create(numbered(2, json!({}))).await.unwrap();
    until::<Pod>(&client, |c| names(c) == "db-0").await;
    fares(&client, "db-0", "Running").await;
    until::<Pod>(&client, |c| names(c) == "db-0 db-1").await;
    fares(&client, "db-1", "Running").await;
    let revision = |c: &Client| {
        let status = c.api::<StatefulSet>().get(&key("db")).unwrap().status.unwrap_or_default();
        (status.current_revision, status.update_revision, status.ready_replicas)
    };
    until::<StatefulSet>(&client, |c| revision(c).2 == Some(2)).await;
    let first = revision(&client).0;
    let change = |set: &mut StatefulSet| {
        let template = &mut set.spec.template;
        template.spec.as_mut().unwrap().containers[0].image = Some("two".to_owned());
        Ok(())
    };
    sets.modify(&key("db"), change).await.unwrap();
    let image = |c: &Client, name: &str| {
        let pod = c.api::<Pod>().find(&key(name)).unwrap()?;
        pod.spec?.containers[0].image.clone()
    };
    until::<Pod>(&client, |c| image(c, "db-1").as_deref() == Some("two")).await;
    assert_eq!(image(&client, "db-0").as_deref(), Some("i"), "its turn comes when the other answers");
    fares(&client, "db-1", "Running").await;
    until::<Pod>(&client, |c| image(c, "db-0").as_deref() == Some("two")).await;
    fares(&client, "db-0", "Running").await;
    until::<StatefulSet>(&client, |c| {
        let (current, update, _) = revision(c);
        current == update && current != first
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_is_found_by_its_name_whatever_becomes_of_its_labels() {
    let client = start().await;
    client.api::<StatefulSet>().create(numbered(1, json!({}))).await.unwrap();
    until::<Pod>(&client, |c| names(c) == "db-0").await;
    let take_away = |pod: &mut Pod| {
        let labels = pod.metadata.labels.get_or_insert_default();
        labels.retain(|key, _| !key.starts_with("statefulset.") && !key.starts_with("apps."));
        Ok(())
    };
    client.api::<Pod>().modify(&key("db-0"), take_away).await.unwrap();
    until::<Pod>(&client, |c| {
        let labels = c.api::<Pod>().get(&key("db-0")).unwrap().metadata.labels.unwrap_or_default();
        let has = |key: &str, value: &str| labels.get(key).is_some_and(|known| known == value);
        has("statefulset.kubernetes.io/pod-name", "db-0") && has("apps.kubernetes.io/pod-index", "0")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_pod_runs_without_the_storage_that_was_asked_for() {
    let client = start().await;
    let claim = json!({"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    client.api::<StatefulSet>().create(numbered(1, json!({"volumeClaimTemplates": [claim]}))).await.unwrap();
    until::<Pod>(&client, |c| names(c) == "db-0").await;
    let claims = client.api::<PersistentVolumeClaim>();
    let claim = claims.get(&key("data-db-0")).unwrap();
    assert_eq!(claim.metadata.labels.unwrap()["app"], "db");
    assert_eq!(claim.metadata.owner_references, None);
    let pod = client.api::<Pod>().get(&key("db-0")).unwrap();
    assert_eq!(volume::claims_of(&pod)[0].name, "data-db-0");
    // a claim on its way out is none: the pod that would use it waits
    claims.delete(&key("data-db-0"), DeleteOptions::default()).await.unwrap();
    client.api::<Pod>().delete(&key("db-0"), DeleteOptions::default()).await.unwrap();
    until::<PersistentVolumeClaim>(&client, |c| {
        let claim = c.api::<PersistentVolumeClaim>().find(&key("data-db-0")).unwrap();
        claim.is_some_and(|claim| claim.metadata.deletion_timestamp.is_none())
    })
    .await;
    until::<Pod>(&client, |c| names(c) == "db-0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_tells_whether_a_pod_means_to_use_it() {
    let client = start().await;
    let (modes, amount) = (json!(["ReadWriteOnce"]), json!({"storage": "1Gi"}));
    let volume = json!({"metadata": {"name": "v"}, "spec": {"capacity": amount, "accessModes": modes,
        "hostPath": {"path": "/v"}}});
    client.api::<PersistentVolume>().create(object(volume)).await.unwrap();
    let claim = json!({"metadata": {"name": "c", "namespace": "default"}, "spec": {"accessModes": modes,
        "storageClassName": "", "resources": {"requests": amount}}});
    client.api::<PersistentVolumeClaim>().create(object(claim)).await.unwrap();
    let told = |c: &Client| {
        let claim = c.api::<PersistentVolumeClaim>().get(&key("c")).unwrap();
        let all = claim.status.and_then(|status| status.conditions).unwrap_or_default();
        let of = all.into_iter().find(|condition| condition.type_ == "Unused");
        of.map(|condition| format!("{} {}", condition.status, condition.reason.unwrap_or_default()))
    };
    let becomes = |want: &'static str| {
        until::<PersistentVolumeClaim>(&client, move |c| told(c).as_deref() == Some(want))
    };
    becomes("True NoPodsUsingPVC").await;
    // nobody schedules it
    let pod = json!({"metadata": {"name": "p", "namespace": "default"}, "spec": {
        "containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}});
    client.api::<Pod>().create(object(pod)).await.unwrap();
    becomes("False PodUsingPVC").await;
    fares(&client, "p", "Succeeded").await;
    becomes("True NoPodsUsingPVC").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_go_with_the_set_that_says_so() {
    let client = start().await;
    let claim = json!({"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let policy = json!({"whenDeleted": "Delete", "whenScaled": "Delete"});
    let more = json!({"volumeClaimTemplates": [claim], "persistentVolumeClaimRetentionPolicy": policy, "podManagementPolicy": "Parallel"});
    let sets = client.api::<StatefulSet>();
    sets.create(numbered(2, more)).await.unwrap();
    let claims = |c: &Client| {
        let all = c.api::<PersistentVolumeClaim>().list(Some("default"), LabelSelector::default()).unwrap();
        let mut names: Vec<String> = all.into_iter().filter_map(|claim| claim.metadata.name).collect();
        names.sort();
        names.join(" ")
    };
    until::<PersistentVolumeClaim>(&client, |c| claims(c) == "data-db-0 data-db-1").await;
    until::<Pod>(&client, |c| names(c) == "db-0 db-1").await;
    let shrink = |set: &mut StatefulSet| {
        set.spec.replicas = Some(1);
        Ok(())
    };
    for pod in ["db-0", "db-1"] {
        fares(&client, pod, "Running").await;
    }
    sets.modify(&key("db"), shrink).await.unwrap();
    until::<PersistentVolumeClaim>(&client, |c| claims(c) == "data-db-0").await;
    sets.delete(&key("db"), DeleteOptions::default()).await.unwrap();
    until::<PersistentVolumeClaim>(&client, |c| claims(c).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cron_job_knows_the_jobs_that_it_made() {
    let client = start().await;
    let crons = client.api::<CronJob>();
    let spec =
        json!({"schedule": "@yearly", "jobTemplate": {"spec": {"template": template(json!({}), "Never")}}});
    let cron: CronJob = object(json!({"metadata": {"name": "backup", "namespace": "default"}, "spec": spec}));
    let uid = crons.create(cron).await.unwrap().metadata.uid;
    // as `kubectl create job --from=cronjob/backup` makes it
    let mut by_hand = job("by-hand", json!({}));
    by_hand.metadata.owner_references = Some(object(json!([{
        "apiVersion": "batch/v1", "kind": "CronJob", "name": "backup", "uid": uid, "controller": true,
    }])));
    client.api::<Job>().create(by_hand).await.unwrap();
    until::<Pod>(&client, |c| pods(c).len() == 1).await;
    fares(&client, &names(&client), "Succeeded").await;
    let succeeded = |c: &Client| {
        let status = c.api::<CronJob>().get(&key("backup")).unwrap().status.unwrap_or_default();
        status.last_successful_time.is_some()
    };
    until::<CronJob>(&client, succeeded).await;
    // with it go its jobs and their pods
    crons.delete(&key("backup"), DeleteOptions::default()).await.unwrap();
    until::<Pod>(&client, |c| pods(c).is_empty()).await;
    assert!(client.api::<Job>().find(&key("by-hand")).unwrap().is_none());
}
