//! Which autoscalers there are, when each is due, and whose pods it has.

use super::behavior::History;
use api::ObjectKey;
use cluster::{Change, WorkQueue};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use kinds::key_of;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The controller manager's `--horizontal-pod-autoscaler-sync-period`.
pub(super) const PERIOD: Duration = Duration::from_secs(15);
/// Autoscalers that have the same pods and are named.
const NAMED: usize = 100;

/// When an autoscaler is due, and what is remembered of it.
struct Entry {
    uid: Option<String>,
    due: Instant,
    history: History,
    /// Its target's, when they were last looked for, by uid.
    pods: Vec<String>,
}

/// Of each autoscaler that there is.
#[derive(Clone, Default)]
pub(super) struct Entries(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    entries: BTreeMap<ObjectKey, Entry>,
    /// By a pod's uid: a namespace may have thousands of autoscalers, and none looks through all others.
    of_pod: HashMap<String, BTreeSet<ObjectKey>>,
}

impl Known {
    fn forget(&mut self, key: &ObjectKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.release(key, &entry.pods);
        }
    }

    fn release(&mut self, key: &ObjectKey, pods: &[String]) {
        for uid in pods {
            if let Some(autoscalers) = self.of_pod.get_mut(uid) {
                autoscalers.remove(key);
                if autoscalers.is_empty() {
                    self.of_pod.remove(uid);
                }
            }
        }
    }
}

impl Entries {
    /// A new wish is looked at at once; a status that was written is none.
    pub(super) fn note(&self, change: &Change<HorizontalPodAutoscaler>, queue: &WorkQueue<ObjectKey>) {
        let meta = &change.object().metadata;
        let (key, mut known) = (key_of(meta), self.locked());
        let wishes = match change {
            Change::Deleted(_) => return known.forget(&key),
            Change::Added(_) => true,
            Change::Modified { old, new } => old.spec != new.spec || old.metadata.uid != new.metadata.uid,
        };
        if known.entries.get(&key).is_some_and(|entry| entry.uid != meta.uid) {
            known.forget(&key);
        }
        let entry = known.entries.entry(key.clone()).or_insert_with(|| Entry {
            uid: meta.uid.clone(),
            due: Instant::now(),
            history: History::default(),
            pods: Vec::new(),
        });
        if wishes {
            entry.due = Instant::now();
            queue.add(key);
        }
    }

    /// The history of one that is due, which is not due again for a period. A key may come sooner: it was woken between.
    pub(super) fn begin(&self, key: &ObjectKey) -> Option<History> {
        let (mut known, now) = (self.locked(), Instant::now());
        let entry = known.entries.get_mut(key).filter(|entry| entry.due <= now)?;
        entry.due = now + PERIOD;
        Some(std::mem::take(&mut entry.history))
    }

    pub(super) fn keep(&self, key: &ObjectKey, autoscaler: &HorizontalPodAutoscaler, history: History) {
        let mut known = self.locked();
        let entry = known.entries.get_mut(key).filter(|entry| entry.uid == autoscaler.metadata.uid);
        if let Some(entry) = entry {
            entry.history = history;
        }
    }

    /// Those that have any of the pods, which its selector finds; the names are in order, and no more than somebody reads.
    pub(super) fn selecting(&self, key: &ObjectKey, pods: &[Arc<Pod>]) -> Vec<ObjectKey> {
        let uids: Vec<String> = pods.iter().filter_map(|pod| pod.metadata.uid.clone()).collect();
        let mut known = self.locked();
        let Some(entry) = known.entries.get_mut(key) else { return Vec::new() };
        let before = std::mem::replace(&mut entry.pods, uids.clone());
        known.release(key, &before);
        let mut selecting = BTreeSet::new();
        for uid in uids {
            let autoscalers = known.of_pod.entry(uid).or_default();
            autoscalers.insert(key.clone());
            selecting.extend(autoscalers.iter().take(NAMED).cloned());
        }
        selecting.into_iter().take(NAMED).collect()
    }

    fn locked(&self) -> MutexGuard<'_, Known> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test(start_paused = true)]
    async fn a_status_that_was_written_is_no_new_wish() {
        let hpa = |most: i32, desired: i32| -> Arc<HorizontalPodAutoscaler> {
            serde_json::from_value(json!({
                "metadata": {"name": "h", "namespace": "d", "uid": "u"},
                "spec": {"maxReplicas": most, "scaleTargetRef": {"kind": "Deployment", "name": "web"}},
                "status": {"desiredReplicas": desired},
            }))
            .map(Arc::new)
            .unwrap()
        };
        let key = ObjectKey::namespaced("d", "h");
        let (entries, queue) = (Entries::default(), WorkQueue::new());
        entries.note(&Change::Added(hpa(3, 0)), &queue);
        assert_eq!(queue.next().await, key);
        assert!(entries.begin(&key).is_some());
        queue.done(&key);
        entries.note(&Change::Modified { old: hpa(3, 0), new: hpa(3, 1) }, &queue);
        assert!(entries.begin(&key).is_none(), "it is not due for a period");
        entries.note(&Change::Modified { old: hpa(3, 1), new: hpa(5, 1) }, &queue);
        assert_eq!(queue.next().await, key);
        assert!(entries.begin(&key).is_some());
        tokio::time::advance(PERIOD).await;
        assert!(entries.begin(&key).is_some(), "a period is over");
        entries.note(&Change::Deleted(hpa(5, 1)), &queue);
        assert!(entries.begin(&key).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn autoscalers_of_the_same_pods_are_found_by_their_pods() {
        let pod = |uid: &str| -> Arc<Pod> {
            serde_json::from_value(json!({"metadata": {"name": uid, "uid": uid}})).map(Arc::new).unwrap()
        };
        let hpa = |name: &str| -> Arc<HorizontalPodAutoscaler> {
            serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "d", "uid": name},
                "spec": {"maxReplicas": 1, "scaleTargetRef": {"kind": "Deployment", "name": "web"}},
            }))
            .map(Arc::new)
            .unwrap()
        };
        let key = |name: &str| ObjectKey::namespaced("d", name);
        let (entries, queue) = (Entries::default(), WorkQueue::new());
        for name in ["a", "b", "c"] {
            entries.note(&Change::Added(hpa(name)), &queue);
        }
        assert_eq!(entries.selecting(&key("a"), &[pod("1"), pod("2")]), [key("a")]);
        assert_eq!(entries.selecting(&key("b"), &[pod("2")]), [key("a"), key("b")]);
        assert_eq!(entries.selecting(&key("c"), &[pod("3")]), [key("c")]);
        assert_eq!(entries.selecting(&key("a"), &[pod("1")]), [key("a")]);
        assert_eq!(entries.selecting(&key("b"), &[pod("2")]), [key("b")]);
        for name in ["a", "b", "c"] {
            entries.note(&Change::Deleted(hpa(name)), &queue);
        }
        assert!(entries.locked().of_pod.is_empty(), "what is gone is forgotten");
        assert!(entries.selecting(&key("a"), &[pod("1")]).is_empty() && entries.locked().of_pod.is_empty());
    }
}
