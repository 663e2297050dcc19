//! What has been decided is written beside the decisions, and holds none of them up.

use super::*;
use crate::write_tasks::{LONGEST_PLACE, MOST_WRITES, Writes};
use api::Status;
use async_trait::async_trait;
use bytes::Bytes;
use cluster::WebhookCaller;
use k8s_openapi::api::admissionregistration::v1::{ValidatingWebhookConfiguration, WebhookClientConfig};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

async fn breaks() -> Result<(), Status> {
    panic!("a defect")
}

async fn is_refused() -> Result<(), Status> {
    Err(Status::internal("a webhook refuses"))
}

async fn is_done() -> Result<(), Status> {
    Ok(())
}

async fn hangs() -> Result<(), Status> {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_written_is_decided_again_after_a_while() {
    let lab = Lab::new().await;
    let (scheduler, now) = (lab.scheduler(), Instant::now());
    let held = |name: &str| {
        let mut cache = scheduler.cache();
        cache.pod_is(&stored(name), now);
        let pod = cache.queue.pop(now).unwrap();
        cache.queue.refused(&key(name), [Plugin::NodeResourcesFit].into(), now);
        cache.queue.hold(&key(name));
        pod
    };
    scheduler.write_held(&held("a"), breaks);
    scheduler.write_held(&held("b"), is_refused);
    scheduler.write_held(&held("c"), is_done);
    scheduler.write_held(&held("d"), hangs);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut cache = scheduler.cache();
    assert_eq!(cache.queue.due(), Some(now + Duration::from_secs(1)));
    let mut next = || cache.queue.pop(now + Duration::from_secs(1));
    let mut again: Vec<Option<String>> = (0..3).map(|_| next()?.pod.metadata.name.clone()).collect();
    again.sort();
    assert_eq!(again, [None, Some("a".to_owned()), Some("b".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn writes_that_hang_leave_their_places_to_others() {
    let writes = Writes::default();
    for _ in 0..MOST_WRITES {
        writes.begin(hangs, |_| {});
    }
    let (done, heard) = oneshot::channel();
    let started = Instant::now();
    writes.begin(is_done, move |written| {
        let _ = done.send(written.is_ok());
    });
    assert!(heard.await.unwrap());
    let took = started.elapsed();
    assert!(took >= LONGEST_PLACE && took < 2 * LONGEST_PLACE, "{took:?}");
}

/// Less than it would have to give its place up for.
async fn takes_a_while() -> Result<(), Status> {
    tokio::time::sleep(LONGEST_PLACE / 2).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_has_begun_is_finished_and_nothing_else_begins() {
    let (writes, begun) = (Writes::default(), Arc::new(AtomicBool::new(false)));
    let (done, mut heard) = oneshot::channel();
    writes.begin(takes_a_while, move |written| {
        let _ = done.send(written.is_ok());
    });
    for _ in 1..MOST_WRITES {
        writes.begin(takes_a_while, |_| {});
    }
    let begins = begun.clone();
    let late = || async move {
        begins.store(true, Ordering::Relaxed);
        Ok(())
    };
    writes.begin(late, |_| {});
    tokio::time::sleep(Duration::from_millis(1)).await;
    writes.end().await;
    assert_eq!((heard.try_recv().ok(), begun.load(Ordering::Relaxed)), (Some(true), false));
}

/// A webhook that never answers.
#[derive(Default)]
struct Silent {
    asked: Notify,
}

#[async_trait]
impl WebhookCaller for Silent {
    async fn post(&self, _: &Cluster, _: &WebhookClientConfig, _: &str, _: Vec<u8>) -> Result<Bytes, String> {
        self.asked.notify_one();
        std::future::pending().await
    }
}

/// In real time: with a clock that stands still the webhook's time is over at once.
#[tokio::test]
async fn a_webhook_that_does_not_answer_holds_up_no_other_pod() {
    let (lab, silent) = (Lab::new().await, Arc::new(Silent::default()));
    lab.cluster.call_webhooks_through(silent.clone());
    lab.create::<ValidatingWebhookConfiguration>(object(json!({"metadata": {"name": "silent"}, "webhooks": [{
        "name": "silent.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 30,
        "clientConfig": {"service": {"name": "silent", "namespace": "default", "path": "/ask"}},
        "rules": [{"operations": ["UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/status"]}],
    }]})))
        .await;
    lab.start().await;
    lab.pod("big", "9", json!({})).await;
    in_real_time(silent.asked.notified()).await.expect("what is said of it is written");
    lab.pod("small", "1", json!({})).await;
    let placed = tokio::time::timeout(Duration::from_secs(15), lab.until_placed("small")).await;
    placed.expect("it waited for the webhook");
    let big = lab.pods().get(&key("big")).unwrap();
    assert!(ask::condition(&big, "PodScheduled").is_none(), "the webhook has answered");
}
