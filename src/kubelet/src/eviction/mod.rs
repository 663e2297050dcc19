//! Pods that have more on the disk than they may: `emptyDir.sizeLimit` and limits of `ephemeral-storage` (upstream's
//! `localStorageEviction`). What a pod may have is in [`limits`], what it has in [`usage`], who compares them is [`monitor`]. The
//! pod's own worker ends it.
//!
//! Nobody says when a directory has grown by so much, so it is looked; but only at pods that have such a limit and run, and while
//! there is none nothing wakes. What the node as a whole has left evicts nobody, as in the clusters that others make on a machine of
//! one's own: minikube's kubelet has `evictionHard` of 0% for its disks and none for memory. Upstream's percentages of a disk that
//! is used for other things too would cost people all their pods at once; and of memory the kernel takes care, which asks the same
//! requests whom to end first (`resources::oom_score`).

mod limits;
mod monitor;
mod usage;

pub(crate) use monitor::run;

use crate::mailbox::Mailbox;
use crate::pod;
use k8s_openapi::api::core::v1::Pod;
use limits::Limits;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;

/// The pods that run and have limits, by their uid.
pub(crate) struct Limited(watch::Sender<HashMap<String, Entry>>);

#[derive(Clone)]
struct Entry {
    pod: Arc<Pod>,
    limits: Arc<Limits>,
    mailbox: Mailbox,
}

impl Default for Limited {
    fn default() -> Self {
        Limited(watch::Sender::new(HashMap::new()))
    }
}

impl Limited {
    /// One without limits is let be, and so is one that upstream calls critical: it is never evicted.
    pub fn insert(&self, pod: &Arc<Pod>, mailbox: &Mailbox) {
        let spec = pod::spec(pod);
        let Some(limits) = Limits::of(spec).filter(|_| !pod::is_critical(spec)) else { return };
        let entry = Entry { pod: pod.clone(), limits: Arc::new(limits), mailbox: mailbox.clone() };
        self.0.send_modify(|all| drop(all.insert(pod::uid(pod).to_owned(), entry)));
    }

    pub fn remove(&self, uid: &str) {
        self.0.send_if_modified(|all| all.remove(uid).is_some());
    }

    /// Until there is one.
    async fn some(&self) {
        let mut all = self.0.subscribe();
        // who sends is here: he is never gone
        let _ = all.wait_for(|all| !all.is_empty()).await;
    }

    fn all(&self) -> Vec<Entry> {
        self.0.borrow().values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_has_no_limits_or_is_critical_is_not_looked_at() {
        let pod = |uid: &str, limits: serde_json::Value, priority: i32| -> Arc<Pod> {
            let spec =
                json!({"priority": priority, "containers": [{"name": "c", "resources": {"limits": limits}}]});
            Arc::new(serde_json::from_value(json!({"metadata": {"uid": uid}, "spec": spec})).unwrap())
        };
        let limited = Limited::default();
        let (mailbox, _inbox) = tokio::sync::mpsc::unbounded_channel();
        let limit = json!({"ephemeral-storage": "1Mi"});
        for pod in [
            pod("plain", json!({"memory": "1Gi"}), 0),
            pod("limited", limit.clone(), 0),
            pod("critical", limit, pod::CRITICAL_PRIORITY),
        ] {
            limited.insert(&pod, &mailbox);
        }
        let all = |limited: &Limited| -> Vec<String> {
            limited.all().iter().map(|entry| pod::uid(&entry.pod).to_owned()).collect()
        };
        assert_eq!(all(&limited), ["limited"]);
        limited.remove("limited");
        assert!(all(&limited).is_empty());
    }
}
